"""The documented classes: constructed with a path, a variable or nothing, loaded, asked, unloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

from hearthwatch import models
from hearthwatch.adapter.facade import Model, options_from
from hearthwatch.adapter.loading import load
from hearthwatch.errors import ImageError, LoadFailed, SettingsError, WeightsInvalid, WeightsMissing
from hearthwatch.models import (
    MODELS,
    ActionRecognizer,
    ActionTextModel,
    AgeGenderPredictor,
    CLIPEmbeddingModel,
    CLIPTextModel,
    ClothingClassifier,
    DepthEstimator,
    FaceDetector,
    FashionTextModel,
    LicensePlateDetector,
    ObjectDetector,
    PersonReID,
    PetClassifier,
    PlateOCR,
    PoseEstimator,
    SceneTextReader,
    ThreatDetector,
    VehicleClassifier,
    VehicleDamageDetector,
    ViolenceDetector,
    WeatherClassifier,
)
from hearthwatch.settings import read_settings
from toy import ColorMeter, MeanColor, write_network

CLASSES = sorted(
    {value for value in vars(models).values() if isinstance(value, type) and issubclass(value, Model)} - {Model},
    key=lambda value: value.__name__,
)
BACKENDS = {"tensorrt", "cuda", "openvino", "onnxruntime", "pytorch"}
GREEN = (10, 200, 30)


@pytest.fixture(autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's weights and nobody's caches."""
    folder = tmp_path_factory.getbasetemp() / "facade"
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(folder / "models"))
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(folder / "cache"))
    # The choice of a precision has tests of its own; without it every load is quick and every answer exact.
    monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
    for model in MODELS:
        for name in model.SPEC.path_variables:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture
def network(tmp_path: Path) -> Path:
    return write_network(tmp_path / "toy.onnx")


def green() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((20, 30, 3), GREEN, np.uint8)


def test_every_model_has_a_documented_class_and_every_class_a_model() -> None:
    assert sorted(cls.ADAPTER.SPEC.name for cls in CLASSES) == sorted(model.SPEC.name for model in MODELS)
    for cls in CLASSES:
        assert cls.ADAPTER in MODELS
        assert cls.__name__ in models.__all__


