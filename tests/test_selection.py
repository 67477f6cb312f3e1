"""Which models a detection deserves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.errors import UnknownDetectionType
from hearthwatch.hosting.triggers import FACE, SUSPICIOUS
from hearthwatch.models import MODELS
from hearthwatch.selection import (
    ANIMAL_CLASSES,
    DETECTION_TYPES,
    FOLLOW_UPS,
    VEHICLE_CLASSES,
    class_of,
    get_models_for_detection_type,
    models_beside,
    models_of_picture,
)

PERSON = ["threat_detector", "fashion_clip", "pose_estimator", "person_reid", "depth_estimator"]
VEHICLE = ["vehicle_classifier", "depth_estimator"]
PET = ["pet_classifier", "depth_estimator"]
#: API.md, word for word.
DOCUMENTED = {
    "person": PERSON,
    "car": VEHICLE,
    "truck": VEHICLE,
    "bus": VEHICLE,
    "motorcycle": VEHICLE,
    "bicycle": VEHICLE,
    "cat": PET,
    "dog": PET,
    "bird": ["depth_estimator"],
}
FLAGS = list(itertools.product([False, True], repeat=2))


@pytest.mark.parametrize("kind", DOCUMENTED)
def test_a_class_gets_exactly_the_documented_models_in_the_documented_order(kind: str) -> None:
    assert get_models_for_detection_type(kind) == DOCUMENTED[kind]


def test_the_documented_classes_are_vehicles_animals_and_persons() -> None:
    assert VEHICLE_CLASSES == ("car", "truck", "bus", "motorcycle", "bicycle")
    assert ANIMAL_CLASSES == ("cat", "dog", "bird")
    assert set(DOCUMENTED) == {"person", *VEHICLE_CLASSES, *ANIMAL_CLASSES}


@pytest.mark.parametrize(("suspicious", "frames"), FLAGS)
@pytest.mark.parametrize("kind", DOCUMENTED)
def test_only_a_suspicious_person_with_several_frames_gets_the_action_model(
    kind: str, suspicious: bool, frames: bool
) -> None:
    models = get_models_for_detection_type(kind, suspicious, frames)
    extra = ["action_recognizer"] if kind == "person" and suspicious and frames else []
    assert models == DOCUMENTED[kind] + extra


@pytest.mark.parametrize("name", ["Person", "PERSON", "Car", "dOg"])
def test_the_case_of_a_class_does_not_matter(name: str) -> None:
    assert get_models_for_detection_type(name) == DOCUMENTED[name.lower()]
    assert models_beside(name) == models_beside(name.lower())
    assert ("action_recognizer" in get_models_for_detection_type(name, True, True)) == (name.lower() == "person")


@pytest.mark.parametrize(
    "name", ["carpet", "scar", "cart", "catfish", "hot dog", "birdcage", "persona", "business", "", "suspicious"]
)
def test_a_name_that_only_contains_a_class_is_none(name: str) -> None:
    assert get_models_for_detection_type(name, True, True) == []
    assert models_beside(name) == []


@settings(deadline=None)
@given(st.text())
def test_any_other_word_gets_no_model(name: str) -> None:
    if name.lower() not in DOCUMENTED:
        assert get_models_for_detection_type(name, True, True) == models_beside(name) == []


def test_the_lists_are_the_callers_own() -> None:
    get_models_for_detection_type("person").clear()
    models_beside("person").clear()
    assert get_models_for_detection_type("person") == PERSON
    assert models_beside("person")


def test_our_own_models_stand_beside_the_documented_lists() -> None:
    beside = {kind: models_beside(kind) for kind in DOCUMENTED}
    plates = {kind: ["license_plate_detector", "vehicle_damage"] for kind in ("car", "truck", "bus", "motorcycle")}
    others = {"person": ["face_detector"]}
    assert beside == {kind: [] for kind in DOCUMENTED} | others | plates


@pytest.mark.parametrize(
    ("kinds", "asked"),
    [
        ([], []),
        (["person", "dog"], []),
        (["person", "Person"], ["violence_detector"]),
        (["personal computer"] * 2, []),
    ],
)
def test_a_picture_as_a_whole_has_models_of_its_own(kinds: list[str], asked: list[str]) -> None:
    assert models_of_picture(kinds) == [*asked, "weather_classifier", "scene_text"]


def test_a_plate_that_was_found_is_read() -> None:
    assert dict(FOLLOW_UPS) == {"license_plate_detector": "plate_ocr"}


def test_every_model_is_selected_for_the_classes_that_its_spec_names() -> None:
    for model in MODELS:
        for kind in set(model.SPEC.triggers) - {FACE, SUSPICIOUS}:
            assert model.SPEC.name in get_models_for_detection_type(kind) + models_beside(kind)


def test_every_selected_model_that_exists_names_the_class_in_its_spec() -> None:
    specs = {model.SPEC.name: model.SPEC for model in MODELS}
    for kind in DOCUMENTED:
        for name in get_models_for_detection_type(kind) + models_beside(kind):
            if name in specs:
                assert kind in specs[name].triggers


@pytest.mark.parametrize("kind", DETECTION_TYPES)
def test_every_detection_type_has_the_models_of_a_class(kind: str) -> None:
    assert get_models_for_detection_type(class_of(kind)) == get_models_for_detection_type(class_of(kind.upper())) != []


def test_a_general_word_means_what_all_or_most_of_its_classes_mean() -> None:
    assert get_models_for_detection_type(class_of("vehicle")) == VEHICLE
    assert get_models_for_detection_type(class_of("animal")) == PET
    assert set(DETECTION_TYPES) == {*DOCUMENTED, "vehicle", "animal"}


@settings(deadline=None)
@given(st.text())
def test_any_other_word_is_no_detection_type(name: str) -> None:
    if name.lower() not in DETECTION_TYPES:
        with pytest.raises(UnknownDetectionType, match="person, vehicle, animal, car") as raised:
            class_of(name)
        assert len(str(raised.value)) < 700
