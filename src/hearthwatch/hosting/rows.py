"""`ModelRow`: all that `GET /models` says about one model, from what is in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.artifacts.samples import SENTENCE
from hearthwatch.hosting.spec import ModelPriority
from hearthwatch.hosting.status import ModelState, ModelStatus
from hearthwatch.runtimes.upgrade import Progress

#: Engines that only an NVIDIA GPU has: elsewhere nobody expects them, and missing them degrades nothing.
_ONLY_CUDA = frozenset({"tensorrt", "cuda"})


@dataclass(frozen=True, slots=True)
class WeightsRow:
    """The file that a loaded model answers with.

    Attributes:
        file: its name, without its folder.
        digest: its SHA-256; empty for networks that come inside a package.
        origin: real, sample or custom.
    """

    file: str
    digest: str
    origin: WeightsOrigin


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model at one moment.

    Attributes:
        name: the canonical name.
        state: as CONTRACT.md has them.
        reason: of `failed`, `missing_weights` and `degraded`, and why a cold model cannot be loaded; else None.
        retry_at: when a failed load is tried again.
        retry_after_s: seconds until then.
        device: that it runs on, or was measured on; empty where neither happened.
        engine: likewise.
        precision: likewise.
        weights: None while it is not loaded.
        notice: a sentence for people where it answers, or will answer, with sample weights; else None.
        declared_mb: MiB as documented.
        measured_mb: MiB measured; None where nobody measured.
        charged_mb: MiB that the budget holds for it now.
        cost_source: whether the budget believes a measurement or the documentation.
        priority: who leaves last.
        last_used: None where it was never used.
        leases: calls that use it now.
        waiting: calls that wait for it, or for a worker.
        progress: of a better engine that is being built; None where none is.
        passed_over: (engine, reason) of those that do not serve.
        notes: sentences on what a person would not expect.
        looked_at: places in which weights were looked for, where there are none.
        remedy: what puts them there.
        loads: that succeeded.
        evictions: how often it left for another model.
        returned_bytes: that its last unload gave back; None before the first.
        shortfall_bytes: that its unloads did not give back, in all.
        network: what a loaded network is called, where its card says so; else empty.
        embedding_dimension: numbers of a loaded network's embeddings; None for others.
    """

    name: str
    state: ModelState
    priority: ModelPriority
    declared_mb: float
    measured_mb: float | None
    charged_mb: float
    cost_source: str
    reason: str | None = None
    retry_at: datetime | None = None
    retry_after_s: float | None = None
    device: str = ""
    engine: str = ""
    precision: str = ""
    weights: WeightsRow | None = None
    notice: str | None = None
    last_used: datetime | None = None
    leases: int = 0
    waiting: int = 0
    progress: Progress | None = None
    passed_over: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    looked_at: tuple[str, ...] = ()
    remedy: str | None = None
    loads: int = 0
    evictions: int = 0
    returned_bytes: int | None = None
    shortfall_bytes: int = 0
    network: str = ""
    embedding_dimension: int | None = None


def row_of(
    status: ModelStatus, loaded: LoadedModel | None, *, sample: bool, waiting: int, now: float, wall: float
) -> ModelRow:
    """Join what the manager, the queue and the loaded model know.

    Args:
        status: of the manager.
        loaded: the model; None where it is not loaded.
        sample: whether it is to be loaded with sample weights.
        waiting: its calls in the queue.
        now: on the manager's clock.
        wall: the same moment, in seconds since the epoch.
    """
    state, reason = _state(status, loaded)
    info = None if loaded is None else loaded.info
    return ModelRow(
        name=status.name,
        state=state,
        priority=status.priority,
        declared_mb=status.declared_mb,
        measured_mb=status.measured_mb,
        charged_mb=status.charged_mb,
        cost_source="declared" if status.measured_mb is None else "measured",
        reason=reason,
        retry_at=None if status.retry_after_s is None else _moment(wall + status.retry_after_s),
        retry_after_s=status.retry_after_s,
        device=status.device if info is None else info.device,
        engine=status.engine if info is None else info.engine,
        precision=status.precision if info is None else info.precision,
        weights=None if loaded is None else _weights(loaded),
        notice=SENTENCE if (sample if loaded is None else loaded.weights == "sample") else None,
        last_used=None if status.last_used is None else _moment(wall - (now - status.last_used)),
        leases=status.leases,
        waiting=waiting,
        progress=None if loaded is None else loaded.progress,
        passed_over=() if loaded is None else loaded.passed_over,
        notes=() if loaded is None else loaded.notes,
        looked_at=status.looked_at,
        remedy=status.remedy,
        loads=status.loads,
        evictions=status.evictions,
        returned_bytes=status.returned_bytes,
        shortfall_bytes=status.shortfall_bytes,
        network="" if loaded is None else loaded.adapter.description.card.network or "",
        embedding_dimension=None if loaded is None else getattr(loaded.adapter, "dimension", None),
    )


def _state(status: ModelStatus, loaded: LoadedModel | None) -> tuple[ModelState, str | None]:
    """What the loaded model adds: a better engine is being built, or one that belongs on this device does not serve."""
    if status.state is not ModelState.READY or loaded is None:
        return status.state, status.reason
    if loaded.progress is not None and loaded.progress.state == "building_engine":
        return ModelState.BUILDING_ENGINE, status.reason
    cuda = loaded.info.device.startswith("cuda")
    expected = [f"{name}: {reason}" for name, reason in loaded.passed_over if cuda or name not in _ONLY_CUDA]
    return (ModelState.DEGRADED, "; ".join(expected)) if expected else (ModelState.READY, status.reason)


def _weights(loaded: LoadedModel) -> WeightsRow:
    graph = loaded.adapter.description.graph
    return WeightsRow(graph.path.name, graph.digest, loaded.weights)


def _moment(wall: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=wall)
