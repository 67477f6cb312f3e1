"""The environment: documented names, empty is unset, and wrong values are named."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs
import pytest

from hearthwatch.errors import SettingsError
from hearthwatch.models import MODELS
from hearthwatch.runtimes.select import resolve_device
from hearthwatch.settings import Settings, disable_telemetry, read_settings

NAMES = {str(field.validation_alias): name for name, field in Settings.model_fields.items()}
HOME_CACHE = platformdirs.user_cache_path("hearthwatch")


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nobody set anything."""
    for name in list(os.environ):
        if name.startswith(("HEARTHWATCH_", "HF_")) or name.endswith("_MODEL_PATH"):
            monkeypatch.delenv(name)


def test_defaults() -> None:
    settings = read_settings()
    assert settings.models_dir == HOME_CACHE / "models"
    assert settings.cache_dir == HOME_CACHE
    assert (settings.device, settings.precision, settings.offline, settings.license_policy, settings.container) == (
        "auto", "auto", False, "any", False,
    )  # fmt: skip
    assert (settings.weights, settings.gives_weights) == ("auto", False)


def test_in_our_image_the_folders_are_the_mounted_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEARTHWATCH_CONTAINER", "1")
    assert (read_settings().models_dir, read_settings().cache_dir) == (Path("/models"), Path("/cache"))
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", "/mine")
    assert read_settings().models_dir == Path("/mine")