def test_the_documented_second_names_are_the_same_classes() -> None:
    assert models.PersonReidentifier is models.PersonReID
    assert models.EnhancedClothingClassifier is models.ClothingClassifier
    assert models.ClothingClassification is models.ClothingClassificationResult


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_path_that_leads_nowhere_is_named_on_loading(cls: type[Model[Any]], tmp_path: Path) -> None:
    path = tmp_path / "no such weights.onnx"
    for given in (path, str(path)):
        model = cls(given)  # does not look yet
        with pytest.raises(WeightsMissing) as told:
            model.load_model()
        assert str(path) in str(told.value)
        assert told.value.model == cls.ADAPTER.SPEC.name


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_the_documented_variable_is_asked_and_named(
    cls: type[Model[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in cls.ADAPTER.SPEC.path_variables:
        monkeypatch.setenv(name, str(tmp_path / "elsewhere.onnx"))
        with pytest.raises(WeightsMissing, match=rf"{name} = .*elsewhere\.onnx"):
            cls().load_model()


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_an_explicit_path_wins_over_the_variable(
    cls: type[Model[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(cls.ADAPTER.SPEC.path_variables[0], str(tmp_path / "variable.onnx"))
    with pytest.raises(WeightsMissing, match=r"given path = .*explicit\.onnx"):
        cls(tmp_path / "explicit.onnx").load_model()


@pytest.mark.parametrize("cls", [cls for cls in CLASSES if not cls.ADAPTER.SPEC.bundled], ids=lambda cls: cls.__name__)
def test_without_path_variable_and_folder_the_error_says_what_would_help(cls: type[Model[Any]]) -> None:
    with pytest.raises(WeightsMissing) as told:
        cls().load_model()
    assert read_settings().models_dir.as_posix() in str(told.value)
    assert cls.ADAPTER.SPEC.path_variables[0] in str(told.value)


def test_a_model_that_brings_its_networks_takes_no_file(network: Path) -> None:
    with pytest.raises(WeightsInvalid, match=r"given path = .*toy\.onnx: plate_ocr"):
        PlateOCR(network).load_model()


# ------------------------------------------------------------------------------------------------ without real weights


def test_load_model_gives_the_model_and_a_loaded_one_stays(network: Path) -> None:
    meter = ColorMeter(network)
    assert meter.load_model() is meter
    loaded = meter._loaded
    assert meter.load() is meter
    assert meter._loaded is loaded
    meter.unload()


def test_a_question_loads_by_itself_also_after_unloading(network: Path) -> None:
    meter = ColorMeter(network)
    assert meter.measure(green()) == GREEN
    meter.unload()
    assert meter._loaded is None
    assert meter.measure(green()) == GREEN
    meter.unload()


def test_unloading_twice_or_before_loading_is_harmless(network: Path) -> None:
    meter = ColorMeter(network)
    meter.unload()
    meter.load_model()
    meter.unload()
    meter.unload()


def test_unloading_closes_the_network(network: Path) -> None:
    meter = ColorMeter(network).load_model()
    loaded = meter._loaded
    assert loaded is not None
    meter.unload()
    with pytest.raises(RuntimeError, match="closed"):
        loaded.runtime.run({"pixels": np.zeros((1, 3, 8, 8), np.float32)})


def test_backend_info_says_what_runs_and_what_was_passed_over(network: Path) -> None:
    info = ColorMeter(network, use_tensorrt=True).get_backend_info()
    assert set(info) == {"backend", "device", "precision", "version", "weights", "passed_over", "notes"}
    assert info["backend"] in BACKENDS
    assert (info["device"], info["precision"], info["weights"]) == ("cpu", "f32", "custom")
    assert info["passed_over"][0]["backend"] == "tensorrt"
    for row in info["passed_over"]:
        assert row["backend"] in BACKENDS
        assert row["reason"]
    assert "tensorrt" not in [row["backend"] for row in ColorMeter(network).get_backend_info()["passed_over"]]


def test_a_variable_and_a_folder_lead_to_the_weights(
    network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(MeanColor.SPEC.path_variables[0], str(network))
    assert ColorMeter().measure(green()) == GREEN
    monkeypatch.delenv(MeanColor.SPEC.path_variables[0])
    write_network(tmp_path / "zoo" / "yolo26" / "yolo26n.onnx")
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path / "zoo"))
    meter = ColorMeter()
    assert meter.measure(green()) == GREEN
    assert meter.get_backend_info()["weights"] == "real"


def test_the_device_of_the_constructor_wins_over_the_variable(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LoadFailed, match="cuda:7"):
        ColorMeter(network, device="cuda:7").load_model()
    with pytest.raises(SettingsError, match="toaster"):
        ColorMeter(network, device="toaster").load_model()
    monkeypatch.setenv("HEARTHWATCH_DEVICE", "cuda:7")
    with pytest.raises(LoadFailed, match="cuda:7"):
        ColorMeter(network).load_model()
    assert ColorMeter(network, device="cpu").measure(green()) == GREEN


def test_two_models_of_one_class_share_nothing(tmp_path: Path) -> None:
    first, second = (ColorMeter(write_network(tmp_path / f"{name}.onnx")) for name in "ab")
    assert first.measure(green()) == second.measure(green()) == GREEN
    first.unload()
    assert first._loaded is None
    assert second._loaded is not None


def test_every_kind_of_picture_is_accepted_and_others_are_refused(network: Path, tmp_path: Path) -> None:
    meter = ColorMeter(network)
    file = tmp_path / "green.png"
    PILImage.fromarray(green()).save(file)
    pictures: list[Any] = [green(), PILImage.fromarray(green()), file, str(file), file.read_bytes()]
    assert [meter.measure(picture) for picture in pictures] == [GREEN] * len(pictures)
    wrong: list[Any] = [5, None, b"", tmp_path / "none.png", green().astype(np.float32), [1, 2, 3]]
    for picture in wrong:
        with pytest.raises(ImageError):
            meter.measure(picture)


def test_options_hold_only_the_variables_that_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = [model.SPEC for model in MODELS]
    assert options_from(read_settings(), *specs).variables == {}
    monkeypatch.setenv("POSE_MODEL_PATH", "/p")
    options = options_from(read_settings(), *specs)
    assert options.variables == {"pose_estimator": ("POSE_MODEL_PATH", "/p")}
    assert options.paths == {}
    assert (options.models_dir, options.cache_dir) == (read_settings().models_dir, read_settings().cache_dir)


def test_loading_leaves_the_options_as_they_were(network: Path) -> None:
    ColorMeter(network).load_model().unload()
    assert options_from(read_settings()).paths == {}
    with pytest.raises(WeightsMissing):
        load(MeanColor, options_from(read_settings()))


# ------------------------------------------------------------------------------------------------------- real weights


def as_pose(model: Any, picture: Any) -> Any:
    pose = model.estimate_pose(picture)
    assert (pose, pose.pose_class) == (model.estimate_poses_batch([picture])[0], pose.posture)
    assert model.estimate(picture)["poses"][0]["confidence"] == pose.confidence
    assert len(pose.keypoints) == 17
    return pose


def as_appearance(model: Any, picture: Any) -> Any:
    result = model.extract_embedding(picture)
    assert model.get_embedding(picture) == pytest.approx(result.embedding.tolist())
    assert model.compute_similarity(result, result) == pytest.approx(1.0, abs=1e-5)
    assert model.is_same_person(result, result)
    return result.hash, result.space


def as_threat(model: Any, picture: Any) -> Any:
    """Seed 003's shape beside the typed result."""
    told, result = model.detect(picture), model.detect_threats(picture)
    assert told["threats_detected"] is result.has_threat is True
    assert told["highest_threat"]["type"] == result.highest_threat.class_name
    assert model.detect_threats(picture, min_confidence=0.99).threats == ()
    return told


def as_cat(model: Any, picture: Any) -> Any:
    told = model.classify(picture)
    assert (told["pet_type"], told["is_household_pet"]) == ("cat", True)
    assert model.classify_pet(picture).to_wire() == told
    return told


def as_depth(model: Any, picture: Any) -> Any:
    whole = model.estimate_object_distance(picture)
    assert whole["calibrated"] is False
    inside = model.estimate_object_distance(picture, {"x": 10, "y": 10, "width": 50, "height": 60}, method="median")
    with pytest.raises(ValueError, match="center, mean, median, min"):
        model.estimate_object_distance(picture, method="mode")
    return whole, inside, model.estimate(picture).mean_depth


def as_plate(model: Any, picture: Any) -> Any:
    read = model.read(picture)
    assert read.detection_confidence is None
    return read


def found(model: Any, picture: Any) -> Any:
    result = model.detect(picture)
    assert result
    return result


def as_writing(model: Any, picture: Any) -> Any:
    result = model.read(picture)
    assert result.lines
    return result


def as_vehicle(model: Any, picture: Any) -> Any:
    result = model.classify(picture)
    assert (result["vehicle_type"], result["color"]) == ("car", "red")
    return result


def as_face(model: Any, picture: Any) -> Any:
    result = model.predict(picture)
    assert (result["age_group"], result["gender"]) == ("young_adult", "female")
    return result


WEAPON = "weapons/images/Handgun_28_jpeg.rf.0dd7ff58b58eb0b8c9c5200e6f75a57e.jpg"
#: Class to its weights, a picture in which there is something to find, the part of it that is shown, and its verb.
REAL: dict[type[Model[Any]], tuple[str | None, str, tuple[int, int, int, int] | None, Callable[[Any, Any], Any]]] = {
    ObjectDetector: ("yolov8n.onnx", "pose/000000000785.jpg", None, found),
    PoseEstimator: ("yolov8n-pose.onnx", "pose/000000000785.jpg", None, as_pose),
    PersonReID: ("osnet_x0_25_msmt17.onnx", "reid/0001_c1s1_001051_00.jpg", None, as_appearance),
    FaceDetector: ("face_detection_yunet_2023mar.onnx", "faces/sample1.jpg", None, found),
    LicensePlateDetector: ("license_plate_yolo26n_640.onnx", "plates/ru_2_a002ha98_000.jpg", None, found),
    ThreatDetector: ("threat_yolov8n_ultralight_256.onnx", WEAPON, None, as_threat),
    PetClassifier: ("mobilenet_v2_1.0_224_quant.onnx", "photos/cat_720p.jpg", None, as_cat),
    DepthEstimator: ("pydnet_plusplus_448x640.onnx", "pose/000000000785.jpg", None, as_depth),
    VehicleClassifier: (
        "vehicle-attributes-recognition-barrier-0039.onnx",
        "vehicles/vehicles_00.jpg",
        (113, 96, 194, 169),
        as_vehicle,
    ),
    AgeGenderPredictor: (
        "age-gender-recognition-retail-0013.onnx",
        "faces/sample1.jpg",
        (829, 428, 1039, 654),
        as_face,
    ),
    PlateOCR: (None, "plates/ru_2_a002ha98_000.jpg", (116, 160, 213, 209), as_plate),
    SceneTextReader: (None, "plates/ru_2_a002ha98_000.jpg", None, as_writing),
}


#: No CLIP, no X-CLIP and no SigLIP is small enough to lie among the assets: `test_clip_parity`,
#: `test_fashion_clip_parity` and `test_xclip` compare towers with the reference, `test_classifier_parity` classifiers.
#: Of the damage network no file was at hand: `test_segment_parity`.
WITHOUT_ASSETS = {
    CLIPEmbeddingModel,
    CLIPTextModel,
    ClothingClassifier,
    FashionTextModel,
    ActionRecognizer,
    ActionTextModel,
    ViolenceDetector,
    WeatherClassifier,
    VehicleDamageDetector,
}


def test_every_documented_class_is_tried_with_real_weights() -> None:
    assert set(REAL) | WITHOUT_ASSETS == set(CLASSES)


@pytest.mark.weights
@pytest.mark.parametrize("cls", REAL, ids=lambda cls: cls.__name__)
def test_a_documented_class_answers_the_same_for_every_kind_of_picture(
    cls: type[Model[Any]], assets: Path, tmp_path: Path
) -> None:
    weights, photo, part, verb = REAL[cls]
    pil = PILImage.open(assets / "data" / photo).convert("RGB").crop(part)
    # PNG: every decoder gives the same pixels, and none of it is decoded at reduced size.
    path = tmp_path / "photo.png"
    pil.save(path)
    model = cls(None if weights is None else assets / "weights" / weights).load_model()
    try:
        expected = verb(model, pil)
        for picture in (np.asarray(pil), path.read_bytes(), path, str(path)):
            assert verb(model, picture) == expected
        info = model.get_backend_info()
        assert info["backend"] in BACKENDS
        assert info["weights"] in {"real", "custom"}
    finally:
        model.unload()
        model.unload()
