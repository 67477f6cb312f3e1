"""Builds of one process take turns: each takes the GPU's memory and times kernels, which two at once would spoil.

A build that hangs in the driver cannot be ended from here. It loses its turn, so that the others come to theirs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

#: Builds of 9.5 minutes were reported for a detector (roboflow/inference, pull request 2703); three times that is hung.
BUILD_TIMEOUT_S = 1800.0
#: A turn holds a build and the comparison after it, which takes seconds.
TURN_S = BUILD_TIMEOUT_S + 300.0

#: How often who waits looks at the clock.
_POLL_S = 0.1


class Turn:
    """Who may work now; the others wait.

    Args:
        limit_s: after it, who works is taken to hang, and the next one begins.
        clock: seconds, monotonic.
    """

    def __init__(self, limit_s: float = TURN_S, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._free = threading.Condition()
        self._holder: object | None = None
        self._since = 0.0

    def take(self, work: Callable[[], object]) -> None:
        """Wait for the turn, and work."""
        mine = object()
        with self._free:
            while self._holder is not None and self._clock() - self._since < self._limit_s:
                self._free.wait(_POLL_S)
            self._holder, self._since = mine, self._clock()
        try:
            work()
        finally:
            with self._free:
                if self._holder is mine:  # else it was lost meanwhile, and is another's
                    self._holder = None
                    self._free.notify()
