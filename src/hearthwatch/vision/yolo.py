"""YOLO heads: raw output arrays to boxes, scores and class indices.

Two heads are in use. The *classic* one of YOLOv8 and YOLO11 (and of YOLO26 exported with its one-to-many head) is
(N, 4 + classes + extra, anchors): cx, cy, w, h in input pixels, one probability per class, then what the task adds (17
key points of x, y, confidence for pose). It overlaps itself and needs NMS. The *end-to-end* one of YOLO26 and YOLOv10
is (N, 300, 6 + extra): x1, y1, x2, y2 in input pixels, score, class index, and needs none.

Written from the exporter's public documentation and from the shapes and values of the files themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.boxes import nms
from hearthwatch.vision.image import Float, Ids
from hearthwatch.vision.letterbox import Letterbox

#: Overlap above which the weaker of two boxes of one class goes: the exporter's documented default.
NMS_MAX_IOU = 0.7
#: Candidates that reach NMS, best first: the exporter's default is 30,000; a picture of a garden has a few hundred.
MAX_CANDIDATES = 2000
#: Detections of one picture at most, as in the end-to-end head.
MAX_DETECTIONS = 300


@dataclass(frozen=True, slots=True)
class YoloHead:
    """Which head an output has.

    Attributes:
        end_to_end: boxes are final, one row each.
        classes: number of classes.
        extra: numbers per detection behind the score (51 for 17 key points).
    """

    end_to_end: bool
    classes: int
    extra: int = 0

    @classmethod
    def of(cls, shape: tuple[int | None, ...], *, names: int, extra: int, file: str) -> YoloHead:
        """Recognise the head by the shape of the graph's output.

        Args:
            shape: (batch, channels, anchors) or (batch, detections, columns); None where dynamic.
            names: number of class names that the file carries; 0 where it carries none.
            extra: numbers per detection that the task adds.
            file: for the message.

        Raises:
            WeightsInvalid: neither head, or another number of classes than the file names.
        """
        if len(shape) == 3 and shape[2] == 6 + extra:
            return cls(True, names or 1, extra)
        channels = shape[1] if len(shape) == 3 else None
        classes = names or (0 if channels is None else channels - 4 - extra)
        # Without names any number of channels would do; then one above the anchors shows that the axes are swapped.
        swapped = not names and channels is not None and shape[2] is not None and channels > shape[2]
        if channels is None or classes < 1 or channels != 4 + classes + extra or swapped:
            shown = " x ".join("any" if side is None else str(side) for side in shape)
            task = f"{names or 'any number of'} classes and {extra} further numbers"
            raise WeightsInvalid(
                f"{file}: its output of {shown} is no YOLO head with {task}: "
                f"neither (batch, {4 + classes + extra if names else '4 + classes'}, anchors) "
                f"nor (batch, detections, {6 + extra})"
            )
        return cls(False, classes, extra)


@dataclass(frozen=True, slots=True)
class YoloDetections:
    """Detections of one picture, best first.

    Attributes:
        boxes: (N, 4) xyxy in input pixels.
        scores: (N,) in 0..1.
        class_ids: (N,) int64.
        extra: (N, extra), as the head has it, key points in input pixels.
    """

    boxes: Float
    scores: Float
    class_ids: Ids
    extra: Float

    def in_picture(self, letterbox: Letterbox) -> YoloDetections:
        """The same with boxes in picture pixels; what lies in the padding alone is gone. `extra` stays as it is."""
        boxes = letterbox.boxes_to_picture(self.boxes)
        seen = np.flatnonzero(((boxes[:, 2:] - boxes[:, :2]) > 0).all(axis=1))
        return YoloDetections(boxes[seen], self.scores[seen], self.class_ids[seen], self.extra[seen])


def decode_yolo(raw: Float, head: YoloHead, *, min_confidence: float) -> YoloDetections:
    """One picture's raw output to its detections.

    Args:
        raw: (4 + classes + extra, anchors) or (detections, 6 + extra).
        head: as recognised.
        min_confidence: detections at or above it stay.
    """
    return _end_to_end(raw, min_confidence) if head.end_to_end else _classic(raw, head, min_confidence)


def _classic(raw: Float, head: YoloHead, min_confidence: float) -> YoloDetections:
    probabilities = raw[4 : 4 + head.classes]
    # The maximum first, on the array as it lies: an argmax over all 8400 anchors costs five times as much.
    best = probabilities.max(axis=0)
    candidates = np.flatnonzero(best >= min_confidence)
    if len(candidates) > MAX_CANDIDATES:
        candidates = candidates[np.argsort(-best[candidates], kind="stable")[:MAX_CANDIDATES]]
    kept = raw[:, candidates]
    scores, class_ids = best[candidates], kept[4 : 4 + head.classes].argmax(axis=0)
    center, half = kept[0:2].T, kept[2:4].T / 2
    boxes = np.concatenate([center - half, center + half], axis=1)
    order = nms(boxes, scores, class_ids, max_iou=NMS_MAX_IOU)[:MAX_DETECTIONS]
    return YoloDetections(boxes[order], scores[order], class_ids[order], kept[4 + head.classes :].T[order])


def _end_to_end(raw: Float, min_confidence: float) -> YoloDetections:
    kept = raw[raw[:, 4] >= min_confidence]
    kept = kept[np.argsort(-kept[:, 4], kind="stable")][:MAX_DETECTIONS]
    return YoloDetections(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.int64), kept[:, 6:])
