"""Clips in a process: frames decoded one by one, labels read once, and who stops when nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from hearthwatch.adapter.options import LoadOptions
from hearthwatch.enrichment import ModelCall, Outcome
from hearthwatch.errors import (
    BadBox,
    DeadlineExceeded,
    InputError,
    LoadFailed,
    NotAnImage,
    TooManyFrames,
    WeightsMissing,
)
from hearthwatch.hosting import LocalRunner
from hearthwatch.hosting.watching import watch_frames
from hearthwatch.models.action_recognizer import ActionAdapter
from hearthwatch.models.actions import ACTIONS
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from made_up import FRAMES, write_network, write_networks
from test_action_recognizer import adapter

MODEL = "action_recognizer"
LABELS = ("person running", "a cat", "somebody with a ladder")


def frame(level: int = 100, size: tuple[int, int] = (64, 48)) -> Picture:
    """An encoded picture, lighter from left to right."""
    pixels = np.tile(np.linspace(level // 2, level, size[0]).astype(np.uint8), (size[1], 1))
    file = BytesIO()
    PILImage.fromarray(np.repeat(pixels[..., None], 3, axis=2)).save(file, "PNG")
    return Picture(file.getvalue())


def ask(*frames: Picture, boxes: tuple[Box, ...] = (), labels: Any = None, **fields: Any) -> ModelCall:
    options = () if labels is None else (("labels", labels),)
    return ModelCall(MODEL, frames[0], boxes, frames[1:], options, **fields)


def clips(call: ModelCall, wanted: Callable[[], bool] = lambda: True) -> Any:
    return watch_frames(call, adapter(), wanted)


class TestFrames:
    def test_the_picture_and_its_frames_are_the_clip_in_their_order(self) -> None:
        levels = (40, 90, 160, 250)
        made = clips(ask(*map(frame, levels))).arrays[0]
        means = made.mean(axis=(1, 2, 3))
        assert (np.diff(means) > 0.1).all()

    def test_a_picture_that_is_one_of_the_frames_is_not_shown_twice(self) -> None:
        frames = [frame(level) for level in (40, 90, 160, 250)]
        twin = Picture(frames[2].data or b"")
        for picture in (frames[2], twin):
            made = clips(ModelCall(MODEL, picture, frames=tuple(frames))).arrays[0]
            assert np.array_equal(made, clips(ask(*frames)).arrays[0])

    def test_only_what_is_shown_is_decoded_once_and_let_go(self) -> None:
        frames = [frame(level) for level in range(50, 50 + 3 * FRAMES)]
        clips(ask(*frames, boxes=(Box(0, 0, 20, 20), Box(30, 10, 60, 40))))
        assert sum(one.decodes for one in frames) == FRAMES
        assert max(one.decodes for one in frames) == 1
        shown = next(one for one in frames[1:] if one.decodes)
        shown.image()
        assert shown.decodes == 2  # nothing was kept: a clip of large pictures is not all in memory

    def test_a_short_clip_is_shown_whole_and_each_frame_decoded_once(self) -> None:
        frames = [frame(60), frame(200)]
        made = clips(ask(*frames)).arrays[0]
        assert np.array_equal(made[0], made[1])
        assert np.array_equal(made[2], made[3])
        assert not np.array_equal(made[1], made[2])
        assert [one.decodes for one in frames] == [1, 1]

    def test_a_box_means_the_same_place_in_a_frame_of_another_size(self) -> None:
        small, large = frame(200), frame(200, (128, 96))
        box = Box(16, 12, 32, 36)
        one, other = (clips(ask(*pair, boxes=(box,))).arrays[0] for pair in ((small, small), (small, large)))
        assert np.abs(one[-1] - other[-1]).max() < 0.2
        assert np.abs(one[-1].mean() - other[-1].mean()) < 0.02

    def test_a_frame_that_is_no_picture_is_named_also_where_it_would_not_be_shown(self) -> None:
        for index in range(9):
            frames = [frame(level) for level in range(60, 69)]
            frames[index] = Picture(b"no picture")
            with pytest.raises(NotAnImage, match=f"frame {index}: "):
                clips(ModelCall(MODEL, frame(), frames=tuple(frames)))

    def test_too_many_frames_are_refused_with_both_numbers(self) -> None:
        assert clips(ModelCall(MODEL, frame(), frames=(frame(),) * 64)) is not None
        with pytest.raises(TooManyFrames, match=r"65 frames .* 64"):
            clips(ModelCall(MODEL, frame(), frames=(frame(),) * 65))

    def test_a_box_outside_is_refused(self) -> None:
        with pytest.raises(BadBox, match="outside"):
            clips(ask(frame(), boxes=(Box(100, 100, 120, 120),)))

    def test_it_stops_between_two_frames_where_nobody_waits(self) -> None:
        frames = [frame(level) for level in (40, 90, 160, 250)]
        left = iter([True, True, False])
        assert clips(ask(*frames), lambda: next(left)) is None
        assert [one.decodes for one in frames] == [1, 1, 0, 0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_networks(tmp_path_factory.mktemp("models") / "xclip", ["action_recognizer", "action_text"])


def run(scenario: Callable[[LocalRunner], Awaitable[Any]], folder: Path, **options: Any) -> Any:
    settings = {"paths": {MODEL: folder}, "precision": "f32", "engines": (ONNXRuntimeEngine(),)} | options

    async def within() -> Any:
        runner = LocalRunner(LoadOptions(Path("/nowhere"), **settings), [ActionAdapter], budget_mb=10_000)
        async with asyncio.timeout(120), runner:
            return await scenario(runner)

    return asyncio.run(within())


def only(outcomes: list[Outcome]) -> Any:
    (outcome,) = outcomes
    assert outcome.done, outcome.error
    return outcome.result


class TestRunner:
    def test_a_call_with_frames_boxes_and_labels_gets_an_answer_per_box(self, folder: Path) -> None:
        boxes = (Box(0, 0, 20, 40), Box(30, 5, 60, 45))

        async def scenario(runner: LocalRunner) -> Any:
            frames = [frame(level) for level in (40, 90, 160)]
            return (
                await runner.run(ask(*frames, boxes=boxes, labels=LABELS)),
                await runner.run(ask(*frames)),
                await runner.run(ask(frame())),
            )

        each, whole, still = run(scenario, folder)
        assert [set(outcome.result.all_scores) for outcome in each] == [set(LABELS)] * 2
        assert set(only(whole).all_scores) == {action.name for action in ACTIONS}
        assert only(still).confidence > 0
        assert each[0].weights == "custom"
        assert each[0].timings.infer_ms > 0
        assert each[0].timings.decode_ms > 0
        assert each[0].timings.preprocess_ms > 0

    def test_the_text_tower_comes_by_itself_and_reads_a_label_once(self, folder: Path) -> None:
        async def scenario(runner: LocalRunner) -> Any:
            assert runner.offered == (MODEL, "action_text")
            first = only(await runner.run(ask(frame(), labels=LABELS)))
            await runner.manager.unload_model("action_text")
            again = only(await runner.run(ask(frame(), labels=LABELS[::-1])))
            part = only(await runner.run(ask(frame(), labels=LABELS[:1])))
            return first, again, part, runner.model_state("action_text").state

        first, again, part, state = run(scenario, folder)
        assert first.all_scores == pytest.approx(again.all_scores)
        assert part.confidence == 1.0
        assert state == "cold"  # nobody needed it a second time

    @pytest.mark.parametrize(
        ("labels", "kind"), [(["a"] * 101, InputError), ([""], InputError), ("person", InputError)], ids=str
    )
    def test_labels_that_are_none_fail_the_call_and_nothing_else(self, labels: Any, kind: Any, folder: Path) -> None:
        async def scenario(runner: LocalRunner) -> Any:
            return await runner.run(ask(frame(), labels=labels)), await runner.run(ask(frame()))

        bad, good = run(scenario, folder)
        assert isinstance(bad[0].error, kind)
        assert only(good).confidence > 0

    def test_a_frame_that_is_no_picture_is_a_failure_that_names_it(self, folder: Path) -> None:
        async def scenario(runner: LocalRunner) -> Any:
            return await runner.run(ask(frame(), frame(), Picture(b"x"), boxes=(Box(0, 0, 9, 9),) * 3))

        outcomes = run(scenario, folder)
        assert len(outcomes) == 3
        assert all("frame 1: " in str(outcome.error) for outcome in outcomes)

    def test_a_deadline_that_passed_is_told(self, folder: Path) -> None:
        async def scenario(runner: LocalRunner) -> Any:
            return await runner.run(ask(frame(), deadline=0.0))

        assert isinstance(run(scenario, folder)[0].error, DeadlineExceeded)

    def test_towers_of_two_checkpoints_are_not_compared(self, tmp_path: Path) -> None:
        write_network("action_recognizer", tmp_path / "action_recognizer.onnx")
        write_network("action_text", tmp_path / "action_text.onnx", space="of another checkpoint")

        async def scenario(runner: LocalRunner) -> Any:
            return await runner.run(ask(frame()))

        error = run(scenario, tmp_path)[0].error
        assert isinstance(error, LoadFailed)
        assert "of another checkpoint" in str(error)

    def test_weights_that_are_replaced_take_their_labels_with_them(self, tmp_path: Path) -> None:
        write_networks(tmp_path, ["action_recognizer", "action_text"])

        async def scenario(runner: LocalRunner) -> Any:
            before = only(await runner.run(ask(frame(), labels=LABELS)))
            for name in ("action_recognizer", "action_text"):
                await runner.manager.unload_model(name)
            write_networks(tmp_path, ["action_recognizer", "action_text"], space="newer")
            return before, only(await runner.run(ask(frame(), labels=LABELS)))

        before, after = run(scenario, tmp_path)
        assert before.all_scores == pytest.approx(after.all_scores)

    def test_nobody_installed_it_is_no_failure_of_the_frames(self, tmp_path: Path) -> None:
        async def scenario(runner: LocalRunner) -> Any:
            return await runner.run(ask(frame()))

        error = run(scenario, tmp_path, paths={})[0].error
        assert isinstance(error, WeightsMissing)
        assert not error.named
