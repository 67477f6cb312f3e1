"""Draws a place: its ground, walls, clutter and lamps, all of owner 0."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.camera import Camera
from training.scenes.canvas import NEAR_M, Canvas, Paint
from training.scenes.clutter import draw_clutter
from training.scenes.fronts import front, lit_window
from training.scenes.layout import Area, Ground, LampSpot, Layout, Opening, Wall
from training.scenes.surfaces import PERIODS, RGB, SIDE, halved, repeated

#: Share of the lamps and windows that are lit, by light.
LAMPS_LIT = {"day": 0.0, "dusk": 0.8, "night": 1.0, "rain": 0.35, "infrared": 0.15}
WINDOWS_LIT = {"day": 0.0, "dusk": 0.4, "night": 0.3, "rain": 0.2, "infrared": 0.1}


@dataclass(frozen=True, slots=True)
class Lamp:
    """A lit lamp: its place in the world, the colour of its light, and its power at one metre (the sun's is 1)."""

    position: tuple[float, float, float]
    colour: RGB
    power: float


@dataclass(frozen=True, slots=True)
class Place:
    """What the light and the cast need to know of a place that was drawn."""

    lamps: tuple[Lamp, ...]
    areas: tuple[Area, ...]


def draw_place(canvas: Canvas, layout: Layout, light: str, rng: np.random.Generator) -> Place:
    """Draw a layout before anything else is drawn.

    Args:
        canvas: still empty.
        layout: from `layout_of`.
        light: of LIGHTS; decides which lamps and windows are lit.
        rng: of which ones.
    """
    for ground in layout.grounds:
        _pave(canvas, ground)
    for wall in layout.walls:
        _raise_wall(canvas, wall, rng, WINDOWS_LIT[light])
    for item in layout.clutter:
        draw_clutter(canvas, item)
    lamps = [_hang(canvas, spot, rng, lit=bool(rng.random() < LAMPS_LIT[light])) for spot in layout.lamps]
    lit = [lamp for lamp in lamps if lamp]
    if light == "night" and not any(lamp.position[2] < 12 for lamp in lit):
        # Nothing would be seen at all: somebody's lamp behind the camera.
        lit.append(Lamp((float(rng.uniform(-3, 3)), 3.2, -0.5), _lamp_colour(rng), 5.0))
    return Place(tuple(lit), tuple(layout.areas))


def _pave(canvas: Canvas, ground: Ground) -> None:
    """Lay one rectangle of ground over those before it.

    The camera does not roll, so a row of pixels has one depth on the ground: no polygon and no depth test is needed,
    and the size of the texture is right in every row.
    """
    view = canvas.view
    down, ahead = _rows(view)
    reach = np.where(down > 1e-4, view.height_m / np.maximum(down, 1e-4), np.inf)
    z = reach * ahead
    rows = np.flatnonzero((z >= ground.z1) & (z < ground.z2) & (reach > NEAR_M))
    if not len(rows):
        return
    scales = reach / view.focal  # metres a pixel across
    levels = np.clip(np.round(np.log2(np.maximum(scales[rows] * SIDE / PERIODS[ground.surface], 1.0))), 0, 6).astype(
        int
    )
    for level in np.unique(levels):
        band = rows[levels == level]
        texture = halved(ground.surface, ground.variant, int(level))
        _pave_band(canvas, ground, texture, band[0], band[-1] + 1, reach, z)


def _rows(view: Camera) -> tuple[Float, Float]:
    """How far each row of pixels looks down and ahead, at depth 1."""
    v = ((np.arange(view.height) + 0.5 - view.height / 2) / view.focal).astype(np.float32)
    down, ahead = view.down, view.forward
    return -(ahead[1] + v * down[1]), ahead[2] + v * down[2]


def _pave_band(canvas: Canvas, ground: Ground, texture: Float, top: int, bottom: int, reach: Float, z: Float) -> None:
    view = canvas.view
    scale = (reach[top:bottom] / view.focal).astype(np.float32)
    centre = view.width / 2
    left = max(0, int(np.floor((ground.x1 / scale).min() + centre)))
    right = min(view.width, int(np.ceil((ground.x2 / scale).max() + centre)))
    if right <= left:
        return
    x = (np.arange(left, right, dtype=np.float32) + 0.5 - centre)[None, :] * scale[:, None]
    per_metre = len(texture) / PERIODS[ground.surface]
    rows = np.broadcast_to((z[top:bottom].astype(np.float32) * per_metre)[:, None], x.shape)
    shown = cv2.remap(texture, x * per_metre, np.ascontiguousarray(rows), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    colour = shown.reshape(*x.shape, -1) * np.array(ground.colour, np.float32)
    here = (slice(top, bottom), slice(left, right))
    depth = np.broadcast_to(reach[top:bottom].astype(np.float32)[:, None], x.shape)
    if (ground.x1 / scale).max() + centre <= left and (ground.x2 / scale).min() + centre >= right:
        canvas.albedo[here], canvas.depth[here], canvas.normal[here] = colour, depth, (0, 1, 0)
        return
    inside = (x >= ground.x1) & (x < ground.x2)
    np.copyto(canvas.albedo[here], colour, where=inside[..., None])
    np.copyto(canvas.depth[here], depth, where=inside)
    canvas.normal[here][inside] = (0, 1, 0)


def _raise_wall(canvas: Canvas, wall: Wall, rng: np.random.Generator, lit: float) -> None:
    (x1, z1), (x2, z2) = wall.start, wall.end
    corners = np.array([(x1, wall.height, z1), (x2, wall.height, z2), (x2, 0, z2), (x1, 0, z1)], np.float32)
    # No more pixels a metre than the nearest visible part of it needs.
    nearest = max(min(z1, z2), 2.0)
    per_metre = canvas.view.focal / nearest
    canvas.face(corners, Paint((1, 1, 1), front(wall, per_metre)))
    towards = np.array([z2 - z1, 0, x1 - x2], np.float32) / max(wall.length, 1e-6)  # out of the wall, to the viewer
    if wall.surface == "leaves":
        deep = np.array([(0, 0, 0), (0, 0, 0), *(-0.6 * towards,) * 2], np.float32)
        top = corners[[0, 1, 1, 0]] + deep
        canvas.face(
            top, Paint(wall.colour, repeated("leaves", wall.variant, (wall.length, 0.6), min(per_metre, 60)), grain=0.2)
        )
    if wall.roof_m:
        back = np.array([0, wall.roof_m, 0], np.float32) - 2.5 * towards
        out = 0.3 * towards
        roof = np.stack([corners[0] + back, corners[1] + back, corners[1] + out, corners[0] + out])
        canvas.face(
            roof, Paint(wall.roof_colour, repeated("tiles", wall.variant, (wall.length, 3.5), min(per_metre, 60)))
        )
    for opening in wall.openings:
        if opening.kind == "window" and rng.random() < lit and opening.top < wall.height:
            _light_window(canvas, wall, opening, towards, rng)


def _light_window(canvas: Canvas, wall: Wall, opening: Opening, towards: Float, rng: np.random.Generator) -> None:
    along = np.array([wall.end[0] - wall.start[0], 0, wall.end[1] - wall.start[1]], np.float32) / wall.length
    foot = np.array([wall.start[0], 0, wall.start[1]], np.float32) + towards * 0.03
    left, right = foot + along * (opening.at + 0.07), foot + along * (opening.at + opening.width - 0.07)
    up = np.array([0, 1, 0], np.float32)
    low, high = up * (opening.bottom + 0.07), up * (opening.top - 0.07)
    warm = (1.0, float(rng.uniform(0.65, 0.9)), float(rng.uniform(0.3, 0.7)))
    paint = Paint(warm, lit_window(opening.colour), glow=float(rng.uniform(0.25, 0.7)))
    canvas.face(np.stack([left + high, right + high, right + low, left + low]), paint)


def _hang(canvas: Canvas, spot: LampSpot, rng: np.random.Generator, *, lit: bool) -> Lamp | None:
    """Draw a lamp, on a post where it has one; what it sheds where it is lit."""
    colour = _lamp_colour(rng)
    power = float(rng.uniform(9, 22) if spot.post else rng.uniform(2.5, 7))
    metal = Paint((0.15, 0.15, 0.16))
    bulb = Paint(colour if lit else (0.8, 0.8, 0.76), glow=1.0 if lit else 0.0)
    centre = (spot.x, spot.y, spot.z)
    _, depth = canvas.camera.project(np.array([centre], np.float32))
    if depth[0] < 3 * NEAR_M:
        return Lamp(centre, colour, power) if lit else None  # beside the camera or behind it
    if spot.post:
        canvas.limb((spot.x, 0, spot.z), (spot.x, spot.y - 0.15, spot.z), 0.07, 0.05, metal)
        canvas.limb((spot.x, spot.y + 0.15, spot.z), (spot.x, spot.y + 0.2, spot.z), 0.2, 0.1, metal)
        canvas.limb(centre, centre, 0.16, 0.16, bulb)
    else:
        canvas.limb((spot.x, spot.y + 0.14, spot.z), (spot.x, spot.y + 0.2, spot.z), 0.1, 0.05, metal)
        canvas.limb((spot.x, spot.y - 0.06, spot.z), (spot.x, spot.y + 0.06, spot.z), 0.08, 0.08, bulb)
    return Lamp(centre, colour, power) if lit else None


def _lamp_colour(rng: np.random.Generator) -> RGB:
    return (1.0, float(rng.uniform(0.66, 0.95)), float(rng.uniform(0.35, 0.9)))
