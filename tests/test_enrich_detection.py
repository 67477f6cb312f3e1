"""One detection in, a dictionary out: `EnrichmentPipeline.enrich_detection` answers as `/enrich` does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hearthwatch.enrichment.parts import PARTS
from hearthwatch.errors import BadBox, ImageError, InferenceFailed, InputError
from hearthwatch.models import ActionResult
from hearthwatch.pipeline import EnrichmentPipeline
from scene import INSIDE, FakeRunner, cut_off, detection, nothing, photo

ACTION = ActionResult({"person picking lock": 0.8, "person loitering": 0.2})
PERSON = {"label": "person", "bbox": list(INSIDE), "face_visible": True, "suspicious_score": 60}
ABOUT = {"models_loaded", "skipped", "errors", "status"}


def runner(**behaviour: Any) -> FakeRunner:
    return FakeRunner(finds={"action_recognizer": lambda _box: ACTION} | behaviour.pop("finds", {}), **behaviour)


def enrich(found_by: FakeRunner, subject: Any, image: Any = None, frames: Any = None) -> dict[str, Any]:
    pipeline = EnrichmentPipeline(found_by)
    return asyncio.run(pipeline.enrich_detection(photo() if image is None else image, subject, frames))


def test_everything_about_a_suspicious_person_with_frames() -> None:
    told = enrich(runner(), PERSON, frames=[photo(), photo(), photo()])
    parts = {"clothing", "depth", "pose", "threat", "demographics", "reid_embedding", "reid_space", "action"}
    assert told.keys() == parts | ABOUT
    assert told["status"] == "full"
    assert told["action"]["top_action"] == "person picking lock"
    assert (told["threat"]["highest_threat"]["type"], told["pose"]["poses"][0]["posture"]) == ("knife", "standing")
    assert told["demographics"]["age_group"] == "young_adult"
    assert len(told["reid_embedding"]) == 512


def test_without_frames_nobody_is_watched() -> None:
    asked = runner()
    assert "action" not in enrich(asked, PERSON)
    assert "action_recognizer" not in {call.model for call in asked.calls}


@pytest.mark.parametrize(("label", "parts"), [("car", {"vehicle", "depth"}), ("cat", {"pet", "depth"})])
def test_only_the_parts_that_there_are(label: str, parts: set[str]) -> None:
    assert enrich(runner(), detection("x", label)).keys() == parts | ABOUT


def test_every_name_is_one_of_the_documented_parts() -> None:
    told = enrich(runner(), PERSON, frames=[photo(), photo()])
    assert told.keys() - ABOUT <= {field for part in PARTS.values() for field in part.fields}


def test_what_failed_is_told_and_costs_its_own_part() -> None:
    whole = enrich(runner(), PERSON)
    told = enrich(runner(fails={"pose_estimator": InferenceFailed("no luck")}), PERSON)
    assert told.keys() == whole.keys() - {"pose"}
    assert (told["status"], told["errors"]) == ("partial", {"pose_estimator": "no luck"})


def test_what_found_nothing_says_so_and_is_no_error() -> None:
    told = enrich(runner(finds={"pose_estimator": nothing}), PERSON)
    assert told["pose"]["poses"] == []
    assert "pose_estimator" in told["models_loaded"]
    assert told["errors"] == {}


def test_a_frame_that_is_none_costs_the_action_alone() -> None:
    told = enrich(runner(), PERSON, frames=[photo(), b"no picture"])
    assert told.keys() >= {"pose", "threat"}
    assert "frame 1" in told["errors"]["action_recognizer"]


@pytest.mark.parametrize("image", [b"no picture", cut_off()], ids=["no picture", "cut off"])
def test_a_picture_that_is_none_is_an_error(image: bytes) -> None:
    with pytest.raises(ImageError):
        enrich(runner(), PERSON, image)


@pytest.mark.parametrize(
    ("subject", "error"),
    [({"bbox": list(INSIDE)}, InputError), ({"label": "person", "bbox": [900, 900, 950, 950]}, BadBox)],
    ids=["no label", "outside"],
)
def test_a_detection_that_cannot_be_meant_is_an_error(subject: dict[str, Any], error: type[InputError]) -> None:
    with pytest.raises(error):
        enrich(runner(), subject)
