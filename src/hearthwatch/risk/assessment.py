"""`RiskAssessment`: a score, the level that follows from it, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Level = Literal["low", "medium", "high", "critical"]
#: Lowest score of each level (DESIGN.md).
LEVELS: tuple[tuple[int, Level], ...] = ((85, "critical"), (60, "high"), (30, "medium"), (0, "low"))
#: What a language model may recommend, from nothing to at once.
Action = Literal["none", "review_later", "review_soon", "alert_homeowner", "immediate_response"]
ACTIONS: tuple[Action, ...] = ("none", "review_later", "review_soon", "alert_homeowner", "immediate_response")
#: The most urgent of them that a level bears: who calls for help at once over a low score contradicts himself.
MOST_URGENT: Mapping[Level, Action] = {
    "low": "review_later",
    "medium": "alert_homeowner",
    "high": "immediate_response",
    "critical": "immediate_response",
}


def level_of(score: int) -> Level:
    """The level of a score of 0..100.

    Raises:
        ValueError: outside 0..100.
    """
    if not 0 <= score <= 100:
        raise ValueError(f"a risk score is 0 to 100; got {score}")
    return next(level for lowest, level in LEVELS if score >= lowest)


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that moved the score.

    Attributes:
        points: added; negative lowers. 0 for a bound that changed nothing by itself.
        text: for a reader.
        subject: the detection it belongs to; None for the scene.
    """

    points: int
    text: str
    subject: str | None = None

    def __str__(self) -> str:
        return f"{self.points:+d} {self.text}" if self.points else self.text


@dataclass(frozen=True, slots=True)
class AppliedBound:
    """One floor or ceiling that changed a score.

    Attributes:
        name: of its row in `risk.bounds`.
        before: the score that crossed it.
        after: the score that it left.
        why: for a reader.
    """

    name: str
    before: int
    after: int
    why: str

    def __str__(self) -> str:
        if self.after > self.before:
            return f"raised from {self.before} to {self.after}: {self.why}"
        beyond = f" of {self.before}" if self.before > 100 else ""
        return f"held at {self.after}{beyond}: {self.why}"


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or something that a language model took notice of."""

    kind: str
    description: str
    threat_level: Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Flag:
    """Something that a language model wants looked at."""

    kind: str
    description: str
    severity: Literal["warning", "alert", "critical"]


@dataclass(frozen=True, slots=True)
class ConfidenceFactors:
    """What a language model thinks of what it was told."""

    detection_quality: Literal["good", "fair", "poor"]
    weather_impact: Literal["none", "minor", "significant"]
    enrichment_coverage: Literal["full", "partial", "minimal"]


@dataclass(frozen=True, slots=True)
class RiskAssessment:
    """How much attention an event deserves.

    Attributes:
        risk_score: 0..100, inside the bounds of `risk.bounds`, whoever gave it.
        summary: one sentence: what is there.
        reasoning: one paragraph: why this score.
        reasons: what moved the score, in order.
        source: `rules`, or the language model's name.
        version: of the rules or the prompt.
        bounds: the floors and ceilings that changed the score, in order.
        entities: of a language model; likewise the next three.
        flags: what it wants looked at.
        recommended_action: None where it recommends nothing, where a bound moved its score to another level, and where
            it is more urgent than the level bears (`MOST_URGENT`).
        confidence_factors: None where it said nothing.
        latency_ms: from the question to the answer that counts, repeats included; None for rules.
        fallback: why the rules judged although a language model was asked; None where none was, or it answered.
    """

    risk_score: int
    summary: str
    reasoning: str
    reasons: tuple[Reason, ...]
    source: str
    version: str
    bounds: tuple[AppliedBound, ...] = ()
    entities: tuple[Entity, ...] = ()
    flags: tuple[Flag, ...] = ()
    recommended_action: Action | None = None
    confidence_factors: ConfidenceFactors | None = None
    latency_ms: float | None = None
    fallback: str | None = None

    @property
    def risk_level(self) -> Level:
        """Derived from the score, so that the two cannot contradict each other."""
        return level_of(self.risk_score)
