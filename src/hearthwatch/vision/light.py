"""What light a picture was taken in, told from its pixels: colour, the grey of infrared, or hardly any.

A camera that switches to infrared leaves its colour filter out and sends grey. Colour is measured by the spread of the
two opponent channels of Hasler and Süsstrunk ("Measuring colourfulness in natural images", SPIE 5007, 2003). Their mean
is left out: a picture with one tint all over, as some cameras give to infrared, has no colours.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

import cv2
import numpy as np

from hearthwatch.vision.image import Image, UInt8

Light = Literal["day", "infrared", "dark"]
#: Every word: `day` has colours (sun or lamps), `infrared` has none, `dark` shows hardly anything.
LIGHTS: tuple[Light, ...] = get_args(Light)

#: Spread of the opponent channels, as a share of the mean grey level, below which there are no colours. Of 48 photos
#: the two grey ones have 0.00 and the palest other one 0.035; grey ones with a tint of JPEG stay below 0.01.
LEAST_COLOUR = 0.02
#: Mean brightness, 0..1, below which a picture is dark: the darkest of those photos has 0.24, a tenth of the light
#: leaves all of them below 0.09.
LEAST_BRIGHTNESS = 0.10
#: Rows: R - G, and (R + G) / 2 - B.
_OPPONENTS = np.array([[1, -1, 0], [0.5, 0.5, -1]], np.float32)


def reduced(image: Image, longest: int) -> UInt8:
    """A copy whose longer side has at most so many pixels, (h, w, 3) RGB; a smaller picture is not enlarged."""
    rows, columns = image.pixels.shape[:2]
    ratio = longest / max(rows, columns)
    if ratio >= 1:
        return image.pixels
    width, height = max(1, round(columns * ratio)), max(1, round(rows * ratio))
    pixels = image.pixels
    if ratio <= 1 / 4:
        # To twice the size by LINEAR: it leaves pixels out, but a 4K picture costs 3.5 ms of one core instead of 9.
        pixels = np.asarray(cv2.resize(pixels, (2 * width, 2 * height), interpolation=cv2.INTER_LINEAR), np.uint8)
    # AREA is the one filter of OpenCV that leaves no pixel out, so that a fine pattern does not become a coarse one.
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def light_of(pixels: UInt8) -> Light:
    """The word for a picture, or a reduced copy of one: (h, w, 3) RGB."""
    mean = brightness(np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8))
    if mean < LEAST_BRIGHTNESS:
        return "dark"
    return "day" if colour_spread(pixels) >= LEAST_COLOUR * 255 * mean else "infrared"


def brightness(grey: UInt8) -> float:
    """Mean of (h, w), 0 = black, 1 = white."""
    return float(cv2.mean(grey)[0]) / 255


def colour_spread(pixels: UInt8) -> float:
    """Standard deviation of R - G and (R + G) / 2 - B together, in grey levels: 0 where all is grey or of one tint."""
    _, deviations = cv2.meanStdDev(cv2.transform(pixels.astype(np.float32), _OPPONENTS))
    return math.hypot(*(float(deviation) for deviation in deviations.ravel()))
