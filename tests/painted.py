"""A car of flat colours, to tell paints apart on."""

from __future__ import annotations

import numpy as np

from hearthwatch.vision.image import UInt8

#: Paints as they are seen by day: sRGB, 0..255.
SEEN = {
    "black": (25, 26, 28),
    "gray": (120, 122, 125),
    "white": (235, 236, 238),
    "red": (170, 25, 30),
    "orange": (230, 110, 30),
    "brown": (95, 60, 35),
    "yellow": (235, 190, 40),
    "green": (30, 110, 60),
    "blue": (30, 60, 150),
}


def car(body: tuple[int, int, int], side: int = 120) -> UInt8:
    """A car of flat colours before a hedge and on a road: roof and glass above, tyres below."""
    pixels = np.full((side, side, 3), (70, 110, 50), np.uint8)
    pixels[int(side * 0.75) :] = (105, 105, 105)
    pixels[int(side * 0.10) : int(side * 0.85), int(side * 0.06) : int(side * 0.94)] = body
    pixels[int(side * 0.18) : int(side * 0.42), int(side * 0.15) : int(side * 0.85)] = (30, 35, 40)
    for left in (0.12, 0.68):
        pixels[int(side * 0.72) : int(side * 0.95), int(side * left) : int(side * (left + 0.2))] = (20, 20, 20)
    return pixels


#: Cloth beside what paints are: sRGB, 0..255.
WORN = SEEN | {"purple": (90, 40, 120), "pink": (235, 150, 170)}


def person(upper: tuple[int, int, int], height: int = 200, width: int = 80) -> UInt8:
    """A person of flat colours before a wall: head, the clothes in question, dark trousers."""
    pixels = np.full((height, width, 3), (150, 140, 120), np.uint8)
    pixels[: int(height * 0.15), int(width * 0.4) : int(width * 0.6)] = (200, 150, 120)
    pixels[int(height * 0.15) : int(height * 0.5), int(width * 0.2) : int(width * 0.8)] = upper
    pixels[int(height * 0.5) :, int(width * 0.3) : int(width * 0.7)] = (40, 42, 60)
    return pixels
