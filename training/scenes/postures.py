"""Postures as joint angles, drawn at random: what people do, generously varied, and still what its word says.

They are real because the product's own rules (`hearthwatch.vision.posture`) must call them by their word when the true
joints are projected; where a view hides the difference, `skeleton.good_yaws` names the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from training.scenes.skeleton import FOREARM, UPPER_ARM, Arm, Leg, Pose, Reach, mirrored
from training.scenes.spec import PersonSpec

_BUSY_HANDS = {"crawling", "lying_down", "running", "reaching_up"}
_SALT = 0x5CE1


def pose_of(spec: PersonSpec) -> Pose:
    """The pose of a person: by posture and seed, with the arms that what is held or carried needs."""
    rng = np.random.default_rng([_SALT, spec.seed])
    pose = _raised(rng, _standing(rng)) if spec.arms_raised else _POSES[spec.posture](rng)
    if rng.random() < 0.5:  # a pose need not be symmetric, and its right hand is the free one
        pose = replace(mirrored(pose), hand="right")
    if spec.carries:
        return replace(pose, arms=_carrying(rng), twist=0.0)
    # Hands on the ground or above the head stay there and hold a thing as they are.
    if spec.holds and not (spec.arms_raised or spec.posture in _BUSY_HANDS):
        pose = _holding(rng, pose, spec.holds)
    return mirrored(pose) if rng.random() < 0.2 else pose


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _idle_arm(rng: np.random.Generator) -> Arm | Reach:
    """An arm of somebody who stands or sits about."""
    kind = rng.choice(6, p=[0.5, 0.14, 0.12, 0.1, 0.07, 0.07])
    if kind == 0:  # hangs
        return Arm(_between(rng, -12, 15), _between(rng, 4, 16), _between(rng, 5, 35), _between(rng, -4, 12))
    if kind == 1:  # in the pocket, or the hand on the hip
        return Reach(_between(rng, 0.05, 0.2), _between(rng, -0.78, -0.6), _between(rng, 0.05, 0.2), (1.0, -0.3, -0.7))
    if kind == 2:  # folded before the chest
        return Reach(_between(rng, -0.5, -0.3), _between(rng, -0.45, -0.25), _between(rng, 0.3, 0.4), (1.0, -1.0, 0.2))
    if kind == 3:  # forearm forward, looking at something in the hand
        return Arm(_between(rng, 5, 25), _between(rng, 5, 18), _between(rng, 70, 110), _between(rng, -35, 5))
    if kind == 4:  # hand at the chin or the ear
        return Reach(_between(rng, -0.15, 0.0), _between(rng, 0.02, 0.12), _between(rng, 0.12, 0.25), (1.0, -1.0, 0.3))
    return Arm(_between(rng, 20, 80), _between(rng, 0, 40), _between(rng, 5, 50), _between(rng, -10, 40))  # points


def _idle_arms(rng: np.random.Generator) -> tuple[Arm | Reach, Arm | Reach]:
    first = _idle_arm(rng)
    if isinstance(first, Reach) and first.elbow[0] == 1.0 and rng.random() < 0.6:
        return first, first
    return first, _idle_arm(rng)


def _standing(rng: np.random.Generator) -> Pose:
    sway = _between(rng, -3, 3)
    legs = [
        Leg(sway + _between(rng, -2, 2), _between(rng, 0, 3), _between(rng, 0, 6), _between(rng, 0, 2))
        for _ in range(2)
    ]
    return Pose(
        (legs[0], legs[1]),
        _idle_arms(rng),
        lean=_between(rng, -4, 9),
        tilt=_between(rng, -4, 4),
        twist=_between(rng, -15, 15),
        nod=_between(rng, -10, 30),
        turn=_between(rng, -45, 45),
    )


# Winter's level walking, natural cadence (2009, appendix A): degrees at shares of a stride that begins with the heel.
_STRIDE = (0.0, 0.12, 0.25, 0.40, 0.50, 0.60, 0.72, 0.85, 0.95, 1.0)
_HIP = (24.0, 20.0, 8.0, -8.0, -14.0, -8.0, 12.0, 26.0, 26.0, 24.0)
_KNEE = (3.0, 17.0, 12.0, 5.0, 14.0, 42.0, 66.0, 34.0, 3.0, 3.0)
_SOLE = (18.0, 0.0, 0.0, -8.0, -28.0, -55.0, -38.0, 4.0, 18.0, 18.0)
# Novacheck 1998, Gait & Posture 7, figure 5 (running).
_RUN_HIP = (35.0, 28.0, 10.0, -8.0, -6.0, 18.0, 42.0, 52.0, 42.0, 35.0)
_RUN_KNEE = (22.0, 42.0, 32.0, 22.0, 60.0, 98.0, 112.0, 84.0, 34.0, 22.0)
_RUN_SOLE = (6.0, 0.0, -10.0, -50.0, -75.0, -85.0, -60.0, -20.0, 5.0, 6.0)


def _walking(rng: np.random.Generator) -> Pose:
    phase, reach = _between(rng, 0, 1), _between(rng, 0.85, 1.25)
    swings = []
    for share in (phase, (phase + 0.5) % 1.0):
        hip, knee, sole = (float(np.interp(share, _STRIDE, curve)) for curve in (_HIP, _KNEE, _SOLE))
        swings.append(Leg(hip * reach, _between(rng, 0, 3), knee, _between(rng, -1, 3), sole))
    forward = (swings[0].pitch - swings[1].pitch) * _between(rng, 0.5, 0.9)
    arms = tuple(
        Arm(side * forward, _between(rng, 4, 14), _between(rng, 8, 40), _between(rng, -8, 8)) for side in (-1, 1)
    )
    lean = _between(rng, 0, 10)
    return Pose(
        (swings[0], swings[1]),
        (arms[0], arms[1]),
        lean=lean,
        tilt=_between(rng, -3, 3),
        twist=-forward * 0.25,
        nod=_between(rng, -8, 20),
        turn=_between(rng, -30, 30),
    )


def _running(rng: np.random.Generator) -> Pose:
    # The part of the stride that shows it: one shank folded, the other leg carrying.
    phase, reach = _between(rng, 0.60, 0.76), _between(rng, 0.9, 1.2)
    swings = []
    for share in (phase, phase - 0.5):
        hip, knee, sole = (float(np.interp(share, _STRIDE, curve)) for curve in (_RUN_HIP, _RUN_KNEE, _RUN_SOLE))
        swings.append(Leg(hip * reach, _between(rng, 0, 3), knee * _between(rng, 0.95, 1.1), 0.0, sole))
    forward = (swings[0].pitch - swings[1].pitch) * _between(rng, 0.6, 1.1)
    arms = tuple(
        Arm(side * forward - 8, _between(rng, 8, 25), _between(rng, 70, 105), _between(rng, -30, 5)) for side in (-1, 1)
    )
    return Pose(
        (swings[0], swings[1]),
        (arms[0], arms[1]),
        lean=_between(rng, 6, 22),
        twist=-forward * 0.3,
        nod=_between(rng, -20, 5),
        turn=_between(rng, -20, 20),
        lift=_between(rng, 0, 0.03),
    )


def _sitting(rng: np.random.Generator) -> Pose:
    if rng.random() < 0.15:
        return _sitting_on_the_ground(rng)
    thigh = _between(rng, 78, 96)
    legs = [
        Leg(thigh, out := _between(rng, 2, 18), thigh + _between(rng, -16, 12), out * _between(rng, -0.3, 0.6))
        for _ in range(2)
    ]
    on_knees = (
        Reach(_between(rng, -0.1, 0.1), _between(rng, -0.75, -0.6), _between(rng, 0.4, 0.6)),
        Reach(_between(rng, -0.1, 0.1), _between(rng, -0.75, -0.6), _between(rng, 0.4, 0.6)),
    )
    return Pose(
        (legs[0], legs[1]),
        on_knees if rng.random() < 0.6 else _idle_arms(rng),
        lean=_between(rng, -14, 16),
        tilt=_between(rng, -5, 5),
        twist=_between(rng, -12, 12),
        nod=_between(rng, -10, 35),
        turn=_between(rng, -45, 45),
        seat=True,
    )


def _sitting_on_the_ground(rng: np.random.Generator) -> Pose:
    if rng.random() < 0.5:  # legs stretched
        legs = [Leg(_between(rng, 84, 92), _between(rng, 4, 20), _between(rng, 0, 12), 10.0, 70.0) for _ in range(2)]
    else:  # knees drawn up
        legs = [Leg(_between(rng, 118, 128), _between(rng, 2, 12), _between(rng, 98, 112), 4.0, 5.0) for _ in range(2)]
    arms = Arm(-28, 14, 6, 14) if rng.random() < 0.5 else Reach(0.0, -0.4, 0.8)
    return Pose((legs[0], legs[1]), (arms, arms), lean=_between(rng, -20, 4), nod=_between(rng, 0, 25))


def _balanced(thigh: float, flex: float, ahead: float) -> float:
    """The lean that brings the weight `ahead` of the ankles, in torso lengths (masses as in vision.posture)."""
    segment = 0.85
    knee = segment * math.sin(math.radians(thigh))
    ankle = knee + segment * math.sin(math.radians(thigh - flex))
    needed = (ankle + ahead - 0.1 * knee - 0.06 * (knee + ankle)) / (0.678 * 0.626)
    return math.degrees(math.asin(min(max(needed, -0.2), 0.95)))


def _crouching(rng: np.random.Generator) -> Pose:
    kind = rng.choice(3, p=[0.45, 0.35, 0.2])
    if kind == 2:
        return _kneeling(rng)
    if kind == 0:  # a deep squat
        thigh, flex, out = _between(rng, 92, 112), _between(rng, 128, 146), _between(rng, 5, 28)
    else:  # a half-crouch
        thigh, flex, out = _between(rng, 68, 84), _between(rng, 98, 116), _between(rng, 3, 14)
    lean = max(_balanced(thigh, flex, _between(rng, 0.02, 0.15)), 32.0 if kind else 0.0)
    legs = [
        Leg(thigh + _between(rng, -3, 3), out, flex + _between(rng, -3, 3), -out * _between(rng, 0.1, 0.5))
        for _ in range(2)
    ]
    return Pose(
        (legs[0], legs[1]),
        _forward_arms(rng, lean),
        lean=lean,
        tilt=_between(rng, -6, 6),
        twist=_between(rng, -15, 15),
        nod=_between(rng, -35, 10) - lean * 0.3,
        turn=_between(rng, -40, 40),
    )


def _kneeling(rng: np.random.Generator) -> Pose:
    """On one knee, or on both."""
    down = Leg(_between(rng, -12, 12), _between(rng, 2, 8), 92.0, 0.0, -80.0)
    down = replace(down, flex=down.pitch + 88.0)
    other = down
    if rng.random() < 0.7:
        other = Leg(_between(rng, 76, 92), _between(rng, 2, 12), 0.0, 0.0)
        other = replace(other, flex=other.pitch + _between(rng, -8, 8))
    lean = _between(rng, 5, 35)
    return Pose(
        (down, other),
        _forward_arms(rng, lean),
        lean=lean,
        twist=_between(rng, -12, 12),
        nod=_between(rng, -10, 20),
        turn=_between(rng, -40, 40),
    )


def _forward_arms(rng: np.random.Generator, lean: float) -> tuple[Arm | Reach, Arm | Reach]:
    """At work on something before the knees, or on the knees."""
    if rng.random() < 0.3:
        rest = Reach(_between(rng, -0.1, 0.1), _between(rng, -0.6, -0.45), _between(rng, 0.5, 0.65))
        return rest, rest
    left, right = (
        Arm(_between(rng, 20, 60) + lean * 0.5, _between(rng, 0, 20), _between(rng, 10, 55), _between(rng, -25, 10))
        for _ in range(2)
    )
    return left, right


def _bending_over(rng: np.random.Generator) -> Pose:
    lean = _between(rng, 68, 108)
    thigh = -_between(rng, 2, 10)  # the hips go back over the heels
    legs = [Leg(thigh + (bend := _between(rng, 0, 14)), _between(rng, 1, 6), bend, 1.0) for _ in range(2)]
    hang = [
        Arm(lean + _between(rng, -15, 25), _between(rng, 0, 14), _between(rng, 0, 30), _between(rng, -10, 8))
        for _ in range(2)
    ]
    return Pose(
        (legs[0], legs[1]),
        (hang[0], hang[1]),
        lean=lean,
        tilt=_between(rng, -5, 5),
        twist=_between(rng, -12, 12),
        nod=_between(rng, -40, 10),
        turn=_between(rng, -25, 25),
    )


def _crawling(rng: np.random.Generator) -> Pose:
    stride = _between(rng, -18, 18)
    lean = _between(rng, 82, 92)
    legs = []
    for side in (-1, 1):
        thigh = side * stride + _between(rng, -4, 4)
        legs.append(Leg(thigh, _between(rng, 2, 8), thigh + 87.0, 0.0, -82.0))
    arms = [Arm(lean - side * stride * 0.9, _between(rng, 2, 12), _between(rng, 0, 14), 3.0) for side in (-1, 1)]
    return Pose(
        (legs[0], legs[1]),
        (arms[0], arms[1]),
        lean=lean,
        twist=_between(rng, -6, 6),
        nod=_between(rng, -50, -10),
        turn=_between(rng, -30, 30),
    )


def _lying_down(rng: np.random.Generator) -> Pose:
    way = rng.choice(3, p=[0.4, 0.3, 0.3])
    if way == 2:
        return _lying_on_the_side(rng)
    tip = -90.0 if way == 0 else 90.0
    legs = [Leg(_between(rng, 0, 4), _between(rng, 2, 16), _between(rng, 0, 5), 4.0, -50.0) for _ in range(2)]
    if way == 0 and rng.random() < 0.35:  # one knee drawn up
        legs[0] = Leg(_between(rng, 30, 55), 4.0, _between(rng, 70, 105), 2.0, 0.0)
    if way == 1:
        arms = [Arm(_between(rng, 120, 170), _between(rng, 20, 50), -10.0, _between(rng, -20, 10)) for _ in range(2)]
        flat = [Arm(0.0, out := _between(rng, 12, 150), 0.0, out + _between(rng, -40, 40)) for _ in range(2)]
        arms = flat if rng.random() < 0.7 else arms
    else:
        arms = [Arm(0.0, out := _between(rng, 12, 110), 0.0, out + _between(rng, -40, 40)) for _ in range(2)]
    return Pose(
        (legs[0], legs[1]),
        (arms[0], arms[1]),
        tilt=_between(rng, -8, 8),
        nod=_between(rng, -5, 10),
        turn=_between(rng, -50, 50) if way == 0 else float(rng.choice([-65, 65])),
        tip=tip,
    )


def _lying_on_the_side(rng: np.random.Generator) -> Pose:
    curl = _between(rng, 5, 55)
    legs = [
        Leg(curl + _between(rng, -8, 8), 0.0, curl * _between(rng, 1.1, 1.7), 0.0, -30.0),
        Leg(curl * 0.7, 0.0, curl, 0.0, -30.0),
    ]
    arms = Arm(_between(rng, 50, 100), 4.0, _between(rng, 10, 70), 0.0), Arm(_between(rng, 0, 60), 2.0, 40.0, -4.0)
    return Pose((legs[0], legs[1]), arms, lean=_between(rng, 0, 12), nod=_between(rng, 0, 20), tip=-90.0, roll=88.0)


def _reaching_up(rng: np.random.Generator) -> Pose:
    up = Arm(_between(rng, 135, 175), _between(rng, -5, 20), _between(rng, -8, 30), _between(rng, -10, 15))
    return replace(_standing(rng), arms=(_idle_arm(rng), up), twist=_between(rng, -6, 6), nod=_between(rng, -35, 0))


def _raised(rng: np.random.Generator, pose: Pose) -> Pose:
    """Both hands up, as before a gun or for help."""
    arms = []
    for _ in range(2):
        out = _between(rng, 118, 168)
        # The hands end well above the eyes, which are 0.12 statures above the shoulders.
        rise = min((0.23 + UPPER_ARM * math.cos(math.radians(out))) / FOREARM, 0.98)
        fore = max(180 - math.degrees(math.acos(rise)), out)
        arms.append(Arm(_between(rng, -6, 10), out, 0.0, _between(rng, fore, 182)))
    return replace(pose, arms=(arms[0], arms[1]), twist=0.0)


def _carrying(rng: np.random.Generator) -> tuple[Arm | Reach, Arm | Reach]:
    """Both hands at the sides of something before the belly."""
    hands = Reach(_between(rng, 0.02, 0.12), _between(rng, -0.75, -0.55), _between(rng, 0.32, 0.48), (1.0, -0.8, -0.6))
    return hands, hands


def _holding(rng: np.random.Generator, pose: Pose, thing: str) -> Pose:
    """A pose with a thing in its right hand."""
    arms: tuple[Arm | Reach, Arm | Reach] = (pose.arms[0], _holding_arm(rng, thing))
    if thing == "gun" and rng.random() < 0.55:  # aims, with one hand or both
        up = _between(rng, 72, 90) + pose.lean * 0.8
        alone = Arm(up, _between(rng, -12, 8), _between(rng, 0, 10), _between(rng, -12, 2))
        both = Arm(up, -12.0, 4.0, -22.0), Arm(up, -12.0, 4.0, -14.0)
        arms = both if rng.random() < 0.45 else (arms[0], alone)
    return replace(pose, arms=arms, twist=0.0)


def _holding_arm(rng: np.random.Generator, thing: str) -> Arm:
    """Low, ready, or as the thing wants to be held."""
    if thing == "umbrella":
        return Arm(_between(rng, 15, 35), _between(rng, 4, 12), _between(rng, 90, 115), _between(rng, -20, 0))
    if thing in {"bag", "leash"} or rng.random() < 0.4:
        return Arm(_between(rng, -5, 22), _between(rng, 9, 20), _between(rng, 5, 30), _between(rng, 5, 16))
    return Arm(_between(rng, 5, 45), _between(rng, 6, 30), _between(rng, 45, 100), _between(rng, -15, 25))


_POSES: Mapping[str, Callable[[np.random.Generator], Pose]] = {
    "standing": _standing,
    "walking": _walking,
    "running": _running,
    "sitting": _sitting,
    "crouching": _crouching,
    "bending_over": _bending_over,
    "crawling": _crawling,
    "lying_down": _lying_down,
    "reaching_up": _reaching_up,
}
