"""Colours and materials of vehicles, and the details that all of them share: wheels, lamps, plates, lettering."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.scenes.bodywork import LIFT_M, SIDES, Frame, Hull, Panel, Side
from training.scenes.camera import Float
from training.scenes.canvas import Paint
from training.scenes.plates import draw_plate, plate_style

RGB = tuple[float, float, float]

#: Words for paint, and the middle of what each stands for.
COLOURS: dict[str, RGB] = {
    "white": (0.88, 0.88, 0.87),
    "black": (0.035, 0.035, 0.04),
    "grey": (0.27, 0.28, 0.29),
    "silver": (0.60, 0.61, 0.63),
    "red": (0.58, 0.05, 0.05),
    "blue": (0.06, 0.16, 0.48),
    "green": (0.07, 0.30, 0.14),
    "yellow": (0.86, 0.66, 0.06),
    "brown": (0.26, 0.15, 0.08),
    "orange": (0.82, 0.33, 0.05),
}

RUBBER = Paint((0.035, 0.035, 0.037), grain=0.12)
SHADE = Paint((0.02, 0.02, 0.022), grain=0.05)
PLASTIC = Paint((0.07, 0.07, 0.075), grain=0.08, gloss=0.1)
SEAM = Paint((0.02, 0.02, 0.02), grain=0.0)
CHROME = Paint((0.62, 0.63, 0.65), gloss=0.8)
MUD: RGB = (0.30, 0.25, 0.19)

_SIGN_INK: RGB = (0.9, 0.9, 0.9)
_SIGN_INKS = ("red", "blue", "green", "black", "orange")
_WORDS = (
    "PARCELS",
    "BAKERY",
    "FLOWERS",
    "MOVERS",
    "CLEANING",
    "ELECTRIC",
    "PLUMBING",
    "FRESH FISH",
    "GARDENS",
    "LAUNDRY",
)


@dataclass(frozen=True, slots=True, eq=False)
class Finish:
    """What one vehicle looks like, apart from its shape.

    Attributes:
        rng: of its details.
        body: its paint.
        trim: bumpers and sills.
        rims: of the wheels.
        lit: whether its lamps are on.
        dirt: 0..1.
    """

    rng: np.random.Generator
    body: Paint
    trim: Paint
    rims: Paint
    lit: bool
    dirt: float

    @property
    def headlamp(self) -> Paint:
        return Paint((0.95, 0.94, 0.86), glow=0.9 if self.lit else 0.0, gloss=0.8, grain=0.02)

    @property
    def tail_lamp(self) -> Paint:
        return Paint((0.62, 0.03, 0.03), glow=0.55 if self.lit else 0.0, gloss=0.5, grain=0.02)

    @property
    def indicator(self) -> Paint:
        return Paint((0.85, 0.42, 0.06), gloss=0.5)

    @property
    def dusty(self) -> Paint:
        """The body's paint where the wheels throw up dirt."""
        return Paint(mixed(self.body.colour, MUD, 0.15 + 0.6 * self.dirt), grain=0.10)


def finish_of(colour: str, rng: np.random.Generator) -> Finish:
    """A finish in a colour of `COLOURS`; everything else follows from `rng`.

    Raises:
        KeyError: there is no such colour.
    """
    shade = float(rng.uniform(0.85, 1.12))
    tint = rng.normal(0, 0.03, 3)
    body = tuple(float(np.clip(c * shade * (1 + t), 0.015, 0.95)) for c, t in zip(COLOURS[colour], tint, strict=True))
    painted = Paint((body[0], body[1], body[2]), grain=0.02, gloss=float(rng.uniform(0.25, 0.6)))
    rims = CHROME if rng.random() < 0.7 else Paint((0.12, 0.12, 0.13), gloss=0.4)
    trim = PLASTIC if rng.random() < 0.45 else painted
    return Finish(rng, painted, trim, rims, bool(rng.random() < 0.15), float(rng.uniform(0, 1) ** 2))


def mixed(first: RGB, second: RGB, share: float) -> RGB:
    """A colour between two, `share` of the way to the second."""
    a, b, c = (x + (y - x) * share for x, y in zip(first, second, strict=True))
    return a, b, c


def glass(rng: np.random.Generator) -> Paint:
    """A dark pane that mirrors a bright sky above and a streak of light across."""
    high, wide = 48, 64
    rows = np.linspace(1, 0, high, dtype=np.float32)[:, None]
    columns = np.arange(wide, dtype=np.float32)[None, :]
    streak = np.abs(columns + rows * 20 - float(rng.uniform(8, wide))) < float(rng.uniform(4, 10))
    texture = 0.20 + 0.45 * rows**2 + 0.25 * streak
    return Paint((0.30, 0.36, 0.42), texture=texture[..., None].astype(np.float32), grain=0.01, gloss=0.9)


def pane(rng: np.random.Generator) -> Paint:
    """A pane of more than four corners, or one in the shade: one dark tone."""
    tone = float(rng.uniform(0.05, 0.10))
    return Paint((tone, tone * 1.1, tone * 1.2), grain=0.02, gloss=0.9)


