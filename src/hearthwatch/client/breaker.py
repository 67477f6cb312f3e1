"""A circuit breaker: whoever fails again and again is left alone for a while, then tried with care.

    closed      everything passes; `failure_threshold` failures in a row open the circuit
    open        nothing passes until `recovery_timeout_s` are over
    half-open   at most `half_open_max_calls` probes: so many successes close the circuit, one failure opens it again

An outcome that says nothing about the other side's health, such as a refusal of what was sent, moves nothing. A probe
that never ends gives its place back when its time is over, so a circuit cannot stay half-open for ever. What began
before the state changed is of the past and is not counted.

Used from one event loop: nothing here waits, and nothing is locked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hearthwatch.errors import CircuitOpen


class State(StrEnum):
    """What a circuit lets pass."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


class Outcome(StrEnum):
    """What an attempt says about the health of the other side."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a circuit opens and closes.

    Attributes:
        failure_threshold: failures in a row that open it.
        recovery_timeout_s: seconds that it stays open.
        half_open_max_calls: probes that are let through, and successes among them that close it.
        probe_timeout_s: seconds after which a probe has no claim on its place any more.
    """

    failure_threshold: int = 5
    recovery_timeout_s: float = 60.0
    half_open_max_calls: int = 3
    probe_timeout_s: float = 70.0


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Leave for one attempt.

    Attributes:
        period: counts the circuit's changes of state; a permit of an earlier one is void.
        expires: seconds of the clock at which it gives its place back.
    """

    period: int
    expires: float


class CircuitBreaker:
    """One circuit.

    Args:
        name: what it guards, for sentences.
        limits: when it opens and closes.
        clock: seconds that never go back.
        on_change: told the new state after each change.
    """

    def __init__(
        self,
        name: str,
        limits: BreakerLimits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_change: Callable[[State], None] | None = None,
    ) -> None:
        self.name = name
        self.limits = limits or BreakerLimits()
        self._clock = clock
        self._on_change = on_change
        self._state = State.CLOSED
        self._period = 0
        self._failures = 0
        self._successes = 0
        self._reopens_at = 0.0
        self._probes: set[Permit] = set()

    @property
    def state(self) -> State:
        """As the next attempt finds it."""
        return State.HALF_OPEN if self._is_recovered() else self._state

    def acquire(self) -> Permit:
        """Leave for one attempt; whoever has it must `settle` it.

        Raises:
            CircuitOpen: nothing passes for now; `retry_after_s` says for how long, where that is known.
        """
        if self._is_recovered():
            self._become(State.HALF_OPEN)
        now = self._clock()
        if self._state is State.OPEN:
            raise self._refusal(self._reopens_at - now)
        permit = Permit(self._period, now + self.limits.probe_timeout_s)
        if self._state is State.HALF_OPEN:
            self._probes = {probe for probe in self._probes if probe.expires > now}
            if self._successes + len(self._probes) >= self.limits.half_open_max_calls:
                raise self._refusal(None)
            self._probes.add(permit)
        return permit

    def settle(self, permit: Permit, outcome: Outcome) -> None:
        """Say what became of an attempt."""
        self._probes.discard(permit)
        if permit.period != self._period or outcome is Outcome.NEITHER:
            return
        if outcome is Outcome.FAILED:
            self._failures += 1
            if self._state is State.HALF_OPEN or self._failures >= self.limits.failure_threshold:
                self._become(State.OPEN)
            return
        self._failures = 0
        if self._state is State.HALF_OPEN:
            self._successes += 1
            if self._successes >= self.limits.half_open_max_calls:
                self._become(State.CLOSED)

    def _is_recovered(self) -> bool:
        return self._state is State.OPEN and self._clock() >= self._reopens_at

    def _become(self, state: State) -> None:
        self._state = state
        self._period += 1
        self._failures = self._successes = 0
        self._probes = set()
        if state is State.OPEN:
            self._reopens_at = self._clock() + self.limits.recovery_timeout_s
        if self._on_change is not None:
            self._on_change(state)

    def _refusal(self, seconds: float | None) -> CircuitOpen:
        when = "its probes are out" if seconds is None else f"it is tried again in {seconds:.0f} s"
        error = CircuitOpen(f"{self.name} failed too often and is not asked for now: {when}")
        error.retry_after_s = seconds
        return error
