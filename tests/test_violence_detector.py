"""Violence by whatever words a checkpoint has for it, and nothing where it has none."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.loading import find, load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.spec import Priority, Scope
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.catalog import default_entry
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import InferenceFailed, WeightsInvalid, WeightsMissing
from hearthwatch.models.violence_detector import (
    PEACEFUL,
    SPEC,
    VIOLENT,
    ViolenceAdapter,
    ViolenceAnswer,
    ViolenceDetectionResult,
    ViolenceDetector,
)
from hearthwatch.vision.image import Image
from torch_by_hand import save_safetensors

Array = np.ndarray[Any, Any]
PICTURE = Image.of(np.full((40, 60, 3), 90, np.uint8))


def adapter(number: int, names: tuple[str, ...] = (), **card: Any) -> ViolenceAdapter:
    outputs = (TensorInfo("scores", (None, number), "float32"),)
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return ViolenceAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={}), names))


def told(model: ViolenceAdapter, *rows: Sequence[float]) -> list[ViolenceDetectionResult]:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"scores": np.array(rows, np.float32)}

    return model.predict([PICTURE] * len(rows), run)


def test_it_is_asked_by_the_pipeline_and_waits_for_everybody() -> None:
    assert (SPEC.scope, SPEC.priority, SPEC.declared_mb, SPEC.triggers) == (Scope.FRAME, Priority.LOW, 500, ())


@pytest.mark.parametrize(
    ("names", "violent"),
    [
        (("NonViolence", "Violence"), 1),
        (("Violence", "NonViolence"), 0),
        (("violent", "non-violent"), 0),
        (("no_violence", " VIOLENCE "), 1),
        (("Fight", "Non Fight"), 0),
        (("noFight", "fight"), 1),
        (("normal", "assault"), 1),
        (("safe", "aggressive"), 1),
    ],
    ids=str,
)
def test_which_class_is_violence_is_told_by_its_words_in_any_order(names: tuple[str, str], violent: int) -> None:
    rows = [[3.0, 0.0], [0.0, 3.0]]
    found = told(adapter(2, names), *rows)
    assert [result.is_violent for result in found] == [violent == 0, violent == 1]
    for result in found:
        assert result.confidence == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
        assert result.category is None  # one kind is no category


def test_the_two_lists_of_words_share_none() -> None:
    assert not VIOLENT & PEACEFUL


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ((), "its 2 classes are violence"),
        (("violence", "cat"), r"classes \(violence, cat\)"),
        (("class_0", "class_1"), r"\(class_0, class_1\)"),
        (("normal", "safe"), r"\(normal, safe\)"),
        (("fight", "assault"), r"\(fight, assault\)"),
        (("nonviolence against animals", "violence"), "nonviolence against animals"),
        (("antiviolence", "ultraviolence"), "antiviolence"),
    ],
    ids=str,
)
def test_labels_that_do_not_say_it_are_refused_and_shown(names: tuple[str, ...], shown: str) -> None:
    with pytest.raises(WeightsInvalid, match=rf"made-up\.onnx does not say.*{shown}"):
        adapter(2, names)


@pytest.mark.parametrize(
    "classes",
    [{"violence": [2]}, {"violence": [1], "fight": [1]}, {"violence": [0, 1]}, {"normal": [0]}, {"violence": []}],
    ids=str,
)
def test_a_card_that_cannot_be_is_refused(classes: dict[str, list[int]]) -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx"):
        adapter(2, ("NonViolence", "Violence"), classes=classes)


def test_a_card_says_it_for_classes_that_nobody_named() -> None:
    first, second = told(adapter(2, classes={"violence": [0]}), (2, 0), (0, 2))
    assert (first.is_violent, second.is_violent) == (True, False)


@pytest.mark.parametrize(
    ("names", "card"),
    [(("Fight", "normal", "ASSAULT"), {}), ((), {"classes": {"Fight": [0], "assault": [2]}})],
    ids=len,
)
def test_of_several_kinds_the_likeliest_is_the_category(names: tuple[str, ...], card: dict[str, Any]) -> None:
    model = adapter(3, names, outputs={"probabilities": {"name": "scores"}}, **card)
    first, second, third = told(model, (0.3, 0.4, 0.3), (0.2, 0.3, 0.5), (0.1, 0.7, 0.2))
    assert (first.is_violent, first.category) == (True, "fight")
    assert first.confidence == pytest.approx(0.6)
    assert (second.is_violent, second.category) == (True, "assault")
    assert (third.is_violent, third.category) == (False, None)
    assert third.confidence == pytest.approx(0.7)


def test_nothing_at_all_is_no_violence_and_no_confidence() -> None:
    outputs = {"probabilities": {"name": "scores"}}
    (found,) = told(adapter(2, ("NonViolence", "Violence"), outputs=outputs), (0, 0))
    assert found == ViolenceDetectionResult(False, 0.0)
    (equal,) = told(adapter(2, ("NonViolence", "Violence"), outputs=outputs), (0.5, 0.5))
    assert not equal.is_violent


def test_scores_that_are_no_numbers_are_a_failure() -> None:
    with pytest.raises(InferenceFailed):
        told(adapter(2, ("NonViolence", "Violence")), (float("nan"), 0))


def test_a_prompt_is_told_in_one_line() -> None:
    assert ViolenceDetectionResult(True, 0.874).to_context_string() == "Violence: seen (confidence: 87%)"
    assert ViolenceDetectionResult(True, 0.6, "fight").to_context_string() == "Violence: seen, fight (confidence: 60%)"
    assert ViolenceDetectionResult(False, 0.96).to_context_string() == "Violence: none seen (confidence: 96%)"


def test_the_wire_fits_its_description_and_is_read_again() -> None:
    result = ViolenceDetectionResult(True, 0.94321, "fight")
    wire = result.to_wire()
    assert wire == {"is_violent": True, "confidence": 0.9432, "category": "fight"}
    assert ViolenceAnswer.model_validate(wire).model_dump() == wire
    assert ViolenceDetectionResult.from_wire(wire) == replace(result, confidence=0.9432)


def test_two_runs_agree_by_the_probability_of_violence_and_not_by_the_verdict() -> None:
    almost = [ViolenceDetectionResult(True, 0.51), ViolenceDetectionResult(False, 0.51)]
    value = SPEC.agreement.judge(almost[:1], almost[1:])
    assert value == pytest.approx(0.98)
    sure = SPEC.agreement.judge([ViolenceDetectionResult(True, 0.9)], [ViolenceDetectionResult(False, 0.9)])
    assert sure is not None
    assert sure < SPEC.agreement.at_least


# Weights


def test_there_are_no_sample_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissing, match=r"^no sample weights exist for violence_detector"):
        find(ViolenceAdapter, LoadOptions(tmp_path, weights="sample"))


def test_without_weights_it_says_what_would_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HEARTHWATCH_VIOLENCE_DETECTOR_MODEL_PATH", raising=False)
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path))
    with pytest.raises(WeightsMissing, match="HEARTHWATCH_VIOLENCE_DETECTOR_MODEL_PATH") as missing:
        ViolenceDetector().detect(PICTURE.pixels)
    assert "models pull violence_detector" in missing.value.remedy


def folder_of(place: Path, labels: Mapping[str, str] | None, *, timm: bool = False) -> Path:
    """A small seeded ViT as it is published."""
    pytest.importorskip("torch", reason="the extra torch is not installed")
    from hearthwatch.networks.vit import ViTPlan
    from test_vit import CONFIG, tensors_of
    from test_vit_timm import timm_tensors

    plan = ViTPlan(2, width=32, layers=2, heads=4, inner=48, grid=(4, 4))
    place.mkdir(parents=True)
    save_safetensors(place / "model.safetensors", (timm_tensors if timm else tensors_of)(plan))
    config = CONFIG | {"architectures": ["ViTForImageClassification"]} | ({"id2label": labels} if labels else {})
    (place / "config.json").write_text(json.dumps(config))
    (place / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 64, "width": 64}})
    )
    return place


@pytest.mark.slow
def test_a_folder_in_hugging_faces_layout_is_converted_and_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
    pictures = [np.full((50, 70, 3), shade, np.uint8) for shade in (0, 255)]
    answers = []
    for order in ({"0": "violence", "1": "non-violence"}, {"0": "non-violence", "1": "violence"}):
        folder = folder_of(tmp_path / order["0"] / "violence-detection", order)
        detector = ViolenceDetector(folder).load_model()
        try:
            assert detector.get_backend_info()["weights"] == "custom"
            answers.append([detector.detect(picture) for picture in pictures])
        finally:
            detector.unload()
    for first, second in zip(*answers, strict=True):
        assert 0.5 <= first.confidence <= 1
        assert first.is_violent is not second.is_violent, "the same network with the labels the other way round"
        assert first.confidence == pytest.approx(second.confidence, abs=1e-5)


@pytest.mark.slow
def test_a_checkpoint_that_names_no_classes_needs_the_card_that_pull_writes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "violence-detection", None, timm=True)
    options = LoadOptions(tmp_path, cache_dir=tmp_path / "cache", precision="f32")
    with pytest.raises(WeightsInvalid, match="does not say which of its 2 classes are violence"):
        load(ViolenceAdapter, options)
    entry = default_entry("violence_detector")
    (folder / "model.safetensors").rename(folder / entry.file)
    facts = {"model": entry.model, **dict(entry.card)}
    (folder / entry.file).with_suffix(".json").write_text(json.dumps(facts))
    loaded = load(ViolenceAdapter, options)
    try:
        assert loaded.looking.description.class_names == ("NonViolence", "Violence")
        (answer,) = loaded.predict([PICTURE])[0]
    finally:
        loaded.close()
    assert 0.5 <= answer.confidence <= 1
