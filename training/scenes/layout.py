"""Where everything of a place stands, before anything is drawn: porch, drive and street, laid out by seed.

`layout_of(place, seed)` is plain numbers, so that a cast can be placed on the free ground of a place which is only
drawn later. All lengths in metres, the camera stands at x = 0, z = 0 and looks along +z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from training.scenes.surfaces import RGB, VARIANTS, tint

Use = Literal["walk", "drive", "road"]


@dataclass(frozen=True, slots=True)
class Ground:
    """A rectangle of one surface, over those before it."""

    surface: str
    x1: float
    x2: float
    z1: float
    z2: float
    colour: RGB
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A window, door or garage door of a wall; `at` is the distance of its left side from the wall's left end."""

    kind: Literal["window", "door", "garage"]
    at: float
    width: float
    bottom: float
    top: float
    colour: RGB


@dataclass(frozen=True, slots=True)
class Wall:
    """An upright wall between two points, left to right as the camera sees it; with a roof where it has a height."""

    surface: str
    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    colour: RGB
    variant: int = 0
    openings: tuple[Opening, ...] = ()
    roof_m: float = 0.0
    roof_colour: RGB = (0.3, 0.2, 0.2)

    @property
    def length(self) -> float:
        return math.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])


@dataclass(frozen=True, slots=True)
class Clutter:
    """Something that is neither person, vehicle nor animal; kinds are those of clutter.py."""

    kind: str
    x: float
    z: float
    yaw: float
    size: float
    seed: int
    radius: float


@dataclass(frozen=True, slots=True)
class LampSpot:
    """Where a lamp hangs or stands; a post reaches the ground."""

    x: float
    y: float
    z: float
    post: bool


@dataclass(frozen=True, slots=True)
class Area:
    """A free rectangle of ground; vehicles stand in "drive" and "road", with a yaw near `along` or turned by half."""

    x1: float
    x2: float
    z1: float
    z2: float
    use: Use
    along: float = 0.0


@dataclass(slots=True)
class Layout:
    """A place as lists of its parts."""

    place: str
    seed: int
    grounds: list[Ground] = field(default_factory=list)
    walls: list[Wall] = field(default_factory=list)
    clutter: list[Clutter] = field(default_factory=list)
    lamps: list[LampSpot] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)


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


def layout_of(place: str, seed: int) -> Layout:
    """The layout of a place: the same for the same seed."""
    rng = np.random.default_rng([11, seed])
    layout = Layout(place, seed)
    {"porch": _porch, "drive": _drive, "street": _street}[place](layout, rng)
    return layout


def _porch(layout: Layout, rng: np.random.Generator) -> None:
    deck_z = float(rng.uniform(2.2, 3.6))
    deck_x = float(rng.uniform(1.6, 3.2))
    path_x, path_w = float(rng.uniform(-0.6, 0.6)), float(rng.uniform(0.5, 0.9))
    hedge_z = float(rng.uniform(7.5, 13))
    _lawn(layout, rng, hedge_z)
    path = str(rng.choice(["slabs", "paving", "concrete", "gravel"]))
    _ground(layout, rng, path, (path_x - path_w, path_x + path_w, deck_z, hedge_z))
    deck = str(rng.choice(["planks", "slabs", "concrete", "paving"]))
    _ground(layout, rng, deck, (-deck_x, deck_x, 0.2, deck_z))
    if rng.random() < 0.6:
        mat_x, mat_z = path_x * 0.6, float(rng.uniform(1.4, deck_z - 0.7))
        _ground(layout, rng, "gravel", (mat_x - 0.45, mat_x + 0.45, mat_z, mat_z + 0.6), _bright(rng))
    for step in range(int(rng.integers(1, 4))):
        z, shade = deck_z + 0.3 * step, 0.35 + 0.18 * (step % 2)
        _ground(layout, rng, "concrete", (path_x - path_w, path_x + path_w, z, z + 0.3), (shade, shade, shade))
    if rng.random() < 0.6:
        for start, end in ((-deck_x, path_x - path_w - 0.1), (path_x + path_w + 0.1, deck_x)):
            if end - start > 0.5:
                layout.clutter.append(Clutter("railing", (start + end) / 2, deck_z, 0, end - start, _seed(rng), 0))
    for side in (-1, 1):
        if rng.random() < 0.7:
            _add(layout, rng, "pot", path_x + side * (path_w + 0.35), deck_z - 0.3, 0.8, 1.3)
    _boundary(layout, rng, hedge_z, (path_x - path_w - 0.2, path_x + path_w + 0.2))
    road_z = hedge_z + float(rng.uniform(0.8, 1.4))
    far_z = _road_across(layout, rng, road_z)
    _houses(layout, rng, far_z + float(rng.uniform(3, 7)))
    _sides(layout, rng, (deck_z, hedge_z), (5.0, 11.0))
    layout.areas += [
        Area(-deck_x + 0.4, deck_x - 0.4, 1.6, deck_z - 0.3, "walk"),
        Area(path_x - path_w, path_x + path_w, deck_z + 0.6, hedge_z - 0.4, "walk"),
        Area(-5.0, 5.0, deck_z + 0.8, hedge_z - 0.8, "walk"),
        Area(-3.5, 3.5, deck_z + 0.8, min(hedge_z - 0.8, deck_z + 4), "walk"),
    ]
    layout.lamps.append(LampSpot(float(rng.uniform(-0.6, 0.6)), 2.5, 0.25, post=False))
    _scatter(
        layout, rng, ("chair", "bench", "stand", "gnome", "crate", "ball", "broom"), (-deck_x, deck_x, 1.8, deck_z)
    )
    _scatter(
        layout, rng, ("gnome", "bush", "mailbox", "bench", "ball", "bin", "tree"), (-6, 6, deck_z + 1, hedge_z - 1)
    )


