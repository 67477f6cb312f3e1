"""The documented factories, and paths from outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from hearthwatch.errors import HearthwatchError, WeightsMissing
from hearthwatch.models import load_person_reid, load_pose_estimator, load_threat_detector, validate_model_path


def test_a_path_inside_an_allowed_folder_comes_back_resolved(tmp_path: Path) -> None:
    models = tmp_path / "models"
    (models / "pose").mkdir(parents=True)
    assert validate_model_path(models / "pose/../pose/a.onnx", [models]) == models.resolve() / "pose/a.onnx"
    assert validate_model_path(str(models), [models]) == models.resolve()


@pytest.mark.parametrize(
    "path", ["models_evil/a.onnx", "models/../secret.onnx", "models/pose/../../x", "/etc/passwd", "."]
)
def test_a_path_that_leads_out_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "models/pose").mkdir(parents=True)
    with pytest.raises(HearthwatchError, match="does not lie in"):
        validate_model_path(tmp_path / path, [tmp_path / "models"])


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    models, outside = tmp_path / "models", tmp_path / "outside"
    models.mkdir()
    outside.mkdir()
    (models / "link").symlink_to(outside)
    with pytest.raises(HearthwatchError, match="does not lie in"):
        validate_model_path(models / "link/a.onnx", [models])


def test_a_path_with_a_null_byte_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HearthwatchError):
        validate_model_path("a\0b", [tmp_path])


def test_without_folders_the_models_directory_is_the_one_that_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path / "models"))
    assert validate_model_path(tmp_path / "models/a.onnx") == (tmp_path / "models/a.onnx").resolve()
    with pytest.raises(HearthwatchError, match="does not lie in"):
        validate_model_path(tmp_path / "models_evil/a.onnx")


def test_no_folder_allows_nothing(tmp_path: Path) -> None:
    with pytest.raises(HearthwatchError, match="no folder"):
        validate_model_path(tmp_path, [])


@pytest.mark.parametrize("factory", [load_person_reid, load_pose_estimator, load_threat_detector])
def test_a_factory_loads_at_once_and_says_what_is_missing(factory: object, tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match="does not exist"):
        factory(tmp_path / "absent.onnx")  # type: ignore[operator]


@pytest.mark.weights
@pytest.mark.parametrize(
    ("factory", "file"),
    [
        (load_person_reid, "osnet_x0_25_msmt17.onnx"),
        (load_pose_estimator, "yolov8n-pose.onnx"),
        (load_threat_detector, "threat_yolov8n_ultralight_256.onnx"),
    ],
)
def test_a_factory_gives_a_model_that_answers(factory: object, file: str, assets: Path) -> None:
    model = factory(assets / "weights" / file)  # type: ignore[operator]
    try:
        assert model.get_backend_info()["backend"]
    finally:
        model.unload()
