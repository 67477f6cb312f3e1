"""What is remembered of each camera: bounded, one camera's apart from another's, safe to use from several threads.

Kept in memory; it is lost when the process ends. Whatever will keep it longer replaces this class.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

#: Cameras that are remembered. A house has fewer; it only keeps memory bounded whatever names come.
MOST_CAMERAS = 64


class Cameras(Generic[T]):
    """A memory for each camera, of those that were used last.

    Args:
        new: makes the memory of a camera that is not known.
        most: cameras kept, at least 1; the one that was not used for the longest time is forgotten first.
    """

    def __init__(self, new: Callable[[], T], most: int = MOST_CAMERAS) -> None:
        if most < 1:
            raise ValueError(f"a memory of {most} cameras; allowed is at least 1")
        self._new = new
        self._most = most
        self._memories: OrderedDict[str, T] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._memories)

    def __contains__(self, camera: str) -> bool:
        return camera in self._memories

    @contextmanager
    def memory(self, camera: str) -> Iterator[T]:
        """A camera's memory, for one thread at a time: only what is short belongs inside."""
        with self._lock:
            if camera not in self._memories:
                self._memories[camera] = self._new()
                while len(self._memories) > self._most:
                    self._memories.popitem(last=False)
            self._memories.move_to_end(camera)
            yield self._memories[camera]
