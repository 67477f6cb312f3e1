"""Views of made-up cameras, and what can go wrong with them: generated, so that their number has no limit.

A view is a bright sky above many overlapping things (the "dead leaves" of Lee, Mumford and Huang 2001, whose statistics
are those of photographs) with a fine texture, a little noise, and JPEG as cameras write it.
"""

from __future__ import annotations

import cv2
import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image, UInt8

WIDTH, HEIGHT = 640, 360
_SKY = 90


def view(seed: int, *, width: int = WIDTH, height: int = HEIGHT) -> UInt8:
    """What a camera sees by day: (height, width, 3)."""
    random = np.random.default_rng(seed)
    sky = np.linspace(225, 190, height)[:, None, None] * np.array([0.85, 0.93, 1.0])
    pixels = np.ascontiguousarray(np.broadcast_to(sky, (height, width, 3)), np.float32)
    for _ in range(500):
        x, y = random.uniform(0, width), random.uniform(_SKY / HEIGHT, 1.1) * height
        side = min(120.0, 8 / random.uniform(0.05, 1) ** 0.8) * width / WIDTH
        colour = tuple(float(value) for value in random.uniform(30, 190, 3) * 0.6 + random.uniform(20, 70))
        corner = (round(x - side), round(max(y - side, _SKY / HEIGHT * height)))
        cv2.rectangle(pixels, corner, (round(x + side), round(y + side)), colour, -1)
    texture = random.normal(0, 1, (height, width)).astype(np.float32)
    pixels[round(_SKY / HEIGHT * height) :] += (
        8 * cv2.GaussianBlur(texture, (0, 0), 0.8)[round(_SKY / HEIGHT * height) :, :, None]
    )
    return noisy(_bytes(pixels), 1.5, seed)


def noisy(pixels: UInt8, sigma: float, seed: int = 0) -> UInt8:
    """With a sensor's noise, in grey levels."""
    return _bytes(pixels + np.random.default_rng(seed + 1000).normal(0, sigma, pixels.shape))


def blurred(pixels: UInt8, sigma: float) -> UInt8:
    return noisy(_bytes(cv2.GaussianBlur(pixels, (0, 0), sigma)), 1.0)


def lit(pixels: UInt8, gain: float) -> UInt8:
    """Darker or brighter, and clipped where a sensor is full."""
    return noisy(_bytes(pixels.astype(np.float32) * gain), 1.0)


def infrared(pixels: UInt8, gain: float = 0.7) -> UInt8:
    """As a camera sends it by night: grey, with more noise."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) * gain
    grey = grey + np.random.default_rng(5).normal(0, 3.0, grey.shape)
    return _bytes(np.repeat(grey[:, :, None], 3, axis=2))


def covered(pixels: UInt8, share: float = 1.0, shade: tuple[int, int, int] = (60, 52, 45)) -> UInt8:
    """With something unsharp before the left part of the lens."""
    hidden = pixels.copy()
    hidden[:, : round(pixels.shape[1] * share)] = shade
    return noisy(hidden, 2.0)


def moved(pixels: UInt8, share: float) -> UInt8:
    """As the camera sees it when it was turned by this share of its view: what comes in is another place."""
    by = round(pixels.shape[1] * share)
    other = view(9999, width=pixels.shape[1], height=pixels.shape[0])
    return np.ascontiguousarray(np.concatenate([pixels[:, by:], other[:, :by]], axis=1))


def with_thing(pixels: UInt8, box: Box, colour: tuple[int, int, int] = (25, 30, 120)) -> UInt8:
    """With somebody or something of one colour before it."""
    changed = pixels.copy()
    changed[int(box.y1) : int(box.y2), int(box.x1) : int(box.x2)] = colour
    return changed


def image(pixels: UInt8) -> Image:
    """As it comes out of a camera's JPEG."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
    assert ok
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return Image.of(np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8))


def _bytes(pixels: object) -> UInt8:
    return np.clip(np.rint(np.asarray(pixels, np.float32)), 0, 255).astype(np.uint8)
