"""Cars and delivery vans: a lower body, a cabin on it, and what hangs on both."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np

from training.scenes.bodywork import SIDES, Frame, Hull, Panel, PlatePlace, leaning, tapered
from training.scenes.canvas import Paint
from training.scenes.car_shapes import CarShape
from training.scenes.finish import (
    PLASTIC,
    SHADE,
    Finish,
    arch,
    glass,
    lettering,
    seams,
    wheel,
)

#: How far the openings above the wheels reach beyond them.
_ARCH_M = 0.06


def draw_car(frame: Frame, shape: CarShape, finish: Finish) -> tuple[PlatePlace, PlatePlace]:
    """A car or a van; gives where its plates belong, front and rear."""
    body = _body(frame, shape)
    cabin = _cabin(frame, shape)
    body.draw(finish.body)
    cabin.draw(finish.body)
    _underneath(frame, shape, finish)
    _lower_walls(body, shape, finish)
    _windows(cabin, shape, finish)
    _front(body, shape, finish)
    _rear(body, cabin, shape, finish)
    _mirrors(frame, shape, finish)
    if shape.blind:
        _signs(body, cabin, shape, finish)
    return (body.panel(1), 0.62), (body.panel(5), 0.62 if shape.blind else 0.42)


def _body(frame: Frame, shape: CarShape) -> Hull:
    length = shape.length
    outline = [
        (0.12, shape.floor),
        (0.0, shape.floor + 0.18),
        (0.03, 0.5 * (shape.floor + 0.18) + 0.5 * shape.nose),
        (0.16, shape.nose),
        (shape.cowl, shape.belt),
        (length - 0.05, shape.boot),
        (length, shape.floor + 0.22),
        (length - 0.14, shape.floor),
    ]
    arch_m = shape.radius + _ARCH_M  # walls are flat where the wheels are
    bends = min(0.42, shape.axles[0] - arch_m), min(0.42, length - shape.axles[1] - arch_m)
    half_width, cuts = tapered(length, shape.width / 2, (0.82, 0.985 if shape.blind else 0.90), bends)
    return Hull(frame, outline, half_width, cuts)


def _cabin(frame: Frame, shape: CarShape) -> Hull:
    (roof, end), high = shape.roof, shape.height
    outline = [
        (shape.cowl - 0.02, shape.belt - 0.01),
        (roof, high - 0.04),
        (roof + 0.3 * (end - roof), high),
        (end, high - (0.05 if not shape.blind else 0.02)),
        (shape.stern, shape.belt - 0.01),
    ]
    base = shape.width / 2 - (0.05 if not shape.blind else 0.01)
    return Hull(frame, outline, leaning(base, base * shape.lean, shape.belt, high))


def _underneath(frame: Frame, shape: CarShape, finish: Finish) -> None:
    half = shape.width / 2
    frame.block((-half + 0.2, 0.13, 0.35), (half - 0.2, shape.floor + 0.05, shape.length - 0.35), SHADE)
    for s in shape.axles:
        for side in SIDES:
            wheel(frame, side, half + 0.004, s, shape.radius, finish)


def _lower_walls(body: Hull, shape: CarShape, finish: Finish) -> None:
    front, rear = shape.axles
    sill = (shape.floor, shape.floor + 0.11)
    for side in SIDES:
        body.wall_panel((front + shape.radius, rear - shape.radius), sill, side).rectangle(
            (0, 1), (0, 1), finish.trim if finish.trim is PLASTIC else finish.dusty
        )
    for s in shape.axles:
        arch(body, s, shape.radius + 0.9 * _ARCH_M)
    doors = [front + shape.radius + 0.10, *shape.windows[:1], *([] if shape.blind else [rear - 0.42])]
    seams(body, doors, (shape.floor + 0.13, shape.belt - 0.01))
    for door in doors[1:]:
        for side in SIDES:
            body.wall_panel((door - 0.24, door - 0.06), (shape.belt - 0.14, shape.belt - 0.105), side).rectangle(
                (0, 1), (0, 1), PLASTIC, lift=0.012
            )


def _windows(cabin: Hull, shape: CarShape, finish: Finish) -> None:
    low, high = (
        shape.belt + 0.03,
        shape.height - (0.13 if not shape.blind else 0.20 * (shape.height - shape.belt) + 0.08),
    )
    (cowl, belt), (roof, top) = cabin.outline[0], cabin.outline[1]
    (end, end_y), (stern, _) = cabin.outline[3], cabin.outline[4]

    def ahead(y: float) -> float:
        return cowl + (roof - cowl) * (y - belt) / (top - belt) + 0.13

    def behind(y: float) -> float:
        return stern + (end - stern) * (y - belt) / (end_y - belt) - 0.13

    stops = [0.0, *shape.windows, shape.length]
    for first, last in pairwise(stops):
        if shape.blind and first:
            break
        s_low = max(first + 0.035, ahead(low)), min(last - 0.035, behind(low))
        s_high = max(first + 0.035, ahead(high)), min(last - 0.035, behind(high))
        paint = glass(finish.rng)
        for side in SIDES:
            cabin.wall([(s_high[0], high), (s_high[1], high), (s_low[1], low), (s_low[0], low)], side, paint)
    pane_m = cabin.panel(0).size_m[1]
    cabin.panel(0).rectangle((0.05, 0.95), (max(0.06, 1 - 1.05 / pane_m), 0.97), glass(finish.rng))
    if not shape.blind:
        cabin.panel(3).rectangle((0.06, 0.94), (0.10, 0.90), glass(finish.rng))


def _front(body: Hull, shape: CarShape, finish: Finish) -> None:
    rng = finish.rng
    bumper, upper, bonnet = body.panel(1), body.panel(2), body.panel(3)
    lower = body.panel(0)
    lower.rectangle((0.08, 0.92), (0.1, 1.0), PLASTIC)
    bumper.rectangle((0.0, 1.0), (0.45, 1.0), finish.trim)
    bumper.rectangle((0.22, 0.78), (0.80, 0.97), SHADE, lift=0.01)
    wide = float(rng.uniform(0.18, 0.26))
    deep = float(rng.uniform(0.45, 0.85))
    upper.both((0.02, 0.02 + wide), (0.12, 0.12 + deep), PLASTIC)
    upper.both((0.035, wide - 0.01), (0.20, 0.06 + deep), finish.headlamp, lift=0.012)
    _grille(upper, wide, finish)
    bonnet.both((0.16, 0.17), (0.05, 0.95), finish.dusty)
    for side in SIDES:  # the lamps reach around the corner
        y = (shape.nose - 0.13, shape.nose - 0.05)
        body.wall([(0.15, y[0]), (0.17, y[1]), (0.34, y[1]), (0.30, y[0])], side, finish.headlamp)


def _grille(upper: Panel, lamp: float, finish: Finish) -> None:
    u = (lamp + 0.06, 0.94 - lamp)
    upper.rectangle(u, (0.12, 0.9), PLASTIC if finish.rng.random() < 0.8 else finish.rims)
    for v in np.linspace(0.2, 0.75, int(finish.rng.integers(2, 5))):
        upper.rectangle((u[0] + 0.01, u[1] - 0.01), (float(v), float(v) + 0.06), SHADE, lift=0.01)
    upper.rectangle((0.47, 0.53), (0.3, 0.6), finish.rims, lift=0.016)


def _rear(body: Hull, cabin: Hull, shape: CarShape, finish: Finish) -> None:
    tail, lower = body.panel(5), body.panel(6)
    lower.rectangle((0.05, 0.95), (0.0, 0.9), PLASTIC)
    tail.rectangle((0.0, 1.0), (0.74, 1.0), finish.trim)
    tail.both((0.03, 0.10), (0.86, 0.92), finish.tail_lamp, lift=0.012)
    if shape.blind:
        _van_doors(tail, cabin.panel(3), finish)
    else:
        wide = float(finish.rng.uniform(0.16, 0.28))
        deep = float(finish.rng.uniform(0.2, 0.34))
        tail.both((0.015, wide), (0.05, 0.05 + deep), finish.tail_lamp)
        tail.both((wide * 0.45, wide * 0.75), (0.10, 0.02 + deep), Paint((0.85, 0.80, 0.78), gloss=0.6), lift=0.012)
        tail.rectangle((0.08, 0.92), (0.705, 0.72), SHADE)
        tail.rectangle((0.46, 0.54), (0.08, 0.16), finish.rims, lift=0.012)
        s, y = shape.length, shape.boot
        for side in SIDES:
            body.wall(
                [(s - 0.05, y - 0.04), (s - 0.05, y - 0.18), (s - 0.28, y - 0.15), (s - 0.26, y - 0.06)],
                side,
                finish.tail_lamp,
            )


def _van_doors(tail: Panel, above: Panel, finish: Finish) -> None:
    for panel in (tail, above):
        panel.rectangle((0.493, 0.507), (0.02, 0.98), Paint((0.02, 0.02, 0.02)))
    tail.both((0.01, 0.075), (0.0, 0.42), finish.tail_lamp)
    tail.both((0.01, 0.075), (0.12, 0.22), finish.indicator, lift=0.012)
    tail.rectangle((0.515, 0.60), (0.25, 0.32), PLASTIC, lift=0.012)
    if finish.rng.random() < 0.6:
        above.both((0.10, 0.45), (0.16, 0.66), glass(finish.rng))


def _mirrors(frame: Frame, shape: CarShape, finish: Finish) -> None:
    s, y, half = shape.cowl + 0.38, shape.belt + 0.02, shape.width / 2
    deep, high = (0.12, 0.14) if not shape.blind else (0.12, 0.28)
    for side in SIDES:
        inner, outer = sorted((side * (half - 0.06), side * (half + 0.17)))
        frame.block((inner, y, s), (outer, y + high, s + deep), finish.body if not shape.blind else PLASTIC)


def _signs(body: Hull, cabin: Hull, shape: CarShape, finish: Finish) -> None:
    """A firm's sign on the blind sides of a van, on some."""
    rng = finish.rng
    if rng.random() < 0.35:
        return
    s, y = (shape.windows[0] + 0.25, shape.roof[1] - 0.15), (shape.belt + 0.06, shape.height - 0.18)
    paint = lettering(finish.body.colour, rng, (s[1] - s[0]) / (y[1] - y[0]))
    for side in SIDES:
        cabin.wall_panel(s, y, side).rectangle((0, 1), (0, 1), paint)
    if rng.random() < 0.4:
        stripe = replace(finish.body, colour=tuple(rng.uniform(0.05, 0.8, 3).tolist()))
        for side in SIDES:
            body.wall_panel((0.5, shape.length - 0.5), (shape.belt - 0.3, shape.belt - 0.2), side).rectangle(
                (0, 1), (0, 1), stripe, lift=0.004
            )
