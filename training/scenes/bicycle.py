"""Bicycles: parked, upright or leaning a little, nobody on them."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from training.scenes.bodywork import Frame, PlatePlace
from training.scenes.camera import Float
from training.scenes.canvas import Paint
from training.scenes.finish import CHROME, RUBBER, Finish

LENGTH_M = 1.75
_SEGMENTS = 14


def draw_bicycle(frame: Frame, finish: Finish) -> tuple[PlatePlace, ...]:
    """Two wheels, a frame of tubes, handlebar, saddle, pedals; on some mudguards, a rack, a basket. It has no plate."""
    rng = finish.rng
    tilt = float(rng.uniform(-0.12, 0.12))
    steer = float(rng.uniform(-0.4, 0.4))
    radius = float(rng.uniform(0.31, 0.35))
    size = float(rng.uniform(0.92, 1.06))
    lean = _Leaning(frame, tilt)
    front, rear = (0.36, radius), (0.36 + 1.03 * size, radius)
    crank = (front[0] + 0.60 * size, 0.28)
    head_top, head_low = (front[0] + 0.20 * size, 0.86 * size), (front[0] + 0.14 * size, 0.70 * size)
    seat = (crank[0] + 0.17 * size, 0.80 * size)
    low_step = rng.random() < 0.4
    upper = (seat[0] - 0.08, 0.55 * size) if low_step else (seat[0] - 0.01, seat[1] - 0.03)
    tube = 0.018
    for a, b, r in (
        (head_low, crank, tube * 1.15),
        (head_low if low_step else head_top, upper, tube),
        (crank, seat, tube),
        (head_top, head_low, tube * 1.2),
        (seat, rear, tube * 0.7),
        (crank, rear, tube * 0.8),
        (head_low, front, tube * 0.8),
    ):
        lean.bar(a, b, r, finish.body)
    _wheel(lean, front, radius, steer)
    _wheel(lean, rear, radius, 0.0)
    _saddle_and_bar(lean, seat, head_top, finish, steer)
    _pedals(lean, crank, finish)
    if rng.random() < 0.6:
        _guards(lean, (front, rear), radius, finish)
    if rng.random() < 0.5:
        lean.bar((rear[0] - 0.14, rear[1] + radius + 0.06), (rear[0] + 0.24, rear[1] + radius + 0.06), 0.018, CHROME)
        lean.bar((rear[0], rear[1]), (rear[0] + 0.16, rear[1] + radius + 0.06), 0.008, CHROME)
    if rng.random() < 0.35:
        _basket(lean, head_top)
    return ()


class _Leaning:
    """A bicycle's own upright plane, tilted about the line where its wheels stand."""

    def __init__(self, frame: Frame, tilt: float) -> None:
        self.frame = frame
        self._sin, self._cos = math.sin(tilt), math.cos(tilt)

    def point(self, s: float, y: float, x: float = 0.0) -> Float:
        return np.array([x * self._cos + y * self._sin, y * self._cos - x * self._sin, s], np.float32)

    def bar(self, a: tuple[float, ...], b: tuple[float, ...], radius: float, paint: Paint) -> None:
        self.frame.limb(self.point(*a), self.point(*b), radius, paint)


def _wheel(lean: _Leaning, axle: tuple[float, float], radius: float, steer: float) -> None:
    angles = np.linspace(0, 2 * math.pi, _SEGMENTS + 1)
    rim = [
        (
            axle[0] + radius * math.cos(a) * math.cos(steer),
            axle[1] + radius * math.sin(a),
            radius * math.cos(a) * math.sin(steer),
        )
        for a in angles
    ]
    for a, b in pairwise(rim):
        lean.bar(a, b, 0.019, RUBBER)
    for index in range(0, _SEGMENTS, 2):
        lean.bar((axle[0], axle[1], 0.0), rim[index], 0.0035, CHROME)
    lean.bar((axle[0], axle[1], -0.04), (axle[0], axle[1], 0.04), 0.025, CHROME)


