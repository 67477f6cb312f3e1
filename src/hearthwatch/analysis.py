"""One picture becomes an assessed event: detect, enrich, collect facts, judge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.models.threat_detector import SEVERITIES
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, Detection
from hearthwatch.pipeline import (
    DetectionInput,
    EnrichmentPipeline,
    EnrichmentResult,
    EnrichmentStatus,
    EnrichmentTrackingResult,
)
from hearthwatch.prompt.fact import Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import RiskAssessment, assess
from hearthwatch.vision.picture import Picture

DETECTOR = "yolo26"
#: CONTRACT.md's default of `/detect`; `--confidence` changes it.
DEFAULT_CONFIDENCE = 0.5
#: Whoever judges an event, by its facts and what they were made of.
Judge = Callable[[Scene, Sequence[DetectionInput], EnrichmentResult | None], Awaitable[RiskAssessment]]


async def by_rules(
    scene: Scene, _detections: Sequence[DetectionInput], _enrichment: EnrichmentResult | None
) -> RiskAssessment:
    """The judge of an installation without a language model."""
    return assess(scene)


@dataclass(slots=True)
class Event:
    """One assessed picture.

    Attributes:
        source: the file, or the file and the moment in it.
        camera: its name, where somebody said it.
        time: local time, where somebody or the picture said it.
        picture: what was looked at.
        detections: with boxes in picture pixels.
        enrichment: what is known about them.
        scene: the facts that the judgement rests on.
        risk: the judgement.
        weights: real, sample or custom by model.
        timings_ms: `decode`, each model's preprocessing, network and postprocessing, `language_model` where one judged,
            and `total`.
        infer_ms: time inside the engines by model.
    """

    source: str
    camera: str | None
    time: datetime | None
    picture: Picture
    detections: list[DetectionInput]
    enrichment: EnrichmentTrackingResult
    scene: Scene
    risk: RiskAssessment
    weights: dict[str, str] = field(default_factory=dict)
    timings_ms: dict[str, float] = field(default_factory=dict)
    infer_ms: dict[str, float] = field(default_factory=dict)

    @property
    def status(self) -> EnrichmentStatus:
        """How the enrichment went."""
        return self.enrichment.status

    @property
    def errors(self) -> list[str]:
        """What failed, as sentences."""
        return self.enrichment.data.errors if self.enrichment.data else []


class Analyzer:
    """Turns pictures into events.

    Args:
        runner: where the models run.
        confidence: the lowest confidence of a detection that counts.
        judge: who says how much attention an event deserves.
    """

    def __init__(self, runner: Runner, *, confidence: float = DEFAULT_CONFIDENCE, judge: Judge = by_rules) -> None:
        self._runner = runner
        self._pipeline = EnrichmentPipeline(runner)
        self._confidence = confidence
        self._judge = judge

    async def analyze(
        self,
        picture: Picture,
        source: str,
        *,
        camera: str | None = None,
        when: datetime | None = None,
        detections: Sequence[DetectionInput] | None = None,
    ) -> Event:
        """Detect (unless the detections are given), enrich and judge one picture.

        Raises:
            ImageError: the picture cannot be decoded.
            HearthwatchError: the detector failed, so that nothing can be said.
        """
        started = time.perf_counter()
        await asyncio.to_thread(picture.image)  # decoded once; everything below looks at the same pixels
        weights: dict[str, str] = {}
        timings: dict[str, float] = {"decode": picture.decode_ms}
        infer: dict[str, float] = {}
        if detections is None:
            outcome = await self._detect(picture)
            weights[DETECTOR], timings[DETECTOR] = outcome.weights, outcome.inference_time_ms
            infer[DETECTOR] = outcome.infer_ms
            detections = _as_inputs(outcome.result.detections, self._confidence, camera, when)
        else:
            detections = [
                replace(one.in_picture(*picture.size), camera=one.camera or camera, time=one.time or when)
                for one in detections
            ]
        tracked = await self._pipeline.enrich_batch_with_tracking(detections, {None: picture}, camera)
        scene = collect_facts(detections, tracked.data, when, camera)
        risk = await self._judge(scene, detections, tracked.data)
        timings |= {} if risk.latency_ms is None else {"language_model": risk.latency_ms}
        timings |= tracked.timings_ms | {"total": (time.perf_counter() - started) * 1000}
        return Event(source, camera, when, picture, list(detections), tracked, scene, risk, weights | tracked.weights,
                     timings, infer | tracked.infer_ms)  # fmt: skip

    async def _detect(self, picture: Picture) -> Outcome:
        outcome = (await self._runner.run(ModelCall(DETECTOR, picture)))[0]
        if outcome.error is not None:
            raise outcome.error
        return outcome


def _as_inputs(
    found: Collection[Detection], confidence: float, camera: str | None, when: datetime | None
) -> list[DetectionInput]:
    """What a home camera is asked about, and anything that could be a weapon; ids count up per class."""
    inputs: list[DetectionInput] = []
    counts: dict[str, int] = {}
    for detection in found:
        name = detection.class_name
        wanted = name.lower() in {*DEFAULT_CLASSES, *SEVERITIES}
        if detection.confidence < confidence or not wanted:
            continue
        stem = name.replace(" ", "_")
        counts[stem] = counts.get(stem, 0) + 1
        key = f"{stem}-{counts[stem]}"
        inputs.append(DetectionInput(key, name, detection.confidence, detection.box, camera=camera, time=when))
    return inputs
