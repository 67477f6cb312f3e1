"""`RiskAssessment`: a score, the level that follows from it, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["low", "medium", "high", "critical"]
#: Lowest score of each level (DESIGN.md).
LEVELS: tuple[tuple[int, Level], ...] = ((85, "critical"), (60, "high"), (30, "medium"), (0, "low"))


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
class RiskAssessment:
    """How much attention an event deserves.

    Attributes:
        risk_score: 0..100.
        summary: one sentence: what is there.
        reasoning: one paragraph: why this score.
        reasons: what moved the score, in order.
        source: `rules`, or the language model's name.
        version: of the rules or the prompt.
    """

    risk_score: int
    summary: str
    reasoning: str
    reasons: tuple[Reason, ...]
    source: str
    version: str

    @property
    def risk_level(self) -> Level:
        """Derived from the score, so that the two cannot contradict each other."""
        return level_of(self.risk_score)
