"""What a process that asks services counts, in prometheus_client's registry of the process.

The first three are documented by name; circuits are ours.
"""

from __future__ import annotations

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

from hearthwatch.client.breaker import State

#: From a small network beside us to the longest answer that is waited for, in seconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LEVELS = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}

_duration = Histogram(
    "hearthwatch_ai_request_duration_seconds",
    "Seconds of a request to a service, from the first byte sent to the last one read.",
    ("model",),
    buckets=_SECONDS,
)
_retries = Counter("hearthwatch_enrichment_retries_total", "Requests that were repeated.", ("endpoint",))
_errors = Counter("hearthwatch_pipeline_errors_total", "Questions that got no answer.", ("kind",))
_circuit = Gauge("hearthwatch_circuit_state", "0 closed, 1 half-open, 2 open.", ("circuit",))
_transitions = Counter("hearthwatch_circuit_transitions_total", "Changes of a circuit's state.", ("circuit", "to"))


def observe_ai_request_duration(model: str, seconds: float) -> None:
    """One request to a service.

    Args:
        model: what was asked for, such as `enrichment_vehicle`.
        seconds: that it took, whatever came of it.
    """
    _duration.labels(model).observe(seconds)


def increment_enrichment_retry(endpoint: str) -> None:
    """One repeat, by the route's name (`vehicle-classify`)."""
    _retries.labels(endpoint).inc()


def record_pipeline_error(kind: str) -> None:
    """One question without an answer.

    Args:
        kind: `enrichment_circuit_open`, `enrichment_unexpected_error`, or the like of `enrichment_vehicle_timeout`.
    """
    _errors.labels(kind).inc()


def watch_circuit(circuit: str) -> None:
    """Have a circuit in the metrics from its beginning, so that its first change is seen as one."""
    _circuit.labels(circuit).set(_LEVELS[State.CLOSED])
    for state in State:
        _transitions.labels(circuit, state.value)


def record_circuit(circuit: str, state: State) -> None:
    """A circuit's new state."""
    _circuit.labels(circuit).set(_LEVELS[state])
    _transitions.labels(circuit, state.value).inc()


def page() -> bytes:
    """Prometheus text of the whole process, for one that has no page of its own."""
    return generate_latest(REGISTRY)
