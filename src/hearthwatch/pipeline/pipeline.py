"""`EnrichmentPipeline`: a batch of detections to everything that is known about them.

Detections are grouped by picture, each picture is decoded once, and one failure costs only its own part.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any

from hearthwatch.enrichment.collected import PIPELINE, DetectionEnrichment, PictureEnrichment
from hearthwatch.enrichment.enrich import enrich_picture
from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.parts import Wishes, became_of, parts_of
from hearthwatch.enrichment.runner import Runner
from hearthwatch.enrichment.status import status_of
from hearthwatch.errors import BadBox, HearthwatchError, ImageError, InputError, NotAnImage
from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline.results import (
    DepthAnalysisResult,
    DetectionInput,
    EnrichmentError,
    EnrichmentResult,
    EnrichmentTrackingResult,
)
from hearthwatch.vision.boxes import clamp_box, parse_box
from hearthwatch.vision.decode import PictureLike, read_picture
from hearthwatch.vision.picture import Picture

Detections = Sequence[DetectionInput | Mapping[str, Any]]
#: The models whose findings are kept as they are, and the dictionary of `EnrichmentResult` that has them by detection.
_BY_DETECTION: Mapping[str, str] = {
    "pose_estimator": "pose_results",
    "threat_detector": "threat_results",
    "demographics": "demographics_results",
    "fashion_clip": "clothing_classifications",
    "pet_classifier": "pet_classifications",
    "vehicle_classifier": "vehicle_classifications",
    "person_reid": "reid_embeddings",
}


class EnrichmentPipeline:
    """Enriches detections with whatever models the runner offers.

    Args:
        runner: this process, remote services, or both.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._pace = Pace()

    async def enrich_batch(
        self, detections: Detections, images: Mapping[str | None, Picture | PictureLike], camera_id: str | None = None
    ) -> EnrichmentResult:
        """As `enrich_batch_with_tracking`, without the account of models; empty where nothing was attempted."""
        tracked = await self.enrich_batch_with_tracking(detections, images, camera_id)
        return tracked.data or EnrichmentResult()

    async def enrich_batch_with_tracking(
        self, detections: Detections, images: Mapping[str | None, Picture | PictureLike], camera_id: str | None = None
    ) -> EnrichmentTrackingResult:
        """Enrich detections and say which models answered and which failed.

        Args:
            detections: `DetectionInput` or the documented dictionaries.
            images: detection id to the picture that its box refers to; None is the whole frame, for all others.
            camera_id: filled in where a detection names no camera.

        Raises:
            InputError: detections that cannot be read, or two with one id. A bad box or picture is one of `errors`.
        """
        started = time.perf_counter()
        subjects = [_with_camera(DetectionInput.of(value, i), camera_id) for i, value in enumerate(detections)]
        if len({subject.id for subject in subjects}) != len(subjects):
            raise InputError("two detections of the batch have the same id")
        result = EnrichmentResult()
        # In a thread: it reads files, and a PIL image may still have to be decoded.
        groups = await asyncio.to_thread(_group, subjects, images, result)
        enriched = await asyncio.gather(
            *(enrich_picture(self._runner, pic, found, pace=self._pace) for pic, found in groups)
        )
        for part in enriched:
            _merge(result, part)
        result.processing_time_ms = (time.perf_counter() - started) * 1000
        return _track(result, enriched)

    async def enrich_detection(
        self,
        image: Picture | PictureLike,
        detection: DetectionInput | Mapping[str, Any],
        frames_buffer: Sequence[Picture | PictureLike] | None = None,
    ) -> dict[str, Any]:
        """One detection as `POST /enrich` answers it, for callers and formatters that work with dictionaries.

        Args:
            image: that its box refers to.
            detection: `DetectionInput` or the documented dictionary.
            frames_buffer: further pictures of the camera in the order of time, for the action of somebody suspicious.

        Returns:
            The parts that there are, by the names of `/enrich` (`pose`, `threat`, `reid_embedding` …), and
            `models_loaded`, `skipped`, `errors` and `status`.

        Raises:
            InputError: a detection that cannot be read, or a box outside the picture.
            ImageError: the picture is none. A frame that is none costs the action alone.
        """
        subject = DetectionInput.of(detection)
        picture, frames = await asyncio.to_thread(
            lambda: (_open(image), [_open(frame) for frame in frames_buffer or ()])
        )
        if isinstance(picture, ImageError):
            raise picture
        inside = _inside(subject, *picture.size)
        enrichment = await enrich_picture(self._runner, picture, [inside], frames=frames, pace=self._pace, beside=False)
        found = enrichment.detections[subject.id]
        if PIPELINE in found.errors:
            raise found.errors[PIPELINE]
        parts = parts_of(found, enrichment, Wishes())
        return {name: part for name, part in parts.items() if part is not None} | became_of(found, enrichment)


