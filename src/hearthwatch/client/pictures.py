"""What is sent of a picture: the bytes as they came, wherever there are any.

A JPEG, PNG, WebP, BMP or GIF goes out as it is, whatever its size: encoding it again would cost a decode, quality and
often bytes. Pixels have to be encoded: small ones without loss, as PNG, since crops are small and JPEG would blur what
little they show; others as JPEG of quality 95 with all its colours. A photograph of 1080p takes 12 ms and 0.5 MB as
JPEG, and 140 ms and 2.2 MB as PNG (fastest of 5 runs on one core).

Only where a caller asks for a longest side is a picture made smaller; then its boxes are as well (`Outgoing.inward`),
and the answer comes back in the pixels of the picture that the caller has (`Outgoing.outward`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import simplejpeg

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import PictureLike, read_picture
from hearthwatch.vision.image import UInt8
from hearthwatch.vision.picture import Picture

#: What a method of a client takes for a picture.
AnyPicture = PictureLike | Picture
#: Pixels that go out as PNG: 256 x 256 of them are at most 200 KB, and take 2 ms.
LOSSLESS_PIXELS = 256 * 256
JPEG_QUALITY = 95
#: Bytes of encoded pictures that are worth no thread: their headers are read in 0.3 ms, and a thread costs as much.
QUICK_BYTES = 512 * 1024
_MEDIA_TYPES: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "BMP": "image/bmp",
    "GIF": "image/gif",
}
#: What an answer has in pixels, as x1, y1, x2, y2.
_CORNERS = ("bbox", "region")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One picture on its way.

    Attributes:
        data: encoded.
        media_type: of the data.
        scale: pixels of the caller's picture for one that is sent, across and down.
    """

    data: bytes
    media_type: str
    scale: tuple[float, float] = (1.0, 1.0)

    def inward(self, box: Box) -> Box:
        """A box of the caller's picture in the picture that is sent."""
        x, y = self.scale
        return Box(box.x1 / x, box.y1 / y, box.x2 / x, box.y2 / y)

    def outward(self, told: Any) -> Any:
        """An answer with its places in the caller's picture."""
        return told if self.scale == (1.0, 1.0) else _scaled(told, *self.scale)


def all_outgoing(pictures: Sequence[AnyPicture], max_side: int | None = None) -> list[Outgoing]:
    """What is sent of several pictures, as `outgoing`."""
    return [outgoing(picture, max_side) for picture in pictures]


def is_quick(pictures: Sequence[AnyPicture], max_side: int | None = None) -> bool:
    """Whether `all_outgoing` may run on an event loop: they go out as they came, and they are not large."""
    encoded = [picture.data if isinstance(picture, Picture) else picture for picture in pictures]
    sizes = [len(data) for data in encoded if isinstance(data, bytes)]
    return max_side is None and len(sizes) == len(encoded) and sum(sizes) <= QUICK_BYTES


def outgoing(picture: AnyPicture, max_side: int | None = None) -> Outgoing:
    """What is sent of a picture. It may decode and encode: not for an event loop.

    Args:
        picture: whatever a caller has.
        max_side: pixels that the longer side may have; None: as many as it has.

    Raises:
        ImageError: no picture, or over a limit.
    """
    held = _held(picture)
    width, height = held.size
    header, data = held.header, held.data
    if header is not None and data is not None and (max_side is None or max(width, height) <= max_side):
        return Outgoing(data, _MEDIA_TYPES[header.format])
    pixels = _fitting(held.image().pixels, max_side)
    rows, columns = pixels.shape[:2]
    return Outgoing(*_encoded(pixels), (width / columns, height / rows))


def _held(picture: AnyPicture) -> Picture:
    if isinstance(picture, Picture):
        return picture
    if isinstance(picture, bytes | bytearray | memoryview):
        return Picture(bytes(picture))
    if isinstance(picture, str | os.PathLike):
        return Picture(read_picture(picture))
    return Picture.of(picture)


def _fitting(pixels: UInt8, max_side: int | None) -> UInt8:
    height, width = pixels.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return pixels
    factor = max_side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _encoded(pixels: UInt8) -> tuple[bytes, str]:
    if pixels.shape[0] * pixels.shape[1] <= LOSSLESS_PIXELS:
        return cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))[1].tobytes(), "image/png"
    jpeg: bytes = simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorspace="RGB", colorsubsampling="444")
    return jpeg, "image/jpeg"


def _scaled(told: Any, x: float, y: float) -> Any:
    """All places of an answer: objects with x and y, and corners in a list under one of the names for them."""
    if isinstance(told, list):
        return [_scaled(row, x, y) for row in told]
    if not isinstance(told, dict):
        return told
    factors = {"x": x, "width": x, "y": y, "height": y} if {"x", "y"} <= told.keys() else {}
    return {name: _part(name, value, factors.get(name), x, y) for name, value in told.items()}


def _part(name: str, value: Any, factor: float | None, x: float, y: float) -> Any:
    if factor is not None:
        return value if value is None else value * factor
    if name in _CORNERS and isinstance(value, list):
        return [side if side is None else side * by for side, by in zip(value, (x, y, x, y), strict=True)]
    return _scaled(value, x, y)
