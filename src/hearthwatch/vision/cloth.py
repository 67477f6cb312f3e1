"""Cloth: the word for the colour of what a person wears above the waist, told from a crop of the person by a rule.

A part of the crop is looked at in which an upright person's chest is (shoulders and hips lie at 0.18 and 0.47 of the
stature from the top: Winter 2009); of a crop that is nearly square, its middle. Its pixels are averaged and looked at
as those of a vehicle's body are (`vision.paint`), with purple and pink beside that rule's words. Where many cells have
a hue, the commonest is the colour; otherwise the middle lightness decides between black, gray and white. The confidence
is the share of the chest's cells that have the word.

A picture by infrared light has no colours, and one that is dark all over shows no grays: then there is no word, but a
reason.

Measured: of 37 people in photographs of street and indoor cameras 31 have one of the words that a person gave them; the
limits of pink were drawn with them in sight. Of drawn people that the rule was not made on: 33 of 46 by day, 13 of 18
at dusk, 13 of 22 at night by lamps, 5 of 15 in rain; none of 19 by infrared light has a word.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float, UInt8
from hearthwatch.vision.paint import (
    COLORS,
    GRAYS,
    HUED,
    Paint,
    color_words,
    colorless,
    commonest,
    dark,
    gray_word,
    lab_grid,
)

#: The words. Beige is gray, white, orange or brown, as the light is.
CLOTH_COLORS = (*COLORS, "purple", "pink")
#: From this many widths on, a crop is high enough to be of an upright person.
_UPRIGHT = 1.4
#: Where the chest is, as shares of the crop: left, top, right, bottom.
_CHEST, _MIDDLE = (0.28, 0.18, 0.72, 0.46), (0.25, 0.25, 0.75, 0.65)
#: Hues in degrees that a paint rule calls blue or red, and people call purple.
_PURPLE = (300.0, 345.0)
#: Red and purple are pink from this lightness on and up to this chroma.
_PINK_LIGHTNESS, _PINK_CHROMA = 58.0, 50.0


def cloth_of(pixels: UInt8) -> Paint:
    """The colour of a person's upper clothes.

    Args:
        pixels: (h, w, 3) RGB, the person with a small margin or none.
    """
    whole_lightness, _, whole_chroma = lab_grid(pixels)
    if (reason := colorless(whole_chroma)) is not None:
        return reason
    lightness, hue, chroma = lab_grid(_chest(pixels))
    words = _words(lightness, hue, chroma)
    hues = np.isin(words, GRAYS, invert=True)
    if hues.mean() >= HUED:
        color = commonest(words[hues], CLOTH_COLORS)
    elif (reason := dark(whole_lightness)) is not None:
        return reason
    else:
        color = gray_word(float(np.median(lightness[~hues])))
    return Paint(color, float((words == color).mean()))


def _chest(pixels: UInt8) -> UInt8:
    rows, columns = pixels.shape[:2]
    left, top, right, bottom = _CHEST if rows >= _UPRIGHT * columns else _MIDDLE
    y, x = int(rows * top), int(columns * left)
    return pixels[y : max(y + 1, math.ceil(rows * bottom)), x : max(x + 1, math.ceil(columns * right))]


def _words(lightness: Float, hue: Float, chroma: Float) -> npt.NDArray[np.str_]:
    """The word of each cell, of the cells' shape."""
    words = color_words(lightness, hue, chroma)
    violet = np.isin(words, ("blue", "red")) & (hue > _PURPLE[0]) & (hue <= _PURPLE[1])
    words = np.where(violet, "purple", words)
    pale = (lightness > _PINK_LIGHTNESS) & (chroma < _PINK_CHROMA)
    return np.where(pale & np.isin(words, ("red", "purple")), "pink", words)
