"""Things that are nobody's: bins, bushes, chairs, gnomes. A network has to tell them from people and what they hold."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from training.scenes.canvas import Canvas, Paint
from training.scenes.layout import Clutter
from training.scenes.surfaces import RGB, surface, tint

Rng = np.random.Generator


def draw_clutter(canvas: Canvas, item: Clutter) -> None:
    """One thing of the place itself, owner 0."""
    _DRAWERS[item.kind](canvas, item, np.random.default_rng([13, item.seed]))


def _colour(rng: Rng, low: float = 0.08, high: float = 0.75) -> RGB:
    red, green, blue = rng.uniform(low, high, 3)
    return (float(red), float(green), float(blue))


def _at(item: Clutter, right: float, up: float, forth: float) -> tuple[float, float, float]:
    """A point of a thing in its own directions, at its size, in the world."""
    c, s = math.cos(item.yaw), math.sin(item.yaw)
    right, up, forth = right * item.size, up * item.size, forth * item.size
    return (item.x + right * c - forth * s, up, item.z + right * s + forth * c)


def _bush(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    base = np.array(tint("leaves", rng))
    flowers = rng.random() < 0.3
    for _ in range(7):
        x, y, z = rng.uniform(-0.4, 0.4), rng.uniform(0.2, 0.75), rng.uniform(-0.3, 0.3)
        shade = base * rng.uniform(0.7, 1.25)
        point = _at(item, x, y, z)
        radius = float(rng.uniform(0.2, 0.36)) * item.size
        canvas.limb(point, point, radius, radius, Paint(_rgb(shade), grain=0.35))
    for _ in range(6 if flowers else 0):
        point = _at(item, rng.uniform(-0.5, 0.5), rng.uniform(0.4, 1.0), -0.4)
        canvas.limb(point, point, 0.04, 0.04, Paint(_colour(rng, 0.4, 0.95)))


def _tree(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    top = float(rng.uniform(1.8, 2.8))
    canvas.limb(
        _at(item, 0, 0, 0),
        _at(item, 0, top, 0),
        0.16 * item.size,
        0.1 * item.size,
        Paint((0.24, 0.18, 0.13), grain=0.3),
    )
    base = np.array(tint("leaves", rng))
    for _ in range(7):
        point = _at(item, rng.uniform(-0.9, 0.9), top + rng.uniform(0, 1.6), rng.uniform(-0.8, 0.8))
        radius = float(rng.uniform(0.5, 0.9)) * item.size
        canvas.limb(point, point, radius, radius, Paint(_rgb(base * rng.uniform(0.65, 1.2)), grain=0.4))


def _bin(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    colour = [(0.12, 0.25, 0.14), (0.10, 0.13, 0.3), (0.12, 0.12, 0.13), (0.32, 0.2, 0.12), (0.45, 0.45, 0.44)][
        int(rng.integers(5))
    ]
    size = (0.58 * item.size, 1.0 * item.size, 0.6 * item.size)
    yaw = item.yaw * 0.15
    canvas.box((item.x, 0, item.z), size, yaw, Paint(colour, gloss=0.2))
    lid = _colour(rng) if rng.random() < 0.5 else colour
    canvas.box((item.x, size[1], item.z), (size[0] * 1.1, 0.07, size[2] * 1.15), yaw, Paint(lid, gloss=0.2))


def _mailbox(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    canvas.limb(_at(item, 0, 0, 0), _at(item, 0, 1.05, 0), 0.05, 0.05, Paint((0.4, 0.32, 0.24)))
    height = 1.0 * item.size
    canvas.box((item.x, height, item.z), (0.22, 0.26, 0.42), item.yaw, Paint(_colour(rng), gloss=0.3))


def _chair(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    wood = Paint(_colour(rng, 0.2, 0.8))
    for x in (-0.22, 0.22):
        canvas.limb(_at(item, x, 0, -0.22), _at(item, x, 0.45, -0.22), 0.025, 0.025, wood)
        canvas.limb(_at(item, x, 0, 0.22), _at(item, x, 0.95, 0.26), 0.025, 0.025, wood)
    canvas.box(_at(item, 0, 0.42, 0), (0.5 * item.size, 0.05, 0.5 * item.size), -item.yaw, wood)
    for height in (0.65, 0.8, 0.92):
        canvas.limb(_at(item, -0.22, height, 0.25), _at(item, 0.22, height, 0.25), 0.03, 0.03, wood)


def _post(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    shade = float(rng.uniform(0.1, 0.8))
    canvas.limb(_at(item, 0, 0, 0), _at(item, 0, 1.0, 0), 0.07, 0.07, Paint((shade, shade, shade)))
    canvas.limb(_at(item, 0, 0.72, 0), _at(item, 0, 0.85, 0), 0.075, 0.075, Paint(_colour(rng)))


def _bench(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    wood = Paint(tint("planks", rng), surface("planks", int(rng.integers(5))))
    yaw = -item.yaw * 0.2
    width = 1.4 * item.size
    for side in (-0.42, 0.42):
        canvas.box((item.x + side * width, 0, item.z), (0.08, 0.42, 0.4), yaw, Paint((0.2, 0.2, 0.2)))
    canvas.box((item.x, 0.42, item.z), (width, 0.06, 0.45), yaw, wood)
    canvas.box((item.x, 0.55, item.z + 0.22), (width, 0.35, 0.05), yaw, wood)


def _stand(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    canvas.limb(_at(item, 0, 0.12, 0), _at(item, 0, 0.5, 0), 0.12, 0.15, Paint(_colour(rng), gloss=0.2))
    for _ in range(int(rng.integers(1, 4))):
        x, z = rng.uniform(-0.15, 0.15, 2)
        tip = _at(item, 1.4 * x, float(rng.uniform(0.85, 1.05)), 1.4 * z)
        canvas.limb(_at(item, 0.3 * x, 0.4, 0.3 * z), tip, 0.035, 0.015, Paint(_colour(rng)))
        canvas.limb(tip, (tip[0] + 0.06, tip[1] + 0.03, tip[2]), 0.015, 0.015, Paint((0.3, 0.2, 0.12)))


def _gnome(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    coat = Paint(_colour(rng))
    canvas.limb(_at(item, 0, 0.12, 0), _at(item, 0, 0.34, 0), 0.15 * item.size, 0.1 * item.size, coat)
    canvas.limb(_at(item, 0, 0.5, 0), _at(item, 0, 0.5, 0), 0.09, 0.09, Paint((0.7, 0.5, 0.4)))
    canvas.limb(_at(item, 0, 0.42, -0.06), _at(item, 0, 0.34, -0.1), 0.07, 0.03, Paint((0.85, 0.85, 0.82)))
    canvas.limb(_at(item, 0, 0.56, 0), _at(item, 0.03, 0.82, 0), 0.09, 0.01, Paint(_colour(rng)))


def _pot(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    canvas.limb(
        _at(item, 0, 0.1, 0),
        _at(item, 0, 0.32, 0),
        0.13,
        0.19,
        Paint((0.55, 0.3, 0.2) if rng.random() < 0.6 else _colour(rng)),
    )
    base = np.array(tint("leaves", rng))
    tall = float(rng.uniform(0.4, 1.1))
    for _ in range(6):
        end = _at(item, rng.uniform(-0.25, 0.25), tall * rng.uniform(0.7, 1.2), rng.uniform(-0.25, 0.25))
        canvas.limb(
            _at(item, 0, 0.4, 0),
            end,
            0.06,
            float(rng.uniform(0.03, 0.16)),
            Paint(_rgb(base * rng.uniform(0.7, 1.3)), grain=0.3),
        )


def _crate(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    size = tuple(float(s) * item.size for s in rng.uniform(0.3, 0.6, 3))
    paint = (
        Paint(tint("planks", rng), surface("planks", int(rng.integers(5))))
        if rng.random() < 0.5
        else Paint((0.6, 0.46, 0.3))
    )
    canvas.box((item.x, 0, item.z), size, item.yaw, paint)


def _ball(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    point = _at(item, 0, 0.14, 0)
    canvas.limb(point, point, 0.14 * item.size, 0.14 * item.size, Paint(_colour(rng, 0.2, 0.9), gloss=0.3))


def _ladder(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    metal = Paint((0.6, 0.6, 0.62) if rng.random() < 0.6 else (0.6, 0.45, 0.25))
    for x in (-0.2, 0.2):
        canvas.limb((item.x + x, 0, item.z - 0.3), (item.x + x, 2.2, item.z + 0.3), 0.025, 0.025, metal)
    for step in np.linspace(0.12, 0.9, 7):
        y, z = 2.2 * float(step), item.z - 0.3 + 0.6 * float(step)
        canvas.limb((item.x - 0.2, y, z), (item.x + 0.2, y, z), 0.018, 0.018, metal)


def _broom(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    lean = float(rng.uniform(-0.25, 0.25))
    canvas.limb((item.x, 0.1, item.z), (item.x + lean, 1.4, item.z + 0.2), 0.016, 0.014, Paint((0.55, 0.4, 0.25)))
    canvas.box((item.x, 0, item.z), (0.32, 0.14, 0.08), 0, Paint(_colour(rng)))


def _hose(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    paint = Paint((0.15, 0.4, 0.2) if rng.random() < 0.6 else (0.6, 0.5, 0.1))
    angles = np.linspace(0, 2 * math.pi, 13)
    points = [_at(item, 0.28 * math.cos(a), 0.04, 0.28 * math.sin(a)) for a in angles]
    for start, end in pairwise(points):
        canvas.limb(start, end, 0.025, 0.025, paint)


def _railing(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    shade = float(rng.choice([0.12, 0.85, 0.5]))
    paint = Paint((shade, shade, shade))
    left, right = item.x - item.size / 2, item.x + item.size / 2
    height = float(rng.uniform(0.8, 1.0))
    canvas.limb((left, height, item.z), (right, height, item.z), 0.03, 0.03, paint)
    canvas.limb((left, 0.12, item.z), (right, 0.12, item.z), 0.02, 0.02, paint)
    for x in np.linspace(left, right, max(2, round(item.size / 0.28))):
        canvas.limb((float(x), 0, item.z), (float(x), height, item.z), 0.016, 0.016, paint)


def _skyline(canvas: Canvas, item: Clutter, rng: Rng) -> None:
    base = np.array(tint("leaves", rng)) * 0.8
    for x in rng.uniform(-0.6, 0.6, int(rng.integers(3, 9))) * item.size:
        radius = float(rng.uniform(0.05, 0.1)) * item.z
        height = float(rng.uniform(0.6, 1.6)) * radius
        point = (float(x), height + 2, item.z)
        canvas.limb(
            (float(x), 0, item.z), point, 0.2 * radius, radius, Paint(_rgb(base * rng.uniform(0.8, 1.2)), grain=0.3)
        )


def _rgb(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> RGB:
    red, green, blue = np.clip(values, 0.02, 0.95)
    return (float(red), float(green), float(blue))


_DRAWERS: dict[str, Callable[[Canvas, Clutter, Rng], None]] = {
    "ball": _ball,
    "bench": _bench,
    "bin": _bin,
    "broom": _broom,
    "bush": _bush,
    "chair": _chair,
    "crate": _crate,
    "gnome": _gnome,
    "hose": _hose,
    "ladder": _ladder,
    "mailbox": _mailbox,
    "post": _post,
    "pot": _pot,
    "railing": _railing,
    "skyline": _skyline,
    "stand": _stand,
    "tree": _tree,
}
