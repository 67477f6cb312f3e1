"""Builds and coats of cats and dogs.

A cat is told from a dog by its shape: small and slim with a round head, a short muzzle, upright triangular ears and a
long thin tail, against a deep chest, a long muzzle and longer legs. Their colours overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

RGB = tuple[float, float, float]
Ears = Literal["upright", "hanging"]
Tail = Literal["up", "level", "down", "curled"]


@dataclass(frozen=True, slots=True)
class Build:
    """Measures in metres.

    Attributes:
        shoulder: height of the back.
        length: from chest to rump.
        chest: radius.
        waist: radius.
        leg: radius of a leg at its upper end; it is half of that at its foot.
        neck: length and radius.
        skull: radius.
        muzzle: length, and radius at its root.
        ears: how they are carried.
        ear: their length.
        tail: length and radius.
        tails: how it may be carried.
    """

    shoulder: float
    length: float
    chest: float
    waist: float
    leg: float
    neck: tuple[float, float]
    skull: float
    muzzle: tuple[float, float]
    ears: Ears
    ear: float
    tail: tuple[float, float]
    tails: tuple[Tail, ...]


_CAT_TAILS: tuple[Tail, ...] = ("up", "level", "down", "curled")

BUILDS: dict[str, dict[str, Build]] = {
    "cat": {
        "shorthair": Build(
            0.26,
            0.36,
            0.070,
            0.068,
            0.034,
            (0.06, 0.045),
            0.054,
            (0.022, 0.032),
            "upright",
            0.058,
            (0.30, 0.017),
            _CAT_TAILS,
        ),
        "slender": Build(
            0.28,
            0.38,
            0.060,
            0.055,
            0.029,
            (0.08, 0.036),
            0.048,
            (0.026, 0.028),
            "upright",
            0.068,
            (0.34, 0.013),
            _CAT_TAILS,
        ),
        "longhair": Build(
            0.27,
            0.38,
            0.090,
            0.092,
            0.044,
            (0.05, 0.068),
            0.064,
            (0.018, 0.034),
            "upright",
            0.052,
            (0.30, 0.036),
            _CAT_TAILS,
        ),
    },
    "dog": {
        "retriever": Build(
            0.58,
            0.66,
            0.150,
            0.115,
            0.075,
            (0.17, 0.095),
            0.092,
            (0.125, 0.056),
            "hanging",
            0.12,
            (0.36, 0.032),
            ("level", "down", "up"),
        ),
        "shepherd": Build(
            0.62,
            0.70,
            0.145,
            0.105,
            0.075,
            (0.18, 0.090),
            0.088,
            (0.145, 0.052),
            "upright",
            0.12,
            (0.40, 0.042),
            ("down", "level"),
        ),
        "hound": Build(
            0.40,
            0.46,
            0.105,
            0.080,
            0.052,
            (0.12, 0.062),
            0.068,
            (0.095, 0.040),
            "hanging",
            0.115,
            (0.26, 0.018),
            ("up", "level"),
        ),
        "terrier": Build(
            0.34,
            0.36,
            0.088,
            0.074,
            0.044,
            (0.09, 0.058),
            0.064,
            (0.085, 0.042),
            "upright",
            0.050,
            (0.15, 0.018),
            ("up",),
        ),
        "dachshund": Build(
            0.24,
            0.50,
            0.085,
            0.074,
            0.044,
            (0.10, 0.052),
            0.056,
            (0.105, 0.034),
            "hanging",
            0.095,
            (0.22, 0.016),
            ("level", "up"),
        ),
        "greyhound": Build(
            0.68,
            0.68,
            0.145,
            0.075,
            0.062,
            (0.22, 0.062),
            0.070,
            (0.150, 0.038),
            "hanging",
            0.06,
            (0.42, 0.016),
            ("down",),
        ),
        "spitz": Build(
            0.46,
            0.46,
            0.125,
            0.110,
            0.056,
            (0.10, 0.105),
            0.084,
            (0.085, 0.042),
            "upright",
            0.075,
            (0.26, 0.055),
            ("curled",),
        ),
    },
}


@dataclass(frozen=True, slots=True)
class Coat:
    """Colours of a fur, part by part.

    Attributes:
        back: of the trunk, the neck and the upper legs.
        belly: of the chest's front and the underside.
        legs: of the lower legs.
        paws: of the feet.
        face: of the skull.
        muzzle: of the muzzle.
        ears: of the ears' backs.
        tail: of the tail; `tip` of its end.
        bands: colour of the stripes across trunk and tail, or None.
        spots: colours of spots on the trunk; none, one or several.
    """

    back: RGB
    belly: RGB
    legs: RGB
    paws: RGB
    face: RGB
    muzzle: RGB
    ears: RGB
    tail: RGB
    tip: RGB
    bands: RGB | None = None
    spots: tuple[RGB, ...] = ()


WHITE: RGB = (0.86, 0.84, 0.80)
BLACK: RGB = (0.045, 0.042, 0.042)
GREY: RGB = (0.33, 0.34, 0.36)
GINGER: RGB = (0.62, 0.32, 0.11)
CREAM: RGB = (0.74, 0.62, 0.44)
TAN: RGB = (0.50, 0.32, 0.16)
BROWN: RGB = (0.22, 0.13, 0.07)

_PLAIN = {"cat": (WHITE, BLACK, GREY, GINGER, CREAM), "dog": (WHITE, BLACK, GREY, GINGER, CREAM, TAN, BROWN)}


def coat_of(kind: str, rng: np.random.Generator) -> Coat:
    """A coat that such an animal may have."""
    first = _PLAIN[kind][int(rng.integers(len(_PLAIN[kind])))]
    patterns = _CAT_COATS if kind == "cat" else _DOG_COATS
    coat = patterns[int(rng.integers(len(patterns)))](first)
    return _shaded(coat, rng)


def plain(colour: RGB) -> Coat:
    """One colour all over."""
    return Coat(*(colour,) * 9)


def _socks(colour: RGB) -> Coat:
    """White below: chest, muzzle, paws and the tail's tip."""
    colour = BLACK if colour == WHITE else colour
    return replace(plain(colour), belly=WHITE, muzzle=WHITE, paws=WHITE, legs=WHITE, tip=WHITE)


