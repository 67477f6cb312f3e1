"""Several readings of one plate become one text, voted character by character.

Rule    A reading weighs as much as the reader was sure of it. The readings that are near the best supported text take
        part (`plate_alignment.is_near`): those of another plate, which a tracker that changed cars brings along, are
        left out. Of them the heaviest length wins, then at each place the heaviest character. A reading of another
        length votes where it can be aligned in one way only.
Limits  What is equally heavy is not decided: a place is `?`, and then there is no text. Letters that look alike
        (O and 0) are two characters; which of them a country's plates allow is not known here.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline.plate_alignment import MAX_CHARACTERS, distance, is_near, places

K = TypeVar("K")

#: Readings that one vote looks at, the surest first: two a second of a car that stays for a quarter of a minute.
MAX_READINGS = 32
#: Weights nearer to each other than this are equal: sums of confidences with 4 decimals, as they travel.
EQUAL = 1e-6
UNDECIDED = "?"


@dataclass(frozen=True, slots=True)
class PlateVote:
    """What several readings of one plate say together.

    Attributes:
        text: upper-case letters and digits; empty where they do not decide it.
        pattern: the same with `?` at each place that is not decided; empty where not even the length is.
        confidence: 0..1: the mean of all readings' confidences, each counted with the share of the pattern that it
            agrees with, so that disagreement lowers it; one reading has its own.
        character_confidence: 0..1 by character of `pattern`, the mean over all votes at that place, a vote for another
            character counted as 0; None where a reader gave none, and at no place that is not decided.
        readings: those with a text.
        agreeing: those of them that read exactly `text`.
        left_out: those that are of another plate, or that `MAX_READINGS` or `MAX_CHARACTERS` left no room for.
        unreadable: plates that were seen and not read.
        reason: why there is no text; empty where there is one.
    """

    text: str
    pattern: str
    confidence: float
    character_confidence: tuple[float | None, ...] | None
    readings: int
    agreeing: int
    left_out: int = 0
    unreadable: int = 0
    reason: str = ""

    def to_context_string(self) -> str:
        """One line; the text is quoted, because it is what a camera saw and not a statement of ours."""
        if not self.text:
            seen = f' "{self.pattern}"' if self.pattern else ""
            return f"License plate:{seen} not readable from {self.readings} readings ({self.reason})"
        return (
            f'License plate: "{self.text}" (confidence: {self.confidence:.0%}, '
            f"{self.agreeing} of {self.readings} readings agree)"
        )


def vote(readings: Iterable[LicensePlateResult]) -> PlateVote | None:
    """What several readings of one vehicle's plate say together; their order is nothing.

    Args:
        readings: of different frames; a plate that was seen and not read has an empty text.

    Returns:
        None where there was nothing to read at all.
    """
    # By everything that is looked at, so that sums do not depend on the order either.
    rows = sorted(readings, key=_order)
    if not rows:
        return None
    texts = [row for row in rows if row.text]
    unreadable = len(rows) - len(texts)
    if not texts:
        return PlateVote("", "", 0.0, None, 0, 0, 0, unreadable, "no reading has a text")
    usable = [row for row in texts if len(row.text) <= MAX_CHARACTERS][:MAX_READINGS]
    if not usable:
        reason = f"more than {MAX_CHARACTERS} characters are no plate"
        return PlateVote("", "", 0.0, None, len(texts), 0, len(texts), unreadable, reason)
    voters, reason = _of_one_plate(usable)
    if reason:
        return PlateVote("", "", 0.0, None, len(texts), 0, len(texts) - len(voters), unreadable, reason)
    return _count(voters, len(texts), unreadable)


def _order(row: LicensePlateResult) -> tuple[float, str, tuple[float, ...]]:
    return -_weight(row.confidence), row.text, row.character_confidence or ()


def _weight(confidence: float) -> float:
    """A confidence that is not a number says nothing."""
    return confidence if confidence > 0 else 0.0


def _of_one_plate(rows: Sequence[LicensePlateResult]) -> tuple[list[LicensePlateResult], str]:
    """The readings near the best supported text; none, and the reason, where two plates are equally supported."""
    mass = _sums((row.text, _weight(row.confidence)) for row in rows)
    near = {text: [other for other in mass if is_near(text, other)] for text in mass}
    best = _heaviest({text: math.fsum(mass[other] for other in near[text]) for text in mass})
    if any(other not in near[text] for text in best for other in best):
        return [], "readings of different plates are equally heavy"
    taking_part = {other for text in best for other in near[text]}
    return [row for row in rows if row.text in taking_part], ""


def _count(rows: Sequence[LicensePlateResult], readings: int, unreadable: int) -> PlateVote:
    """The vote of readings of one plate."""
    left_out = readings - len(rows)
    lengths = _heaviest(_sums((len(row.text), _weight(row.confidence)) for row in rows))
    if len(lengths) > 1:
        reason = f"readings of {' and '.join(map(str, sorted(lengths)))} characters are equally heavy"
        return PlateVote("", "", 0.0, None, readings, 0, left_out, unreadable, reason)
    mass = _sums((row.text, _weight(row.confidence)) for row in rows if len(row.text) == lengths[0])
    references = _heaviest(mass)
    at = [_beside(row.text, references) for row in rows]
    winners = [_winner(rows, at, place) for place in range(lengths[0])]
    pattern = "".join(winners)
    undecided = pattern.count(UNDECIDED)
    text = "" if undecided else pattern
    shares = (row.confidence * _agreement(row, places_, pattern) for row, places_ in zip(rows, at, strict=True))
    known = all(row.character_confidence is not None for row in rows)
    return PlateVote(
        text=text,
        pattern=pattern,
        confidence=math.fsum(share for share in shares if share > 0) / readings,
        character_confidence=tuple(_sure(rows, at, i, sign) for i, sign in enumerate(pattern)) if known else None,
        readings=readings,
        agreeing=sum(row.text == text for row in rows),
        left_out=left_out,
        unreadable=unreadable,
        reason=f"{undecided} of {len(pattern)} characters are undecided" if undecided else "",
    )


_Places = Mapping[int, int]


def _beside(text: str, references: Sequence[str]) -> _Places:
    """Where a reading's characters stand, by the reference that it is nearest to; by all of them where several are."""
    least = min(distance(text, reference) for reference in references)
    ways = [places(text, reference).items() for reference in references if distance(text, reference) == least]
    return dict(set(ways[0]).intersection(*ways[1:]))


