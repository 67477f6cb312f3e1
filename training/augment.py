"""Crops as a detector of middling quality would cut them, in light that varies: what classifiers are shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Float, Image, UInt8
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD

#: Share of the box's size that is kept around it on every side, where the picture has it: room to shift.
ROOM = 0.12


@dataclass(frozen=True, slots=True)
class Variation:
    """How much a crop may differ from the exact one.

    Attributes:
        jitter: of each side of the box, share of its size.
        gain: of the brightness, as a factor of up to 1 + gain or down to its inverse. One for all three channels: the
            hue is evidence.
        gamma: likewise, of the exponent.
        noise: standard deviation of a sensor's, at most; every second crop has some.
        erased: how often a rectangle is hidden (Zhong et al. 2020, arXiv:1708.04896).
    """

    jitter: float = 0.06
    gain: float = 0.25
    gamma: float = 0.2
    noise: float = 0.05
    erased: float = 0.3


#: What trainings use unless they know better, and what changes nothing.
USUAL, EXACT = Variation(), Variation(0.0, 0.0, 0.0, 0.0, 0.0)


def with_room(picture: UInt8, box: Box, margin: float, size: tuple[int, int]) -> tuple[UInt8, Float]:
    """Cut a box with its margin and some room, at `size` (height, width). There may be a fourth channel.

    Returns:
        The pixels, and where the box with its margin lies in them: x1, y1, x2, y2 as shares.
    """
    image = Image.of(picture[..., :3])
    wide, exact = (crop(image, box, margin=m).region for m in (margin + ROOM, margin))
    cut = picture[int(wide[1]) : int(wide[3]), int(wide[0]) : int(wide[2])]
    left, top, width, height = wide[0], wide[1], wide[2] - wide[0], wide[3] - wide[1]
    inner = [(exact[0] - left) / width, (exact[1] - top) / height, (exact[2] - left) / width, (exact[3] - top) / height]
    return resized(cut, size), np.array(inner, np.float32)


def resized(pixels: UInt8, size: tuple[int, int]) -> UInt8:
    """To (height, width); where it shrinks, every pixel counts."""
    shrinks = pixels.shape[0] > size[0] or pixels.shape[1] > size[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=way), np.uint8)


def varied(pixels: UInt8, inner: Float, size: tuple[int, int], rng: np.random.Generator, how: Variation) -> Float:
    """One crop as the network is shown it: (3, height, width), ImageNet's mean and standard deviation.

    A fourth channel, such as a mask, is cut and mirrored with the others and comes out as 0..1.
    """
    height, width = pixels.shape[:2]
    x1, y1, x2, y2 = (float(v) for v in inner)
    shift = rng.uniform(-how.jitter, how.jitter, 4) * [x2 - x1, y2 - y1, x2 - x1, y2 - y1]
    left, top, right, bottom = np.clip(np.array([x1, y1, x2, y2]) + shift, 0, 1) * [width, height, width, height]
    x, y = min(round(left), width - 1), min(round(top), height - 1)
    cut = resized(pixels[y : max(round(bottom), y + 1), x : max(round(right), x + 1)], size)
    if rng.random() < 0.5 and how is not EXACT:
        cut = cut[:, ::-1]
    everything: Float = cut.astype(np.float32) / np.float32(255)
    values, rest = everything[..., :3], everything[..., 3:]
    if how.gain or how.gamma:
        gain, gamma = (math.exp(rng.uniform(-1, 1) * math.log1p(most)) for most in (how.gain, how.gamma))
        values = np.clip(values ** np.float32(gamma) * np.float32(gain), 0, 1)
    if rng.random() < 0.5 and how.noise:
        values += rng.standard_normal(values.shape, np.float32) * np.float32(rng.uniform(0, how.noise))
    if rng.random() < how.erased:
        _erase(values, rng)
    return np.ascontiguousarray(np.concatenate([normalised(values), rest], axis=2).transpose(2, 0, 1))


def normalised(values: Float) -> Float:
    """(..., 3) of 0..1, by ImageNet's mean and standard deviation."""
    mean, std = np.array(IMAGENET_MEAN, np.float32), np.array(IMAGENET_STD, np.float32)
    return np.asarray((values - mean) / std, np.float32)


def batch(
    pixels: Sequence[UInt8] | UInt8,
    inner: Sequence[Float] | Float,
    size: tuple[int, int],
    rng: np.random.Generator,
    how: Variation,
) -> Float:
    """N crops to (N, 3, height, width)."""
    return np.stack([varied(p, i, size, rng, how) for p, i in zip(pixels, inner, strict=True)])


def _erase(values: Float, rng: np.random.Generator) -> None:
    height, width = values.shape[:2]
    tall, wide = (max(1, round(side * rng.uniform(0.15, 0.45))) for side in (height, width))
    top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
    values[top : top + tall, left : left + wide] = rng.random((tall, wide, 3))
