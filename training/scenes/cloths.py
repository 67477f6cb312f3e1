"""Cloth of garments as wrap-around pictures: patterns, folds, zips, buttons, logos.

Row 0 is the hem; the columns go once around, from the middle of the back over the own right side, the front (the
middle column) and the own left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.looks import Colour, Garment

ROWS, COLUMNS = 112, 224
_FRONT, _BACK = COLUMNS // 2, 0


@lru_cache(maxsize=64)
def cloth_of(garment: Garment, seed: int) -> Float:
    """(ROWS, COLUMNS, 3) 0..1 RGB; the seed varies folds, sizes and marks."""
    rng = np.random.default_rng([0xC107, seed])
    cloth = np.empty((ROWS, COLUMNS, 3), np.float32)
    cloth[:] = garment.colour
    draw = _PATTERNS.get(garment.pattern)
    if garment.kind == "hi-vis vest":
        _vest(cloth, garment.second, rng)
    elif draw is not None:
        draw(cloth, garment.second, rng)
    _fastening(cloth, garment, rng)
    cloth *= _folds(rng)
    cloth.setflags(write=False)
    return np.clip(cloth, 0, 1)


def _striped(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    period = int(rng.integers(9, 30))
    rows = np.arange(ROWS) % period < period * rng.uniform(0.25, 0.6)
    cloth[rows] = second


def _pinstriped(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    period = COLUMNS // int(rng.integers(8, 17))
    columns = np.arange(COLUMNS) % period < period * rng.uniform(0.25, 0.5)
    cloth[:, columns] = second


def _checked(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    """Squares, or a lumberjack's plaid in which crossing bands mix."""
    size = int(rng.integers(9, 20))
    rows, columns = (np.arange(ROWS) // size) % 2, (np.arange(COLUMNS) // size) % 2
    if rng.random() < 0.4:
        cloth[(rows[:, None] + columns[None, :]) % 2 == 1] = second
        return
    mixed = ((rows[:, None] + columns[None, :]) / 2)[..., None]
    cloth[:] = cloth * (1 - mixed) + np.array(second, np.float32) * mixed


def _two_tone(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    cloth[: int(ROWS * rng.uniform(0.35, 0.65))] = second


def _banded(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    low = rng.uniform(0.35, 0.6)
    cloth[int(ROWS * low) : int(ROWS * (low + rng.uniform(0.1, 0.22)))] = second


def _logo(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    """A sign on the chest, and often a larger one on the back."""
    places = [(_FRONT + int(rng.choice([0, 14, -14])), 0.74, 0.5)]
    if rng.random() < 0.7:
        places.append((_BACK, 0.66, 1.0))
    kind = int(rng.integers(4))
    for column, up, scale in places:
        sign = np.zeros((ROWS, COLUMNS), np.uint8)
        centre, size = (COLUMNS // 2, int(ROWS * up)), max(int(17 * scale), 7)
        if kind == 0:
            cv2.circle(sign, centre, size, 1, -1)
        elif kind == 1:
            cv2.rectangle(sign, (centre[0] - size, centre[1] - size), (centre[0] + size, centre[1] + size), 1, -1)
        elif kind == 2:
            text, corner = str(int(rng.integers(1, 99))), (centre[0] - size, ROWS - centre[1] + size // 2)
            cv2.putText(sign, text, corner, cv2.FONT_HERSHEY_DUPLEX, size / 17, 1, 2)
            sign = sign[::-1, ::-1].copy()  # rows go up, and columns to the own left
        else:
            points = np.array([(0, 1), (0.9, -0.6), (-0.9, -0.6)]) * size + centre
            cv2.fillConvexPoly(sign, points.astype(np.int32), 1)
        cloth[np.roll(sign, column - COLUMNS // 2, axis=1) > 0] = second


def _dotted(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    period = int(rng.integers(12, 22))
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    shift = (rows // period % 2) * (period / 2)
    away = np.hypot(rows % period - period / 2, (columns + shift) % period - period / 2)
    cloth[away < period * 0.3] = second


def _camouflage(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    base = cloth[0, 0].copy()
    for colour, share in ((second, 0.38), (base * 0.45, 0.25)):
        blots = _noise(rng, 12)
        cloth[blots > np.quantile(blots, 1 - share)] = colour


def _vest(cloth: Float, second: Colour, rng: np.random.Generator) -> None:
    low = rng.uniform(0.10, 0.2)
    for start in (low, low + rng.uniform(0.2, 0.3)):
        cloth[int(ROWS * start) : int(ROWS * (start + 0.085))] = second
    for column in (COLUMNS // 4 + 22, 3 * COLUMNS // 4 - 22, 24, COLUMNS - 24):  # over both shoulders
        cloth[int(ROWS * low) :, column - 5 : column + 5] = second


def _fastening(cloth: Float, garment: Garment, rng: np.random.Generator) -> None:
    dark = np.array(garment.colour, np.float32) * 0.4
    if garment.kind in {"jacket", "coat", "hi-vis vest"} or (garment.kind == "hoodie" and rng.random() < 0.4):
        cloth[:, _FRONT - 1 : _FRONT + 2] = dark
        for side in (-1, 1):  # pockets
            column = _FRONT + side * 26
            cloth[int(ROWS * 0.18) : int(ROWS * 0.2) + 1, column - 9 : column + 9] = dark
    elif garment.kind == "shirt":
        cloth[:, _FRONT + 4 : _FRONT + 5] = cloth[:, _FRONT + 4 : _FRONT + 5] * 0.6
        for row in range(6, ROWS - 4, 13):
            cloth[row : row + 3, _FRONT - 1 : _FRONT + 2] = 0.8 if sum(garment.colour) < 1 else 0.25
    if garment.kind == "hoodie":  # a pouch
        cv2.rectangle(cloth, (_FRONT - 26, int(ROWS * 0.1)), (_FRONT + 26, int(ROWS * 0.3)), dark.tolist(), 1)
    if garment.kind in {"sweater", "hoodie", "jacket"}:
        cloth[:5] *= 0.72


def _folds(rng: np.random.Generator) -> Float:
    """(ROWS, COLUMNS, 1) about 1: creases that run aslant, and darker sides."""
    creases = _noise(rng, 7) * 0.05 + _noise(rng, 18) * 0.05
    columns = np.arange(COLUMNS) / COLUMNS
    seams = 1 - 0.10 * np.abs(np.sin(2 * np.pi * columns)) ** 6
    return np.asarray((1 + creases) * seams[None, :], np.float32)[..., None]


def _noise(rng: np.random.Generator, size: int) -> Float:
    """(ROWS, COLUMNS) smooth noise of unit variance that closes around."""
    coarse = rng.standard_normal((ROWS // size + 2, COLUMNS // size)).astype(np.float32)
    coarse = np.concatenate([coarse, coarse[:, :1]], axis=1)
    smooth = np.asarray(cv2.resize(coarse, (COLUMNS, ROWS), interpolation=cv2.INTER_CUBIC), np.float32)
    return np.asarray((smooth - smooth.mean()) / max(float(smooth.std()), 1e-6), np.float32)


_PATTERNS: Mapping[str, Callable[[Float, Colour, np.random.Generator], None]] = {
    "striped": _striped,
    "pinstriped": _pinstriped,
    "checked": _checked,
    "two-tone": _two_tone,
    "banded": _banded,
    "logo": _logo,
    "dotted": _dotted,
    "camouflage": _camouflage,
}
