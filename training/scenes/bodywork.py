"""What vehicles are made of: convex solids between two side walls, and flat details on their faces.

A vehicle has coordinates of its own: `x` across, `y` up, and `s` along it, from 0 at its front to its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.scenes.camera import Float
from training.scenes.canvas import Canvas, Paint, yaw_matrix

Points = Sequence[tuple[float, float]]
#: -1 is the wall on the left of somebody who looks at the front, 1 the other.
Side = Literal[-1, 1]
SIDES: tuple[Side, Side] = (-1, 1)

#: How far a detail stands out from the face that it lies on, metres.
LIFT_M = 0.006


@dataclass(slots=True)
class Frame:
    """A canvas in a vehicle's own coordinates."""

    canvas: Canvas
    x: float
    z: float
    yaw: float
    length: float
    owner: int

    def world(self, points: Float) -> Float:
        """(n, 3) x, y, s to world points."""
        local = np.asarray(points, np.float32) - np.array([0, 0, self.length / 2], np.float32)
        return np.asarray(local @ yaw_matrix(self.yaw) + np.array([self.x, 0, self.z], np.float32), np.float32)

    def face(self, points: Float, paint: Paint, owner: int | None = None) -> None:
        """A flat convex polygon that is seen from both sides."""
        self.canvas.face(self.world(points), paint, self.owner if owner is None else owner)

    def limb(self, start: Sequence[float] | Float, end: Sequence[float] | Float, radius: float, paint: Paint) -> None:
        """A round bar of one thickness."""
        ends = self.world(np.array([start, end], np.float32))
        self.canvas.limb(ends[0], ends[1], radius, radius, paint, self.owner)

    def sees(self, point: Float, outward: Float) -> bool:
        """Whether the camera is on the side of a plane that `outward` points to."""
        ends = self.world(np.stack([point, np.asarray(point) + outward]))
        return float((ends[1] - ends[0]) @ (self.canvas.camera.position - ends[0])) > 0

    def block(self, low: Sequence[float], high: Sequence[float], paint: Paint) -> None:
        """A block between two corners, with its underside; only the faces that are seen."""
        (x0, y0, s0), (x1, y1, s1) = low, high
        faces = (
            ((x0, y0, s0), (x1, y0, s0), (x1, y1, s0), (x0, y1, s0), (0, 0, -1)),
            ((x0, y0, s1), (x1, y0, s1), (x1, y1, s1), (x0, y1, s1), (0, 0, 1)),
            ((x0, y0, s0), (x0, y0, s1), (x0, y1, s1), (x0, y1, s0), (-1, 0, 0)),
            ((x1, y0, s0), (x1, y0, s1), (x1, y1, s1), (x1, y1, s0), (1, 0, 0)),
            ((x0, y1, s0), (x1, y1, s0), (x1, y1, s1), (x0, y1, s1), (0, 1, 0)),
            ((x0, y0, s0), (x1, y0, s0), (x1, y0, s1), (x0, y0, s1), (0, -1, 0)),
        )
        for *corners, outward in faces:
            if self.sees(np.array(corners[0], np.float32), np.array(outward, np.float32)):
                self.face(np.array(corners, np.float32), paint)


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A flat face of four corners: top left, top right, bottom right, bottom left, as seen from outside.

    Places on it are (u, v) shares from its top left corner.
    """

    frame: Frame
    corners: Float
    outward: Float

    @property
    def seen(self) -> bool:
        return self.frame.sees(self.corners.mean(axis=0), self.outward)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width in the middle, and height."""
        left, right = (self.corners[0] + self.corners[3]) / 2, (self.corners[1] + self.corners[2]) / 2
        upper, lower = (self.corners[0] + self.corners[1]) / 2, (self.corners[2] + self.corners[3]) / 2
        return float(np.linalg.norm(right - left)), float(np.linalg.norm(lower - upper))

    def at(self, places: Points, lift: float = LIFT_M) -> Float:
        """(n, 3) points of the vehicle, a little outside the face."""
        u, v = np.array(places, np.float32).T[:, :, None]
        upper = self.corners[0] + (self.corners[1] - self.corners[0]) * u
        lower = self.corners[3] + (self.corners[2] - self.corners[3]) * u
        return np.asarray(upper + (lower - upper) * v + self.outward * lift, np.float32)

    def rectangle(
        self,
        u: tuple[float, float],
        v: tuple[float, float],
        paint: Paint,
        *,
        lift: float = LIFT_M,
        owner: int | None = None,
    ) -> None:
        """Paint a part of it."""
        if self.seen:
            places = [(u[0], v[0]), (u[1], v[0]), (u[1], v[1]), (u[0], v[1])]
            self.frame.face(self.at(places, lift), paint, owner)

    def both(self, u: tuple[float, float], v: tuple[float, float], paint: Paint, *, lift: float = LIFT_M) -> None:
        """Paint a part of it and the same part on its other half."""
        self.rectangle(u, v, paint, lift=lift)
        self.rectangle((1 - u[1], 1 - u[0]), v, paint, lift=lift)

    def middle(self, width_m: float, height_m: float, v: float) -> Float:
        """(4, 3) corners of an upright rectangle of that size in the middle of its width, its centre at `v`."""
        wide, high = self.size_m
        half_u, half_v = width_m / wide / 2, height_m / high / 2
        places = [
            (0.5 - half_u, v - half_v),
            (0.5 + half_u, v - half_v),
            (0.5 + half_u, v + half_v),
            (0.5 - half_u, v + half_v),
        ]
        return self.at(places, 2.5 * LIFT_M)