def _winner(rows: Sequence[LicensePlateResult], at: Sequence[_Places], place: int) -> str:
    weights = _sums(
        (row.text[where[place]], _vote_weight(row, where[place]))
        for row, where in zip(rows, at, strict=True)
        if place in where
    )
    heaviest = _heaviest(weights)
    return heaviest[0] if len(heaviest) == 1 else UNDECIDED


def _vote_weight(row: LicensePlateResult, index: int) -> float:
    """Of a character: its own confidence where the reader gave it, else that of the whole reading."""
    own = row.character_confidence
    return _weight(row.confidence if own is None else own[index])


def _sure(rows: Sequence[LicensePlateResult], at: Sequence[_Places], place: int, sign: str) -> float | None:
    if sign == UNDECIDED:
        return None
    votes = [(row, where[place]) for row, where in zip(rows, at, strict=True) if place in where]
    return math.fsum(_vote_weight(row, i) for row, i in votes if row.text[i] == sign) / len(votes)


def _agreement(row: LicensePlateResult, where: _Places, pattern: str) -> float:
    """Share of the pattern's characters that a reading has at their places."""
    return sum(row.text[index] == pattern[place] for place, index in where.items()) / len(pattern)


def _sums(pairs: Iterable[tuple[K, float]]) -> dict[K, float]:
    rows: dict[K, list[float]] = defaultdict(list)
    for key, value in pairs:
        rows[key].append(value)
    return {key: math.fsum(values) for key, values in rows.items()}


def _heaviest(weights: Mapping[K, float]) -> list[K]:
    """The heaviest, and what is as heavy as it."""
    most = max(weights.values())
    return [key for key, weight in weights.items() if weight >= most - EQUAL]
