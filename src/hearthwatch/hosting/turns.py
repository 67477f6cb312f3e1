"""`Turns`: a few may do something at once; the others wait by priority, then by arrival, and may give up."""

from __future__ import annotations

import asyncio

from hearthwatch.hosting.entry import Entry


class Turns:
    """Hands out a number of places.

    Args:
        places: that may be taken at the same time.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: list[tuple[Entry, asyncio.Future[bool]]] = []

    async def take(self, entry: Entry) -> bool:
        """Wait for a place. True: it is taken, and needs its `give_back`; False: it was withdrawn."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((entry, turn))
        self._next()
        return await turn

    def give_back(self) -> None:
        """End one turn."""
        self._free += 1
        self._next()

    def withdraw(self, entry: Entry) -> None:
        """Let a model wait no more."""
        for waiting in [row for row in self._waiting if row[0] is entry]:
            self._waiting.remove(waiting)
            waiting[1].set_result(False)

    def _next(self) -> None:
        while self._free and self._waiting:
            first = min(self._waiting, key=lambda row: row[0].spec.priority)
            self._waiting.remove(first)
            if not first[1].done():
                self._free -= 1
                first[1].set_result(True)
