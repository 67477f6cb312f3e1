"""Solids that are more than a box or a limb: blocks that stand at any angle, and tubes through elliptic rings.

A tube is drawn as flat faces, so that its depth is exact; then each pixel it shows gets the normal of the smooth
surface, and its place on the cloth if the tube has a texture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.camera import Camera
from training.scenes.canvas import NEAR_M, Canvas, Paint

#: Sides of a tube.
SIDES = 10
_TURNS = (np.arange(SIDES) + 0.5) * (2 * np.pi / SIDES)
_RIM: Float = np.stack([np.sin(_TURNS), np.cos(_TURNS)], axis=1).astype(np.float32)
_CUBE: Float = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float32)
_CUBE_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


@dataclass(frozen=True, slots=True, eq=False)
class Ring:
    """An ellipse.

    Attributes:
        centre: (3,) world.
        across: (3,) half axis to the own left.
        ahead: (3,) half axis forward, perpendicular to it.
    """

    centre: Float
    across: Float
    ahead: Float

    @classmethod
    def of(cls, centre: Any, across: Any, ahead: Any) -> Ring:
        """From arrays of any precision."""
        return cls(*(np.asarray(part, np.float32) for part in (centre, across, ahead)))

    @property
    def points(self) -> Float:
        """(SIDES, 3) around it."""
        return np.asarray(_RIM @ np.stack([self.across, self.ahead]) + self.centre, np.float32)


def block(canvas: Canvas, centre: Float, axes: Float, size: Sequence[float], paint: Paint, owner: int) -> None:
    """A block about its centre.

    Args:
        canvas: to draw on.
        centre: (3,) world.
        axes: (3, 3) unit rows, the directions of the three sizes.
        size: metres.
        paint: of all faces.
        owner: whose it is.
    """
    corners = (_CUBE * np.array(size, np.float32)) @ axes + centre
    eye = canvas.view.position
    for face in _CUBE_FACES:
        points = corners[list(face)]
        middle = points.mean(axis=0)
        if float((middle - centre) @ (eye - middle)) > 0:
            canvas.face(points, paint, owner)


def tube(
    canvas: Canvas,
    rings: Sequence[Ring],
    paint: Paint,
    owner: int,
    *,
    cloth: Float | None = None,
    heights: Sequence[float] = (0.0, 1.0),
) -> None:
    """A tube through rings, its first end shut.

    Args:
        canvas: to draw on.
        rings: two or more, in order.
        paint: of everything.
        owner: whose it is.
        cloth: (h, w, 3) that takes the place of the paint's colour: row 0 at height 0, columns once around from the
            middle of the back over the own right, the front (the middle column) and the own left.
        heights: of the first and the last ring on the cloth, 0..1.
    """
    points = np.stack([ring.points for ring in rings])
    beside = np.roll(points, -1, axis=1)
    quads = np.stack([points[:-1], beside[:-1], beside[1:], points[1:]], axis=2)  # ring, side, corner, axis
    middles = quads.mean(axis=2)
    outward = np.cross(quads[:, :, 2] - quads[:, :, 0], quads[:, :, 3] - quads[:, :, 1])
    hearts = (points[:-1].mean(axis=1) + points[1:].mean(axis=1))[:, None] / 2
    outward *= np.sign((outward * (middles - hearts)).sum(axis=-1, keepdims=True))
    seen = (outward * (canvas.view.position - middles)).sum(axis=-1) > 0
    window = _window(canvas, points.reshape(-1, 3))
    before = None if window is None else canvas.depth[window].copy()
    for i, j in np.argwhere(seen).tolist():
        canvas.face(quads[i, j], paint, owner)
    if window is not None:
        _smooth(canvas, window, canvas.depth[window] != before, rings, paint, cloth, heights)
    shut = rings[1].centre - rings[0].centre
    if float(shut @ (canvas.view.position - rings[0].centre)) < 0:
        canvas.face(points[0], paint, owner)


def _window(canvas: Canvas, points: Float) -> tuple[slice, slice] | None:
    pixels, depth = canvas.view.project(points)
    if float(depth.min()) < NEAR_M:
        return None
    low, high = np.floor(pixels.min(axis=0)).astype(int) - 1, np.ceil(pixels.max(axis=0)).astype(int) + 2
    window = slice(max(low[1], 0), max(high[1], 0)), slice(max(low[0], 0), max(high[0], 0))
    return window if canvas.depth[window].size else None


def _smooth(
    canvas: Canvas,
    window: tuple[slice, slice],
    drawn: np.ndarray,
    rings: Sequence[Ring],
    paint: Paint,
    cloth: Float | None,
    heights: Sequence[float],
) -> None:
    """Give the drawn pixels of a window the smooth surface's normals, and its colours."""
    rows, columns = np.nonzero(drawn)
    if not len(rows):
        return
    rows, columns = rows + window[0].start, columns + window[1].start
    points = _points(canvas.view, rows, columns, canvas.depth[rows, columns])
    centres, across, ahead = (np.stack([getattr(r, n) for r in rings]) for n in ("centre", "across", "ahead"))
    wide, deep = np.linalg.norm(across, axis=1), np.linalg.norm(ahead, axis=1)
    axes = np.gradient(centres, axis=0)
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    above = points @ axes.T - (centres * axes).sum(axis=1)
    below = np.clip((above >= 0).sum(axis=1) - 1, 0, len(rings) - 2)
    everyone = np.arange(len(points))
    under, over = above[everyone, below], above[everyone, below + 1]
    share = np.clip(under / np.maximum(under - over, 1e-6), 0.0, 1.0).astype(np.float32)

    def at(values: Float) -> Float:
        part = share if values.ndim == 1 else share[:, None]
        return np.asarray((1 - part) * values[below] + part * values[below + 1], np.float32)

    offset, width, depth = points - at(centres), at(wide), at(deep)
    left, front = at(across / wide[:, None]), at(ahead / deep[:, None])
    a, b = (offset * left).sum(axis=1) / width, (offset * front).sum(axis=1) / depth
    steps = np.linalg.norm(np.diff(centres, axis=0), axis=1)[below]
    swell = -(a * a * np.diff(wide)[below] / width + b * b * np.diff(deep)[below] / depth) / np.maximum(steps, 1e-6)
    normal = (a / width)[:, None] * left + (b / depth)[:, None] * front + swell[:, None] * at(axes)
    canvas.normal[rows, columns] = normal / np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    if cloth is not None:
        along = heights[0] + (heights[1] - heights[0]) * (below + share) / (len(rings) - 1)
        around = 0.5 + np.arctan2(a, b) / (2 * np.pi)
        size = float(window[0].stop - window[0].start)
        grain = canvas.albedo[rows, columns] / np.maximum(np.array(paint.colour, np.float32), 1e-3)
        canvas.albedo[rows, columns] = np.clip(grain * _worn(cloth, around, along, size), 0, 1)


