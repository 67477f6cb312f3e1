"""`Loads`: from a question to a loaded model. Measure what it costs, get room, load, try again with less, or fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from hearthwatch.errors import BudgetTooSmall, Draining, HearthwatchError, LoadFailed, OutOfMemory
from hearthwatch.hosting.entry import Entry
from hearthwatch.hosting.ledger import Ledger
from hearthwatch.hosting.meter import Meter
from hearthwatch.hosting.observer import Observer
from hearthwatch.hosting.room import Room, Verdict
from hearthwatch.hosting.spec import MIB, Cost, Loader
from hearthwatch.hosting.status import ModelState
from hearthwatch.hosting.turns import Turns

_log = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Loaded:
    model: Any
    seconds: float
    taken: int | None


class Loads:
    """Loads models, each once at a time, in threads.

    Args:
        ledger: who holds how much.
        room: who may load next.
        meter: what a load takes.
        executor: where loaders run.
        observer: told of each load that ended.
        clock: seconds.
        measuring: models that may be measured at the same time.
        arrived: called when a load has ended, well or badly.
    """

    def __init__(
        self,
        ledger: Ledger,
        room: Room,
        meter: Meter,
        executor: Executor,
        observer: Observer,
        clock: Callable[[], float],
        measuring: int,
        arrived: Callable[[Entry], None],
    ) -> None:
        self._ledger = ledger
        self._room = room
        self._meter = meter
        self._executor = executor
        self._observer = observer
        self._clock = clock
        self._measuring = Turns(measuring)
        self._arrived = arrived
        self._closed = False

    def start(self, entry: Entry) -> None:
        """Load a model that is not loaded, for those who wait for it."""
        entry.state = ModelState.LOADING
        entry.load = asyncio.get_running_loop().create_task(self._run(entry), name=f"load {entry.name}")

    def drop(self, entry: Entry, error: HearthwatchError | None = None) -> None:
        """Nobody waits for the model any more, or nobody gets it: what has not begun does not begin."""
        self._measuring.withdraw(entry)
        if error is None:
            self._room.withdraw(entry)
        else:
            self._room.refuse(entry, error)

    def close(self, entries: list[Entry]) -> list[asyncio.Task[None]]:
        """Refuse all loads that have not begun; those that are left to wait for."""
        self._closed = True
        for entry in entries:
            self.drop(entry, _closed(entry))
        return [entry.load for entry in entries if entry.load is not None]

    async def _run(self, entry: Entry) -> None:
        started = self._clock()
        try:
            loaded = await self._load(entry)
        except (BudgetTooSmall, Draining) as error:
            # Nothing was tried, so there is nothing to cool down from.
            entry.rest()
            entry.refuse(error, self._clock())
        except Exception as error:  # noqa: BLE001 - whoever waits must be told, whatever it was
            self._fail(entry, _told(entry, error), self._clock() - started)
        else:
            if loaded is None:
                entry.rest()
            else:
                self._succeed(entry, loaded)
        finally:
            entry.load = None
            self._arrived(entry)

    async def _load(self, entry: Entry) -> _Loaded | None:
        """The model; None where nobody waits for it any more.

        Raises:
            HearthwatchError: it cannot be loaded.
        """
        while entry.waiters:
            if self._closed:
                raise _closed(entry)
            if entry.cost is None and entry.spec.measure is not None:
                await self._measure(entry, entry.spec.measure)
                continue
            verdict = await self._room.ask(entry)
            if verdict is Verdict.WITHDRAWN:
                continue
            if not entry.waiters:
                self._ledger.release(entry.name)
                return None
            try:
                return await self._attempts(entry, verdict)
            except BaseException:
                self._ledger.release(entry.name)
                raise
        return None

    async def _measure(self, entry: Entry, measure: Callable[[], Cost]) -> None:
        if not await self._measuring.take(entry):
            return
        try:
            if entry.waiters and not self._closed:
                entry.cost = await self._call(entry, measure)
        finally:
            self._measuring.give_back()

    async def _attempts(self, entry: Entry, verdict: Verdict) -> _Loaded:
        """Load; without memory make room and load again, then with less."""
        spec, needed = entry.spec, entry.expected.peak_bytes
        loaders = [] if verdict is Verdict.SHORT else [spec.loader, spec.loader]
        if spec.smaller is not None:
            loaders.append(spec.smaller)
        error = OutOfMemory(f"{entry.name} needs {needed / MIB:.0f} MiB and the device has less free")
        for number, loader in enumerate(loaders):
            if number == 1:
                await self._room.relieve(entry, needed)
            try:
                return await self._attempt(entry, loader)
            except OutOfMemory as raised:
                error = raised
                _log.warning("out of memory model=%s attempt=%d reason=%s", entry.name, number + 1, error)
        raise error

    async def _attempt(self, entry: Entry, loader: Loader) -> _Loaded:
        started, reading = self._clock(), self._meter.start()
        try:
            model = await self._call(entry, loader)
        finally:
            taken = self._meter.stop(reading)
        return _Loaded(model, self._clock() - started, max(taken, 0) if reading.alone else None)

    async def _call(self, entry: Entry, function: Callable[[], T]) -> T:
        loop = asyncio.get_running_loop()
        value, error = await loop.run_in_executor(self._executor, self._in_thread, entry, function)
        if error is not None:
            raise error
        return value  # type: ignore[return-value]  # one of the two is there

    def _in_thread(self, entry: Entry, function: Callable[[], T]) -> tuple[T | None, HearthwatchError | None]:
        """The value or the error, without what the error's traceback would keep in memory: a half-loaded network."""
        try:
            return function(), None
        except BaseException as error:  # noqa: BLE001 - also an exit from within a loader must reach those who wait
            told = _told(entry, error)
            if told is not error:
                _log.warning("load failed model=%s", entry.name, exc_info=error)
        told.__traceback__ = told.__cause__ = told.__context__ = None
        self._meter.trim()
        return None, told

    def _succeed(self, entry: Entry, loaded: _Loaded) -> None:
        entry.model, entry.state, entry.error, entry.failures = loaded.model, ModelState.READY, None, 0
        entry.kind, entry.taken, entry.load_s = type(loaded.model), loaded.taken, loaded.seconds
        entry.loads += 1
        self._ledger.settle(entry.name, entry.expected.resident_bytes)
        _log.info(
            "loaded model=%s seconds=%.3f charged=%d taken=%s",
            *(entry.name, loaded.seconds, self._ledger.charges[entry.name], loaded.taken),
        )
        entry.answer(self._clock())
        self._observer.loaded(entry.name, loaded.seconds, "ok")

    def _fail(self, entry: Entry, error: HearthwatchError, seconds: float) -> None:
        now = self._clock()
        entry.fail(error, now)
        _log.warning(
            "load failed model=%s code=%s retry_in_s=%.0f reason=%s",
            entry.name,
            error.code,
            entry.retry_at - now,
            error,
        )
        entry.refuse(error, now)
        self._observer.loaded(entry.name, seconds, error.code)


def _told(entry: Entry, error: BaseException) -> HearthwatchError:
    if isinstance(error, HearthwatchError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemory(f"no memory to load {entry.name}: {str(error) or 'MemoryError'}")
    return LoadFailed(f"{entry.name} could not be loaded: {type(error).__name__}: {error}")


def _closed(entry: Entry) -> Draining:
    return Draining(f"{entry.name} is not loaded any more: the process is stopping")
