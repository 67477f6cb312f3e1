"""Which findings contradict each other: the table `conflicts-1`, a rule a row.

A change of a row or a number raises `CONFLICTS_VERSION`; the reasons are in docs/decisions/0016-conflicts.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

import numpy as np

from hearthwatch.models import PoseResult
from hearthwatch.pipeline.conflict import APPLICATION, DETECTOR, Conflict, Statement, ruled
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES
from hearthwatch.vision.boxes import Box, coverage, iou
from hearthwatch.vision.image import Float

CONFLICTS_VERSION = "conflicts-1"
#: Two boxes that overlap by more are one thing: where `vision.yolo` suppresses the lesser of two boxes of one class.
SAME_BOX_IOU = 0.7
#: Who rides has nearly the box of what he rides.
RIDDEN = frozenset({"bicycle", "motorcycle"})
#: A face belongs to a person who covers so much of it (as `models.face_detector`).
FACE_COVERAGE = 0.6
#: The postures were checked on people of 40 px and taller (`vision.posture`).
MIN_POSTURE_PX = 40.0
#: Height over width of boxes. A standing body is 3.9 times as tall as its shoulders are wide (Winter 2009, figure 4.1:
#: 1 to 0.259), so lying flat it is far from 2; and no upright one is 1.5 times as wide as tall, with arms spread or on
#: a bicycle.
TALL, WIDE = 2.0, 1 / 1.5
UPRIGHT = frozenset({"standing", "walking", "running"})
#: What nobody does in that posture. What a posture may be a moment of (falling and lying, sneaking and crouching) is
#: not here.
IMPOSSIBLE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "lying_down": frozenset(
            {
                "person walking normally",
                "person running",
                "person climbing over fence",
                "person looking through window",
                "person carrying heavy object",
            }
        ),
        "sitting": frozenset({"person walking normally", "person running", "person climbing over fence"}),
        "crawling": frozenset({"person walking normally", "person running", "person carrying heavy object"}),
        "standing": frozenset({"person running", "person falling down"}),
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What the rules look at.

    Attributes:
        detections: in order of their ids.
        result: what is known about them.
        pictures: a name of the picture that each detection's box refers to, by id.
    """

    detections: tuple[DetectionInput, ...]
    result: EnrichmentResult
    pictures: Mapping[str, Hashable]

    def beside(self, one: DetectionInput) -> list[DetectionInput]:
        """The others of its picture."""
        return [d for d in self.detections if d.id != one.id and self.pictures[d.id] == self.pictures[one.id]]


