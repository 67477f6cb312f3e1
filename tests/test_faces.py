"""Whose word counts for where a face is, and when there is none."""

from __future__ import annotations

import numpy as np
import pytest

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.faces import MIN_FACE_PX, Face, NoFace, find_face, head_box
from hearthwatch.vision.image import Float

SENT, DETECTED = Box(10, 10, 50, 60), Box(200, 10, 250, 70)


def skeleton(nose: tuple[float, float] = (100, 112), apart: float = 20, confidence: float = 0.9) -> Float:
    """A head that looks at the camera: eyes 12 px above the nose."""
    points = np.zeros((17, 3), np.float32)
    x, y = nose
    points[0] = x, y, confidence
    points[1] = x + apart / 2, y - 12, confidence
    points[2] = x - apart / 2, y - 12, confidence
    points[3], points[4] = (x + apart, y - 10, confidence), (x - apart, y - 10, confidence)
    return points


def test_the_caller_comes_first_then_the_joints_then_the_detector() -> None:
    joints = skeleton()
    found = find_face(face_bbox=SENT, keypoints=joints, detected=DETECTED)
    assert found == Face(SENT, "face_bbox")
    found = find_face(keypoints=joints, detected=DETECTED)
    assert isinstance(found, Face)
    assert (found.source, found.bbox) == ("keypoints", head_box(joints))
    assert find_face(detected=DETECTED) == Face(DETECTED, "face_detector")
    assert find_face(keypoints=np.zeros((0, 3), np.float32), detected=DETECTED) == Face(DETECTED, "face_detector")


def test_without_any_there_is_none_and_a_reason() -> None:
    found = find_face()
    assert isinstance(found, NoFace)
    assert "no face was sent" in found.reason


@pytest.mark.parametrize("source", ["face_bbox", "detected"])
def test_a_face_of_a_few_pixels_is_none_with_its_size(source: str) -> None:
    small = Box(0, 0, MIN_FACE_PX - 5, MIN_FACE_PX - 1)
    found = find_face(
        face_bbox=small if source == "face_bbox" else None, detected=small if source == "detected" else None
    )
    assert found == NoFace("the face has 15 x 19 px, and at least 20 are needed")


def test_a_box_around_the_head_holds_eyes_and_nose_and_stands_upright() -> None:
    box = head_box(skeleton())
    assert box is not None
    eyes_and_nose = skeleton()[:3, :2]
    assert (eyes_and_nose > (box.x1, box.y1)).all()
    assert (eyes_and_nose < (box.x2, box.y2)).all()
    assert box.height > box.width
    assert (box.x1 + box.x2) / 2 == pytest.approx(100)


def test_a_head_that_is_turned_keeps_its_size() -> None:
    front, turned = head_box(skeleton()), head_box(skeleton(apart=4))
    assert front is not None
    assert turned is not None
    assert turned.width > 0.7 * front.width


def test_the_box_grows_with_the_head_and_moves_with_it() -> None:
    near, far = skeleton(), skeleton()
    near[:, :2] *= 3
    boxes = head_box(near), head_box(far)
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert [side / 3 for side in boxes[0]] == pytest.approx(list(boxes[1]), rel=1e-5)


@pytest.mark.parametrize("hidden", [0, 1, 2], ids=["nose", "left eye", "right eye"])
def test_a_head_that_does_not_show_nose_and_both_eyes_is_no_face(hidden: int) -> None:
    joints = skeleton()
    joints[hidden, 2] = 0.2
    assert head_box(joints) is None
    assert isinstance(find_face(keypoints=joints), NoFace)


def test_joints_that_are_no_numbers_or_all_at_one_place_are_no_face() -> None:
    joints = skeleton()
    joints[:5, :2] = 50
    assert head_box(joints) is None
    joints[1, 0] = np.nan
    assert head_box(joints) is None
    assert head_box(np.zeros((5, 3), np.float32)) is None
