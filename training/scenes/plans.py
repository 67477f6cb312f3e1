"""Porch, drive and street, laid out by seed.

A cast is placed on the free ground of a layout, long before the place is drawn.
"""

from __future__ import annotations

import numpy as np

from training.scenes.layout import Area, Clutter, LampSpot, Layout, Opening, Wall
from training.scenes.plots import (
    FAR_Z,
    WIDE_X,
    a_seed,
    an_item,
    boundary,
    bright,
    house_front,
    houses,
    lawn,
    marks,
    pave,
    road_across,
    scatter,
    sides,
)
from training.scenes.surfaces import VARIANTS, tint


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
    lawn(layout, rng, hedge_z)
    path = str(rng.choice(["slabs", "paving", "concrete", "gravel"]))
    pave(layout, rng, path, (path_x - path_w, path_x + path_w, deck_z, hedge_z))
    deck = str(rng.choice(["planks", "slabs", "concrete", "paving"]))
    pave(layout, rng, deck, (-deck_x, deck_x, 0.2, deck_z))
    if rng.random() < 0.6:
        mat_x, mat_z = path_x * 0.6, float(rng.uniform(1.4, deck_z - 0.7))
        pave(layout, rng, "gravel", (mat_x - 0.45, mat_x + 0.45, mat_z, mat_z + 0.6), bright(rng))
    for step in range(int(rng.integers(1, 4))):
        z, shade = deck_z + 0.3 * step, 0.35 + 0.18 * (step % 2)
        pave(layout, rng, "concrete", (path_x - path_w, path_x + path_w, z, z + 0.3), (shade, shade, shade))
    if rng.random() < 0.6:
        for start, end in ((-deck_x, path_x - path_w - 0.1), (path_x + path_w + 0.1, deck_x)):
            if end - start > 0.5:
                layout.clutter.append(Clutter("railing", (start + end) / 2, deck_z, 0, end - start, a_seed(rng), 0))
    for side in (-1, 1):
        if rng.random() < 0.7:
            layout.clutter.append(an_item(rng, "pot", path_x + side * (path_w + 0.35), deck_z - 0.3, 0.8, 1.3))
    boundary(layout, rng, hedge_z, (path_x - path_w - 0.2, path_x + path_w + 0.2))
    road_z = hedge_z + float(rng.uniform(0.8, 1.4))
    far_z = road_across(layout, rng, road_z)
    houses(layout, rng, far_z + float(rng.uniform(3, 7)))
    sides(layout, rng, (deck_z, hedge_z), (5.0, 11.0))
    layout.areas += [
        Area(-deck_x + 0.4, deck_x - 0.4, 1.6, deck_z - 0.3, "walk"),
        Area(path_x - path_w, path_x + path_w, deck_z + 0.6, hedge_z - 0.4, "walk"),
        Area(-5.0, 5.0, deck_z + 0.8, hedge_z - 0.8, "walk"),
        Area(-3.5, 3.5, deck_z + 0.8, min(hedge_z - 0.8, deck_z + 4), "walk"),
    ]
    layout.lamps.append(LampSpot(float(rng.uniform(-0.6, 0.6)), 2.5, 0.25, post=False))
    scatter(layout, rng, ("chair", "bench", "stand", "gnome", "crate", "ball", "broom"), (-deck_x, deck_x, 1.8, deck_z))
    scatter(layout, rng, ("gnome", "bush", "mailbox", "bench", "ball", "bin", "tree"), (-6, 6, deck_z + 1, hedge_z - 1))


def _drive(layout: Layout, rng: np.random.Generator) -> None:
    if rng.random() < 0.5:
        _drive_to_garage(layout, rng)
    else:
        _drive_to_street(layout, rng)


