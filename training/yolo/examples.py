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
#: Share of a thing that can be seen; less is not asked for.
LEAST_VISIBLE = 0.3
#: Shown noise is rolled out of one picture of it, which is faster than drawing it anew.
_NOISE_SIDE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """One picture with its objects.

    Attributes:
        pixels: (H, W, 3) uint8 RGB.
        boxes: (n, 4) xyxy in pixels.
        classes: (n,).
        ignore: (m, 4) boxes of what is there but not asked for: hidden too much, or tiny.
        scale: pixels of the network's input in use, per pixel of the picture.
        keypoints: (n, 17, 3) x, y, visibility; None where nobody has any.
    """

    pixels: UInt8
    boxes: Float
    classes: Ids
    ignore: Float
    scale: float = 1.0
    keypoints: Float | None = None


@dataclass(frozen=True, slots=True)
class View:
    """How a picture is shown in training.

    Attributes:
        size: (height, width) that the network sees at once.
        zoom: least and largest size of things, relative to that in use.
        focus: share of views that have an object in them on purpose, where the picture has one.
        flip: share of mirrored views.
        grey: share of views without colour, as an infrared camera's.
        least_px: an object that is smaller than a square of this side in the view is not asked for.
    """

    size: tuple[int, int]
    zoom: tuple[float, float] = (0.75, 1.35)
    focus: float = 0.8
    flip: float = 0.5
    grey: float = 0.1
    least_px: float = 4.0


def example_of(
    pixels: UInt8,
    things: Sequence[tuple[int, Thing]],
    *,
    scale: float,
    least_px: float,
    least_visible: float = LEAST_VISIBLE,
    keypoints: bool = False,
) -> Example:
    """A picture's example.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        things: class index and label of each.
        scale: pixels of the network's input in use, per pixel of the picture.
        least_px: things that are smaller than a square of this side in the input are not asked for.
        least_visible: nor are those of whom less can be seen.
        keypoints: the things are people, and their joints are learned.
    """
    asked = [
        (class_id, thing)
        for class_id, thing in things
        if thing.visible >= least_visible and thing.box.area * scale**2 >= least_px**2
    ]
    chosen = {id(thing) for _, thing in asked}
    joints = [thing.keypoints for _, thing in asked if isinstance(thing, Person)] if keypoints else []
    return Example(
        pixels,
        _boxes([thing for _, thing in asked]),
        np.array([class_id for class_id, _ in asked], np.int64),
        _boxes([thing for _, thing in things if id(thing) not in chosen]),
        scale,
        np.array(joints, np.float32).reshape(-1, len(FLIP), 3) if keypoints else None,
    )


def fit(whole: tuple[int, int], size: tuple[int, int]) -> float:
    """Pixels of an input of (height, width) per pixel of a picture of (width, height) that is fitted into it."""
    return min(size[0] / whole[1], size[1] / whole[0])


def _boxes(things: Sequence[Thing]) -> Float:
    return np.array([thing.box for thing in things], np.float32).reshape(-1, 4)


def shown(example: Example, view: View, rng: Generator) -> Example:
    """The example as one view of it: cut, scaled, perhaps mirrored, in another light. Colours keep their meaning."""
    scale, shift = _placing(example, view, rng)
    height, width = view.size
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float64)
    # Coordinates count from pixels' corners, warpAffine counts from their centres.
    centred = matrix + np.array([[0, 0, 0.5 * scale - 0.5]] * 2)
    pixels = np.asarray(
        cv2.warpAffine(example.pixels, centred, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD_GREY,) * 3),
        np.uint8,
    )
    moved = [_moved(boxes, scale, shift) for boxes in (example.boxes, example.ignore)]
    keypoints = example.keypoints
    if keypoints is not None:
        keypoints = keypoints * np.array([scale, scale, 1], np.float32) + np.array([*shift, 0], np.float32)
    if rng.random() < view.flip:
        pixels = np.ascontiguousarray(pixels[:, ::-1])
        moved = [np.stack([width - b[:, 2], b[:, 1], width - b[:, 0], b[:, 3]], axis=1) for b in moved]
        if keypoints is not None:
            keypoints = keypoints[:, list(FLIP)] * np.array([-1, 1, 1], np.float32) + np.array(
                [width, 0, 0], np.float32
            )
    return _in_view(_relit(pixels, view, rng), moved[0], moved[1], example.classes, keypoints, view)


def _placing(example: Example, view: View, rng: Generator) -> tuple[float, tuple[float, float]]:
    """Scale, and where the picture's corner comes to lie in the view."""
    height, width = example.pixels.shape[:2]
    low, high = np.log(view.zoom)
    scale = example.scale * float(np.exp(rng.uniform(low, high)))
    target: list[float] | None = None
    if len(example.boxes) and rng.random() < view.focus:
        box = example.boxes[rng.integers(len(example.boxes))]
        target = [float(box[0] + box[2]) / 2 * scale, float(box[1] + box[3]) / 2 * scale]
    shift = []
    for axis, (side, room) in enumerate(((width * scale, view.size[1]), (height * scale, view.size[0]))):
        if side <= room:
            # Centred in use; here anywhere.
            shift.append(rng.uniform(0, room - side))
        elif target is None:
            shift.append(rng.uniform(room - side, 0))
        else:
            wanted = rng.uniform(0.15, 0.85) * room - target[axis]
            shift.append(float(np.clip(wanted, room - side, 0)))
    return scale, (float(shift[0]), float(shift[1]))


def _moved(boxes: Float, scale: float, shift: tuple[float, float]) -> Float:
    return np.asarray(boxes * scale + np.array([*shift, *shift]), np.float32)


def _in_view(pixels: UInt8, boxes: Float, ignore: Float, classes: Ids, keypoints: Float | None, view: View) -> Example:
    """What is left of the objects: cut at the view's edges, and too little of one is ignored."""
    height, width = view.size
    limits = np.array([width, height, width, height], np.float32)
    cut, ignored = (np.clip(b, 0, limits) for b in (boxes, ignore))
    whole, left = _areas(boxes), _areas(cut)
    there = left > 0
    asked = there & (left >= np.maximum(LEAST_IN_VIEW * whole, view.least_px**2))
    ignored = ignored[_areas(ignored) > 0]
    if keypoints is not None:
        keypoints = np.array(keypoints[asked], np.float32)
        outside = (keypoints[..., :2] < 0) | (keypoints[..., :2] >= limits[:2])
        keypoints[..., 2][outside[..., 0] | outside[..., 1]] = 0
    return Example(
        pixels,
        np.asarray(cut[asked], np.float32),
        classes[asked],
        np.asarray(np.concatenate([ignored, cut[there & ~asked]]), np.float32),
        keypoints=keypoints,
    )


def _areas(boxes: Float) -> Float:
    areas: Float = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    return areas


def _relit(pixels: UInt8, view: View, rng: Generator) -> UInt8:
    """Other brightness, contrast and gamma; now and then grey, unsharp, noisy. No channel is treated unlike another."""
    if rng.random() < view.grey:
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
        pixels = np.asarray(np.repeat(grey[..., None], 3, axis=2), np.uint8)
    if rng.random() < 0.7:
        gamma, gain, lift = np.exp(rng.normal(0, 0.2)), np.exp(rng.normal(0, 0.15)), rng.normal(0, 10)
        table = 255 * (np.arange(256) / 255) ** gamma
        pixels = np.asarray(
            cv2.LUT(pixels, np.clip((table - 128) * gain + 128 + lift, 0, 255).astype(np.uint8)), np.uint8
        )
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
