"""Pictures that come out the same everywhere, made from the one photograph that the package carries."""

from __future__ import annotations

import importlib.resources

import cv2
import numpy as np

from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import UInt8

FULL_HD = (1920, 1080)
FOUR_K = (3840, 2160)
#: Quality and grain that give as much data as a camera does: 300 KB at 1080p, like real frames, and 800 KB at 4K.
JPEG_QUALITY = 80
GRAIN = 1.5
#: A camera's picture is softer than a portrait at its own size.
SOFTNESS = 1.5


def photograph() -> UInt8:
    """The package's photo of a person, (512, 512, 3) RGB."""
    file = importlib.resources.files("hearthwatch.adapter").joinpath("pictures/astronaut.jpg")
    return decode(file.read_bytes()).pixels


def camera_picture(size: tuple[int, int]) -> bytes:
    """A JPEG (4:2:0) of (width, height) with a camera's amount of detail and grain in every part of it."""
    width, height = size
    zoom = SOFTNESS * width / FULL_HD[0]
    tile = cv2.resize(photograph(), None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    more = [(0, max(0, wanted - there)) for wanted, there in zip((height, width), tile.shape[:2], strict=True)]
    scene = np.pad(np.asarray(tile), (*more, (0, 0)), mode="symmetric")[:height, :width]
    grain = np.random.default_rng(0).normal(0, GRAIN, (height, width, 1))
    return to_jpeg(np.clip(scene + grain, 0, 255).astype(np.uint8), JPEG_QUALITY)


def five_people() -> bytes:
    """A 1080p JPEG of five people side by side before a blurred wall: for where no real picture is at hand."""
    width, height = FULL_HD
    photo = photograph()
    wall = cv2.GaussianBlur(cv2.resize(photo, FULL_HD), (0, 0), 60)
    scene = np.asarray(wall, np.uint8).copy()
    side = width // 5
    person = np.asarray(cv2.resize(photo, (side, side), interpolation=cv2.INTER_AREA), np.uint8)
    for place in range(5):
        top, left = height - side - 90 * (place % 2), place * side
        scene[top : top + side, left : left + side] = person[:, ::-1] if place % 2 else person
    return to_jpeg(scene, JPEG_QUALITY)


def without(pixels: UInt8, box: tuple[float, float, float, float]) -> UInt8:
    """A copy in which whatever stands inside the box (xyxy, pixels) is gone in the colours around it."""
    height, width = pixels.shape[:2]
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(width, int(np.ceil(box[2]))), min(height, int(np.ceil(box[3])))
    copy = pixels.copy()
    inside = copy[top:bottom, left:right]
    # Each row becomes a ramp between the two pixels beside it.
    before, after = copy[top:bottom, max(0, left - 1)], copy[top:bottom, min(width - 1, right)]
    share = np.linspace(0, 1, right - left, dtype=np.float32)[None, :, None]
    inside[:] = (before[:, None] * (1 - share) + after[:, None] * share).astype(np.uint8)
    return copy


def to_jpeg(pixels: UInt8, quality: int) -> bytes:
    """RGB to a JPEG (4:2:0)."""
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("the picture could not be encoded")
    return data.tobytes()
