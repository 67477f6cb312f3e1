"""`Entry`: the manager's own record of one model. Only the event loop touches it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from hearthwatch.errors import HearthwatchError, WeightsMissing
from hearthwatch.hosting.ledger import Candidate
from hearthwatch.hosting.observer import UnloadReason
from hearthwatch.hosting.spec import MIB, Cost, ModelSpec
from hearthwatch.hosting.status import ModelState, ModelStatus

#: A failed load is tried again after so long, then after twice that, and so on (LocalAI's figures).
FIRST_COOL_DOWN_S = 10.0
LAST_COOL_DOWN_S = 300.0
#: Missing weights are looked for by each request, but not more often: a folder is listed each time.
LOOK_AGAIN_S = 3.0


@dataclass(slots=True, eq=False)
class Entry:
    """One model.

    Attributes:
        spec: what it needs.
        state: `loading` from the first question until it is ready or failed, also while it waits for room.
        model: loaded; None where it is not.
        kind: its class, remembered after it has left.
        leases: calls that use it.
        waiters: calls that wait for it; each gets the model with a lease already counted.
        last_used: on the manager's clock; None before the first use.
        cost: measured; None until somebody has.
        load: the load that runs or waits for room.
        leaving: has the bytes that came back once the model has left; None where nobody wants it to leave.
        leave_reason: why.
        error: of the last load, where it failed.
        failures: loads that failed in a row.
        retry_at: on the manager's clock; before that, no load is tried.
        taken: bytes that the last load was seen to take, where nothing else happened meanwhile.
        load_s: seconds of the last load; None before the first.
        loads: that succeeded.
        evictions: how often it left for another model.
        returned: bytes that its last unload gave back.
        shortfall: bytes that its unloads did not give back, in all.
    """

    spec: ModelSpec
    state: ModelState = ModelState.COLD
    model: Any = None
    kind: type = object
    leases: int = 0
    waiters: list[asyncio.Future[Any]] = field(default_factory=list)
    last_used: float | None = None
    cost: Cost | None = None
    load: asyncio.Task[None] | None = None
    leaving: asyncio.Future[int] | None = None
    leave_reason: UnloadReason = "asked"
    error: HearthwatchError | None = None
    failures: int = 0
    retry_at: float = 0.0
    taken: int | None = None
    load_s: float | None = None
    loads: int = 0
    evictions: int = 0
    returned: int | None = None
    shortfall: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def expected(self) -> Cost:
        """What it takes, as far as anybody knows."""
        return self.cost or self.spec.declared

    @property
    def idle(self) -> bool:
        """Loaded, and nobody uses it."""
        return self.state is ModelState.READY and self.leases == 0

    def is_due(self, default: float | None, now: float) -> bool:
        """Whether it was idle for long enough to be unloaded.

        Args:
            default: seconds for models that have no time of their own; None: never.
            now: on the manager's clock.
        """
        own = self.spec.idle_seconds
        limit = default if own is None else own or None
        if limit is None or self.spec.always or not self.idle:
            return False
        return now - (self.last_used or 0.0) >= limit

    def candidate(self, charge: int) -> Candidate:
        """As the ledger sees it."""
        return Candidate(self.name, charge, self.spec.priority, self.last_used or 0.0, self.idle)

    def rest(self) -> None:
        """Back to where it was before a load that did not happen."""
        if self.error is None:
            self.state = ModelState.COLD
        else:
            self.state = _state_after(self.error)

    def fail(self, error: HearthwatchError, now: float) -> None:
        """A load failed: nobody tries again before `retry_at`."""
        self.error, self.state = error, _state_after(error)
        if isinstance(error, WeightsMissing):
            self.retry_at = now + LOOK_AGAIN_S
            return
        self.retry_at = now + min(FIRST_COOL_DOWN_S * 2.0**self.failures, LAST_COOL_DOWN_S)
        self.failures = min(self.failures + 1, 16)

    def take(self, now: float) -> Any:
        """The ready model, with one more lease."""
        self.leases += 1
        self.last_used = now
        return self.model

    def answer(self, now: float) -> None:
        """Give the model to all who wait for it, each with a lease."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                self.leases += 1
                waiter.set_result(self.model)
        self.last_used = now

    def refuse(self, error: HearthwatchError, now: float) -> None:
        """Give an error to all who wait for it."""
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(self.again(error, now))

    def again(self, error: HearthwatchError, now: float) -> HearthwatchError:
        """The same error, to be raised once more: an object of its own, that says when to ask again.

        One object for all would collect the tracebacks of all.
        """
        copy = type(error).__new__(type(error), *error.args)
        copy.__dict__.update(error.__dict__)
        if error is self.error and not isinstance(error, WeightsMissing):
            copy.retry_after_s = max(0.0, self.retry_at - now)
        return copy

    def status(self, now: float, charge: int, too_large: str | None) -> ModelStatus:
        """For people and machines.

        Args:
            now: on the manager's clock.
            charge: bytes that the ledger holds for it.
            too_large: why it cannot be loaded at all; None where it can.
        """
        cost, error = self.cost, self.error
        failed = error is not None and self.state in {ModelState.FAILED, ModelState.MISSING_WEIGHTS}
        cooling = self.state is ModelState.FAILED
        missing = error if isinstance(error, WeightsMissing) and failed else None
        return ModelStatus(
            self.name,
            self.state,
            self.spec.priority,
            declared_mb=self.spec.vram_mb,
            measured_mb=cost.resident_bytes / MIB if cost and cost.measured else None,
            charged_mb=charge / MIB,
            leases=self.leases,
            waiting=len(self.waiters),
            last_used=self.last_used,
            idle_s=now - self.last_used if self.idle and self.last_used is not None else None,
            reason=str(error) if failed else too_large,
            retry_at=self.retry_at if cooling else None,
            retry_after_s=max(0.0, self.retry_at - now) if cooling else None,
            looked_at=missing.looked_at if missing else (),
            remedy=missing.remedy if missing else None,
            engine=cost.engine if cost else "",
            precision=cost.precision if cost else "",
            device=cost.device if cost else "",
            taken_bytes=self.taken,
            loads=self.loads,
            evictions=self.evictions,
            returned_bytes=self.returned,
            shortfall_bytes=self.shortfall,
        )


def _state_after(error: HearthwatchError) -> ModelState:
    return ModelState.MISSING_WEIGHTS if isinstance(error, WeightsMissing) else ModelState.FAILED
