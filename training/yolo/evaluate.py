"""How good a network's boxes are on pictures that it has not seen: mean average precision, as VOC counts it since 2010.

numpy alone: the tests measure the finished files with it, without torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.vision.boxes import coverage, iou
from hearthwatch.vision.image import Float, Ids
from training.yolo.examples import Example

#: A find is right where it overlaps its object by so much.
MATCH_IOU = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What was found in one picture: (n, 4) xyxy in picture pixels, (n,) class indices, (n,) confidences."""

    boxes: Float
    classes: Ids
    confidences: Float


def mean_average_precision(pairs: Iterable[tuple[Example, Found]], names: Sequence[str]) -> dict[str, float]:
    """`mAP50`, and `AP50 NAME` of each class that the pictures have.

    Args:
        pairs: each picture's truth and what was found.
        names: of the classes, by index.
    """
    everything = list(pairs)
    each = {
        name: precision
        for index, name in enumerate(names)
        if (precision := _average_precision(everything, index)) is not None
    }
    mean = float(np.mean(list(each.values()))) if each else 0.0
    return {"mAP50": mean} | {f"AP50 {name}": value for name, value in each.items()}


def match(found: Float, confidences: Float, truth: Float, min_iou: float = MATCH_IOU) -> Ids:
    """For each find the index of its object, -1 for none; the most confident choose first, an object has one find.

    Args:
        found: (n, 4).
        confidences: (n,).
        truth: (m, 4).
        min_iou: least overlap.
    """
    owner = np.full(len(found), -1, np.int64)
    if not len(found) or not len(truth):
        return owner
    overlaps = iou(found, truth)
    for index in np.argsort(-confidences, kind="stable"):
        best = int(overlaps[index].argmax())
        if overlaps[index, best] >= min_iou:
            owner[index] = best
            overlaps[:, best] = 0.0
    return owner


def _average_precision(pairs: Sequence[tuple[Example, Found]], class_id: int) -> float | None:
    """Of one class; None where no picture has it."""
    count, confidences, rights = 0, [np.zeros(0, np.float32)], [np.zeros(0, bool)]
    for example, found in pairs:
        truth = example.boxes[example.classes == class_id]
        mine = found.classes == class_id
        boxes, sure = found.boxes[mine], found.confidences[mine]
        right = match(boxes, sure, truth) >= 0
        # What is there but was not asked for is neither right nor wrong.
        counted = right | ~_beside_the_point(boxes, example.ignore)
        count += len(truth)
        confidences.append(sure[counted])
        rights.append(right[counted])
    if count == 0:
        return None
    order = np.argsort(-np.concatenate(confidences), kind="stable")
    hits = np.cumsum(np.concatenate(rights)[order])
    recall, precision = hits / count, hits / np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * best))


def _beside_the_point(boxes: Float, ignored: Float) -> np.ndarray:
    if not len(boxes) or not len(ignored):
        return np.zeros(len(boxes), bool)
    return np.maximum(iou(boxes, ignored), coverage(boxes, ignored)).max(axis=1) >= MATCH_IOU
