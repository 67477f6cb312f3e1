"""What each model said about each detection: found, found nothing, was not asked, or failed."""

from __future__ import annotations

from dataclasses import dataclass

from hearthwatch.analysis import Event
from hearthwatch.models import FaceResult, LicensePlateResult, PoseResult, ReIDResult
from hearthwatch.pipeline import DetectionInput
from hearthwatch.selection import get_models_for_detection_type, models_beside
from hearthwatch.vision.boxes import Box

#: The key of a finding in reports, and the model that has to be asked for it.
ASKED_FOR = {
    "pose": "pose_estimator",
    "face": "face_detector",
    "license_plate": "license_plate_detector",
    "reid": "person_reid",
}
#: A plate that was found is read by another model; both have to answer.
_READER = {"license_plate": "plate_ocr"}


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers about one detection.

    Attributes:
        pose: None where there is none; `nothing` and `errors` say why. Likewise the other three.
        nothing: keys of `ASKED_FOR` whose model looked and found nothing.
        skipped: models that were not asked, with the reason.
        errors: models that failed, with the sentence; `pipeline` for a detection that nobody could be asked about.
    """

    pose: PoseResult | None
    face: FaceResult | None
    license_plate: LicensePlateResult | None
    reid: ReIDResult | None
    nothing: tuple[str, ...]
    skipped: dict[str, str]
    errors: dict[str, str]


def answers_of(event: Event, detection: DetectionInput) -> Answers:
    """What the models said about one detection of an event."""
    data, key = event.enrichment.data, detection.id
    if data is None:
        return Answers(None, None, None, None, (), {}, {})
    found = {
        "pose": data.pose_results.get(key),
        "face": data.face_by_detection.get(key),
        "license_plate": data.plate_by_detection.get(key),
        "reid": data.reid_embeddings.get(key),
    }
    skipped = data.skipped.get(key, {})
    errors = {error.model: error.message for error in data.structured_errors if error.detection_id == key}
    silent = skipped.keys() | errors.keys()
    asked = set() if "pipeline" in errors else _meant_for(detection) - silent
    nothing = tuple(
        name
        for name, model in ASKED_FOR.items()
        if found[name] is None and model in asked and _READER.get(name) not in silent
    )
    return Answers(
        pose=data.pose_results.get(key),
        face=data.face_by_detection.get(key),
        license_plate=data.plate_by_detection.get(key),
        reid=data.reid_embeddings.get(key),
        nothing=nothing,
        skipped=dict(skipped),
        errors=errors,
    )


def box_in_picture(event: Event, detection: DetectionInput) -> Box:
    """A detection's box in picture pixels, also where the application measured it in another size."""
    return detection.in_picture(*event.picture.size).bbox


def _meant_for(detection: DetectionInput) -> set[str]:
    name = detection.class_name
    return {*get_models_for_detection_type(name), *models_beside(name)}
