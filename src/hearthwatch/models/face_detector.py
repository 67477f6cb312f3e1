"""Face detector: where faces are, with five landmarks.

Network  YuNet (Wu et al. 2023, "YuNet: A Tiny Millisecond-level Face Detector", MIR 20).
Weights  opencv/face_detection_yunet, MIT.
Input    the whole picture, letterboxed to 640 x 640, BGR, 0..255.
Output   per stride s of 8, 16, 32 and cell: cls_s and obj_s (scores), bbox_s (centre offset and log size), kps_s (five
         points), all relative to the cell, as OpenCV's FaceDetectorYN decodes them.
Limits   A face below about 10 px of the 640 is missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.boxes import Box, coverage, nms
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.letterbox import Letterbox

LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")
STRIDES = (8, 16, 32)
KINDS = ("cls", "obj", "bbox", "kps")
#: OpenCV's FaceDetectorYN defaults to 0.9 and 0.3; its Python demo of this file uses 0.9 too. 0.7 finds the faces of a
#: porch camera, which are small, and on `data/faces` adds none that is no face.
MIN_CONFIDENCE = 0.7
NMS_MAX_IOU = 0.3
#: A face belongs to a person when this share of it lies inside the person's box: hair and hats stand out.
MIN_COVERAGE = 0.6


@dataclass(frozen=True, slots=True)
class FaceResult:
    """One face.

    Attributes:
        bbox: xyxy in picture pixels.
        confidence: 0..1.
        landmarks: x, y in picture pixels, in the order of `LANDMARKS` (right is the person's right).
    """

    bbox: Box
    confidence: float
    landmarks: tuple[tuple[float, float], ...]

    def to_context_string(self) -> str:
        """One line."""
        return f"Face: visible (confidence: {self.confidence:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """One face as plain values."""
        return {
            "bbox": wire.xywh(self.bbox),
            "confidence": wire.share(self.confidence),
            "landmarks": [
                {"name": name, "x": wire.pixel(x), "y": wire.pixel(y)}
                for name, (x, y) in zip(LANDMARKS, self.landmarks, strict=False)
            ],
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One face read again."""
        landmarks = tuple((wire.number(row["x"]), wire.number(row["y"])) for row in told["landmarks"])
        return cls(wire.box(told["bbox"]), wire.number(told["confidence"]), landmarks)


@dataclass(frozen=True, slots=True)
class Faces:
    """All faces of one picture, most confident first."""

    faces: tuple[FaceResult, ...]

    def to_context_string(self) -> str:
        """One line."""
        return f"Faces: {len(self.faces)} visible"

    def to_wire(self) -> dict[str, Any]:
        """All of them."""
        return {"faces": [face.to_wire() for face in self.faces]}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """All of them read again."""
        return cls(tuple(map(FaceResult.from_wire, told["faces"])))


class LandmarkAnswer(wire.Answer):
    """One landmark."""

    name: str = Field(description=f"One of {', '.join(LANDMARKS)}; right is the person's right.")
    x: float | None = Field(description="Pixels of the picture that was sent, from the left.")
    y: float | None = Field(description="Pixels of the picture that was sent, from the top.")


class FaceAnswer(wire.Answer):
    """One face."""

    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    confidence: float | None = Field(description="0..1.")
    landmarks: list[LandmarkAnswer] = Field(description="Five points.")


class FacesAnswer(wire.Answer):
    """The faces of one picture."""

    faces: list[FaceAnswer] = Field(description="Most confident first.")


def _boxes(result: Faces) -> Float:
    return np.array([face.bbox for face in result.faces], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="face_detector",
    title="Face detector",
    scope=Scope.FRAME,
    priority=Priority.HIGH,
    triggers=("person",),
    declared_mb=10,
    input=InputSpec("input", (640, 640), color="BGR", resize="letterbox"),
    agreement=Agreement("IoU of the boxes", 0.85, lambda a, b: same_boxes(_boxes(a), _boxes(b))),
    aliases=("yunet",),
)


class FaceAdapter(ImageNetwork[Faces]):
    """YuNet: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = FaceResult
    RESPONSE = FacesAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        present = {tensor.name for tensor in description.graph.outputs}
        needed = {f"{kind}_{stride}" for kind in KINDS for stride in STRIDES}
        if missing := sorted(needed - present):
            raise WeightsInvalid(f"{description.graph.path.name} is no YuNet: it has no output {', '.join(missing)}")
        if any(side % STRIDES[-1] for side in description.input.size):
            raise WeightsInvalid(f"YuNet's input must be a multiple of {STRIDES[-1]} px; got {description.input.size}")

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[Faces]:
        """The twelve outputs for N pictures to N lists of faces, in picture pixels."""
        return [self._faces(outputs, index, image) for index, image in enumerate(images)]

    def associate(self, result: Faces, boxes: Sequence[Box]) -> Sequence[FaceResult | None]:
        """The most confident face inside each person's box, each face once, to the box that it sits highest in."""
        answers: list[FaceResult | None] = [None] * len(boxes)
        if not result.faces or not boxes:
            return answers
        inside = coverage(_boxes(result), np.array(boxes, np.float32))
        for face, shares in zip(result.faces, inside, strict=True):
            owners = [i for i, share in enumerate(shares) if share >= MIN_COVERAGE and answers[i] is None]
            if owners:
                # Of two people one behind the other, a face is where a head is: near the top and middle of its box.
                answers[min(owners, key=lambda i: _head_distance(face.bbox, boxes[i]))] = face
        return answers

    def _faces(self, outputs: Tensors, index: int, image: Image) -> Faces:
        parts = [_decode_stride(outputs, index, stride, self.input.size) for stride in STRIDES]
        boxes, points, scores = (np.concatenate([part[i] for part in parts]) for i in range(3))
        order = nms(boxes, scores, max_iou=NMS_MAX_IOU)
        letterbox = Letterbox.fit(image.region, self.input.size)
        corners = letterbox.boxes_to_picture(boxes[order]).tolist()
        marks = letterbox.to_picture(points[order]).tolist()
        return Faces(
            tuple(
                FaceResult(Box(*box), score, tuple((x, y) for x, y in five))
                for box, score, five in zip(corners, scores[order].tolist(), marks, strict=True)
            )
        )


def _decode_stride(outputs: Tensors, index: int, stride: int, size: tuple[int, int]) -> tuple[Float, Float, Float]:
    """One picture's faces of one stride: boxes (F, 4) xyxy, points (F, 5, 2), input pixels, and scores (F,)."""
    cls, obj, bbox, kps = (np.asarray(outputs[f"{kind}_{stride}"][index], np.float32) for kind in KINDS)
    scores = np.sqrt(np.clip(cls[:, 0], 0, 1) * np.clip(obj[:, 0], 0, 1))
    kept = np.flatnonzero(scores >= MIN_CONFIDENCE)
    y, x = np.divmod(kept, size[1] // stride)
    cells = np.stack([x, y], axis=-1).astype(np.float32)
    center = (cells + bbox[kept, :2]) * stride
    # exp of a wild logit would overflow; no face is larger than the input
    half = np.exp(np.clip(bbox[kept, 2:], None, np.log(max(size) / stride))) * (stride / 2)
    points = (cells[:, None, :] + kps[kept].reshape(-1, 5, 2)) * stride
    return np.concatenate([center - half, center + half], axis=-1), points, scores[kept]


def _head_distance(face: Box, person: Box) -> float:
    """How far a face is from where a person's head is, in units of the person's height."""
    dx = (face.x1 + face.x2 - person.x1 - person.x2) / 2
    return float(np.hypot(dx, face.y1 - person.y1) / max(person.height, 1.0))


class FaceDetector(Model[Faces]):
    """Find faces: `FaceDetector().detect("photo.jpg")`."""

    ADAPTER = FaceAdapter

    def detect(self, image: PictureLike) -> list[FaceResult]:
        """Faces of one picture, most confident first."""
        return list(self._predict([image])[0].faces)
