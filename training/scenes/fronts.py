"""Walls with what is painted on them: windows, doors and garage doors as one texture a wall."""

from __future__ import annotations

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.layout import Opening, Wall
from training.scenes.surfaces import RGB, repeated

#: Pixels of a wall's texture a metre, at most, and of its longer side.
_PER_METRE = 64.0
_LONGEST = 1600.0


def front(wall: Wall, per_metre: float) -> Float:
    """(h, w, 3) colours of a wall, its openings painted on it, its top row first, with up to `per_metre` pixels."""
    per_metre = min(per_metre, _PER_METRE, _LONGEST / max(wall.length, wall.height))
    bare = repeated(wall.surface, wall.variant, (wall.length, wall.height), per_metre)
    texture = np.ascontiguousarray(bare * np.array(wall.colour, np.float32))
    scale = len(texture) / wall.height
    if len(wall.openings):
        texture[: max(1, round(0.12 * scale))] *= 0.6  # the shadow of the eaves
    for opening in wall.openings:
        if opening.top < wall.height and opening.at + opening.width < wall.length:
            _PAINTERS[opening.kind](texture, _pixels(opening, wall, scale), opening.colour, scale)
    return texture


def lit_window(colour: RGB) -> Float:
    """(24, 24, 3) of a window with a light behind it: curtains and a cross of bars."""
    texture = np.ones((24, 24, 3), np.float32)
    texture[:, :4] = texture[:, -4:] = (0.75, 0.6, 0.45)
    texture[11:13] = texture[:, 11:13] = np.array(colour, np.float32) * 0.3
    return texture


_Rect = tuple[int, int, int, int]


def _pixels(opening: Opening, wall: Wall, scale: float) -> _Rect:
    left, right = opening.at * scale, (opening.at + opening.width) * scale
    return (
        round(left),
        round((wall.height - opening.top) * scale),
        round(right),
        round((wall.height - opening.bottom) * scale),
    )


def _fill(texture: Float, rect: _Rect, colour: RGB) -> None:
    left, top, right, bottom = rect
    texture[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = colour


def _shrunk(rect: _Rect, by: int) -> _Rect:
    return rect[0] + by, rect[1] + by, rect[2] - by, rect[3] - by


def _shade(colour: RGB, factor: float) -> RGB:
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def _window(texture: Float, rect: _Rect, colour: RGB, scale: float) -> None:
    bar = max(1, round(0.07 * scale))
    left, top, right, bottom = rect
    _fill(texture, (left - bar, bottom, right + bar, bottom + bar), (0.7, 0.7, 0.68))
    _fill(texture, rect, colour)
    pane = _shrunk(rect, bar)
    _fill(texture, pane, (0.08, 0.10, 0.13))
    rows = max(pane[3] - pane[1], 0)
    if rows and pane[2] > pane[0]:
        # Glass mirrors the sky more, the higher it is looked at.
        texture[pane[1] : pane[3], pane[0] : pane[2]] += np.linspace(0.2, 0.02, rows, dtype=np.float32)[:, None, None]
        curtain = max(1, (pane[2] - pane[0]) // 5)
        texture[pane[1] : pane[3], pane[0] : pane[0] + curtain] += 0.22
        texture[pane[1] : pane[3], pane[2] - curtain : pane[2]] += 0.22
    middle = (left + right) // 2
    _fill(texture, (middle - bar // 2, top, middle + (bar + 1) // 2, bottom), colour)
    third = top + (bottom - top) // 3
    _fill(texture, (left, third, right, third + max(1, bar // 2)), colour)


def _door(texture: Float, rect: _Rect, colour: RGB, scale: float) -> None:
    bar = max(1, round(0.09 * scale))
    left, top, right, bottom = rect
    _fill(texture, (left - bar, top - bar, right + bar, bottom), (0.82, 0.82, 0.8))
    _fill(texture, rect, colour)
    middle, half = (left + right) // 2, (top + bottom) // 2
    for panel in (
        (left, top, middle, half),
        (middle, top, right, half),
        (left, half, middle, bottom),
        (middle, half, right, bottom),
    ):
        _fill(texture, _shrunk(panel, bar), _shade(colour, 0.78))
    _fill(texture, (left + bar, top + bar, right - bar, top + 3 * bar), (0.10, 0.13, 0.16))
    cv2.circle(texture, (right - bar, half), max(1, bar // 2), (0.8, 0.7, 0.3), -1)


def _garage(texture: Float, rect: _Rect, colour: RGB, scale: float) -> None:
    left, top, right, bottom = rect
    bar = max(1, round(0.1 * scale))
    _fill(texture, (left - bar, top - bar, right + bar, bottom), (0.8, 0.8, 0.78))
    _fill(texture, rect, colour)
    step = max(2, (bottom - top) // (4 if colour[0] > 0.5 else 7))
    for y in range(top, bottom, step):
        _fill(texture, (left, y, right, y + max(1, bar // 3)), _shade(colour, 0.6))
        _fill(texture, (left, y + max(1, bar // 3), right, y + max(2, bar // 2)), _shade(colour, 1.08))
    if colour[1] > 0.3:
        for x in range(left + 2 * bar, right - 3 * bar, max(4, (right - left) // 4)):
            _fill(
                texture,
                (x, top + bar, x + max(3, (right - left) // 6), top + bar + max(2, step // 2)),
                (0.10, 0.12, 0.15),
            )


_PAINTERS = {"window": _window, "door": _door, "garage": _garage}
