"""`Unloads`: from a loaded model to memory that is measured to be back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

from hearthwatch.hosting.entry import Entry
from hearthwatch.hosting.ledger import Ledger
from hearthwatch.hosting.meter import Meter, Reading
from hearthwatch.hosting.observer import Observer, UnloadReason
from hearthwatch.hosting.room import POLL_S, SETTLE_S
from hearthwatch.hosting.spec import Unloader
from hearthwatch.hosting.status import ModelState

_log = logging.getLogger(__name__)

#: Such a share of what a load took counts as all of it: a process allocates for other things too.
RETURNED_SHARE = 0.9


class Unloads:
    """Unloads models, one after the other so that each can be measured, when nobody uses them.

    Args:
        ledger: who holds how much.
        meter: what comes back.
        executor: where unloaders run.
        observer: told of each unload.
        clock: seconds.
        left: called when a model has left.
    """

    def __init__(
        self,
        ledger: Ledger,
        meter: Meter,
        executor: Executor,
        observer: Observer,
        clock: Callable[[], float],
        left: Callable[[Entry], None],
    ) -> None:
        self._ledger = ledger
        self._meter = meter
        self._executor = executor
        self._observer = observer
        self._clock = clock
        self._left = left
        self._one_at_a_time = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    def ask(self, entry: Entry, reason: UnloadReason) -> asyncio.Future[int]:
        """Make a model leave: now, when its last lease ends, or when its load has ended and was used.

        Returns:
            Has the bytes that came back; 0 where nothing was loaded. Wait for it shielded: others may wait too.
        """
        future: asyncio.Future[int] = entry.leaving or asyncio.get_running_loop().create_future()
        if entry.leaving is not None:
            return future
        if entry.name not in self._ledger.charges:
            future.set_result(0)
            return future
        entry.leaving, entry.leave_reason = future, reason
        self.proceed(entry)
        return future

    def proceed(self, entry: Entry) -> None:
        """A lease or a load ended: let the model leave where somebody asked for it and nobody uses it."""
        if entry.leaving is None:
            return
        if entry.state is ModelState.READY:
            entry.state = ModelState.DRAINING
        if entry.state is ModelState.DRAINING and entry.leases == 0 and entry.model is not None:
            model, entry.model = entry.model, None
            task = asyncio.get_running_loop().create_task(self._run(entry, [model]), name=f"unload {entry.name}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif entry.state not in {ModelState.DRAINING, ModelState.LOADING}:
            self._end(entry, 0)  # its load failed

    async def _run(self, entry: Entry, box: list[Any]) -> None:
        reason = entry.leave_reason
        async with self._one_at_a_time:
            reading = self._meter.start()
            loop = asyncio.get_running_loop()
            error = await loop.run_in_executor(self._executor, self._in_thread, entry.spec.unloader, box)
            returned, shortfall = await self._measure(entry, reading)
        if error is not None:
            reason = "failed"
            _log.warning("unloader failed model=%s reason=%s: %s", entry.name, type(error).__name__, error)
        self._ledger.release(entry.name)
        entry.returned, entry.taken = returned, None
        entry.shortfall += shortfall
        entry.state = ModelState.COLD
        _log.info("unloaded model=%s reason=%s returned=%d shortfall=%d", entry.name, reason, returned, shortfall)
        evicted = entry.leave_reason == "evicted"
        entry.evictions += evicted
        self._end(entry, returned)
        self._left(entry)
        self._observer.unloaded(entry.name, reason, returned, shortfall)
        if evicted:
            self._observer.evicted(entry.name, entry.spec.priority)

    def _in_thread(self, unloader: Unloader, box: list[Any]) -> BaseException | None:
        """The error of the unloader. The box is emptied, so that nothing keeps the model when memory is trimmed."""
        model = box.pop()
        try:
            unloader(model)
        except BaseException as error:  # noqa: BLE001 - a model that cannot end well must leave all the same
            error.__traceback__ = None
            return error
        finally:
            del model
            self._meter.trim()
        return None

    async def _measure(self, entry: Entry, reading: Reading) -> tuple[int, int]:
        """Bytes that came back, and those that did not; a GPU's driver gets a moment to give them."""
        expected, until = _taken(entry), self._clock() + (SETTLE_S if self._meter.is_late else 0.0)
        enough = RETURNED_SHARE * expected
        # Polled: no driver tells when it has given memory back.
        while -self._meter.change(reading) < enough and reading.alone and self._clock() < until:  # noqa: ASYNC110
            await asyncio.sleep(POLL_S)
        returned = max(0, -self._meter.stop(reading))
        # Where something loaded meanwhile, the difference says nothing about this model.
        shortfall = max(0, expected - returned) if reading.alone else 0
        if shortfall > expected - enough:
            _log.warning("memory kept model=%s taken=%d returned=%d", entry.name, expected, returned)
        return returned, shortfall

    @staticmethod
    def _end(entry: Entry, returned: int) -> None:
        future, entry.leaving = entry.leaving, None
        if future is not None and not future.done():
            future.set_result(returned)


def _taken(entry: Entry) -> int:
    """Bytes that should come back: the lower of what was measured and what the load was seen to take.

    Neither alone would do: a first load also brings libraries that stay, and a later one reuses what the heap has.
    """
    known = [entry.taken] if entry.taken is not None else []
    if entry.cost is not None and entry.cost.measured:
        known.append(entry.cost.resident_bytes)
    return min(known, default=0)
