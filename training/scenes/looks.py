"""What a person looks like, from a number alone: build, skin, hair, clothes and bag, so that two cameras agree.

Colours have names, because captions and clothing words use them, and a shade of their own within the name.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]

#: Cloth, RGB 0..1.
CLOTH: Mapping[str, Colour] = {
    "black": (0.05, 0.05, 0.06),
    "white": (0.88, 0.88, 0.86),
    "grey": (0.42, 0.43, 0.45),
    "red": (0.68, 0.08, 0.09),
    "dark red": (0.33, 0.05, 0.08),
    "orange": (0.88, 0.40, 0.07),
    "yellow": (0.88, 0.74, 0.14),
    "green": (0.13, 0.45, 0.20),
    "dark green": (0.09, 0.20, 0.12),
    "olive": (0.31, 0.31, 0.17),
    "teal": (0.08, 0.42, 0.45),
    "light blue": (0.45, 0.66, 0.86),
    "blue": (0.11, 0.24, 0.62),
    "navy": (0.06, 0.09, 0.22),
    "purple": (0.34, 0.15, 0.45),
    "pink": (0.88, 0.46, 0.58),
    "brown": (0.32, 0.20, 0.12),
    "beige": (0.72, 0.62, 0.47),
}
_SKINS: Sequence[Colour] = (
    (0.93, 0.76, 0.66), (0.87, 0.67, 0.55), (0.80, 0.59, 0.45), (0.68, 0.47, 0.33), (0.52, 0.34, 0.23),
    (0.38, 0.24, 0.16), (0.25, 0.155, 0.11),
)  # fmt: skip
_HAIRS: Sequence[Colour] = (
    (0.04, 0.035, 0.03), (0.10, 0.06, 0.04), (0.22, 0.13, 0.07), (0.38, 0.24, 0.12), (0.66, 0.50, 0.26),
    (0.45, 0.17, 0.07), (0.55, 0.54, 0.53), (0.78, 0.77, 0.75),
)  # fmt: skip
_DENIM: Colour = (0.17, 0.25, 0.42)
_UPPERS: Mapping[str, float] = {
    "t-shirt": 0.20, "shirt": 0.14, "sweater": 0.14, "jacket": 0.20, "hoodie": 0.14, "coat": 0.12, "hi-vis vest": 0.06,
}  # fmt: skip
_PATTERNS: Mapping[str, float] = {
    "plain": 0.30, "striped": 0.15, "pinstriped": 0.07, "checked": 0.12, "two-tone": 0.11, "banded": 0.08, "logo": 0.10,
    "dotted": 0.04, "camouflage": 0.03,
}  # fmt: skip
_LOWERS: Mapping[str, float] = {"trousers": 0.42, "jeans": 0.28, "shorts": 0.14, "skirt": 0.10, "leggings": 0.06}
_HATS: Mapping[str, float] = {"": 0.55, "cap": 0.17, "beanie": 0.12, "hat": 0.05, "helmet": 0.05, "headscarf": 0.06}
_HAIR_STYLES = ("short", "crop", "long", "bun", "bald", "curls")
_BAGS: Mapping[str, float] = {"": 0.60, "backpack": 0.26, "shoulder bag": 0.14}
_SALT = 0x100C


@dataclass(frozen=True, slots=True)
class Garment:
    """A piece of clothing.

    Attributes:
        kind: its word.
        name: of its main colour.
        colour: the shade.
        second: of stripes, checks, a logo, the lower half.
        second_name: of that colour.
        pattern: of _PATTERNS.
    """

    kind: str
    name: str
    colour: Colour
    second: Colour = (0.5, 0.5, 0.5)
    second_name: str = ""
    pattern: str = "plain"

    @property
    def words(self) -> str:
        """Such as "red jacket" or "white and blue striped t-shirt"."""
        if self.pattern in {"plain", "logo", "banded"}:
            return f"{self.name} {self.kind}"
        if self.pattern == "camouflage":
            return f"camouflage {self.kind}"
        pattern = "" if self.pattern == "two-tone" else f" {self.pattern.removeprefix('pin')}"
        return f"{self.name} and {self.second_name}{pattern} {self.kind}"


@dataclass(frozen=True, slots=True)
class Look:
    """Everything of a person that does not change from one picture to the next.

    Attributes:
        stature: metres.
        girth: of torso and limbs; 1 is average.
        broad: of the shoulders against the hips; 1 is average.
        skin, hair: colours.
        hair_style: of _HAIR_STYLES.
        beard: full, in the hair's colour.
        glasses: dark.
        upper: its `kind` also says how long it is.
        sleeves: 0 none, 0.5 to the elbow, 1 to the wrist.
        hood: up over the head.
        lower: of _LOWERS.
        shoes: colour; `boots` are high.
        hat: colour, or None.
        bag: or None.
        gloves: colour, or None.
    """

    stature: float
    girth: float
    broad: float
    skin: Colour
    hair: Colour
    hair_style: str
    beard: bool
    glasses: bool
    upper: Garment
    sleeves: float
    hood: bool
    lower: Garment
    shoes: Garment
    hat: Garment | None
    bag: Garment | None
    gloves: Colour | None

    @property
    def clothing(self) -> tuple[str, ...]:
        """Words for what is worn, from the largest piece on."""
        pieces = [self.upper.words, self.lower.words]
        pieces += [piece.words for piece in (self.hat, self.bag) if piece]
        return (*pieces, *(("hood up",) if self.hood else ()), self.shoes.words)


def look_of(identity: int) -> Look:
    """The same person for the same number."""
    rng = np.random.default_rng([_SALT, identity])
    kind = _chosen(rng, _UPPERS)
    upper = _garment(rng, kind, _chosen(rng, _PATTERNS) if kind != "hi-vis vest" else "plain")
    if kind == "hi-vis vest":
        neon = ("yellow", (0.80, 0.95, 0.10)) if rng.random() < 0.6 else ("orange", (1.0, 0.42, 0.05))
        upper = Garment(kind, neon[0], neon[1], (0.80, 0.80, 0.82), "silver", "banded")
    short = kind == "t-shirt"
    hat = _chosen(rng, _HATS)
    hood = kind in {"hoodie", "jacket"} and not hat and rng.random() < 0.35
    bag = _chosen(rng, _BAGS)
    skin = _shaded(rng, _SKINS[int(rng.integers(len(_SKINS)))], 0.05)
    return Look(
        stature=float(np.clip(rng.normal(1.71, 0.10), 1.45, 1.95)),
        girth=float(np.clip(rng.normal(1.0, 0.13), 0.78, 1.4)),
        broad=float(rng.uniform(0.9, 1.12)),
        skin=skin,
        hair=_shaded(rng, _HAIRS[int(rng.integers(len(_HAIRS)))], 0.1),
        hair_style=str(rng.choice(_HAIR_STYLES, p=[0.34, 0.16, 0.22, 0.1, 0.08, 0.1])),
        beard=bool(rng.random() < 0.14),
        glasses=bool(rng.random() < 0.12),
        upper=upper,
        sleeves=float(rng.choice([0.0, 0.5], p=[0.2, 0.8])) if short else 1.0,
        hood=hood,
        lower=_lower(rng),
        shoes=_shoes(rng),
        hat=_garment(rng, hat, "plain") if hat else None,
        bag=_garment(rng, bag, "two-tone" if rng.random() < 0.4 else "plain") if bag else None,
        gloves=(0.06, 0.06, 0.07) if rng.random() < 0.1 else None,
    )


def _chosen(rng: np.random.Generator, shares: Mapping[str, float]) -> str:
    weights = np.array(list(shares.values()))
    return str(rng.choice(list(shares), p=weights / weights.sum()))


def _shaded(rng: np.random.Generator, colour: Colour, spread: float) -> Colour:
    """A shade of a colour that still has its name."""
    hue, light, saturation = colorsys.rgb_to_hls(*colour)
    light = float(np.clip(light * (1 + rng.normal(0, spread)), 0.02, 0.93))
    saturation = float(np.clip(saturation * (1 + rng.normal(0, spread)), 0.0, 1.0))
    return colorsys.hls_to_rgb((hue + rng.normal(0, spread) * 0.06) % 1.0, light, saturation)


def _named(rng: np.random.Generator) -> tuple[str, Colour]:
    name = str(rng.choice(list(CLOTH)))
    return name, _shaded(rng, CLOTH[name], 0.14)


def _garment(rng: np.random.Generator, kind: str, pattern: str) -> Garment:
    name, colour = _named(rng)
    second_name, second = _named(rng)
    for _ in range(8):
        if max(abs(a - b) for a, b in zip(colour, second, strict=True)) > 0.28:
            break
        second_name, second = _named(rng)
    else:
        second_name, second = ("white", CLOTH["white"]) if sum(colour) < 1.5 else ("black", CLOTH["black"])
    return Garment(kind, name, colour, second, second_name, pattern)


def _lower(rng: np.random.Generator) -> Garment:
    kind = _chosen(rng, _LOWERS)
    if kind == "jeans":
        shade = _shaded(rng, _DENIM, 0.3)
        return Garment(kind, "blue" if sum(shade) > 0.7 else "dark blue", shade)
    if kind == "trousers" and rng.random() < 0.55:  # most are dark or dull
        name = str(rng.choice(["black", "grey", "navy", "brown", "beige", "olive"]))
        return Garment(kind, name, _shaded(rng, CLOTH[name], 0.15))
    pattern = str(rng.choice(["plain", "side-striped"], p=[0.75, 0.25])) if kind == "trousers" else "plain"
    return _garment(rng, kind, pattern)


def _shoes(rng: np.random.Generator) -> Garment:
    kind = "boots" if rng.random() < 0.25 else "shoes"
    name = str(rng.choice(["black", "white", "brown", "grey", "red", "blue"], p=[0.4, 0.25, 0.15, 0.1, 0.05, 0.05]))
    return Garment(kind, name, _shaded(rng, CLOTH[name], 0.12))
