"""Points of the rules: others can be tried, and whoever mistypes one is told."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import armed_event, busy_event, whole_event
from hearthwatch.errors import SettingsError
from hearthwatch.prompt import Fact, Importance, Scene
from hearthwatch.risk import Points, assess
from hearthwatch.risk.bounds import CAP_UNCONFIRMED, FLOOR_CONFIRMED
from hearthwatch.risk.points import DOCUMENTED, VERSION
from hearthwatch.risk.rules import is_night

SCENES = {"busy": busy_event().scene, "armed": armed_event().scene, "whole": whole_event().scene}


def test_no_change_is_the_documented_rules() -> None:
    assert Points.of({}) == DOCUMENTED
    assert Points.of({"night": DOCUMENTED.night}).version == VERSION
    assert Points.of({"posture": {"crouching": 15}}).version == VERSION


def test_other_points_have_another_version_and_equal_points_the_same() -> None:
    one = Points.of({"night": 5, "posture": {"crouching": 20, "sitting": 1}})
    other = Points.of({"posture": {"sitting": 1, "crouching": 20}, "night": 5})
    assert one.version == other.version
    assert one.version.startswith(f"{VERSION}+")
    assert Points.of({"night": 6}).version != one.version


def test_a_row_that_changes_leaves_the_others_of_its_table() -> None:
    points = Points.of({"posture": {"crouching": 20}})
    assert points.posture == {**DOCUMENTED.posture, "crouching": 20}


def test_an_assessment_says_by_which_points() -> None:
    points = Points.of({"presence": {"person": 31}})
    risk = assess(SCENES["armed"], points)
    assert risk.version == points.version
    assert points.version in risk.reasoning


@pytest.mark.parametrize(
    ("changes", "kind", "value", "added"),
    [
        ({"presence": {"person": 33}}, "presence", "person", 13),
        ({"posture": {"crouching": 25}}, "posture", "crouching", 10),
        ({"posture": {"sitting": 4}}, "posture", "sitting", 4),
        ({"suspicious_clothing": 12}, "clothing", "suspicious", 2),
        ({"dwell": 19}, "dwell", "60.0", 9),
        ({"dwell_from_s": 61}, "dwell", "60.0", -10),
        ({"weapon_candidate": {"high": 25}}, "weapon", "candidate high", 5),
        ({"weapon_confirmed": {"high": 55}}, "weapon", "confirmed high", 5),
        ({"night": 21}, "presence", "person", 6),
        ({"night_begins": "23:31"}, "presence", "person", -15),
    ],
)
def test_each_point_moves_the_score_by_itself(changes: dict[str, Any], kind: str, value: str, added: int) -> None:
    when = datetime(2026, 11, 20, 23 if kind == "presence" else 12, 30, tzinfo=UTC)
    facts = [Fact("presence", "person", "person in view", "a", 0.9, Importance.PRESENCE)]
    facts += [Fact(kind, value, value, "a", 0.9, Importance.POSTURE)] if kind != "presence" else []
    scene = Scene(tuple(facts), when)
    assert assess(scene, Points.of(changes)).risk_score == assess(scene).risk_score + added


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nigth": 5}, "nigth: is no point"),
        ({"posture": {"crouchin": 5}}, r"posture\.crouchin: is no point"),
        ({"weapon_confirmed": {"deadly": 5}}, "deadly: is no point"),
        ({"night": -5}, "night"),
        ({"night": 101}, "night"),
        ({"night": 5.5}, "night"),
        ({"night": "5"}, "night"),
        ({"night": True}, "night"),
        ({"known": 5}, "known"),
        ({"posture": 5}, "posture"),
        ({"dwell_from_s": float("nan")}, "dwell_from_s"),
        ({"night_begins": "late"}, "night_begins"),
    ],
)
def test_a_point_that_cannot_be_is_refused_with_its_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Points.of(changes)


@pytest.mark.parametrize(
    ("content", "words"), [(b"{", "unexpected"), (b"[5]", "no JSON object"), (b" " * 70_000, "65536")]
)
def test_a_file_of_points_that_is_none_is_refused_with_its_name(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=words) as raised:
        Points.read(path)
    assert str(path) in str(raised.value)
    with pytest.raises(SettingsError, match="No such file"):
        Points.read(tmp_path / "none.json")


def test_a_file_of_points_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text('{"night": 5, "night_begins": "21:00"}', encoding="utf-8")
    assert Points.read(path) == Points.of({"night": 5, "night_begins": time(21)})


@pytest.mark.parametrize(("begins", "ends", "nights"), [(22, 6, [0, 1, 2, 3, 4, 5, 22, 23]), (1, 5, [1, 2, 3, 4])])
def test_the_night_goes_over_midnight_or_not(begins: int, ends: int, nights: list[int]) -> None:
    points = Points.of({"night_begins": time(begins), "night_ends": time(ends)})
    hours = [hour for hour in range(24) if is_night(datetime(2026, 1, 1, hour, tzinfo=UTC), points)]
    assert hours == nights


ANY = st.integers(0, 100)


@given(
    scene=st.sampled_from(sorted(SCENES)),
    person=ANY,
    crouching=ANY,
    candidate=ANY,
    confirmed=ANY,
    known=st.integers(-100, 0),
)
def test_no_points_cross_the_bounds(
    scene: str, person: int, crouching: int, candidate: int, confirmed: int, known: int
) -> None:
    points = Points.of({"presence": {"person": person}, "posture": {"crouching": crouching}, "known": known,
                        "weapon_candidate": {"high": candidate}, "weapon_confirmed": {"high": confirmed}})  # fmt: skip
    score = assess(SCENES[scene], points).risk_score
    armed = any(fact.value.startswith("confirmed") for fact in SCENES[scene].facts if fact.kind == "weapon")
    assert FLOOR_CONFIRMED <= score <= 100 if armed else 0 <= score <= CAP_UNCONFIRMED
