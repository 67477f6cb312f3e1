"""What places are put together of: ground, roads with houses behind them, fences, and what stands about."""

from __future__ import annotations

import math

import numpy as np

from training.scenes.layout import Area, Clutter, Ground, LampSpot, Layout, Opening, Wall
from training.scenes.surfaces import RGB, VARIANTS, tint

#: How far ground reaches ahead, and to either side, metres.
FAR_Z = 70.0
WIDE_X = 45.0
#: Rough radius in metres of the ground that each kind of clutter takes, at size 1.
RADII = {
    "bush": 0.6,
    "tree": 0.35,
    "bin": 0.4,
    "mailbox": 0.2,
    "chair": 0.45,
    "post": 0.12,
    "bench": 0.75,
    "stand": 0.2,
    "gnome": 0.22,
    "pot": 0.3,
    "crate": 0.4,
    "ball": 0.2,
    "ladder": 0.3,
    "broom": 0.15,
    "hose": 0.35,
}


def road_across(layout: Layout, rng: np.random.Generator, start: float, *, pavement: bool = True) -> float:
    """A road from left to right behind `start`, and what is beside it; returns where its far pavement ends."""
    if pavement:
        width = float(rng.uniform(1.2, 2.2))
        pave(layout, rng, "slabs", (-WIDE_X, WIDE_X, start, start + width))
        start += width
    end = start + float(rng.uniform(5.5, 7.5))
    far = end + float(rng.uniform(1.2, 2.4))
    pave(layout, rng, "asphalt", (-WIDE_X, WIDE_X, start, end))
    pave(layout, rng, "slabs", (-WIDE_X, WIDE_X, end, far))
    for z in (start, end):
        pave(layout, rng, "concrete", (-WIDE_X, WIDE_X, z - 0.08, z + 0.08))
    marks(layout, rng, (start + end) / 2, along_z=False)
    span = 0.55 * (start + end) / 2
    layout.areas.append(Area(-span, span, start + 1.0, end - 1.0, "road", math.pi / 2))
    layout.areas.append(Area(-span, span, start + 0.5, end - 0.5, "walk"))
    if rng.random() < 0.6:
        layout.lamps.append(LampSpot(float(rng.uniform(-8, 8)), 4.6, far - 0.3, post=True))
    return far


def marks(layout: Layout, rng: np.random.Generator, centre: float, *, along_z: bool) -> None:
    """A broken line along the middle of a road, on most roads."""
    if rng.random() < 0.25:
        return
    shade = float(rng.uniform(0.6, 0.9))
    colour = (shade, shade, shade * float(rng.choice([1.0, 0.6])))
    dash, gap = float(rng.uniform(1.5, 3)), float(rng.uniform(1.5, 3))
    for start in np.arange(1.0 if along_z else -20.0, 40.0 if along_z else 20.0, dash + gap):
        across, along = (centre - 0.06, centre + 0.06), (float(start), float(start) + dash)
        pave(layout, rng, "concrete", (*across, *along) if along_z else (*along, *across), colour)


def houses(layout: Layout, rng: np.random.Generator, z: float) -> None:
    """A row of houses behind `z`, with gaps, trees behind them and bushes before them."""
    x = -float(rng.uniform(1.1, 1.4)) * z
    while x < 1.2 * z:
        width = float(rng.uniform(6, 12))
        if rng.random() < 0.85:
            back = z + float(rng.uniform(0, 1.5))
            layout.walls.append(house_front(rng, (x, back), (x + width, back)))
        x += width + float(rng.choice([0, 0, 1, 3]))
    layout.clutter.append(Clutter("skyline", 0, z + 9, 0, 2.4 * z, a_seed(rng), 0))
    for _ in range(int(rng.integers(0, 4))):
        layout.clutter.append(
            an_item(rng, str(rng.choice(["tree", "bush"])), float(rng.uniform(-z, z)) * 0.8, z - 0.8, 0.9, 1.6)
        )


