"""`Meter`: what a load took and an unload gave back, and whether anything else happened meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from hearthwatch.hosting.memory import Memory
from hearthwatch.runtimes.memory import release_memory

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Reading:
    """Begun by `Meter.start`.

    Attributes:
        used: bytes in use when it began.
        alone: no other reading was under way at any time since, and the device could be read.
    """

    used: int
    alone: bool


class Meter:
    """Reads the device around loads and unloads. Inference and pictures in flight are in its figures too.

    Args:
        memory: the device.
        trim: gives back what this process keeps of memory that it has freed; takes some ten milliseconds, in a thread.
    """

    def __init__(self, memory: Memory, trim: Callable[[], None] = release_memory) -> None:
        self._memory = memory
        self.trim = trim
        #: Whether memory may come back after whoever had it has ended: the kernel gives it at once, a driver need not.
        self.is_late = memory.is_gpu
        self._open: list[Reading] = []

    def start(self) -> Reading:
        """Begin to measure."""
        used = self._used()
        reading = Reading(used or 0, alone=not self._open and used is not None)
        for other in self._open:
            other.alone = False
        self._open.append(reading)
        return reading

    def change(self, reading: Reading) -> int:
        """Bytes more in use than when it began; negative where some came back."""
        used = self._used()
        if used is None:
            reading.alone = False
            return 0
        return used - reading.used

    def stop(self, reading: Reading) -> int:
        """End it; the change."""
        self._open.remove(reading)
        return self.change(reading)

    def _used(self) -> int | None:
        try:
            return self._memory.used_bytes()
        except Exception as error:  # noqa: BLE001 - a driver that cannot be asked must not stop a load or an unload
            _log.warning("memory unreadable device=%s reason=%s", self._memory.device, error)
            return None
