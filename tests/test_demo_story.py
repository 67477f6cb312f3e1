"""The demo's story: what was drawn is held against what was found, and nothing is hidden."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from events import NIGHT, make_event, person, plate, pose
from hearthwatch.analysis import Event
from hearthwatch.cli.evening import Drawn, Evening
from hearthwatch.cli.story import compare, tell
from hearthwatch.models import (
    ObjectDistance,
    PetClassificationResult,
    ThreatDetection,
    ThreatResult,
)
from hearthwatch.pipeline import DepthAnalysisResult, DetectionInput, EnrichmentError, EnrichmentResult
from hearthwatch.vision.boxes import Box

SOMEBODY, VAN, CAT = Box(20, 60, 80, 220), Box(100, 40, 230, 200), Box(240, 180, 300, 220)
EVENING = Evening(
    path=Path("evening.jpg"),
    caption="a person crouching with a crowbar beside a white van with the plate AB-123-CD, and a cat.",
    camera="drive",
    when=datetime(2026, 11, 20, 21, 40),  # noqa: DTZ001 - events have the local time of their camera
    things=(Drawn("person", SOMEBODY, "crouching", "crowbar"), Drawn("van", VAN), Drawn("cat", CAT)),
    plate="AB-123-CD",
)


def found(crowbar: float = 0.74, posture: str = "crouching", **changed: Any) -> Event:
    """Everything as it was drawn."""
    read = plate(Box(150, 170, 190, 185), vehicle="truck-1")
    crow = ThreatDetection("crowbar", crowbar, Box(60, 120, 100, 150), "medium")
    data = EnrichmentResult(
        pose_results={"person-1": pose(SOMEBODY, posture)},
        threat_results={"person-1": ThreatResult((crow,) if crowbar else ())},
        license_plates=[read],
        plate_by_detection={"truck-1": read},
        pet_classifications={"cat-1": PetClassificationResult("cat", "unknown", 0.94, is_household_pet=True)},
        depth_analysis=DepthAnalysisResult({"person-1": ObjectDistance(0.1, 4.2, "close")}),
    )
    detections = [
        person("person-1", SOMEBODY),
        DetectionInput("truck-1", "truck", 0.9, VAN),
        DetectionInput("cat-1", "cat", 0.8, CAT),
    ]
    gone = changed.pop("gone", None)
    for name, value in changed.items():
        setattr(data, name, value)
    weights = {"yolo26": "sample", "pose_estimator": "sample"}
    left = [detection for detection in detections if detection.class_name != gone]
    return make_event(left, data, source="evening.jpg", camera="drive", when=NIGHT, weights=weights)


def told(evening: Evening, event: Event) -> str:
    console = Console(file=io.StringIO(), width=200)
    tell(console, evening, event, compare(evening, event))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


class TestStory:
    def test_what_is_found_as_it_was_drawn_is_right(self) -> None:
        story = compare(EVENING, found())
        assert story.is_right, story
        text = told(EVENING, found())
        assert "The picture shows (drawn): a person crouching with a crowbar" in text
        assert "WRONG" not in text
        assert "That is the story as it was drawn." in text

    @pytest.mark.parametrize(
        "said",
        [
            "person 87%, close (about 4 m, not calibrated)",
            "crouching 90%",
            "crowbar 74%, severity medium, a candidate: 74% sure in one frame, 80% needed",
            "truck 90% (the detector has no word for a van)",
            "AB123CD 91%",
            "cat 94%",
            "MEDIUM",
            "/100",
            "+15  posture crouching",
            "Sample weights were used",
        ],
    )
    def test_the_story_says_everything(self, said: str) -> None:
        assert said in told(EVENING, found())

    def test_a_sure_weapon_is_called_confirmed(self) -> None:
        assert "severity medium, confirmed: " in told(EVENING, found(crowbar=0.95))

    @pytest.mark.parametrize(
        ("event", "drawn", "instead"),
        [
            (found(gone="person"), "a person", "not found"),
            (found(gone="person"), "crouching", "not found"),
            (found(gone="person"), "with a crowbar", "not found"),
            (found(posture="standing"), "crouching", "standing 90%"),
            (found(pose_results={}), "crouching", "not found"),
            (found(crowbar=0.0), "with a crowbar", "not found"),
            (found(gone="truck"), "a van", "not found"),
            (found(gone="cat"), "a cat", "not found"),
            (found(pet_classifications={}), "a cat, looked at closely", "not found"),
            (found(license_plates=[]), "the plate AB-123-CD", "not found"),
            (found(license_plates=[plate(VAN, "")]), "the plate AB-123-CD", "not found, though a plate is visible"),
            (found(license_plates=[plate(VAN, "AB128CD")]), "the plate AB-123-CD", "AB128CD 91%"),
        ],
    )
    def test_what_is_not_as_drawn_is_named_and_wrong(self, event: Event, drawn: str, instead: str) -> None:
        story = compare(EVENING, event)
        part = next(part for part in story.parts if part.drawn == drawn)
        assert (part.right, part.found) == (False, instead)
        assert not story.is_right
        assert "are not as drawn" in told(EVENING, event)

    def test_another_weapon_is_no_crowbar(self) -> None:
        knife = ThreatDetection("knife", 0.7, Box(60, 120, 100, 150), "high")
        story = compare(EVENING, found(threat_results={"person-1": ThreatResult((knife,))}))
        assert [part.found for part in story.parts if not part.right] == [
            "knife 70%, severity high, a candidate: 70% sure in one frame, 80% needed"
        ]

    def test_a_model_that_failed_is_told_and_makes_the_story_wrong(self) -> None:
        failure = EnrichmentError("person_reid", "person-1", "internal", "the engine stopped")
        event = found(errors=["person_reid: the engine stopped"], structured_errors=[failure])
        assert not compare(EVENING, event).is_right
        assert "FAILED    person_reid: the engine stopped" in told(EVENING, event)

    def test_nothing_at_all_is_said_plainly(self) -> None:
        event = make_event(source="evening.jpg", when=NIGHT)
        assert not compare(EVENING, event).is_right
        assert "Nothing of what was drawn was found" in told(EVENING, event)

    def test_what_nobody_drew_is_told_and_spoils_nothing(self) -> None:
        evening = replace(EVENING, things=EVENING.things[:2])
        assert compare(evening, found()).is_right
        assert "not drawn" in told(evening, found())

    def test_a_thing_in_the_wrong_place_is_not_found(self) -> None:
        evening = replace(EVENING, things=(Drawn("cat", SOMEBODY),), plate=None)
        assert [(part.found, part.right) for part in compare(evening, found()).parts] == [("not found", False)]

    def test_two_alike_need_two(self) -> None:
        evening = replace(EVENING, things=(Drawn("cat", CAT), Drawn("cat", CAT)), plate=None)
        assert [part.right for part in compare(evening, found()).parts] == [True, True, False]
