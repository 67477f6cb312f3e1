"""Facts: what is known about one event, each with its confidence and the detection that it belongs to.

A fact never leaves its subject: a resident's face says nothing about the stranger beside him.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from hearthwatch.models import (
    ActionResult,
    ClothingClassificationResult,
    DemographicsResult,
    LicensePlateResult,
    PetClassificationResult,
    PoseResult,
    VehicleClassificationResult,
)
from hearthwatch.models.pet_classifier import UNKNOWN_BREED
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.plates import PlateVote
from hearthwatch.pipeline.results import DepthAnalysisResult, EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance, Scene, absent
from hearthwatch.prompt.identity_facts import identity_facts
from hearthwatch.prompt.picture_facts import picture_facts
from hearthwatch.prompt.weapons import Weapon, weapons_of
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES

#: Said with every age and gender: no rule looks at them, and no reader should.
NO_RISK = "an estimate, which must not raise the risk"


def collect_facts(
    detections: Sequence[DetectionInput],
    enrichment: EnrichmentResult | None,
    when: datetime | None,
    camera: str | None = None,
) -> Scene:
    """The facts of one event.

    Args:
        detections: boxes in picture pixels.
        enrichment: what is known about them; None where nothing was attempted.
        when: local time of the event; None where nobody knows.
        camera: the event's; None: that of the first detection that names one.
    """
    known = enrichment or EnrichmentResult()
    weapons = weapons_of(detections, known.pose_results, known.threat_results, known.repeated_threats)
    facts = [_weapon(weapon) for weapon in weapons]
    for detection in detections:
        facts.extend(_of_detection(detection, known))
    facts += [*identity_facts(known), *picture_facts(known)]
    named = camera or next((detection.camera for detection in detections if detection.camera), None)
    return Scene(tuple(sorted(facts, key=lambda fact: fact.importance)), when, named)


def kind_of(class_name: str) -> str:
    """`person`, `vehicle`, `animal` or `object`; by equality, never by substring, and as `selection` without case."""
    name = class_name.lower()
    if name == "person":
        return "person"
    if name in VEHICLE_CLASSES:
        return "vehicle"
    return "animal" if name in ANIMAL_CLASSES else "object"


def _of_detection(detection: DetectionInput, known: EnrichmentResult) -> Iterator[Fact]:
    key = detection.id
    yield Fact("presence", kind_of(detection.class_name), f"{detection.class_name} in view", key,
               detection.confidence, Importance.PRESENCE, (detection.class_name,))  # fmt: skip
    if pose := known.pose_results.get(key):
        yield from _posture(pose, key)
    if detection.known:
        yield Fact("known", "asserted", f"known as {detection.known!r}", key, None, Importance.IDENTITY,
                   (detection.known,))  # fmt: skip
    yield from _looked_at(known, key)
    for zone in detection.zones:
        yield Fact("zone", zone, f"in zone {zone!r}", key, None, Importance.CONTEXT, (zone,))
    if detection.dwell_s is not None:
        yield Fact("dwell", str(detection.dwell_s), f"in view for {detection.dwell_s:.0f} s", key, None,
                   Importance.CONTEXT)  # fmt: skip
    for conflict in known.conflicts:
        if conflict.detection_id == key:
            text = f"{conflict.said[0]} against {conflict.said[1]}: {conflict.reason}"
            yield Fact("conflict", conflict.rule, text, key, None, Importance.CONTEXT,
                       (*map(str, conflict.said), conflict.reason))  # fmt: skip
    for model, reason in known.skipped.get(key, {}).items():
        yield absent(model, f"{model} was not run: {reason}", key, reason)
    for error in known.structured_errors:
        if error.detection_id == key:
            yield absent(error.model, f"{error.model} failed: {error.message}", key, error.message)


def _looked_at(known: EnrichmentResult, key: str) -> Iterator[Fact]:
    """What the models found at one detection, but for weapons and postures."""
    if face := known.face_by_detection.get(key):
        yield Fact("face", "visible", "face visible", key, face.confidence, Importance.IDENTITY)
    if appearance := known.demographics_results.get(key):
        yield _demographics(appearance, key)
    if plate := known.plate_by_detection.get(key):
        yield _plate(plate, known.plate_votes.get(key), key)
    if clothing := known.clothing_classifications.get(key):
        yield _clothing(clothing, key)
    if pet := known.pet_classifications.get(key):
        yield _pet(pet, key)
    if vehicle := known.vehicle_classifications.get(key):
        yield _vehicle(vehicle, key)
    if (damage := known.vehicle_damage.get(key)) and damage.highest_damage:
        kinds = ", ".join(damage.damage_types)
        sure = damage.highest_damage.confidence
        yield Fact("damage", kinds, f"damage seen: {kinds}", key, sure, Importance.CONTEXT, damage.damage_types)
    if action := (known.action_results or {}).get(key):
        yield _action(action, key)
    if known.depth_analysis:
        yield from _distance(known.depth_analysis, key)


def _distance(depth: DepthAnalysisResult, key: str) -> Iterator[Fact]:
    if distance := depth.distances.get(key):
        text = f"{distance.proximity_label} in this picture"
        yield Fact("distance", distance.proximity_label, text, key, None, Importance.CONTEXT)
    approach = depth.approaches.get(key)
    if approach is not None and approach.movement is not None:
        yield Fact(
            "movement", approach.movement, f"{approach.movement}: {approach.reason}", key, None, Importance.CONTEXT
        )


def _demographics(found: DemographicsResult, key: str) -> Fact:
    words = [word for word in (found.age_group, found.gender) if word is not None]
    value = ", ".join(word.replace("_", " ") for word in words) or "unknown"
    return Fact("demographics", value, f"{value} by appearance ({NO_RISK})", key, found.confidence, Importance.CONTEXT)


def _plate(plate: LicensePlateResult, voted: PlateVote | None, key: str) -> Fact:
    """What all frames together read, where there are several; else the one reading."""
    if voted is not None and voted.readings > 1 and voted.text:
        text = f"plate reads {voted.text!r} in {voted.agreeing} of {voted.readings} readings"
        return Fact("plate", voted.text, text, key, voted.confidence, Importance.IDENTITY, (voted.text,))
    if not plate.text:
        return absent("plate", "a plate is visible and cannot be read", key)
    text = f"plate reads {plate.text!r}"
    if voted is not None and voted.readings > 1:
        text += f" in this picture; {voted.readings} readings do not decide it ({voted.reason})"
    return Fact("plate", plate.text, text, key, plate.confidence, Importance.IDENTITY, (plate.text,))


def _clothing(clothing: ClothingClassificationResult, key: str) -> Fact:
    if clothing.is_suspicious:
        return Fact("clothing", "suspicious", f"{clothing.description}, which may hide who it is", key,
                    clothing.categories["suspicious"].confidence, Importance.POSTURE)  # fmt: skip
    # A uniform is a fact and no reason to trust: anybody can buy a vest.
    value = "uniform" if clothing.is_service_uniform else clothing.style
    return Fact("clothing", value, clothing.description, key, clothing.confidence, Importance.CONTEXT)


def _pet(pet: PetClassificationResult, key: str) -> Fact:
    if not pet.is_household_pet:
        return Fact("pet", "neither", "neither a cat nor a dog by a closer look", key, None, Importance.CONTEXT)
    named = pet.pet_type if pet.breed == UNKNOWN_BREED else f"{pet.pet_type} ({pet.breed})"
    return Fact("pet", pet.pet_type, f"{named} by a closer look", key, pet.confidence, Importance.CONTEXT)


def _vehicle(vehicle: VehicleClassificationResult, key: str) -> Fact:
    if not vehicle.is_vehicle:
        return Fact("vehicle", vehicle.vehicle_type, "no vehicle by a closer look", key, None, Importance.CONTEXT)
    color = f"{vehicle.color} " if vehicle.color else ""
    name = vehicle.vehicle_type.replace("_", " ")
    text = f"{color}{name}{', commercial,' if vehicle.is_commercial else ''} by a closer look"
    return Fact("vehicle", vehicle.vehicle_type, text, key, vehicle.confidence, Importance.CONTEXT)


def _action(action: ActionResult, key: str) -> Fact:
    importance = Importance.POSTURE if action.is_suspicious else Importance.CONTEXT
    return Fact("action", action.action, f"primary action {action.action!r}", key, action.confidence, importance,
                (action.action,))  # fmt: skip


def _posture(pose: PoseResult, key: str) -> Iterator[Fact]:
    if pose.posture == "unknown":
        yield absent("posture", "posture cannot be told: too few joints are visible", key)
    else:
        yield Fact("posture", pose.posture, f"posture {pose.posture.replace('_', ' ')}", key, pose.confidence,
                   Importance.POSTURE)  # fmt: skip
    if "arms_raised" in pose.alerts:
        yield Fact("alert", "arms_raised", "both arms raised", key, pose.confidence, Importance.POSTURE)


def _weapon(weapon: Weapon) -> Fact:
    value = f"{'confirmed' if weapon.confirmed else 'candidate'} {weapon.severity}"
    text = f"{weapon.class_name} ({weapon.severity}), {weapon.reason}"
    return Fact("weapon", value, text, weapon.holder, weapon.confidence, Importance.THREAT, (weapon.class_name,))
