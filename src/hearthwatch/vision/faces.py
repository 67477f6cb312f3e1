"""Which part of a picture is a person's face: what the caller says, else the head's joints, else a face detector.

There is no fourth way: where none of them shows a face, there is none, with the reason. The upper quarter of a person's
box is a hat, a back of a head or a wall often enough.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS

Source = Literal["face_bbox", "keypoints", "face_detector"]
#: A joint below it is a guess of the pose network.
MIN_JOINT = 0.5
#: Fewer pixels across show no age: the Open Model Zoo's network looks at 62 x 62.
MIN_FACE_PX = 20.0
#: A face from its joints: medians over 68 faces of photographs for which YuNet gave a box and YOLOv8n-pose nose and
#: eyes. The eyes are 0.41 of the face's width apart, the nose 0.23 of it below them, the face is 1.27 times as high as
#: wide, and 0.37 of it lies above the eyes. Such boxes have an IoU with YuNet's of 0.64 in the median, and of more than
#: 0.5 for 88 %.
_EYES_APART, _NOSE_BELOW, _HEIGHT, _ABOVE_EYES = 0.41, 0.23, 1.27, 0.37
_NOSE, _EYES = COCO_KEYPOINTS.index("nose"), slice(1, 3)


@dataclass(frozen=True, slots=True)
class Face:
    """Where a face is, in picture pixels, and who said so."""

    bbox: Box
    source: Source


@dataclass(frozen=True, slots=True)
class NoFace:
    """There is none, and why, as a sentence's end."""

    reason: str


def find_face(
    *, face_bbox: Box | None = None, keypoints: Float | None = None, detected: Box | None = None
) -> Face | NoFace:
    """The face of one person.

    Args:
        face_bbox: as the caller says it.
        keypoints: (17, 3) x, y, confidence of the person in COCO's order; None or (0, 3) where there is no skeleton.
        detected: what a face detector found inside the person's box; None where it found nothing or was not asked.
    """
    seen = head_box(keypoints) if keypoints is not None else None
    candidates: tuple[tuple[Box | None, Source], ...] = (
        (face_bbox, "face_bbox"),
        (seen, "keypoints"),
        (detected, "face_detector"),
    )
    found = [Face(box, source) for box, source in candidates if box is not None]
    if not found:
        return NoFace("no face was sent, the head's joints show none, and the face detector found none")
    face = found[0]
    if max(face.bbox.width, face.bbox.height) < MIN_FACE_PX:
        size = f"{face.bbox.width:.0f} x {face.bbox.height:.0f}"
        return NoFace(f"the face has {size} px, and at least {MIN_FACE_PX:.0f} are needed")
    return face


def head_box(keypoints: Float) -> Box | None:
    """Where a face is that looks at the camera, from nose, eyes and ears; None where these do not show one.

    Nose and both eyes must be seen. A head from behind shows ears alone, one from the side a single eye.
    """
    if keypoints.shape != (len(COCO_KEYPOINTS), 3) or not np.isfinite(keypoints[:5]).all():
        return None
    if keypoints[:3, 2].min() < MIN_JOINT:
        return None
    nose, eyes = keypoints[_NOSE, :2], keypoints[_EYES, :2]
    middle = eyes.mean(axis=0)
    apart, below = float(np.linalg.norm(eyes[1] - eyes[0])), float(np.linalg.norm(nose - middle))
    # Of a head that is turned, the eyes come together and the nose stays as far below them.
    width = max(apart / _EYES_APART, below / _NOSE_BELOW)
    if width <= 0:
        return None
    x, y, height = float(middle[0]), float(middle[1]), _HEIGHT * width
    return Box(x - width / 2, y - _ABOVE_EYES * height, x + width / 2, y + (1 - _ABOVE_EYES) * height)
