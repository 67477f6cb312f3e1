"""How good a picture is, in numbers that each say one thing: focus, noise, exposure, and how much of it is blank.

Sharpness    What a strong blur takes away from the differences between neighbouring pixels: much from a sharp picture,
             little from one that is blurred already (Crété-Roffet et al. 2007, "The blur effect", SPIE 6492). Unlike
             the variance of the Laplacian (Pertuz et al. 2013) it does not fall with contrast: dark and infrared
             pictures are not "blurred".
Noise        Immerkær 1996, "Fast noise variance estimation" (Computer Vision and Image Understanding 64, 2), in the
             smoothest tenth of the picture, for it takes fine texture for noise (block by block as in Olsen 1993, CVGIP
             55, 4).
Exposure     The mean, and the shares of pixels that are clipped to black and to white.
Blank        Cells of a grid without any texture; what counts is the largest part of them that hangs together, as in
             detectors of covered cameras (Saglam and Temizel 2009, IEEE AVSS).
Limits       Everything is measured on a copy whose longer side has 640 px, about what detectors see: the noise of a
             larger picture is averaged there, and a blur of less than a pixel of the copy is not seen. A picture of
             fog, of the sky or of a bare wall has little to be sharp; that alone is no fault of the camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float, Image, UInt8
from hearthwatch.vision.light import Light, brightness, light_of, reduced

Cells = npt.NDArray[np.bool_]

#: Longer side of the copy that is measured: what most detectors look at.
WORKING_SIDE = 640
#: Rows and columns of the grid of cells, the same for every shape of picture, so that a camera's can be compared.
GRID = (16, 24)
#: Grey levels at and beyond which a pixel is clipped: 8 bits end at 0 and 255, and JPEG moves them by a few.
BLACK, WHITE = 5, 250
#: Standard deviation of a cell, in grey levels, below which it shows nothing.
LEAST_TEXTURE = 2.0
#: Largest connected part without texture from which a picture shows nothing at all; a corner that is left tells little.
BLANK = 0.9
#: Sigma, in pixels, of the blur before texture is measured: leaves a seventh of a sensor's noise.
_TEXTURE_BLUR = 2.0
#: Pixels of the strong blur (the paper's 9), and the sigma of a weak one before it, so that noise is not taken for
#: sharpness. Of 48 photos the paper's measure is 0.16 to 0.43, of the same blurred by 2 px under noise of 3 grey levels
#: 0.33 to 0.58; with the weak blur it is 0.28 to 0.54, and 0.56 to 0.71.
_STRONG_BLUR, _WEAK_BLUR = 9, 0.8
#: The response to a straight line or an even slope is 0, so that what is left is noise (Immerkær, equation 2).
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
#: Share of the cells, from the smoothest, that noise is measured in.
_SMOOTHEST = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """One picture's numbers.

    Attributes:
        sharpness: 0..1, the blur effect taken from 1; 1 is nothing but edges and 0 is even.
        noise: standard deviation in grey levels, 0 and up; None where every cell of the grid has clipped pixels.
        brightness: mean, 0..1.
        black_share: pixels clipped to black, 0..1.
        white_share: pixels clipped to white, 0..1.
        blank_share: largest connected part of the picture without texture, 0..1.
        light: what it was taken in; None where an even picture does not tell.
        texture: (16, 24) which cells of the grid show something.
    """

    sharpness: float
    noise: float | None
    brightness: float
    black_share: float
    white_share: float
    blank_share: float
    light: Light | None
    texture: Cells = field(repr=False)


def measure(image: Image) -> Measures:
    """Measure a whole picture of any size."""
    pixels = reduced(image, WORKING_SIDE)
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.uint8)
    texture = textured(grey)
    blank_share = largest_share(~texture)
    return Measures(
        sharpness=sharpness_of(grey),
        noise=noise_of(grey),
        brightness=brightness(grey),
        black_share=float((grey <= BLACK).mean()),
        white_share=float((grey >= WHITE).mean()),
        blank_share=blank_share,
        light=told_light(pixels, blank_share),
        texture=texture,
    )


def told_light(pixels: UInt8, blank_share: float) -> Light | None:
    """What (h, w, 3) RGB was taken in.

    None for a blank picture that is not dark: whatever is before the lens, its grey is not that of infrared.
    """
    light = light_of(pixels)
    return None if blank_share >= BLANK and light != "dark" else light


def sharpness_of(grey: UInt8) -> float:
    """0..1 of (h, w): the share of the differences between neighbours that a strong blur takes, in the direction with
    less of it; 0 of an even picture.
    """
    values = np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _WEAK_BLUR), np.float32)
    return min(_taken(values), _taken(np.ascontiguousarray(values.T)))


def noise_of(grey: UInt8) -> float | None:
    """Standard deviation of the noise of (h, w), in grey levels.

    None where every cell has clipped pixels, or below 3 x 3 px.
    """
    if min(grey.shape) < 3:
        return None
    response = np.abs(np.asarray(cv2.filter2D(grey.astype(np.float32), cv2.CV_32F, _NOISE_KERNEL), np.float32))
    clipped = ((grey <= BLACK) | (grey >= WHITE)).astype(np.float32)
    usable = _cells(response)[_cells(clipped) <= 0]
    if usable.size == 0:
        return None
    # The kernel's weights have a length of 6, and a normal distribution's mean deviation is sqrt(2 / pi) of its sigma.
    return math.sqrt(math.pi / 2) / 6 * float(np.quantile(usable, _SMOOTHEST))


def textured(grey: UInt8) -> Cells:
    """Which cells of the grid show something: (16, 24)."""
    blurred = np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _TEXTURE_BLUR), np.float32)
    variance = _cells(blurred * blurred) - _cells(blurred) ** 2
    return np.asarray(variance >= LEAST_TEXTURE**2, np.bool_)


def largest_share(cells: Cells) -> float:
    """Share of the grid that the largest connected part of its true cells has, 0..1; diagonal neighbours are none."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8), connectivity=4)
    return float(stats[1:, cv2.CC_STAT_AREA].max(initial=0)) / cells.size


def _taken(values: Float) -> float:
    """Along the rows of (h, w), 0..1."""
    if values.shape[1] < 2:
        return 0.0
    before = cv2.absdiff(values[:, 1:], values[:, :-1])
    blurred = np.asarray(cv2.blur(values, (_STRONG_BLUR, 1)), np.float32)
    after = cv2.absdiff(blurred[:, 1:], blurred[:, :-1])
    whole = float(np.sum(before))
    return float(np.sum(np.maximum(before - after, 0))) / whole if whole > 0 else 0.0


def _cells(values: Float) -> Float:
    """Mean of each cell of the grid: (16, 24)."""
    return np.asarray(cv2.resize(values, (GRID[1], GRID[0]), interpolation=cv2.INTER_AREA), np.float32)
