"""A conflict between two statements, and the principle by which it is ruled.

Who is sure holds against who is not; where both are sure, or neither, the conflict stays open: the confidences of two
networks are not on one scale, so that a little more of it decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Who is at least so sure is sure: where one frame confirms a weapon as well (`prompt.weapons`).
SURE = 0.8
#: Who found the detection, whichever network it was, and the application that sent it.
DETECTOR, APPLICATION = "detector", "application"


@dataclass(frozen=True, slots=True)
class Statement:
    """What somebody said of a detection.

    Attributes:
        by: canonical name of a model, `DETECTOR` or `APPLICATION`.
        what: in its own words.
        confidence: 0..1; None where it stated none.
    """

    by: str
    what: str
    confidence: float | None = None

    @property
    def is_sure(self) -> bool:
        """False for no confidence and for one that is not a number."""
        return self.confidence is not None and self.confidence >= SURE

    def __str__(self) -> str:
        sure = "" if self.confidence is None else f" ({self.confidence:.0%})"
        return f"{self.by}: {self.what}{sure}"


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two statements that cannot both be true.

    Attributes:
        detection_id: which detection the ruling is about.
        said: both, in the order of the rule.
        holds: who of them holds; None where that is open.
        rule: its name in the table.
        reason: why, for a reader.
        other_id: the second detection, where the conflict is between two; what holds then is said in `reason`, and
            `detection_id` is the one that does not hold, if that is decided.
    """

    detection_id: str
    said: tuple[Statement, Statement]
    holds: str | None
    rule: str
    reason: str
    other_id: str | None = None

    @property
    def between(self) -> tuple[str, str]:
        """Who contradicts whom."""
        return self.said[0].by, self.said[1].by

    @property
    def is_open(self) -> bool:
        """Whether neither statement is preferred."""
        return self.holds is None

    def to_context_string(self) -> str:
        """One line."""
        ruling = "open" if self.holds is None else f"{self.holds} holds"
        return f"Conflict: {self.said[0]}; {self.said[1]}; {ruling}: {self.reason}"


def ruled(key: str, rule: str, first: Statement, second: Statement, doubt: str) -> Conflict:
    """The conflict of two statements about one detection, ruled by who is sure.

    Args:
        key: the detection's id.
        rule: its name in the table.
        first: what one said.
        second: what the other said.
        doubt: what may be behind it, where nothing decides.
    """
    if first.is_sure == second.is_sure:
        both = "both are sure" if first.is_sure else "neither is sure"
        return Conflict(key, (first, second), None, rule, f"{both}: {doubt}")
    holds, other = (first, second) if first.is_sure else (second, first)
    return Conflict(key, (first, second), holds.by, rule, f"{holds.by} is sure and {other.by} is not")
