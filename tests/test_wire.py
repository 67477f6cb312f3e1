"""Results on the wire: the keys that the contract documents, rounded as it says, and nothing that JSON cannot say."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest

from hearthwatch.adapter import wire
from hearthwatch.models import Detection, Keypoint, PoseResult, ReIDResult
from hearthwatch.models.person_reid import ReIDAnswer
from hearthwatch.models.pose_estimator import PoseAdapter, Poses, PosesAnswer
from hearthwatch.models.yolo26 import Detections, DetectionsAnswer
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import embedding_hash

ADA = PoseResult((Keypoint("nose", 1.26, 2.34, 0.98765),), "crouching", 0.9, ("crouching",), Box(1, 2, 11, 22))
BOB = PoseResult((), "standing", 0.4, (), Box(50, 2, 61, 22))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, None])
def test_what_json_cannot_say_is_null(value: float | None) -> None:
    assert (wire.pixel(value), wire.share(value), wire.finite(value)) == (None, None, None)


def test_coordinates_have_one_decimal_confidences_four_and_others_all() -> None:
    assert (wire.pixel(1.26), wire.share(0.123456), wire.finite(0.123456789)) == (1.3, 0.1235, 0.123456789)
    assert wire.xywh(Box(1.04, 2, 4, 8)) == {"x": 1.0, "y": 2.0, "width": 3.0, "height": 6.0}
    assert wire.xyxy(Box(1.04, 2, 4, 8)) == [1.0, 2.0, 4.0, 8.0]


def test_numbers_of_arrays_become_plain_ones() -> None:
    assert type(wire.share(float(np.float32(0.5)))) is float
    assert orjson.dumps({"x": wire.pixel(float(np.float32(0.3)))}) == b'{"x":0.3}'


def test_a_pose_answers_with_the_surest_person_and_lists_everybody() -> None:
    answer = Poses((ADA, BOB)).to_wire()
    assert answer["keypoints"] == [{"name": "nose", "x": 1.3, "y": 2.3, "confidence": 0.9877}]
    assert (answer["posture"], answer["pose_class"], answer["alerts"]) == ("crouching", "crouching", ["crouching"])
    assert (answer["is_suspicious"], answer["confidence"]) == (True, 0.9)
    assert [person["posture"] for person in answer["persons"]] == ["crouching", "standing"]
    assert PosesAnswer.model_validate(answer).model_dump() == answer


def test_nobody_is_an_answer_and_so_is_one_persons_part() -> None:
    for answer in (Poses(()).to_wire(), PoseAdapter.for_one_box(None).to_wire()):
        assert (answer["keypoints"], answer["posture"], answer["confidence"]) == ([], "unknown", 0.0)
        assert PosesAnswer.model_validate(answer).persons == []
    assert PosesAnswer.model_validate(ADA.to_wire()).posture == "crouching"


def test_a_call_may_ask_for_surer_persons() -> None:
    assert Poses((ADA, BOB)).at_least(0.5) == Poses((ADA,))


def test_detections_are_rows_of_class_confidence_and_box() -> None:
    answer = Detections((Detection("car", 0.87654, Box(1, 2, 4, 8)),)).to_wire()
    box = {"x": 1.0, "y": 2.0, "width": 3.0, "height": 6.0}
    assert answer == {"detections": [{"class": "car", "confidence": 0.8765, "bbox": box}]}
    assert DetectionsAnswer.model_validate(answer).model_dump(by_alias=True) == answer


def test_an_embedding_goes_out_whole_with_its_hash_and_its_space() -> None:
    vector = np.zeros(512, np.float32)
    vector[3] = 1
    answer = ReIDResult(vector, space="osnet").to_wire()
    read = ReIDAnswer.model_validate(orjson.loads(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)))
    assert (read.embedding_dim, read.space) == (512, "osnet")
    assert read.embedding_hash == embedding_hash(np.array(read.embedding, np.float32))
