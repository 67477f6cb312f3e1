"""The circuit breaker, as a machine that is driven through any story with a clock of the test's own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hearthwatch.client.breaker import BreakerLimits, CircuitBreaker, Outcome, Permit, State
from hearthwatch.errors import CircuitOpen

LIMITS = BreakerLimits(failure_threshold=3, recovery_timeout_s=60.0, half_open_max_calls=2, probe_timeout_s=20.0)


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Circuit:
    """A breaker with its clock and what it told of its changes."""

    def __init__(self, limits: BreakerLimits = LIMITS) -> None:
        self.clock = FakeClock()
        self.changes: list[State] = []
        self.breaker = CircuitBreaker("pose", limits, clock=self.clock, on_change=self.changes.append)

    def state(self) -> State:
        return self.breaker.state

    def attempt(self, outcome: Outcome) -> None:
        self.breaker.settle(self.breaker.acquire(), outcome)

    def open(self) -> None:
        for _ in range(self.breaker.limits.failure_threshold):
            self.attempt(Outcome.FAILED)
        assert self.state() is State.OPEN

    def half_open(self) -> None:
        self.open()
        self.clock.now += self.breaker.limits.recovery_timeout_s
        assert self.state() is State.HALF_OPEN


def test_failures_in_a_row_open_it_and_an_answer_starts_the_row_again() -> None:
    circuit = Circuit()
    for outcome in (Outcome.FAILED, Outcome.FAILED, Outcome.SUCCEEDED, Outcome.FAILED, Outcome.FAILED):
        circuit.attempt(outcome)
    assert circuit.state() is State.CLOSED
    circuit.attempt(Outcome.FAILED)
    assert circuit.state() is State.OPEN


def test_what_says_nothing_about_health_neither_opens_it_nor_starts_the_row_again() -> None:
    circuit = Circuit()
    for _ in range(50):
        circuit.attempt(Outcome.NEITHER)
    for outcome in (Outcome.FAILED, Outcome.FAILED, Outcome.NEITHER, Outcome.FAILED):
        circuit.attempt(outcome)
    assert circuit.state() is State.OPEN


def test_while_it_is_open_nothing_passes_and_it_says_for_how_long() -> None:
    circuit = Circuit()
    circuit.open()
    circuit.clock.now += 18.0
    with pytest.raises(CircuitOpen, match=r"pose failed too often.* tried again in 42 s") as refused:
        circuit.breaker.acquire()
    assert refused.value.retry_after_s == pytest.approx(42.0)


def test_it_closes_after_so_many_probes_and_not_after_the_first() -> None:
    circuit = Circuit()
    circuit.half_open()
    circuit.attempt(Outcome.SUCCEEDED)
    assert circuit.state() is State.HALF_OPEN
    circuit.attempt(Outcome.SUCCEEDED)
    assert circuit.state() is State.CLOSED
    assert circuit.changes == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_a_probe_that_fails_opens_it_for_the_whole_time_again() -> None:
    circuit = Circuit()
    circuit.half_open()
    circuit.attempt(Outcome.FAILED)
    circuit.clock.now += LIMITS.recovery_timeout_s - 0.1
    with pytest.raises(CircuitOpen):
        circuit.breaker.acquire()
    circuit.clock.now += 0.1
    assert circuit.breaker.acquire()


def test_no_more_probes_are_out_than_may_be() -> None:
    circuit = Circuit()
    circuit.half_open()
    first = circuit.breaker.acquire()
    circuit.breaker.acquire()
    with pytest.raises(CircuitOpen, match="its probes are out") as refused:
        circuit.breaker.acquire()
    assert refused.value.retry_after_s is None
    circuit.breaker.settle(first, Outcome.NEITHER)
    assert circuit.breaker.acquire()


def test_a_probe_that_hangs_gives_its_place_back() -> None:
    circuit = Circuit()
    circuit.half_open()
    hanging = [circuit.breaker.acquire() for _ in range(LIMITS.half_open_max_calls)]
    circuit.clock.now += LIMITS.probe_timeout_s
    circuit.attempt(Outcome.SUCCEEDED)
    circuit.attempt(Outcome.SUCCEEDED)
    assert circuit.state() is State.CLOSED
    for permit in hanging:  # of another time
        circuit.breaker.settle(permit, Outcome.FAILED)
    assert circuit.state() is State.CLOSED


def test_what_began_before_it_opened_is_no_probe() -> None:
    circuit = Circuit()
    late = [circuit.breaker.acquire() for _ in range(5)]
    circuit.half_open()
    circuit.breaker.acquire()
    for permit in late:
        circuit.breaker.settle(permit, Outcome.SUCCEEDED)
    assert circuit.state() is State.HALF_OPEN


class Story(RuleBasedStateMachine):
    """Any order of attempts, answers, silence and time."""

    def __init__(self) -> None:
        super().__init__()
        self.circuit = Circuit()
        self.out: list[tuple[Permit, State, float]] = []
        self.row = 0

    @property
    def breaker(self) -> CircuitBreaker:
        return self.circuit.breaker

    @rule()
    def ask(self) -> None:
        before = self.breaker.state
        try:
            permit = self.breaker.acquire()
        except CircuitOpen:
            assert before is not State.CLOSED
            return
        assert before is not State.OPEN
        self.out.append((permit, before, self.circuit.clock.now))

    @precondition(lambda self: self.out)
    @rule(data=st.data(), outcome=st.sampled_from(Outcome))
    def settle(self, data: st.DataObject, outcome: Outcome) -> None:
        entry = data.draw(st.sampled_from(self.out))
        self.out.remove(entry)
        changes, before = len(self.circuit.changes), self.breaker.state
        self.breaker.settle(entry[0], outcome)
        if len(self.circuit.changes) == changes:
            return
        after = self.breaker.state
        allowed = {
            Outcome.FAILED: {(State.CLOSED, State.OPEN), (State.HALF_OPEN, State.OPEN)},
            Outcome.SUCCEEDED: {(State.HALF_OPEN, State.CLOSED)},
            Outcome.NEITHER: set(),
        }
        assert (before, after) in allowed[outcome]

    @rule(seconds=st.sampled_from([0.5, 10.0, 20.0, 60.0, 1000.0]))
    def wait(self, seconds: float) -> None:
        before = self.breaker.state
        self.circuit.clock.now += seconds
        assert self.breaker.state in {before, State.HALF_OPEN}

    @invariant()
    def probes_are_few(self) -> None:
        if self.breaker.state is not State.HALF_OPEN:
            return
        now, since = self.circuit.clock.now, self.breaker._period
        probes = [begun for permit, _, begun in self.out if permit.period == since]
        assert sum(now - begun < LIMITS.probe_timeout_s for begun in probes) <= LIMITS.half_open_max_calls

    @invariant()
    def changes_are_those_of_a_circuit(self) -> None:
        steps = [State.CLOSED, *self.circuit.changes]
        allowed = {State.CLOSED: {State.OPEN}, State.OPEN: {State.HALF_OPEN}, State.HALF_OPEN: {*State}}
        assert all(after in allowed[before] and after != before for before, after in pairwise(steps))

    def teardown(self) -> None:
        """Whatever happened, time and health bring it back."""
        self.circuit.clock.now += LIMITS.recovery_timeout_s + LIMITS.probe_timeout_s
        for _ in range(LIMITS.half_open_max_calls):
            self.circuit.attempt(Outcome.SUCCEEDED)
        assert self.breaker.state is State.CLOSED


TestAnyStory = Story.TestCase
TestAnyStory.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
