"""Who judged, in prometheus_client's registry of the process."""

from __future__ import annotations

from prometheus_client import Counter

_assessments = Counter(
    "hearthwatch_risk_assessments_total",
    "Assessed events by who judged: rules, llm, or fallback where the rules stood in for a language model.",
    ("source",),
)
_bounds = Counter("hearthwatch_risk_bounds_total", "Floors and ceilings that changed a score.", ("bound",))
_repairs = Counter("hearthwatch_llm_repairs_total", "Answers that a language model was asked to repair.")


def record_assessment(source: str) -> None:
    """One event, by `rules`, `llm` or `fallback`."""
    _assessments.labels(source).inc()


def record_bound(name: str) -> None:
    """One application of a row of `risk.bounds` to a language model's score."""
    _bounds.labels(name).inc()


def record_repair() -> None:
    """One answer that could not be used and was asked for again."""
    _repairs.inc()
