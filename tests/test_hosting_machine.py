"""Whatever happens in any order: never over budget, never a leased model gone, none loaded twice, nobody forgotten.

Hypothesis plays callers, clients that leave, devices that fail, threads that are slow, and the clock; after each step
the invariants are looked at. Nothing runs by itself, so each order of events can be repeated.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hearthwatch.errors import BudgetTooSmall, HearthwatchError, LoadFailed, OutOfMemory, WeightsMissing
from hearthwatch.hosting.ledger import Ledger
from hearthwatch.hosting.spec import MIB, ModelPriority
from hearthwatch.hosting.status import ModelState
from simulated import Caller, World

BUDGET_MB = 100
NAMES = ("critical", "high", "medium 1", "medium 2", "low")
PRIORITIES = dict(zip(NAMES, (1, 2, 3, 3, 4), strict=True))
RESTING = {ModelState.COLD, ModelState.READY, ModelState.FAILED, ModelState.MISSING_WEIGHTS}

names = st.sampled_from(NAMES)
failures = st.sampled_from(["no engine", "out of memory", "missing"])


class Hosting(RuleBasedStateMachine):
    """Five models on a device for some of them."""

    world: World
    callers: list[Caller]
    tasks: list[asyncio.Task[Any]]

    @initialize(
        sizes=st.lists(st.tuples(st.integers(5, 60), st.integers(0, 30)), min_size=5, max_size=5),
        measured=st.lists(st.booleans(), min_size=5, max_size=5),
        smaller=st.lists(st.booleans(), min_size=5, max_size=5),
        always=st.sampled_from([None, None, *NAMES]),
        load_threads=st.integers(1, 3),
    )
    def begin(
        self,
        sizes: list[tuple[int, int]],
        measured: list[bool],
        smaller: list[bool],
        always: str | None,
        load_threads: int,
    ) -> None:
        self.world = World(BUDGET_MB, load_threads=load_threads)
        self.world.threads.hold_all = True
        self.callers, self.tasks = [], []
        self.relieved: dict[str, asyncio.Task[Any]] = {}
        self.early: list[str] = []
        for name, (resident, more), is_measured, has_smaller in zip(NAMES, sizes, measured, smaller, strict=True):
            peak = resident + more if is_measured else resident
            self.world.add(
                *(name, resident, PRIORITIES[name]),
                peak_mb=peak,
                measured=is_measured,
                smaller=has_smaller,
                always=name == always,
            )
        self._watch_evictions()

    # ------------------------------------------------------------------------------------------------------- callers

    @rule(name=names, within=st.sampled_from([None, None, 0.2, 3.0]))
    def ask(self, name: str, within: float | None) -> None:
        self.callers.append(self.world.ask(name, within))

    @precondition(lambda self: any(caller.holds for caller in self.callers))
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([caller for caller in self.callers if caller.holds])).leave()

    @precondition(lambda self: any(not caller.task.done() for caller in self.callers))
    @rule(data=st.data())
    def go_away(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from([caller for caller in self.callers if not caller.task.done()])).cancel()

    @rule(name=names)
    def unload(self, name: str) -> None:
        self.tasks.append(self.world.start(self.world.manager.unload_model(name)))

    @rule()
    def clean_up(self) -> None:
        self.tasks.append(self.world.start(self.world.manager.cleanup_idle_models(5)))

    @precondition(lambda self: any(caller.holds for caller in self.callers))
    @rule(data=st.data())
    def run_out_of_memory(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from([caller.name for caller in self.callers if caller.holds]))
        if name not in self.relieved or self.relieved[name].done():
            task = self.world.loop.create_task(self.world.manager.relieve(name))
            self.relieved[name] = task
            self.tasks.append(task)
            self.world.loop.settle()

    # -------------------------------------------------------------------------------------------------------- device

    @precondition(lambda self: self.world.threads.jobs)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        jobs = self.world.threads.jobs
        job = jobs.pop(data.draw(st.integers(0, len(jobs) - 1)))
        job.finish()
        if data.draw(st.booleans(), label="and at once what follows"):
            self.world.loop.settle()

    @precondition(lambda self: self.world.threads.jobs and any(not caller.task.done() for caller in self.callers))
    @rule(data=st.data(), turns=st.integers(0, 6))
    def go_away_as_something_ends(self, data: st.DataObject, turns: int) -> None:
        """The loop is stopped in the middle of what follows."""
        jobs = self.world.threads.jobs
        jobs.pop(data.draw(st.integers(0, len(jobs) - 1))).finish()
        for _turn in range(turns):
            self.world.loop.step()
        callers = [caller for caller in self.callers if not caller.task.done()]
        if callers:
            data.draw(st.sampled_from(callers)).cancel()

    @rule(name=names, failure=failures)
    def fail_next_load(self, name: str, failure: str) -> None:
        errors = {
            "no engine": LoadFailed("no engine"),
            "out of memory": OutOfMemory("no room"),
            "missing": WeightsMissing(name, [], "Pull it."),
        }
        if len(self.world.models[name].failures) < 2:
            self.world.models[name].failures.append(errors[failure])

    @rule(name=names, leak=st.sampled_from([0, 0, 2]), late=st.sampled_from([0, 0, 5]))
    def give_back_badly(self, name: str, leak: int, late: int) -> None:
        if self.world.models[name].resident_mb >= leak + late:
            self.world.models[name].leak_mb, self.world.models[name].late_mb = leak, late

    @rule(elsewhere=st.sampled_from([0, 0, 0, 30, 90]))
    def somebody_else_takes_memory(self, elsewhere: int) -> None:
        self.world.memory.elsewhere = elsewhere * MIB
        self.world.memory.late = 0

    @rule(seconds=st.sampled_from([0.05, 0.3, 1, 5, 11, 60]))
    def let_time_pass(self, seconds: float) -> None:
        self.world.loop.advance(seconds)

    # ---------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def never_over_budget(self) -> None:
        assert sum(self._ledger.charges.values()) <= BUDGET_MB * MIB
        # Peaks of what loads, and what is loaded: as the device sees them.
        assert sum(self.world.memory.taken.values()) <= BUDGET_MB * MIB

    @invariant()
    def never_a_leased_model_gone(self) -> None:
        self.world.loop.settle()
        for caller in self.callers:
            assert caller.model is None or not caller.model.closed
        held = [caller.name for caller in self.callers if caller.holds]
        assert not set(held) & set(self.world.at_work("unload"))
        for name in NAMES:
            assert self.world.manager.status(name).leases == held.count(name)

    @invariant()
    def never_loaded_twice(self) -> None:
        for name, model in self.world.models.items():
            loads = [job for job in self.world.threads.jobs if job.name == name and job.kind in {"load", "smaller"}]
            assert model.alive + len(loads) <= 1

    @invariant()
    def nobody_waits_for_what_nobody_does(self) -> None:
        for caller in self.callers:
            if caller.waits:
                assert self.world.manager.states[caller.name] in {ModelState.LOADING, ModelState.DRAINING}

    @invariant()
    def nothing_loads_that_nobody_waits_for_and_no_thread_has_begun(self) -> None:
        waited_for = {caller.name for caller in self.callers if caller.waits}
        at_work = {job.name for job in self.world.threads.jobs}
        for name in set(NAMES) - waited_for - at_work:
            # After running out of memory, a load that has begun waits for others to leave.
            retries = self.world.models[name].had_no_room
            assert retries or self.world.manager.states[name] is not ModelState.LOADING

    @invariant()
    def the_critical_one_leaves_last(self) -> None:
        assert self.early == []

    @invariant()
    def callers_get_a_model_or_a_typed_error(self) -> None:
        for caller in self.callers:
            assert caller.error is None or isinstance(caller.error, HearthwatchError)

    @rule()
    def everything_comes_to_rest(self) -> None:
        """With nobody in the way, whoever waits is answered, within a bounded time."""
        self.world.memory.elsewhere = self.world.memory.late = 0
        for model in self.world.models.values():
            model.failures, model.leak_mb, model.late_mb = [], 0, 0
        for _round in range(60):
            for caller in [caller for caller in self.callers if caller.holds]:
                caller.leave()
            while self.world.threads.jobs:
                self.world.threads.jobs.pop(0).finish()
                self.world.loop.settle()
            self.world.loop.advance(1)
            waited_for = [*self.tasks, *(caller.task for caller in self.callers)]
            if all(task.done() for task in waited_for) and set(self.world.manager.states.values()) <= RESTING:
                break
        assert [caller.name for caller in self.callers if not caller.task.done()] == []
        assert all(task.done() for task in self.tasks)
        for task in self.tasks:
            task.result()
        self.callers, self.tasks = [], []
        assert set(self.world.manager.states.values()) <= RESTING
        assert set(self._ledger.charges) == set(self.world.manager.loaded_models)
        for name in NAMES:
            self._can_be_had(name)

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.everything_comes_to_rest()
            self.world.threads.hold_all = False
            closing = self.world.start(self.world.manager.close())
            self.world.loop.advance(5)
            assert closing.done()
            assert self.world.memory.taken == {}
            assert self._ledger.charged == 0
            self.world.end()

    # ------------------------------------------------------------------------------------------------------- private

    def _can_be_had(self, name: str) -> None:
        """By a caller who comes when nothing else goes on and failures have cooled down."""
        self.world.threads.hold_all = False
        self.world.loop.advance(300)
        caller = self.world.ask(name)
        self.world.loop.advance(5)
        assert caller.holds or isinstance(caller.error, BudgetTooSmall)
        if caller.holds:
            caller.leave()
        self.world.threads.hold_all = True

    @property
    def _ledger(self) -> Ledger:
        return self.world.manager._ledger

    def _watch_evictions(self) -> None:
        """Look at the moment of the decision: afterwards others may have come."""
        manager = self.world.manager
        evict = manager._room._evict

        def watched(entry: Any) -> Any:
            if entry.spec.priority is ModelPriority.CRITICAL:
                others = (manager._entries[name] for name in self._ledger.charges if name != entry.name)
                self.early += [other.name for other in others if self._could_go_first(other)]
            return evict(entry)

        manager._room._evict = watched

    def _could_go_first(self, other: Any) -> bool:
        """Lower, there, not leaving yet, and not the one for which the other has to leave."""
        out_of_memory = other.state is ModelState.LOADING and self.world.models[other.name].had_no_room
        relieved = other.name in self.relieved and not self.relieved[other.name].done()
        lower = other.spec.priority is not ModelPriority.CRITICAL and not other.spec.always
        return lower and other.leaving is None and not relieved and not out_of_memory


TestHosting = Hosting.TestCase
TestHosting.settings = settings(
    max_examples=40, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_a_great_many_orders_of_events_keep_the_invariants() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(
        Hosting,
        settings=settings(
            max_examples=1500, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
