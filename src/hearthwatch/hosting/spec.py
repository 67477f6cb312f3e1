"""What a model needs to be hosted, as data: how it is loaded, what it costs, who leaves before it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hearthwatch.adapter.spec import Priority

MIB = 1024 * 1024

#: The documented name.
ModelPriority = Priority

Loader = Callable[[], Any]
Unloader = Callable[[Any], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one model takes of its device.

    Attributes:
        resident_bytes: that a loaded, warmed-up model keeps.
        peak_bytes: the most that it takes while it loads or runs its largest batch; at least `resident_bytes`.
        engine: that it was measured on, such as "openvino".
        precision: likewise, such as "bf16".
        device: likewise, such as "cpu".
        measured: False where the figures are declared ones.
    """

    resident_bytes: int
    peak_bytes: int
    engine: str = ""
    precision: str = ""
    device: str = ""
    measured: bool = True

    def __post_init__(self) -> None:
        if self.resident_bytes < 0:
            raise ValueError(f"a model cannot take {self.resident_bytes} bytes")
        object.__setattr__(self, "peak_bytes", max(self.peak_bytes, self.resident_bytes))


def close_or_unload(model: Any) -> None:
    """Call the model's `close()`, else its `unload()`; one that has neither is only dropped."""
    for name in ("close", "unload"):
        if callable(end := getattr(model, name, None)):
            end()
            return


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model that is loaded on demand.

    Attributes:
        name: the canonical name.
        vram_mb: MiB that it declares, believed until it is measured. On a CPU it is main memory.
        priority: who loads first and leaves last; a number or another enumeration's value is taken too.
        loader: makes the loaded, warmed-up model; runs in a thread.
        unloader: gives its memory back; runs in a thread.
        triggers: detection classes, and the words person, vehicle, animal, face and suspicious.
        idle_seconds: unused for so long, it is unloaded. None: the manager's default; 0: never.
        always: never evicted and never unloaded for being idle.
        smaller: a loader that takes less (a slower engine, a smaller batch), tried after `loader` had no room twice.
        measure: says what the model costs, before its first load and before anything leaves for it; runs in a thread.
            What it raises fails the load, so it is also the place to find out that there are no weights.
    """

    name: str
    vram_mb: float
    priority: ModelPriority
    loader: Loader
    unloader: Unloader = close_or_unload
    triggers: Sequence[str] = ()
    idle_seconds: float | None = None
    always: bool = False
    smaller: Loader | None = None
    measure: Callable[[], Cost] | None = None

    def __post_init__(self) -> None:
        if self.vram_mb < 0:
            raise ValueError(f"{self.name} cannot take {self.vram_mb} MB")
        # Documented callers bring an enumeration of their own, with our values.
        object.__setattr__(self, "priority", ModelPriority(getattr(self.priority, "value", self.priority)))
        object.__setattr__(self, "triggers", tuple(word.lower() for word in self.triggers))

    @property
    def declared(self) -> Cost:
        """The cost that it states."""
        size = round(self.vram_mb * MIB)
        return Cost(size, size, measured=False)
