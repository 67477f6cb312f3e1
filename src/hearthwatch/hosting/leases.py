"""`Leases`: who uses a model, who waits for it, and what those who cannot have it are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hearthwatch.errors import BudgetTooSmall, DeadlineExceeded, Draining, HearthwatchError, StillLoading, UnknownModel
from hearthwatch.hosting.entry import Entry
from hearthwatch.hosting.loads import Loads
from hearthwatch.hosting.room import Room
from hearthwatch.hosting.status import ModelState


class Leases:
    """Gives loaded models out and takes them back; starts a load where somebody waits.

    Args:
        entries: all models, by name; others add to it.
        room: forgets a load that nobody waits for.
        loads: loads.
        clock: seconds; deadlines are on it.
        ended: called when somebody has left a model, or does not wait for it any more.
    """

    def __init__(
        self,
        entries: Mapping[str, Entry],
        room: Room,
        loads: Loads,
        clock: Callable[[], float],
        ended: Callable[[Entry], None],
    ) -> None:
        self._entries = entries
        self._room = room
        self._loads = loads
        self._clock = clock
        self._ended = ended
        self._wanted: set[asyncio.Task[HearthwatchError | None]] = set()
        self.closed = False

    @property
    def any(self) -> bool:
        """Whether anybody uses or awaits a model."""
        return any(entry.leases or entry.waiters for entry in self._entries.values())

    def entry(self, name: str) -> Entry:
        """The record of a model.

        Raises:
            UnknownModel: nobody registered it.
        """
        if (entry := self._entries.get(name)) is None:
            raise UnknownModel(f"there is no model {name!r}; the models are {', '.join(self._entries) or 'none'}")
        return entry

    def kind(self, name: str) -> type:
        """The class of the model as it was last loaded; `object` before."""
        return self.entry(name).kind

    async def acquire(self, name: str, deadline: float | None = None) -> Any:
        """The model; a ready one without waiting. Each call needs its `release`. Raises what `lease` does."""
        entry, now = self.entry(name), self._clock()
        if deadline is not None and deadline <= now:
            raise DeadlineExceeded(f"the deadline passed before {name} was asked for")
        if entry.state is ModelState.READY and not self.closed:
            return entry.take(now)
        if (error := self.refusal(entry)) is not None:
            raise error
        return await self._wait(entry, None if deadline is None else deadline - now)

    def take(self, name: str) -> Any:
        """The model where it is ready, for who cannot wait. Each call needs its `release`.

        Raises:
            StillLoading: it is not ready; its load has begun. Else as `acquire`.
        """
        entry, now = self.entry(name), self._clock()
        if entry.state is ModelState.READY and not self.closed:
            return entry.take(now)
        if (error := self.refusal(entry)) is not None:
            raise error
        task = asyncio.get_running_loop().create_task(self.attempt(name))
        self._wanted.add(task)
        task.add_done_callback(self._wanted.discard)
        raise StillLoading(f"{name} is {entry.state}, and a call on the event loop cannot wait until it is loaded")

    def release(self, name: str) -> None:
        """End one lease."""
        entry = self._entries[name]
        entry.leases -= 1
        entry.last_used = self._clock()
        self._ended(entry)

    async def attempt(self, name: str) -> HearthwatchError | None:
        """Load it and use it for nothing; the error where it cannot be had."""
        try:
            await self.acquire(name)
        except HearthwatchError as error:
            return error
        self.release(name)
        return None

    def refusal(self, entry: Entry) -> HearthwatchError | None:
        """Why a model that is not ready cannot be had, as far as that is known without trying."""
        if self.closed:
            return Draining(f"{entry.name} is not given out any more: the process is stopping")
        now = self._clock()
        if entry.load is None and entry.error is not None and now < entry.retry_at:
            return entry.again(entry.error, now)
        reason = self._room.too_large(entry)
        return None if reason is None else BudgetTooSmall(reason)

    def resume(self, entry: Entry) -> None:
        """Load it where somebody waits and nothing is under way: it has just left, or a load of it was dropped."""
        if entry.waiters and entry.state not in {ModelState.READY, ModelState.LOADING, ModelState.DRAINING}:
            self._loads.start(entry)

    async def _wait(self, entry: Entry, seconds: float | None) -> Any:
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Any] = loop.create_future()
        entry.waiters.append(waiter)
        self.resume(entry)
        timer = None if seconds is None else loop.call_later(seconds, self._too_late, entry, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(entry, waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _too_late(self, entry: Entry, waiter: asyncio.Future[Any]) -> None:
        if not waiter.done():
            error = StillLoading(f"the deadline passed while {entry.name} was {entry.state}")
            error.retry_after_s = entry.load_s
            waiter.set_exception(error)
            self._leave(entry, waiter)

    def _leave(self, entry: Entry, waiter: asyncio.Future[Any]) -> None:
        """Somebody does not wait any more. A load that has not begun is dropped with the last one."""
        if waiter in entry.waiters:
            entry.waiters.remove(waiter)
            if not entry.waiters:
                self._loads.drop(entry)
            self._ended(entry)
        elif not waiter.cancelled() and waiter.exception() is None:
            # The model was handed over in the very turn in which the caller was cancelled.
            self.release(entry.name)
