"""Events as plain values: the object that `analyze --json` prints and `report.json` holds.

Coordinates have 1 decimal, confidences 4, milliseconds 2. A number that is not finite becomes null. Under a detection's
`enrichment`, a finding is an object; null where its model looked and found nothing; absent where the model was not
asked (`skipped` has the reason) or failed (`errors` has the sentence).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from hearthwatch.adapter import wire
from hearthwatch.adapter.base import Result
from hearthwatch.analysis import Event
from hearthwatch.pipeline import DetectionInput
from hearthwatch.report.answers import ASKED_FOR, answers_of, box_in_picture
from hearthwatch.risk import RiskAssessment

VERSION = 1
MS_DECIMALS = 2

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
            "license_plates": [_finding(plate) for plate in data.license_plates] if data else [],
            "faces": [_finding(face) for face in data.faces] if data else [],
        },
        "risk": _risk(event.risk),
        "status": event.status.value,
        "errors": [_text(error) for error in event.errors],
        "weights": dict(event.weights),
        "timings_ms": {name: wire.rounded(value, MS_DECIMALS) for name, value in event.timings_ms.items()},
    }


def _detection(event: Event, detection: DetectionInput) -> Json:
    return {
        "id": _text(detection.id),
        "class": _text(detection.class_name),
        "confidence": wire.share(detection.confidence),
        "bbox": wire.xywh(box_in_picture(event, detection)),
        "enrichment": _enrichment(event, detection),
    }


def _enrichment(event: Event, detection: DetectionInput) -> Json:
    answers = answers_of(event, detection)
    found = {name: getattr(answers, name) for name in ASKED_FOR}
    told = {name: value and _finding(value) for name, value in found.items() if value or name in answers.nothing}
    errors = {model: _text(sentence) for model, sentence in answers.errors.items()}
    return told | {"skipped": answers.skipped, "errors": errors}


def _finding(result: Result) -> Json:
    """What a model found, as on the wire; a re-identification's array as numbers that any JSON writer takes."""
    told: Json = _plain(result.to_wire())
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.ndarray):
        # The shortest decimals that give back the same float32: `embedding_hash` can be checked against them.
        return [float(str(number)) if math.isfinite(number) else None for number in value]
    return _text(value) if isinstance(value, str) else value


def _risk(risk: RiskAssessment) -> Json:
    return {
        "risk_score": risk.risk_score,
        "risk_level": risk.risk_level,
        "summary": _text(risk.summary),
        "reasoning": _text(risk.reasoning),
        "reasons": [_text(str(reason)) for reason in risk.reasons],
        "source": risk.source,
    }


def _text(text: str) -> str:
    """The text with the bytes of a file name that are no UTF-8 spelled out: JSON cannot carry them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _maybe_text(text: str | None) -> str | None:
    return None if text is None else _text(text)
