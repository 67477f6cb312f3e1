"""Cutting regions out of an `Image`, in picture pixels."""

from __future__ import annotations

import math

import numpy as np

from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box, clamp_box, expand_box
from hearthwatch.vision.image import Image


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
    x0, y0 = image.region[:2]
    rows, columns = image.pixels.shape[:2]
    sx, sy = columns / image.width, rows / image.height  # below 1 after a reduced-size decode
    wanted = expand_box(box, margin)
    inside = clamp_box(Box(wanted.x1 - x0, wanted.y1 - y0, wanted.x2 - x0, wanted.y2 - y0), image.width, image.height)
    left, top = math.floor(inside.x1 * sx), math.floor(inside.y1 * sy)
    right, bottom = min(math.ceil(inside.x2 * sx), columns), min(math.ceil(inside.y2 * sy), rows)
    if right <= left or bottom <= top:
        raise BadBox(f"box {list(box)} covers no pixel of the image")
    pixels = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    return Image(pixels, (x0 + left / sx, y0 + top / sy, x0 + right / sx, y0 + bottom / sy))