def _with_camera(subject: DetectionInput, camera_id: str | None) -> DetectionInput:
    return replace(subject, camera=camera_id) if subject.camera is None and camera_id is not None else subject


def _group(
    subjects: Sequence[DetectionInput], images: Mapping[str | None, Picture | PictureLike], result: EnrichmentResult
) -> list[tuple[Picture, list[DetectionInput]]]:
    """Detections by their picture, boxes in its pixels and inside it; what does not fit is an error of its own."""
    pictures: dict[str | None, Picture | ImageError] = {}
    groups: dict[int, tuple[Picture, list[DetectionInput]]] = {}
    for subject in subjects:
        key = subject.id if subject.id in images else None
        if key not in images:
            _fail(result, subject.id, InputError(f"detection {subject.id} has no picture"))
            continue
        if key not in pictures:
            pictures[key] = _open(images[key])
        picture = pictures[key]
        if isinstance(picture, ImageError):
            _fail(result, subject.id, picture)
            continue
        try:
            inside = _inside(subject, *picture.size)
        except (BadBox, ImageError) as error:
            _fail(result, subject.id, error)
            continue
        groups.setdefault(id(picture), (picture, []))[1].append(inside)
    return list(groups.values())


def _inside(subject: DetectionInput, width: int, height: int) -> DetectionInput:
    """The detection with its box in picture pixels and clamped; a box of a caller's own making is checked first."""
    moved = replace(subject, bbox=parse_box([float(side) for side in subject.bbox])).in_picture(width, height)
    return replace(moved, bbox=clamp_box(moved.bbox, width, height))


def _open(value: Picture | PictureLike) -> Picture | ImageError:
    try:
        if isinstance(value, Picture):
            return value
        if isinstance(value, bytes):
            return Picture(value)
        if isinstance(value, (str, PathLike)):
            return Picture(read_picture(value))
        return Picture.of(value)
    except ImageError as error:
        return error
    except ValueError as error:  # an `Image` that is a crop
        return NotAnImage(str(error))


def _merge(result: EnrichmentResult, part: PictureEnrichment) -> None:
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


def _merge_action(result: EnrichmentResult, key: str, found: Mapping[str, Any]) -> None:
    """None, and no empty dictionary, where nobody was watched: as documented."""
    if "action_recognizer" in found:
        result.action_results = (result.action_results or {}) | {key: found["action_recognizer"]}


def _merge_silence(result: EnrichmentResult, key: str, detection: DetectionEnrichment) -> None:
    """What was not found, not asked and not answered: every detection is to be found somewhere in the result."""
    if detection.nothing or not (detection.results or detection.skipped or detection.errors):
        result.nothing[key] = list(detection.nothing)
    if detection.skipped:
        result.skipped[key] = dict(detection.skipped)
    for model, error in detection.errors.items():
        _fail(result, key, error, model)


def _fail(result: EnrichmentResult, key: str, error: HearthwatchError, model: str = PIPELINE) -> None:
    result.errors.append(f"{model}: {error}" if model != PIPELINE else str(error))
    result.structured_errors.append(EnrichmentError(model, key, error.code, str(error)))


def _track(result: EnrichmentResult, parts: Sequence[PictureEnrichment]) -> EnrichmentTrackingResult:
    failed = {model: error for part in parts for model, error in part.failed.items()}
    # A model that answered for one picture and failed for another has failed, but its answers are there.
    answered = {model for part in parts for model in part.weights}
    succeeded = answered - failed.keys()
    lost = any(error.model == PIPELINE for error in result.structured_errors)
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


def _sum(parts: Any) -> dict[str, float]:
    total: dict[str, float] = {}
    for part in parts:
        for model, milliseconds in part.items():
            total[model] = total.get(model, 0.0) + milliseconds
    return total
