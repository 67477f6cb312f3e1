"""License plates: their texts, their looks, and their pixels.

Letters come from the outline font inside Pillow (Aileron by Sora Sagano, CC0), made bolder by a stroke and narrower by
resizing, as plates' own typefaces are. Nothing else is written on a plate: what a reader finds there is its text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

Float = npt.NDArray[np.float32]
RGB = tuple[float, float, float]

#: Without O, I and Q, which are left out of many countries' plates because they look like 0 and 1.
LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"
DIGITS = "0123456789"

#: L is a letter, D a digit, the rest is written as it is. Made after forms in use in Europe and North America.
WIDE_FORMS = ("LL-DDD-LL", "LLDD LLL", "L-LL DDDD", "LL-LL DDD", "LLL-DDD", "DD-LLL-D", "LL DDDDD", "DDDD LLL")
SHORT_FORMS = ("LLL DDDD", "LLL-DDD", "DLLLDDD", "LL DDDD", "DDD LLL")

#: Pixels of a plate's picture for one millimetre of it: finer than any camera here sees one.
_DETAIL = 1.0
_FONT_PX = 100


@dataclass(frozen=True, slots=True)
class PlateStyle:
    """How a plate looks.

    Attributes:
        name: for tables and tests.
        size_mm: (width, height).
        ground: colour of the plate.
        ink: colour of its letters and border.
        strip: whether a blue strip stands at its left end.
        band: colour of a band along its upper edge, or None.
        letter_share: height of the letters as a share of the plate's.
        stroke: what is added around each letter's outline, as a share of the font's size.
        narrow: width of the letters as a share of the font's own.
        spacing: room between letters as a share of their height.
    """

    name: str
    size_mm: tuple[float, float]
    ground: RGB
    ink: RGB
    strip: bool = False
    band: RGB | None = None
    letter_share: float = 0.66
    stroke: float = 0.02
    narrow: float = 0.85
    spacing: float = 0.10

    @property
    def size_m(self) -> tuple[float, float]:
        return self.size_mm[0] / 1000, self.size_mm[1] / 1000


_DARK: RGB = (0.04, 0.04, 0.05)
_WIDE = (520.0, 113.0)
_SHORT = (305.0, 152.0)

STYLES: tuple[PlateStyle, ...] = (
    PlateStyle("european", _WIDE, (0.90, 0.90, 0.88), _DARK, strip=True),
    PlateStyle("plain", _WIDE, (0.90, 0.90, 0.88), _DARK),
    PlateStyle("yellow", _WIDE, (0.93, 0.74, 0.12), _DARK, strip=True),
    PlateStyle("short", _SHORT, (0.90, 0.90, 0.88), (0.06, 0.10, 0.32), letter_share=0.44, narrow=0.72, spacing=0.09),
    PlateStyle(
        "banded",
        _SHORT,
        (0.88, 0.90, 0.92),
        _DARK,
        band=(0.20, 0.36, 0.66),
        letter_share=0.44,
        narrow=0.72,
        spacing=0.09,
    ),
)


def plate_text(rng: np.random.Generator) -> str:
    """A plate's text, such as `KL-204-BN`: letters, digits, and spaces or hyphens between them."""
    forms = WIDE_FORMS if rng.random() < 0.7 else SHORT_FORMS
    form = forms[int(rng.integers(len(forms)))]
    signs = {"L": LETTERS, "D": DIGITS}
    return "".join(signs[c][int(rng.integers(len(signs[c])))] if c in signs else c for c in form)


def plate_style(text: str, rng: np.random.Generator) -> PlateStyle:
    """A style that the text fits on, with a weight, a width and a spacing of its own."""
    fitting = [style for style in STYLES if style.size_mm == _WIDE or len(text) <= 8]
    style = fitting[int(rng.integers(len(fitting)))]
    return replace(
        style,
        stroke=float(rng.uniform(0.008, 0.03)),
        narrow=style.narrow * float(rng.uniform(0.92, 1.08)),
        spacing=style.spacing * float(rng.uniform(0.85, 1.3)),
    )


def draw_plate(text: str, style: PlateStyle, rng: np.random.Generator) -> Float:
    """The plate's pixels, worn and dirty as `rng` says.

    Args:
        text: what is written on it.
        style: how it looks.
        rng: wear and dirt.

    Returns:
        (h, w, 3) float32, RGB, 0..1.
    """
    wide, high = (round(side * _DETAIL) for side in style.size_mm)
    plate = np.full((high, wide, 3), style.ground, np.float32)
    _border(plate, style)
    left = _strip(plate) if style.strip else round(0.03 * wide)
    top = _band(plate, style.band) if style.band is not None else 0
    _letters(plate, text, style, (left, top))
    _wear(plate, rng)
    return np.asarray(np.clip(plate, 0.0, 1.0), np.float32)


