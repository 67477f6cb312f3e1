"""Ages: what a checkpoint's label means in years, and the word for it. One table, `AGE_GROUPS`.

Labels of published checkpoints are ranges ("20-29", "(25, 32)"), open ones ("more than 70", "60+", "under 10"), single
years ("27") or words ("young adult"). A range of whole years ends with its last year: "40-49" is 40 to below 50, and
its middle, 45, is middle-aged. Words that are no label of ours stand in `_WORDS`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal, get_args

AgeGroup = Literal["child", "teenager", "young_adult", "adult", "middle_aged", "senior"]
#: The words that a prompt gets, youngest first.
AGE_WORDS: tuple[AgeGroup, ...] = get_args(AgeGroup)
#: Each word up to, but not including, these years.
AGE_GROUPS: tuple[tuple[float, AgeGroup], ...] = (
    (13, "child"),
    (20, "teenager"),
    (30, "young_adult"),
    (45, "adult"),
    (60, "middle_aged"),
    (math.inf, "senior"),
)
#: No label is older.
MAX_AGE = 130
_WORDS: Mapping[str, AgeGroup] = {
    "baby": "child",
    "infant": "child",
    "toddler": "child",
    "kid": "child",
    "children": "child",
    "teen": "teenager",
    "adolescent": "teenager",
    "young": "young_adult",
    "middle": "middle_aged",
    "middle_age": "middle_aged",
    "elderly": "senior",
    "old": "senior",
}
_YEARS = r"(?:\s*years?(?:\s*old)?)?"
_RANGE = re.compile(rf"[(\[]?\s*(?:ages?\s*)?(\d{{1,3}})\s*(?:-|–|to|_|,)\s*(\d{{1,3}})\s*[)\]]?{_YEARS}")
_FROM = re.compile(rf"(?:more than|over|above|older than|from|>=?)\s*(\d{{1,3}}){_YEARS}")
_AND_UP = re.compile(rf"(\d{{1,3}})\s*(?:\+|plus|and (?:older|over|above|up)|or older){_YEARS}")
_BELOW = re.compile(rf"(?:less than|under|below|younger than|up to|<=?)\s*(\d{{1,3}}){_YEARS}")
_SINGLE = re.compile(rf"(?:age\s*)?(\d{{1,3}}){_YEARS}")


def age_group(label: str) -> AgeGroup | None:
    """The word for an age label; None where it is none that is understood."""
    word = re.sub(r"[\s-]+", "_", label.strip().lower())
    if word in AGE_WORDS:
        return word
    if word in _WORDS:
        return _WORDS[word]
    years = _middle(label.strip().lower())
    return None if years is None else group_of(years)


def group_of(years: float) -> AgeGroup:
    """The word for an age in years."""
    return next(word for end, word in AGE_GROUPS if years < end)


def _middle(label: str) -> float | None:
    """The middle of what a label means, in years; of what has no end, its beginning."""
    if match := _RANGE.fullmatch(label):
        low, high = int(match[1]), int(match[2])
        return (low + high + 1) / 2 if low <= high <= MAX_AGE else None
    if match := _BELOW.fullmatch(label):
        return int(match[1]) / 2
    match = _FROM.fullmatch(label) or _AND_UP.fullmatch(label) or _SINGLE.fullmatch(label)
    return float(match[1]) if match and int(match[1]) <= MAX_AGE else None
