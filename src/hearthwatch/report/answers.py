"""What each model said about each detection: found, found nothing, was not asked, or failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from hearthwatch.analysis import Event
from hearthwatch.models import (
    ActionResult,
    ClothingClassificationResult,
    DemographicsResult,
    FaceResult,
    LicensePlateResult,
    ObjectDistance,
    PetClassificationResult,
    PoseResult,
    ReIDResult,
    ThreatResult,
    VehicleClassificationResult,
    VehicleDamageResult,
)
from hearthwatch.pipeline import DetectionInput
from hearthwatch.selection import get_models_for_detection_type, models_beside
from hearthwatch.vision.boxes import Box

#: Each finding of `Answers` and the models that have to answer for it: a plate is found by one and read by another.
ASKED_FOR = {
    "threat": ("threat_detector",),
    "pose": ("pose_estimator",),
    "face": ("face_detector",),
    "demographics": ("demographics",),
    "license_plate": ("license_plate_detector", "plate_ocr"),
    "reid": ("person_reid",),
    "clothing": ("fashion_clip",),
    "pet": ("pet_classifier",),
    "vehicle": ("vehicle_classifier",),
    "damage": ("vehicle_damage",),
    "action": ("action_recognizer",),
    "depth": ("depth_estimator",),
}


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers about one detection.

    Attributes:
        threat: None where there is none; `nothing`, `skipped` and `errors` say why. Likewise the others.
        skipped: models that were not asked, with the reason.
        errors: models that failed, with the sentence; `pipeline` for a detection that nobody could be asked about.
        nothing: keys of `ASKED_FOR` whose models looked and found nothing.
    """

    threat: ThreatResult | None = None
    pose: PoseResult | None = None
    face: FaceResult | None = None
    demographics: DemographicsResult | None = None
    license_plate: LicensePlateResult | None = None
    reid: ReIDResult | None = None
    clothing: ClothingClassificationResult | None = None
    pet: PetClassificationResult | None = None
    vehicle: VehicleClassificationResult | None = None
    damage: VehicleDamageResult | None = None
    action: ActionResult | None = None
    depth: ObjectDistance | None = None
    skipped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    nothing: tuple[str, ...] = ()


def answers_of(event: Event, detection: DetectionInput) -> Answers:
    """What the models said about one detection of an event."""
    data, key = event.enrichment.data, detection.id
    if data is None:
        return Answers()
    threat = data.threat_results.get(key)
    answers = Answers(
        threat=threat if threat is not None and threat.has_threat else None,
        pose=data.pose_results.get(key),
        face=data.face_by_detection.get(key),
        demographics=data.demographics_results.get(key),
        license_plate=data.plate_by_detection.get(key),
        reid=data.reid_embeddings.get(key),
        clothing=data.clothing_classifications.get(key),
        pet=data.pet_classifications.get(key),
        vehicle=data.vehicle_classifications.get(key),
        damage=data.vehicle_damage.get(key),
        action=(data.action_results or {}).get(key),
        depth=data.depth_analysis.distances.get(key) if data.depth_analysis else None,
        skipped=dict(data.skipped.get(key, {})),
        errors={error.model: error.message for error in data.structured_errors if error.detection_id == key},
    )
    return replace(answers, nothing=_in_vain(answers, detection.class_name))


def box_in_picture(event: Event, detection: DetectionInput) -> Box:
    """A detection's box in picture pixels, also where the application measured it in another size."""
    return detection.in_picture(*event.picture.size).bbox


def _in_vain(answers: Answers, class_name: str) -> tuple[str, ...]:
    if "pipeline" in answers.errors:
        return ()
    meant = {*get_models_for_detection_type(class_name), *models_beside(class_name)}
    silent = answers.skipped.keys() | answers.errors.keys()
    return tuple(
        name
        for name, models in ASKED_FOR.items()
        if getattr(answers, name) is None and models[0] in meant and silent.isdisjoint(models)
    )
