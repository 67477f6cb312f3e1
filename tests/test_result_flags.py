"""The summary flags of a result: none is set by nothing, each is set by what it names, and by no less."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from events import quality, seen_before
from hearthwatch.errors import InferenceFailed
from hearthwatch.gallery import HouseholdMatch, How
from hearthwatch.models import PoseResult, ThreatResult, VehicleDamageResult, ViolenceDetectionResult
from hearthwatch.pipeline import DepthAnalysisResult, EnrichmentResult, SceneChangeResult
from hearthwatch.pipeline.conflict import Conflict, Statement
from hearthwatch.pipeline.extraction import BatchExtractionResult, extraction_of
from hearthwatch.pipeline.merging import fail
from hearthwatch.vision.boxes import Box
from scene import INSIDE, answer

BOX = INSIDE
WHOLE = Box(0, 0, 160, 120)
SIGN = extraction_of(["p"], answer("scene_text", WHOLE), {})


SET: dict[str, dict[str, Any]] = {
    "has_license_plates": {"license_plates": [answer("plate_ocr", BOX)]},
    "has_faces": {"faces": [answer("face_detector", BOX)]},
    "has_vision_extraction": {"vision_extraction": BatchExtractionResult([SIGN])},
    "has_household_matches": {"vehicle_household_matches": [HouseholdMatch("van", "vehicle", How.PLATE, 1.0, None)]},
    "has_reid_matches": {"person_reid_matches": {"p": [seen_before()]}},
    "has_scene_change": {"scene_change": SceneChangeResult(True, "turned")},
    "has_image_quality": {"image_quality": quality()},
    "has_quality_issues": {"image_quality": quality(tampering=True, reason="covered")},
    "has_violence": {"violence_detection": ViolenceDetectionResult(is_violent=True, confidence=0.9)},
    "has_weather": {"weather_classification": answer("weather_classifier", WHOLE)},
    "has_clothing_classifications": {"clothing_classifications": {"p": answer("fashion_clip", BOX)}},
    "has_suspicious_clothing": {
        "clothing_classifications": {"p": replace(answer("fashion_clip", BOX), is_suspicious=True)}
    },
    "has_vehicle_classifications": {"vehicle_classifications": {"c": answer("vehicle_classifier", BOX)}},
    "has_vehicle_damage": {"vehicle_damage": {"c": answer("vehicle_damage", BOX)}},
    "has_pet_classifications": {"pet_classifications": {"d": answer("pet_classifier", BOX)}},
    "has_pose_results": {"pose_results": {"p": answer("pose_estimator", BOX)}},
    "has_suspicious_poses": {"pose_results": {"p": PoseResult((), "crouching", 0.9, ("crouching",), BOX)}},
    "has_action_results": {"action_results": {"p": answer("action_recognizer", BOX)}},
    "has_depth_analysis": {"depth_analysis": DepthAnalysisResult()},
    "has_threats": {"threat_results": {"p": answer("threat_detector", BOX)}},
    "has_conflicts": {
        "conflicts": [Conflict("c", (Statement("detector", "car"), Statement("other", "none")), None, "rule", "")]
    },
}
#: What was looked at and is none of what the flag names.
UNSET: dict[str, dict[str, Any]] = {
    "has_vision_extraction": {"vision_extraction": BatchExtractionResult([extraction_of(["p"], None, {})])},
    "has_reid_matches": {"person_reid_matches": {"p": []}},
    "has_scene_change": {"scene_change": SceneChangeResult(None, "first picture")},
    "has_quality_issues": {"image_quality": quality()},
    "has_violence": {"violence_detection": ViolenceDetectionResult(is_violent=False, confidence=0.9)},
    "has_vehicle_damage": {"vehicle_damage": {"c": VehicleDamageResult()}},
    "has_suspicious_poses": {"pose_results": {"p": answer("pose_estimator", BOX)}},
    "has_suspicious_clothing": {"clothing_classifications": {"p": answer("fashion_clip", BOX)}},
    "has_threats": {"threat_results": {"p": ThreatResult()}},
}
FLAGS = sorted(name for name in vars(EnrichmentResult) if name.startswith("has_"))


@pytest.mark.parametrize("flag", FLAGS)
def test_nothing_sets_no_flag(flag: str) -> None:
    assert getattr(EnrichmentResult(), flag) is False


@pytest.mark.parametrize("flag", SET)
def test_what_a_flag_names_sets_it(flag: str) -> None:
    assert getattr(EnrichmentResult(**SET[flag]), flag) is True


@pytest.mark.parametrize("flag", UNSET)
def test_what_was_looked_for_in_vain_sets_none(flag: str) -> None:
    assert getattr(EnrichmentResult(**UNSET[flag]), flag) is False


def test_every_flag_is_tried() -> None:
    assert set(FLAGS) - SET.keys() == {"has_errors"}  # the last test


def test_a_failure_is_an_error() -> None:
    result = EnrichmentResult()
    fail(result, "p", InferenceFailed("broken"), "pose_estimator")
    assert result.has_errors
