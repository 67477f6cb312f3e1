"""Cats and dogs: rounded limbs along a few joints, standing, walking, sitting or lying."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from training.scenes.breeds import BUILDS, RGB, Build, Coat, coat_of
from training.scenes.camera import Float
from training.scenes.canvas import Canvas, Paint, yaw_matrix
from training.scenes.spec import AnimalSpec

POSES = ("standing", "walking", "sitting", "lying")

_FUR_GRAIN = 0.11
_NOSE = Paint((0.04, 0.03, 0.03), gloss=0.4)
_COLLARS: tuple[RGB, ...] = ((0.6, 0.05, 0.05), (0.05, 0.15, 0.5), (0.05, 0.05, 0.05), (0.1, 0.4, 0.15))

#: (forward, up, across) in metres from where the animal stands.
Joint = tuple[float, float, float]
_Point = npt.NDArray[np.floating[Any]]


def draw_animal(canvas: Canvas, spec: AnimalSpec) -> int:
    """Draw it and give its owner number; breed, coat and pose follow from the seed.

    Raises:
        KeyError: there is no such kind.
    """
    rng = np.random.default_rng([spec.seed, 7301])
    builds = BUILDS[spec.kind]
    build = _sized(builds[sorted(builds)[int(rng.integers(len(builds)))]], rng)
    animal = _Animal(canvas, spec, canvas.owner(), build, coat_of(spec.kind, rng), rng)
    pose = POSES[int(rng.choice(4, p=(0.3, 0.3, 0.25, 0.15)))]
    body = _body(build, pose, rng)
    animal.trunk(body)
    animal.legs(body)
    animal.head(body)
    animal.tail(body)
    return animal.owner


@dataclass(frozen=True, slots=True)
class _Body:
    """Joints of a pose.

    Attributes:
        chest: centre of the chest.
        hips: centre of the hind part.
        legs: joints of each leg from the trunk to the foot: fore left, fore right, hind left, hind right.
        head: centre of the skull.
        gaze: radians; (about the vertical, downwards), relative to the trunk.
        sits: whether the tail lies on the ground.
    """

    chest: Joint
    hips: Joint
    legs: tuple[tuple[Joint, ...], ...]
    head: Joint
    gaze: tuple[float, float]
    sits: bool


def _sized(build: Build, rng: np.random.Generator) -> Build:
    """The same build at another size."""
    factor = float(rng.uniform(0.88, 1.12))

    def both(pair: tuple[float, float]) -> tuple[float, float]:
        return pair[0] * factor, pair[1] * factor

    return replace(
        build,
        shoulder=build.shoulder * factor,
        length=build.length * factor * float(rng.uniform(0.95, 1.05)),
        chest=build.chest * factor,
        waist=build.waist * factor * float(rng.uniform(0.93, 1.08)),
        leg=build.leg * factor,
        neck=both(build.neck),
        skull=build.skull * factor,
        muzzle=both(build.muzzle),
        ear=build.ear * factor * float(rng.uniform(0.9, 1.1)),
        tail=both(build.tail),
    )


def _body(build: Build, pose: str, rng: np.random.Generator) -> _Body:
    chest, hips = _ends(build, pose)
    stride = float(rng.uniform(0.25, 0.45)) if pose == "walking" else float(rng.uniform(0, 0.06))
    phase = float(rng.uniform(0, 2 * math.pi))
    foot = build.leg * 0.55
    legs = []
    for index, (end, wide) in enumerate(
        ((chest, build.chest), (chest, build.chest), (hips, build.waist), (hips, build.waist))
    ):
        side = -1 if index % 2 == 0 else 1
        swing = stride * math.sin(phase + math.pi * (index in {1, 2}))
        across = side * (wide * 0.62)
        if index < 2:
            legs.append(_foreleg(build, pose, end, across, swing, foot))
        else:
            legs.append(_hindleg(build, pose, end, across, swing, foot))
    rise = {"standing": 0.75, "walking": 0.50, "sitting": 0.95, "lying": 0.75}[pose] + float(rng.uniform(-0.25, 0.2))
    reach = build.neck[0] + build.skull * 0.75 + build.chest * 0.45
    head = (chest[0] + reach * math.cos(rise), chest[1] + build.chest * 0.3 + reach * math.sin(rise), 0.0)
    gaze = (float(rng.normal(0, 0.45)), float(rng.uniform(-0.05, 0.3)))
    return _Body(chest, hips, tuple(legs), head, gaze, pose in {"sitting", "lying"})


def _ends(build: Build, pose: str) -> tuple[Joint, Joint]:
    half = build.length / 2
    if pose == "sitting":
        hips = (-0.34 * build.length, build.waist * 1.05, 0.0)
        span, tilt = build.length - build.chest - build.waist, 1.0
        return (hips[0] + span * math.cos(tilt), hips[1] + span * math.sin(tilt), 0.0), hips
    if pose == "lying":
        return (half - build.chest, build.chest * 1.0, 0.0), (-half + build.waist, build.waist * 0.95, 0.0)
    level = build.shoulder - build.chest
    return (half - build.chest, level, 0.0), (-half + build.waist, build.shoulder - build.waist * 1.05, 0.0)


def _foreleg(build: Build, pose: str, chest: Joint, across: float, swing: float, foot: float) -> tuple[Joint, ...]:
    s, y, _ = chest
    if pose == "lying":
        reach = 0.30 * build.length
        return (
            (s, y * 0.8, across),
            (s + 0.02, foot * 1.2, across * 1.15),
            (s + reach, foot, across * 0.95),
            (s + reach + foot, foot, across * 0.95),
        )
    ahead = 0.45 if pose == "sitting" else 0.1
    top = (s + ahead * build.chest, y - 0.25 * build.chest, across)
    length = top[1]
    elbow = (top[0] - 0.10 * length + 0.4 * swing * length, 0.56 * length, across)
    wrist = (top[0] + 0.75 * swing * length, 0.16 * length + max(swing, 0) * 0.1 * length, across * 0.95)
    paw = (top[0] + swing * length + foot, foot, across * 0.95)
    return top, elbow, wrist, paw


def _hindleg(build: Build, pose: str, hips: Joint, across: float, swing: float, foot: float) -> tuple[Joint, ...]:
    s, y, _ = hips
    if pose in {"sitting", "lying"}:
        knee = (s + 0.30 * build.length, build.waist * (1.15 if pose == "sitting" else 0.95), across * 1.75)
        return (
            (s, y, across * 1.2),
            knee,
            (s + 0.05 * build.length, foot, across * 1.6),
            (s + 0.34 * build.length, foot, across * 1.6),
        )
    top = (s, y, across)
    knee = (s + 0.18 * y + 0.35 * swing * y, 0.56 * y, across * 1.05)
    hock = (s - 0.16 * y + 0.7 * swing * y, 0.27 * y, across)
    paw = (s - 0.08 * y + swing * y + foot, foot, across)
    return top, knee, hock, paw


@dataclass(frozen=True, slots=True, eq=False)
class _Animal:
    """Draws the parts of one animal."""

    canvas: Canvas
    spec: AnimalSpec
    owner: int
    build: Build
    coat: Coat
    rng: np.random.Generator

    def trunk(self, body: _Body) -> None:
        build, coat = self.build, self.coat
        chest, hips = np.array(body.chest), np.array(body.hips)
        stops = np.linspace(0, 1, 10 if coat.bands else 2)
        for index, (a, b) in enumerate(pairwise(stops)):
            colour = coat.bands if coat.bands and index % 2 else coat.back
            self._limb(chest + (hips - chest) * a, chest + (hips - chest) * b, self._girth(a), self._girth(b), colour)
        under = np.array([0.0, -0.22, 0.0])
        if coat.belly != coat.back:
            self._limb(
                chest + under * build.chest,
                chest + 0.8 * (hips - chest) + under * build.waist,
                build.chest * 0.86,
                build.waist * 0.8,
                coat.belly,
            )
            self._limb(
                chest + np.array([build.chest * 0.30, -0.05, 0]) * 1.0,
                chest + np.array([build.chest * 0.25, -build.chest * 0.4, 0]),
                build.chest * 0.78,
                build.chest * 0.6,
                coat.belly,
            )
        self._spots(chest, hips)
        head = np.array(body.head)
        nape = chest + np.array([build.chest * 0.3, build.chest * 0.35, 0])
        self._limb(
            nape,
            head - np.array([build.skull * 0.25, build.skull * 0.2, 0]),
            build.neck[1] * 1.25,
            build.neck[1] * 0.88,
            coat.back,
        )
        if self.rng.random() < (0.5 if self.spec.kind == "dog" else 0.2):
            colour = _COLLARS[int(self.rng.integers(len(_COLLARS)))]
            at = nape + (head - nape) * 0.5
            self._limb(at, at + (head - nape) * 0.05, build.neck[1] * 1.16, build.neck[1] * 1.12, colour)

    def _girth(self, share: float) -> float:
        """Radius of the trunk, from chest (0) to hips (1)."""
        return self.build.chest + (self.build.waist - self.build.chest) * share

    def _spots(self, chest: _Point, hips: _Point) -> None:
        if not self.coat.spots:
            return
        small = len(self.coat.spots) == 1
        for index in range(14 if small else 6):
            share, angle = float(self.rng.uniform(0, 1)), float(self.rng.uniform(-1.7, 1.7))
            girth = self._girth(share)
            radius = girth * float(self.rng.uniform(0.25, 0.4) if small else self.rng.uniform(0.6, 0.85))
            out = np.array([0.0, math.cos(angle), math.sin(angle)]) * (girth - radius + girth * 0.05)
            self._ball(chest + (hips - chest) * share + out, radius, self.coat.spots[index % len(self.coat.spots)])

    def legs(self, body: _Body) -> None:
        build, coat = self.build, self.coat
        for index, (top, middle, low, paw) in enumerate(body.legs):
            upper = build.leg * (1.0 if index < 2 else 1.35)
            self._limb(top, middle, upper, build.leg * 0.72, coat.back)
            self._limb(middle, low, build.leg * 0.68, build.leg * 0.46, coat.legs)
            self._limb(low, paw, build.leg * 0.46, build.leg * 0.52, coat.paws)

    def head(self, body: _Body) -> None:
        build, coat, head = self.build, self.coat, _Head(body.head, body.gaze, self.build.skull)
        cat = self.spec.kind == "cat"
        self._ball(head.at(0, 0, 0), build.skull, coat.face)
        long, radius = build.muzzle
        root, tip = head.at(0.55, -0.28, 0), head.at(0.45, -0.34, 0, ahead=long)
        self._limb(root, tip, radius, radius * (0.85 if cat else 0.74), coat.muzzle)
        nose = head.at(0.50, -0.22 if cat else -0.18, 0, ahead=long + radius * 0.55)
        self._ball(nose, radius * (0.24 if cat else 0.36), _NOSE)
        if cat:
            for side in (-1, 1):
                self._ball(head.at(0.30, -0.30, 0.52 * side), build.skull * 0.62, coat.face)
        self._eyes(head, cat)
        for side in (-1, 1):
            if build.ears == "upright":
                self._upright_ear(head, side)
            else:
                self._hanging_ear(head, side)

    def _eyes(self, head: _Head, cat: bool) -> None:
        bright = (0.55, 0.60, 0.15) if cat else (0.10, 0.06, 0.03)
        for side in (-1, 1):
            self._ball(
                head.at(0.80, 0.16, 0.44 * side), self.build.skull * (0.19 if cat else 0.14), Paint(bright, gloss=0.8)
            )
            self._ball(head.at(0.95, 0.16, 0.46 * side), self.build.skull * 0.09, _NOSE)

    def _upright_ear(self, head: _Head, side: int) -> None:
        high = self.build.ear / self.build.skull
        inner, outer = head.at(0.10, 0.92, 0.18 * side), head.at(0.05, 0.52, 0.92 * side)
        back, apex = head.at(-0.35, 0.72, 0.55 * side), head.at(0.0, 0.66 + high, 0.82 * side)
        within = (0.55, 0.36, 0.32) if sum(self.coat.ears) > 0.5 else (0.22, 0.14, 0.13)
        self._face((inner, outer, apex), within)
        self._face((inner, back, apex), self.coat.ears)
        self._face((outer, back, apex), self.coat.ears)

    def _hanging_ear(self, head: _Head, side: int) -> None:
        long = self.build.ear / self.build.skull
        root, end = head.at(-0.05, 0.55, 0.80 * side), head.at(0.10, 0.55 - long, 1.10 * side)
        self._limb(root, end, self.build.skull * 0.26, self.build.skull * 0.36, self.coat.ears)

    def tail(self, body: _Body) -> None:
        long, thick = self.build.tail
        carried = self.build.tails[int(self.rng.integers(len(self.build.tails)))]
        start = np.array(body.hips) + np.array(
            [-self.build.waist * 0.85, self.build.waist * (0.1 if body.sits else 0.55), 0]
        )
        bends = _TAIL_ANGLES[carried]
        way = 1.0 if self.rng.random() < 0.5 else -1.0
        points = [start]
        for index, angle in enumerate(bends):
            step = long / len(bends)
            if body.sits:  # along the ground, around one side
                turn = 0.5 + 0.55 * index
                move = np.array([-math.cos(turn), 0.0, way * math.sin(turn)]) * step
                move[1] = (thick - points[-1][1]) * 0.8
            else:
                move = np.array([-math.cos(angle), math.sin(angle), 0.12 * way * index]) * step
            points.append(points[-1] + move)
        for index, (a, b) in enumerate(pairwise(points)):
            last = index == len(bends) - 1
            banded = self.coat.bands if self.coat.bands and index % 2 else self.coat.tail
            shrink = 0.55 if self.spec.kind == "dog" and thick < 0.04 else 0.9
            wide = [thick * (1 - (1 - shrink) * k / len(bends)) for k in (index, index + 1)]
            self._limb(a, b, wide[0], wide[1], self.coat.tip if last else banded)

    def _world(self, points: Sequence[Joint] | _Point) -> Float:
        """(n, 3) joints, forward, up, across, to the world."""
        joints = np.asarray(points, np.float32)
        local = np.stack([joints[:, 2], joints[:, 1], -joints[:, 0]], axis=1)
        place = np.array([self.spec.x, 0, self.spec.z], np.float32)
        return np.asarray(local @ yaw_matrix(self.spec.yaw) + place, np.float32)

    def _limb(self, start: Joint | _Point, end: Joint | _Point, first: float, last: float, colour: RGB) -> None:
        ends = self._world(np.array([start, end], np.float32))
        self.canvas.limb(ends[0], ends[1], first, last, Paint(colour, grain=_FUR_GRAIN), self.owner)

    def _ball(self, centre: Joint | _Point, radius: float, paint: Paint | RGB) -> None:
        at = self._world(np.array([centre], np.float32))[0]
        painted = paint if isinstance(paint, Paint) else Paint(paint, grain=_FUR_GRAIN)
        self.canvas.limb(at, at, radius, radius, painted, self.owner)

    def _face(self, corners: Sequence[_Point], colour: RGB) -> None:
        self.canvas.face(self._world(np.stack(corners)), Paint(colour, grain=_FUR_GRAIN), self.owner)


@dataclass(frozen=True, slots=True)
class _Head:
    """Places on a head, in radii of its skull."""

    centre: Joint
    gaze: tuple[float, float]
    skull: float

    def at(self, forward: float, up: float, across: float, *, ahead: float = 0.0) -> Float:
        """Radii from the skull's centre, and metres further ahead."""
        f, u, a = forward * self.skull + ahead, up * self.skull, across * self.skull
        aside, down = self.gaze
        f, u = f * math.cos(down) + u * math.sin(down), u * math.cos(down) - f * math.sin(down)
        turned = np.array([f * math.cos(aside) - a * math.sin(aside), u, a * math.cos(aside) + f * math.sin(aside)])
        return np.asarray(np.array(self.centre) + turned, np.float32)


#: Of each part of a tail above straight backwards, radians.
_TAIL_ANGLES: dict[str, tuple[float, ...]] = {
    "up": (0.7, 1.3, 1.5, 1.5),
    "level": (0.1, 0.1, 0.25, 0.4),
    "down": (-0.7, -1.1, -0.8, -0.4),
    "curled": (0.9, 1.6, 2.4, 3.3),
}
