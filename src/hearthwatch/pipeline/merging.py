"""What was found in each picture becomes one result for the batch, and an account of the models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hearthwatch.enrichment.collected import PIPELINE, DetectionEnrichment, Key, PictureEnrichment
from hearthwatch.enrichment.status import status_of
from hearthwatch.errors import HearthwatchError, is_transient
from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline.results import (
    DepthAnalysisResult,
    EnrichmentError,
    EnrichmentResult,
    EnrichmentTrackingResult,
)

#: The models whose findings are kept as they are, and the dictionary of `EnrichmentResult` that has them by detection.
_BY_DETECTION: Mapping[str, str] = {
    "pose_estimator": "pose_results",
    "threat_detector": "threat_results",
    "demographics": "demographics_results",
    "fashion_clip": "clothing_classifications",
    "pet_classifier": "pet_classifications",
    "vehicle_classifier": "vehicle_classifications",
    "person_reid": "reid_embeddings",
    "vehicle_damage": "vehicle_damage",
}
#: What is said of a picture as a whole: the field of `EnrichmentResult`, and how much a finding says. Of several
#: pictures of a batch the one that says most stands there, of equals the first.
_BY_PICTURE: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "violence_detector": ("violence_detection", lambda found: (found.is_violent, found.confidence)),
    "weather_classifier": ("weather_classification", lambda found: found.confidence),
    "scene_change": ("scene_change", lambda found: found.changed is True),
    "image_quality": ("image_quality", lambda found: (found.possible_tampering is True, bool(found.faults))),
}


def merge(result: EnrichmentResult, part: PictureEnrichment) -> None:
    """Add what was found in one picture."""
    for key, detection in part.detections.items():
        found = detection.results
        for model, name in _BY_DETECTION.items():
            if model in found:
                getattr(result, name)[key] = found[model]
        if "depth_estimator" in found:
            result.depth_analysis = result.depth_analysis or DepthAnalysisResult()
            # The distance and not the map: one picture's map would be kept once for each of its detections.
            result.depth_analysis.distances[key] = found["depth_estimator"].distance()
        if "face_detector" in found:
            result.face_by_detection[key] = found["face_detector"]
            result.faces.append(found["face_detector"])
        if "license_plate_detector" in found:
            plate = found["license_plate_detector"]
            # A plate that is seen and cannot be read is a finding too.
            read = found.get("plate_ocr") or LicensePlateResult("", "", 0.0, plate.box)
            # The reader saw a margin around the plate; the box is the detector's.
            read = replace(read, bbox=plate.box, detection_confidence=plate.confidence, vehicle_id=key)
            result.plate_by_detection[key] = read
            result.license_plates.append(read)
        _merge_action(result, key, found)
        _merge_silence(result, key, detection)
    _merge_whole(result, part.whole, told=bool(part.detections))


def fail(result: EnrichmentResult, key: Key, error: HearthwatchError, model: str = PIPELINE) -> None:
    """Write down one failure, of a detection or under None of a whole picture."""
    result.errors.append(f"{model}: {error}" if model != PIPELINE else str(error))
    result.structured_errors.append(EnrichmentError(model, key, error.code, str(error), is_transient(error)))


def track(result: EnrichmentResult, parts: Sequence[PictureEnrichment]) -> EnrichmentTrackingResult:
    """The result with its account: which models answered, and which failed."""
    failed = {model: error for part in parts for model, error in part.failed.items()}
    # A model that answered for one picture and failed for another has failed, but its answers are there.
    answered = {model for part in parts for model in part.timings}
    succeeded = answered - failed.keys()
    # A detection that nobody could be asked about, a gallery or a conclusion that failed: no model's failure.
    lost = any(error.model not in failed for error in result.structured_errors)
    late = any(part.late for part in parts)
    return EnrichmentTrackingResult(
        status=status_of(answered=bool(answered), failed=bool(failed) or lost, late=late),
        successful_models=sorted(succeeded),
        failed_models=sorted(failed),
        errors={model: str(error) for model, error in sorted(failed.items())},
        data=result,
        weights={model: word for part in parts for model, word in part.weights.items()},
        timings_ms=_sum(part.timings_ms for part in parts),
        infer_ms=_sum(part.infer_ms for part in parts),
    )


def _merge_action(result: EnrichmentResult, key: str, found: Mapping[str, Any]) -> None:
    """None, and no empty dictionary, where nobody was watched: as documented."""
    if "action_recognizer" in found:
        result.action_results = (result.action_results or {}) | {key: found["action_recognizer"]}


def _merge_whole(result: EnrichmentResult, whole: DetectionEnrichment, *, told: bool) -> None:
    """What was found in the picture itself; a picture that cannot be decoded is told by its detections already."""
    for model, (name, says) in _BY_PICTURE.items():
        if model not in whole.results:
            continue
        before, now = getattr(result, name), whole.results[model]
        if before is None or says(now) > says(before):
            setattr(result, name, now)
    for model, reason in whole.skipped.items():
        result.skipped_of_pictures.setdefault(model, reason)
    for model, error in whole.errors.items():
        if not (told and model == PIPELINE):
            fail(result, None, error, model)


def _merge_silence(result: EnrichmentResult, key: str, detection: DetectionEnrichment) -> None:
    """What was not found, not asked and not answered: every detection is to be found somewhere in the result."""
    if detection.nothing or not (detection.results or detection.skipped or detection.errors):
        result.nothing[key] = list(detection.nothing)
    if detection.skipped:
        result.skipped[key] = dict(detection.skipped)
    for model, error in detection.errors.items():
        fail(result, key, error, model)


def _sum(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for model, milliseconds in part.items():
            total[model] = total.get(model, 0.0) + milliseconds
    return total
