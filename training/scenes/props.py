"""Things people hold, carry and sit on: weapons, what could be mistaken for one, a box, seats. Lengths in metres.

Weapons have real sizes, a little generous: they are small in a camera's picture and a network should get to see them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.image import Float
from training.scenes.canvas import Canvas, Paint
from training.scenes.looks import Colour
from training.scenes.shapes import Ring, block
from training.scenes.skeleton import Skeleton

#: Words for what is no weapon.
HARMLESS = ("phone", "torch", "umbrella", "mug", "bag", "keys", "leash")
SEATS = ("chair", "crate", "step", "stool")

_STEEL = Paint((0.62, 0.64, 0.67), grain=0.03, gloss=0.8)
_BLACK = Paint((0.035, 0.035, 0.04), grain=0.05, gloss=0.3)
_CARDBOARD: Colour = (0.60, 0.44, 0.28)


@dataclass(frozen=True, slots=True)
class Grip:
    """A closed hand.

    Attributes:
        point: (3,) its middle.
        arm: (3,) unit, the way the forearm goes on.
        thumb: (3,) unit, from the little finger to the thumb: the way a rod in the fist points.
        side: (3,) unit, across both.
    """

    point: Float
    arm: Float
    thumb: Float
    side: Float

    def between(self, degrees: float) -> Float:
        """From the thumb's direction (0) towards the arm's (90)."""
        a = math.radians(degrees)
        return np.asarray(math.cos(a) * self.thumb + math.sin(a) * self.arm, np.float32)


def grip_of(skeleton: Skeleton, hand: str) -> Grip:
    """How a hand of a skeleton holds."""
    point, elbow = skeleton.joints[f"{hand}_hand"], skeleton.joints[f"{hand}_elbow"]
    arm = _unit(point - elbow)
    thumb = np.cross(skeleton.chest[0], arm)
    # An arm straight out to the side has no such plane; the thumb goes forward then.
    thumb = _unit(thumb) if float(np.linalg.norm(thumb)) > 0.2 else skeleton.chest[2]
    thumb = _unit(thumb - float(thumb @ arm) * arm)
    return Grip(point, arm, thumb, np.cross(arm, thumb).astype(np.float32))


def draw_held(canvas: Canvas, skeleton: Skeleton, thing: str, rng: np.random.Generator) -> int:
    """Draw a thing in the holding hand; returns its owner number.

    Raises:
        KeyError: a word that is neither a weapon nor in HARMLESS.
    """
    draw, owner = _HELD[thing], canvas.owner()
    draw(_Brush(canvas, owner), grip_of(skeleton, skeleton.hand), rng)
    return owner


def draw_box(canvas: Canvas, skeleton: Skeleton, rng: np.random.Generator) -> int:
    """Draw a cardboard box between both hands; returns its owner number."""
    owner = canvas.owner()
    left, right = skeleton.joints["left_hand"], skeleton.joints["right_hand"]
    across = _unit(left - right)
    upright = skeleton.chest[1] + np.array([0, 1.0, 0], np.float32)
    ahead = _unit(np.cross(across, upright))
    ahead = ahead if float(ahead @ skeleton.chest[2]) > 0 else -ahead
    axes = np.stack([across, _unit(np.cross(ahead, across)), ahead]).astype(np.float32)
    axes[1] *= np.sign(axes[1, 1]) or 1.0
    size = (
        float(np.linalg.norm(left - right)) - 0.05,
        float(rng.uniform(0.2, 0.42)),
        float(rng.uniform(0.24, 0.4)),
    )
    centre = (left + right) / 2 + (size[1] / 2 - 0.12) * axes[1]
    belly = 0.085 * skeleton.stature + size[2] / 2
    centre = centre + (belly - float((centre - skeleton.joints["shoulders"]) @ axes[2])) * axes[2]
    shade = float(rng.uniform(0.75, 1.2))
    colour = (_CARDBOARD[0] * shade, _CARDBOARD[1] * shade, _CARDBOARD[2] * shade)
    block(canvas, centre.astype(np.float32), axes, size, Paint(colour, grain=0.05), owner)
    tape, label = Paint((0.78, 0.70, 0.52), grain=0.02, gloss=0.3), Paint((0.9, 0.9, 0.88), grain=0.02)
    for sign in (1.0, -1.0):
        block(canvas, centre, axes, (0.05, size[1] + 0.004, size[2] + 0.004), tape, owner)
        spot = centre + axes[2] * (sign * size[2] / 2) + axes[0] * size[0] * 0.22 + axes[1] * size[1] * 0.12
        block(canvas, spot, axes, (0.10, 0.07, 0.006), label, owner)
    return owner


def draw_seat(canvas: Canvas, skeleton: Skeleton, yaw: float, rng: np.random.Generator) -> int:
    """Draw something under the hips; returns its owner number."""
    owner = canvas.owner()
    pelvis = skeleton.joints["pelvis"]
    frame = skeleton.hips
    height = float(pelvis[1]) - 0.056 * skeleton.stature
    spot = np.array([pelvis[0], 0.0, pelvis[2]], np.float32) + 0.06 * frame[2]
    kind = SEATS[int(rng.integers(len(SEATS)))]
    shade = rng.uniform(0.15, 0.75)
    green, blue = shade * rng.uniform(0.75, 1.0), shade * rng.uniform(0.5, 1.0)
    paint = Paint((float(shade), float(green), float(blue)), grain=0.06)
    brush = _Brush(canvas, owner)
    if kind == "crate":
        width = float(rng.uniform(0.4, 0.55))
        canvas.box(spot, (width, height, 0.42), yaw, paint, owner)
        return owner
    if kind == "step":
        canvas.box(spot, (float(rng.uniform(0.9, 1.6)), height, 0.5), yaw, paint, owner)
        return owner
    plate = spot + np.array([0, height - 0.02, 0], np.float32)
    brush.slab(plate, frame, (0.44, 0.04, 0.44), paint)
    for a, b in ((1, 1), (1, -1), (-1, 1), (-1, -1)):
        foot = spot + 0.19 * (a * frame[0] + b * frame[2])
        brush.rod(foot, foot + np.array([0, height - 0.03, 0], np.float32), (0.018, 0.02), paint)
    if kind == "chair":
        for a in (1, -1):
            low = plate + 0.20 * a * frame[0] - 0.21 * frame[2]
            brush.rod(low, low + 0.46 * frame[1] - 0.05 * frame[2], (0.016, 0.016), paint)
        for up in (0.24, 0.40):
            brush.slab(plate + up * frame[1] - (0.22 + 0.1 * up) * frame[2], frame, (0.42, 0.10, 0.025), paint)
    return owner


@dataclass(frozen=True, slots=True)
class _Brush:
    """A canvas and whose things are drawn on it."""

    canvas: Canvas
    owner: int

    def rod(self, start: Float, end: Float, radii: tuple[float, float], paint: Paint) -> None:
        self.canvas.limb(start, end, radii[0], radii[1], paint, self.owner)

    def slab(self, centre: Float, axes: Float, size: tuple[float, float, float], paint: Paint) -> None:
        block(self.canvas, np.asarray(centre, np.float32), axes, size, paint, self.owner)

    def sheet(self, corners: list[Float], paint: Paint) -> None:
        self.canvas.face(np.array(corners, np.float32), paint, self.owner)


def _knife(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    way = grip.between(float(rng.uniform(15, 75))) * (1 if rng.random() < 0.88 else -1)  # seldom an ice-pick grip
    handle = (0.04, 0.035, 0.03) if rng.random() < 0.7 else (0.28, 0.16, 0.08)
    flat = _turned(grip.side, way, float(rng.uniform(-40, 40)))
    edge = np.cross(way, flat)
    length = float(rng.uniform(0.17, 0.23))
    brush.rod(grip.point - 0.055 * way, grip.point + 0.06 * way, (0.015, 0.014), Paint(handle, grain=0.05))
    root = grip.point + 0.065 * way
    for off in (0.0018, -0.0018):  # a sheet seen from its edge would vanish
        spine, belly = root + 0.018 * edge + off * flat, root - 0.020 * edge + off * flat
        tip = root + length * way + 0.014 * edge + off * flat
        curve = root + 0.78 * length * way - 0.018 * edge + off * flat
        brush.sheet([spine, tip, curve, belly], _STEEL)
    brush.rod(root, root + 0.9 * length * way, (0.004, 0.002), _STEEL)


def _gun(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    if rng.random() < 0.18:
        _long_gun(brush, grip, rng)
        return
    metal = _BLACK if rng.random() < 0.75 else Paint((0.38, 0.39, 0.41), grain=0.03, gloss=0.6)
    barrel = grip.between(float(rng.uniform(78, 100)))
    up = _unit(grip.thumb - float(grip.thumb @ barrel) * barrel)
    axes = np.stack([barrel, up, np.cross(barrel, up)]).astype(np.float32)
    top = grip.point + 0.045 * up + 0.055 * barrel
    brush.slab(top, axes, (0.21, 0.042, 0.032), metal)
    brush.slab(top - 0.022 * up + 0.02 * barrel, axes, (0.14, 0.018, 0.028), _BLACK)
    slanted = np.stack([_unit(barrel + 0.25 * up), _unit(up - 0.25 * barrel), axes[2]]).astype(np.float32)
    brush.slab(grip.point - 0.012 * up - 0.012 * barrel, slanted, (0.050, 0.115, 0.032), _BLACK)
    guard = top - 0.055 * up + 0.01 * barrel
    brush.rod(guard + 0.03 * barrel, guard - 0.01 * barrel, (0.006, 0.006), metal)
    brush.rod(guard + 0.03 * barrel, guard + 0.032 * barrel + 0.03 * up, (0.006, 0.006), metal)


def _long_gun(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    wood = Paint((0.27, 0.15, 0.08), grain=0.12, gloss=0.2) if rng.random() < 0.6 else _BLACK
    way = grip.between(float(rng.uniform(70, 95)))
    up = _unit(grip.thumb - float(grip.thumb @ way) * way)
    line = grip.point + 0.035 * up
    axes = np.stack([way, up, np.cross(way, up)]).astype(np.float32)
    brush.slab(line + 0.06 * way, axes, (0.24, 0.06, 0.04), _BLACK)
    brush.rod(line + 0.1 * way, line + 0.62 * way, (0.013, 0.011), _BLACK)
    brush.rod(line + 0.16 * way - 0.015 * up, line + 0.40 * way - 0.015 * up, (0.022, 0.019), wood)
    brush.rod(line - 0.05 * way - 0.01 * up, line - 0.30 * way - 0.07 * up, (0.02, 0.032), wood)


def _bat(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    way = _club_way(grip, rng)
    shade = float(rng.uniform(0.7, 1.25))
    wood = Paint((0.62 * shade, 0.43 * shade, 0.22 * shade), grain=0.08, gloss=0.25)
    butt = grip.point - 0.10 * way
    brush.rod(butt, butt, (0.025, 0.025), wood)
    brush.rod(butt, grip.point + 0.28 * way, (0.0155, 0.020), wood)
    brush.rod(grip.point + 0.28 * way, grip.point + 0.48 * way, (0.020, 0.036), wood)
    brush.rod(grip.point + 0.48 * way, grip.point + 0.73 * way, (0.036, 0.037), wood)
    if rng.random() < 0.5:
        tape = Paint((0.08, 0.08, 0.09), grain=0.05)
        brush.rod(grip.point - 0.09 * way, grip.point + 0.12 * way, (0.0175, 0.0185), tape)


def _crowbar(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    way = _club_way(grip, rng)
    colour = [(0.05, 0.12, 0.38), (0.04, 0.06, 0.16), (0.05, 0.05, 0.055), (0.50, 0.05, 0.05)][
        int(rng.choice(4, p=[0.45, 0.2, 0.25, 0.1]))
    ]
    steel = Paint(colour, grain=0.05, gloss=0.45)
    bare = Paint((0.42, 0.42, 0.43), grain=0.05, gloss=0.6)
    bend = _turned(grip.side, way, float(rng.uniform(30, 150)))  # the side to which the claw turns
    start = grip.point - 0.14 * way
    neck = grip.point + 0.46 * way
    brush.rod(start, neck, (0.016, 0.016), steel)
    brush.rod(start, start - 0.07 * way - 0.025 * bend, (0.0145, 0.009), bare)
    last = neck
    for degrees in (20, 60, 100, 140, 165):  # a hook of about a hand's width
        a = math.radians(degrees)
        following = np.asarray(last + 0.042 * (math.cos(a) * way + math.sin(a) * bend), np.float32)
        brush.rod(last, following, (0.0145, 0.0145 if degrees < 140 else 0.009), steel if degrees < 130 else bare)
        last = following


def _club_way(grip: Grip, rng: np.random.Generator) -> Float:
    """How a long thing is held: low, ready to strike or over the shoulder."""
    if grip.arm[1] < -0.6:  # a hanging arm
        return grip.between(float(rng.uniform(5, 75)))
    return grip.between(float(rng.uniform(-35, 45)))


def _phone(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    axes = np.stack([grip.thumb, grip.arm, grip.side]).astype(np.float32)
    axes = axes[[1, 0, 2]] if rng.random() < 0.5 else axes
    centre = grip.point + 0.05 * grip.arm + 0.02 * grip.thumb
    brush.slab(centre, axes, (0.075, 0.15, 0.010), Paint((0.05, 0.05, 0.06), gloss=0.7))
    screen = Paint((0.45, 0.6, 0.8), glow=0.5 if rng.random() < 0.5 else 0.0, gloss=0.6)
    sign = 1 if rng.random() < 0.5 else -1
    brush.slab(centre + sign * 0.004 * axes[2], axes, (0.066, 0.135, 0.006), screen)


def _torch(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    way = grip.between(float(rng.uniform(40, 85)))
    body = Paint((0.06, 0.06, 0.07) if rng.random() < 0.7 else (0.6, 0.1, 0.1), gloss=0.4)
    brush.rod(grip.point - 0.06 * way, grip.point + 0.08 * way, (0.016, 0.016), body)
    brush.rod(grip.point + 0.08 * way, grip.point + 0.12 * way, (0.017, 0.026), body)
    lamp = grip.point + 0.135 * way
    brush.rod(lamp, lamp, (0.020, 0.020), Paint((1.0, 0.97, 0.85), glow=0.9 if rng.random() < 0.6 else 0.1, grain=0))


def _umbrella(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    shade = rng.uniform(0.03, 0.8, 3) * rng.uniform(0.4, 1.0)
    cloth = Paint((float(shade[0]), float(shade[1]), float(shade[2])), grain=0.05)
    up = _unit(np.array([rng.uniform(-0.15, 0.15), 1.0, rng.uniform(-0.15, 0.15)], np.float32))
    if rng.random() < 0.5:  # shut
        way = grip.between(float(rng.uniform(40, 80)))
        brush.rod(grip.point - 0.08 * way, grip.point + 0.10 * way, (0.012, 0.012), _BLACK)
        brush.rod(grip.point + 0.10 * way, grip.point + 0.62 * way, (0.032, 0.012), cloth)
        brush.rod(grip.point + 0.62 * way, grip.point + 0.70 * way, (0.005, 0.004), _BLACK)
        return
    top = grip.point + 0.80 * up
    brush.rod(grip.point - 0.10 * up, top, (0.008, 0.008), _BLACK)
    across = _unit(np.cross(up, np.array([0, 0, 1], np.float32)))
    rim = Ring(top - 0.20 * up, 0.52 * across, 0.52 * np.cross(across, up)).points
    shoulder = Ring(top - 0.06 * up, 0.30 * across, 0.30 * np.cross(across, up)).points
    for here in range(len(rim)):
        there = (here + 1) % len(rim)
        brush.sheet([rim[here], rim[there], shoulder[there], shoulder[here]], cloth)
        brush.sheet([shoulder[here], shoulder[there], top], cloth)


def _mug(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    shade = rng.uniform(0.1, 0.95, 3)
    paint = Paint((float(shade[0]), float(shade[1]), float(shade[2])), gloss=0.4)
    up = _unit(grip.thumb + np.array([0, 1.0, 0], np.float32))
    base = grip.point + 0.05 * grip.arm
    brush.rod(base - 0.02 * up, base + 0.06 * up, (0.040, 0.042), paint)
    brush.rod(base + 0.05 * up, base + 0.064 * up, (0.036, 0.036), Paint((0.16, 0.09, 0.05)))


def _bag(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    shade = rng.uniform(0.1, 0.95, 3)
    paint = Paint((float(shade[0]), float(shade[1]), float(shade[2])), grain=0.06)
    down = np.array([0, -1, 0], np.float32)
    length = float(rng.uniform(0.28, 0.40))
    along = _unit(np.cross(down, np.cross(grip.thumb + 0.3 * grip.arm, down)))
    axes = np.stack([along, down, np.cross(along, down)]).astype(np.float32)
    room = max(float(grip.point[1]) - 0.05, 0.15)
    length = min(length, room - 0.12) if room > 0.3 else 0.15
    centre = grip.point + (0.10 + length / 2) * down
    brush.slab(centre, axes, (length * 0.9, length, 0.13), paint)
    for sign in (1, -1):
        brush.rod(grip.point, centre - length / 2 * down + sign * 0.09 * along, (0.006, 0.006), paint)


def _keys(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    for _ in range(3):
        way = _unit(np.array([rng.normal(0, 0.4), -1, rng.normal(0, 0.4)], np.float32))
        start = grip.point + 0.03 * grip.arm
        brush.rod(start, start + 0.075 * way, (0.009, 0.004), _STEEL)


def _leash(brush: _Brush, grip: Grip, rng: np.random.Generator) -> None:
    shade = rng.uniform(0.05, 0.7, 3)
    paint = Paint((float(shade[0]), float(shade[1]), float(shade[2])))
    stray = np.array([rng.normal(0, 0.3), 0, rng.normal(0, 0.3)], np.float32)
    level = _unit(np.array([grip.thumb[0], 0, grip.thumb[2]], np.float32) + stray)
    end = grip.point + float(rng.uniform(0.8, 1.5)) * level
    end[1] = float(rng.uniform(0.15, 0.4))
    middle = (grip.point + end) / 2
    middle[1] = max(float(middle[1]) - 0.12, 0.05)
    brush.rod(grip.point, middle.astype(np.float32), (0.007, 0.007), paint)
    brush.rod(middle.astype(np.float32), end.astype(np.float32), (0.007, 0.007), paint)


def _unit(vector: Float) -> Float:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)


def _turned(vector: Float, axis: Float, degrees: float) -> Float:
    """A vector perpendicular to an axis, turned about it."""
    straight = _unit(vector - float(vector @ axis) * axis)
    rotation, _ = cv2.Rodrigues(np.asarray(axis, np.float64) * math.radians(degrees))
    return np.asarray(rotation @ straight, np.float32)


_HELD: Mapping[str, Callable[[_Brush, Grip, np.random.Generator], None]] = {
    "knife": _knife,
    "gun": _gun,
    "bat": _bat,
    "crowbar": _crowbar,
    "phone": _phone,
    "torch": _torch,
    "umbrella": _umbrella,
    "mug": _mug,
    "bag": _bag,
    "keys": _keys,
    "leash": _leash,
}
