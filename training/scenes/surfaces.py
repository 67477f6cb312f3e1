"""Procedural surfaces: grass, asphalt, paving, bricks, planks and fronts of houses, as arrays to be painted with.

A surface is a square that can be repeated in both directions, (SIDE, SIDE, 1) or (SIDE, SIDE, 3) float32 with a mean
near 1: it is multiplied with a colour. There are VARIANTS of each, made once a process.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np

from hearthwatch.vision.image import Float

RGB = tuple[float, float, float]
SIDE = 256
VARIANTS = 5

#: Metres that one square covers.
PERIODS = {
    "grass": 2.4,
    "asphalt": 3.0,
    "paving": 1.8,
    "slabs": 2.4,
    "gravel": 1.6,
    "concrete": 3.0,
    "planks": 1.2,
    "bricks": 1.2,
    "siding": 1.6,
    "plaster": 3.0,
    "tiles": 1.6,
    "leaves": 1.0,
    "fence": 1.2,
}


@lru_cache(maxsize=len(PERIODS) * VARIANTS)
def surface(name: str, variant: int) -> Float:
    """One square of a surface of PERIODS; `variant` counts modulo VARIANTS."""
    rng = np.random.default_rng([71, sorted(PERIODS).index(name), variant % VARIANTS])
    texture = np.clip(_MAKERS[name](rng), 0.05, 2.0).astype(np.float32)
    texture.setflags(write=False)
    return texture


@lru_cache(maxsize=len(PERIODS) * VARIANTS * 7)
def halved(name: str, variant: int, times: int) -> Float:
    """A surface's square with its sides halved that many times, at most to 2 pixels."""
    side = max(SIDE >> times, 2)
    square = surface(name, variant)
    small = _resized(square, side)
    small.setflags(write=False)
    return small


