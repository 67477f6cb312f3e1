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


_ANY: tuple[Tail, ...] = ("up", "level", "down", "curled")
_HIGH: tuple[Tail, ...] = ("up", "level")
_LOW: tuple[Tail, ...] = ("down", "level")


def _build(
    trunk: tuple[float, float, float, float, float],
    neck: tuple[float, float],
    head: tuple[float, float, float],
    ears: Ears,
    ear: float,
    tail: tuple[float, float],
    carried: tuple[Tail, ...],
) -> Build:
    """In centimetres. Trunk: shoulder, length, chest, waist, leg. Head: skull, the muzzle's length and radius."""
    shoulder, length, chest, waist, leg = (part / 100 for part in trunk)
    return Build(
        shoulder,
        length,
        chest,
        waist,
        leg,
        neck=(neck[0] / 100, neck[1] / 100),
        skull=head[0] / 100,
        muzzle=(head[1] / 100, head[2] / 100),
        ears=ears,
        ear=ear / 100,
        tail=(tail[0] / 100, tail[1] / 100),
        tails=carried,
    )


_CATS = {
    "shorthair": _build((26, 36, 7, 6.8, 3.4), (6, 4.5), (5.6, 2.2, 3.2), "upright", 5.8, (30, 1.7), _ANY),
    "slender": _build((28, 38, 6, 5.5, 2.9), (8, 3.6), (5, 2.6, 2.8), "upright", 6.8, (34, 1.3), _ANY),
    "longhair": _build((27, 38, 9, 9.2, 4.4), (5, 6.8), (6.6, 1.8, 3.4), "upright", 5.2, (30, 3.6), _ANY),
}
_DOGS = {
    "retriever": _build((58, 66, 15, 11.5, 7.5), (17, 9.5), (9.8, 11.5, 6.2), "hanging", 12, (36, 3.2), _LOW),
    "shepherd": _build((62, 70, 14.5, 10.5, 7.5), (18, 9), (9.4, 13.5, 5.8), "upright", 12, (40, 4.2), _LOW),
    "hound": _build((40, 46, 10.5, 8, 5.2), (12, 6.2), (7.4, 9, 4.6), "hanging", 11.5, (26, 1.8), _HIGH),
    "terrier": _build((34, 36, 8.8, 7.4, 4.4), (9, 5.8), (6.8, 8.5, 4.4), "upright", 5, (15, 1.8), _HIGH),
    "dachshund": _build((24, 50, 8.5, 7.4, 4.4), (10, 5.2), (6, 10, 3.7), "hanging", 9.5, (22, 1.6), _HIGH),
    "greyhound": _build((68, 68, 14.5, 7.5, 6.2), (22, 6.2), (7.6, 14.5, 4.2), "hanging", 6, (42, 1.6), _LOW),
    "spitz": _build((46, 46, 12.5, 11, 5.6), (10, 8.5), (9, 8.5, 4.6), "upright", 8, (26, 5.5), ("curled",)),
}
BUILDS: dict[str, dict[str, Build]] = {"cat": _CATS, "dog": _DOGS}


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
