"""Who judged an event, and what a language model said beside its score. Its words are data, as everything else is."""

from __future__ import annotations

from collections.abc import Iterator

from hearthwatch.report.text import one_line, words
from hearthwatch.risk import RiskAssessment
from hearthwatch.risk.rules import SOURCE


def judged_by(risk: RiskAssessment) -> str:
    """A sentence: by whom, by which version, and in what time where that is worth a word."""
    who = "the built-in rules" if risk.source == SOURCE else one_line(risk.source)
    took = "" if risk.latency_ms is None else f" in {risk.latency_ms / 1000:.1f} s"
    return f"Judged by {who} ({one_line(risk.version)}){took}."


def why_rules(risk: RiskAssessment) -> str:
    """A sentence where the rules stood in for a language model, else empty."""
    return "" if risk.fallback is None else f"The rules stood in: {one_line(risk.fallback)}"


def said_beside(risk: RiskAssessment) -> Iterator[str]:
    """What a language model said beside its score: why, what it wants looked at, what it advises. Of rules nothing:
    their reasons say it all.
    """
    if risk.source == SOURCE:
        return
    yield one_line(risk.reasoning)
    for flag in risk.flags:
        yield one_line(f"{flag.severity}: {words(flag.kind)}: {flag.description}")
    for entity in risk.entities:
        yield one_line(f"{words(entity.kind)}: {entity.description} (threat {entity.threat_level})")
    if risk.recommended_action is not None:
        yield f"advised: {words(risk.recommended_action)}"
    if (factors := risk.confidence_factors) is not None:
        yield (f"what it was told: detections {factors.detection_quality}, weather impact {factors.weather_impact}, "
               f"enrichment {factors.enrichment_coverage}")  # fmt: skip
