"""What another judgement changes: event by event and over all."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import busy_event
from hearthwatch.recording import Change, RecordedEvent, compare, record
from hearthwatch.risk import Reason, RiskAssessment

EVENT = record(busy_event())


def judged(score: int, *reasons: str, fallback: str | None = None) -> RiskAssessment:
    told = tuple(Reason(0, reason) for reason in reasons)
    return RiskAssessment(score, "s", "r", told, "rules", "rules-0", fallback=fallback)


def event(score: int, *reasons: str, source: str = "porch.jpg") -> RecordedEvent:
    return replace(EVENT, source=source, risk=judged(score, *reasons))


def change(before: int, after: int, source: str = "porch.jpg") -> Change:
    return Change(event(before, source=source), judged(after))


def test_reasons_come_and_go_each_as_often_as_it_does() -> None:
    told = Change(event(20, "a", "a", "b"), judged(20, "a", "c"))
    assert (told.reasons_gone, told.reasons_new) == (["a", "b"], ["c"])
    assert told.differs
    assert not told.difference


@pytest.mark.parametrize(
    ("before", "after", "other"), [(29, 30, True), (30, 59, False), (60, 84, False), (85, 84, True)]
)
def test_a_level_is_crossed_where_the_scale_says(before: int, after: int, other: bool) -> None:
    assert change(before, after).is_other_level is other


def test_all_events_are_added_up() -> None:
    changes = [change(20, 20), change(20, 41, "up.jpg"), change(41, 20, "down.jpg"), change(90, 91)]
    told = compare([*changes, Change(event(5), judged(5, fallback="gone"))])
    assert (told.events, told.differing, told.higher, told.lower) == (5, 3, 2, 1)
    assert told.levels == {("low", "medium"): 1, ("medium", "low"): 1}
    assert told.other_level == 2
    assert told.mean_difference == pytest.approx(0.2)
    assert told.largest is changes[1]
    assert told.fallbacks == 1


def test_no_event_is_no_change() -> None:
    told = compare([])
    assert (told.events, told.mean_difference, told.largest, told.turned_pairs, told.pairs) == (0, 0.0, None, 0, 0)


SCORES = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=12)


@given(SCORES)
def test_turned_pairs_are_those_that_one_counts_by_hand(scores: list[tuple[int, int]]) -> None:
    told = compare([change(before, after) for before, after in scores])
    pairs = [(one, other) for one, other in combinations(scores, 2) if one[0] != other[0]]
    turned = [1 for one, other in pairs if (one[0] - other[0]) * (one[1] - other[1]) < 0]
    assert (told.pairs, told.turned_pairs) == (len(pairs), len(turned))


@given(SCORES)
def test_judging_back_changes_as_much_the_other_way(scores: list[tuple[int, int]]) -> None:
    there = compare([change(before, after) for before, after in scores])
    back = compare([change(after, before) for before, after in scores])
    assert (there.higher, there.lower) == (back.lower, back.higher)
    assert there.mean_difference == pytest.approx(-back.mean_difference)
    assert there.other_level == back.other_level
