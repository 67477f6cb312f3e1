"""Paint: the word for the colour of a vehicle's body, told from a crop of the vehicle by a rule.

The body is looked for in an ellipse below the middle of the crop, where doors, bonnet and boot are, and not the roof,
the sky or the road. Its pixels are averaged to a small grid and looked at in CIE Lab (1976). A cell with enough chroma
has the word of its hue. Where many cells have one, the commonest hue is the paint's; otherwise the paint has none, and
the lightness that the lighter third of the body reaches decides between black, gray and white: glass, tyres and grille
are dark whatever the paint is. The confidence is the share of the body's cells that have the word.

A picture by infrared light has no colours, and one that is dark all over shows no grays: then there is no word, but a
reason.

Measured: of 58 vehicles in photographs 44 have the word that a person gave them, and 52 where gray and white count as
one (a small network trained for it, Open Model Zoo's vehicle-attributes-0039: 42 and 48). Of drawn vehicles that the
rule was not made on: 36 of 50 by day, 25 of 36 in rain, 24 of 43 at dusk, 9 of 24 at night by lamps; none of 33 by
infrared light has a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float, UInt8

#: The words. Silver is gray or white: a camera does not see what a paint is called.
GRAYS = ("black", "gray", "white")
COLORS = (*GRAYS, "red", "orange", "brown", "yellow", "green", "blue")
#: Cells a side that a crop is averaged to: noise, lettering and reflections are about as small as one.
_GRID = 32
#: The ellipse of the body, as shares of the crop: its middle, and its half axes across and down.
_MIDDLE, _AXES = (0.5, 0.60), (0.40, 0.24)
#: A cell has a hue from this chroma on, and from this share of its lightness: what is lighter mirrors more of the sky.
_CHROMA, _CHROMA_PER_LIGHTNESS = 10.0, 0.25
#: Share of the body's cells that must have a hue for the paint to have one.
HUED = 0.30
#: Hue in degrees up to which a word holds.
_HUES: tuple[tuple[float, str], ...] = (
    (41.0, "red"),
    (70.0, "orange"),
    (106.0, "yellow"),
    (200.0, "green"),
    (318.0, "blue"),
    (360.0, "red"),
)
#: Brown is orange and yellow, and dull red, below this lightness and this chroma.
_BROWN_LIGHTNESS, _BROWN_CHROMA = 43.0, 45.0
_DULL_RED_HUE, _DULL_RED_CHROMA = 28.0, 30.0
#: The share of cells that may be darker than the paint; the lightness up to which it is black, and up to which gray.
_DARKER, _BLACK, _GRAY = 0.65, 34.0, 62.0
#: Nearly no cell of a colourless picture reaches this chroma, and none of a dark one this lightness.
_COLORLESS, _DARK = 2.5, 40.0
_NEARLY_ALL = 98


@dataclass(frozen=True, slots=True)
class Paint:
    """A colour.

    Attributes:
        color: a word of `COLORS`, or of a network's own; None where it cannot be told.
        confidence: 0..1; None likewise.
        reason: why it cannot be told; empty where it can.
    """

    color: str | None
    confidence: float | None
    reason: str = ""


def paint_of(pixels: UInt8) -> Paint:
    """The colour of a vehicle.

    Args:
        pixels: (h, w, 3) RGB, the vehicle with a small margin.
    """
    lightness, hue, chroma = lab_grid(pixels)
    if (reason := colorless(chroma)) is not None:
        return reason
    body = _body()
    words = color_words(lightness[body], hue[body], chroma[body])
    hues = np.isin(words, GRAYS, invert=True)
    if hues.mean() >= HUED:
        color = commonest(words[hues], COLORS)
    elif (reason := dark(lightness)) is not None:
        return reason
    else:
        color = gray_word(float(np.percentile(lightness[body][~hues], 100 * _DARKER)))
    return Paint(color, float((words == color).mean()))


def colorless(chroma: Float) -> Paint | None:
    """No colour and the reason, where the cells of a whole crop have none; None where they have some."""
    if np.percentile(chroma, _NEARLY_ALL) < _COLORLESS:
        return Paint(None, None, "the picture has no colours, as by infrared light")
    return None


def dark(lightness: Float) -> Paint | None:
    """No colour and the reason, where a whole crop is too dark to tell grays; None where it is not."""
    if np.percentile(lightness, _NEARLY_ALL) < _DARK:
        return Paint(None, None, "it is too dark to see a colour")
    return None


def commonest(words: npt.NDArray[np.str_], order: Sequence[str]) -> str:
    """The word that most cells have; of several, the first in an order."""
    return max(order, key=lambda word: int((words == word).sum()))


def lab_grid(pixels: UInt8) -> tuple[Float, Float, Float]:
    """Lightness 0..100, hue in degrees and chroma of each cell, (grid, grid) each."""
    small = cv2.resize(pixels, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    lab = cv2.cvtColor(small / np.float32(255), cv2.COLOR_RGB2Lab)
    lightness, a, b = (np.asarray(lab[..., channel], np.float32) for channel in range(3))
    hue = np.asarray(np.degrees(np.arctan2(b, a)) % 360, np.float32)
    return lightness, hue, np.asarray(np.hypot(a, b), np.float32)


def _body() -> npt.NDArray[np.bool_]:
    """Which cells the ellipse has, (grid, grid)."""
    y, x = (np.mgrid[0:_GRID, 0:_GRID] + 0.5) / _GRID
    inside: npt.NDArray[np.bool_] = ((x - _MIDDLE[0]) / _AXES[0]) ** 2 + ((y - _MIDDLE[1]) / _AXES[1]) ** 2 <= 1
    return inside


def color_words(lightness: Float, hue: Float, chroma: Float) -> npt.NDArray[np.str_]:
    """The word of each of N cells, (N,)."""
    grays = np.where(lightness <= _BLACK, "black", np.where(lightness <= _GRAY, "gray", "white"))
    ends, names = np.array([end for end, _ in _HUES]), np.array([name for _, name in _HUES])
    hues = names[np.minimum(np.searchsorted(ends, hue), len(ends) - 1)]
    warm = np.isin(hues, ("orange", "yellow")) & (chroma < _BROWN_CHROMA)
    dull = (hues == "red") & (hue > _DULL_RED_HUE) & (hue < 180) & (chroma < _DULL_RED_CHROMA)
    hues = np.where((warm | dull) & (lightness < _BROWN_LIGHTNESS), "brown", hues)
    return np.where(chroma >= np.maximum(_CHROMA, _CHROMA_PER_LIGHTNESS * lightness), hues, grays)


def gray_word(lightness: float) -> str:
    """Black, gray or white by a lightness of 0..100."""
    return "black" if lightness <= _BLACK else "gray" if lightness <= _GRAY else "white"