def _no_vehicle(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        look = seen.result.vehicle_classifications.get(one.id)
        if look is not None and not look.is_vehicle and _kind(one) == "vehicle":
            likeliest = max(look.all_scores, key=lambda name: (look.all_scores[name], name), default="")
            what = "a pedestrian" if likeliest == "pedestrian" else "no vehicle"
            closer = Statement("vehicle_classifier", what, look.confidence)
            yield ruled(one.id, "no_vehicle", _detected(one), closer, "a vehicle of an unknown kind, or none")


def _no_pet(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        look = seen.result.pet_classifications.get(one.id)
        if look is not None and not look.is_household_pet and one.class_name.lower() in ("cat", "dog"):
            # Its confidence is that of the nearer of the two animals, and none that it is neither.
            closer = Statement("pet_classifier", "neither cat nor dog")
            yield ruled(one.id, "no_pet", _detected(one), closer, "another animal, or none")


def _other_pet(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        look, word = seen.result.pet_classifications.get(one.id), one.class_name.lower()
        if look is not None and look.is_household_pet and word in ("cat", "dog") and look.pet_type != word:
            closer = Statement("pet_classifier", look.pet_type, look.confidence)
            yield ruled(one.id, "other_pet", _detected(one), closer, "an animal, and which is not known")


def _two_kinds(seen: Seen) -> Iterator[Conflict]:
    boxes = np.array([one.bbox for one in seen.detections], np.float32).reshape(-1, 4)
    overlaps = iou(boxes, boxes)
    for (i, one), (j, other) in combinations(enumerate(seen.detections), 2):
        kinds = {_kind(one), _kind(other)}
        rides = "person" in kinds and not RIDDEN.isdisjoint({one.class_name.lower(), other.class_name.lower()})
        together = overlaps[i, j] >= SAME_BOX_IOU and seen.pictures[one.id] == seen.pictures[other.id]
        if together and len(kinds) == 2 and "object" not in kinds and not rides:
            yield _one_of(one, other)


def _one_of(one: DetectionInput, other: DetectionInput) -> Conflict:
    """Two detections of one thing: both are the detector's, so the ruling names the detection that holds."""
    ruling = ruled(one.id, "two_kinds", _detected(one), _detected(other), "one thing or two is not known")
    if ruling.is_open:
        return Conflict(one.id, ruling.said, None, ruling.rule, ruling.reason, other.id)
    kept, lost = (one, other) if ruling.said[0].is_sure else (other, one)
    reason = f"the {kept.class_name} {kept.id} is sure and the {lost.class_name} {lost.id} in its place is not"
    return Conflict(lost.id, (_detected(lost), _detected(kept)), DETECTOR, ruling.rule, reason, kept.id)


def _posture_action(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        pose, action = seen.result.pose_results.get(one.id), (seen.result.action_results or {}).get(one.id)
        if pose is not None and action is not None and action.action in IMPOSSIBLE.get(pose.posture, ()):
            watched = Statement("action_recognizer", action.action, action.confidence)
            doubt = "a posture is of one moment, and an action of several"
            yield ruled(one.id, "posture_action", _posed(pose), watched, doubt)


def _posture_shape(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        pose, ratio = seen.result.pose_results.get(one.id), one.bbox.height / max(one.bbox.width, 1e-9)
        if pose is None:
            continue
        shape = f"a box {one.bbox.width:.0f} px wide and {one.bbox.height:.0f} px high"
        if (pose.posture == "lying_down" and ratio >= TALL) or (pose.posture in UPRIGHT and ratio <= WIDE):
            boxed = Statement(DETECTOR, shape, one.confidence)
            doubt = "a part of the body, or somebody else's joints"
            yield ruled(one.id, "posture_shape", _posed(pose), boxed, doubt)


def _posture_small(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        pose = seen.result.pose_results.get(one.id)
        if pose is not None and pose.is_suspicious and one.bbox.height < MIN_POSTURE_PX:
            boxed = Statement(DETECTOR, f"a person {one.bbox.height:.0f} px high", one.confidence)
            reason = f"postures were checked on people of {MIN_POSTURE_PX:.0f} px and taller"
            yield Conflict(one.id, (_posed(pose), boxed), DETECTOR, "posture_small", reason)


def _face_alone(seen: Seen) -> Iterator[Conflict]:
    for one in seen.detections:
        said = _face(one, seen)
        if said is None or _kind(one) == "person":
            continue
        people = np.array([d.bbox for d in seen.beside(one) if _kind(d) == "person"], np.float32).reshape(-1, 4)
        found = seen.result.face_by_detection.get(one.id)
        box = one.face_bbox if found is None else found.bbox
        # Where a face is said to be seen and not where, it may be anybody's.
        owned = len(people) > 0 if box is None else bool((coverage(_row(box), people) >= FACE_COVERAGE).any())
        if not owned:
            reason = "somebody inside or behind it who was not detected, or no face"
            yield Conflict(one.id, (said, _detected(one)), None, "face_alone", reason)


#: Rules by name, each from what is seen to its conflicts.
RULES: Mapping[str, Callable[[Seen], Iterator[Conflict]]] = MappingProxyType(
    {
        "no_vehicle": _no_vehicle,
        "no_pet": _no_pet,
        "other_pet": _other_pet,
        "two_kinds": _two_kinds,
        "posture_action": _posture_action,
        "posture_shape": _posture_shape,
        "posture_small": _posture_small,
        "face_alone": _face_alone,
    }
)


def _kind(detection: DetectionInput) -> str:
    """By equality and without case, as `selection`."""
    name = detection.class_name.lower()
    if name == "person":
        return name
    return "vehicle" if name in VEHICLE_CLASSES else "animal" if name in ANIMAL_CLASSES else "object"


def _detected(one: DetectionInput) -> Statement:
    return Statement(DETECTOR, one.class_name, one.confidence)


def _posed(pose: PoseResult) -> Statement:
    return Statement("pose_estimator", pose.posture.replace("_", " "), pose.confidence)


def _face(one: DetectionInput, seen: Seen) -> Statement | None:
    """Who says that there is a face; None where nobody does."""
    found = seen.result.face_by_detection.get(one.id)
    if found is not None:
        return Statement("face_detector", "a face", found.confidence)
    return Statement(APPLICATION, "a face") if one.face_bbox is not None or one.face_visible else None


def _row(box: Box) -> Float:
    return np.array([box], np.float32)
