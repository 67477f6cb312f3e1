"""Ages and genders by whatever labels a checkpoint has, and what it does not tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.facade import options_from
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import InferenceFailed, SettingsError, WeightsInvalid
from hearthwatch.hosting.local import LocalRunner
from hearthwatch.hosting.spec import ModelPriority, ModelSpec
from hearthwatch.hosting.triggers import triggered
from hearthwatch.models.demographics import (
    SPEC,
    AgeGenderPredictor,
    DemographicsAdapter,
    DemographicsAnswer,
    DemographicsResult,
)
from hearthwatch.settings import read_settings
from hearthwatch.vision.image import Image
from test_ages import FAIRFACE

Array = np.ndarray[Any, Any]
FACE = Image.of(np.full((60, 50, 3), 120, np.uint8))
OMZ = {
    "age": {"name": "years", "scale": 100.0},
    "gender": {"name": "sex", "kind": "probabilities", "classes": ["female", "male"]},
}


def adapter(number: int, names: tuple[str, ...] = (), **card: Any) -> DemographicsAdapter:
    outputs = (
        TensorInfo("logits", (None, number), "float32"),
        TensorInfo("years", (None, 1, 1, 1), "float32"),
        TensorInfo("sex", (None, 2, 1, 1), "float32"),
    )
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return DemographicsAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={}), names))


def told(
    model: DemographicsAdapter, *rows: Sequence[float], years: float = 0.27, male: float = 0.8
) -> list[DemographicsResult]:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        size = len(rows)
        return {
            "logits": np.array(rows, np.float32),
            "years": np.full((size, 1, 1, 1), years, np.float32),
            "sex": np.tile(np.array([1 - male, male], np.float32).reshape(1, 2, 1, 1), (size, 1, 1, 1)),
        }

    return model.predict([FACE] * len(rows), run)


def test_a_checkpoint_of_ages_tells_its_own_label_and_our_word_and_no_gender() -> None:
    rows = [[6.0 if i == at else 0.0 for i in range(9)] for at in range(9)]
    found = told(adapter(9, FAIRFACE), *rows)
    assert [result.age_range for result in found] == list(FAIRFACE)
    assert found[3].age_group == "young_adult"
    assert found[3].age_confidence == pytest.approx(np.exp(6) / (np.exp(6) + 8), abs=1e-5)
    assert (found[3].gender, found[3].gender_confidence) == (None, None)
    assert found[3].confidence == found[3].age_confidence
    assert found[3].missing == ("the network tells no gender",)


def test_a_checkpoint_of_genders_tells_no_age() -> None:
    (found,) = told(adapter(2, ("Man", "Woman")), (0.0, 2.0))
    assert (found.gender, found.age_range, found.age_group, found.age_confidence) == ("female", None, None, None)
    assert found.confidence == found.gender_confidence
    assert found.missing == ("the network tells no age",)


def test_a_checkpoint_of_both_at_once_is_told_apart_by_its_sums() -> None:
    names = ("female 20-29", "male 20-29", "female 60+", "male 60+")
    (found,) = told(adapter(4, names, outputs={"probabilities": {"name": "logits"}}), (0.3, 0.1, 0.25, 0.35))
    assert (found.age_range, found.age_group) == ("60+", "senior")
    assert found.age_confidence == pytest.approx(0.6)
    assert found.gender == "female"
    assert found.gender_confidence == pytest.approx(0.55)
    assert found.confidence == found.gender_confidence
    assert found.missing == ()


@pytest.mark.parametrize("names", [("20-29_male", "20-29_female"), ("Male (20, 29)", "Female (20, 29)")])
def test_one_age_alone_is_no_age(names: tuple[str, str]) -> None:
    (found,) = told(adapter(2, names), (3.0, 0.0))
    assert (found.gender, found.age_range) == ("male", None)


def test_a_card_may_name_years_and_a_gender() -> None:
    model = adapter(3, outputs=OMZ)
    (found,) = told(model, (0, 0, 0), years=0.274)
    assert (found.age_range, found.age_group, found.age_confidence) == ("27", "young_adult", None)
    assert found.gender == "male"
    assert found.gender_confidence == pytest.approx(0.8)
    assert found.confidence == found.gender_confidence
    for years, group in ((0.296, "adult"), (0.294, "young_adult"), (-0.1, "child"), (9.0, "senior")):
        assert told(model, (0, 0, 0), years=years)[0].age_group == group


def test_a_card_may_name_classes_of_age() -> None:
    outputs = {
        "age": {"name": "logits", "kind": "logits", "classes": ["under 18", "18-64", "65+"]},
        "gender": OMZ["gender"],
    }
    (found,) = told(adapter(3, outputs=outputs), (0, 9, 0), male=0.1)
    assert (found.age_range, found.age_group, found.gender) == ("18-64", "adult", "female")


@pytest.mark.parametrize(
    ("number", "names", "outputs", "message"),
    [
        (2, (), {}, "no classes that are ages or genders"),
        (2, ("cat", "dog"), {}, r"ages or genders \(cat, dog\)"),
        (3, ("20-29", "30-39", "unclear"), {}, "no classes that are ages or genders"),
        (3, ("20-29", "30-39"), {}, "names 2 classes"),
        (3, (), {"age": {"name": "elsewhere", "scale": 100}}, "'elsewhere' is the age"),
        (3, (), {"gender": {"name": "sex", "classes": ["a", "b"]}}, "output gender are no genders"),
        (3, (), {"age": {"name": "sex", "classes": ["male", "female"]}}, "output age are no ages"),
        (3, (), {"gender": {"name": "elsewhere", "classes": ["male", "female"]}}, "elsewhere"),
    ],
)
def test_a_network_whose_answers_are_neither_is_refused(
    number: int, names: tuple[str, ...], outputs: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightsInvalid, match=rf"made-up\.onnx.*{message}"):
        adapter(number, names, outputs=outputs)


def test_answers_that_are_no_numbers_are_a_failure() -> None:
    with pytest.raises(InferenceFailed):
        told(adapter(2, ("male", "female")), (float("nan"), 0))
    with pytest.raises(InferenceFailed):
        told(adapter(2, outputs=OMZ), (0, 0), years=float("inf"))


def test_a_prompt_is_told_what_is_known_and_that_it_is_an_appearance() -> None:
    result = DemographicsResult("40-49", "middle_aged", 0.7, "female", 0.9, {})
    assert result.to_context_string() == "Apparent age and gender: middle aged, age 40-49, female (confidence: 70%)"
    assert DemographicsResult("27", "young_adult", None, None, None, {}).to_context_string() == (
        "Apparent age and gender: young adult, age 27"
    )


def test_the_wire_fits_its_description_and_predict_answers_as_documented() -> None:
    result = DemographicsResult("40-49", "middle_aged", 0.70001, "female", 0.9, {})
    wire = result.to_wire()
    assert DemographicsAnswer.model_validate(wire).model_dump() == wire
    assert (wire["age_confidence"], wire["confidence"], wire["missing"]) == (0.7, 0.7, [])
    assert result.to_dict() == {"age_group": "middle_aged", "gender": "female", "confidence": 0.70001}


def test_two_runs_agree_by_all_their_scores() -> None:
    names = ("female 20-29", "male 20-29", "female 60+", "male 60+")
    first, second, third = told(adapter(4, names), (2, 1, 0, 0), (2.02, 1, 0, 0), (0, 0, 1, 2))
    values = [SPEC.agreement.judge([first], [other]) for other in (first, second, third)]
    assert values[0] == 1
    assert values[1] is not None
    assert values[2] is not None
    assert values[2] < SPEC.agreement.at_least < values[1] < 1
    years = [told(adapter(2, outputs=OMZ), (0, 0), years=age)[0] for age in (0.2, 0.6)]
    value = SPEC.agreement.judge(years[:1], years[1:])
    assert value is not None
    assert value < SPEC.agreement.at_least


def test_a_visible_face_asks_for_it_and_a_person_alone_does_not() -> None:
    spec = ModelSpec("demographics", 500, ModelPriority.HIGH, lambda: None, lambda _model: None, SPEC.triggers)
    for face, wanted in ((True, [spec]), (False, [])):
        assert triggered([spec], "person", face_visible=face, suspicious=False) == wanted
    assert triggered([spec], "car", face_visible=True, suspicious=False) == []


# Switched off


def test_it_is_there_unless_somebody_switches_it_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMOGRAPHICS_ENABLED", raising=False)
    assert read_settings().switched_off == frozenset()
    for word in ("false", "0", "off"):
        monkeypatch.setenv("DEMOGRAPHICS_ENABLED", word)
        assert read_settings().switched_off == {"demographics"}
    monkeypatch.setenv("DEMOGRAPHICS_ENABLED", "maybe")
    with pytest.raises(SettingsError, match="DEMOGRAPHICS_ENABLED"):
        read_settings()


def test_where_it_is_off_it_is_neither_offered_nor_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEMOGRAPHICS_ENABLED", "false")
    off = options_from(read_settings(), SPEC)
    assert not LocalRunner(off, [DemographicsAdapter]).offers("demographics")
    with pytest.raises(SettingsError, match="demographics is switched off"):
        load(DemographicsAdapter, off)
    with pytest.raises(SettingsError, match="demographics is switched off"):
        AgeGenderPredictor(tmp_path).load_model()
    assert LocalRunner(LoadOptions(tmp_path), [DemographicsAdapter]).offers("demographics")
