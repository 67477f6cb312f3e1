"""`hearthwatch export clip`: both towers, the engine by a stand-in, and wrong engines that are refused."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from onnx import helper
from typer.testing import CliRunner

from builds import child
from fake_onnxruntime import GPU, FakeONNXRuntime, tensorrt
from fakes import constant, save_graph, value
from hearthwatch.adapter.agreement import Agreement, same_direction
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.engine_export import build_engine, engine_request, refuse_wrong_engine, validate_engine
from hearthwatch.cli import app
from hearthwatch.errors import HearthwatchError, LoadFailed, WeightsInvalid
from hearthwatch.models.clip import SPEC, CLIPAnswer, CLIPResult
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.build_child import BuildJob, run_child
from hearthwatch.runtimes.engine_build import TensorRTBuild
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.tensorrt import TensorRTEngine
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec
from small_clip import TINY, tensors, write_checkpoint


class Doubling(ImageNetwork[CLIPResult]):
    """What the stand-in for TensorRT computes: twice its input."""

    SPEC = replace(
        SPEC,
        input=InputSpec("x", (4, 4), scale=1 / 255),
        agreement=Agreement("cosine", 0.999, lambda a, b: same_direction(a.embedding, b.embedding)),
    )
    RESPONSE = CLIPAnswer

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[CLIPResult]:
        return [CLIPResult(row) for row in unit(np.asarray(outputs["y"]).reshape(len(images), -1))]


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    nodes = [helper.make_node("Mul", ["x", "two"], ["y"])]
    shape = ("n", 3, 4, 4)
    two = constant("two", np.array(2, np.float32))
    return save_graph(
        tmp_path / "vision_encoder.onnx", nodes, [value("x", shape)], [value("y", shape)], constants=[two]
    )


@pytest.fixture
def request_(graph: Path, tmp_path: Path) -> LoadRequest:
    return engine_request(graph, tmp_path / "vision_encoder_fp16.engine", cache_dir=tmp_path / "cache")


def built(ort: FakeONNXRuntime, request: LoadRequest) -> tuple[Path, ...]:
    def in_a_child(job: BuildJob, cancelled: threading.Event) -> None:
        run_child(job, cancelled, command=child("well"))

    return build_engine(request, TensorRTBuild(tensorrt(ort), request, child=in_a_child))


class TestEngines:
    def test_an_engine_is_built_under_its_documented_stem_and_validated(
        self, ort: FakeONNXRuntime, request_: LoadRequest
    ) -> None:
        files = built(ort, request_)
        assert files
        assert all(file.name.startswith("vision_encoder_fp16") for file in files)
        found = validate_engine(Doubling, request_, None, engine=tensorrt(ort))
        assert found.value > 0.999
        assert (found.info.engine, found.compared) == ("tensorrt", 3)
        kept = tensorrt(ort).cache(request_).find()
        assert isinstance(kept, StoredEngine)
        assert kept.accepted is True  # a service takes it as it is

    def test_an_engine_that_answers_something_else_is_refused_and_stays_refused(
        self, ort: FakeONNXRuntime, request_: LoadRequest
    ) -> None:
        built(ort, request_)
        ort.error = 50.0
        with pytest.raises(WeightsInvalid, match=r"does not agree with vision_encoder\.onnx in float32"):
            validate_engine(Doubling, request_, None, engine=tensorrt(ort))
        kept = tensorrt(ort).cache(request_).find()
        assert isinstance(kept, StoredEngine)
        assert kept.accepted is False
        with pytest.raises(LoadFailed, match="refused"):
            tensorrt(ort).load(request_)

    def test_engines_of_another_gpu_version_or_digest_are_refused_with_the_difference(
        self, ort: FakeONNXRuntime, request_: LoadRequest
    ) -> None:
        built(ort, request_)
        other = replace(GPU, name="NVIDIA Other", uuid="00000000-0000-0000-0000-00000000000b")
        for engine, changed, words in (
            (tensorrt(ort, other), request_, "another GPU"),
            (tensorrt(ort, version="110000"), request_, "TensorRT 101303"),
            (tensorrt(ort), replace(request_, digest="e" * 64), "other weights"),
            (tensorrt(ort), replace(request_, precision="f32"), "f16"),
        ):
            with pytest.raises(WeightsInvalid, match=words):
                validate_engine(Doubling, changed, None, engine=engine)

    def test_a_file_of_somebody_else_is_not_used(self, ort: FakeONNXRuntime, request_: LoadRequest) -> None:
        assert request_.engine_path is not None
        request_.engine_path.write_bytes(b"an engine of trtexec")
        with pytest.raises(WeightsInvalid, match="not built by this installation"):
            refuse_wrong_engine(request_.engine_path)
        with pytest.raises(WeightsInvalid, match="not built by this installation"):
            validate_engine(Doubling, request_, None, engine=tensorrt(ort))

    def test_of_which_weights_an_engine_is_can_be_seen_without_a_gpu(
        self, ort: FakeONNXRuntime, request_: LoadRequest, graph: Path
    ) -> None:
        assert request_.engine_path is not None
        refuse_wrong_engine(request_.engine_path, graph)  # nothing there is nothing wrong
        built(ort, request_)
        refuse_wrong_engine(request_.engine_path, graph)
        with graph.open("ab") as file:
            file.write(b"\x30\x00")  # a field that says nothing: another digest
        with pytest.raises(WeightsInvalid, match="other weights"):
            refuse_wrong_engine(request_.engine_path, graph)

    @pytest.mark.skipif(TensorRTEngine().unavailable("cuda:0") is None, reason="TensorRT is here")
    def test_without_a_gpu_the_reason_is_told(self, request_: LoadRequest) -> None:
        with pytest.raises(LoadFailed, match="no engine can be built here"):
            build_engine(request_)
        with pytest.raises(LoadFailed, match="cannot be compared here"):
            validate_engine(Doubling, request_, None)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], str]:
    """A folder after `export`, what that gave, and what it told: converting takes seconds, so it happens once."""
    pytest.importorskip("torch", reason="the extra torch is not installed")
    folder = write_checkpoint(tmp_path_factory.mktemp("exported") / "clip-vit-l")
    code, content, told = command(
        "export", "--model-path", folder, "--output", folder / "vision_encoder.onnx", "--json"
    )
    assert code == 0, told
    return folder, content, told


@pytest.fixture
def folder(exported: tuple[Path, dict[str, object], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One's own copy of it."""
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    return shutil.copytree(exported[0], tmp_path / "clip-vit-l")


