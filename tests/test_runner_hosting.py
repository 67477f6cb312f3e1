"""Calls in this process: who waits, who is refused, who is answered together, and what a model's row says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from fakes import FakeEngine
from hearthwatch.adapter.loading import bundled_description, load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.enrichment import ModelCall, Outcome
from hearthwatch.errors import BadBox, DeadlineExceeded, Draining, ImageError, OutOfMemory, QueueFull
from hearthwatch.hosting import LocalRunner, ModelState, OnDemandModelManager
from hearthwatch.hosting.answer import SQUASH_RESERVE, reduced_side
from hearthwatch.hosting.rows import WeightsRow
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import Array, Tensors
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import cosine_similarity
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.picture import Picture
from scene import cut_off, photo
from toy import FIRST, SECOND, THIRD, Clock, EndlessMemory, Gates, MeanColor, ToyEngine, mean_color, write_network

RED, BLUE = (200, 10, 20), (30, 40, 250)
LEFT, RIGHT = Box(0, 0, 40, 60), Box(40, 0, 80, 60)
WALL = datetime(2026, 5, 4, 12, 0, tzinfo=UTC).timestamp()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: write_network(folder / f"{name}.onnx") for name in (FIRST, SECOND, THIRD)}


@dataclass
class GatedEngine(ToyEngine):
    """Answers only while its gate is open, and remembers the batches that it was given.

    Attributes:
        gate: calls wait for it.
        began: set when a call waits.
        batches: sizes, in order.
        breaks: raised instead of an answer, one after the other.
    """

    gate: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    batches: list[int] = field(default_factory=list)
    breaks: list[Exception] = field(default_factory=list)

    def _answer(self, inputs: Tensors) -> dict[str, Array]:
        answer = super()._answer(inputs)
        if len(self.threads) <= len(self.asked):  # the answer that a model gives before it counts as loaded
            return answer
        self.batches.append(len(answer["mean"]))
        self.began.set()
        self.gate.wait(timeout=60)
        if self.breaks:
            raise self.breaks.pop(0)
        return answer


def two_colors() -> Picture:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = RED, BLUE
    return Picture.of(pixels)


def ask(model: str = FIRST, *boxes: Box, **fields: Any) -> ModelCall:
    return ModelCall(model, fields.pop("picture", None) or two_colors(), boxes, **fields)


def runner_of(
    weights: dict[str, Path], engine: FakeEngine, *, clock: Callable[[], float] | None = None, **settings: Any
) -> LocalRunner:
    options = LoadOptions(Path("/nowhere"), paths=dict(weights), precision="f32", engines=(engine,))
    clock = clock or Clock()
    manager = OnDemandModelManager(10_000, memory=EndlessMemory(), clock=clock)
    models = settings.pop("models", None) or [mean_color(name) for name in weights]
    return LocalRunner(options, models, manager=manager, clock=clock, wall=lambda: WALL, **settings)


def run(scenario: Callable[[LocalRunner], Awaitable[Any]], runner: LocalRunner) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(60), runner:
            result = await scenario(runner)
        await runner.manager.close()
        return result

    return asyncio.run(within())


async def until(condition: Callable[[], object]) -> None:
    # The condition changes in another thread, which can set no asyncio event.
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def answers(outcomes: list[Outcome]) -> list[Any]:
    assert all(outcome.done for outcome in outcomes), outcomes[0].error
    return [outcome.result for outcome in outcomes]


def error_of(outcomes: list[Outcome]) -> BaseException:
    (error,) = {id(outcome.error): outcome.error for outcome in outcomes}.values()
    assert error is not None
    return error


# -------------------------------------------------------------------------------------------------------------- queue


def test_a_call_too_many_is_refused_and_the_others_are_answered(weights: dict[str, Path]) -> None:
    engine = GatedEngine()

    async def scenario(runner: LocalRunner) -> None:
        await runner.load(FIRST)
        running = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(engine.began.is_set)
        waiting = [asyncio.create_task(runner.run(ask(FIRST, LEFT))) for _ in range(2)]
        await until(lambda: runner.waiting(FIRST) == 2)
        error = error_of(await runner.run(ask(FIRST, LEFT, RIGHT)))
        assert isinstance(error, QueueFull)
        assert "allowed 2" in str(error)
        engine.gate.set()
        for task in [running, *waiting]:
            assert answers(await task) == [RED]

    run(scenario, runner_of(weights, engine, queue_limit=2))


def test_calls_that_wait_for_a_load_are_limited_too(weights: dict[str, Path]) -> None:
    gates = Gates({FIRST: threading.Event()})

    async def scenario(runner: LocalRunner) -> None:
        waiting = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(gates.arrived.is_set)
        assert isinstance(error_of(await runner.run(ask(FIRST))), QueueFull)
        gates.closed[FIRST].set()
        assert answers(await waiting) == [RED]

    run(scenario, runner_of(weights, ToyEngine(before=gates), queue_limit=1))


def test_a_model_that_needs_all_threads_leaves_the_other_worker_to_others(weights: dict[str, Path]) -> None:
    engine = GatedEngine()

    async def scenario(runner: LocalRunner) -> None:
        for name in (FIRST, SECOND):
            await runner.load(name)
        first = [asyncio.create_task(runner.run(ask(FIRST, LEFT))) for _ in range(2)]
        await until(engine.began.is_set)
        second = asyncio.create_task(runner.run(ask(SECOND, LEFT)))
        await until(lambda: len(engine.batches) == 2)
        assert (runner.waiting(FIRST), runner.waiting(SECOND)) == (1, 0)
        engine.gate.set()
        for task in [*first, second]:
            assert answers(await task) == [RED]

    run(scenario, runner_of(weights, engine, threads=2))


# ------------------------------------------------------------------------------------------------------ who waits not


def test_a_call_that_was_cancelled_before_its_turn_costs_no_decode_and_no_inference(weights: dict[str, Path]) -> None:
    engine, picture = GatedEngine(), Picture(photo())

    async def scenario(runner: LocalRunner) -> None:
        await runner.load(FIRST)
        running = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(engine.began.is_set)
        leaver = asyncio.create_task(runner.run(ask(FIRST, picture=picture)))
        await until(lambda: runner.waiting(FIRST) == 1)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert runner.waiting(FIRST) == 0
        engine.gate.set()
        answers(await running)

    run(scenario, runner_of(weights, engine))
    assert (picture.decodes, engine.batches) == (0, [1])


def test_who_leaves_during_inference_leaves_the_model_leased_until_the_thread_is_done(weights: dict[str, Path]) -> None:
    engine = GatedEngine()

    async def scenario(runner: LocalRunner) -> None:
        await runner.load(FIRST)
        leaver = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(engine.began.is_set)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        unloading = asyncio.create_task(runner.manager.unload_model(FIRST))
        await asyncio.sleep(0)
        assert runner.model_state(FIRST).leases == 1
        assert not engine.runtimes[0].closed
        engine.gate.set()
        await unloading
        assert engine.runtimes[0].closed

    run(scenario, runner_of(weights, engine))


def test_closing_waits_for_a_thread_whose_caller_left(weights: dict[str, Path]) -> None:
    engine = GatedEngine()

    async def scenario(runner: LocalRunner) -> None:
        leaver = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(engine.began.is_set)
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        closing = asyncio.create_task(runner.close())
        await asyncio.sleep(0)
        assert not closing.done()
        engine.gate.set()
        await closing
        assert runner.model_state(FIRST).leases == 0

    run(scenario, runner_of(weights, engine))


def test_nobody_waits_for_an_answer_beyond_the_deadline(weights: dict[str, Path]) -> None:
    engine, clock = GatedEngine(), Clock()

    async def scenario(runner: LocalRunner) -> None:
        await runner.load(FIRST)
        error = error_of(await runner.run(ask(FIRST, LEFT, RIGHT, deadline=clock.now + 0.05)))
        assert isinstance(error, DeadlineExceeded)
        assert str(error) == f"the deadline passed before {FIRST} answered"
        engine.gate.set()

    run(scenario, runner_of(weights, engine, clock=clock))


def test_a_draining_runner_answers_what_it_has_and_takes_no_more(weights: dict[str, Path]) -> None:
    engine = GatedEngine()

    async def scenario(runner: LocalRunner) -> None:
        running = asyncio.create_task(runner.run(ask(FIRST, LEFT)))
        await until(engine.began.is_set)
        draining = asyncio.create_task(runner.drain())
        await asyncio.sleep(0)
        assert isinstance(error_of(await runner.run(ask(FIRST, LEFT))), Draining)
        assert not draining.done()
        engine.gate.set()
        await draining
        assert answers(await running) == [RED]

    run(scenario, runner_of(weights, engine))


# ------------------------------------------------------------------------------------------------------------ batches


async def _behind_a_gate(runner: LocalRunner, engine: GatedEngine, calls: list[ModelCall]) -> list[list[Outcome]]:
    """The outcomes of calls that all wait when the worker becomes free."""
    await runner.load(FIRST)
    first = asyncio.create_task(runner.run(ask(FIRST)))
    await until(engine.began.is_set)
    waiting = [asyncio.create_task(runner.run(call)) for call in calls]
    await until(lambda: runner.waiting(FIRST) == len(calls))
    engine.gate.set()
    await first
    return list(await asyncio.gather(*waiting))


QUESTIONS: tuple[tuple[Box, ...], ...] = ((LEFT,), (RIGHT, LEFT, RIGHT), (), (RIGHT,))


def test_calls_that_are_answered_together_get_what_they_would_get_alone(weights: dict[str, Path]) -> None:
    alone, together = GatedEngine(), GatedEngine()
    calls = [ask(FIRST, *boxes) for boxes in QUESTIONS]
    singles = run(lambda runner: _behind_a_gate(runner, alone, calls), runner_of(weights, alone, max_batch=1))
    batched = run(lambda runner: _behind_a_gate(runner, together, calls), runner_of(weights, together, max_batch=8))
    assert [answers(outcomes) for outcomes in batched] == [answers(outcomes) for outcomes in singles]
    assert (alone.batches, together.batches) == ([1, 1, 3, 1, 1], [1, 6])


def test_on_a_processor_calls_are_answered_one_by_one_unless_somebody_says_otherwise(weights: dict[str, Path]) -> None:
    engine = GatedEngine()
    run(lambda runner: _behind_a_gate(runner, engine, [ask(FIRST, LEFT)] * 2), runner_of(weights, engine))
    assert engine.batches == [1, 1, 1]


def test_a_bad_call_costs_those_beside_it_nothing(weights: dict[str, Path]) -> None:
    engine = GatedEngine()
    calls = [
        ask(FIRST, LEFT),
        ask(FIRST, Box(500, 500, 600, 600)),
        ask(FIRST, picture=Picture(cut_off())),
        ask(FIRST, RIGHT),
    ]
    outcomes = run(lambda runner: _behind_a_gate(runner, engine, calls), runner_of(weights, engine, max_batch=8))
    assert (answers(outcomes[0]), answers(outcomes[3])) == ([RED], [BLUE])
    assert isinstance(error_of(outcomes[1]), BadBox)
    assert isinstance(error_of(outcomes[2]), ImageError)


def test_a_model_with_its_own_way_of_looking_at_boxes_is_never_asked_about_two_pictures(
    weights: dict[str, Path],
) -> None:
    engine = GatedEngine()
    own = mean_color(FIRST, for_boxes=lambda _self, _image, boxes, _run: [RED] * len(boxes))
    calls = [ask(FIRST)] * 3
    runner = runner_of(weights, engine, models=[own], max_batch=8)
    for outcomes in run(lambda runner: _behind_a_gate(runner, engine, calls), runner):
        answers(outcomes)
    assert engine.batches == [1, 1, 1, 1]


# ------------------------------------------------------------------------------------------------------------- memory


@pytest.mark.parametrize(("failures", "batches"), [(1, [2, 2]), (2, [2, 2, 1, 1])])
def test_a_call_without_room_is_tried_again_and_then_in_parts_of_one(
    failures: int, batches: list[int], weights: dict[str, Path]
) -> None:
    engine = GatedEngine(breaks=[MemoryError("none left")] * failures)
    engine.gate.set()
    outcomes = run(lambda runner: runner.run(ask(FIRST, LEFT, RIGHT)), runner_of(weights, engine))
    assert answers(outcomes) == [RED, BLUE]
    assert engine.batches == batches


def test_a_call_that_never_finds_room_says_so(weights: dict[str, Path]) -> None:
    engine = GatedEngine(breaks=[MemoryError("none left")] * 3)
    engine.gate.set()
    error = error_of(run(lambda runner: runner.run(ask(FIRST, LEFT, RIGHT)), runner_of(weights, engine)))
    assert isinstance(error, OutOfMemory)
    assert str(error) == f"{FIRST} ran out of memory: MemoryError: none left"
    assert engine.batches == [2, 2, 1]


def test_models_leave_for_others_where_the_budget_has_room_for_one_only(weights: dict[str, Path]) -> None:
    engine = ToyEngine()
    options = LoadOptions(Path("/nowhere"), paths=dict(weights), precision="f32", engines=(engine,))
    declared = mean_color(FIRST).SPEC.declared_mb
    manager = OnDemandModelManager(declared * 1.5, memory=EndlessMemory())
    runner = LocalRunner(options, [mean_color(name) for name in weights], manager=manager)

    async def scenario(runner: LocalRunner) -> list[int]:
        for name in (FIRST, SECOND, THIRD, FIRST):
            assert answers(await runner.run(ask(name, LEFT))) == [RED]
        return [row.evictions for row in runner.model_states()]

    assert run(scenario, runner) == [1, 1, 1]
    assert engine.asked == [FIRST, SECOND, THIRD, FIRST]


# --------------------------------------------------------------------------------------------------------------- rows


def test_a_cold_model_s_row_says_what_is_documented(weights: dict[str, Path]) -> None:
    row = runner_of(weights, ToyEngine()).model_state(FIRST)
    spec = mean_color(FIRST).SPEC
    assert (row.name, row.state, row.cost_source) == (FIRST, ModelState.COLD, "declared")
    assert (row.declared_mb, row.measured_mb, row.priority) == (spec.declared_mb, None, spec.priority)
    assert (row.engine, row.weights, row.last_used, row.passed_over) == ("", None, None, ())


def test_a_ready_model_s_row_says_what_runs_and_with_which_weights(weights: dict[str, Path]) -> None:
    async def scenario(runner: LocalRunner) -> Any:
        outcomes = await runner.run(ask(FIRST, LEFT))
        assert answers(outcomes) == [RED]
        return runner.model_state(FIRST), runner._loaded[FIRST].adapter.description.graph.digest

    row, digest = run(scenario, runner_of(weights, ToyEngine()))
    assert (row.state, row.reason, row.loads, row.leases, row.waiting) == (ModelState.READY, None, 1, 0, 0)
    assert (row.engine, row.device, row.precision) == ("openvino", "cpu", "f32")
    assert row.weights == WeightsRow(f"{FIRST}.onnx", digest, "custom")
    assert row.last_used == datetime.fromtimestamp(WALL, UTC)


def test_a_model_on_the_second_engine_is_degraded_and_says_why(weights: dict[str, Path]) -> None:
    broken = FakeEngine("openvino", failure=OSError("no plug-in"))
    options = LoadOptions(
        Path("/nowhere"), paths=dict(weights), precision="f32", engines=(broken, ToyEngine("onnxruntime"))
    )
    manager = OnDemandModelManager(10_000, memory=EndlessMemory())
    runner = LocalRunner(options, [mean_color(FIRST)], manager=manager)

    async def scenario(runner: LocalRunner) -> Any:
        await runner.load(FIRST)
        return runner.model_state(FIRST)

    row = run(scenario, runner)
    assert (row.state, row.reason) == (ModelState.DEGRADED, "openvino: OSError: no plug-in")
    assert row.passed_over == (("openvino", "OSError: no plug-in"),)


def test_a_model_without_weights_says_where_they_were_looked_for(tmp_path: Path) -> None:
    runner = runner_of({FIRST: tmp_path / "none.onnx"}, ToyEngine())

    async def scenario(runner: LocalRunner) -> Any:
        error_of(await runner.run(ask(FIRST)))
        return runner.model_state(FIRST)

    row = run(scenario, runner)
    assert row.state is ModelState.MISSING_WEIGHTS
    assert str(tmp_path) in " ".join(row.looked_at)
    assert row.remedy
    assert row.retry_at is None


def test_a_failed_model_says_when_it_is_tried_again(weights: dict[str, Path]) -> None:
    async def scenario(runner: LocalRunner) -> Any:
        error_of(await runner.run(ask(FIRST)))
        return runner.model_state(FIRST)

    row = run(scenario, runner_of(weights, FakeEngine(failure=OSError("broken"))))
    assert row.state is ModelState.FAILED
    assert "OSError: broken" in row.reason
    assert row.retry_after_s == 10.0
    assert row.retry_at == datetime.fromtimestamp(WALL + 10, UTC)


# ------------------------------------------------------------------------------------------------------------ timings


def test_an_outcome_says_where_its_time_went(weights: dict[str, Path]) -> None:
    engine, clock = GatedEngine(), Clock()

    async def scenario(runner: LocalRunner) -> Any:
        await runner.load(FIRST)
        running = asyncio.create_task(runner.run(ask(FIRST)))
        await until(engine.began.is_set)
        waiting = asyncio.create_task(runner.run(ask(FIRST, picture=Picture(photo()))))
        await until(lambda: runner.waiting(FIRST) == 1)
        clock.now += 2.5
        engine.gate.set()
        await running
        return (await waiting)[0]

    outcome = run(scenario, runner_of(weights, engine, clock=clock))
    timings = outcome.timings
    assert (timings.queue_ms, timings.load_ms) == (2500.0, 0.0)
    assert timings.decode_ms > 0
    assert outcome.inference_time_ms == timings.preprocess_ms + timings.infer_ms + timings.postprocess_ms


# ----------------------------------------------------------------------------------------------------- reduced pictures


def test_a_picture_that_one_model_alone_looks_at_is_decoded_at_reduced_size(weights: dict[str, Path]) -> None:
    alone, shared = (Picture(smooth(800, 600)) for _ in range(2))

    async def scenario(runner: LocalRunner) -> None:
        small = answers(await runner.run(ask(FIRST, picture=alone, alone=True)))
        full = answers(await runner.run(ask(FIRST, picture=shared)))
        assert np.abs(np.subtract(small, full)).max() <= 3
        answers(await runner.run(ask(FIRST, Box(0, 0, 80, 60), picture=shared, alone=True)))

    run(scenario, runner_of(weights, ToyEngine()))
    # An eighth of the picture is still larger than the toy's eight pixels; boxes are cut from all of it.
    assert alone.image(at_least=100).pixels.shape == (75, 100, 3)
    assert shared.image(at_least=1).pixels.shape == (600, 800, 3)
    assert (alone.decodes, shared.decodes) == (1, 1)


@pytest.mark.parametrize("size", [(1920, 1080), (1080, 1920), (400, 400), (3000, 300)], ids=str)
def test_both_sides_of_a_reduced_picture_keep_more_pixels_than_the_input(size: tuple[int, int]) -> None:
    tall = replace(MeanColor.SPEC, input=InputSpec("pixels", (256, 128)))
    adapter_class = type("Tall", (MeanColor,), {"SPEC": tall})
    adapter = adapter_class(bundled_description(adapter_class))
    side = reduced_side(ask(picture=Picture(photo(*size)), alone=True), adapter)
    assert side is not None
    share = side / max(size)
    height, width = adapter.input.size
    assert size[1] * share >= height * SQUASH_RESERVE - 1
    assert size[0] * share >= width * SQUASH_RESERVE - 1


@pytest.mark.weights
def test_embeddings_of_reduced_pictures_agree_with_those_of_full_ones(assets: Path) -> None:
    name = "person_reid"
    loaded = load(get_model(name), LoadOptions(assets / "weights", precision="f32"))
    compared = 0
    for path in [
        *sorted((assets / "data/persons").rglob("*.jpg"))[:20],
        *sorted((assets / "data/reid").rglob("*.jpg"))[:20],
    ]:
        picture = enlarged(path)
        side = reduced_side(ModelCall(name, picture, alone=True), loaded.adapter)
        reduced, full = Picture(picture.data or b"").image(side), picture.image()
        if reduced.pixels.shape != full.pixels.shape:
            first, second = (loaded.predict([image])[0][0].embedding for image in (reduced, full))
            assert cosine_similarity(first, second) >= 0.998
            compared += 1
    assert compared >= 10


def smooth(width: int, height: int) -> bytes:
    """A JPEG that looks the same at any size."""
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    file = BytesIO()
    PILImage.fromarray(np.broadcast_to(ramp[None, :, None], (height, width, 3))).save(file, "JPEG", quality=95)
    return file.getvalue()


def enlarged(path: Path) -> Picture:
    """A crop as a close camera would send it: 1080 rows."""
    with PILImage.open(path) as crop:
        scale = 1080 / crop.height
        file = BytesIO()
        crop.convert("RGB").resize((round(crop.width * scale), 1080), PILImage.Resampling.BICUBIC).save(file, "JPEG")
    return Picture(file.getvalue())
