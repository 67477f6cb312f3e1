"""Weapons that the detector or the weapon detector saw: candidate or confirmed, and in whose hands.

One frame makes a candidate. It is confirmed when one frame is very sure (`CONFIRMING_CONFIDENCE`) or several frames
show it (`pipeline.threat_memory`), and in both cases the box is large enough to show a thing at all, and it is near a
wrist or inside a person's box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.models import PoseResult, ThreatDetection, ThreatResult
from hearthwatch.models.threat_detector import SEVERITIES, SEVERITY_ORDER, severity_of
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.threat_memory import RepeatedThreat
from hearthwatch.vision.boxes import Box, coverage, iou

CONFIRMING_CONFIDENCE = 0.8
MIN_SHORT_SIDE_PX = 24.0
#: A held thing begins at the wrist: the hand is 0.108 of the stature (Winter 2009), and boxes are loose.
WRIST_REACH = 0.2
#: A joint below it is not there (as in `vision.posture`).
MIN_JOINT_CONFIDENCE = 0.5
MIN_COVERAGE = 0.5
#: Two networks that see one thing draw boxes that overlap at least so much.
SAME_THING_IOU = 0.5


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


@dataclass(frozen=True, slots=True)
class _Thing:
    """What might be a weapon, whoever saw it.

    Attributes:
        near: the person that the weapon detector's answer belongs to.
        repeated: how other frames show it; None where they do not.
    """

    class_name: str
    severity: str
    confidence: float
    box: Box
    near: str | None
    by_detector: bool
    repeated: RepeatedThreat | None


def weapons_of(
    detections: Sequence[DetectionInput],
    poses: Mapping[str, PoseResult],
    threats: Mapping[str, ThreatResult] | None = None,
    repeated: Mapping[str, Sequence[RepeatedThreat]] | None = None,
) -> list[Weapon]:
    """The weapons of one event, confirmed ones first, then the most severe; what two networks saw counts once.

    Args:
        detections: what the detector saw; those that are weapons by name are among the answer.
        poses: by detection id.
        threats: what the weapon detector saw, by detection id.
        repeated: which of all these several frames show, by detection id.
    """
    again = repeated or {}
    persons = [d for d in detections if d.class_name.lower() == "person"]
    seen = (
        _Thing(d.class_name, severity_of(d.class_name), d.confidence, d.bbox, None, True, _by_name(d, again))
        for d in detections
        if d.class_name.lower() in SEVERITIES
    )
    judged = [(thing, _judge(thing, persons, poses)) for thing in (*seen, *_threats(threats or {}, again))]
    judged.sort(key=lambda pair: (not pair[1].confirmed, SEVERITY_ORDER.index(pair[0].severity), -pair[1].confidence))
    kept: list[tuple[_Thing, Weapon]] = []
    for thing, weapon in judged:
        if not any(_same(thing, other) for other, _ in kept):
            kept.append((thing, weapon))
    return [weapon for _, weapon in kept]


def _threats(results: Mapping[str, ThreatResult], repeated: Mapping[str, Sequence[RepeatedThreat]]) -> Iterator[_Thing]:
    # Every person's answer has what is at nobody.
    loose: dict[ThreatDetection, RepeatedThreat | None] = {}
    for key, result in results.items():
        again = {(one.class_name, one.box): one for one in repeated.get(key, ())}
        for threat in result.threats:
            yield _thing(threat, key, again.get((threat.class_name, threat.box)))
        for threat in result.elsewhere:
            loose[threat] = loose.get(threat) or again.get((threat.class_name, threat.box))
    for threat, seen_again in loose.items():
        yield _thing(threat, None, seen_again)


def _thing(threat: ThreatDetection, near: str | None, repeated: RepeatedThreat | None) -> _Thing:
    return _Thing(threat.class_name, threat.severity, threat.confidence, threat.box, near, False, repeated)


def _by_name(weapon: DetectionInput, repeated: Mapping[str, Sequence[RepeatedThreat]]) -> RepeatedThreat | None:
    """Of a weapon that the detector saw. Its id says which it is: its box here may reach beyond the picture."""
    return next((one for one in repeated.get(weapon.id, ()) if one.class_name == weapon.class_name), None)


def _same(thing: _Thing, other: _Thing) -> bool:
    """Whether two networks, or two classes of the weapon detector, mean one thing."""
    # The detector has suppressed its own doubles; what is left are two things.
    if thing.by_detector and other.by_detector:
        return False
    return bool(iou(np.array([thing.box], np.float32), np.array([other.box], np.float32))[0, 0] >= SAME_THING_IOU)


def _judge(thing: _Thing, persons: Sequence[DetectionInput], poses: Mapping[str, PoseResult]) -> Weapon:
    holder = _holder(thing.box, persons, poses)
    short_side = min(thing.box.width, thing.box.height)
    sure = thing.confidence >= CONFIRMING_CONFIDENCE  # false for a confidence that is not a number
    if not sure and thing.repeated is None:
        doubt = f"{thing.confidence:.0%} sure in one frame, {CONFIRMING_CONFIDENCE:.0%} needed"
    elif short_side < MIN_SHORT_SIDE_PX:
        doubt = f"only {short_side:.0f} px, {MIN_SHORT_SIDE_PX:.0f} needed"
    elif holder is None:
        doubt = "in nobody's hand" if thing.near is None else "beside a person, not in a hand"
    else:
        doubt = ""
    reason = f"unconfirmed: {doubt}" if doubt else f"confirmed: {_evidence(thing, sure)}, large enough, and at a person"
    # Whom the weapon detector's answer belongs to is near, which names the person and confirms nothing.
    return Weapon(thing.class_name, thing.severity, thing.confidence, not doubt, holder or thing.near, reason)


def _evidence(thing: _Thing, sure: bool) -> str:
    again = thing.repeated
    if sure or again is None:
        return "sure"
    return f"seen in {again.seen} of {again.frames} frames within {again.span_ms:.0f} ms"


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