def _drive_to_garage(layout: Layout, rng: np.random.Generator) -> None:
    depth = float(rng.uniform(9, 14))
    left, right = float(rng.uniform(-4.5, -2.6)), float(rng.uniform(2.6, 4.5))
    lawn(layout, rng, depth)
    pave(layout, rng, _drive_surface(rng), (left, right, 0.2, depth))
    colour = bright(rng)
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    garage = min(float(rng.uniform(2.5, 4.8)), right - left - 0.6)
    centre = float(rng.uniform(left + garage / 2 + 0.2, right - garage / 2 - 0.2))
    wall_left = float(rng.uniform(-11, -7))
    door_at = centre - wall_left + garage / 2 + float(rng.uniform(0.6, 1.2))
    openings = [
        Opening("garage", centre - garage / 2 - wall_left, garage, 0, 2.15, colour),
        Opening("door", door_at, 0.95, 0, 2.1, bright(rng)),
        Opening("window", door_at + 1.8, float(rng.uniform(1.0, 2.0)), 0.95, 2.1, bright(rng)),
        Opening("window", max(0.4, centre - garage / 2 - wall_left - 2.6), 1.5, 0.9, 2.1, bright(rng)),
    ]
    height = float(rng.choice([2.7, 3.0, 5.4]))
    if height > 5:
        openings += [Opening("window", at, 1.2, 3.5, 4.7, bright(rng)) for at in np.arange(1.2, 14, 2.9)]
    layout.walls.append(
        Wall(
            surface,
            (wall_left, depth),
            (wall_left + 17, depth),
            height,
            tint(surface, rng),
            a_seed(rng) % VARIANTS,
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
    sides(layout, rng, (3.0, depth), (6.0, 10.0))
    if not layout.lamps or rng.random() < 0.5:
        layout.lamps.append(LampSpot(float(rng.uniform(-1.5, 1.5)), 2.6, 0.2, post=False))
    scatter(
        layout, rng, ("bin", "bin", "pot", "crate", "ladder", "hose", "broom"), (left, right, depth - 1.2, depth - 0.4)
    )
    scatter(layout, rng, ("bush", "bush", "gnome", "post", "tree", "mailbox"), (right + 0.4, right + 3, 3, depth - 1))
    scatter(layout, rng, ("bush", "bin", "gnome", "chair", "post"), (left - 3, left - 0.4, 3, depth - 1))


def _drive_to_street(layout: Layout, rng: np.random.Generator) -> None:
    depth = float(rng.uniform(8, 14))
    side = float(rng.choice([-1, 1]))
    near, wide = float(rng.uniform(1.6, 2.6)), float(rng.uniform(3.2, 5.5))
    edges = sorted((-side * near, side * wide))
    lawn(layout, rng, depth)
    pave(layout, rng, _drive_surface(rng), (edges[0], edges[1], 0.2, depth))
    surface = str(rng.choice(["bricks", "siding", "plaster"]))
    wall_x = side * (wide + float(rng.uniform(0.2, 1.2)))
    end = depth - float(rng.uniform(1, 4))
    ends = ((wall_x, 0.6), (wall_x, end)) if side < 0 else ((wall_x, end), (wall_x, 0.6))
    openings = tuple(
        Opening("window", at, 1.3, 0.9, 2.1, bright(rng))
        for at in np.arange(1.0, end - 2, float(rng.uniform(2.2, 3.5)))
    )
    roof = (float(rng.uniform(1, 2)), tint("tiles", rng))
    layout.walls.append(
        Wall(surface, *ends, float(rng.uniform(2.7, 5.4)), tint(surface, rng), a_seed(rng) % VARIANTS, openings, *roof)
    )
    layout.lamps.append(LampSpot(wall_x - side * 0.15, 2.3, float(rng.uniform(3, end - 0.5)), post=False))
    boundary(layout, rng, depth, (edges[0] - 0.3, edges[1] + 0.3))
    far_z = road_across(layout, rng, depth + float(rng.uniform(0.6, 1.2)))
    houses(layout, rng, far_z + float(rng.uniform(3, 7)))
    sides(layout, rng, (3.0, depth), (6.0, 10.0), only=-side)
    layout.areas += [
        Area(edges[0] + 0.9, edges[1] - 0.9, 3.5, depth - 0.5, "drive"),
        Area(edges[0], edges[1], 2.2, depth, "walk"),
        Area(min(side * wide, -side * 5), max(side * wide, -side * 5), 3.0, depth - 0.6, "walk"),
    ]
    along = sorted((wall_x - side * 0.3, wall_x - side * 0.9))
    scatter(layout, rng, ("bin", "bin", "crate", "pot", "ladder", "bush", "hose"), (along[0], along[1], 3, end - 0.5))
    green = sorted((-side * (near + 0.5), -side * (near + 4)))
    scatter(layout, rng, ("bush", "gnome", "tree", "bench", "post", "mailbox"), (green[0], green[1], 3, depth - 1))


def _street(layout: Layout, rng: np.random.Generator) -> None:
    if rng.random() < 0.55:
        near = float(rng.uniform(3.0, 4.5))
        pave(layout, rng, "grass", (-WIDE_X, WIDE_X, 3.0, FAR_Z))
        pave(layout, rng, str(rng.choice(["slabs", "paving", "concrete"])), (-WIDE_X, WIDE_X, 0.1, near))
        far_z = road_across(layout, rng, near, pavement=False)
        houses(layout, rng, far_z + float(rng.uniform(0.2, 4)))
        layout.areas += [Area(-3.5, 3.5, 2.2, near - 0.3, "walk"), Area(-7, 7, far_z - 1.6, far_z - 0.2, "walk")]
        scatter(layout, rng, ("bin", "post", "mailbox", "bench", "crate"), (-4, 4, near - 0.7, near - 0.3))
        scatter(layout, rng, ("tree", "post", "bush", "bin", "tree"), (-9, 9, far_z - 0.5, far_z))
        layout.lamps += [LampSpot(float(rng.uniform(-6, 6)), 4.6, far_z - 0.4, post=True)]
    else:
        _street_along(layout, rng)
    if rng.random() < 0.5:
        layout.lamps.append(LampSpot(float(rng.uniform(-1.5, 1.5)), 2.7, 0.2, post=False))


def _street_along(layout: Layout, rng: np.random.Generator) -> None:
    left = float(rng.uniform(-5.5, -1.0))
    right = left + float(rng.uniform(5.5, 7.5))
    walk = float(rng.uniform(1.6, 2.6))
    pave(layout, rng, "grass", (-WIDE_X, WIDE_X, 0.1, FAR_Z))
    paving = str(rng.choice(["slabs", "paving", "concrete"]))
    pave(layout, rng, paving, (left - walk, right + walk, 0.1, FAR_Z))
    pave(layout, rng, "asphalt", (left, right, 0.1, FAR_Z))
    marks(layout, rng, (left + right) / 2, along_z=True)
    for x in (left, right):
        pave(layout, rng, "concrete", (x - 0.08, x + 0.08, 0.1, FAR_Z))
    for side, edge in ((-1, left - walk), (1, right + walk)):
        z = float(rng.uniform(1, 4))
        while z < 45:
            length = float(rng.uniform(6, 11))
            x = edge + side * float(rng.uniform(0.2, 3.5))
            ends = ((x, z), (x, z + length)) if side < 0 else ((x, z + length), (x, z))
            layout.walls.append(house_front(rng, ends[0], ends[1]))
            z += length + float(rng.choice([0, 0, 2.5]))
        layout.areas.append(
            Area(min(edge, edge - side * walk) + 0.2, max(edge, edge - side * walk) - 0.2, 2.5, 14, "walk")
        )
        for z in np.arange(float(rng.uniform(4, 8)), 40, float(rng.uniform(8, 14))):
            if rng.random() < 0.6:
                layout.clutter.append(an_item(rng, "tree", edge - side * (walk - 0.3), float(z), 0.8, 1.4))
            else:
                layout.lamps.append(LampSpot(edge - side * (walk - 0.3), 4.8, float(z), post=True))
        scatter(layout, rng, ("bin", "post", "mailbox", "bench"), (edge - 0.2, edge + 0.2, 3, 12))
    layout.areas += [Area(left + 1, right - 1, 3.5, 16, "road"), Area(left, right, 2.5, 10, "walk")]
    layout.clutter.append(Clutter("skyline", 0, 62, 0, 30, a_seed(rng), 0))


def _drive_surface(rng: np.random.Generator) -> str:
    return str(rng.choice(["paving", "asphalt", "concrete", "gravel"]))
