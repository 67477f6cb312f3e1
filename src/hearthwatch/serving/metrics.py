"""One registry of Prometheus metrics per service: the documented names, and ours for what they leave out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, get_args

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from hearthwatch.hosting.observer import UnloadReason
from hearthwatch.models import get_model
from hearthwatch.services import Service
from hearthwatch.serving.envelope import STAGES

#: From a small network on a GPU to a first load with an engine to build, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
SUCCESS, ERROR = "success", "error"
#: The time at which a counter was made says nothing here, and doubles the page.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


class ServiceMetrics:
    """What one service counts.

    Args:
        service: its row; the names come from it.
        readings: gauges that are read when somebody asks: `gpu_memory_gb`, `used_bytes`, `budget_bytes`,
            `anonymous_bytes`, `loaded` (of a model name), `waiting` (of a model name).
    """

    def __init__(self, service: Service, readings: Readings) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter(service.metrics.requests, "Requests.", ("endpoint", "status"))
        self._latency = self._histogram(
            service.metrics.latency, "Seconds from a request's first byte to its answer.", ("endpoint",)
        )
        self._stages = self._histogram(
            "hearthwatch_stage_seconds", "Seconds of each stage of a request: queue and compute apart.",
            ("endpoint", "stage"),
        )  # fmt: skip
        self.detections: Counter | None = None
        self.texts: Counter | None = None
        for name in service.metrics.documented:
            _DOCUMENTED[name](self, name, service, readings)
        self._hosting(service, readings)
        for route in service.routes:
            for status in (SUCCESS, ERROR):
                self._requests.labels(route.name, status)
            self._latency.labels(route.name)
        ProcessCollector(registry=self.registry)

    def answered(self, endpoint: str, seconds: float, *, success: bool, stages_ms: Mapping[str, float]) -> None:
        """Count one request of a route."""
        self._requests.labels(endpoint, SUCCESS if success else ERROR).inc()
        self._latency.labels(endpoint).observe(seconds)
        for stage in STAGES:
            if stage in stages_ms:
                self._stages.labels(endpoint, stage).observe(stages_ms[stage] / 1000)

    def read_texts(self, read: int, kept: int) -> None:
        """Count the texts of one question: those that a network read for it, and those that were kept from before."""
        if self.texts is not None:
            self.texts.labels("network").inc(read)
            self.texts.labels("kept").inc(kept)

    def loaded(self, model: str, seconds: float, result: str) -> None:
        """Count one load; `result` is ok or the error's word."""
        self._loads.labels(model, result).inc()
        if result == "ok":
            self._load_seconds.labels(model).observe(seconds)

    def unloaded(self, model: str, reason: str, shortfall_bytes: int) -> None:
        """Count one unload, and what it did not give back."""
        self._unloads.labels(model, reason).inc()
        self._shortfall.labels(model).inc(max(0, shortfall_bytes))

    def evicted(self, model: str, priority: str) -> None:
        """Count one eviction."""
        self._evictions.labels(model, priority).inc()

    def page(self) -> bytes:
        """Prometheus text."""
        return generate_latest(self.registry)

    def _hosting(self, service: Service, readings: Readings) -> None:
        self._loads = self._counter("hearthwatch_model_loads_total", "Loads.", ("model", "result"))
        self._unloads = self._counter("hearthwatch_model_unloads_total", "Unloads.", ("model", "reason"))
        # A gauge that only rises: a counter's name would end in _total, and the documented one does not.
        self._shortfall = Gauge(
            "hearthwatch_model_unload_shortfall_bytes",
            "Bytes that unloads did not give back, in all.",
            ("model",),
            registry=self.registry,
        )
        self._evictions = self._counter(
            "enrichment_model_evictions_total", "Models unloaded to make room.", ("model_name", "priority")
        )
        self._load_seconds = self._histogram(
            "enrichment_model_load_time_seconds", "Seconds of a model's load.", ("model_name",)
        )
        self.gauge("enrichment_vram_usage_bytes", "Memory that models take, as accounted.", readings.used_bytes)
        self.gauge("enrichment_vram_budget_bytes", "Memory that models may take.", readings.budget_bytes)
        self.gauge("enrichment_vram_utilization_percent", "Usage over budget.", readings.utilization_percent)
        self.gauge(
            "enrichment_models_loaded", "Models in memory.", lambda: sum(map(readings.is_loaded, service.models))
        )
        self.gauge("hearthwatch_process_anonymous_bytes", "Memory of this process alone.", readings.anonymous_bytes)
        waiting = Gauge(
            "hearthwatch_queue_waiting", "Calls that wait for a worker.", ("model",), registry=self.registry
        )
        for model in service.models:
            waiting.labels(model).set_function(_bound(readings.waiting, model))
            self._begin(model)

    def _begin(self, model: str) -> None:
        """Have what may happen to a model there at 0, so that its first time is seen as a rise."""
        self._loads.labels(model, "ok")
        for reason in get_args(UnloadReason):
            self._unloads.labels(model, reason)
        self._shortfall.labels(model)
        self._evictions.labels(model, get_model(model).SPEC.priority.name)
        self._load_seconds.labels(model)

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge that is read when somebody asks."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(name, text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(name, text, labels, registry=self.registry, buckets=_SECONDS)


