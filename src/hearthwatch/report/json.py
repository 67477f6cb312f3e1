"""Events as plain values: the object that `analyze --json` prints and `report.json` holds.

Coordinates have 1 decimal, confidences 4, milliseconds 2. A number that is not finite becomes null. Under a detection's
`enrichment`, a finding is an object; null where its model looked and found nothing; absent where the model was not
asked (`skipped` has the reason) or failed (`errors` has the sentence). Under `risk`, `fallback` says why the rules
stood in for a language model; what only a language model says is empty or null where the rules judged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hearthwatch.adapter import wire
from hearthwatch.adapter.base import Result
from hearthwatch.analysis import Event
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.pipeline.conflict import Conflict
from hearthwatch.pipeline.plates import PlateVote
from hearthwatch.recording import spelled
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
        "failed": [{"source": spelled(source), "error": spelled(error)} for source, error in failed],
    }


def event_to_json(event: Event) -> Json:
    """One event: strings, numbers, lists and dictionaries that any JSON writer takes."""
    width, height = event.picture.size
    data = event.enrichment.data
    return {
        "source": spelled(event.source),
        "camera": _maybe_text(event.camera),
        "time": event.time.isoformat() if event.time else None,
        "width": width,
        "height": height,
        "detections": [_detection(event, detection) for detection in event.detections],
        "enrichment": whole_to_json(data or EnrichmentResult()),
        "risk": risk_to_json(event.risk),
        "status": event.status.value,
        "errors": [spelled(error) for error in event.errors],
        "weights": dict(event.weights),
        "timings_ms": {name: wire.rounded(value, MS_DECIMALS) for name, value in event.timings_ms.items()},
    }


def whole_to_json(data: EnrichmentResult) -> Json:
    """What is known about the picture itself; null where nobody looked, `skipped` has the reason."""
    household = [*data.person_household_matches, *data.vehicle_household_matches]
    extracted = data.vision_extraction.texts if data.vision_extraction else []
    return {
        "license_plates": [_finding(plate) for plate in data.license_plates],
        "faces": [_finding(face) for face in data.faces],
        "image_quality": data.image_quality and _finding(data.image_quality),
        "scene_change": data.scene_change and _finding(data.scene_change),
        "weather": data.weather_classification and _finding(data.weather_classification),
        "violence": data.violence_detection and _finding(data.violence_detection),
        "texts": [
            {"text": spelled(line.text), "confidence": wire.share(line.confidence), "bbox": wire.xywh(line.bbox)}
            for line in extracted
        ],
        "household": [_finding(match) for match in household],
        "conflicts": [_conflict(conflict) for conflict in data.conflicts],
        "skipped": dict(data.skipped_of_pictures),
    }


def _conflict(conflict: Conflict) -> Json:
    return {
        "detection": spelled(conflict.detection_id),
        "rule": conflict.rule,
        "said": [spelled(str(statement)) for statement in conflict.said],
        "holds": conflict.holds,
        "reason": spelled(conflict.reason),
    }


def _detection(event: Event, detection: DetectionInput) -> Json:
    return {
        "id": spelled(detection.id),
        "class": spelled(detection.class_name),
        "confidence": wire.share(detection.confidence),
        "bbox": wire.xywh(box_in_picture(event, detection)),
        "enrichment": _enrichment(event, detection),
    }


def _enrichment(event: Event, detection: DetectionInput) -> Json:
    answers = answers_of(event, detection)
    found = {name: getattr(answers, name) for name in ASKED_FOR}
    told = {name: value and _finding(value) for name, value in found.items() if value or name in answers.nothing}
    errors = {model: spelled(sentence) for model, sentence in answers.errors.items()}
    told |= _over_time(event.enrichment.data or EnrichmentResult(), detection.id)
    return told | {"skipped": answers.skipped, "errors": errors}


def _over_time(data: EnrichmentResult, key: str) -> Json:
    """What follows from more than one picture: which way it moves, what its plate reads in all, whom it resembles."""
    moved = data.depth_analysis.approaches.get(key) if data.depth_analysis else None
    seen = data.person_reid_matches.get(key) or data.vehicle_reid_matches.get(key)
    told: Json = {} if moved is None or moved.movement is None else {"movement": moved.movement}
    if (voted := data.plate_votes.get(key)) is not None:
        told["plate_vote"] = _vote(voted)
    return told | ({"seen_before": [_finding(match) for match in seen]} if seen else {})


def _vote(voted: PlateVote) -> Json:
    """What the readings of a plate say together; the text is empty where they do not decide it."""
    return {
        "text": spelled(voted.text),
        "confidence": wire.share(voted.confidence),
        "readings": voted.readings,
        "agreeing": voted.agreeing,
        "reason": spelled(voted.reason),
    }


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
    return spelled(value) if isinstance(value, str) else value


def risk_to_json(risk: RiskAssessment) -> Json:
    """A judgement."""
    return {
        "risk_score": risk.risk_score,
        "risk_level": risk.risk_level,
        "summary": spelled(risk.summary),
        "reasoning": spelled(risk.reasoning),
        "reasons": [spelled(str(reason)) for reason in risk.reasons],
        "source": spelled(risk.source),
        "version": spelled(risk.version),
        "bounds": [
            {"name": bound.name, "before": bound.before, "after": bound.after, "reason": spelled(bound.why)}
            for bound in risk.bounds
        ],
        "entities": [
            {"type": spelled(one.kind), "description": spelled(one.description), "threat_level": one.threat_level}
            for one in risk.entities
        ],
        "flags": [
            {"type": spelled(flag.kind), "description": spelled(flag.description), "severity": flag.severity}
            for flag in risk.flags
        ],
        "recommended_action": risk.recommended_action,
        "confidence_factors": risk.confidence_factors and asdict(risk.confidence_factors),
        "latency_ms": None if risk.latency_ms is None else wire.rounded(risk.latency_ms, MS_DECIMALS),
        "fallback": _maybe_text(risk.fallback),
    }


def _maybe_text(text: str | None) -> str | None:
    return None if text is None else spelled(text)
