"""Cats and dogs: whatever the classifier knows besides them, and from wherever it says which classes they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.models.pet_classifier import (
    IMAGENET_ANIMALS,
    MIN_PET_SHARE,
    SPEC,
    PetAdapter,
    PetAnswer,
    PetClassificationResult,
)
from hearthwatch.vision.image import Image

Array = np.ndarray[Any, Any]
PICTURE = Image.of(np.full((40, 60, 3), 90, np.uint8))
PETS = {"cat": [0, 1], "dog": [2, 3]}


def adapter(number: int, names: tuple[str, ...] = (), **card: Any) -> PetAdapter:
    outputs = (TensorInfo("scores", (None, number), "float32"),)
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return PetAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={}), names))


def judged(model: PetAdapter, *rows: Sequence[float]) -> list[PetClassificationResult]:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"scores": np.array(rows, np.float32)}

    return model.predict([PICTURE] * len(rows), run)


def probabilities(names: tuple[str, ...] = ()) -> PetAdapter:
    return adapter(6, names, classes=PETS, outputs={"probabilities": {"name": "scores"}})


def test_two_classes_are_told_by_their_names_in_any_order() -> None:
    first, second = judged(adapter(2, ("Dogs", "Cats")), (3.0, 0.0), (0.0, 3.0))
    assert (first.pet_type, second.pet_type) == ("dog", "cat")
    assert first.confidence == pytest.approx(1 / (1 + np.exp(-3)), abs=1e-6)
    assert (first.breed, first.is_household_pet) == ("unknown", True)


def test_the_mass_of_all_cats_is_held_against_the_mass_of_all_dogs() -> None:
    (found,) = judged(probabilities(), (0.2, 0.2, 0.3, 0.0, 0.3, 0.0))
    assert found.pet_type == "cat"
    assert found.confidence == pytest.approx(0.7 * 0.2 / (0.2 + 0.15))


def test_many_classes_of_one_animal_do_not_outweigh_few_of_the_other() -> None:
    card = {"cat": [0], "dog": [[1, 10]]}
    model = adapter(11, classes=card, outputs={"probabilities": {"name": "scores"}})
    (found,) = judged(model, (0.4, *[0.06] * 10))
    assert found.pet_type == "cat"


@pytest.mark.parametrize(("pets", "is_pet"), [(MIN_PET_SHARE + 0.01, True), (MIN_PET_SHARE - 0.01, False), (0, False)])
def test_what_the_network_takes_for_neither_is_no_pet(pets: float, is_pet: bool) -> None:
    (found,) = judged(probabilities(), (0, 0, pets, 0, 1 - pets, 0))
    assert found.is_household_pet is is_pet
    assert found.confidence == pytest.approx(pets)


def test_quantised_probabilities_are_brought_to_a_sum_of_one() -> None:
    outputs = {"probabilities": {"name": "scores", "scale": 1 / 256}}
    (found,) = judged(adapter(6, classes=PETS, outputs=outputs), (0, 120, 0, 0, 0, 120))
    assert found.confidence == pytest.approx(0.5)


def test_logits_by_their_kind_go_through_a_softmax() -> None:
    outputs = {"probabilities": {"name": "scores", "kind": "logits"}}
    (found,) = judged(adapter(6, classes=PETS, outputs=outputs), (900.0, 0, 0, 0, 0, 0))
    assert (found.pet_type, found.confidence) == ("cat", 1.0)


@pytest.mark.parametrize(("classes", "cat", "dog"), [(1000, 281, 268), (1001, 282, 269)])
def test_imagenets_layout_is_known_by_the_number_of_classes(classes: int, cat: int, dog: int) -> None:
    rows = np.full((3, classes), -9.0)
    rows[0, cat], rows[1, dog], rows[2, 600] = 9.0, 9.0, 9.0
    found = judged(adapter(classes), *rows)
    assert [(pet.pet_type, pet.is_household_pet) for pet in found[:2]] == [("cat", True), ("dog", True)]
    assert not found[2].is_household_pet
    assert (len(IMAGENET_ANIMALS[classes]["cat"]), len(IMAGENET_ANIMALS[classes]["dog"])) == (5, 118)


def test_a_breed_is_named_only_where_the_weights_name_breeds() -> None:
    names = ("tabby", "siamese", "pug", "husky", "toaster", "sofa")
    (found,) = judged(probabilities(names), (0.1, 0.1, 0.1, 0.7, 0, 0))
    assert (found.pet_type, found.breed) == ("dog", "husky")
    assert found.to_context_string() == "Pet: dog, husky (confidence: 80%)"


def test_nothing_at_all_is_no_pet_and_divides_by_nothing() -> None:
    (found,) = judged(probabilities(), (0, 0, 0, 0, 0, 0))
    assert (found.confidence, found.is_household_pet) == (0.0, False)


def test_scores_that_are_no_numbers_are_a_failure_and_no_cat() -> None:
    with pytest.raises(InferenceFailed):
        judged(probabilities(), (float("nan"), 0, 0, 0, 0, 0))


@pytest.mark.parametrize(
    ("classes", "names", "card"),
    [
        (2, (), {}),
        (3, ("cat", "fox", "wolf"), {}),
        (2, (), {"classes": {"cat": [0]}}),
        (2, (), {"classes": {"cat": [0], "dog": [2]}}),
        (2, (), {"classes": {"cat": [0, 1], "dog": [1]}}),
        (3, ("cat", "dog"), {}),
        (2, ("cat", "dog"), {"outputs": {"logits": {"name": "elsewhere"}}}),
    ],
)
def test_a_classifier_that_cannot_tell_cats_and_dogs_is_refused(
    classes: int, names: tuple[str, ...], card: dict[str, Any]
) -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx"):
        adapter(classes, names, **card)


def test_the_wire_fits_its_description() -> None:
    wire = PetClassificationResult("dog", "unknown", 0.94321, is_household_pet=True).to_wire()
    assert wire == {"pet_type": "dog", "breed": "unknown", "confidence": 0.9432, "is_household_pet": True}
    assert PetAnswer.model_validate(wire).model_dump() == wire


def test_neither_is_told_as_neither() -> None:
    told = PetClassificationResult("dog", "unknown", 0.05, is_household_pet=False).to_context_string()
    assert told == "Pet: neither cat nor dog (nearest: dog, confidence: 5%)"