def _border(plate: Float, style: PlateStyle) -> None:
    high, wide = plate.shape[0], plate.shape[1]
    inset, thick = round(2.5 * _DETAIL), max(round(2.5 * _DETAIL), 1)
    cv2.rectangle(plate, (inset, inset), (wide - 1 - inset, high - 1 - inset), style.ink, thick)


def _strip(plate: Float) -> int:
    """The blue strip with its ring of stars; gives the column where the letters may begin."""
    high = plate.shape[0]
    width = int(0.40 * high)
    plate[:, :width] = (0.04, 0.16, 0.55)
    for angle in np.arange(12) * np.pi / 6:
        centre = (width / 2 + 0.26 * width * np.cos(angle), 0.33 * high + 0.26 * width * np.sin(angle))
        cv2.circle(plate, (round(centre[0]), round(centre[1])), max(round(0.012 * high), 1), (0.9, 0.8, 0.2), -1)
    return width


def _band(plate: Float, colour: RGB) -> int:
    """A coloured band along the upper edge; gives the row where the letters may begin."""
    rows = int(0.17 * plate.shape[0])
    plate[:rows] = colour
    return rows


def _letters(plate: Float, text: str, style: PlateStyle, start: tuple[int, int]) -> None:
    """Write the text in the middle of what is right of and below `start`, narrower where it would not fit."""
    high, wide = plate.shape[0], plate.shape[1]
    left, top = start
    line = _line(text, round(style.stroke * _FONT_PX), style.spacing)
    scale = style.letter_share * high / line.shape[0]
    room = (wide - left) * 0.92
    width = round(min(line.shape[1] * scale * style.narrow, room))
    height = round(line.shape[0] * scale)
    cover = cv2.resize(line, (width, height), interpolation=cv2.INTER_AREA)[..., None]
    x, y = left + (wide - left - width) // 2, top + (high - top - height) // 2
    part = plate[y : y + height, x : x + width]
    part *= 1.0 - cover
    part += cover * np.asarray(style.ink, np.float32)


@lru_cache(maxsize=512)
def _glyph(sign: str, stroke: int) -> Float:
    """One sign's coverage, as wide as its ink and as high as a capital."""
    font = ImageFont.load_default(_FONT_PX)
    left, _, right, _ = font.getbbox(sign, stroke_width=stroke)
    _, cap_top, _, cap_bottom = font.getbbox("H", stroke_width=stroke)
    picture = Image.new("L", (round(right - left), round(cap_bottom - cap_top)))
    ImageDraw.Draw(picture).text((-left, -cap_top), sign, 255, font=font, stroke_width=stroke)
    return np.asarray(np.asarray(picture, np.float32) / 255, np.float32)


def _line(text: str, stroke: int, spacing: float) -> Float:
    """A line of text as coverage 0..1, (height of a capital, width of the line)."""
    glyphs = {sign: _glyph(sign, stroke) for sign in set(text) - {" "}}
    height = _glyph("H", stroke).shape[0]
    gap = np.zeros((height, max(round(spacing * height), 1)), np.float32)
    blank = np.zeros((height, round(0.28 * height)), np.float32)
    parts: list[Float] = []
    for sign in text:
        parts += [blank if sign == " " else glyphs[sign], gap]
    return np.asarray(np.concatenate(parts[:-1], axis=1), np.float32)


def _wear(plate: Float, rng: np.random.Generator) -> None:
    """Screws, paint that has faded unevenly, and dirt that thickens towards the lower edge."""
    high, wide = plate.shape[0], plate.shape[1]
    for share in (0.16, 0.84):
        cv2.circle(plate, (round(share * wide), round(0.11 * high)), max(round(0.03 * high), 1), (0.45, 0.45, 0.45), -1)
    coarse = rng.random((4, 12), dtype=np.float32)
    clouds = cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_LINEAR)[..., None]
    dirt = float(rng.choice([0.03, 0.10, 0.22], p=[0.5, 0.35, 0.15]))
    lower = np.linspace(0.3, 1.0, high, dtype=np.float32)[:, None, None]
    cover = np.clip(dirt * clouds * lower * 1.6, 0, 0.6)
    plate *= 1.0 - cover
    plate += cover * np.asarray((0.33, 0.28, 0.22), np.float32)