@pytest.mark.parametrize(
    ("name", "value", "field", "expected"),
    [
        ("HEARTHWATCH_MODELS_DIR", "/zoo", "models_dir", Path("/zoo")),
        ("HEARTHWATCH_MODELS_DIR", "~/zoo", "models_dir", Path.home() / "zoo"),
        ("HEARTHWATCH_CACHE_DIR", "/tmp/c", "cache_dir", Path("/tmp/c")),  # noqa: S108 - never made
        ("HEARTHWATCH_DEVICE", "cuda:1", "device", "cuda:1"),
        ("HEARTHWATCH_PRECISION", "bf16", "precision", "bf16"),
        ("HEARTHWATCH_OFFLINE", "true", "offline", True),
        ("HEARTHWATCH_OFFLINE", "1", "offline", True),
        ("HEARTHWATCH_OFFLINE", "no", "offline", False),
        ("HEARTHWATCH_LICENSE_POLICY", "permissive", "license_policy", "permissive"),
        ("HEARTHWATCH_WEIGHTS", "sample", "weights", "sample"),
        ("HEARTHWATCH_SAMPLES_DIR", "~/own", "samples_dir", Path.home() / "own"),
    ],
)
def test_a_variable_is_read(
    name: str, value: str, field: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert getattr(read_settings(), field) == expected


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_variable_is_an_unset_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    unset = read_settings()
    monkeypatch.setenv(name, "")
    assert read_settings() == unset


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HEARTHWATCH_DEVICE", "toaster"),
        ("HEARTHWATCH_DEVICE", "cuda:x"),
        ("HEARTHWATCH_DEVICE", "my cpu"),
        ("HEARTHWATCH_PRECISION", "int8"),
        ("HEARTHWATCH_OFFLINE", "perhaps"),
        ("HEARTHWATCH_CONTAINER", "docker"),
        ("HEARTHWATCH_LICENSE_POLICY", "free"),
        ("HEARTHWATCH_WEIGHTS", "fake"),
    ],
)
def test_a_wrong_value_is_refused_with_variable_and_value(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as told:
        read_settings()
    assert str(told.value).startswith(f"{name}={value!r} cannot be used: ")
    assert told.value.code == "bad_settings"


@pytest.mark.parametrize(
    "device", ["auto", "cpu", "gpu", "npu", "cuda", "cuda:0", "cuda:12", "", "CPU", "cuda:", "tpu"]
)
def test_the_environment_takes_exactly_the_devices_that_the_engines_take(
    device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHWATCH_DEVICE", device)
    try:
        resolve_device(device or "auto")
    except SettingsError:
        with pytest.raises(SettingsError):
            read_settings()
    else:
        assert read_settings().device == (device or "auto")


def test_the_first_model_path_that_is_set_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read_settings()
    assert settings.model_path(("FIRST_MODEL_PATH", "SECOND_MODEL_PATH")) is None
    monkeypatch.setenv("SECOND_MODEL_PATH", "/second")
    assert settings.model_path(("FIRST_MODEL_PATH", "SECOND_MODEL_PATH")) == ("SECOND_MODEL_PATH", "/second")
    for empty in ("", "  "):
        monkeypatch.setenv("FIRST_MODEL_PATH", empty)
        assert settings.model_path(("FIRST_MODEL_PATH", "SECOND_MODEL_PATH")) == ("SECOND_MODEL_PATH", "/second")
    monkeypatch.setenv("FIRST_MODEL_PATH", "/first")
    assert settings.model_path(("FIRST_MODEL_PATH", "SECOND_MODEL_PATH")) == ("FIRST_MODEL_PATH", "/first")


def test_every_models_path_variables_are_read_and_are_weights_that_somebody_gave(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for model in MODELS:
        for name in model.SPEC.path_variables:
            for empty in ("", "  "):
                monkeypatch.setenv(name, empty)
                assert not read_settings().gives_weights
            monkeypatch.setenv(name, f"/weights/of/{name}")
            assert read_settings().gives_weights
            assert read_settings().model_path(model.SPEC.path_variables) == (name, f"/weights/of/{name}")
            monkeypatch.delenv(name)


def test_settings_cannot_be_changed_behind_the_readers_back() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings().device = "gpu"


def test_telemetry_is_switched_off_whatever_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("ORT_DISABLE_TELEMETRY", "HF_HUB_DISABLE_TELEMETRY")
    for name in names:
        monkeypatch.setenv(name, "0")
    disable_telemetry()
    assert [os.environ[name] for name in names] == ["1", "1"]


class TestCLIP:
    def test_its_documented_variables_are_read(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert read_settings().clip_max_texts == 100
        monkeypatch.setenv("CLIP_MAX_BATCH_TEXTS_SIZE", "7")
        assert read_settings().clip_max_texts == 7
        monkeypatch.setenv("CLIP_USE_TENSORRT", "false")
        monkeypatch.setenv("CLIP_ENGINE_PATH", "/engines/vision.engine")
        found = read_settings().tensorrt("CLIP")
        assert (found.use, found.engine_path) == (False, Path("/engines/vision.engine"))

    def test_its_engine_lies_beside_its_weights_where_nobody_says_otherwise(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CLIP_ENGINE_PATH", raising=False)
        monkeypatch.setenv("HEARTHWATCH_CONTAINER", "1")
        monkeypatch.delenv("HEARTHWATCH_MODELS_DIR", raising=False)
        engine = read_settings().tensorrt("CLIP").engine_path
        assert engine == Path("/models/clip-vit-l/vision_encoder_fp16.engine")
        assert read_settings().tensorrt("POSE").engine_path is None

    def test_the_hubs_own_cache_is_where_hf_home_says_and_nowhere_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("HF_HOME", "HEARTHWATCH_CONTAINER"):
            monkeypatch.delenv(name, raising=False)
        assert read_settings().hub_cache is None
        monkeypatch.setenv("HEARTHWATCH_CONTAINER", "1")
        assert read_settings().hub_cache == Path("/cache/huggingface/hub")
        monkeypatch.setenv("HF_HOME", "/mine")
        assert read_settings().hub_cache == Path("/mine/hub")

    @pytest.mark.parametrize("value", ["0", "-1", "many", "1e9"])
    def test_a_limit_that_is_none_is_named(self, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
        monkeypatch.setenv("CLIP_MAX_BATCH_TEXTS_SIZE", value)
        with pytest.raises(SettingsError, match="CLIP_MAX_BATCH_TEXTS_SIZE"):
            read_settings()