#: A face that a plate belongs on, and how far down it the plate's centre is, 0..1.
PlatePlace = tuple[Panel, float]


@dataclass(frozen=True, slots=True, eq=False)
class Hull:
    """A convex outline, as seen from the side, between two walls.

    Attributes:
        frame: whose it is.
        outline: (s, y) up the front, back along the top and down the rear; convex.
        half_width: of the walls at (s, y); linear between the cuts.
        cuts: the s at which the walls bend.
    """

    frame: Frame
    outline: Points
    half_width: Callable[[float, float], float]
    cuts: tuple[float, ...] = ()

    def draw(self, paint: Paint) -> None:
        """All faces that are seen; there is no underside."""
        for index in range(len(self.outline) - 1):
            for panel in self._strips(index):
                if panel.seen:
                    self.frame.face(panel.corners, paint)
        for side in SIDES:
            for piece in _sliced(self.outline, self.cuts):
                self.wall(piece, side, paint, lift=0.0)

    def wall(self, points: Points, side: Side, paint: Paint, *, lift: float = LIFT_M) -> None:
        """A convex polygon of (s, y) on one wall; it must not reach over a cut."""
        corners = self.on_wall(points, side, lift)
        if self.frame.sees(corners[0], self._wall_normal(points, side)):
            self.frame.face(corners, paint)

    def on_wall(self, points: Points, side: Side, lift: float = LIFT_M) -> Float:
        """(n, 3) points of one wall."""
        return np.array([(side * (self.half_width(s, y) + lift), y, s) for s, y in points], np.float32)

    def wall_panel(self, s: tuple[float, float], y: tuple[float, float], side: Side) -> Panel:
        """A rectangle of a wall, its corners in the order that somebody sees who stands beside the vehicle."""
        left, right = s if side == 1 else (s[1], s[0])
        points = [(left, y[1]), (right, y[1]), (right, y[0]), (left, y[0])]
        return Panel(self.frame, self.on_wall(points, side, 0.0), self._wall_normal(points, side))

    def panel(self, index: int) -> Panel:
        """The face across the vehicle on the outline's edge from `index` to the next."""
        first, second = self.outline[index], self.outline[index + 1]
        return self._panel(first, second)

    def _panel(self, first: tuple[float, float], second: tuple[float, float]) -> Panel:
        (s0, y0), (s1, y1) = first, second
        outward = np.array([0.0, s1 - s0, -(y1 - y0)], np.float32)
        outward /= max(float(np.linalg.norm(outward)), 1e-9)
        corners = self._across(first, second)  # first left, first right, second right, second left, for a front
        rising = y1 >= y0
        order = [3, 2, 1, 0] if rising else [1, 0, 3, 2]
        return Panel(self.frame, corners[order], outward)

    def _across(self, first: tuple[float, float], second: tuple[float, float]) -> Float:
        a, b = self.half_width(*first), self.half_width(*second)
        (s0, y0), (s1, y1) = first, second
        return np.array([(-a, y0, s0), (a, y0, s0), (b, y1, s1), (-b, y1, s1)], np.float32)

    def _strips(self, index: int) -> list[Panel]:
        """An edge's face, in parts where the walls bend."""
        (s0, y0), (s1, y1) = self.outline[index], self.outline[index + 1]
        shares = sorted((cut - s0) / (s1 - s0) for cut in self.cuts if min(s0, s1) < cut < max(s0, s1))
        stops = [0.0, *shares, 1.0]
        points = [(s0 + (s1 - s0) * share, y0 + (y1 - y0) * share) for share in stops]
        return [self._panel(points[i], points[i + 1]) for i in range(len(points) - 1)]

    def _wall_normal(self, points: Points, side: Side) -> Float:
        """Outward, from how the wall leans about the middle of some of its points."""
        s, y = np.mean(np.array(points, np.float64), axis=0)
        step = 0.01
        along = (self.half_width(s + step, y) - self.half_width(s - step, y)) / (2 * step)
        up = (self.half_width(s, y + step) - self.half_width(s, y - step)) / (2 * step)
        normal = np.array([side, -up, -along], np.float32)
        return np.asarray(normal / np.linalg.norm(normal), np.float32)