def _drive(layout: Layout, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        _drive_to_garage(layout, rng)
    else:
        _drive_to_street(layout, rng)


def _drive_to_garage(layout: Layout, rng: np.random.Generator) -> None:
    depth = float(rng.uniform(9, 14))
    left, right = float(rng.uniform(-4.5, -2.6)), float(rng.uniform(2.6, 4.5))
    _lawn(layout, rng, depth)
    _ground(layout, rng, _drive_surface(rng), (left, right, 0.2, depth))
    colour = _bright(rng)
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    garage = min(float(rng.uniform(2.5, 4.8)), right - left - 0.6)
    centre = float(rng.uniform(left + garage / 2 + 0.2, right - garage / 2 - 0.2))
    wall_left = float(rng.uniform(-11, -7))
    door_at = centre - wall_left + garage / 2 + float(rng.uniform(0.6, 1.2))
    openings = [
        Opening("garage", centre - garage / 2 - wall_left, garage, 0, 2.15, colour),
        Opening("door", door_at, 0.95, 0, 2.1, _bright(rng)),
        Opening("window", door_at + 1.8, float(rng.uniform(1.0, 2.0)), 0.95, 2.1, _bright(rng)),
        Opening("window", max(0.4, centre - garage / 2 - wall_left - 2.6), 1.5, 0.9, 2.1, _bright(rng)),
    ]
    height = float(rng.choice([2.7, 3.0, 5.4]))
    if height > 5:
        openings += [Opening("window", at, 1.2, 3.5, 4.7, _bright(rng)) for at in np.arange(1.2, 14, 2.9)]
    layout.walls.append(
        Wall(
            surface,
            (wall_left, depth),
            (wall_left + 17, depth),
            height,
            tint(surface, rng),
            _seed(rng) % VARIANTS,
            tuple(openings),
            float(rng.uniform(1.5, 3.0)),
            tint("tiles", rng),
        )
    )
    for at in (centre - garage / 2 - 0.35, centre + garage / 2 + 0.3):
        if rng.random() < 0.7:
            layout.lamps.append(LampSpot(at, 2.25, depth - 0.15, post=False))
    layout.areas += [
        Area(left + 0.9, right - 0.9, 3.5, depth - 1.2, "drive"),
        Area(left, right, 2.2, depth - 0.6, "walk"),
        Area(-6, 6, 3.0, depth - 0.8, "walk"),
    ]
    _sides(layout, rng, (3.0, depth), (6.0, 10.0))
    if not layout.lamps or rng.random() < 0.5:
        layout.lamps.append(LampSpot(float(rng.uniform(-1.5, 1.5)), 2.6, 0.2, post=False))
    _scatter(
        layout, rng, ("bin", "bin", "pot", "crate", "ladder", "hose", "broom"), (left, right, depth - 1.2, depth - 0.4)
    )
    _scatter(layout, rng, ("bush", "bush", "gnome", "post", "tree", "mailbox"), (right + 0.4, right + 3, 3, depth - 1))
    _scatter(layout, rng, ("bush", "bin", "gnome", "chair", "post"), (left - 3, left - 0.4, 3, depth - 1))


def _drive_to_street(layout: Layout, rng: np.random.Generator) -> None:
    depth = float(rng.uniform(8, 14))
    side = float(rng.choice([-1, 1]))
    near, wide = float(rng.uniform(1.6, 2.6)), float(rng.uniform(3.2, 5.5))
    edges = sorted((-side * near, side * wide))
    _lawn(layout, rng, depth)
    _ground(layout, rng, _drive_surface(rng), (edges[0], edges[1], 0.2, depth))
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    wall_x = side * (wide + float(rng.uniform(0.2, 1.2)))
    end = depth - float(rng.uniform(1, 4))
    ends = ((wall_x, 0.6), (wall_x, end)) if side < 0 else ((wall_x, end), (wall_x, 0.6))
    openings = tuple(
        Opening("window", at, 1.3, 0.9, 2.1, _bright(rng))
        for at in np.arange(1.0, end - 2, float(rng.uniform(2.2, 3.5)))
    )
    roof = (float(rng.uniform(1, 2)), tint("tiles", rng))
    layout.walls.append(
        Wall(surface, *ends, float(rng.uniform(2.7, 5.4)), tint(surface, rng), _seed(rng) % VARIANTS, openings, *roof)
    )
    layout.lamps.append(LampSpot(wall_x - side * 0.15, 2.3, float(rng.uniform(3, end - 0.5)), post=False))
    _boundary(layout, rng, depth, (edges[0] - 0.3, edges[1] + 0.3))
    far_z = _road_across(layout, rng, depth + float(rng.uniform(0.6, 1.2)))
    _houses(layout, rng, far_z + float(rng.uniform(3, 7)))
    _sides(layout, rng, (3.0, depth), (6.0, 10.0), only=-side)
    layout.areas += [
        Area(edges[0] + 0.9, edges[1] - 0.9, 3.5, depth - 0.5, "drive"),
        Area(edges[0], edges[1], 2.2, depth, "walk"),
        Area(min(side * wide, -side * 5), max(side * wide, -side * 5), 3.0, depth - 0.6, "walk"),
    ]
    along = sorted((wall_x - side * 0.3, wall_x - side * 0.9))
    _scatter(layout, rng, ("bin", "bin", "crate", "pot", "ladder", "bush", "hose"), (along[0], along[1], 3, end - 0.5))
    lawn = sorted((-side * (near + 0.5), -side * (near + 4)))
    _scatter(layout, rng, ("bush", "gnome", "tree", "bench", "post", "mailbox"), (lawn[0], lawn[1], 3, depth - 1))


def _street(layout: Layout, rng: np.random.Generator) -> None:
    if rng.random() < 0.55:
        near = float(rng.uniform(3.0, 4.5))
        _ground(layout, rng, "grass", (-WIDE_X, WIDE_X, 3.0, FAR_Z))
        _ground(layout, rng, str(rng.choice(["slabs", "paving", "concrete"])), (-WIDE_X, WIDE_X, 0.1, near))
        far_z = _road_across(layout, rng, near, pavement=False)
        _houses(layout, rng, far_z + float(rng.uniform(0.2, 4)))
        layout.areas += [Area(-3.5, 3.5, 2.2, near - 0.3, "walk"), Area(-7, 7, far_z - 1.6, far_z - 0.2, "walk")]
        _scatter(layout, rng, ("bin", "post", "mailbox", "bench", "crate"), (-4, 4, near - 0.7, near - 0.3))
        _scatter(layout, rng, ("tree", "post", "bush", "bin", "tree"), (-9, 9, far_z - 0.5, far_z))
        layout.lamps += [LampSpot(float(rng.uniform(-6, 6)), 4.6, far_z - 0.4, post=True)]
    else:
        _street_along(layout, rng)
    if rng.random() < 0.5:
        layout.lamps.append(LampSpot(float(rng.uniform(-1.5, 1.5)), 2.7, 0.2, post=False))


def _street_along(layout: Layout, rng: np.random.Generator) -> None:
    left = float(rng.uniform(-5.5, -1.0))
    right = left + float(rng.uniform(5.5, 7.5))
    walk = float(rng.uniform(1.6, 2.6))
    _ground(layout, rng, "grass", (-WIDE_X, WIDE_X, 0.1, FAR_Z))
    paving = str(rng.choice(["slabs", "paving", "concrete"]))
    _ground(layout, rng, paving, (left - walk, right + walk, 0.1, FAR_Z))
    _ground(layout, rng, "asphalt", (left, right, 0.1, FAR_Z))
    _marks(layout, rng, (left + right) / 2, along_z=True)
    for x in (left, right):
        _ground(layout, rng, "concrete", (x - 0.08, x + 0.08, 0.1, FAR_Z))
    for side, edge in ((-1, left - walk), (1, right + walk)):
        z = float(rng.uniform(1, 4))
        while z < 45:
            length = float(rng.uniform(6, 11))
            x = edge + side * float(rng.uniform(0.2, 3.5))
            ends = ((x, z), (x, z + length)) if side < 0 else ((x, z + length), (x, z))
            layout.walls.append(_front(rng, ends[0], ends[1]))
            z += length + float(rng.choice([0, 0, 2.5]))
        layout.areas.append(
            Area(min(edge, edge - side * walk) + 0.2, max(edge, edge - side * walk) - 0.2, 2.5, 14, "walk")
        )
        for z in np.arange(float(rng.uniform(4, 8)), 40, float(rng.uniform(8, 14))):
            if rng.random() < 0.6:
                layout.clutter.append(_item(rng, "tree", edge - side * (walk - 0.3), float(z), 0.8, 1.4))
            else:
                layout.lamps.append(LampSpot(edge - side * (walk - 0.3), 4.8, float(z), post=True))
        _scatter(layout, rng, ("bin", "post", "mailbox", "bench"), (edge - 0.2, edge + 0.2, 3, 12))
    layout.areas += [Area(left + 1, right - 1, 3.5, 16, "road"), Area(left, right, 2.5, 10, "walk")]
    layout.clutter.append(Clutter("skyline", 0, 62, 0, 30, _seed(rng), 0))


def _road_across(layout: Layout, rng: np.random.Generator, start: float, *, pavement: bool = True) -> float:
    """A road from left to right behind `start`, and what is beside it; returns where its far pavement ends."""
    if pavement:
        width = float(rng.uniform(1.2, 2.2))
        _ground(layout, rng, "slabs", (-WIDE_X, WIDE_X, start, start + width))
        start += width
    end = start + float(rng.uniform(5.5, 7.5))
    far = end + float(rng.uniform(1.2, 2.4))
    _ground(layout, rng, "asphalt", (-WIDE_X, WIDE_X, start, end))
    _ground(layout, rng, "slabs", (-WIDE_X, WIDE_X, end, far))
    for z in (start, end):
        _ground(layout, rng, "concrete", (-WIDE_X, WIDE_X, z - 0.08, z + 0.08))
    _marks(layout, rng, (start + end) / 2, along_z=False)
    span = 0.55 * (start + end) / 2
    layout.areas.append(Area(-span, span, start + 1.0, end - 1.0, "road", math.pi / 2))
    layout.areas.append(Area(-span, span, start + 0.5, end - 0.5, "walk"))
    if rng.random() < 0.6:
        layout.lamps.append(LampSpot(float(rng.uniform(-8, 8)), 4.6, far - 0.3, post=True))
    return far


def _marks(layout: Layout, rng: np.random.Generator, centre: float, *, along_z: bool) -> None:
    if rng.random() < 0.25:
        return
    shade = float(rng.uniform(0.6, 0.9))
    colour = (shade, shade, shade * float(rng.choice([1.0, 0.6])))
    dash, gap = float(rng.uniform(1.5, 3)), float(rng.uniform(1.5, 3))
    for start in np.arange(1.0 if along_z else -20.0, 40.0 if along_z else 20.0, dash + gap):
        across, along = (centre - 0.06, centre + 0.06), (float(start), float(start) + dash)
        _ground(layout, rng, "concrete", (*across, *along) if along_z else (*along, *across), colour)


def _houses(layout: Layout, rng: np.random.Generator, z: float) -> None:
    x = -float(rng.uniform(1.1, 1.4)) * z
    while x < 1.2 * z:
        width = float(rng.uniform(6, 12))
        if rng.random() < 0.85:
            back = z + float(rng.uniform(0, 1.5))
            layout.walls.append(_front(rng, (x, back), (x + width, back)))
        x += width + float(rng.choice([0, 0, 1, 3]))
    layout.clutter.append(Clutter("skyline", 0, z + 9, 0, 2.4 * z, _seed(rng), 0))
    for _ in range(int(rng.integers(0, 4))):
        layout.clutter.append(
            _item(rng, str(rng.choice(["tree", "bush"])), float(rng.uniform(-z, z)) * 0.8, z - 0.8, 0.9, 1.6)
        )


def _front(rng: np.random.Generator, start: tuple[float, float], end: tuple[float, float]) -> Wall:
    """The front of a house with rows of windows and a door."""
    length = math.hypot(end[0] - start[0], end[1] - start[1])
    floors = int(rng.integers(1, 3))
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    frame, door_colour = _bright(rng), _bright(rng)
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
        _seed(rng) % VARIANTS,
        tuple(openings),
        float(rng.uniform(1.2, 2.6)),
        tint("tiles", rng),
    )


