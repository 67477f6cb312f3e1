"""Where a person's joints are: joint angles, carried out on a body of human proportions.

`postures` draws a `Pose` at random for a posture's word; `stand_up` turns it into points of the world. A body has a
root frame (its own left, up and forward); a spine that leans in it, a head on the spine, arms that hang in the frame of
the chest, legs that hang in the root frame. The whole is tipped over for those who lie, and set down: its lowest point
rests on the ground.

Proportions are Winter's, "Biomechanics and Motor Control of Human Movement", 4th edition 2009, figure 4.1 (after
Drillis and Contini 1966); where a joint's centre is not in that figure (eyes, hips) it is where people click who
label pictures as COCO's are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS
from hearthwatch.vision.posture import Posture, classify_posture
from training.scenes.camera import Camera

# In statures.
TORSO, THIGH, SHANK, UPPER_ARM, FOREARM, HAND = 0.288, 0.245, 0.246, 0.186, 0.146, 0.108
FOOT, ANKLE_HEIGHT, HEEL = 0.152, 0.039, 0.035
HALF_SHOULDERS, HALF_HIPS = 0.100, 0.056
_HEAD = {  # from the middle of the shoulders: to the left, up, forward
    "neck": (0.0, 0.025, -0.004),
    "head": (0.0, 0.118, 0.010),
    "nose": (0.0, 0.101, 0.063),
    "left_eye": (0.018, 0.118, 0.046),
    "right_eye": (-0.018, 0.118, 0.046),
    "left_ear": (0.043, 0.112, 0.010),
    "right_ear": (-0.043, 0.112, 0.010),
    "chin": (0.0, 0.062, 0.042),
    "crown": (0.0, 0.182, 0.004),
}
#: How far the body's surface is from a joint, in statures: what touches the ground touches it with its surface.
_FLESH = {
    **dict.fromkeys(("hip", "shoulder"), 0.050),
    **dict.fromkeys(("knee", "elbow"), 0.030),
    **dict.fromkeys(("wrist", "hand"), 0.018),
    "ankle": ANKLE_HEIGHT,
    "toe": 0.012,
    "heel": 0.016,
    "head": 0.056,
    "nose": 0.0,
}
_SIDES: Final = (("left", 1.0), ("right", -1.0))


@dataclass(frozen=True, slots=True)
class Leg:
    """Degrees. `pitch` swings the thigh forward from straight down, `out` to the side, `flex` folds the knee.

    `shin` is the shank's own angle to the side, `foot` lifts the toes above the frame's horizon.
    """

    pitch: float = 0.0
    out: float = 2.0
    flex: float = 0.0
    shin: float = 0.0
    foot: float = 0.0


@dataclass(frozen=True, slots=True)
class Arm:
    """Degrees in the frame of the chest. `pitch` and `out` as for a leg; `flex` folds the forearm forward and up.

    `fore` is the forearm's own angle to the side; negative lies across the body.
    """

    pitch: float = 0.0
    out: float = 8.0
    flex: float = 10.0
    fore: float = 4.0


@dataclass(frozen=True, slots=True)
class Reach:
    """An arm by its wrist: from the shoulder to its own side, up and forward, in lengths of the whole arm."""

    aside: float
    up: float
    forward: float
    elbow: tuple[float, float, float] = (0.6, -1.0, -0.4)  # the side to which the elbow points


@dataclass(frozen=True, slots=True)
class Pose:
    """A body's angles in degrees. Pairs are (left, right).

    Attributes:
        lean: of the spine, forward.
        tilt: of the spine, to the own left.
        twist: of the shoulders against the hips, to the own left.
        nod: of the head against the chest, forward.
        turn: of the head, to the own left.
        tip: of the whole body, forward: 90 lies on the belly, -90 on the back.
        roll: of the whole body about its own length, after `tip`.
        seat: something stands under the hips.
        lift: a hop above the ground, in statures.
        hand: the one that holds.
    """

    legs: tuple[Leg, Leg]
    arms: tuple[Arm | Reach, Arm | Reach]
    lean: float = 0.0
    tilt: float = 0.0
    twist: float = 0.0
    nod: float = 0.0
    turn: float = 0.0
    tip: float = 0.0
    roll: float = 0.0
    seat: bool = False
    lift: float = 0.0
    hand: str = "right"


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A posed body in the world, metres.

    Attributes:
        joints: the 17 of COCO and neck, head, chin, crown, shoulders, pelvis (both middles), and hand (its middle), toe
            and heel of both sides.
        hips, chest, skull: (3, 3) frames, rows to the own left, up and forward.
        stature: metres.
        seat: something stands under the hips.
        hand: "left" or "right", the one that holds.
    """

    joints: Mapping[str, Float]
    hips: Float
    chest: Float
    skull: Float
    stature: float
    seat: bool
    hand: str

    @property
    def coco(self) -> Float:
        """(17, 3) in COCO's order."""
        return np.stack([self.joints[name] for name in COCO_KEYPOINTS]).astype(np.float32)


