"""Weather by whatever labels a checkpoint has, and none from a network that knows none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.spec import Priority, Scope
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import InferenceFailed, WeightsInvalid, WeightsMissing
from hearthwatch.models.weather_classifier import (
    SPEC,
    WeatherAdapter,
    WeatherAnswer,
    WeatherClassifier,
    WeatherResult,
)
from hearthwatch.vision.image import Image

Array = np.ndarray[Any, Any]
PICTURE = Image.of(np.full((40, 60, 3), 90, np.uint8))
PUBLISHED = ("cloudy/overcast", "foggy/hazy", "rain/storm", "snow/frosty", "sun/clear")


def adapter(number: int, names: tuple[str, ...] = PUBLISHED, **card: Any) -> WeatherAdapter:
    outputs = (TensorInfo("scores", (None, number), "float32"),)
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return WeatherAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={}), names))


def told(model: WeatherAdapter, *rows: Sequence[float]) -> list[WeatherResult]:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"scores": np.array(rows, np.float32)}

    return model.predict([PICTURE] * len(rows), run)


def test_it_is_asked_by_the_pipeline_and_waits_for_everybody() -> None:
    assert (SPEC.scope, SPEC.priority, SPEC.declared_mb, SPEC.triggers) == (Scope.FRAME, Priority.LOW, 200, ())


def test_the_label_of_the_likeliest_class_is_the_weather() -> None:
    found = told(adapter(5), *(np.eye(5) * 6))
    assert [result.weather for result in found] == list(PUBLISHED)
    for result in found:
        assert result.confidence == pytest.approx(np.exp(6) / (np.exp(6) + 4), abs=1e-5)
        assert set(result.all_scores) == set(PUBLISHED)
        assert next(iter(result.all_scores)) == result.weather
        assert sum(result.all_scores.values()) == pytest.approx(1, abs=1e-5)


def test_labels_are_brought_to_one_spelling_and_two_spellings_are_one_label() -> None:
    model = adapter(3, (" Partly_Cloudy ", "partly  cloudy", "RAIN"), outputs={"probabilities": {"name": "scores"}})
    (found,) = told(model, (0.3, 0.3, 0.4))
    assert found.weather == "partly cloudy"
    assert found.all_scores == pytest.approx({"partly cloudy": 0.6, "rain": 0.4})


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ((), "its 2 classes are"),
        (("cat", "dog"), r"\(cat, dog\) are"),
        (("rain", "dog"), r"\(rain, dog\) are"),
        (("raincoat", "snowman"), r"\(raincoat, snowman\)"),
        (("rain", "Rain"), r"\(rain, Rain\)"),
    ],
    ids=str,
)
def test_a_network_whose_classes_are_no_weather_is_refused_with_them(names: tuple[str, ...], shown: str) -> None:
    with pytest.raises(WeightsInvalid, match=rf"made-up\.onnx does not say which weather.*{shown}"):
        adapter(2, names)


@pytest.mark.parametrize(
    "names",
    [
        ("dew", "fogsmog", "frost", "glaze", "hail", "lightning", "rain", "rainbow", "rime", "sandstorm", "snow"),
        ("Cloudy", "Rain", "Shine", "Sunrise"),
        ("sunny", "indoors", "night", "rainy"),
    ],
    ids=len,
)
def test_other_published_lists_of_weather_are_known(names: tuple[str, ...]) -> None:
    (found,) = told(adapter(len(names), names), np.eye(len(names))[1] * 9)
    assert found.weather == names[1].lower()


def test_another_number_of_names_than_classes_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match="names 5 classes"):
        adapter(4)


def test_scores_that_are_no_numbers_are_a_failure() -> None:
    with pytest.raises(InferenceFailed):
        told(adapter(5), (float("inf"), 0, 0, 0, 0))


def test_a_prompt_is_told_in_one_line() -> None:
    assert WeatherResult("rain/storm", 0.874).to_context_string() == "Weather: rain/storm (confidence: 87%)"


def test_the_wire_fits_its_description_and_is_read_again() -> None:
    result = WeatherResult("fog", 0.70001, {"fog": 0.70001, "rain": 0.29999})
    wire = result.to_wire()
    assert wire == {"weather": "fog", "confidence": 0.7, "all_scores": {"fog": 0.7, "rain": 0.3}}
    assert WeatherAnswer.model_validate(wire).model_dump() == wire
    assert WeatherResult.from_wire(wire) == WeatherResult("fog", 0.7, {"fog": 0.7, "rain": 0.3})


def test_two_runs_agree_by_all_their_scores() -> None:
    first, second, third = told(adapter(5), (2, 1, 0, 0, 0), (2.02, 1, 0, 0, 0), (0, 0, 0, 1, 2))
    near, far = (SPEC.agreement.judge([first], [other]) for other in (second, third))
    assert near is not None
    assert far is not None
    assert far < SPEC.agreement.at_least < near < 1


# Weights


def test_there_are_no_sample_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"^no sample weights exist for weather_classifier"):
        find(WeatherAdapter, LoadOptions(tmp_path, weights="sample"))


def test_without_weights_it_says_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTHWATCH_WEATHER_CLASSIFIER_MODEL_PATH", raising=False)
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path))
    with pytest.raises(WeightsMissing, match="HEARTHWATCH_WEATHER_CLASSIFIER_MODEL_PATH") as missing:
        WeatherClassifier().classify(PICTURE.pixels)
    assert "models pull weather_classifier" in missing.value.remedy


@pytest.mark.slow
def test_a_folder_in_hugging_faces_layout_is_converted_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from small_transformers import SIGLIP_CONFIG, save_folder, siglip_tensors

    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
    folder = save_folder(tmp_path / "weather-classification", siglip_tensors(), SIGLIP_CONFIG)
    classifier = WeatherClassifier(folder).load_model()
    try:
        found = [classifier.classify(np.full((50, 70, 3), shade, np.uint8)) for shade in (0, 255)]
    finally:
        classifier.unload()
    for result in found:
        assert result.weather in PUBLISHED
        assert set(result.all_scores) == set(PUBLISHED)
        assert result.confidence == max(result.all_scores.values())
    assert found[0].all_scores != found[1].all_scores
