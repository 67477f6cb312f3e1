"""Models in this process: who waits for which load, and what a failure costs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.enrichment import ModelCall, Outcome, enrich_picture
from hearthwatch.errors import (
    BadBox,
    DeadlineExceeded,
    Draining,
    InferenceFailed,
    LoadFailed,
    NotAnImage,
    SettingsError,
    StillLoading,
    UnknownModel,
    WeightsInvalid,
    WeightsMissing,
)
from hearthwatch.hosting import LocalRunner, OnDemandModelManager
from hearthwatch.hosting.entry import FIRST_COOL_DOWN_S, LOOK_AGAIN_S
from hearthwatch.models import MODELS, PoseResult, ReIDResult, get_model
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from scene import cut_off, detection, picture
from toy import FIRST, SECOND, THIRD, Clock, EndlessMemory, Gates, MeanColor, ToyEngine, mean_color, write_network

#: Two halves of one colour each.
RED, BLUE = (200, 10, 20), (30, 40, 250)
LEFT, RIGHT = Box(0, 0, 40, 60), Box(40, 0, 80, 60)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("weights")
    return {name: write_network(folder / f"{name}.onnx") for name in (FIRST, SECOND, THIRD)}


def two_colors() -> Picture:
    pixels = np.zeros((60, 80, 3), np.uint8)
    pixels[:, :40], pixels[:, 40:] = RED, BLUE
    return Picture.of(pixels)


def runner_of(
    weights: dict[str, Path], engine: Any, models: Iterable[type[Adapter[Any]]] | None = None, **options: Any
) -> LocalRunner:
    adapters = [mean_color(name) for name in weights] if models is None else models
    clock = options.pop("clock", time.monotonic)
    settings = {"paths": dict(weights), "precision": "f32", "engines": (engine,)} | options
    manager = OnDemandModelManager(10_000, memory=EndlessMemory(), clock=clock)
    return OwnRunner(LoadOptions(Path("/nowhere"), **settings), adapters, manager=manager, clock=clock)


class OwnRunner(LocalRunner):
    """A runner that closes the manager that it was given, as it does with one that it made."""

    async def close(self) -> None:
        await super().close()
        await self.manager.close()


def ask(model: str = FIRST, *boxes: Box, **fields: Any) -> ModelCall:
    return ModelCall(model, fields.pop("picture", None) or two_colors(), boxes, **fields)


def run(scenario: Callable[[LocalRunner], Awaitable[Any]], runner: LocalRunner) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(60), runner:
            return await scenario(runner)

    return asyncio.run(within())


async def until(condition: Callable[[], object]) -> None:
    # The condition changes in another thread, which can set no asyncio event.
    while not condition():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def answers(outcomes: list[Outcome]) -> list[Any]:
    assert all(outcome.done for outcome in outcomes), outcomes[0].error
    return [outcome.result for outcome in outcomes]


def error_of(outcomes: list[Outcome]) -> BaseException:
    """The one error that all outcomes carry."""
    errors = {id(outcome.error): outcome.error for outcome in outcomes}
    assert len(errors) == 1
    (error,) = errors.values()
    assert error is not None
    assert {outcome.result for outcome in outcomes} == {None}
    return error


# ------------------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize("engine", [ToyEngine(), ONNXRuntimeEngine()], ids=["made up", "onnxruntime"])
def test_each_box_gets_its_own_answer_and_no_box_the_whole_picture(weights: dict[str, Path], engine: Any) -> None:
    async def scenario(runner: LocalRunner) -> Any:
        return (
            answers(await runner.run(ask(FIRST, RIGHT, LEFT, RIGHT))),
            answers(await runner.run(ask(FIRST))),
            answers(await runner.run(ask(FIRST, LEFT))),
        )

    three, whole, one = run(scenario, runner_of(weights, engine))
    assert three == [BLUE, RED, BLUE]
    assert one == [RED]
    assert np.abs(np.subtract(whole[0], np.add(RED, BLUE) / 2)).max() <= 1
    assert len(whole) == 1


def test_an_outcome_says_which_weights_answered_and_how_long_it_took(weights: dict[str, Path]) -> None:
    (outcome,) = run(lambda runner: runner.run(ask()), runner_of(weights, ToyEngine()))
    assert (outcome.model, outcome.weights) == (FIRST, "custom")
    assert 0 < outcome.infer_ms <= outcome.inference_time_ms


def test_inference_is_off_the_event_loop(weights: dict[str, Path]) -> None:
    engine = ToyEngine()
    run(lambda runner: runner.run(ask()), runner_of(weights, engine))
    assert engine.threads
    assert threading.main_thread().name not in engine.threads


def test_it_offers_its_models_by_their_canonical_names() -> None:
    runner = LocalRunner(LoadOptions(Path("/nowhere")))
    for model in MODELS:
        assert runner.offers(model.SPEC.name)
    assert not runner.offers("no such model")
    assert not LocalRunner(LoadOptions(Path("/nowhere")), [MeanColor]).offers(SECOND)


def finding(name: str, make: Callable[[tuple[int, int, int]], Any]) -> type[Adapter[Any]]:
    """The toy model of a name, whose colours are told as what that model finds."""

    def postprocess(self: MeanColor, outputs: Any, images: Any) -> list[Any]:
        return [make(color) for color in MeanColor.postprocess(self, outputs, images)]

    return mean_color(name, postprocess=postprocess)


def test_enrichment_runs_on_it(weights: dict[str, Path]) -> None:
    posing = finding(SECOND, lambda color: PoseResult((), str(color), 0.9, (), None))
    looking = finding(THIRD, lambda color: ReIDResult(np.array(color, np.float32), space="toy"))
    runner = runner_of(weights, ToyEngine(), [posing, looking])
    subjects = [detection("a", box=LEFT), detection("b", box=RIGHT)]
    enrichment = run(lambda runner: enrich_picture(runner, two_colors(), subjects), runner)
    for key, color in (("a", RED), ("b", BLUE)):
        found = enrichment.detections[key].results
        assert found[SECOND].posture == str(color)
        assert found[THIRD].embedding.tolist() == list(color)
    assert enrichment.weights == {SECOND: "custom", THIRD: "custom"}


# ------------------------------------------------------------------------------------------------------------ loading


def test_nothing_loads_before_the_first_question(weights: dict[str, Path]) -> None:
    engine = ToyEngine()

    async def scenario(runner: LocalRunner) -> None:
        await asyncio.sleep(0)

    run(scenario, runner_of(weights, engine))
    assert engine.asked == []


def test_many_questions_at_once_load_a_model_once(weights: dict[str, Path]) -> None:
    engine = ToyEngine()

    async def scenario(runner: LocalRunner) -> list[list[Outcome]]:
        first = await asyncio.gather(*(runner.run(ask(FIRST, LEFT)) for _ in range(20)))
        return [*first, await runner.run(ask(FIRST, LEFT))]

    for outcomes in run(scenario, runner_of(weights, engine)):
        assert answers(outcomes) == [RED]
    assert engine.asked == [FIRST]


def test_two_models_load_at_the_same_time(weights: dict[str, Path]) -> None:
    together = threading.Barrier(2)  # neither load ends before both have begun
    engine = ToyEngine(before=lambda _stem: together.wait(timeout=60))

    async def scenario(runner: LocalRunner) -> list[list[Outcome]]:
        return await asyncio.gather(*(runner.run(ask(name, LEFT)) for name in (FIRST, SECOND)))

    assert [answers(outcomes) for outcomes in run(scenario, runner_of(weights, engine))] == [[RED], [RED]]


def test_a_question_to_a_loaded_model_waits_for_nobodys_load(weights: dict[str, Path]) -> None:
    gates = Gates({SECOND: threading.Event(), THIRD: threading.Event()})
    engine = ToyEngine(before=gates)

    async def scenario(runner: LocalRunner) -> None:
        answers(await runner.run(ask(FIRST)))
        slow = [asyncio.create_task(runner.run(ask(name))) for name in (SECOND, THIRD)]
        await until(lambda: {SECOND, THIRD} <= set(engine.asked))
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]
        assert not any(task.done() for task in slow)
        for gate in gates.closed.values():
            gate.set()
        for task in slow:
            answers(await task)

    run(scenario, runner_of(weights, engine))


def test_a_failed_load_is_tried_again_once_it_has_cooled_down(weights: dict[str, Path]) -> None:
    def before(stem: str) -> None:
        if len(engine.asked) == 1:
            raise OSError("no such plug-in")

    engine, clock = ToyEngine(before=before), Clock()

    async def scenario(runner: LocalRunner) -> None:
        for _ in range(2):
            error = error_of(await runner.run(ask(FIRST, LEFT, RIGHT)))
            assert isinstance(error, LoadFailed)
            assert "OSError: no such plug-in" in str(error)
            assert error.retry_after_s == FIRST_COOL_DOWN_S
            assert len(engine.asked) == 1
        clock.now += FIRST_COOL_DOWN_S
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]

    run(scenario, runner_of(weights, engine, clock=clock))
    assert engine.asked == [FIRST] * 2


def test_all_who_wait_for_a_load_that_fails_are_told_and_it_was_tried_once(weights: dict[str, Path]) -> None:
    def before(stem: str) -> None:
        raise OSError("broken")

    engine = ToyEngine(before=before)

    async def scenario(runner: LocalRunner) -> list[list[Outcome]]:
        return await asyncio.gather(*(runner.run(ask()) for _ in range(5)))

    for outcomes in run(scenario, runner_of(weights, engine)):
        assert isinstance(error_of(outcomes), LoadFailed)
    assert engine.asked == [FIRST]


def test_weights_that_arrive_later_are_found_by_a_later_question(tmp_path: Path) -> None:
    path, clock = tmp_path / "late.onnx", Clock()

    async def scenario(runner: LocalRunner) -> None:
        error = error_of(await runner.run(ask(FIRST, LEFT)))
        assert isinstance(error, WeightsMissing)
        assert str(path) in str(error)
        write_network(path)
        clock.now += LOOK_AGAIN_S
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]

    run(scenario, runner_of({FIRST: path}, ToyEngine(), clock=clock))


def test_who_leaves_does_not_cancel_the_load_for_the_others(weights: dict[str, Path]) -> None:
    gates = Gates({FIRST: threading.Event()})
    engine = ToyEngine(before=gates)

    async def scenario(runner: LocalRunner) -> None:
        leaver, stayer = (asyncio.create_task(runner.run(ask(FIRST, LEFT))) for _ in range(2))
        await until(gates.arrived.is_set)
        leaver.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaver
        assert not stayer.done()
        gates.closed[FIRST].set()
        assert answers(await stayer) == [RED]

    run(scenario, runner_of(weights, engine))
    assert engine.asked == [FIRST]


def test_a_load_that_nobody_waits_for_any_more_serves_the_next_question(weights: dict[str, Path]) -> None:
    gates = Gates({FIRST: threading.Event()})
    engine = ToyEngine(before=gates)

    async def scenario(runner: LocalRunner) -> None:
        leaver = asyncio.create_task(runner.run(ask()))
        await until(gates.arrived.is_set)
        leaver.cancel()
        await asyncio.gather(leaver, return_exceptions=True)
        gates.closed[FIRST].set()
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]

    run(scenario, runner_of(weights, engine))
    assert engine.asked == [FIRST]


# ----------------------------------------------------------------------------------------------------------- failures


def test_an_unknown_model_is_an_outcome_that_lists_the_names(weights: dict[str, Path]) -> None:
    runner = runner_of(weights, ToyEngine())
    error = error_of(run(lambda runner: runner.run(ask("no such model", LEFT, RIGHT)), runner))
    assert isinstance(error, UnknownModel)
    assert FIRST in str(error)


def test_a_deadline_that_has_passed_asks_and_loads_nothing(weights: dict[str, Path]) -> None:
    engine = ToyEngine()
    runner = runner_of(weights, engine)
    outcomes = run(lambda runner: runner.run(ask(FIRST, LEFT, RIGHT, deadline=time.monotonic() - 1)), runner)
    assert len(outcomes) == 2
    assert isinstance(error_of(outcomes), DeadlineExceeded)
    assert engine.asked == []


def test_nobody_waits_for_a_slow_load_beyond_the_deadline_and_the_load_goes_on(weights: dict[str, Path]) -> None:
    gates = Gates({FIRST: threading.Event()})
    engine = ToyEngine(before=gates)

    async def scenario(runner: LocalRunner) -> None:
        error = error_of(await runner.run(ask(FIRST, deadline=time.monotonic() + 0.2)))
        assert isinstance(error, StillLoading)
        assert str(error) == f"the deadline passed while {FIRST} was loading"
        gates.closed[FIRST].set()
        assert answers(await runner.run(ask(FIRST, LEFT))) == [RED]

    run(scenario, runner_of(weights, engine))
    assert engine.asked == [FIRST]


def test_a_deadline_far_away_changes_nothing(weights: dict[str, Path]) -> None:
    runner = runner_of(weights, ToyEngine())
    outcomes = run(lambda runner: runner.run(ask(FIRST, LEFT, deadline=time.monotonic() + 600)), runner)
    assert answers(outcomes) == [RED]


@pytest.mark.parametrize("error", [ValueError("x"), KeyError("x"), ZeroDivisionError("x"), TimeoutError("x"),
                                   StopIteration("x"), AssertionError("x")], ids=repr)  # fmt: skip
@pytest.mark.parametrize("step", ["preprocess", "postprocess", "predict", "for_boxes"])
def test_whatever_an_adapter_raises_is_an_inference_that_failed(
    step: str, error: Exception, weights: dict[str, Path]
) -> None:
    method = getattr(MeanColor, step)
    warm = threading.Event()

    def broken(*arguments: Any) -> Any:
        if not warm.is_set():  # the answer that it gives before it counts as loaded
            return method(*arguments)
        raise error

    models = [mean_color(FIRST, **{step: broken}), mean_color(SECOND)]

    async def scenario(runner: LocalRunner) -> None:
        await runner.load(FIRST)
        warm.set()
        found = error_of(await runner.run(ask(FIRST, LEFT, RIGHT)))
        assert isinstance(found, InferenceFailed)
        assert str(found).startswith(f"{FIRST} failed: {type(error).__name__}")
        assert answers(await runner.run(ask(SECOND, LEFT))) == [RED]

    run(scenario, runner_of(weights, ToyEngine(), models))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_wrong_number_of_answers_is_an_inference_that_failed(count: int, weights: dict[str, Path]) -> None:
    models = [mean_color(FIRST, for_boxes=lambda *_arguments: [RED] * count)]
    outcomes = run(lambda runner: runner.run(ask(FIRST, LEFT, RIGHT)), runner_of(weights, ToyEngine(), models))
    error = error_of(outcomes)
    assert len(outcomes) == 2
    assert isinstance(error, InferenceFailed)
    assert str(error) == f"{FIRST} gave {count} answers to 2 questions"


def test_an_adapter_that_cannot_be_set_up_is_a_load_that_failed(weights: dict[str, Path]) -> None:
    def broken(self: Adapter[Any], description: object) -> None:
        raise IndexError("no such output")

    runner = runner_of(weights, ToyEngine(), [mean_color(FIRST, __init__=broken)])
    error = error_of(run(lambda runner: runner.run(ask()), runner))
    assert isinstance(error, LoadFailed)
    assert str(error) == f"{FIRST} could not be loaded: IndexError: no such output"


def test_a_model_that_cannot_answer_at_all_is_a_load_that_failed_and_its_memory_is_given_back(
    weights: dict[str, Path],
) -> None:
    def broken(*_arguments: object) -> Any:
        raise ValueError("x")

    engine = ToyEngine()
    runner = runner_of(weights, engine, [mean_color(FIRST, postprocess=broken)])
    error = error_of(run(lambda runner: runner.run(ask()), runner))
    assert isinstance(error, LoadFailed)
    assert str(error) == f"{FIRST} was loaded and cannot answer: {FIRST} failed: ValueError: x"
    assert [runtime.closed for runtime in engine.runtimes] == [True]


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a network")
    error = error_of(run(lambda runner: runner.run(ask()), runner_of({FIRST: path}, ToyEngine())))
    assert isinstance(error, WeightsInvalid)


def test_a_device_that_does_not_exist_is_told(weights: dict[str, Path]) -> None:
    runner = runner_of(weights, ToyEngine(), device="toaster")
    assert isinstance(error_of(run(lambda runner: runner.run(ask()), runner)), SettingsError)


def test_own_files_for_a_model_that_brings_its_networks_are_refused(weights: dict[str, Path]) -> None:
    bundled = [model for model in MODELS if model.SPEC.bundled]
    assert bundled
    for model in bundled:
        name = model.SPEC.name
        runner = runner_of({name: weights[FIRST]}, ToyEngine(), [get_model(name)])
        call = ask(name)

        async def scenario(runner: LocalRunner, call: ModelCall = call) -> list[Outcome]:
            return await runner.run(call)

        error = error_of(run(scenario, runner))
        assert isinstance(error, WeightsInvalid)
        assert str(weights[FIRST]) in str(error)


@pytest.mark.parametrize(("data", "code"), [(b"", "not_an_image"), (cut_off(), "image_truncated")], ids=["none", "cut"])
def test_a_picture_that_cannot_be_decoded_is_an_outcome_with_its_code(
    data: bytes, code: str, weights: dict[str, Path]
) -> None:
    bad = picture(data)

    async def scenario(runner: LocalRunner) -> list[BaseException]:
        return [error_of(await runner.run(ask(name, LEFT, picture=bad))) for name in (FIRST, SECOND)]

    for error in run(scenario, runner_of(weights, ToyEngine())):
        assert isinstance(error, NotAnImage) or type(error).__name__ == "ImageTruncated"
        assert error.code == code
    assert bad.decodes == 1


def test_a_box_outside_the_picture_is_an_outcome(weights: dict[str, Path]) -> None:
    runner = runner_of(weights, ToyEngine())
    error = error_of(run(lambda runner: runner.run(ask(FIRST, Box(500, 500, 600, 600))), runner))
    assert isinstance(error, BadBox)


# ------------------------------------------------------------------------------------------------------------- the end


def test_closing_gives_every_runtime_back(weights: dict[str, Path]) -> None:
    engine = ToyEngine()

    async def scenario() -> None:
        runner = runner_of(weights, engine)
        await asyncio.gather(*(runner.run(ask(name)) for name in (FIRST, SECOND)))
        await runner.close()
        assert [runtime.closed for runtime in engine.runtimes] == [True, True]
        await runner.close()
        outcomes = await runner.run(ask(FIRST))
        assert isinstance(error_of(outcomes), Draining)

    asyncio.run(scenario())


def test_closing_waits_for_a_load_and_gives_it_back(weights: dict[str, Path]) -> None:
    gates = Gates({FIRST: threading.Event()})
    engine = ToyEngine(before=gates)

    async def scenario() -> None:
        runner = runner_of(weights, engine)
        question = asyncio.create_task(runner.run(ask(FIRST)))
        await until(gates.arrived.is_set)
        closing = asyncio.create_task(runner.close())
        await asyncio.sleep(0)
        assert not closing.done()
        gates.closed[FIRST].set()
        await closing
        await question

    asyncio.run(scenario())
    assert [runtime.closed for runtime in engine.runtimes] == [True]


def test_closing_after_a_failed_load_is_quiet(weights: dict[str, Path]) -> None:
    def before(stem: str) -> None:
        raise OSError("broken")

    async def scenario() -> None:
        async with runner_of(weights, ToyEngine(before=before)) as runner:
            error_of(await runner.run(ask()))

    asyncio.run(scenario())
