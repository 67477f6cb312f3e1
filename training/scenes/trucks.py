"""Trucks and buses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.scenes.bodywork import SIDES, Frame, Hull, PlatePlace, Side, leaning, tapered
from training.scenes.canvas import Paint
from training.scenes.finish import (
    COLOURS,
    PLASTIC,
    SEAM,
    SHADE,
    Finish,
    arch,
    glass,
    lettering,
    mixed,
    seams,
    wheel,
)


@dataclass(frozen=True, slots=True)
class TruckShape:
    """Measures in metres.

    Attributes:
        length: over all.
        width: of the load; the cab is a little narrower.
        cab: length and height.
        deck: of the load above the ground.
        load: height of the load's walls above the deck; below a metre it is open.
        radius: of the wheels.
    """

    length: float
    width: float
    cab: tuple[float, float]
    deck: float
    load: float
    radius: float


def truck_shape(rng: np.random.Generator) -> TruckShape:
    """A box truck, or one with an open deck."""
    load = float(rng.uniform(2.0, 2.5)) if rng.random() < 0.7 else float(rng.uniform(0.35, 0.6))
    size = float(rng.uniform(0.9, 1.1))
    cab = (1.75 * size, float(rng.uniform(2.35, 2.75)) * size)
    return TruckShape(float(rng.uniform(6.2, 8.4)) * size, 2.38 * size, cab, 1.0 * size, load * size, 0.46 * size)


def draw_truck(frame: Frame, shape: TruckShape, finish: Finish) -> tuple[PlatePlace, PlatePlace]:
    """A truck; gives where its plates belong, front and rear."""
    cab = _cab(frame, shape)
    cab.draw(finish.body)
    _chassis(frame, shape, finish)
    _cab_details(cab, shape, finish)
    if shape.load > 1.0:
        _box(frame, shape, finish)
    else:
        _open_deck(frame, shape, finish)
    bar = _plain(frame, shape.width / 2, (shape.length - 0.14, shape.length - 0.02), (0.5, 0.72))
    bar.draw(PLASTIC)
    rear = bar.panel(2)
    rear.both((0.03, 0.17), (0.2, 0.8), finish.tail_lamp)
    rear.both((0.17, 0.21), (0.2, 0.8), finish.indicator)
    return (cab.panel(0), 0.62), (rear, 0.5)


def _plain(frame: Frame, half: float, s: tuple[float, float], y: tuple[float, float]) -> Hull:
    """A block: its faces are 0 front, 1 top, 2 rear."""
    return Hull(frame, [(s[0], y[0]), (s[0], y[1]), (s[1], y[1]), (s[1], y[0])], leaning(half, half, 0.0, 1.0))


def _cab(frame: Frame, shape: TruckShape) -> Hull:
    long, high = shape.cab
    half = shape.width / 2 - 0.12
    waist = 0.55 * high
    outline = [(0.03, 0.42), (0.0, 0.9), (0.04, waist), (0.22, high - 0.18), (0.42, high), (long, high), (long, 0.5)]
    return Hull(frame, outline, leaning(half, 0.94 * half, 0.42, high))


def _cab_details(cab: Hull, shape: TruckShape, finish: Finish) -> None:
    long, high = shape.cab
    waist = 0.55 * high
    bumper, grille, screen = cab.panel(0), cab.panel(1), cab.panel(2)
    bumper.rectangle((0, 1), (0.15, 1.0), PLASTIC if finish.rng.random() < 0.6 else finish.body)
    bumper.both((0.04, 0.19), (0.22, 0.62), finish.headlamp, lift=0.012)
    bumper.both((0.20, 0.24), (0.22, 0.62), finish.indicator, lift=0.012)
    grille.rectangle((0.16, 0.84), (0.25, 0.95), PLASTIC)
    for v in np.linspace(0.32, 0.82, 4):
        grille.rectangle((0.18, 0.82), (float(v), float(v) + 0.06), SHADE, lift=0.012)
    grille.rectangle((0.42, 0.58), (0.08, 0.18), finish.rims, lift=0.012)
    screen.rectangle((0.04, 0.96), (0.04, 0.97), glass(finish.rng))
    screen.rectangle((0.02, 0.98), (0.95, 1.0), SHADE, lift=0.012)
    axle = shape.cab[0] * 0.56
    arch(cab, axle, shape.radius + 0.08)
    seams(cab, [long * 0.12, long * 0.84], (0.95, high - 0.25))
    window = glass(finish.rng)
    for side in SIDES:
        low, top = waist + 0.03, high - 0.28
        corners = [(long * 0.26, top), (long * 0.78, top), (long * 0.78, low), (long * 0.19, low)]
        cab.wall(corners, side, window)
        half = cab.half_width(0.2, waist)
        inner, outer = sorted((side * (half + 0.02), side * (half + 0.24)))
        cab.frame.block((inner, waist + 0.05, 0.12), (outer, waist + 0.5, 0.26), PLASTIC)


def _chassis(frame: Frame, shape: TruckShape, finish: Finish) -> None:
    half = shape.width / 2
    frame.block((-0.45, 0.5, 0.4), (0.45, shape.deck, shape.length - 0.1), SHADE)
    frame.block((-half + 0.25, 0.35, 0.3), (half - 0.25, 0.75, shape.cab[0]), SHADE)
    for side in SIDES:
        tank, end = sorted((side * (half - 0.4), side * (half - 0.06)))
        frame.block((tank, 0.5, shape.cab[0] + 0.5), (end, shape.deck - 0.1, shape.cab[0] + 1.3), finish.rims)
        wheel(frame, side, half - 0.08, shape.cab[0] * 0.56, shape.radius, finish, width=0.28)
        wheel(frame, side, half - 0.04, shape.length * 0.76, shape.radius, finish, width=0.55)


def _box(frame: Frame, shape: TruckShape, finish: Finish) -> None:
    rng = finish.rng
    own = rng.random() < 0.5
    colour = finish.body.colour if own else COLOURS["white" if rng.random() < 0.7 else "silver"]
    paint = Paint(colour, grain=0.03, gloss=0.2)
    s, y = (shape.cab[0] + 0.12, shape.length), (shape.deck, shape.deck + shape.load)
    box = _plain(frame, shape.width / 2, s, y)
    box.draw(paint)
    ribs = Paint(mixed(colour, (0.0, 0.0, 0.0), 0.3))
    sign = lettering(colour, rng, (s[1] - s[0] - 0.3) / (shape.load - 0.3))
    for side in SIDES:
        for at in np.arange(s[0] + 0.02, s[1], (s[1] - s[0] - 0.06) / 5):
            box.wall_panel((float(at), float(at) + 0.03), y, side).rectangle((0, 1), (0, 1), ribs, lift=0.003)
        box.wall_panel((s[0] + 0.15, s[1] - 0.15), (y[0] + 0.15, y[1] - 0.15), side).rectangle((0, 1), (0, 1), sign)
        box.wall_panel(s, (y[0], y[0] + 0.08), side).rectangle((0, 1), (0, 1), PLASTIC)
    rear = box.panel(2)
    rear.rectangle((0.0, 1.0), (0.0, 0.05), finish.rims)
    rear.rectangle((0.494, 0.506), (0.05, 1.0), SEAM)
    for u in (0.36, 0.62):
        rear.rectangle((u, u + 0.015), (0.06, 0.98), finish.rims, lift=0.012)
    rear.both((0.0, 0.02), (0.05, 1.0), finish.rims)


def _open_deck(frame: Frame, shape: TruckShape, finish: Finish) -> None:
    half, end = shape.width / 2, shape.length
    start, y = shape.cab[0] + 0.15, shape.deck
    wood = Paint((0.36, 0.26, 0.16), grain=0.15)
    walls = finish.body if finish.rng.random() < 0.5 else finish.rims
    frame.block((-half, y - 0.12, start), (half, y, end), wood)
    for low, high in (
        ((-half, y, start), (-half + 0.05, y + shape.load, end)),
        ((half - 0.05, y, start), (half, y + shape.load, end)),
        ((-half, y, end - 0.05), (half, y + shape.load, end)),
        ((-half, y, start), (half, shape.cab[1] - 0.3, start + 0.06)),
    ):
        frame.block(low, high, walls)
    for _ in range(int(finish.rng.integers(0, 4))):
        s = float(finish.rng.uniform(start + 0.3, end - 1.3))
        x = float(finish.rng.uniform(-half + 0.2, half - 1.0))
        size = finish.rng.uniform(0.4, 1.0, 3)
        tone = float(finish.rng.uniform(0.6, 1.2))
        load = Paint((0.48 * tone, 0.36 * tone, 0.22 * tone), grain=0.06)
        frame.block((x, y, s), (min(x + size[0], half - 0.08), y + float(size[1]), s + float(size[2])), load)


@dataclass(frozen=True, slots=True)
class BusShape:
    """Measures in metres: length, width and height; `bays` is the number of side windows."""

    length: float
    width: float
    height: float
    bays: int


def bus_shape(rng: np.random.Generator) -> BusShape:
    """A small or a large bus."""
    length = float(rng.uniform(8.0, 12.0))
    return BusShape(length, 2.5, float(rng.uniform(2.9, 3.25)), round(length / 1.45) - 1)


def draw_bus(frame: Frame, shape: BusShape, finish: Finish) -> tuple[PlatePlace, PlatePlace]:
    """A bus; gives where its plates belong, front and rear."""
    long, high = shape.length, shape.height
    outline = [
        (0.10, 0.30),
        (0.0, 0.45),
        (0.02, 1.15),
        (0.16, high - 0.45),
        (0.28, high - 0.06),
        (0.6, high),
        (long - 0.3, high),
        (long, high - 0.25),
        (long, 0.35),
    ]
    half_width, cuts = tapered(long, shape.width / 2, (0.90, 0.96), (0.35, 0.35))
    body = Hull(frame, outline, half_width, cuts)
    body.draw(finish.body)
    frame.block((-0.9, 0.16, 0.8), (0.9, 0.36, long - 0.5), SHADE)
    for s in (2.55, long - 2.9):
        arch(body, s, 0.56)
        for side in SIDES:
            wheel(frame, side, shape.width / 2 + 0.004, s, 0.48, finish, width=0.3)
    _bus_ends(body, finish)
    _bus_walls(body, shape, finish)
    return (body.panel(1), 0.80), (body.panel(7), 0.78)


def _bus_ends(body: Hull, finish: Finish) -> None:
    front, screen, brow, rear = body.panel(1), body.panel(2), body.panel(3), body.panel(7)
    screen.rectangle((0.03, 0.97), (0.0, 0.98), glass(finish.rng))
    screen.rectangle((0.495, 0.505), (0.0, 0.98), SEAM, lift=0.012)
    brow.rectangle((0.05, 0.95), (0.1, 0.95), SHADE)
    shown = Paint((0.95, 0.62, 0.10), texture=_destination(finish.rng), glow=0.7, grain=0.0)
    brow.rectangle((0.22, 0.78), (0.2, 0.85), shown, lift=0.012)
    front.both((0.03, 0.26), (0.40, 0.77), PLASTIC, lift=0.003)
    front.both((0.05, 0.20), (0.45, 0.72), finish.headlamp)
    front.both((0.20, 0.24), (0.45, 0.72), finish.indicator)
    front.rectangle((0.0, 1.0), (0.86, 1.0), PLASTIC, lift=0.003)
    front.rectangle((0.44, 0.56), (0.2, 0.35), finish.rims)
    rear.rectangle((0.10, 0.90), (0.10, 0.40), glass(finish.rng))
    rear.rectangle((0.2, 0.8), (0.50, 0.70), SHADE)
    rear.both((0.02, 0.08), (0.45, 0.75), finish.tail_lamp)
    rear.both((0.02, 0.08), (0.45, 0.53), finish.indicator, lift=0.012)
    rear.rectangle((0.0, 1.0), (0.88, 1.0), PLASTIC, lift=0.003)


def _destination(rng: np.random.Generator) -> np.ndarray:
    """Dots of light in rows, as of letters that are too small to read."""
    cells = np.kron((rng.random((5, 22)) < 0.5).astype(np.float32), np.ones((3, 3), np.float32))
    cells[:, ::12] = 0
    return np.maximum(cells, 0.04)[..., None]


def _bus_walls(body: Hull, shape: BusShape, finish: Finish) -> None:
    rng, long = finish.rng, shape.length
    low, high = 1.20, shape.height - 0.55
    start, end = 0.5, long - 0.5
    step = (end - start) / shape.bays
    doors_on = -1 if rng.random() < 0.7 else 1  # to the right of somebody who drives
    doors = {0, shape.bays // 2}
    band = COLOURS[("white", "red", "blue", "green", "yellow")[int(rng.integers(5))]]
    for side in SIDES:
        if rng.random() < 0.7:
            body.wall_panel((start, end), (0.75, 0.98), side).rectangle(
                (0, 1), (0, 1), Paint(band, gloss=0.3), lift=0.003
            )
        body.wall_panel((start, end), (low - 0.05, high + 0.05), side).rectangle((0, 1), (0, 1), SHADE, lift=0.004)
        for bay in range(shape.bays):
            s = start + bay * step
            if side == doors_on and bay in doors:
                _bus_door(body, (s + 0.05, s + min(step, 1.3)), (0.42, high), side, finish)
            else:
                body.wall_panel((s + 0.04, s + step - 0.04), (low, high), side).rectangle(
                    (0, 1), (0, 1), glass(rng), lift=0.008
                )
        inner, outer = sorted((side * (shape.width / 2 - 0.1), side * (shape.width / 2 + 0.2)))
        body.frame.block((inner, high - 0.45, -0.15), (outer, high, 0.02), PLASTIC)


def _bus_door(body: Hull, s: tuple[float, float], y: tuple[float, float], side: Side, finish: Finish) -> None:
    door = body.wall_panel(s, y, side)
    door.rectangle((0, 1), (0, 1), SHADE, lift=0.008)
    for u in ((0.06, 0.48), (0.52, 0.94)):
        door.rectangle(u, (0.03, 0.96), glass(finish.rng), lift=0.014)
