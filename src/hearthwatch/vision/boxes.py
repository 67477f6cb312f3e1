"""Boxes: xyxy, float, absolute picture pixels; x grows right, y grows down.

Arrays are (N, 4) float32. A box of zero width or height has area 0 and overlaps nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import NamedTuple

import numpy as np

from hearthwatch.errors import BadBox
from hearthwatch.vision.image import Float, Ids


class Box(NamedTuple):
    """One box, xyxy in picture pixels."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    def as_xywh(self) -> dict[str, float]:
        """`{x, y, width, height}`, the form of the wire."""
        return {"x": self.x1, "y": self.y1, "width": self.width, "height": self.height}


def parse_box(value: Sequence[float] | Mapping[str, float]) -> Box:
    """`[x1, y1, x2, y2]`, `{x1, y1, x2, y2}` or `{x, y, width, height}` to a `Box`.

    Raises:
        BadBox: another form, a number that is not finite, or an inverted or empty box.
    """
    if isinstance(value, Mapping):
        if {"x1", "y1", "x2", "y2"} <= value.keys():
            numbers = [value[key] for key in ("x1", "y1", "x2", "y2")]
        elif {"x", "y", "width", "height"} <= value.keys():
            numbers = [value["x"], value["y"], _sum(value["x"], value["width"]), _sum(value["y"], value["height"])]
        else:
            raise BadBox(f"box {dict(value)} has neither x1, y1, x2, y2 nor x, y, width, height")
    else:
        try:
            numbers = list(value)
        except TypeError as error:
            raise BadBox(f"box {value!r} is neither a list of four numbers nor an object with named sides") from error
    if len(numbers) != 4 or not all(_is_number(n) for n in numbers):
        raise BadBox(f"box {value!r} is not four finite numbers")
    box = Box(*(float(n) for n in numbers))
    if box.width <= 0 or box.height <= 0:
        raise BadBox(f"box {list(box)} is empty or inverted: x2 must exceed x1 and y2 must exceed y1")
    if not math.isfinite(box.area):
        raise BadBox(f"box {list(box)} is too large to compute with")
    return box


def clamp_box(box: Box, width: float, height: float) -> Box:
    """The part of the box inside a picture of that size.

    Raises:
        BadBox: no part of it is.
    """
    clamped = Box(max(box.x1, 0.0), max(box.y1, 0.0), min(box.x2, width), min(box.y2, height))
    if clamped.width <= 0 or clamped.height <= 0:
        raise BadBox(f"box {list(box)} lies outside the picture of {width:g} x {height:g} px")
    return clamped


def expand_box(box: Box, margin: float) -> Box:
    """Widened by `margin` of its width at the left and right, and of its height at the top and bottom."""
    dx, dy = box.width * margin, box.height * margin
    return Box(box.x1 - dx, box.y1 - dy, box.x2 + dx, box.y2 + dy)


def iou(a: Float, b: Float) -> Float:
    """Intersection over union of every pair: (N, 4) and (M, 4) to (N, M) in 0..1."""
    inter, area_a, area_b = _intersections(a, b)
    union = area_a[:, None] + area_b[None, :] - inter
    ratio: Float = np.divide(inter, union, out=np.zeros_like(inter), where=union > 0)
    return ratio


def coverage(a: Float, b: Float) -> Float:
    """Share of each box of `a` that lies inside each box of `b`: (N, 4) and (M, 4) to (N, M) in 0..1."""
    inter, area_a, _ = _intersections(a, b)
    whole = np.broadcast_to(area_a[:, None], inter.shape)
    share: Float = np.divide(inter, whole, out=np.zeros_like(inter), where=whole > 0)
    return share


def nms(boxes: Float, scores: Float, class_ids: Ids | None = None, *, max_iou: float) -> list[int]:
    """Greedy non-maximum suppression: indices that stay, best score first.

    Args:
        boxes: (N, 4) xyxy.
        scores: (N,).
        class_ids: (N,); boxes of different classes never suppress each other. None: one class.
        max_iou: a box that overlaps a better one by more than this goes.
    """
    # Not cv2.dnn.NMSBoxes: it rounds boxes to integers in some versions, and ties would depend on its sort.
    order = np.argsort(-scores, kind="stable")
    overlaps = iou(boxes, boxes) > max_iou
    if class_ids is not None:
        overlaps &= class_ids[:, None] == class_ids[None, :]
    kept: list[int] = []
    gone = np.zeros(len(boxes), dtype=bool)
    for index in order.tolist():
        if not gone[index]:
            kept.append(index)
            gone |= overlaps[index]
    return kept


def _intersections(a: Float, b: Float) -> tuple[Float, Float, Float]:
    # Side by side and not with np.prod over an axis of two, which takes three times as long.
    width = np.minimum(a[:, None, 2], b[None, :, 2]) - np.maximum(a[:, None, 0], b[None, :, 0])
    height = np.minimum(a[:, None, 3], b[None, :, 3]) - np.maximum(a[:, None, 1], b[None, :, 1])
    return np.maximum(width, 0) * np.maximum(height, 0), _areas(a), _areas(b)


def _areas(boxes: Float) -> Float:
    areas: Float = np.maximum(boxes[:, 2] - boxes[:, 0], 0) * np.maximum(boxes[:, 3] - boxes[:, 1], 0)
    return areas


def _sum(a: object, b: object) -> float:
    return float(a) + float(b) if _is_number(a) and _is_number(b) else math.nan  # type: ignore[arg-type]


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False
