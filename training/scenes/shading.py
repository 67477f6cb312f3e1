"""Surfaces at the size of their picture, and how much light of one source reaches each pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float
from training.scenes.camera import Camera
from training.scenes.canvas import Canvas
from training.scenes.places import Lamp

#: At most so many lamps are reckoned with: those that shed most light where people are.
MOST_LAMPS = 3
#: The ground on which shadows are kept: metres a cell, and how far it reaches.
_CELL_M, _REACH_M = 0.06, 24.0
#: Things lower than this cast no shadow, metres.
_LOW_M = 0.07


@dataclass(frozen=True, slots=True, eq=False)
class Surfaces:
    """The buffers of a canvas at the size of its picture, with the world position of each pixel.

    Attributes:
        albedo: (h, w, 3) linear.
        normal: nx, ny, nz, each (h, w); shorter than 1 at edges.
        x: (h, w) world; likewise y and z. 0 where there is sky.
        depth: (h, w) metres; infinite where there is sky.
        glow: (h, w).
        gloss: (h, w).
        ids: (h, w).
        ground: (h, w) where the ground is seen.
        camera: the picture's.
    """

    albedo: Float
    normal: tuple[Float, Float, Float]
    x: Float
    y: Float
    z: Float
    depth: Float
    glow: Float
    gloss: Float
    ids: npt.NDArray[np.int16]
    ground: npt.NDArray[np.bool_]
    camera: Camera


def surfaces_of(canvas: Canvas) -> Surfaces:
    """The finished buffers of a canvas at picture size: colours averaged, depths and owners of the middle one."""
    camera = canvas.camera
    size = (camera.width, camera.height)
    albedo = _mean(canvas.albedo, size)
    albedo *= albedo  # painted colours are as the eye sees them; their squares are near enough to linear light
    nx, ny, nz = (np.asarray(axis, np.float32) for axis in cv2.split(_mean(canvas.normal, size)))
    depth = _middle(canvas.depth, size)
    u = ((np.arange(camera.width, dtype=np.float32) + 0.5 - camera.width / 2) / camera.focal)[None, :]
    v = ((np.arange(camera.height, dtype=np.float32) + 0.5 - camera.height / 2) / camera.focal)[:, None]
    reach = np.where(np.isfinite(depth), depth, np.float32(0))
    y = camera.height_m + reach * (camera.forward[1] + v * camera.down[1])
    return Surfaces(
        albedo=albedo,
        normal=(nx, ny, nz),
        x=reach * u,
        y=y,
        z=reach * (camera.forward[2] + v * camera.down[2]),
        depth=depth,
        glow=_mean(canvas.glow, size),
        gloss=_mean(canvas.gloss, size),
        ids=_middle(canvas.ids, size),
        ground=(y < 0.02) & (ny > 0.9) & (reach > 0),
        camera=camera,
    )


def strongest(lamps: Sequence[Lamp]) -> list[Lamp]:
    def at_people(lamp: Lamp) -> float:
        x, _, z = lamp.position
        return lamp.power / (x * x + (z - 5) ** 2 + 4)

    return sorted(lamps, key=at_people, reverse=True)[:MOST_LAMPS]


def shed_by(surfaces: Surfaces, position: Float, power: float) -> Float:
    """The light of a lamp at each pixel; a little reaches round corners."""
    dx, dy, dz = position[0] - surfaces.x, position[1] - surfaces.y, position[2] - surfaces.z
    square = dx * dx + dy * dy + dz * dz + np.float32(0.7)
    nx, ny, nz = surfaces.normal
    facing = (nx * dx + ny * dy + nz * dz) / np.sqrt(square)
    return np.maximum(facing * np.float32(0.85) + np.float32(0.15), 0) * (np.float32(power) / square)


def shadow(
    surfaces: Surfaces, source: Float | None, blur: float, top: float = math.inf, *, near: bool = False
) -> Float:
    """0..1, how much of a light the seen things keep from the ground.

    What is seen is thrown on the ground along the light, into a map of the ground, and read back where ground is
    seen. The far sides of things are not known, which a blur hides.

    Args:
        surfaces: what is drawn.
        source: a direction towards the light, a position with `near`, or None for straight above.
        blur: cells of the map.
        top: what is higher casts none.
        near: the source is a position.
    """
    step = (slice(None, None, 2), slice(None, None, 2))
    x, y, z = surfaces.x[step], surfaces.y[step], surfaces.z[step]
    casts = (y > _LOW_M) & (y < min(top, 6.0)) & (z > 0.3) & (z < _REACH_M)
    if near and source is not None:
        casts &= y < source[1] - 0.1
    x, y, z = x[casts], y[casts], z[casts]
    if source is not None and near:
        stretch = source[1] / (source[1] - y)
        x, z = source[0] + (x - source[0]) * stretch, source[2] + (z - source[2]) * stretch
    elif source is not None:
        x, z = x - y * source[0] / source[1], z - y * source[2] / source[1]
    side = round(_REACH_M / _CELL_M)
    columns = np.round(x / _CELL_M + side / 2).astype(np.int32)
    rows = np.round(z / _CELL_M).astype(np.int32)
    inside = (columns >= 0) & (columns < side) & (rows >= 0) & (rows < side)
    cells = np.zeros((side, side), np.float32)
    cells[rows[inside], columns[inside]] = 1
    closed = cv2.morphologyEx(cells, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    blurred = cv2.GaussianBlur(closed, (0, 0), blur)
    scale = np.float32(1 / _CELL_M)
    read = cv2.remap(
        blurred, surfaces.x * scale + np.float32(side / 2), surfaces.z * scale, cv2.INTER_LINEAR, borderValue=0
    )
    kept: Float = np.where(surfaces.ground, np.minimum(read * np.float32(1.4), 1), np.float32(0))
    return kept


def _mean(buffer: Float, size: tuple[int, int]) -> Float:
    return np.asarray(cv2.resize(buffer, size, interpolation=cv2.INTER_AREA), np.float32)


def _middle(buffer: npt.NDArray[Any], size: tuple[int, int]) -> npt.NDArray[Any]:
    return cv2.resize(buffer, size, interpolation=cv2.INTER_NEAREST_EXACT)
