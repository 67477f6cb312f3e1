"""Cutting regions out of an `Image`, in picture pixels."""

from __future__ import annotations

import math

import numpy as np

from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box, expand_box
from hearthwatch.vision.image import Image

#: Share of a pixel that counts as none: a region that went through a division ends at 2.9999999 and means 3.
SLACK = 1e-6


def crop(image: Image, box: Box, *, margin: float = 0.0) -> Image:
    """The part of `image` inside `box`, as a view of the same pixels where possible.

    Args:
        image: any region of a picture.
        box: picture pixels; clamped to the image's region.
        margin: share of the box's size that is added on every side.

    Returns:
        An image of at least 1 x 1 px whose region is what was really cut: whole pixels that cover the box.

    Raises:
        BadBox: the box lies outside the image.
    """
    x0, y0, x_end, y_end = image.region
    # The box itself, not its margin: a box beside the picture shows nothing of what it was drawn around.
    if min(box.x2, x_end) <= max(box.x1, x0) or min(box.y2, y_end) <= max(box.y1, y0):
        raise BadBox(f"box {list(box)} lies outside the picture, of which {list(image.region)} is here")
    rows, columns = image.pixels.shape[:2]
    sx, sy = columns / image.width, rows / image.height  # below 1 after a reduced-size decode
    wanted = expand_box(box, margin)
    left, right = _covering((wanted.x1 - x0) * sx, (wanted.x2 - x0) * sx, columns)
    top, bottom = _covering((wanted.y1 - y0) * sy, (wanted.y2 - y0) * sy, rows)
    pixels = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    return Image(pixels, (x0 + left / sx, y0 + top / sy, x0 + right / sx, y0 + bottom / sy))


def _covering(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel and the one behind the last that cover low to high, of `size` pixels: at least one."""
    first = math.floor(min(max(low + SLACK, 0), size - 1))
    return first, max(math.ceil(min(high - SLACK, size)), first + 1)