def house_front(rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float]) -> Wall:
    """The front of a house with rows of windows and a door."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    floors = int(rng.integers(1, 3))
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    frame, door_colour = bright(rng), bright(rng)
    pitch = float(rng.uniform(1.9, 2.8))
    starts = np.arange(0.6, length - 1.4, pitch)
    door = int(rng.integers(0, max(1, len(starts))))
    width = float(rng.uniform(0.9, 1.5))
    openings = []
    for floor in range(floors):
        base = 2.7 * floor
        for index, at in enumerate(starts):
            if floor == 0 and index == door:
                openings.append(Opening("door", float(at), 0.95, 0.05, 2.1, door_colour))
            else:
                openings.append(Opening("window", float(at), width, base + 0.9, base + 2.1, frame))
    return Wall(
        surface,
        start,
        end,
        2.7 * floors + 0.4,
        tint(surface, rng),
        a_seed(rng) % VARIANTS,
        tuple(openings),
        float(rng.uniform(1.2, 2.6)),
        tint("tiles", rng),
    )


def sides(
    layout: Layout, rng: np.random.Generator, span: tuple[float, float], away: tuple[float, float], only: float = 0
) -> None:
    """Fences, hedges or nothing at the left and right of a garden."""
    for side in (-1.0, 1.0):
        if (only and side != only) or rng.random() < 0.3:
            continue
        x = side * float(rng.uniform(*away))
        ends = ((x, span[0]), (x, span[1])) if side < 0 else ((x, span[1]), (x, span[0]))
        surface = str(rng.choice(["fence", "leaves", "bricks"]))
        height = float(rng.uniform(1.0, 2.0))
        layout.walls.append(Wall(surface, *ends, height, tint(surface, rng), a_seed(rng) % VARIANTS))


def boundary(layout: Layout, rng: np.random.Generator, z: float, gap: tuple[float, float]) -> None:
    """A hedge, fence or low wall along the front of a garden, with a gap."""
    kind = str(rng.choice(["leaves", "fence", "bricks", "none"]))
    if kind == "none":
        return
    height = {"leaves": float(rng.uniform(0.6, 1.3)), "fence": 0.9, "bricks": 0.6}[kind]
    colour, variant = tint(kind, rng), a_seed(rng) % VARIANTS
    for start, end in ((-14.0, gap[0]), (gap[1], 14.0)):
        layout.walls.append(Wall(kind, (start, z), (end, z), height, colour, variant))


def lawn(layout: Layout, rng: np.random.Generator, end: float) -> None:
    """Grass up to `end`, and other grass from there on."""
    pave(layout, rng, "grass", (-WIDE_X, WIDE_X, end, FAR_Z))
    pave(layout, rng, "grass", (-14.0, 14.0, 0.1, end))


def pave(
    layout: Layout,
    rng: np.random.Generator,
    surface: str,
    extent: tuple[float, float, float, float],
    colour: RGB | None = None,
) -> None:
    """One rectangle (x1, x2, z1, z2) of a surface over what was laid before, in a colour of its own unless told."""
    layout.grounds.append(Ground(surface, *extent, colour or tint(surface, rng), a_seed(rng) % VARIANTS))


def scatter(
    layout: Layout, rng: np.random.Generator, kinds: tuple[str, ...], extent: tuple[float, float, float, float]
) -> None:
    """Up to three things of those kinds in a rectangle, apart from each other."""
    for _ in range(int(rng.integers(0, 4))):
        x, z = float(rng.uniform(extent[0], extent[1])), float(rng.uniform(extent[2], extent[3]))
        item = an_item(rng, str(rng.choice(kinds)), x, z, 0.75, 1.3)
        if all(math.hypot(x - c.x, z - c.z) > item.radius + c.radius for c in layout.clutter if c.radius):
            layout.clutter.append(item)


def an_item(rng: np.random.Generator, kind: str, x: float, z: float, low: float, high: float) -> Clutter:
    """Something that stands about, its size between `low` and `high`."""
    size = float(rng.uniform(low, high))
    return Clutter(kind, x, z, float(rng.uniform(-math.pi, math.pi)), size, a_seed(rng), RADII[kind] * size)


def bright(rng: np.random.Generator) -> RGB:
    """The colour of painted wood: white half of the time."""
    if rng.random() < 0.5:
        shade = float(rng.uniform(0.75, 0.95))
        return (shade, shade, shade * 0.97)
    red, green, blue = rng.uniform(0.08, 0.7, 3)
    return (float(red), float(green), float(blue))


def a_seed(rng: np.random.Generator) -> int:
    """For something with a look of its own."""
    return int(rng.integers(0, 1 << 30))
