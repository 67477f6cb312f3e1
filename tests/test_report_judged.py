"""Reports say who judged, by which version, what a language model said beside its score, and why the rules stood in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from events import HOSTILE, make_event, person
from hearthwatch.analysis import Event
from hearthwatch.report import event_to_json, render_html
from hearthwatch.report.text import plain
from hearthwatch.risk import AppliedBound, ConfidenceFactors, Entity, Flag, Reason, RiskAssessment
from hearthwatch.risk.points import VERSION
from hearthwatch.vision.boxes import Box
from test_report import Page, printed

BOX = Box(20, 60, 80, 220)
BOUND = AppliedBound("unconfirmed", 97, 59, "nothing confirmed makes it more than medium")

#: What is told of `assessment`.
SAID = (
    "Judged by word (prompt-7) in 1.2 s.", "because word", "alert: loitering: word", "word: word (threat low)",
    "advised: review soon", "detections good", "held at 59: nothing",
)  # fmt: skip


def assessment(text: str = "word") -> RiskAssessment:
    return RiskAssessment(
        59, text, f"because {text}", (Reason(0, str(BOUND)),), text, "prompt-7", (BOUND,), (Entity(text, text, "low"),),
        (Flag("loitering", text, "alert"),), "review_soon", ConfidenceFactors("good", "none", "full"), 1234.567,
    )  # fmt: skip


def event(risk: RiskAssessment | None = None) -> Event:
    made = make_event([person("a", BOX)])
    made.risk = risk or made.risk
    return made


def shown(of: Event) -> list[str]:
    """On the page, and in a terminal."""
    return [Page(render_html([of], [])).text, " ".join(printed(of).split())]


def test_rules_say_that_they_judged_and_by_which_version() -> None:
    for text in shown(event()):
        assert f"Judged by the built-in rules ({VERSION})." in text
        assert "stood in" not in text
    risk = event_to_json(event())["risk"]
    assert (risk["source"], risk["version"], risk["fallback"], risk["latency_ms"]) == ("rules", VERSION, None, None)
    assert (risk["entities"], risk["flags"], risk["recommended_action"], risk["confidence_factors"]) == (
        [], [], None, None,
    )  # fmt: skip


def test_a_language_model_says_why_and_everything_is_told() -> None:
    for text in shown(event(assessment())):
        for words in SAID:
            assert words in text, words


def test_the_object_has_everything_that_a_language_model_said_and_the_bounds() -> None:
    risk = event_to_json(event(assessment()))["risk"]
    assert risk["bounds"] == [{"name": "unconfirmed", "before": 97, "after": 59, "reason": BOUND.why}]
    assert risk["entities"] == [{"type": "word", "description": "word", "threat_level": "low"}]
    assert risk["flags"] == [{"type": "loitering", "description": "word", "severity": "alert"}]
    assert risk["recommended_action"] == "review_soon"
    assert risk["confidence_factors"] == {
        "detection_quality": "good", "weather_impact": "none", "enrichment_coverage": "full",
    }  # fmt: skip
    assert risk["latency_ms"] == 1234.57


def test_where_the_rules_stood_in_everybody_is_told_why() -> None:
    made = event()
    made.risk = replace(made.risk, fallback="nobody listens there")
    for text in shown(made):
        assert "Judged by the built-in rules" in text
        assert "The rules stood in: nobody listens there" in text
    assert event_to_json(made)["risk"]["fallback"] == "nobody listens there"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_what_a_language_model_says_is_shown_and_never_obeyed(text: str) -> None:
    calm, hostile = (Page(render_html([event(assessment(said))], [])) for said in ("calm", text))
    assert hostile.tags == calm.tags
    assert [name for _, name, _ in hostile.attributes] == [name for _, name, _ in calm.attributes]
    assert f"because {' '.join(plain(' '.join(text.split())).split())}" in hostile.text
    for output in (hostile.text, printed(event(assessment(text)))):
        assert not any(char in output for char in "\x00\x07\x1b\u202e")