def mirrored(pose: Pose) -> Pose:
    """Left and right changed."""
    return replace(
        pose,
        legs=pose.legs[::-1],
        arms=pose.arms[::-1],
        tilt=-pose.tilt,
        twist=-pose.twist,
        turn=-pose.turn,
        roll=-pose.roll,
        hand="left" if pose.hand == "right" else "right",
    )


def stand_up(pose: Pose, stature: float, *, x: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> Skeleton:
    """Carry a pose out: the middle of the hips over (x, z), facing `yaw`, the lowest point on the ground."""
    root = _spun(_pitched(_turned(_UPRIGHT, yaw), pose.tip), pose.roll)
    joints: dict[str, Float] = {"pelvis": np.zeros(3, np.float32)}
    _place_legs(joints, root, pose)
    chest = _rolled(_pitched(root, pose.lean), pose.tilt)
    joints["shoulders"] = TORSO * chest[1]
    chest = _spun(chest, pose.twist)
    skull = _pitched(_spun(chest, pose.turn), pose.nod)
    base = joints["shoulders"] + 0.025 * chest[1]
    for name, place in _HEAD.items():
        frame = chest if name == "neck" else skull
        joints[name] = base + (np.array(place, np.float32) - (0.0, 0.025, 0.0)) @ frame
    _place_arms(joints, chest, pose)
    lowest = min(float(p[1]) - flesh for name, p in joints.items() if (flesh := _flesh(name)) is not None)
    origin = np.array([x, stature * (pose.lift - lowest), z], np.float32)
    world = {name: (point * stature + origin).astype(np.float32) for name, point in joints.items()}
    return Skeleton(world, root, chest, skull, stature, pose.seat, pose.hand)


def posture_of(joints: Float, camera: Camera) -> Posture:
    """What the product's own rules call (17, 3) joints of the world, seen by a camera that misses none."""
    pixels, depth = camera.project(joints)
    return classify_posture(np.column_stack([pixels, depth > 0]).astype(np.float32))


def facing_camera(x: float, z: float) -> float:
    """The yaw in which somebody who stands at (x, z) faces the camera."""
    return math.atan2(-x, z)


def good_yaws(posture: str, *, arms_raised: bool = False) -> tuple[tuple[float, float], ...]:
    """Ranges of yaw, relative to `facing_camera`, in which a posture is told from the others by one picture.

    Radians, low before high. The others are true ambiguities: a thigh that points at the camera looks short whether
    somebody sits or crouches, and a body along the line of sight looks upright.
    """
    spans = _GOOD_YAWS.get("reaching_up" if arms_raised else posture, ((-180.0, 180.0),))
    return tuple((math.radians(low), math.radians(high)) for low, high in spans)


# Degrees, measured with `posture_of` for cameras 2.2 to 3.5 m up at 3 to 15 m.
_GOOD_YAWS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "walking": ((-155.0, -20.0), (20.0, 155.0)),
    "running": ((-115.0, -15.0), (15.0, 115.0)),
    "sitting": ((-130.0, -50.0), (50.0, 130.0)),
    "crouching": ((-120.0, -50.0), (50.0, 120.0)),
    "crawling": ((-125.0, 125.0),),
    "lying_down": ((-130.0, -50.0), (50.0, 130.0)),
}

# Frames: rows to the own left, up and forward. Somebody at yaw 0 faces the camera, so the own left is the picture's
# right.
_UPRIGHT: Float = np.array([[1, 0, 0], [0, 1, 0], [0, 0, -1]], np.float32)


