"""Pixels of any kind to upright 8-bit RGB.

Grey is repeated, palettes are looked up, 16 bits are scaled to 8 (65535 becomes 255), CMYK is multiplied out.
Transparent pixels are composited over white: whatever colour a program left under them must not show, and most
pictures with transparency are drawn to be seen on a white page. Colour profiles and gamma are not applied: no network
here was trained on colour-managed pictures.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from hearthwatch.errors import UnsupportedImage
from hearthwatch.vision.image import UInt8

#: OpenCV's codes for the flip that each EXIF orientation needs, after 5 to 8 were transposed: 1 left-right,
#: 0 top-bottom, -1 both.
_FLIPS = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}


def upright(pixels: UInt8, orientation: int) -> UInt8:
    """Undo EXIF orientation 1 to 8; 5 to 8 swap the sides."""
    if orientation >= 5:
        pixels = _uint8(cv2.transpose(pixels))
    flip = _FLIPS.get(orientation)
    return pixels if flip is None else _uint8(cv2.flip(pixels, flip))


def to_8_bits(pixels: npt.NDArray[np.integer[Any] | np.floating[Any]]) -> UInt8:
    """Scale uint16 to uint8, 65535 to 255; uint8 stays as it is."""
    return _uint8(cv2.convertScaleAbs(pixels, alpha=1 / 257)) if pixels.dtype == np.uint16 else _uint8(pixels)


def bgr_to_rgb(pixels: UInt8) -> UInt8:
    """Turn what OpenCV decodes, (h, w) grey, (h, w, 3) BGR or (h, w, 4) BGRA, into (h, w, 3) RGB."""
    if pixels.ndim == 2:
        return _uint8(cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB))
    if pixels.shape[2] == 3:
        return _uint8(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))
    return over_white(_uint8(cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGBA)))


def pil_to_rgb(picture: PILImage.Image) -> UInt8:
    """Turn a PIL image of any mode with a known range into (h, w, 3) RGB, as it is stored (not by its EXIF).

    Raises:
        UnsupportedImage: mode I or F, whose values have no fixed range.
    """
    if picture.mode.startswith("I;16"):
        return bgr_to_rgb(to_8_bits(np.asarray(picture).astype(np.uint16)))
    if picture.mode in {"I", "F"}:
        raise UnsupportedImage(f"pixels of mode {picture.mode} have no fixed range; scale them to 8 bits first")
    if picture.has_transparency_data:
        return over_white(np.asarray(picture.convert("RGBA")))
    return np.array(picture.convert("RGB"))


def cmyk_to_rgb(ink: UInt8, *, inverted: bool) -> UInt8:
    """(h, w, 4) ink to (h, w, 3) RGB; `inverted` ink is 0 where it is full, as Adobe stores it."""
    return _times(ink if inverted else 255 - ink)


def over_white(rgba: UInt8) -> UInt8:
    """(h, w, 4) to (h, w, 3): white shows through as far as alpha lets it."""
    darkness = 255 - rgba
    darkness[..., 3] = rgba[..., 3]
    return 255 - _times(darkness)


def _times(channels: UInt8) -> UInt8:
    """(h, w, 4) to (h, w, 3): the first three channels times the fourth, which 255 makes one."""
    fourth = cv2.merge([channels[..., 3]] * 3)
    return _uint8(cv2.multiply(np.ascontiguousarray(channels[..., :3]), fourth, scale=1 / 255))


def _uint8(pixels: npt.ArrayLike) -> UInt8:
    """State the type that OpenCV's stubs leave open; copies nothing."""
    return np.asarray(pixels, dtype=np.uint8)
