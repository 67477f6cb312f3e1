"""Colours that people with any colour vision can tell apart, and the ink that can be read on each."""

from __future__ import annotations

from collections.abc import Mapping

from hearthwatch.models.threat_detector import SEVERITIES
from hearthwatch.prompt.facts import kind_of

RGB = tuple[int, int, int]

BLACK: RGB = (0, 0, 0)
WHITE: RGB = (255, 255, 255)

#: Okabe and Ito 2008, "Color Universal Design". A colour stands for a kind; the word beside it is always there too.
COLORS: Mapping[str, RGB] = {
    "person": (86, 180, 233),  # sky blue
    "vehicle": (230, 159, 0),  # orange
    "animal": (0, 158, 115),  # bluish green
    "weapon": (213, 94, 0),  # vermillion
    "object": (204, 121, 167),  # reddish purple
    "detail": (240, 228, 66),  # yellow: what was found inside a detection: a face, a plate
}


def color_kind(class_name: str) -> str:
    """The key of `COLORS` for a detector's word."""
    return "weapon" if class_name.lower() in SEVERITIES else kind_of(class_name)


def ink_on(background: RGB) -> RGB:
    """Black or white, whichever is easier to read."""
    return max((BLACK, WHITE), key=lambda ink: contrast(ink, background))


def contrast(a: RGB, b: RGB) -> float:
    """Contrast ratio of two sRGB colours as WCAG 2.2 defines it: 1 to 21; text needs 4.5."""
    bright, dark = sorted((_luminance(a), _luminance(b)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


def _luminance(color: RGB) -> float:
    # The constants are those of WCAG's definition of relative luminance.
    shares = [channel / 255 for channel in color]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