def _mix(frame: Float, first: int, second: int, degrees: float) -> Float:
    """Turn axis `first` towards axis `second`."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = frame.copy()
    turned[first] = cos * frame[first] + sin * frame[second]
    turned[second] = cos * frame[second] - sin * frame[first]
    return turned


def _pitched(frame: Float, degrees: float) -> Float:
    return _mix(frame, 1, 2, degrees)


def _rolled(frame: Float, degrees: float) -> Float:
    return _mix(frame, 1, 0, degrees)


def _spun(frame: Float, degrees: float) -> Float:
    return _mix(frame, 2, 0, degrees)


def _turned(frame: Float, yaw: float) -> Float:
    """A yaw of the scene: forward goes from the camera to the picture's right."""
    return _mix(frame, 2, 0, math.degrees(yaw))


def _swing(frame: Float, pitch: float, out: float, side: float) -> Float:
    """A bone that hangs down, swung forward by `pitch` and to its side by `out`."""
    p, o = math.radians(pitch), math.radians(out)
    parts = np.array([side * math.sin(o), -math.cos(p) * math.cos(o), math.sin(p) * math.cos(o)], np.float32)
    return parts @ frame


def _place_legs(joints: dict[str, Float], root: Float, pose: Pose) -> None:
    for (name, side), leg in zip(_SIDES, pose.legs, strict=True):
        hip = side * HALF_HIPS * root[0]
        knee = hip + THIGH * _swing(root, leg.pitch, leg.out, side)
        ankle = knee + SHANK * _swing(root, leg.pitch - leg.flex, leg.shin, side)
        along = _swing(root, 90.0 + leg.foot, 12.0, side)
        sole = _swing(root, leg.foot, 0.0, side)  # from the ankle straight through the foot
        joints[f"{name}_hip"], joints[f"{name}_knee"], joints[f"{name}_ankle"] = hip, knee, ankle
        joints[f"{name}_toe"] = ankle + (FOOT - HEEL - 0.02) * along + (ANKLE_HEIGHT - 0.012) * sole
        joints[f"{name}_heel"] = ankle - (HEEL - 0.016) * along + (ANKLE_HEIGHT - 0.016) * sole


def _place_arms(joints: dict[str, Float], chest: Float, pose: Pose) -> None:
    for (name, side), arm in zip(_SIDES, pose.arms, strict=True):
        shoulder = joints["shoulders"] + side * HALF_SHOULDERS * chest[0]
        if isinstance(arm, Arm):
            elbow = shoulder + UPPER_ARM * _swing(chest, arm.pitch, arm.out, side)
            wrist = elbow + FOREARM * _swing(chest, arm.pitch + arm.flex, arm.fore, side)
        else:
            mirror = np.array([side, 1.0, 1.0], np.float32)
            target = np.asarray((np.array([arm.aside, arm.up, arm.forward], np.float32) * mirror) @ chest)
            pole = np.asarray((np.array(arm.elbow, np.float32) * mirror) @ chest, np.float32)
            elbow, wrist = _two_bones(shoulder, np.asarray(target * (UPPER_ARM + FOREARM), np.float32), pole)
        palm = wrist - elbow
        joints[f"{name}_shoulder"], joints[f"{name}_elbow"], joints[f"{name}_wrist"] = shoulder, elbow, wrist
        joints[f"{name}_hand"] = wrist + 0.45 * HAND * palm / np.linalg.norm(palm)


def _two_bones(shoulder: Float, reach: Float, pole: Float) -> tuple[Float, Float]:
    """Elbow and wrist of an arm that reaches as far as it can, its elbow towards `pole`."""
    wanted = float(np.linalg.norm(reach))
    span = min(max(wanted, 0.1), 0.995 * (UPPER_ARM + FOREARM))
    along = reach / max(wanted, 1e-6)
    across = pole - float(pole @ along) * along
    across /= max(float(np.linalg.norm(across)), 1e-6)
    foot = (UPPER_ARM**2 - FOREARM**2 + span**2) / (2 * span)
    height = math.sqrt(max(UPPER_ARM**2 - foot**2, 0.0))
    elbow = np.asarray(shoulder + foot * along + height * across, np.float32)
    return elbow, np.asarray(shoulder + span * along, np.float32)


def _flesh(name: str) -> float | None:
    return _FLESH.get(name.removeprefix("left_").removeprefix("right_"))