def command(*words: object) -> tuple[int, dict[str, object], str]:
    """Exit code, the JSON on stdout, and what is said to a person."""
    result = CliRunner().invoke(app, ["export", "clip", *map(str, words)])
    told = result.stderr
    if isinstance(result.exception, HearthwatchError):
        return 1, {}, f"{told}{result.exception}"
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, orjson.loads(result.stdout) if result.stdout.strip() else {}, told


class TestCommands:
    def test_the_pipeline_writes_both_files_validates_and_says_so(self, folder: Path) -> None:
        code, content, told = command("pipeline", "--model-path", folder, "--output-dir", folder, "--json")
        assert code == 0, told
        assert content["files"] == [str(folder / "vision_encoder.onnx"), str(folder / "text_encoder.onnx")]
        assert told.count("equal to PyTorch") == 2
        compared = content["validated"]
        assert isinstance(compared, list)
        assert [row["file"] for row in compared] == content["files"]
        assert all(row["value"] > 0.9999 for row in compared)
        assert "no TensorRT engine" in told
        assert "validated: 2 files" in told
        code, content, told = command("validate", "--model-path", folder, "--json")
        assert code == 0, told
        validated = content["validated"]
        assert isinstance(validated, list)
        assert all(row["value"] > 0.9999 and row["reference"] == "PyTorch" for row in validated)
        assert len(validated) == 2

    def test_its_steps_write_the_same_files_by_themselves(self, exported: tuple[Path, dict[str, object], str]) -> None:
        folder, content, told = exported
        files = [folder / "vision_encoder.onnx", folder / "text_encoder.onnx"]
        assert content["files"] == [str(file) for file in files]
        assert all(file.is_file() for file in files)
        assert told.count("equal to PyTorch") == 2
        code, _, told = command("tensorrt", "--onnx", files[0], "--output", folder / "a.engine")
        assert code == 1
        assert "no engine can be built here" in told

    @pytest.mark.parametrize("step", ["pipeline", "validate"])
    def test_a_wrong_engine_is_refused(self, folder: Path, step: str) -> None:
        engine = folder / "vision_encoder_fp16.engine"
        engine.write_bytes(b"an engine of another machine")
        code, _, told = command(step, "--model-path", folder)
        assert code == 1
        assert "not built by this installation" in told
        assert engine.read_bytes() == b"an engine of another machine"

    def test_an_export_of_other_weights_is_refused(self, folder: Path) -> None:
        write_checkpoint(folder, TINY, tensors(TINY, seed=8))
        code, _, told = command("validate", "--model-path", folder)
        assert code == 1
        assert "does not agree with PyTorch" in told

    def test_a_folder_without_weights_is_one_sentence(self, tmp_path: Path) -> None:
        code, _, told = command("pipeline", "--model-path", tmp_path)
        assert code == 1
        assert "has no weights" in told

    @pytest.mark.parametrize("step", ["pipeline", "export", "tensorrt", "validate"])
    def test_help_has_examples(self, step: str) -> None:
        result = CliRunner().invoke(app, ["export", "clip", step, "--help"])
        assert result.exit_code == 0
        assert "hearthwatch export clip" in result.stdout