def _tabby(colour: RGB) -> Coat:
    colour = TAN if colour in {WHITE, BLACK} else colour
    dark: RGB = (colour[0] * 0.42, colour[1] * 0.40, colour[2] * 0.40)
    pale: RGB = (min(colour[0] * 1.35, 0.85), min(colour[1] * 1.35, 0.8), min(colour[2] * 1.35, 0.75))
    return replace(plain(colour), belly=pale, muzzle=pale, tip=dark, bands=dark)


def _patched(_colour: RGB) -> Coat:
    return replace(plain(WHITE), face=GINGER, ears=BLACK, tail=BLACK, tip=BLACK, spots=(GINGER, BLACK))


def _points(_colour: RGB) -> Coat:
    return replace(plain(CREAM), face=BROWN, muzzle=BROWN, ears=BROWN, legs=BROWN, paws=BROWN, tail=BROWN, tip=BROWN)


def _saddled(_colour: RGB) -> Coat:
    """Dark above, tan below."""
    return replace(plain(BLACK), belly=TAN, legs=TAN, paws=TAN, muzzle=TAN, face=BLACK)


def _three_coloured(_colour: RGB) -> Coat:
    return replace(plain(BLACK), belly=WHITE, legs=WHITE, paws=WHITE, face=TAN, muzzle=WHITE, ears=TAN, tip=WHITE)


def _spotted(_colour: RGB) -> Coat:
    return replace(plain(WHITE), ears=BLACK, spots=(BLACK,))


_CAT_COATS = (plain, plain, _socks, _tabby, _tabby, _patched, _points)
_DOG_COATS = (plain, plain, plain, _socks, _saddled, _three_coloured, _spotted)


def _shaded(coat: Coat, rng: np.random.Generator) -> Coat:
    """Lighter or darker, all parts alike."""
    factor = float(rng.uniform(0.82, 1.15))

    def shade(colour: RGB) -> RGB:
        r, g, b = (float(np.clip(part * factor, 0.02, 0.92)) for part in colour)
        return r, g, b

    parts = {name: shade(getattr(coat, name)) for name in Coat.__slots__ if name not in {"bands", "spots"}}
    return replace(coat, **parts, bands=shade(coat.bands) if coat.bands else None, spots=tuple(map(shade, coat.spots)))
