"""The demo: its picture, its showing on networks that load, and what it offers without asking a hub."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest
from rich.console import Console
from training.scenes.evening import main as draw_evening

from demo_scene import DRAWN, write_samples, write_scene
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.cli.demo import Demo
from hearthwatch.cli.evening import Drawn, read_evening
from hearthwatch.cli.offer import program, say_next_steps
from hearthwatch.errors import InputError
from hearthwatch.hosting import LocalRunner, OnDemandModelManager
from hearthwatch.models import (
    MODELS,
)
from hearthwatch.settings import read_settings
from hearthwatch.vision.boxes import Box
from served import NumbersEngine


class TestPicture:
    def test_it_is_read_with_what_was_drawn(self, tmp_path: Path) -> None:
        evening = read_evening(write_scene(tmp_path, plate="AB123CD", things=[{"kind": "van", "box": [1, 2, 3, 4]}]))
        assert evening.path == tmp_path / "evening.jpg"
        assert (evening.camera, f"{evening.when:%H:%M}", evening.plate) == ("drive", "21:40", "AB123CD")
        assert evening.things == (Drawn("van", Box(1, 2, 3, 4)),)

    @pytest.mark.parametrize(
        "drawn", [{"time": "soon"}, {"things": ["a van"]}, {"things": [{"kind": "van"}]}, {"things": 3}], ids=str
    )
    def test_one_that_does_not_say_what_was_drawn_is_a_sentence(self, drawn: dict[str, Any], tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"evening\.json does not say what was drawn"):
            read_evening(write_scene(tmp_path, **drawn))

    def test_what_the_renderer_writes_about_it_tells_the_whole_story(self, tmp_path: Path) -> None:
        assert draw_evening(["--out", str(tmp_path)]) == 0
        evening = read_evening(tmp_path)
        assert evening.path == tmp_path / "evening.jpg"
        assert [(thing.kind, thing.posture, thing.holds) for thing in evening.things] == [
            ("person", "crouching", "crowbar"),
            ("van", None, None),
            ("cat", None, None),
        ]
        assert evening.plate

    @pytest.mark.skipif(not (SAMPLES_DIR / "evening.jpg").is_file(), reason="the picture has not been drawn yet")
    def test_the_one_that_comes_along_tells_the_whole_story(self) -> None:
        evening = read_evening(SAMPLES_DIR)
        somebody = next(thing for thing in evening.things if thing.kind == "person")
        assert (somebody.posture, somebody.holds) == ("crouching", "crowbar")
        assert evening.plate
        assert {"person", "van"} <= {thing.kind for thing in evening.things}


@pytest.fixture
def showing(tmp_path: Path) -> Demo:
    folder = write_samples(tmp_path / "samples", things=DRAWN["things"][:1])
    console, errors = (Console(file=io.StringIO(), width=200) for _ in range(2))
    return Demo(read_evening(folder), tmp_path / "out", read_settings(), console, errors)


def show(showing: Demo, engine: NumbersEngine) -> tuple[str, str]:
    """The story and the progress."""
    folder = showing.evening.path.parent
    options = LoadOptions(folder, engines=(engine,), device="cpu", weights="sample", samples_dir=folder)

    async def whole() -> None:
        manager = OnDemandModelManager(4000, "cpu")
        # Reading plates brings an engine of its own.
        models = [model for model in MODELS if not model.SPEC.bundled]
        async with LocalRunner(options, models, manager=manager) as runner:
            await showing.show(runner)
        await manager.close()

    asyncio.run(whole())
    story, progress = showing.console.file, showing.errors.file
    assert isinstance(story, io.StringIO)
    assert isinstance(progress, io.StringIO)
    return story.getvalue(), progress.getvalue()


class TestShowing:
    def test_the_scene_goes_through_everything_and_is_written_down(self, showing: Demo, tmp_path: Path) -> None:
        story, progress = show(showing, NumbersEngine())
        assert showing.exit_code == 0, story
        assert "Loading 7 networks" in progress
        assert "has no sample weights and is left out" in progress  # faces
        assert (tmp_path / "out/evening.annotated.jpg").stat().st_size > 1000
        assert (tmp_path / "out/report.html").as_uri() in story
        event = orjson.loads((tmp_path / "out/report.json").read_bytes())["events"][0]
        assert (event["camera"], event["time"]) == ("drive", "2026-11-20T21:40:00")
        assert set(event["weights"].values()) == {"sample"}

    def test_each_network_is_loaded_once_and_the_detector_first(self, showing: Demo) -> None:
        order: list[str] = []
        engine = NumbersEngine(before_load=lambda model: order.append(f"load {model}"))
        story, _ = show(showing, engine)
        assert "as drawn" in story
        loads = [model.removeprefix("load ") for model in order]
        assert loads[0] == "yolo26"
        # CLIP's picture tower also answers for clothing, and is a model of its own there.
        assert sorted({*loads, "clip"}) == sorted(set(loads))
        loads.remove("clip")
        assert len(loads) == len(set(loads))

    def test_a_network_that_cannot_be_loaded_is_told_and_costs_only_itself(self, showing: Demo) -> None:
        def refuse(model: str) -> None:
            if model == "pose_estimator":
                raise RuntimeError("broken")

        story, progress = show(showing, NumbersEngine(before_load=refuse))
        assert showing.exit_code == 1
        assert "pose estimator" in progress
        assert "failed: " in progress
        assert "FAILED" in story
        assert "as drawn  a person" in story

    def test_without_its_detector_it_says_so_and_ends_with_1(self, showing: Demo) -> None:
        (showing.evening.path.parent / "yolo26.onnx").unlink()
        story, progress = show(showing, NumbersEngine())
        assert showing.exit_code == 1
        assert "The demo failed: no sample weights exist for yolo26" in progress
        assert story == ""

    def test_a_report_that_cannot_be_written_is_told(self, showing: Demo, tmp_path: Path) -> None:
        (tmp_path / "out").write_text("in the way")
        _, progress = show(showing, NumbersEngine())
        assert showing.exit_code == 1
        assert "The demo failed: the report cannot be written" in progress

    def test_one_that_was_not_told_to_its_end_was_interrupted(self, showing: Demo) -> None:
        assert showing.exit_code == 130


class TestNextSteps:
    def steps(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: Path | None = None, **variables: str
    ) -> str:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

        def no_network(*_: object) -> None:
            raise AssertionError("a hub was asked")

        monkeypatch.setattr(socket.socket, "connect", no_network)
        console = Console(file=io.StringIO(), width=300)
        options = LoadOptions(tmp_path / "models", samples_dir=samples or tmp_path / "none")
        say_next_steps(console, read_settings(), options)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    def test_real_weights_are_offered_with_number_size_and_licences(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = self.steps(tmp_path, monkeypatch)
        assert f"{program()} analyze your.jpg" in text
        assert f"{program()} models pull" in text
        assert "17 networks: 13.9 MiB and 14 files whose size the hub tells; " in text
        assert "MIT (6), AGPL-3.0 (5), Apache-2.0 (5) and CC-BY-NC-SA-4.0 (1)" in text
        assert "OFFLINE" not in text

    def test_what_a_photo_would_be_looked_at_with_is_told(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert "this version brings no sample networks" in self.steps(tmp_path, monkeypatch)
        samples = write_samples(tmp_path / "samples")
        assert "with the sample weights, until real ones are there" in self.steps(tmp_path, monkeypatch, samples)

    def test_who_is_offline_or_refuses_licences_is_told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        text = self.steps(tmp_path, monkeypatch, HEARTHWATCH_OFFLINE="true", HEARTHWATCH_LICENSE_POLICY="permissive")
        assert "HEARTHWATCH_OFFLINE is set" in text
        refused = (
            "yolo26, threat_detector, pose_estimator, vehicle_classifier, license_plate_detector and vehicle_damage"
        )
        assert f"refuses those of {refused}" in text


def test_the_program_is_called_as_it_can_be_typed() -> None:
    called = program()
    assert called == "hearthwatch" or os.access(called, os.X_OK)
