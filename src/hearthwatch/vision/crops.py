"""Cutting regions out of an `Image`, in picture pixels."""

from __future__ import annotations

import math

import numpy as np
import PIL.Image

from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box, expand_box
from hearthwatch.vision.image import Image

#: Share of a pixel that counts as none: a region that went through a division ends at 2.9999999 and means 3.
SLACK = 1e-6
#: Longest side of a picture that is padded as it is; a longer one is shrunk first, or a line of 1 x 60,000 px would
#: become a square of 10 GB.
LARGEST_SQUARE_PX = 2048


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
    # The box itself, not its margin: a box beside the picture shows nothing of what it was drawn around.
    check_inside(image, box)
    x0, y0 = image.region[:2]
    rows, columns = image.pixels.shape[:2]
    sx, sy = columns / image.width, rows / image.height  # below 1 after a reduced-size decode
    wanted = expand_box(box, margin)
    left, right = _covering((wanted.x1 - x0) * sx, (wanted.x2 - x0) * sx, columns)
    top, bottom = _covering((wanted.y1 - y0) * sy, (wanted.y2 - y0) * sy, rows)
    pixels = np.ascontiguousarray(image.pixels[top:bottom, left:right])
    return Image(pixels, (x0 + left / sx, y0 + top / sy, x0 + right / sx, y0 + bottom / sy))


def pad_to_square(image: Image, colour: tuple[int, int, int]) -> Image:
    """The image in the middle of a square of one colour (RGB, 0..255), for networks that look at squares.

    Its region is the square, which may reach beyond the picture.
    """
    pixels = image.pixels
    rows, columns = pixels.shape[:2]
    if rows == columns:
        return image
    if max(rows, columns) > LARGEST_SQUARE_PX:
        ratio = LARGEST_SQUARE_PX / max(rows, columns)
        rows, columns = max(1, round(rows * ratio)), max(1, round(columns * ratio))
        shrunk = PIL.Image.fromarray(pixels).resize((columns, rows), PIL.Image.Resampling.BICUBIC)
        pixels = np.asarray(shrunk, dtype=np.uint8)
    side = max(rows, columns)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = colour
    top, left = (side - rows) // 2, (side - columns) // 2
    square[top : top + rows, left : left + columns] = pixels
    x1, y1, x2, y2 = image.region
    pixel = max(x2 - x1, y2 - y1) / side
    x1, y1 = x1 - left * pixel, y1 - top * pixel
    return Image(square, (x1, y1, x1 + side * pixel, y1 + side * pixel))


def check_inside(image: Image, box: Box) -> None:
    """Nothing where some of the box is in the image.

    Raises:
        BadBox: the box lies outside the image.
    """
    x0, y0, x_end, y_end = image.region
    if min(box.x2, x_end) <= max(box.x1, x0) or min(box.y2, y_end) <= max(box.y1, y0):
        raise BadBox(f"box {list(box)} lies outside the picture, of which {list(image.region)} is here")


def _covering(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel and the one behind the last that cover low to high, of `size` pixels: at least one."""
    first = math.floor(min(max(low + SLACK, 0), size - 1))
    return first, max(math.ceil(min(high - SLACK, size)), first + 1)
