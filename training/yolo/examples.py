"""`Example`: one picture and what a YOLO network is to find in it; and how pictures are shown to it in training."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.image import Float, Ids, UInt8
from hearthwatch.vision.keypoints import FLIP
from hearthwatch.vision.letterbox import PAD_GREY
from training.scenes.labels import Person, Thing

Generator = np.random.Generator
#: Of an object, inside the view; one that is cut off more is not asked for.
LEAST_IN_VIEW = 0.35
#: Shown noise is cut out of one picture of it, which is faster than drawing it anew.
_NOISE_SIDE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One picture with its objects.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        boxes: (n, 4) xyxy in pixels.
        classes: (n,).
        ignore: (m, 4) boxes of what is there but not asked for: hidden too much, or tiny.
        keypoints: (n, 17, 3) x, y, visibility; None where nobody has any.
    """

    pixels: UInt8
    boxes: Float
    classes: Ids
    ignore: Float
    keypoints: Float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """How a picture is shown in training.

    Attributes:
        size: (height, width) that the network sees at once.
        zoom: least and largest size of things, relative to that in the picture.
        focus: share of views that have an object in them on purpose, where the picture has one.
        flip: share of mirrored views.
        least_px: an object that is smaller than a square of this side in the view is not asked for.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.75, 1.35)
    focus: float = 0.8
    flip: float = 0.5
    least_px: float = 6.0


def example_of(
    pixels: UInt8,
    things: Sequence[tuple[int, Thing]],
    *,
    least_px: float,
    least_visible: float,
    keypoints: bool = False,
) -> Example:
    """A picture's example.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        things: class index and label of each.
        least_px: things that are smaller than a square of this side are not asked for.
        least_visible: nor are those of whom less can be seen.
        keypoints: the things are people, and their joints are learned.
    """
    asked = [
        (class_id, thing)
        for class_id, thing in things
        if thing.visible >= least_visible and thing.box.area >= least_px**2
    ]
    chosen = {id(thing) for _, thing in asked}
    joints = [thing.keypoints for _, thing in asked if isinstance(thing, Person)] if keypoints else []
    return Example(
        pixels,
        _boxes([thing for _, thing in asked]),
        np.array([class_id for class_id, _ in asked], np.int64),
        _boxes([thing for _, thing in things if id(thing) not in chosen]),
        np.array(joints, np.float32).reshape(-1, len(FLIP), 3) if keypoints else None,
    )


def _boxes(things: Sequence[Thing]) -> Float:
    return np.array([thing.box for thing in things], np.float32).reshape(-1, 4)


def shown(examples: Sequence[Example], view: View, rng: Generator) -> list[Example]:
    """One view of a picture: cut, scaled, perhaps mirrored, in another light. Colours keep their meaning.

    Args:
        examples: of the same picture, each with what another network is to find.
        view: how it is shown.
        rng: decides.

    Returns:
        The examples in the view, in their order.
    """
    pixels = examples[0].pixels
    scale, shift = _placing(examples, view, rng)
    height, width = view.size
    # Coordinates count from pixels' corners, warpAffine counts from their centres.
    offset = 0.5 * scale - 0.5
    matrix = np.array([[scale, 0, shift[0] + offset], [0, scale, shift[1] + offset]], np.float64)
    seen = cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD_GREY,) * 3)
    flipped = rng.random() < view.flip
    lit = _relit(np.ascontiguousarray(seen[:, ::-1] if flipped else seen, np.uint8), rng)
    return [_in_view(lit, _moved(example, scale, shift, width if flipped else None), view) for example in examples]


def _placing(examples: Sequence[Example], view: View, rng: Generator) -> tuple[float, tuple[float, float]]:
    """Scale, and where the picture's corner comes to lie in the view."""
    height, width = examples[0].pixels.shape[:2]
    low, high = np.log(view.zoom)
    scale = float(np.exp(rng.uniform(low, high)))
    target = _target(examples, rng) * scale if rng.random() < view.focus else None
    shift = []
    for axis, (side, room) in enumerate(((width * scale, view.size[1]), (height * scale, view.size[0]))):
        if side <= room:
            # Centred in use; here anywhere.
            shift.append(rng.uniform(0, room - side))
        elif target is None or np.isnan(target[axis]):
            shift.append(rng.uniform(room - side, 0))
        else:
            wanted = rng.uniform(0.15, 0.85) * room - target[axis]
            shift.append(float(np.clip(wanted, room - side, 0)))
    return scale, (float(shift[0]), float(shift[1]))


