"""Where labels go: beside their boxes, inside the picture, and never on each other.

The most important label chooses first. It takes the first free place of `_beside` and would rather say less than cover
what another box holds, or a face or a plate; else it moves to the nearest free place within `REACH`; else it is left
out, for a label that covers another one makes both unreadable.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float

#: A label further from its box than this many of its own heights is not seen as the box's any more.
REACH = 8
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Label:
    """One label that wants a place.

    Attributes:
        box: what it belongs to; at least partly inside the canvas.
        sizes: (width, height) in whole pixels of each wording, the best first.
    """

    box: Box
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a label goes.

    Attributes:
        wording: index into `Label.sizes`.
        rect: whole pixels, inside the canvas.
        distance: pixels to its box; a leader must show whose it is where this is above 0.
    """

    wording: int
    rect: Box
    distance: float


def place_labels(labels: Sequence[Label], canvas: Size, avoid: Sequence[Box] = ()) -> list[Place | None]:
    """Find a place for each label.

    Args:
        labels: the most important first.
        canvas: (width, height) in pixels.
        avoid: what should stay visible if there is another free place: faces, plates.

    Returns:
        One place per label; None for a label that found none.
    """
    taken: list[Box] = []
    places: list[Place | None] = []
    for label in labels:
        others = [other.box for other in labels if other is not label]
        place = _beside_box(label, canvas, taken, (others, avoid)) or _near_box(label, canvas, taken, avoid)
        places.append(place)
        if place is not None:
            taken.append(place.rect)
    return places


def _beside_box(
    label: Label, canvas: Size, taken: Sequence[Box], avoid: tuple[Sequence[Box], Sequence[Box]]
) -> Place | None:
    others, details = avoid
    for obstacles in ([*taken, *details, *others], [*taken, *details], taken):
        for wording, size in enumerate(label.sizes):
            for rect in _beside(label.box, size, canvas):
                if not overlapping(rect, obstacles):
                    return Place(wording, rect, 0.0)
    return None


def _beside(box: Box, size: Size, canvas: Size) -> Iterator[Box]:
    """The places that touch a box, the best first; those that do not fit into the canvas are left out.

    Inside comes last and its top at the very end: heads are there.
    """
    width, height = size
    left, top, right, bottom = round(box.x1), round(box.y1), round(box.x2), round(box.y2)
    slide_x, slide_y = canvas[0] - width, canvas[1] - height
    if slide_x < 0 or slide_y < 0:
        return
    near_left, near_right = (max(0, min(x, slide_x)) for x in (left, right - width))
    near_top = max(0, min(top, slide_y))
    for x, y in (
        (near_left, top - height),
        (near_right, top - height),
        (near_left, bottom),
        (near_right, bottom),
        (right, near_top),
        (left - width, near_top),
        (near_left, bottom - height),
        (near_right, bottom - height),
        (near_left, top),
        (near_right, top),
    ):
        if 0 <= x <= slide_x and 0 <= y <= slide_y:
            yield Box(x, y, x + width, y + height)


def _near_box(label: Label, canvas: Size, taken: Sequence[Box], avoid: Sequence[Box]) -> Place | None:
    """The nearest free place on a grid of half label heights; longer wordings first."""
    for wording, size in enumerate(label.sizes):
        rects = _grid(label.box, size, canvas, taken)
        if not len(rects):
            continue
        rects = rects[~_overlaps(rects, taken).any(axis=1)]
        gaps = _gaps(rects, label.box)
        rects, gaps = rects[gaps <= REACH * size[1]], gaps[gaps <= REACH * size[1]]
        if len(rects):
            covers = _overlaps(rects, avoid).any(axis=1)
            best = int(np.lexsort((_center_distances(rects, label.box), gaps, covers))[0])
            return Place(wording, Box(*rects[best].tolist()), float(gaps[best]))
    return None


def _grid(box: Box, size: Size, canvas: Size, taken: Sequence[Box]) -> Float:
    """(N, 4) candidate rectangles inside the canvas and within reach of a box, also flush with those taken."""
    width, height = size
    reach, step = REACH * height, max(1, height // 2)
    flush_x = [edge for t in taken for edge in (t.x2, t.x1 - width)]
    flush_y = [edge for t in taken for edge in (t.y2, t.y1 - height)]
    xs = _steps(box.x1 - width - reach, min(canvas[0] - width, box.x2 + reach), step, flush_x)
    ys = _steps(box.y1 - height - reach, min(canvas[1] - height, box.y2 + reach), step, flush_y)
    x, y = (grid.ravel() for grid in np.meshgrid(xs, ys))
    return np.stack([x, y, x + width, y + height], axis=1).astype(np.float32)


def _steps(lowest: float, highest: float, step: int, flush: Sequence[float]) -> list[int]:
    """Whole positions from `lowest` (at least 0) to `highest`, with those of `flush` that lie between."""
    low, high = max(0, int(lowest)), int(highest)
    return sorted({value for value in (*range(low, high + 1, step), high, *map(int, flush)) if low <= value <= high})


def overlapping(rect: Box, others: Sequence[Box]) -> bool:
    """Whether a rectangle shares a pixel with any of the others; touching edges share none."""
    return any(rect.x1 < o.x2 and o.x1 < rect.x2 and rect.y1 < o.y2 and o.y1 < rect.y2 for o in others)


def _overlaps(rects: Float, others: Sequence[Box]) -> np.ndarray:
    """(N, 4) against M boxes: (N, M) of bool."""
    o = np.array(others, np.float32).reshape(-1, 4)
    apart = (rects[:, None, :2] >= o[None, :, 2:]) | (rects[:, None, 2:] <= o[None, :, :2])
    return np.asarray(~apart.any(axis=2))


def _gaps(rects: Float, box: Box) -> Float:
    """Pixels between each rectangle and a box; 0 where they touch."""
    dx = np.maximum(np.maximum(box.x1 - rects[:, 2], rects[:, 0] - box.x2), 0)
    dy = np.maximum(np.maximum(box.y1 - rects[:, 3], rects[:, 1] - box.y2), 0)
    return np.asarray(np.hypot(dx, dy), np.float32)


def _center_distances(rects: Float, box: Box) -> Float:
    dx = (rects[:, 0] + rects[:, 2] - box.x1 - box.x2) / 2
    dy = (rects[:, 1] + rects[:, 3] - box.y1 - box.y2) / 2
    return np.asarray(np.hypot(dx, dy), np.float32)
