"""Weapons among the detections: candidate or confirmed, and in whose hands.

One frame makes a candidate. It is confirmed when a single frame is very sure (`CONFIRMING_CONFIDENCE`), the box is
large enough to show a thing at all, and it is near a wrist or inside a person's box. Confirmation over several frames
needs tracks and comes with them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.models import PoseResult
from hearthwatch.pipeline.results import DetectionInput
from hearthwatch.vision.boxes import Box, coverage

#: Severity by the weights' own names (DESIGN.md's ruling).
SEVERITIES: Mapping[str, str] = {
    **dict.fromkeys(
        ("gun", "rifle", "pistol", "handgun", "firearm", "shotgun", "sniper", "automatic rifle", "bazooka", "grenade",
         "explosive"),
        "critical",
    ),
    **dict.fromkeys(("knife", "machete", "sword", "axe", "weapon"), "high"),
    **dict.fromkeys(("bat", "baseball bat", "crowbar", "hammer"), "medium"),
}  # fmt: skip

CONFIRMING_CONFIDENCE = 0.8
MIN_SHORT_SIDE_PX = 24.0
#: A held thing begins at the wrist: the hand is 0.108 of the stature (Winter 2009), and boxes are loose.
WRIST_REACH = 0.2
#: A joint below it is not there (as in `vision.posture`).
MIN_JOINT_CONFIDENCE = 0.5
MIN_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class Weapon:
    """One weapon-like object.

    Attributes:
        class_name: the weights' own word.
        severity: critical, high or medium.
        confidence: 0..1.
        confirmed: whether it counts as certain.
        holder: the person's detection id; None where nobody is near.
        reason: why it is confirmed or not, for a reader.
    """

    class_name: str
    severity: str
    confidence: float
    confirmed: bool
    holder: str | None
    reason: str


def weapons_of(detections: Sequence[DetectionInput], poses: Mapping[str, PoseResult]) -> list[Weapon]:
    """The weapons among the detections, the most severe first."""
    persons = [d for d in detections if d.class_name.lower() == "person"]
    found = [_judge(d, persons, poses) for d in detections if d.class_name.lower() in SEVERITIES]
    order = ("critical", "high", "medium")
    return sorted(found, key=lambda w: (not w.confirmed, order.index(w.severity), -w.confidence))


def _judge(thing: DetectionInput, persons: Sequence[DetectionInput], poses: Mapping[str, PoseResult]) -> Weapon:
    holder = _holder(thing.bbox, persons, poses)
    short_side = min(thing.bbox.width, thing.bbox.height)
    sure = thing.confidence >= CONFIRMING_CONFIDENCE  # false for a confidence that is not a number
    if not sure:
        doubt = f"{thing.confidence:.0%} sure in one frame, {CONFIRMING_CONFIDENCE:.0%} needed"
    elif short_side < MIN_SHORT_SIDE_PX:
        doubt = f"only {short_side:.0f} px, {MIN_SHORT_SIDE_PX:.0f} needed"
    elif holder is None:
        doubt = "in nobody's hand"
    else:
        doubt = ""
    reason = f"unconfirmed: {doubt}" if doubt else "confirmed: sure, large enough, and at a person"
    severity = SEVERITIES[thing.class_name.lower()]
    return Weapon(thing.class_name, severity, thing.confidence, not doubt, holder, reason)


def _holder(thing: Box, persons: Sequence[DetectionInput], poses: Mapping[str, PoseResult]) -> str | None:
    """Whose wrist is nearest, within reach; else whose box holds it."""
    reach = [(d, p.id) for p in persons if (d := _wrist_distance(thing, p, poses.get(p.id))) <= WRIST_REACH]
    if reach:
        return min(reach)[1]
    if not persons:
        return None
    shares = coverage(np.array([thing], np.float32), np.array([p.bbox for p in persons], np.float32))[0]
    # The smallest of several: a box that holds a neighbour's hand is the larger one. Never the first of the list, for
    # the order of detections means nothing.
    holding = [(-float(share), p.bbox.area, p.id) for share, p in zip(shares, persons, strict=True)
               if share >= MIN_COVERAGE]  # fmt: skip
    return min(holding)[2] if holding else None


def _wrist_distance(thing: Box, person: DetectionInput, pose: PoseResult | None) -> float:
    """From the nearest wrist to the thing's box, in heights of the person."""
    if pose is None:
        return math.inf
    wrists = [k for k in pose.keypoints if k.name.endswith("_wrist") and k.confidence >= MIN_JOINT_CONFIDENCE]
    gaps = [
        math.hypot(max(thing.x1 - k.x, k.x - thing.x2, 0.0), max(thing.y1 - k.y, k.y - thing.y2, 0.0)) for k in wrists
    ]
    return min(gaps, default=math.inf) / max(person.bbox.height, 1.0)
