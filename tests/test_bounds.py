"""The floors and ceilings that rules and language models share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.risk import AppliedBound, assess
from hearthwatch.risk.bounds import TABLE, appearance_floor, bounded, without_likeness

NIGHT = datetime(2026, 11, 20, 23, tzinfo=UTC)
VALUES = {
    "presence": ["person", "vehicle", "animal", "object"],
    "weapon": ["confirmed critical", "confirmed medium", "candidate critical", "candidate high"],
    "posture": ["crouching", "standing", "crawling"],
    "clothing": ["suspicious", "casual"],
    "household": ["appearance", "face", "plate"],
    "seen_before": ["1", "40"],
    "known": ["asserted"],
    "violence": ["suspected", "none"],
    "tampering": ["suspected"],
}


def fact(kind: str, value: str, subject: str | None = "p") -> Fact:
    return Fact(kind, value, f"{kind} {value}", subject, 0.9, Importance.CONTEXT)


def scene(*rows: tuple[str, str]) -> Scene:
    return Scene(tuple(fact(kind, value) for kind, value in rows), None)


PERSON, LOOKS_LIKE = ("presence", "person"), ("household", "appearance")


OF_THE_SCENE = ("violence", "tampering")
OF_SOMEBODY = sorted(set(VALUES) - {"presence", *OF_THE_SCENE})


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Facts of up to three subjects, each of which is something, and of the scene."""
    kinds = [("presence", subject) for subject in "abc"[: draw(st.integers(0, 3))]]
    some = st.lists(st.sampled_from(OF_SOMEBODY), max_size=4)
    kinds += [(kind, subject) for _, subject in kinds for kind in draw(some)]
    facts = [fact(kind, draw(st.sampled_from(VALUES[kind])), subject) for kind, subject in kinds]
    more = draw(st.lists(st.sampled_from(OF_THE_SCENE), max_size=2))
    facts += [fact(kind, draw(st.sampled_from(VALUES[kind])), None) for kind in more]
    return Scene(tuple(facts), draw(st.sampled_from([None, NIGHT])))


def outcome(said: int, of: Scene) -> tuple[int, tuple[AppliedBound, ...]]:
    return bounded(said, of, (appearance_floor(assess(without_likeness(of)).risk_score),))


def test_the_table_has_the_numbers_of_the_record() -> None:
    rows = [(row.name, row.is_floor, row.points) for row in TABLE]
    assert rows == [("confirmed_weapon", True, 30), ("unconfirmed", False, 59), ("only_animals", False, 15)]


@pytest.mark.parametrize("said", [0, 5, 9, 10])
def test_a_likeness_lowers_by_ten_points_at_most(said: int) -> None:
    score, bounds = outcome(said, scene(PERSON, LOOKS_LIKE))
    assert score == 10
    assert len(bounds) == (said < 10)
    for bound in bounds:
        assert (bound.name, bound.before, bound.after) == ("appearance_alone", said, 10)
        assert (
            str(bound)
            == f"raised from {said} to 10: appearance alone lowers by at most 10 (the rules give 20 without it)"
        )


def test_having_been_seen_before_is_no_more_than_a_likeness() -> None:
    assert outcome(0, scene(PERSON, ("seen_before", "40")))[0] == 10


@pytest.mark.parametrize("told", [("household", "face"), ("household", "plate"), ("known", "asserted")])
def test_a_face_a_plate_and_an_application_say_more_than_a_likeness(told: tuple[str, str]) -> None:
    assert outcome(0, scene(PERSON, told))[0] == 0
    assert outcome(0, scene(PERSON, told, LOOKS_LIKE))[0] < 10


def test_a_likeness_does_not_bind_where_there_is_none() -> None:
    assert outcome(0, scene(PERSON)) == (0, ())


@given(scenes(), st.integers(0, 100))
def test_whatever_is_said_the_score_is_inside_every_bound(of: Scene, said: int) -> None:
    score, bounds = outcome(said, of)
    assert 0 <= score <= 100
    values = [f.value for f in of.facts if f.kind == "weapon"]
    confirmed = any(value.startswith("confirmed") for value in values)
    assert score >= 30 if confirmed else score <= 59
    if of.subjects("animal") and not of.subjects("person", "vehicle") and not values:
        assert score <= 15
    if without_likeness(of) != of:
        assert score >= assess(without_likeness(of)).risk_score - 10
    assert (score == said) == (not bounds)
    path = [said, *(bound.after for bound in bounds)]
    assert [bound.before for bound in bounds] == path[:-1]
    assert path[-1] == score
    assert outcome(score, of) == (score, ())


@given(scenes())
def test_the_rules_keep_every_bound_by_themselves(of: Scene) -> None:
    score = assess(of).risk_score
    assert outcome(score, of) == (score, ())


@given(scenes(), st.integers(0, 100), st.integers(0, 100))
def test_more_said_is_never_less_scored(of: Scene, said: int, other: int) -> None:
    low, high = sorted((said, other))
    assert outcome(low, of)[0] <= outcome(high, of)[0]


@given(scenes())
def test_taking_likenesses_away_takes_nothing_else(of: Scene) -> None:
    left = without_likeness(of)
    gone = [f for f in of.facts if f not in left.facts]
    assert all(f.kind == "seen_before" or (f.kind, f.value) == LOOKS_LIKE for f in gone)
    assert without_likeness(left) == left
    assert replace(of, facts=left.facts) == left
