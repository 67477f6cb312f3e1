"""The documented TensorRT variables, from the environment to what a model says of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fakes import FakeEngine, FakeRuntime
from hearthwatch.adapter.facade import options_from
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.errors import SettingsError
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import EngineName, RuntimeInfo
from hearthwatch.runtimes.upgrade import UpgradingRuntime
from hearthwatch.settings import TensorRTSettings, read_settings
from toy import FIRST, MeanColor, write_network

POSE = get_model("pose_estimator").SPEC


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for end in ("USE_TENSORRT", "TENSORRT_FP16", "TENSORRT_ENGINE_PATH"):
        monkeypatch.delenv(f"POSE_{end}", raising=False)


def test_unset_variables_leave_it_off_and_half_precision_the_default() -> None:
    assert read_settings().tensorrt("POSE") == TensorRTSettings(use=None, fp16=True, engine_path=None)


@pytest.mark.parametrize(("text", "use"), [("true", True), ("1", True), ("False", False), ("0", False), ("", None)])
def test_the_switch_is_read_in_every_usual_spelling(
    text: str, use: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSE_USE_TENSORRT", text)
    assert read_settings().tensorrt("POSE").use is use


def test_the_threat_detectors_second_spelling_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THREAT_DETECTOR_USE_TENSORRT", "true")
    assert read_settings().tensorrt("THREAT").use is True


def test_a_wrong_switch_names_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE_USE_TENSORRT", "perhaps")
    with pytest.raises(SettingsError, match=r"POSE_USE_TENSORRT='perhaps'"):
        read_settings().tensorrt("POSE")


def test_what_the_variables_say_reaches_the_loading_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSE_USE_TENSORRT", "true")
    monkeypatch.setenv("POSE_TENSORRT_FP16", "false")
    monkeypatch.setenv("POSE_TENSORRT_ENGINE_PATH", "/cache/tensorrt/pose.engine")
    told = options_from(read_settings(), POSE).tensorrt["pose_estimator"]
    assert told == TensorRTSettings(use=True, fp16=False, engine_path=Path("/cache/tensorrt/pose.engine"))


def options(folder: Path, device: str, engine: FakeEngine) -> LoadOptions:
    asked = {FIRST: TensorRTSettings(use=True)}
    network = write_network(folder / "toy.onnx")
    return LoadOptions(folder, device=device, paths={FIRST: network}, engines=(engine,), tensorrt=asked)


def test_without_a_gpu_it_is_a_no_op_that_is_told(tmp_path: Path) -> None:
    loaded = load(MeanColor, options(tmp_path, "cpu", FakeEngine("openvino")))
    assert loaded.info.engine == "openvino"
    assert loaded.progress is None
    assert loaded.passed_over == (("tensorrt", "TensorRT needs an NVIDIA GPU, and this model runs on cpu"),)


def test_on_a_gpu_without_tensorrt_cuda_serves_with_the_reason(tmp_path: Path) -> None:
    loaded = load(MeanColor, options(tmp_path, "cuda:0", FakeEngine("cuda")))
    assert loaded.info.engine == "cuda"
    (engine, reason), *_ = loaded.passed_over
    assert engine == "tensorrt"
    assert reason


@pytest.mark.parametrize(
    ("verdict", "told"),
    [(None, ()), ("OKS 0.5000", (("tensorrt", "OKS 0.5000"),))],
    ids=["agrees", "refused"],
)
def test_what_is_passed_over_is_what_is_so_after_the_build(
    verdict: str | None, told: tuple[tuple[str, str], ...], tmp_path: Path
) -> None:
    names: tuple[EngineName, EngineName] = ("cuda", "tensorrt")
    working, built = (FakeRuntime(RuntimeInfo(name, "cuda:0", "f32", "1", 1.0)) for name in names)
    runtime = UpgradingRuntime(
        working,
        lambda _cancelled: built,
        lambda _built: verdict,
        model="toy",
        precision="f16",
        start=lambda work: work(),
    )
    loaded = load(MeanColor, options(tmp_path, "cpu", FakeEngine("openvino")))
    upgraded = LoadedModel(loaded.adapter, runtime, [("tensorrt", "no engine is built yet")])
    assert upgraded.info.engine == ("cuda" if verdict else "tensorrt")
    assert all(told_reason in reason for (_, told_reason), (_, reason) in zip(told, upgraded.passed_over, strict=True))
