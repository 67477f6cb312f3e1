"""Models in memory: who gets a lease when, and who is refused or told to wait no longer."""

from __future__ import annotations

import pytest

from hearthwatch.errors import BudgetTooSmall, DeadlineExceeded, StillLoading, UnknownModel
from hearthwatch.hosting.spec import MIB
from simulated import Caller, NewWorld

# ------------------------------------------------------------------------------------------------------------ leases


def test_nothing_loads_before_somebody_asks(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    world.loop.advance(10)
    assert (model.loads, world.states()) == (0, {"a": "cold"})


def test_a_lease_gives_the_loaded_model_and_counts_while_it_lasts(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    caller = world.ask("a")
    assert caller.model is not None
    assert caller.model.name == "a"
    assert world.manager.status("a").leases == 1
    caller.leave()
    assert (world.manager.status("a").leases, world.states()["a"]) == (0, "ready")


def test_many_who_ask_at_once_share_one_load(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    world.hold("a")
    callers = [world.ask("a") for _ in range(5)]
    assert world.manager.status("a").waiting == 5
    world.finish("a")
    assert len({id(caller.model) for caller in callers}) == 1
    assert (model.loads, world.manager.status("a").leases) == (1, 5)


def test_a_loaded_model_stays_loaded_for_the_next_caller(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    world.use("a", "a", "a")
    assert model.loads == 1


def test_different_models_load_at_the_same_time(new_world: NewWorld) -> None:
    world = new_world()
    for name in "ab":
        world.add(name)
        world.hold(name)
        world.ask(name)
    assert world.at_work() == ["a", "b"]


def test_no_more_loads_run_at_once_than_there_are_threads(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name in "ab":
        world.add(name)
        world.hold(name)
    callers = [world.ask(name) for name in "ab"]
    assert world.at_work() == ["a"]
    world.finish("a")
    assert world.at_work() == ["b"]
    world.finish("b")
    assert all(caller.holds for caller in callers)


def test_a_ready_model_is_given_at_once_whatever_loads_leaves_or_waits(new_world: NewWorld) -> None:
    world = new_world(budget_mb=300)
    for name in "abcd":
        world.add(name)
    world.use("a", "b")
    world.hold("b", "unload")
    world.hold("c")
    world.ask("c")
    world.start(world.manager.unload_model("b"))
    waiting = world.ask("d")
    assert waiting.waits
    assert world.ask("a").holds


def test_who_leaves_does_not_cancel_the_load_for_the_others(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    world.hold("a")
    leaver, stayer = world.ask("a"), world.ask("a")
    leaver.cancel()
    world.finish("a")
    assert stayer.holds
    assert (model.loads, world.manager.status("a").leases) == (1, 1)


def test_a_load_that_runs_is_finished_and_kept_when_nobody_waits_any_more(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    world.hold("a")
    world.ask("a").cancel()
    assert world.states()["a"] == "loading"
    world.finish("a")
    assert world.states()["a"] == "ready"
    assert world.ask("a").holds
    assert model.loads == 1


def test_a_load_that_has_not_begun_is_dropped_with_the_last_who_waits(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name in "ab":
        world.add(name)
    world.hold("a")
    world.ask("a")
    first, second = world.ask("b"), world.ask("b")
    first.cancel()
    assert world.states()["b"] == "loading"
    second.cancel()
    assert world.states()["b"] == "cold"
    world.finish("a")
    assert world.models["b"].loads == 0


@pytest.mark.parametrize("turns", range(8))
def test_whenever_the_last_one_leaves_a_load_that_no_thread_has_begun_does_not_begin(
    turns: int, new_world: NewWorld
) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    caller = Caller("a", world.manager, world.loop, None)
    for _turn in range(turns):
        world.loop.step()
    caller.task.cancel()
    while not caller.task.done():
        world.loop.step()
    begun = world.at_work()
    world.loop.settle()
    assert world.at_work() == begun
    assert world.states()["a"] == ("loading" if begun else "cold")
    assert world.manager.get_current_vram_usage() == (100 if begun else 0)


def test_a_load_is_dropped_when_the_last_deadline_passes_before_it_begins(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name in "ab":
        world.add(name)
    world.hold("a")
    world.ask("a")
    late = world.ask("b", within=2)
    world.loop.advance(3)
    assert isinstance(late.error, StillLoading)
    assert world.states()["b"] == "cold"
    world.finish("a")
    assert world.models["b"].loads == 0


def test_who_asks_again_right_after_a_load_was_dropped_gets_the_model(new_world: NewWorld) -> None:
    world = new_world(load_threads=1)
    for name in "ab":
        world.add(name)
    world.hold("a")
    world.ask("a")
    world.ask("b").task.cancel()  # the manager has not heard of it when the next one comes
    again = world.ask("b")
    world.finish("a")
    assert again.holds


def test_a_caller_who_is_cancelled_in_the_turn_of_the_handover_keeps_no_lease(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    caller = world.ask("a")
    (job,) = world.threads.jobs
    world.threads.jobs.clear()
    # The load ends, and its caller is cancelled before it runs.
    job.finish()
    entry_answered = False
    for _turn in range(20):
        world.loop.step()
        if world.manager.status("a").leases:
            entry_answered = caller.task.cancel()
            break
    world.loop.settle()
    assert entry_answered
    assert world.manager.status("a").leases == 0
    assert world.run(world.manager.unload_model("a")) == 100 * MIB


# --------------------------------------------------------------------------------------------------------- deadlines


def test_a_deadline_that_passes_while_the_model_loads_ends_the_waiting_and_not_the_load(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    caller = world.ask("a", within=2)
    world.loop.advance(1.9)
    assert caller.waits
    world.loop.advance(0.2)
    assert isinstance(caller.error, StillLoading)
    assert str(caller.error) == "the deadline passed while a was loading"
    world.finish("a")
    assert world.states()["a"] == "ready"


def test_who_is_told_that_it_still_loads_hears_how_long_the_last_load_took(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    world.hold("a")
    world.ask("a")
    world.loop.advance(7)
    world.finish("a")
    world.start(world.manager.unload_model("a"))
    first = world.manager.status("a").leases
    assert first == 1  # it drains, so the next one waits
    late = world.ask("a", within=1)
    world.loop.advance(2)
    assert isinstance(late.error, StillLoading)
    assert late.error.retry_after_s == 7


def test_a_deadline_that_has_passed_loads_nothing(new_world: NewWorld) -> None:
    world = new_world()
    model = world.add("a")
    assert isinstance(world.ask("a", within=-1).error, DeadlineExceeded)
    assert model.loads == 0


def test_a_deadline_does_not_end_a_lease(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    caller = world.ask("a", within=1)
    world.loop.advance(5)
    assert caller.holds


# ---------------------------------------------------------------------------------------------------------- refusals


def test_an_unknown_model_is_a_value_error_that_lists_the_names(new_world: NewWorld) -> None:
    world = new_world()
    world.add("a")
    error = world.ask("b").error
    assert isinstance(error, UnknownModel)
    assert isinstance(error, ValueError)
    assert "'b'; the models are a" in str(error)


def test_a_model_larger_than_the_budget_is_refused_at_once_and_without_cool_down(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    model = world.add("a", 1200)
    for _ in range(2):
        error = world.ask("a").error
        assert isinstance(error, BudgetTooSmall)
        assert isinstance(error, RuntimeError)
        assert str(error) == "a needs 1200 MiB and the whole budget is 1000 MiB"
        assert error.retry_after_s is None
    assert (model.loads, world.states()["a"]) == (0, "cold")
    assert world.manager.status("a").reason == str(error)


def test_a_model_that_declares_too_much_is_measured_before_it_is_refused(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("a", 1200, resident_mb=90, peak_mb=150, measured=True)
    world.add("b", 200, resident_mb=900, peak_mb=1100, measured=True)
    assert world.ask("a").holds
    assert isinstance(world.ask("b").error, BudgetTooSmall)
    assert isinstance(world.ask("b").error, BudgetTooSmall)
    assert world.models["b"].measures == 1


def test_a_model_that_fits_only_without_those_that_always_stay_is_refused(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("always", 600, always=True)
    world.add("a", 500)
    world.use("a", "always")  # the first leaves for the second
    error = world.ask("a").error
    assert isinstance(error, BudgetTooSmall)
    assert "models that always stay loaded hold 600 MiB" in str(error)


def test_who_waits_for_room_is_refused_when_a_model_that_always_stays_takes_it(new_world: NewWorld) -> None:
    world = new_world(budget_mb=1000)
    world.add("busy", 600)
    world.add("always", 400, always=True)
    world.add("large", 700)
    world.ask("busy")
    world.hold("always")
    always = world.ask("always")
    large = world.ask("large")
    assert large.waits
    world.finish("always")
    assert always.holds
    assert isinstance(large.error, BudgetTooSmall)
