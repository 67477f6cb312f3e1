"""How it stands with one model, for `GET /models` and the logs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hearthwatch.hosting.spec import ModelPriority


class ModelState(StrEnum):
    """Where a model is. `building_engine` and `degraded` are told by the loaded model, never by the manager."""

    COLD = "cold"
    LOADING = "loading"
    BUILDING_ENGINE = "building_engine"
    READY = "ready"
    DEGRADED = "degraded"
    DRAINING = "draining"
    FAILED = "failed"
    MISSING_WEIGHTS = "missing_weights"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model at one moment.

    Attributes:
        name: the canonical name.
        state: as CONTRACT.md has them.
        priority: who leaves last.
        declared_mb: MiB as documented.
        measured_mb: MiB measured; None where nobody measured.
        charged_mb: MiB that the budget holds for it now.
        leases: calls that use it now.
        waiting: calls that wait until it is loaded.
        last_used: on the manager's clock; None where it was never used.
        idle_s: seconds since then, of a model that is loaded and not in use.
        reason: why it failed, or why it cannot be loaded; None where it can.
        retry_at: on the manager's clock, when a failed load is tried again.
        retry_after_s: seconds until then.
        looked_at: places in which weights were looked for.
        remedy: what puts them there.
        engine: that the cost was measured on; empty where nobody measured.
        precision: likewise.
        device: likewise.
        taken_bytes: that its load was seen to take, with pictures and libraries of that moment; None where others
            loaded or left meanwhile.
        loads: that succeeded.
        evictions: how often it left for another model.
        returned_bytes: that its last unload gave back; None before the first.
        shortfall_bytes: that its unloads did not give back, in all.
    """

    name: str
    state: ModelState
    priority: ModelPriority
    declared_mb: float
    measured_mb: float | None = None
    charged_mb: float = 0.0
    leases: int = 0
    waiting: int = 0
    last_used: float | None = None
    idle_s: float | None = None
    reason: str | None = None
    retry_at: float | None = None
    retry_after_s: float | None = None
    looked_at: tuple[str, ...] = ()
    remedy: str | None = None
    engine: str = ""
    precision: str = ""
    device: str = ""
    taken_bytes: int | None = None
    loads: int = 0
    evictions: int = 0
    returned_bytes: int | None = None
    shortfall_bytes: int = 0
