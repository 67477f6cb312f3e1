"""What another judgement changes: event by event, and over all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

from hearthwatch.recording.event import RecordedEvent
from hearthwatch.risk import Level, RiskAssessment


@dataclass(frozen=True, slots=True)
class Change:
    """One event, judged twice.

    Attributes:
        event: with the judgement of that time.
        after: the judgement of now.
    """

    event: RecordedEvent
    after: RiskAssessment

    @property
    def before(self) -> RiskAssessment:
        """The judgement of that time."""
        return self.event.risk

    @property
    def difference(self) -> int:
        """Points that it rose; negative where it fell."""
        return self.after.risk_score - self.before.risk_score

    @property
    def is_other_level(self) -> bool:
        """Whether it crossed from one level to another."""
        return self.after.risk_level != self.before.risk_level

    @property
    def reasons_gone(self) -> list[str]:
        """Reasons of then that are none now, each as often as it is missing."""
        return _beyond(self.before, self.after)

    @property
    def reasons_new(self) -> list[str]:
        """Reasons of now that were none then."""
        return _beyond(self.after, self.before)

    @property
    def differs(self) -> bool:
        """Whether score or reasons are others; the wording of a summary does not count."""
        return bool(self.difference or self.reasons_gone or self.reasons_new)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All events.

    Attributes:
        events: how many.
        differing: of these, score or reasons are others.
        higher: the score rose; likewise `lower`.
        other_level: crossed from one level to another; `levels` has which, with how many.
        mean_difference: points, over all events; 0.0 without any.
        largest: the event whose score moved furthest, the first of several; None where none did.
        turned_pairs: pairs of events of which the one with the higher score has the lower one now; of `pairs` whose
            scores differed then. What was urgent before what is what an owner would notice.
        fallbacks: a language model was asked and the rules stood in for it.
    """

    events: int
    differing: int
    higher: int
    lower: int
    other_level: int
    levels: dict[tuple[Level, Level], int]
    mean_difference: float
    largest: Change | None
    turned_pairs: int
    pairs: int
    fallbacks: int


def compare(changes: Sequence[Change]) -> Comparison:
    """Add up what has changed."""
    levels = Counter((one.before.risk_level, one.after.risk_level) for one in changes if one.is_other_level)
    moved = [one for one in changes if one.difference]
    turned, pairs = _turned(changes)
    return Comparison(
        events=len(changes),
        differing=sum(one.differs for one in changes),
        higher=sum(one.difference > 0 for one in changes),
        lower=sum(one.difference < 0 for one in changes),
        other_level=sum(levels.values()),
        levels=dict(levels),
        mean_difference=fmean(one.difference for one in changes) if changes else 0.0,
        largest=max(moved, key=lambda one: abs(one.difference), default=None),
        turned_pairs=turned,
        pairs=pairs,
        fallbacks=sum(one.after.fallback is not None for one in changes),
    )


def _turned(changes: Sequence[Change]) -> tuple[int, int]:
    """Pairs that changed their order, and all that had one. Equal judgements are counted together: scores are few."""
    scores = Counter((one.before.risk_score, one.after.risk_score) for one in changes)
    turned = pairs = 0
    for (first, many), (second, others) in combinations(scores.items(), 2):
        then = first[0] - second[0]
        pairs += many * others if then else 0
        turned += many * others if then * (first[1] - second[1]) < 0 else 0
    return turned, pairs


def _beyond(one: RiskAssessment, other: RiskAssessment) -> list[str]:
    return list((Counter(map(str, one.reasons)) - Counter(map(str, other.reasons))).elements())
