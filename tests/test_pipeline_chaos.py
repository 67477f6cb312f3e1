"""Each model failing, hanging or talking nonsense in turn: the rest of the result is as if it were not there."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

import pytest

from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import InferenceFailed, LoadFailed, QueueFull
from hearthwatch.pipeline import DetectionInput, EnrichmentPipeline, EnrichmentResult, EnrichmentTrackingResult
from hearthwatch.pipeline.looks import Look, standard_looks
from hearthwatch.selection import FOLLOW_UPS, get_models_for_detection_type, models_beside, models_of_picture
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from scene import FakeRunner, detection, photo, picture

DETECTIONS = [
    detection("p1", "person", Box(10, 10, 40, 100)),
    detection("p2", "person", Box(50, 10, 80, 100), suspicious_score=80.0),
    detection("c1", "car", Box(90, 50, 150, 110)),
    detection("d1", "dog", Box(5, 80, 30, 118)),
    detection("b1", "bird", Box(100, 5, 110, 12)),
]
KINDS = [found.class_name for found in DETECTIONS]
#: Every model that these detections deserve.
ASKED = sorted(
    {name for kind in KINDS for name in get_models_for_detection_type(kind) + models_beside(kind)}
    | {*FOLLOW_UPS.values(), *models_of_picture(KINDS), "demographics"}
)
#: Where what happened is told, which is what must differ.
TOLD = {"errors", "structured_errors", "skipped", "skipped_of_pictures", "nothing", "processing_time_ms"}
#: Until a model that hangs is left alone. Ample for the others, which answer at once.
PATIENCE_S = 1.0
#: What waits for a model's answer is late when it hangs, and not when it fails.
WAITING_FOR = {"pose_estimator": {"demographics_results"}, "face_detector": {"demographics_results"}}
#: What says by itself why it is not there.
REASONED = {"scene_text": frozenset({"vision_extraction"})}


def track(runner: FakeRunner, looks: tuple[Look, ...] = (), timeout_s: float | None = None) -> EnrichmentTrackingResult:
    pipeline = EnrichmentPipeline(runner, looks=looks, timeout_s=timeout_s)
    return asyncio.run(pipeline.enrich_batch_with_tracking(DETECTIONS, {None: picture()}, "porch"))


def facts(tracked: EnrichmentTrackingResult, but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Everything that was found out, without how it went and how long it took."""
    assert tracked.data is not None
    names = {field.name for field in fields(EnrichmentResult)} - TOLD - but
    return {name: getattr(tracked.data, name) for name in sorted(names)}


class Nonsense(FakeRunner):
    """One model answers with what no model ever finds."""

    def __init__(self, model: str, answer: Any) -> None:
        super().__init__()
        self.model, self.answer = model, answer

    async def run(self, call: ModelCall) -> list[Outcome]:
        outcomes = await super().run(call)
        if call.model != self.model:
            return outcomes
        return [Outcome(call.model, self.answer, weights="real", timings=one.timings) for one in outcomes]


@pytest.mark.parametrize("model", ASKED)
@pytest.mark.parametrize(
    "misbehave",
    [
        lambda model: FakeRunner(fails={model: InferenceFailed("broken")}),
        lambda model: FakeRunner(fails={model: LoadFailed("no engine")}),
        lambda model: FakeRunner(breaks={model: OSError("the disk is gone")}),
        lambda model: FakeRunner(miscounts=frozenset({model})),
        lambda model: Nonsense(model, "a text"),
        lambda model: Nonsense(model, {"confidence": 1.0}),
        lambda model: Nonsense(model, object()),
    ],
    ids=["fails", "does not load", "raises", "miscounts", "says a text", "says a dictionary", "says anything"],
)
def test_a_model_that_misbehaves_costs_what_it_would_have_found(
    model: str, misbehave: Callable[[str], FakeRunner]
) -> None:
    without = track(FakeRunner(lacks=frozenset({model})))
    tracked, but = track(misbehave(model)), REASONED.get(model, frozenset())
    assert facts(tracked, but) == facts(without, but)
    assert tracked.failed_models == [model]
    assert tracked.successful_models == without.successful_models
    assert tracked.is_partial


@pytest.mark.parametrize("model", ASKED)
def test_a_model_that_hangs_costs_what_it_would_have_found(model: str) -> None:
    late = frozenset(WAITING_FOR.get(model, ())) | REASONED.get(model, frozenset())
    without = track(FakeRunner(lacks=frozenset({model})))

    async def scenario() -> EnrichmentTrackingResult:
        runner = FakeRunner(waits={model: asyncio.Event()})
        pipeline = EnrichmentPipeline(runner, looks=(), timeout_s=PATIENCE_S)
        async with asyncio.timeout(30):
            return await pipeline.enrich_batch_with_tracking(DETECTIONS, {None: picture()}, "porch")

    tracked = asyncio.run(scenario())
    assert facts(tracked, late) == facts(without, late)
    assert model in tracked.failed_models
    assert "deadline" in tracked.errors[model]


