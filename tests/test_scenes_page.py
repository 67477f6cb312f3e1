"""docs/scenes.md is what its script writes, and shows what it says."""

from __future__ import annotations

import pytest

from prompt_answers import ANSWERS, PAGE, judged, page
from prompt_scenes import SCENES


def test_the_page_is_what_its_script_writes() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_scene_has_an_answer() -> None:
    assert list(ANSWERS) == list(SCENES)


@pytest.mark.parametrize(
    ("name", "score", "bound"),
    [
        ("nothing", 0, None),
        ("delivery", 12, None),
        ("resident_and_stranger", 55, None),
        ("armed", 30, "confirmed_weapon"),
        ("vehicle", 22, None),
        ("animals", 15, "only_animals"),
        ("hostile", 0, None),
        ("fight", 59, "unconfirmed"),
        ("described", 20, None),
    ],
)
def test_an_answer_becomes_the_score_that_the_bounds_leave(name: str, score: int, bound: str | None) -> None:
    risk = judged(name)
    assert risk.source == "by-hand"
    assert risk.risk_score == score
    assert [one.name for one in risk.bounds] == ([bound] if bound else [])


def test_no_answer_is_no_score() -> None:
    risk = judged("absent")
    assert risk.source == "rules"
    assert "no usable answer" in str(risk.fallback)