def _sides(
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
        layout.walls.append(Wall(surface, *ends, height, tint(surface, rng), _seed(rng) % VARIANTS))


def _boundary(layout: Layout, rng: np.random.Generator, z: float, gap: tuple[float, float]) -> None:
    """A hedge, fence or low wall along the front of a garden, with a gap."""
    kind = str(rng.choice(["leaves", "fence", "bricks", "none"]))
    if kind == "none":
        return
    height = {"leaves": float(rng.uniform(0.6, 1.3)), "fence": 0.9, "bricks": 0.6}[kind]
    colour, variant = tint(kind, rng), _seed(rng) % VARIANTS
    for start, end in ((-14.0, gap[0]), (gap[1], 14.0)):
        layout.walls.append(Wall(kind, (start, z), (end, z), height, colour, variant))


def _lawn(layout: Layout, rng: np.random.Generator, end: float) -> None:
    _ground(layout, rng, "grass", (-WIDE_X, WIDE_X, end, FAR_Z))
    _ground(layout, rng, "grass", (-14.0, 14.0, 0.1, end))


def _ground(
    layout: Layout,
    rng: np.random.Generator,
    surface: str,
    extent: tuple[float, float, float, float],
    colour: RGB | None = None,
) -> None:
    layout.grounds.append(Ground(surface, *extent, colour or tint(surface, rng), _seed(rng) % VARIANTS))


def _drive_surface(rng: np.random.Generator) -> str:
    return str(rng.choice(["paving", "asphalt", "concrete", "gravel"]))


def _scatter(
    layout: Layout, rng: np.random.Generator, kinds: tuple[str, ...], extent: tuple[float, float, float, float]
) -> None:
    """Up to three things of those kinds in a rectangle, apart from each other."""
    for _ in range(int(rng.integers(0, 4))):
        x, z = float(rng.uniform(extent[0], extent[1])), float(rng.uniform(extent[2], extent[3]))
        item = _item(rng, str(rng.choice(kinds)), x, z, 0.75, 1.3)
        if all(math.hypot(x - c.x, z - c.z) > item.radius + c.radius for c in layout.clutter if c.radius):
            layout.clutter.append(item)


def _add(layout: Layout, rng: np.random.Generator, kind: str, x: float, z: float, low: float, high: float) -> None:
    layout.clutter.append(_item(rng, kind, x, z, low, high))


def _item(rng: np.random.Generator, kind: str, x: float, z: float, low: float, high: float) -> Clutter:
    size = float(rng.uniform(low, high))
    return Clutter(kind, x, z, float(rng.uniform(-math.pi, math.pi)), size, _seed(rng), RADII[kind] * size)


def _bright(rng: np.random.Generator) -> RGB:
    """The colour of painted wood: white half of the time."""
    if rng.random() < 0.5:
        shade = float(rng.uniform(0.75, 0.95))
        return (shade, shade, shade * 0.97)
    red, green, blue = rng.uniform(0.08, 0.7, 3)
    return (float(red), float(green), float(blue))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(0, 1 << 30))