def repeated(name: str, variant: int, size_m: tuple[float, float], per_metre: float) -> Float:
    """A surface laid over (width, height) metres, at so many pixels a metre: (h, w, 1) or (h, w, 3)."""
    square = surface(name, variant)
    side = int(np.clip(round(PERIODS[name] * per_metre), 4, SIDE))
    if side < SIDE:
        square = _resized(square, side)
    columns, rows = (max(2, round(metres * side / PERIODS[name])) for metres in size_m)
    tiled = np.tile(square, (-(-rows // side), -(-columns // side), 1))
    return np.ascontiguousarray(tiled[:rows, :columns])


def _resized(square: Float, side: int) -> Float:
    small = cv2.resize(square, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(side, side, -1)


def noise(rng: np.random.Generator, cells: int, side: int = SIDE, cells_y: int | None = None) -> Float:
    """(side, side) smooth noise in 0..1 with that many cells a side, the same at opposite edges."""
    down = cells_y or cells
    grid = np.pad(rng.random((down, cells), dtype=np.float32), 2, mode="wrap")
    scale_x, scale_y = side / cells, side / down
    size = (round((cells + 4) * scale_x), round((down + 4) * scale_y))
    smooth = cv2.resize(grid, size, interpolation=cv2.INTER_CUBIC)
    left, top = round(2 * scale_x), round(2 * scale_y)
    cut: Float = np.clip(smooth[top : top + side, left : left + side], 0, 1)
    return cut


def octaves(rng: np.random.Generator, cells: int, count: int, persistence: float = 0.6) -> Float:
    """(SIDE, SIDE) noise of several scales, mean 0, about -1..1."""
    total = np.zeros((SIDE, SIDE), np.float32)
    weight = 1.0
    for _ in range(count):
        total += weight * (2 * noise(rng, min(cells, SIDE)) - 1)
        cells, weight = cells * 2, weight * persistence
    return total


def _grass(rng: np.random.Generator) -> Float:
    blades = noise(rng, 128, cells_y=48) + noise(rng, 64, cells_y=128)
    patches = octaves(rng, 3, 3)
    value = 0.62 + 0.4 * blades + 0.16 * patches
    dry = np.clip(noise(rng, 6) - 0.55, 0, 1) * 2
    return np.stack([value * (1 + 0.5 * dry), value * (1 + 0.1 * dry), value * (1 - 0.1 * dry)], axis=2)


def _asphalt(rng: np.random.Generator) -> Float:
    value = 1 + 0.12 * octaves(rng, 3, 3) + 0.22 * (noise(rng, 200) - 0.5)
    cracks = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(int(rng.integers(0, 4))):
        points = np.cumsum(rng.normal(0, 12, (14, 2)), axis=0) + rng.uniform(0, SIDE, 2)
        cv2.polylines(cracks, [points.astype(np.int32)], False, 1.0, 1, cv2.LINE_AA)
    patch = np.zeros((SIDE, SIDE), np.float32)
    if rng.random() < 0.5:
        x, y = rng.integers(0, SIDE // 2, 2)
        cv2.rectangle(patch, (int(x), int(y)), (int(x) + 70, int(y) + 50), 1.0, -1)
    return (value * (1 - 0.45 * cracks) * (1 - 0.18 * patch))[..., None]


def _grid(rng: np.random.Generator, columns: int, rows: int, *, bond: bool, joint: int, spread: float) -> Float:
    """Stones in rows, each of its own shade, with darker joints; `bond` shifts every second row by half a stone."""
    width, height = SIDE / columns, SIDE / rows
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    row = np.floor(y / height).astype(int) % rows
    shifted = (x + (row % 2) * (width / 2 if bond else 0)) % SIDE
    column = np.floor(shifted / width).astype(int) % columns
    shade = 1 + spread * (rng.random((rows, columns, 3), dtype=np.float32) * np.float32(0.35))
    shade += spread * (rng.random((rows, columns, 1), dtype=np.float32) - 0.5)
    stones: Float = shade[row, column]
    gap = (shifted % width < joint) | (y % height < joint)
    return np.where(gap[..., None], np.float32(0.62), stones).astype(np.float32)


def _paving(rng: np.random.Generator) -> Float:
    count = int(rng.choice([6, 8, 10]))
    stones = _grid(rng, count, count * int(rng.choice([1, 2])), bond=bool(rng.random() < 0.7), joint=2, spread=0.3)
    return stones * (1 + 0.12 * octaves(rng, 8, 3))[..., None]


def _slabs(rng: np.random.Generator) -> Float:
    return _grid(rng, 4, 4, bond=bool(rng.random() < 0.5), joint=2, spread=0.16) * (
        1 + 0.1 * octaves(rng, 4, 4)[..., None]
    )


def _gravel(rng: np.random.Generator) -> Float:
    return (1 + 0.55 * (noise(rng, 90) - 0.5) + 0.5 * (noise(rng, 45) - 0.5) + 0.1 * octaves(rng, 3, 2))[..., None]


def _concrete(rng: np.random.Generator) -> Float:
    value = 1 + 0.1 * octaves(rng, 3, 5)
    value[: max(2, SIDE // 100)] *= 0.7
    value[:, :2] *= 0.7
    return value[..., None]


def _planks(rng: np.random.Generator) -> Float:
    boards = _grid(rng, 1, 8, bond=False, joint=2, spread=0.35)
    return boards * (1 + 0.2 * (noise(rng, 6, cells_y=128) - 0.5))[..., None]


def _bricks(rng: np.random.Generator) -> Float:
    bricks = _grid(rng, 5, 16, bond=True, joint=2, spread=0.45)
    pale = rng.random() < 0.4
    if pale:
        bricks = np.where(bricks == np.float32(0.62), np.float32(1.35), bricks)
    return bricks * (1 + 0.14 * (noise(rng, 120) - 0.5) + 0.08 * octaves(rng, 3, 2))[..., None]


def _siding(rng: np.random.Generator) -> Float:
    y = np.arange(SIDE, dtype=np.float32)[:, None] % (SIDE / 10) / (SIDE / 10)
    value = np.repeat(0.82 + 0.25 * y, SIDE, axis=1)
    return (value * (1 + 0.05 * octaves(rng, 4, 3)))[..., None]


def _plaster(rng: np.random.Generator) -> Float:
    stains = np.clip(noise(rng, 5, cells_y=2) - 0.6, 0, 1)
    return (1 + 0.05 * octaves(rng, 4, 5, 0.8) - 0.4 * stains)[..., None]


def _tiles(rng: np.random.Generator) -> Float:
    tiles = _grid(rng, 7, 6, bond=True, joint=3, spread=0.3)
    y = np.arange(SIDE, dtype=np.float32)[:, None] % (SIDE / 6) / (SIDE / 6)
    return tiles * (0.8 + 0.3 * y)[..., None]


def _leaves(rng: np.random.Generator) -> Float:
    value = 0.45 + 0.75 * noise(rng, 40) + 0.5 * (noise(rng, 80) - 0.5) + 0.25 * octaves(rng, 4, 2)
    return np.stack([value * 0.95, value, value * 0.85], axis=2)


def _fence(rng: np.random.Generator) -> Float:
    boards = np.transpose(_grid(rng, 1, 9, bond=False, joint=5, spread=0.3), (1, 0, 2))
    return boards * (1 + 0.25 * (noise(rng, 128, cells_y=5) - 0.5))[..., None]


_MAKERS: dict[str, Callable[[np.random.Generator], Float]] = {
    "grass": _grass,
    "asphalt": _asphalt,
    "paving": _paving,
    "slabs": _slabs,
    "gravel": _gravel,
    "concrete": _concrete,
    "planks": _planks,
    "bricks": _bricks,
    "siding": _siding,
    "plaster": _plaster,
    "tiles": _tiles,
    "leaves": _leaves,
    "fence": _fence,
}

#: Ranges of colours (low, high) that a surface is painted in; a colour is a point between the two with some drift.
TINTS: dict[str, tuple[RGB, RGB]] = {
    "grass": ((0.16, 0.26, 0.08), (0.36, 0.48, 0.20)),
    "asphalt": ((0.20, 0.20, 0.22), (0.46, 0.46, 0.46)),
    "paving": ((0.40, 0.34, 0.30), (0.68, 0.62, 0.56)),
    "slabs": ((0.42, 0.41, 0.38), (0.74, 0.72, 0.66)),
    "gravel": ((0.42, 0.38, 0.32), (0.72, 0.68, 0.60)),
    "concrete": ((0.46, 0.46, 0.44), (0.72, 0.71, 0.68)),
    "planks": ((0.34, 0.22, 0.13), (0.66, 0.52, 0.38)),
    "bricks": ((0.38, 0.18, 0.13), (0.66, 0.42, 0.30)),
    "siding": ((0.35, 0.40, 0.46), (0.86, 0.84, 0.78)),
    "plaster": ((0.60, 0.54, 0.44), (0.90, 0.88, 0.82)),
    "tiles": ((0.22, 0.16, 0.15), (0.56, 0.32, 0.24)),
    "leaves": ((0.10, 0.20, 0.07), (0.26, 0.40, 0.16)),
    "fence": ((0.30, 0.22, 0.15), (0.66, 0.60, 0.50)),
}


def tint(name: str, rng: np.random.Generator) -> RGB:
    """A colour that a surface may have."""
    low, high = np.array(TINTS[name])
    drift = 0.008 if name in ("asphalt", "slabs", "concrete", "gravel") else 0.025
    colour = np.clip(low + (high - low) * rng.random() + rng.normal(0, drift, 3), 0.03, 0.95)
    return (float(colour[0]), float(colour[1]), float(colour[2]))