def _target(examples: Sequence[Example], rng: Generator) -> Float:
    """x and y of the middle of some object; NaN without one. Each network's objects have the same chance."""
    some = [example for example in examples if len(example.boxes)]
    if not some:
        return np.full(2, np.nan, np.float32)
    boxes = some[rng.integers(len(some))].boxes
    middle: Float = boxes[rng.integers(len(boxes))].reshape(2, 2).mean(axis=0)
    return middle


def _moved(example: Example, scale: float, shift: tuple[float, float], mirror: int | None) -> Example:
    """The labels where the picture went; `mirror` is the view's width where it is mirrored."""
    corner = np.array(shift, np.float32)
    boxes, ignore = (boxes * np.float32(scale) + np.tile(corner, 2) for boxes in (example.boxes, example.ignore))
    keypoints = example.keypoints
    if keypoints is not None:
        keypoints = keypoints.copy()
        keypoints[..., :2] = keypoints[..., :2] * np.float32(scale) + corner
    if mirror is not None:
        for some in (boxes, ignore):
            some[:, [0, 2]] = mirror - some[:, [2, 0]]
        if keypoints is not None:
            keypoints = keypoints[:, list(FLIP)]
            keypoints[..., 0] = mirror - keypoints[..., 0]
    return Example(example.pixels, boxes, example.classes, ignore, keypoints)


def _in_view(pixels: UInt8, moved: Example, view: View) -> Example:
    """What is left of the objects: cut at the view's edges, and too little of one is ignored."""
    height, width = view.size
    limits = np.array([width, height, width, height], np.float32)
    cut, ignored = (np.clip(boxes, 0, limits) for boxes in (moved.boxes, moved.ignore))
    left = _areas(cut)
    there = left > 0
    asked = there & (left >= np.maximum(LEAST_IN_VIEW * _areas(moved.boxes), view.least_px**2))
    keypoints = moved.keypoints
    if keypoints is not None:
        keypoints = keypoints[asked]
        outside = (keypoints[..., :2] < 0) | (keypoints[..., :2] >= limits[:2])
        keypoints[..., 2][outside[..., 0] | outside[..., 1]] = 0
    beside = np.concatenate([ignored[_areas(ignored) > 0], cut[there & ~asked]])
    return Example(pixels, cut[asked], moved.classes[asked], beside, keypoints)


def _areas(boxes: Float) -> Float:
    areas: Float = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return areas


def _relit(pixels: UInt8, rng: Generator) -> UInt8:
    """Other brightness, contrast and gamma; now and then unsharp or noisy. No channel is treated unlike another."""
    if rng.random() < 0.7:
        gamma, gain, lift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 10)
        table = (255 * (np.arange(256) / 255) ** gamma - 128) * gain + 128 + lift
        pixels = np.asarray(cv2.LUT(pixels, np.clip(table, 0, 255).astype(np.uint8)), np.uint8)
    if rng.random() < 0.15:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (3, 3), rng.uniform(0.3, 0.9)), np.uint8)
    if rng.random() < 0.2:
        height, width = pixels.shape[:2]
        bank = _noise()
        top, left = rng.integers(len(bank) - height + 1), rng.integers(bank.shape[1] - width + 1)
        noise = bank[top : top + height, left : left + width] * np.float32(rng.uniform(2, 8))
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    return pixels


@functools.cache
def _noise() -> Float:
    return np.random.default_rng(0).standard_normal((_NOISE_SIDE, 2 * _NOISE_SIDE, 3), np.float32)
