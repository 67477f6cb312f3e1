"""`Meter`: what a load took and an unload gave back, and whether anything else happened meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from hearthwatch.hosting.memory import Memory


@dataclass(slots=True, eq=False)
class Reading:
    """Begun by `Meter.start`.

    Attributes:
        used: bytes in use when it began.
        alone: no other reading was under way at any time since.
    """

    used: int
    alone: bool


class Meter:
    """Reads the device around loads and unloads. Inference and pictures in flight are in its figures too."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._open: list[Reading] = []

    def trim(self) -> None:
        """As `Memory`."""
        self._memory.trim()

    def start(self) -> Reading:
        """Begin to measure."""
        reading = Reading(self._memory.used_bytes(), alone=not self._open)
        for other in self._open:
            other.alone = False
        self._open.append(reading)
        return reading

    def change(self, reading: Reading) -> int:
        """Bytes more in use than when it began; negative where some came back."""
        return self._memory.used_bytes() - reading.used

    def stop(self, reading: Reading) -> int:
        """End it; the change."""
        self._open.remove(reading)
        return self.change(reading)
