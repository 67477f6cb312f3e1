"""Solids that are more than a box or a limb: blocks that stand at any angle, and tubes through elliptic rings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.canvas import Canvas, Paint

#: Sides of a tube. Even, so that one flat side looks straight ahead.
SIDES = 12
_TURNS = (np.arange(SIDES) + 0.5) * (2 * np.pi / SIDES)
_RIM: Float = np.stack([np.sin(_TURNS), np.cos(_TURNS)], axis=1).astype(np.float32)
_CUBE: Float = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)], np.float32)
_CUBE_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))


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


def ring(centre: Float, across: Float, ahead: Float) -> Float:
    """(SIDES, 3) points around an ellipse with half axes `across` (to the own left) and `ahead`."""
    return _RIM @ np.stack([across, ahead]).astype(np.float32) + centre


def tube(
    canvas: Canvas, rings: Sequence[Float], paint: Paint | Callable[[int, int], Paint], owner: int, *, cap: bool = True
) -> None:
    """A closed tube through rings, its first end shut.

    Args:
        canvas: to draw on.
        rings: (SIDES, 3) each.
        paint: of everything, or of the side between ring `i` and `i + 1` and points `j` and `j + 1`.
        owner: whose it is.
        cap: shut the first end.
    """
    points = np.stack(rings)
    beside = np.roll(points, -1, axis=1)
    quads = np.stack([points[:-1], beside[:-1], beside[1:], points[1:]], axis=2)  # ring, side, corner, axis
    middles = quads.mean(axis=2)
    outward = np.cross(quads[:, :, 2] - quads[:, :, 0], quads[:, :, 3] - quads[:, :, 1])
    hearts = (points[:-1].mean(axis=1) + points[1:].mean(axis=1))[:, None] / 2
    outward *= np.sign((outward * (middles - hearts)).sum(axis=-1, keepdims=True))
    seen = (outward * (canvas.view.position - middles)).sum(axis=-1) > 0
    for i, j in np.argwhere(seen).tolist():
        canvas.face(quads[i, j], paint if isinstance(paint, Paint) else paint(i, j), owner)
    if cap:
        canvas.face(points[0], paint if isinstance(paint, Paint) else paint(0, 0), owner)
