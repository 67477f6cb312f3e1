"""Age labels of published checkpoints, and the words for them."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.vision.ages import AGE_GROUPS, AGE_WORDS, MAX_AGE, age_group, group_of

FAIRFACE = ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70")
ADIENCE = ("(0, 2)", "(4, 6)", "(8, 12)", "(15, 20)", "(25, 32)", "(38, 43)", "(48, 53)", "(60, 100)")


def test_fairfaces_labels_have_their_words() -> None:
    words = ["child", "child", "teenager", "young_adult", "adult", "middle_aged", "middle_aged", "senior", "senior"]
    assert [age_group(label) for label in FAIRFACE] == words


def test_adiences_labels_have_their_words() -> None:
    words = ["child", "child", "child", "teenager", "young_adult", "adult", "middle_aged", "senior"]
    assert [age_group(label) for label in ADIENCE] == words


@pytest.mark.parametrize(
    ("label", "word"),
    [
        ("27", "young_adult"),
        ("age 27", "young_adult"),
        ("27 years old", "young_adult"),
        ("60+", "senior"),
        ("70 and older", "senior"),
        (">70", "senior"),
        ("over 64", "senior"),
        ("under 10", "child"),
        ("<18", "child"),
        ("13-19 years", "teenager"),
        ("45 to 54", "middle_aged"),
        ("20_29", "young_adult"),
        ("Young Adult", "young_adult"),
        ("Middle-Aged", "middle_aged"),
        ("MIDDLE", "middle_aged"),
        ("YOUNG", "young_adult"),
        ("OLD", "senior"),
        ("teen", "teenager"),
        ("senior", "senior"),
        (" Child ", "child"),
    ],
)
def test_other_ways_to_write_an_age_are_understood(label: str, word: str) -> None:
    assert age_group(label) == word


@pytest.mark.parametrize(
    "label", ["male", "LABEL_3", "age_3", "", "cat", "200", "50-20", "1-2-3", "20-29 male", "-5", "car 20"]
)
def test_what_is_no_age_is_none(label: str) -> None:
    assert age_group(label) is None


def test_the_table_covers_every_age_once_and_in_order() -> None:
    assert tuple(word for _, word in AGE_GROUPS) == AGE_WORDS
    assert all(a < b for a, b in itertools.pairwise(end for end, _ in AGE_GROUPS))
    assert AGE_GROUPS[-1][0] == float("inf")
    assert [group_of(years) for years in (0, 12.9, 13, 19.9, 20, 29.9, 30, 44.9, 45, 59.9, 60, 129)] == [
        "child", "child", "teenager", "teenager", "young_adult", "young_adult", "adult", "adult", "middle_aged",
        "middle_aged", "senior", "senior",
    ]  # fmt: skip


@given(st.integers(0, MAX_AGE), st.integers(0, 20))
def test_an_older_range_never_has_a_younger_word(low: int, width: int) -> None:
    words = [age_group(f"{years}-{min(years + width, MAX_AGE)}") for years in (low, min(low + 1, MAX_AGE))]
    assert None not in words
    first, second = (AGE_WORDS.index(word) for word in words if word)
    assert first <= second


@given(st.text())
def test_any_text_is_a_word_of_the_table_or_none(text: str) -> None:
    assert age_group(text) in {*AGE_WORDS, None}