class Readings:
    """What gauges read: the state of the process. The base reads nothing; `serving.status` has the real one."""

    def gpu_memory_gb(self) -> float:
        """GiB in use on the GPU; 0 without one."""
        return 0.0

    def used_bytes(self) -> float:
        """Memory charged to loaded models."""
        return 0.0

    def budget_bytes(self) -> float:
        """Memory that models may take."""
        return 0.0

    def utilization_percent(self) -> float:
        """Usage over budget, 0 to 100."""
        budget = self.budget_bytes()
        return 100 * self.used_bytes() / budget if budget else 0.0

    def anonymous_bytes(self) -> float:
        """Anonymous memory of this process."""
        return 0.0

    def is_loaded(self, model: str) -> bool:  # noqa: ARG002 - for those who override it
        """Whether a model is in memory."""
        return False

    def waiting(self, model: str) -> float:  # noqa: ARG002 - likewise
        """Calls that wait for a model."""
        return 0.0


def _detections(metrics: ServiceMetrics, name: str, _service: Service, _readings: Readings) -> None:
    metrics.detections = Counter(name, "Objects found.", ("class_name",), registry=metrics.registry)


def _texts(metrics: ServiceMetrics, name: str, _service: Service, _readings: Readings) -> None:
    metrics.texts = Counter(name, "Texts, by where their embeddings came from.", ("source",), registry=metrics.registry)
    for source in ("network", "kept"):
        metrics.texts.labels(source)


def _gpu_memory(metrics: ServiceMetrics, name: str, _service: Service, readings: Readings) -> None:
    metrics.gauge(name, "GiB in use on the GPU; 0 without one.", readings.gpu_memory_gb)


def _model_loaded(metrics: ServiceMetrics, name: str, service: Service, readings: Readings) -> None:
    family = Gauge(name, "Whether a model is in memory.", ("model",), registry=metrics.registry)
    for model in service.models:
        family.labels(model).set_function(_bound(readings.is_loaded, model))


def _bound(read: Callable[[str], Any], model: str) -> Callable[[], float]:
    return lambda: float(read(model))


_DOCUMENTED: Mapping[str, Callable[[ServiceMetrics, str, Service, Readings], None]] = {
    "yolo26_detections_total": _detections,
    "clip_texts_total": _texts,
    "enrichment_light_gpu_memory_used_gb": _gpu_memory,
    "enrichment_light_model_loaded": _model_loaded,
}
CONTENT_TYPE = CONTENT_TYPE_LATEST