def wheel(frame: Frame, side: Side, x: float, s: float, radius: float, finish: Finish, *, width: float = 0.2) -> None:
    """One wheel whose outer face is at `x` from the middle, its axle at `s`."""
    across = np.array([side, 0, 0], np.float32)
    hub = np.array([side * x, radius, s], np.float32)
    _tread(frame, hub, across, radius, width)
    if not frame.sees(hub, across):
        frame.face(_disc(hub - across * width, radius, 18), RUBBER)
        return
    frame.face(_disc(hub, radius, 18), RUBBER)
    frame.face(_disc(hub + across * 0.006, radius * 0.66, 14), finish.rims)
    spokes, turn = 5, float(finish.rng.uniform(0, 1))
    for index in range(spokes):
        angle = 2 * math.pi * (index + turn) / spokes
        frame.face(_wedge(hub + across * 0.01, radius, angle, 0.36), SHADE)
    frame.face(_disc(hub + across * 0.014, radius * 0.14, 8), finish.rims)


def _tread(frame: Frame, hub: Float, across: Float, radius: float, width: float) -> None:
    rim = _disc(hub, radius, 12)
    inner = rim - across * width
    for index in range(12):
        ahead = (rim[index] + rim[index - 1]) / 2
        outward = (ahead - hub).astype(np.float32)
        if outward[1] < 0.6 * radius and frame.sees(ahead, outward):
            frame.face(np.stack([rim[index - 1], rim[index], inner[index], inner[index - 1]]), RUBBER)


def _disc(hub: Float, radius: float, corners: int) -> Float:
    angles = np.arange(corners, dtype=np.float32) * (2 * math.pi / corners)
    ring = np.stack([np.zeros_like(angles), np.sin(angles), np.cos(angles)], axis=1) * radius
    return np.asarray(hub + ring, np.float32)


def _wedge(hub: Float, radius: float, angle: float, half: float) -> Float:
    """The gap between two spokes."""
    spots = [(0.22, 0.0), (0.60, -half), (0.60, half)]
    return np.array(
        [
            (hub[0], hub[1] + radius * r * math.sin(angle + a), hub[2] + radius * r * math.cos(angle + a))
            for r, a in spots
        ],
        np.float32,
    )


def arch(hull: Hull, s: float, radius: float, paint: Paint = SHADE) -> None:
    """Dark openings above an axle, on both walls."""
    angles = np.linspace(0, math.pi, 12)
    points = [(s + radius * math.cos(a), 0.9 * radius + radius * math.sin(a)) for a in angles]
    foot = hull.outline[0][1]
    points = [(s + radius, foot), *points, (s - radius, foot)]
    for side in SIDES:
        hull.wall([(a, max(b, foot)) for a, b in points], side, paint, lift=0.6 * LIFT_M)


def seams(hull: Hull, places: list[float], y: tuple[float, float], width: float = 0.014) -> None:
    """Upright gaps beside doors, on both walls."""
    for side in SIDES:
        for s in places:
            hull.wall([(s, y[0]), (s + width, y[0]), (s + width, y[1]), (s, y[1])], side, SEAM)


def number_plate(panel: Panel, text: str, v: float, rng: np.random.Generator) -> tuple[int, Float] | None:
    """Draw a plate in the middle of a face that the camera sees.

    Args:
        panel: face of the vehicle.
        text: of the plate.
        v: where its centre is, as a share of the face's height from above.
        rng: its style and wear.

    Returns:
        An owner number of its own and its (4, 3) world corners from its top left; None where the face is turned away.
    """
    if not panel.seen:
        return None
    style = plate_style(text, rng)
    corners, owner = panel.middle(*style.size_m, v), panel.frame.canvas.owner()
    paint = Paint((1.0, 1.0, 1.0), texture=draw_plate(text, style, rng), grain=0.01, gloss=0.1)
    panel.frame.face(corners, paint, owner)
    return owner, panel.frame.world(corners)


def lettering(colour: RGB, rng: np.random.Generator, aspect: float) -> Paint:
    """A made-up firm's sign on its paint: a word, a stripe, a round mark; `aspect` is width to height."""
    high = 96
    wide = max(round(high * aspect), 8)
    ink = _SIGN_INK if sum(colour) < 1.2 else COLOURS[_SIGN_INKS[int(rng.integers(len(_SIGN_INKS)))]]
    cover = np.zeros((high, wide), np.float32)
    if rng.random() < 0.75:
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        size = min(float(rng.uniform(0.7, 1.3)) * wide / len(word), 0.5 * high)
        font = ImageFont.load_default(max(round(size), 8))
        picture = Image.new("L", (wide, high))
        ImageDraw.Draw(picture).text((wide / 2, high * 0.38), word, 255, font=font, anchor="mm", stroke_width=1)
        cover = np.array(picture, np.float32) / np.float32(255)
    stripe = rng.random()
    if stripe < 0.35:
        top = int(rng.uniform(0.70, 0.82) * high)
        cover[top : top + int(rng.uniform(4, 16))] = 1.0
    elif stripe < 0.55:
        cv2.circle(cover, (int(0.12 * wide), high // 2), int(0.2 * high), 1.0, -1)
    elif stripe < 0.7:
        corners = np.array([[0, high], [0, int(0.62 * high)], [int(0.8 * wide), high]], np.int32)
        cv2.fillConvexPoly(cover, corners, 1.0)
    sign = np.asarray(colour, np.float32) * (1 - cover[..., None]) + np.asarray(ink, np.float32) * cover[..., None]
    return Paint((1.0, 1.0, 1.0), texture=sign.astype(np.float32), grain=0.02, gloss=0.2)
