"""One picture's detections: select models, run them at the same time, isolate failures, collect.

`/enrich` and the pipeline both call this. A model that fails costs its own part of the answer and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.errors import HearthwatchError, ImageError, InferenceFailed, WeightsMissing
from hearthwatch.selection import FOLLOW_UPS, get_models_for_detection_type, models_beside
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture

#: A detection whose score is above it is suspicious (DESIGN.md).
SUSPICIOUS_SCORE = 50.0
NOT_IN_THIS_VERSION = "not part of this version"
#: Who failed when it was no model: the picture or the detection itself could not be used.
PIPELINE = "pipeline"


class Subject(Protocol):
    """What enrichment needs to know of a detection."""

    @property
    def id(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def bbox(self) -> Box: ...
    @property
    def suspicious_score(self) -> float: ...


@dataclass(slots=True)
class DetectionEnrichment:
    """What is known about one detection, by model.

    Attributes:
        results: what models found.
        nothing: models that answered and found nothing here.
        skipped: models that were not asked, with the reason.
        errors: models that failed; `PIPELINE` where the picture could not be decoded, which is no model's failure.
    """

    results: dict[str, Any] = field(default_factory=dict)
    nothing: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, HearthwatchError] = field(default_factory=dict)


@dataclass(slots=True)
class PictureEnrichment:
    """What is known about one picture's detections.

    Attributes:
        detections: by detection id.
        succeeded: models that answered for all that they were asked about, in order of name.
        failed: the first error of each model that failed.
        weights: real, sample or custom by model.
        timings_ms: preprocessing, network and postprocessing by model.
        infer_ms: the part of it inside the engines, by model.
    """

    detections: dict[str, DetectionEnrichment] = field(default_factory=dict)
    succeeded: list[str] = field(default_factory=list)
    failed: dict[str, HearthwatchError] = field(default_factory=dict)
    weights: dict[str, str] = field(default_factory=dict)
    timings_ms: dict[str, float] = field(default_factory=dict)
    infer_ms: dict[str, float] = field(default_factory=dict)


async def enrich_picture(
    runner: Runner, picture: Picture, subjects: Sequence[Subject], *, deadline: float | None = None
) -> PictureEnrichment:
    """Run every model that these detections deserve on one picture.

    Args:
        runner: where the models run.
        picture: that all boxes refer to.
        subjects: the detections, with boxes inside the picture.
        deadline: seconds of `time.monotonic`; None waits.
    """
    enrichment = PictureEnrichment({subject.id: DetectionEnrichment() for subject in subjects})
    plan = _plan(runner, subjects, enrichment)
    await asyncio.gather(*(_run(runner, picture, model, asked, enrichment, deadline) for model, asked in plan.items()))
    enrichment.succeeded = sorted(set(enrichment.weights) - set(enrichment.failed))
    return enrichment


def _plan(runner: Runner, subjects: Sequence[Subject], enrichment: PictureEnrichment) -> dict[str, list[Subject]]:
    """Each model with the detections that it is asked about; what is not offered is written down as skipped."""
    plan: dict[str, list[Subject]] = {}
    for subject in subjects:
        suspicious = subject.suspicious_score > SUSPICIOUS_SCORE
        for model in get_models_for_detection_type(subject.class_name, suspicious) + models_beside(subject.class_name):
            if runner.offers(model):
                plan.setdefault(model, []).append(subject)
            else:
                enrichment.detections[subject.id].skipped[model] = NOT_IN_THIS_VERSION
    return plan


async def _run(
    runner: Runner,
    picture: Picture,
    model: str,
    asked: Sequence[Subject],
    enrichment: PictureEnrichment,
    deadline: float | None,
) -> None:
    """One model for all its detections, then the model that looks at what it found."""
    boxes = {subject.id: subject.bbox for subject in asked}
    outcomes = await _ask(runner, ModelCall(model, picture, tuple(boxes.values()), deadline=deadline))
    found = _collect(model, dict(zip(boxes, outcomes, strict=True)), enrichment)
    follow_up = FOLLOW_UPS.get(model)
    if follow_up is None or not found:
        return
    if not runner.offers(follow_up):
        for key in found:
            enrichment.detections[key].skipped[follow_up] = NOT_IN_THIS_VERSION
        return
    inner = tuple(result.box for result in found.values())
    outcomes = await _ask(runner, ModelCall(follow_up, picture, inner, deadline=deadline))
    _collect(follow_up, dict(zip(found, outcomes, strict=True)), enrichment)


async def _ask(runner: Runner, call: ModelCall) -> list[Outcome]:
    """One outcome per box, also from a runner that breaks its promise."""
    try:
        outcomes = await runner.run(call)
    except Exception as error:  # noqa: BLE001 - the other models' answers must not be lost with this one's
        failure = InferenceFailed(f"{call.model} could not be asked: {type(error).__name__}: {error}")
        return [Outcome(call.model, error=failure)] * len(call.boxes)
    if len(outcomes) != len(call.boxes):
        miscounted = InferenceFailed(f"{call.model} gave {len(outcomes)} answers to {len(call.boxes)} questions")
        return [Outcome(call.model, error=miscounted)] * len(call.boxes)
    return outcomes


def _collect(model: str, outcomes: Mapping[str, Outcome], enrichment: PictureEnrichment) -> dict[str, Any]:
    """File each outcome under its detection; what was found, by detection."""
    found: dict[str, Any] = {}
    for key, outcome in outcomes.items():
        detection = enrichment.detections[key]
        if isinstance(outcome.error, WeightsMissing) and not outcome.error.named:
            # Nobody installed it: an absent enrichment, not a failure of this picture. A wrong path is a failure.
            detection.skipped[model] = "no sample weights exist" if outcome.error.sample else "no weights installed"
        elif isinstance(outcome.error, ImageError):
            detection.errors[PIPELINE] = outcome.error
        elif outcome.error is not None:
            detection.errors[model] = outcome.error
            enrichment.failed.setdefault(model, outcome.error)
        elif outcome.result is None:
            detection.nothing.append(model)
        else:
            detection.results[model] = found[key] = outcome.result
    _account(model, list(outcomes.values()), enrichment)
    return found


def _account(model: str, outcomes: Sequence[Outcome], enrichment: PictureEnrichment) -> None:
    # All boxes of one call share its time, so one outcome speaks for the call.
    answered = next((outcome for outcome in outcomes if outcome.done), None)
    if answered is not None:
        enrichment.weights[model] = answered.weights
        enrichment.timings_ms[model] = answered.inference_time_ms
        enrichment.infer_ms[model] = answered.infer_ms
