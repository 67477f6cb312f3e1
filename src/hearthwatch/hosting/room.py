"""`Room`: who may load next, and who leaves for it. Nothing waits in here; every change asks again what is due."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum, auto

from hearthwatch.errors import BudgetTooSmall, HearthwatchError, LoadFailed
from hearthwatch.hosting.entry import Entry
from hearthwatch.hosting.ledger import Candidate, Ledger, may_leave
from hearthwatch.hosting.memory import Memory
from hearthwatch.hosting.spec import MIB, ModelPriority
from hearthwatch.hosting.status import ModelState

_log = logging.getLogger(__name__)

#: Memory is given back late by drivers; so long is waited for it before more models leave.
SETTLE_S = 0.5
POLL_S = 0.05
#: Whoever was passed so often by later and higher ones counts as one priority higher, so that nobody starves.
PASSES = 4
#: Whoever has waited so long for others to finish makes them leave when they do, before anybody takes them again.
PATIENCE_S = 10.0


class Verdict(Enum):
    """What became of a request for room."""

    GRANTED = auto()  #: the memory is reserved and measured free
    SHORT = auto()  #: it is reserved, but the device does not have it free and nobody is left to leave
    WITHDRAWN = auto()  #: nobody waits for the model any more


@dataclass(slots=True, eq=False)
class _Request:
    entry: Entry
    needed: int
    number: int
    since: float
    answer: asyncio.Future[Verdict]
    passed: int = 0
    short_since: float | None = None

    @property
    def rank(self) -> tuple[int, int]:
        """Lower goes first."""
        return max(1, self.entry.spec.priority - self.passed // PASSES), self.number


class Room:
    """Hands out the budget.

    Args:
        ledger: the budget.
        memory: what the device really has free.
        entries: all models, by name; others add to it.
        evict: makes an idle model leave, or one in use as soon as it is idle.
        clock: seconds.
        loads: that may run at the same time.
    """

    def __init__(
        self,
        ledger: Ledger,
        memory: Memory,
        entries: Mapping[str, Entry],
        evict: Callable[[Entry], asyncio.Future[int]],
        clock: Callable[[], float],
        loads: int,
    ) -> None:
        self._ledger = ledger
        self._memory = memory
        self._entries = entries
        self._evict = evict
        self._clock = clock
        self._loads = loads
        self._requests: list[_Request] = []
        self._numbers = itertools.count()
        self._paused = 0
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None

    def ask(self, entry: Entry) -> asyncio.Future[Verdict]:
        """Room for a model to load: reserved when the answer says so.

        The answer raises BudgetTooSmall where there can never be enough.
        """
        answer = asyncio.get_running_loop().create_future()
        needed = entry.expected.peak_bytes
        self._requests.append(_Request(entry, needed, next(self._numbers), self._clock(), answer))
        self.wake()
        return answer

    def withdraw(self, entry: Entry) -> None:
        """Nobody wants the model any more."""
        for request in self._of(entry):
            self._answer(request, Verdict.WITHDRAWN)

    def refuse(self, entry: Entry, error: HearthwatchError) -> None:
        """End its request with an error."""
        for request in self._of(entry):
            self._requests.remove(request)
            request.answer.set_exception(error)
        self.wake()

    def wake(self) -> None:
        """Something changed: see who may load now, once the caller has gone on to its next wait."""
        if not self._woken:
            self._woken = True
            # Not at once: who was just handed a model can use it before anything leaves.
            asyncio.get_running_loop().call_soon(self._serve)

    def too_large(self, entry: Entry) -> str | None:
        """Why the model can never fit; None where it can."""
        needed, budget = entry.expected.peak_bytes, self._ledger.budget
        if entry.cost is None and entry.spec.measure is not None:
            # What it declares is no reason to refuse it where somebody will measure.
            return None
        if needed > budget:
            return f"{entry.name} needs {_mib(needed)} and the whole budget is {_mib(budget)}"
        # One that still loads may fail yet.
        others = (other for other in self._entries.values() if other is not entry and other.model is not None)
        stay = sum(self._ledger.charges[other.name] for other in others if other.spec.always)
        if needed > budget - stay:
            return (
                f"{entry.name} needs {_mib(needed)}; of the budget of {_mib(budget)}, models that always stay loaded "
                f"hold {_mib(stay)}"
            )
        return None

    async def relieve(self, besides: Entry, needed: int) -> int:
        """Make every idle model but one leave, CRITICAL ones only where nothing lower is loaded; wait for the memory.

        Args:
            besides: the model that had no room.
            needed: bytes that should be measured free; it is not waited for them for ever.

        Returns:
            Bytes that came back, as measured.
        """
        with self._nobody_enters():
            rows = [row for row in self._candidates() if row.name != besides.name]
            lower = [row for row in may_leave(rows) if row.priority is not ModelPriority.CRITICAL]
            leaving = [self._evict(self._entries[row.name]) for row in lower or may_leave(rows)]
            returned = sum(await asyncio.gather(*(asyncio.shield(future) for future in leaving)))
            await self._settled(needed)
        return returned

    async def _settled(self, needed: int) -> None:
        until = self._clock() + SETTLE_S
        # Polled: no driver tells when it has given memory back.
        while self._memory.free_bytes() < needed and self._clock() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)

    @contextmanager
    def _nobody_enters(self) -> Iterator[None]:
        """What comes back is for those who are loaded or loading."""
        self._paused += 1
        try:
            yield
        finally:
            self._paused -= 1
            self.wake()

    def _serve(self) -> None:
        self._woken = False
        while self._requests:
            request = min(self._requests, key=lambda request: request.rank)
            try:
                if not self._decide(request):
                    return
            except Exception as error:  # noqa: BLE001 - a driver that cannot be asked must not leave anybody waiting
                device, entry = self._memory.device, request.entry
                self.refuse(entry, LoadFailed(f"no room for {entry.name}: memory of {device} cannot be read: {error}"))

    def _decide(self, request: _Request) -> bool:
        """Whether the request has its answer. If not, something has to end first, and whoever ends it calls `wake`."""
        if (reason := self.too_large(request.entry)) is not None:
            self.refuse(request.entry, BudgetTooSmall(reason))
            return True
        loading = [self._ledger.charges[name] for name, entry in self._entries.items() if self._is_loading(entry)]
        if self._paused or len(loading) >= self._loads:
            return False
        if request.needed > self._ledger.room:
            self._make_room(request)
            return False
        # What loads now has not taken all of its share yet.
        if request.needed <= self._memory.free_bytes() - sum(loading):
            return self._grant(request, Verdict.GRANTED)
        return False if loading else self._decide_short(request)

    def _make_room(self, request: _Request) -> None:
        plan, left = self._ledger.plan_eviction, request.since + PATIENCE_S - self._clock()
        victims = plan(request.needed - self._leaving(), self._candidates())
        if victims is None and left <= 0:
            victims = plan(request.needed - self._leaving(in_use=True), self._candidates(in_use=True))
        elif victims is None:
            self._wake_after(left)
        for name in victims or ():
            self._evict(self._entries[name])

    def _decide_short(self, request: _Request) -> bool:
        """The ledger has room, the device has not: wait a little, then let more leave, then say so."""
        now = self._clock()
        if request.short_since is None:
            request.short_since = now
        if self._leaving():
            return False
        if now < request.short_since + SETTLE_S:
            self._wake_after(POLL_S)
            return False
        free, order = self._memory.free_bytes(), may_leave(self._candidates())
        if order and free + sum(row.charge for row in order) >= request.needed:
            self._evict(self._entries[order[0].name])
            return False
        if self._candidates() and now < request.since + PATIENCE_S:
            self._wake_after(request.since + PATIENCE_S - now)
            return False
        _log.warning("memory short model=%s needed=%d free=%d", request.entry.name, request.needed, free)
        return self._grant(request, Verdict.SHORT)

    def _grant(self, request: _Request, verdict: Verdict) -> bool:
        self._ledger.reserve(request.entry.name, request.needed)
        self._answer(request, verdict)
        for other in self._requests:
            other.passed += other.number < request.number
        return True

    def _answer(self, request: _Request, verdict: Verdict) -> None:
        self._requests.remove(request)
        request.answer.set_result(verdict)
        self.wake()

    def _leaving(self, *, in_use: bool = False) -> int:
        """Bytes of those that are being unloaded; with `in_use` also of those that will be when they are given back."""
        entries = (self._entries[name] for name in self._ledger.charges)
        leaving = (entry for entry in entries if entry.leaving is not None and (in_use or entry.leases == 0))
        return sum(self._ledger.charges[entry.name] for entry in leaving)

    def _candidates(self, *, in_use: bool = False) -> list[Candidate]:
        """Who could be made to leave; with `in_use` as if they had ended what they do."""
        rows = []
        for name, charge in self._ledger.charges.items():
            entry = self._entries[name]
            if not entry.spec.always:
                row = entry.candidate(charge)
                rows.append(replace(row, idle=True) if in_use and entry.state is ModelState.READY else row)
        return rows

    def _is_loading(self, entry: Entry) -> bool:
        return entry.state is ModelState.LOADING and entry.name in self._ledger.charges

    def _of(self, entry: Entry) -> list[_Request]:
        return [request for request in self._requests if request.entry is entry]

    def _wake_after(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        when = loop.time() + max(seconds, POLL_S)
        if self._timer is not None and self._timer.when() <= when:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(when, self._timer_rang)

    def _timer_rang(self) -> None:
        # Forgotten here, not by its time: a loop calls up to its clock's resolution early, and a timer that has rung
        # and still lies ahead would be waited for, for ever.
        self._timer = None
        self.wake()


def _mib(size: int) -> str:
    return f"{size / MIB:.0f} MiB"
