"""License plate detector: where plates are in a picture.

Network  YOLO26n or YOLO11n with one class, either head.
Weights  a plate detector's ONNX export; AGPL-3.0 for those that are known to us.
Input    the whole picture, letterboxed to 640 x 640, RGB, 0..1.
Output   as `yolo26`.
Limits   A plate below about 40 px of width is found, but its text cannot be read.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.models.yolo26 import Detection, Detections, YoloNetwork
from hearthwatch.vision.boxes import Box, coverage
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float
from hearthwatch.vision.inputs import InputSpec

#: A plate belongs to a vehicle when this share of it lies inside the vehicle's box; detectors cut bumpers off.
MIN_COVERAGE = 0.7


def _boxes(result: Detections) -> Float:
    return np.array([d.box for d in result.detections if d.confidence >= 0.5], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="license_plate_detector",
    title="License plate detector",
    scope=Scope.FRAME,
    priority=Priority.MEDIUM,
    triggers=("car", "truck", "bus", "motorcycle"),
    declared_mb=300,
    input=InputSpec("images", (640, 640), scale=1 / 255, resize="letterbox"),
    agreement=Agreement("IoU of the boxes", 0.85, lambda a, b: same_boxes(_boxes(a), _boxes(b))),
    aliases=("plate_detector", "license_plate"),
)


class PlateDetectorAdapter(YoloNetwork):
    """Plates of a picture; each belongs to the vehicle that covers it best."""

    SPEC = SPEC

    def associate(self, result: Detections, boxes: Sequence[Box]) -> Sequence[Detection | None]:
        """The most confident plate inside each vehicle's box, or None."""
        best: list[Detection | None] = [None] * len(boxes)
        if not result.detections or not boxes:
            return best
        inside = coverage(np.array([d.box for d in result.detections], np.float32), np.array(boxes, np.float32))
        for plate, shares in zip(result.detections, inside, strict=True):  # best first
            owner = _owner(shares, boxes)
            if owner is not None and best[owner] is None:
                best[owner] = plate
        return best


def _owner(shares: Float, boxes: Sequence[Box]) -> int | None:
    """The smallest vehicle that covers the plate: a box that holds another car's plate holds its own car too."""
    covering = [index for index, share in enumerate(shares) if share >= MIN_COVERAGE]
    return min(covering, key=lambda index: boxes[index].area, default=None)


class LicensePlateDetector(Model[Detections]):
    """Find plates: `LicensePlateDetector().detect("car.jpg")`."""

    ADAPTER = PlateDetectorAdapter

    def detect(self, image: PictureLike, confidence: float = 0.5) -> list[Detection]:
        """Plates of one picture at or above a confidence, best first."""
        return [d for d in self._predict([image])[0].detections if d.confidence >= confidence]
