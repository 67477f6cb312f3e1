"""Pet classifier: cat or dog, from a crop of one animal.

Network  ResNet-18 (He et al. 2016, arXiv:1512.03385) with two classes; or any classifier whose card, class names or
         ImageNet layout say which of its classes are cats and which are dogs.
Weights  a cat and dog folder in Hugging Face's layout, or microsoft/resnet-18 (ImageNet), Apache-2.0.
Input    a crop of one animal with a margin, squashed to 224 x 224, ImageNet mean and std.
Output   (N, classes) logits or probabilities.
Limits   A network of two classes calls everything a pet: only one that knows other things can say "neither". Foxes and
         wolves are dogs to most networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.class_output import ClassOutput
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec

PetType = Literal["cat", "dog"]
ANIMALS: tuple[PetType, PetType] = ("cat", "dog")
UNKNOWN_BREED = "unknown"
#: Share of all probability that cats and dogs must have together before the animal is called a pet. With MobileNetV2,
#: 98 of the 100 `cats_dogs` reach it, and none of 21 pictures without an animal.
MIN_PET_SHARE = 0.2
#: Around the animal's box: ears and tails stand out, and the network was trained on whole animals.
PET_MARGIN = 0.05
#: ImageNet's classes of domestic cats and of dogs, by the number of classes: 1001 has a background class in front.
IMAGENET_ANIMALS: Mapping[int, Mapping[str, tuple[int, ...]]] = {
    1000: {"cat": tuple(range(281, 286)), "dog": tuple(range(151, 269))},
    1001: {"cat": tuple(range(282, 287)), "dog": tuple(range(152, 270))},
}


@dataclass(frozen=True, slots=True)
class PetClassificationResult:
    """One animal.

    Attributes:
        pet_type: cat or dog, whichever is likelier, also where neither is likely.
        breed: where the weights name breeds, else `UNKNOWN_BREED`.
        confidence: 0..1; that it is this animal and not the other, nor anything else.
        is_household_pet: whether the network takes it for a cat or a dog at all.
    """

    pet_type: PetType
    breed: str
    confidence: float
    is_household_pet: bool

    def to_context_string(self) -> str:
        """One line."""
        if not self.is_household_pet:
            return f"Pet: neither cat nor dog (nearest: {self.pet_type}, confidence: {self.confidence:.0%})"
        breed = "" if self.breed == UNKNOWN_BREED else f", {self.breed}"
        return f"Pet: {self.pet_type}{breed} (confidence: {self.confidence:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/pet-classify`."""
        return {
            "pet_type": self.pet_type,
            "breed": self.breed,
            "confidence": wire.share(self.confidence),
            "is_household_pet": self.is_household_pet,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/pet-classify` read again."""
        return cls(told["pet_type"], told["breed"], wire.number(told["confidence"]), told["is_household_pet"])


class PetAnswer(wire.Answer):
    """One animal."""

    pet_type: PetType = Field(description="The likelier of the two, also where `is_household_pet` is false.")
    breed: str = Field(description='"unknown" unless the weights name breeds.')
    confidence: float | None = Field(description="0..1, of all that the network knows.")
    is_household_pet: bool = Field(description="False where the network says that it is neither.")


def _same_animal(reference: PetClassificationResult, candidate: PetClassificationResult) -> float | None:
    """1 minus the difference of the confidences; 0 for another animal; None where neither sees a pet."""
    if not (reference.is_household_pet or candidate.is_household_pet):
        return None
    if (reference.pet_type, reference.is_household_pet) != (candidate.pet_type, candidate.is_household_pet):
        return 0.0
    return 1.0 - abs(reference.confidence - candidate.confidence)


SPEC = Spec(
    name="pet_classifier",
    title="Pet classifier",
    scope=Scope.CROP,
    priority=Priority.MEDIUM,
    triggers=("cat", "dog"),
    declared_mb=200,
    input=InputSpec(
        "pixel_values", (224, 224), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="antialias"
    ),
    agreement=Agreement("same animal, difference of confidence", 0.9, _same_animal),
    aliases=("pet",),
    variables=("PET_MODEL_PATH",),
    margin=PET_MARGIN,
)


class PetAdapter(ImageNetwork[PetClassificationResult]):
    """Any image classifier that knows cats and dogs."""

    SPEC = SPEC
    FINDING = PetClassificationResult
    RESPONSE = PetAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.output = ClassOutput.of(description, "probabilities", "logits")
        self.animals = _animals(description, self.output.classes)

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[PetClassificationResult]:
        """(N, classes) to N animals."""
        return [self._judge(row) for row in self.output.probabilities(outputs, len(images))]

    def _judge(self, probabilities: Float) -> PetClassificationResult:
        masses = [float(probabilities[list(self.animals[animal])].sum()) for animal in ANIMALS]
        # ImageNet has 5 classes of cats and 118 of dogs, so a doubtful cat's probability runs into the dogs. Dividing
        # by the number of classes takes the training's prior out (Saerens et al. 2002): with MobileNetV2, 94 of the 100
        # `cats_dogs` are right for 87.
        evidence = [mass / len(self.animals[animal]) for mass, animal in zip(masses, ANIMALS, strict=True)]
        winner = ANIMALS[int(np.argmax(evidence))]
        pet_share, total = sum(masses), sum(evidence)
        return PetClassificationResult(
            pet_type=winner,
            breed=self._breed(probabilities, winner),
            confidence=min(1.0, pet_share * max(evidence) / total) if total > 0 else 0.0,
            is_household_pet=pet_share >= MIN_PET_SHARE,
        )

    def _breed(self, probabilities: Float, animal: PetType) -> str:
        classes = self.animals[animal]
        # One class for all cats names no breed.
        if len(classes) < 2 or not self.output.names:
            return UNKNOWN_BREED
        return self.output.names[max(classes, key=lambda index: float(probabilities[index]))]


def _animals(description: Description, classes: int) -> Mapping[str, tuple[int, ...]]:
    """Class indices of cats and of dogs: from the card, from the class names, or by ImageNet's layout."""
    file, stated = description.graph.path.name, description.card.classes
    if stated:
        found: Mapping[str, tuple[int, ...]] = stated
    elif named := _named(description.class_names):
        found = named
    else:
        found = IMAGENET_ANIMALS.get(classes, {})
    if any(not found.get(animal) for animal in ANIMALS):
        raise WeightsInvalid(
            f'{file} does not say which of its {classes} classes are cats and dogs: a card with "classes": '
            '{"cat": […], "dog": […]} does'
        )
    if max(max(found[animal]) for animal in ANIMALS) >= classes or set(found["cat"]) & set(found["dog"]):
        raise WeightsInvalid(f"{file}: its card names classes beyond the {classes} that it has, or one as both animals")
    return {animal: found[animal] for animal in ANIMALS}


def _named(names: Sequence[str]) -> dict[str, tuple[int, ...]]:
    """Where classes are called cat and dog; empty where one of them is not."""
    folded = [name.strip().lower().removesuffix("s") for name in names]
    return {animal: (folded.index(animal),) for animal in ANIMALS} if set(ANIMALS) <= set(folded) else {}


class PetClassifier(Model[PetClassificationResult]):
    """Tell cats from dogs: `PetClassifier("pets.onnx").classify(animal_crop)`."""

    ADAPTER = PetAdapter

    def classify(self, image: PictureLike) -> dict[str, Any]:
        """`{pet_type, breed, confidence, is_household_pet}` of the one animal in a crop."""
        return self.classify_pet(image).to_wire()

    def classify_pet(self, image: PictureLike) -> PetClassificationResult:
        """As `classify`, as the typed result."""
        return self._predict([image])[0]
