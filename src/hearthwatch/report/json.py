"""Events as plain values: the object that `analyze --json` prints and `report.json` holds.

Coordinates have 1 decimal, confidences 4, milliseconds 2. A number that is not finite becomes null. Under a detection's
`enrichment`, a finding is an object; null where its model looked and found nothing; absent where the model was not
asked (`skipped` has the reason) or failed (`errors` has the sentence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hearthwatch.analysis import Event
from hearthwatch.models import FaceResult, LicensePlateResult, PoseResult, ReIDResult
from hearthwatch.models.face_detector import LANDMARKS
from hearthwatch.pipeline import DetectionInput
from hearthwatch.report.answers import answers_of, box_in_picture
from hearthwatch.risk import RiskAssessment
from hearthwatch.vision.boxes import Box

VERSION = 1
_PIXEL, _SHARE, _MS = 1, 4, 2  # decimals

Json = dict[str, Any]


def report_to_json(events: Sequence[Event], failed: Sequence[tuple[str, str]]) -> Json:
    """A whole run.

    Args:
        events: what was assessed.
        failed: the source and the sentence of each input that could not be.
    """
    return {
        "version": VERSION,
        "events": [event_to_json(event) for event in events],
        "failed": [{"source": _text(source), "error": _text(error)} for source, error in failed],
    }


def event_to_json(event: Event) -> Json:
    """One event: strings, numbers, lists and dictionaries that any JSON writer takes."""
    width, height = event.picture.size
    data = event.enrichment.data
    return {
        "source": _text(event.source),
        "camera": _maybe_text(event.camera),
        "time": event.time.isoformat() if event.time else None,
        "width": width,
        "height": height,
        "detections": [_detection(event, detection) for detection in event.detections],
        "enrichment": {
            "license_plates": [_plate(plate) for plate in data.license_plates] if data else [],
            "faces": [_face(face) for face in data.faces] if data else [],
        },
        "risk": _risk(event.risk),
        "status": event.status.value,
        "errors": [_text(error) for error in event.errors],
        "weights": dict(event.weights),
        "timings_ms": {name: _number(value, _MS) for name, value in event.timings_ms.items()},
    }


def _detection(event: Event, detection: DetectionInput) -> Json:
    return {
        "id": _text(detection.id),
        "class": _text(detection.class_name),
        "confidence": _number(detection.confidence, _SHARE),
        "bbox": _box(box_in_picture(event, detection)),
        "enrichment": _enrichment(event, detection),
    }


def _enrichment(event: Event, detection: DetectionInput) -> Json:
    answers = answers_of(event, detection)
    found: Json = {
        "threat": answers.threat and answers.threat.to_wire(),
        "pose": answers.pose and _pose(answers.pose),
        "face": answers.face and _face(answers.face),
        "license_plate": answers.license_plate and _plate(answers.license_plate),
        "reid": answers.reid and _reid(answers.reid),
        "pet": answers.pet and answers.pet.to_wire(),
        "depth": answers.depth and answers.depth.to_wire(),
    }
    told = {name: value for name, value in found.items() if value is not None or name in answers.nothing}
    errors = {model: _text(sentence) for model, sentence in answers.errors.items()}
    return told | {"skipped": answers.skipped, "errors": errors}


def _pose(pose: PoseResult) -> Json:
    return {
        "keypoints": [
            {
                "name": joint.name,
                "x": _number(joint.x, _PIXEL),
                "y": _number(joint.y, _PIXEL),
                "confidence": _number(joint.confidence, _SHARE),
            }
            for joint in pose.keypoints
        ],
        "posture": pose.posture,
        "pose_class": pose.pose_class,
        "alerts": list(pose.alerts),
        "confidence": _number(pose.confidence, _SHARE),
        "is_suspicious": pose.is_suspicious,
    }


def _face(face: FaceResult) -> Json:
    return {
        "bbox": _box(face.bbox),
        "confidence": _number(face.confidence, _SHARE),
        "landmarks": [
            {"name": name, "x": _number(x, _PIXEL), "y": _number(y, _PIXEL)}
            for name, (x, y) in zip(LANDMARKS, face.landmarks, strict=False)
        ],
    }


def _plate(plate: LicensePlateResult) -> Json:
    return {
        "text": _text(plate.text) or None,
        "raw_text": _text(plate.raw_text) or None,
        "confidence": _number(plate.confidence, _SHARE),
        "detection_confidence": _number(plate.detection_confidence, _SHARE),
        "bbox": _box(plate.bbox),
        "vehicle_id": _maybe_text(plate.vehicle_id),
    }


def _reid(reid: ReIDResult) -> Json:
    return {
        # The shortest decimals that give back the same float32: `embedding_hash` can be checked against them.
        "embedding": [float(str(value)) if math.isfinite(value) else None for value in reid.embedding],
        "embedding_dim": len(reid.embedding),
        "embedding_hash": reid.hash,
        "space": reid.space,
    }


def _risk(risk: RiskAssessment) -> Json:
    return {
        "risk_score": risk.risk_score,
        "risk_level": risk.risk_level,
        "summary": _text(risk.summary),
        "reasoning": _text(risk.reasoning),
        "reasons": [_text(str(reason)) for reason in risk.reasons],
        "source": risk.source,
    }


def _box(box: Box) -> Json:
    return {name: _number(value, _PIXEL) for name, value in box.as_xywh().items()}


def _number(value: float | None, decimals: int) -> float | None:
    """Rounded; null for what JSON cannot say."""
    return round(float(value), decimals) if value is not None and math.isfinite(value) else None


def _text(text: str) -> str:
    """The text with the bytes of a file name that are no UTF-8 spelled out: JSON cannot carry them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _maybe_text(text: str | None) -> str | None:
    return None if text is None else _text(text)