def _saddle_and_bar(
    lean: _Leaning, seat: tuple[float, float], head: tuple[float, float], finish: Finish, steer: float
) -> None:
    leather = RUBBER if finish.rng.random() < 0.6 else Paint((0.30, 0.16, 0.08), grain=0.08)
    rise = float(finish.rng.uniform(0.08, 0.20))
    top = (seat[0] + 0.03, seat[1] + rise)
    lean.bar(seat, top, 0.014, CHROME)
    lean.bar((top[0] - 0.12, top[1] + 0.02), (top[0] + 0.10, top[1] + 0.03), 0.030, leather)
    for x in (-0.06, 0.06):
        lean.bar((top[0] + 0.10, top[1] + 0.03, x), (top[0] + 0.02, top[1] + 0.03, 0.0), 0.03, leather)
    stem = (head[0] + 0.02, head[1] + float(finish.rng.uniform(0.08, 0.2)))
    lean.bar(head, stem, 0.015, CHROME)
    reach, back = 0.29, float(finish.rng.uniform(-0.12, 0.18))
    for x in (-reach, reach):
        turned = stem[0] + x * math.sin(steer) * 0.8
        end = (turned + back, stem[1] + 0.02, x)
        lean.bar((stem[0], stem[1], 0.0), (turned, stem[1] + 0.03, x * 0.75), 0.013, CHROME)
        lean.bar((turned, stem[1] + 0.03, x * 0.75), end, 0.018, RUBBER)
    lamp = finish.headlamp
    lean.bar((head[0] - 0.07, head[1] - 0.04), (head[0] - 0.09, head[1] - 0.04), 0.032, lamp)


def _pedals(lean: _Leaning, crank: tuple[float, float], finish: Finish) -> None:
    angle = float(finish.rng.uniform(0, 2 * math.pi))
    lean.bar((*crank, -0.04), (*crank, 0.04), 0.075 if finish.rng.random() < 0.5 else 0.055, CHROME)
    for turn, x in ((0.0, -0.09), (math.pi, 0.09)):
        end = (crank[0] + 0.17 * math.cos(angle + turn), crank[1] + 0.17 * math.sin(angle + turn))
        lean.bar((*crank, x * 0.7), (*end, x), 0.010, CHROME)
        lean.bar((*end, x), (*end, x * 1.9), 0.018, RUBBER)


def _guards(lean: _Leaning, axles: tuple[tuple[float, float], ...], radius: float, finish: Finish) -> None:
    for axle, span in zip(axles, ((0.25, 2.6), (0.3, 2.9)), strict=True):
        angles = np.linspace(*span, 7) if axle is axles[0] else np.linspace(math.pi - span[1], math.pi - span[0], 7)
        ring = [(axle[0] + (radius + 0.035) * math.cos(a), axle[1] + (radius + 0.035) * math.sin(a)) for a in angles]
        for a, b in pairwise(ring):
            lean.bar(a, b, 0.016, finish.body)


def _basket(lean: _Leaning, head: tuple[float, float]) -> None:
    wicker = Paint((0.40, 0.28, 0.15), grain=0.25)
    s0, s1, y0, y1, half = head[0] - 0.32, head[0] - 0.06, head[1] - 0.02, head[1] + 0.20, 0.16
    low = [(s0 + 0.03, y0, -half + 0.03), (s0 + 0.03, y0, half - 0.03), (s1, y0, half - 0.03), (s1, y0, -half + 0.03)]
    high = [(s0, y1, -half), (s0, y1, half), (s1, y1, half), (s1, y1, -half)]
    for index in range(4):
        corners = [low[index - 1], low[index], high[index], high[index - 1]]
        lean.frame.face(np.stack([lean.point(*corner) for corner in corners]), wicker)
    lean.frame.face(np.stack([lean.point(*corner) for corner in low]), wicker)