def _sliced(outline: Points, cuts: Sequence[float]) -> list[Points]:
    """A convex polygon cut by upright lines, from front to rear."""
    pieces: list[Points] = []
    rest = list(outline)
    for cut in cuts:
        before = _clipped(rest, cut, 1)
        rest = _clipped(rest, cut, -1)
        if len(before) >= 3:
            pieces.append(before)
    return [*pieces, rest] if len(rest) >= 3 else pieces


def _clipped(points: Points, cut: float, keep: int) -> list[tuple[float, float]]:
    """What lies before (`keep` 1) or behind (-1) an upright line."""
    kept: list[tuple[float, float]] = []
    for index in range(len(points)):
        (s0, y0), (s1, y1) = points[index - 1], points[index]
        inside0, inside1 = keep * (cut - s0) >= 0, keep * (cut - s1) >= 0
        if inside0 != inside1:
            share = (cut - s0) / (s1 - s0)
            kept.append((cut, y0 + (y1 - y0) * share))
        if inside1:
            kept.append((s1, y1))
    return kept


def tapered(
    length: float, half_width: float, ends: tuple[float, float], bends: tuple[float, float]
) -> tuple[Callable[[float, float], float], tuple[float, float]]:
    """Walls that draw in towards both ends, and where they bend.

    Args:
        length: of the vehicle, metres.
        half_width: in its middle.
        ends: half width at the very front and the very rear, as shares of that.
        bends: how far from the front and from the rear the walls bend, metres.
    """
    cuts = bends[0], length - bends[1]
    stops, widths = [0.0, *cuts, length], [ends[0] * half_width, half_width, half_width, ends[1] * half_width]

    def at(s: float, _y: float) -> float:
        return float(np.interp(s, stops, widths))

    return at, cuts


def leaning(base: float, top: float, y_base: float, y_top: float) -> Callable[[float, float], float]:
    """Walls that lean in from half width `base` at `y_base` to `top` at `y_top`."""

    def at(_s: float, y: float) -> float:
        return base + (top - base) * (y - y_base) / (y_top - y_base)

    return at
