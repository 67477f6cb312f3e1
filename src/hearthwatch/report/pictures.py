"""Pixels for a report: encoded, shrunk, cut."""

from __future__ import annotations

import cv2
import numpy as np
import simplejpeg

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import UInt8

#: libjpeg's own limit of a side (JPEG_MAX_DIMENSION).
JPEG_MAX_SIDE = 65_500


def encode_jpeg(pixels: UInt8, quality: int = 90) -> bytes:
    """(H, W, 3) RGB to a JPEG; a picture that JPEG cannot hold is shrunk until it can."""
    fitting = fit_within(pixels, JPEG_MAX_SIDE)
    # Full colour resolution: halved, the thin coloured lines and letters of an annotated picture fray.
    return bytes(simplejpeg.encode_jpeg(fitting, quality=quality, colorspace="RGB", colorsubsampling="444"))


def fit_within(pixels: UInt8, longest_side: int) -> UInt8:
    """Shrink to that many pixels on the longest side; a smaller picture stays as it is. C-contiguous."""
    height, width = pixels.shape[:2]
    factor = longest_side / max(width, height)
    if factor >= 1:
        return np.ascontiguousarray(pixels)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def cut(pixels: UInt8, box: Box) -> UInt8 | None:
    """The pixels inside a box in pixels of this array; None where none is."""
    height, width = pixels.shape[:2]
    x1, y1 = max(0, int(box.x1)), max(0, int(box.y1))
    x2, y2 = min(width, int(np.ceil(box.x2))), min(height, int(np.ceil(box.y2)))
    return np.ascontiguousarray(pixels[y1:y2, x1:x2]) if x1 < x2 and y1 < y2 else None
