"""Weapons: what counts, how severe it is, whose it is, and how it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.models.threat_detector import (
    REACH,
    SPEC,
    ThreatAdapter,
    ThreatDetection,
    ThreatResult,
    ThreatsAnswer,
    severity_of,
)
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image

Array = np.ndarray[Any, Any]
NAMES = ("rifle", "Knife", "toaster")
PERSON = Box(100, 100, 200, 300)


def adapter(names: tuple[str, ...] = NAMES) -> ThreatAdapter:
    outputs = (TensorInfo("output0", (None, 300, 6), "float32"),)
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return ThreatAdapter(Description(graph, Card(), replace(SPEC.pixels, origins={}), names))


def seen(*rows: tuple[float, int, Box]) -> ThreatResult:
    """What a network says that gives these (confidence, class, box in a picture of 640 x 640)."""

    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        raw = np.zeros((1, 300, 6), np.float32)
        for index, (confidence, class_id, box) in enumerate(rows):
            raw[0, index] = [*box, confidence, class_id]
        return {"output0": raw}

    return adapter().predict([Image.of(np.zeros((640, 640, 3), np.uint8))], run)[0]


def threat(box: Box, confidence: float = 0.9, name: str = "knife") -> ThreatDetection:
    return ThreatDetection(name, confidence, box, severity_of(name))


def test_names_come_from_the_weights_and_severity_from_the_names() -> None:
    found = seen((0.9, 2, PERSON), (0.8, 1, PERSON), (0.7, 0, PERSON)).threats
    assert [(t.class_name, t.severity) for t in found] == [
        ("toaster", "medium"), ("Knife", "high"), ("rifle", "critical"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("GUN", "critical"),
        ("Automaticrifle", "critical"),
        ("automatic_rifle", "critical"),
        ("Automatic-Rifle", "critical"),
        ("weapon", "high"),
        ("Baseball Bat", "medium"),
        ("gunpowder", "medium"),
        ("", "medium"),
    ],
)
def test_spelling_does_not_change_severity_and_unknown_names_are_medium(name: str, severity: str) -> None:
    assert severity_of(name) == severity


def test_a_threat_counts_from_half_and_a_call_may_ask_for_less_or_more() -> None:
    found = seen((0.05, 0, PERSON), (0.2, 0, PERSON), (0.5, 0, PERSON), (0.9, 1, PERSON))
    assert [round(t.confidence, 2) for t in found.threats] == [0.9, 0.5]
    assert [round(t.confidence, 2) for t in found.at_least(0.1).threats] == [0.9, 0.5, 0.2]  # 0.05 is never decoded
    assert [round(t.confidence, 2) for t in found.at_least(0.6).threats] == [0.9]
    assert found.at_least(0.95).at_least(0.5) == found


def test_engines_are_compared_by_the_faintest_trace_which_nobody_is_told() -> None:
    faint, moved = seen((0.02, 0, PERSON)), seen((0.03, 0, Box(300, 300, 400, 500)))
    assert (faint.threats, faint.weaker, faint.at_least(0.0).threats) == ((), (), ())
    assert SPEC.agreement.judge([faint], [faint]) == 1.0
    assert SPEC.agreement.judge([faint], [moved]) == 0.0
    assert SPEC.agreement.judge([faint], [seen()]) == 0.0
    assert SPEC.agreement.judge([seen()], [seen()]) is None


def test_the_worst_and_the_surest_are_two_questions() -> None:
    found = ThreatResult((threat(PERSON, 0.9, "hammer"), threat(PERSON, 0.6, "gun")))
    assert found.max_severity == "critical"
    assert found.highest_threat == threat(PERSON, 0.9, "hammer")
    assert found.max_confidence == 0.9


def test_no_threat_has_no_severity_and_is_an_answer() -> None:
    nothing = ThreatResult()
    assert (nothing.has_threat, nothing.max_severity, nothing.highest_threat) == (False, None, None)
    assert nothing.to_context_string() == "Threat detection: No threats detected"
    assert nothing.to_wire() == {
        "threats_detected": [], "is_threat": False, "max_confidence": 0.0, "max_severity": None, "threats": [],
        "highest_threat": None, "elsewhere": [],
    }  # fmt: skip


def test_threats_are_told_as_documented() -> None:
    found = ThreatResult((threat(PERSON, 0.9, "knife"), threat(PERSON, 0.6, "pistol")))
    assert found.to_context_string() == "THREAT DETECTED: knife, pistol (severity: critical)"


def test_the_wire_has_the_documented_keys_and_its_description_fits() -> None:
    wire = ThreatResult((threat(Box(1.04, 2, 3, 4.96), 0.87654, "knife"),)).to_wire()
    assert wire["threats_detected"] == [
        {
            "class": "knife",
            "confidence": 0.8765,
            "bbox": {"x": 1.0, "y": 2.0, "width": 2.0, "height": 3.0},
            "severity": "high",
        }
    ]
    assert wire["highest_threat"] == {"type": "knife", "confidence": 0.8765, "bbox": [1.0, 2.0, 3.0, 5.0]}
    assert ThreatsAnswer.model_validate(wire).model_dump(by_alias=True) == wire


# ------------------------------------------------------------------------------------------------------------ persons


def owners(boxes: list[Box], *threats: ThreatDetection) -> list[list[ThreatDetection]]:
    return [list(answer.threats) for answer in adapter().associate(ThreatResult(threats), boxes)]


@pytest.mark.parametrize(("gap", "theirs"), [(0, True), (REACH * 200, True), (REACH * 200 + 1, False)], ids=str)
def test_a_threat_beside_a_person_is_theirs_within_reach(gap: float, theirs: bool) -> None:
    beside = threat(Box(PERSON.x2 + gap, 150, PERSON.x2 + gap + 60, 160))
    (answer,) = adapter().associate(ThreatResult((beside,)), [PERSON])
    assert answer.has_threat is theirs
    assert answer.elsewhere == (() if theirs else (beside,))


def test_reach_grows_with_the_person() -> None:
    small = Box(*(side / 4 for side in PERSON))
    beside = threat(Box(small.x2 + 40, 40, small.x2 + 50, 50))
    assert owners([small], beside) == [[]]
    assert owners([PERSON], threat(Box(PERSON.x2 + 40, 140, PERSON.x2 + 50, 150))) != [[]]


def test_each_threat_belongs_to_one_person_the_one_that_holds_most_of_it() -> None:
    other = Box(190, 100, 290, 300)
    inside = threat(Box(195, 150, 235, 160))
    assert owners([PERSON, other], inside) == [[], [inside]]
    assert owners([other, PERSON], inside) == [[inside], []]


def test_of_two_that_hold_it_whole_the_smaller_box_has_it() -> None:
    crowd = Box(0, 0, 640, 640)
    held = threat(Box(120, 150, 140, 160))
    assert owners([crowd, PERSON], held) == [[], [held]]


def test_every_person_has_an_answer_and_knows_what_lies_elsewhere() -> None:
    far = threat(Box(600, 600, 630, 630))
    weak = threat(Box(120, 150, 140, 160), 0.3)
    first, second = adapter().associate(ThreatResult((far,), (weak,)), [PERSON, Box(300, 100, 400, 300)])
    assert (first.has_threat, first.weaker, first.elsewhere) == (False, (weak,), (far,))
    assert (second.has_threat, second.weaker, second.elsewhere) == (False, (), (far,))
    assert first.at_least(0.3).threats == (weak,)


def test_without_persons_nobody_has_a_threat() -> None:
    assert adapter().associate(ThreatResult((threat(PERSON),)), []) == []