def _points(view: Camera, rows: np.ndarray, columns: np.ndarray, depth: Float) -> Float:
    """(n, 3) world points that pixels show."""
    u = (columns + 0.5 - view.width / 2).astype(np.float32) / view.focal
    v = (rows + 0.5 - view.height / 2).astype(np.float32) / view.focal
    rays = view.forward + u[:, None] * view.right + v[:, None] * view.down
    return np.asarray(rays * depth[:, None] + view.position, np.float32)


def _worn(cloth: Float, around: Float, along: Float, size_px: float) -> Float:
    """(n, 3) colours of a cloth at places 0..1, shrunk first to about as many rows as the window has."""
    height, width = cloth.shape[:2]
    rows = int(np.clip(size_px * 1.2, 4, height))
    if rows < height:
        width = max(width * rows // height, 8)
        cloth = np.asarray(cv2.resize(cloth, (width, rows), interpolation=cv2.INTER_AREA), np.float32)
    x = (around * width - 0.5).astype(np.float32)[:, None]
    y = np.clip(along * rows - 0.5, 0, rows - 1).astype(np.float32)[:, None]
    # cv2 maps at most 32767 rows at once.
    parts = [
        cv2.remap(cloth, x[i : i + 30000], y[i : i + 30000], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)[:, 0]
        for i in range(0, len(x), 30000)
    ]
    return np.concatenate(parts).astype(np.float32)