def _scene(runner: FakeRunner) -> Any:
    """What is told of the scene, by a pipeline whose CLIP misbehaves."""

    async def scenario() -> EnrichmentTrackingResult:
        pipeline = EnrichmentPipeline(runner, timeout_s=PATIENCE_S)
        async with asyncio.timeout(30):
            return await pipeline.enrich_batch_with_tracking(DETECTIONS, {None: picture()}, "porch")

    data = asyncio.run(scenario()).data
    assert data is not None
    return data.scene_change


@pytest.mark.parametrize(
    "misbehave",
    [
        lambda: FakeRunner(fails={"clip": InferenceFailed("broken")}),
        lambda: FakeRunner(breaks={"clip": OSError("the disk is gone")}),
        lambda: FakeRunner(miscounts=frozenset({"clip"})),
        lambda: FakeRunner(waits={"clip": asyncio.Event()}),
        lambda: Nonsense("clip", "a text"),
    ],
    ids=["fails", "raises", "miscounts", "hangs", "says a text"],
)
def test_a_model_that_a_look_asks_costs_what_it_would_have_added(misbehave: Callable[[], FakeRunner]) -> None:
    without = _scene(FakeRunner(lacks=frozenset({"clip"})))
    assert without is not None
    assert _scene(misbehave()) == without


class Broken:
    """A look that raises."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name, self.error = name, error

    async def look(self, *_args: Any) -> Any:
        raise self.error


@pytest.mark.parametrize("name", [look.name for look in standard_looks()])
@pytest.mark.parametrize("error", [InferenceFailed("broken"), ZeroDivisionError("division by zero")], ids=repr)
def test_a_look_that_fails_costs_its_own_finding(name: str, error: Exception) -> None:
    def looks(*, broken: bool) -> tuple[Look, ...]:
        others = [look for look in standard_looks() if look.name != name]
        return (*others, *([Broken(name, error)] if broken else []))

    without, tracked = track(FakeRunner(), looks(broken=False)), track(FakeRunner(), looks(broken=True))
    assert facts(tracked) == facts(without)
    assert tracked.failed_models == [name]
    assert name not in tracked.successful_models


# --------------------------------------------------------------------------------------------------- ten thousand

BATCH, BATCHES = 20, 500
FAULTY = 0.1
#: What may be left after 10,000 detections, MiB: the pace of each model, and what Python keeps of its own.
LEFT_MIB = 4.0


class Faulty(FakeRunner):
    """Every tenth call goes wrong in one of five ways."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random, self.faults = random.Random(seed), 0

    async def run(self, call: ModelCall) -> list[Outcome]:
        self.calls.clear()
        self.answered.clear()
        outcomes = await super().run(call)
        if self.random.random() >= FAULTY:
            return outcomes
        self.faults += 1
        fault = self.random.randrange(5)
        if fault == 0:
            raise ConnectionResetError("the peer is gone")
        if fault == 1:
            return outcomes[:-1]
        errors = {2: InferenceFailed("broken"), 3: QueueFull("too many calls wait")}
        if fault in errors:
            return [Outcome(call.model, error=errors[fault]) for _ in outcomes]
        return [Outcome(call.model, "nonsense", weights="real") for _ in outcomes]


def _batch(number: int, data: bytes) -> tuple[list[DetectionInput], dict[str | None, Picture | bytes]]:
    """Twenty detections on two pictures, one of them now and then no picture at all."""
    chosen = random.Random(number)
    kinds = ("person", "car", "truck", "dog", "cat", "bird", "bench")
    detections = [detection(f"d{i}", chosen.choice(kinds), Box(5 * i, 10, 5 * i + 40, 100)) for i in range(BATCH)]
    own: bytes = b"no picture" if number % 10 == 0 else data
    return detections, {None: data, **{f"d{i}": own for i in range(0, BATCH, 4)}}


def _accounted(result: EnrichmentResult) -> set[str]:
    """Every detection that the result says anything about."""
    found: set[str] = {error.detection_id for error in result.structured_errors if error.detection_id is not None}
    for field in fields(EnrichmentResult):
        value = getattr(result, field.name)
        if isinstance(value, Mapping):
            found |= value.keys()
    return found | set(result.depth_analysis.distances if result.depth_analysis else ())


def test_of_ten_thousand_detections_with_faults_none_is_lost_and_memory_stays_bounded() -> None:
    data, runner = photo(), Faulty(7)
    pipeline = EnrichmentPipeline(runner, looks=())

    async def some(numbers: range) -> int:
        failures = 0
        for number in numbers:
            detections, images = _batch(number, data)
            tracked = await pipeline.enrich_batch_with_tracking(detections, images, "porch")
            assert tracked.data is not None
            assert _accounted(tracked.data) >= {one.id for one in detections}, f"batch {number}"
            assert set(tracked.failed_models).isdisjoint(tracked.successful_models)
            failures += len(tracked.failed_models)
        return failures

    async def scenario() -> tuple[int, float]:
        warm = await some(range(20))
        gc.collect()
        tracemalloc.start()
        failures = await some(range(20, BATCHES))
        gc.collect()
        left, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return warm + failures, left / 2**20

    failures, left_mib = asyncio.run(scenario())
    assert runner.faults > 100
    assert failures > 100
    assert left_mib < LEFT_MIB, f"{left_mib:.1f} MiB are left after {BATCHES * BATCH} detections"
