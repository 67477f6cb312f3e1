"""Demographics: an estimate of age and gender, from a crop of one face.

Network  ViT (Dosovitskiy et al. 2021, arXiv:2010.11929) whose classes are ages, genders, or both at once; or any
         network whose card says which output is the age, in years or in classes, and which the gender.
Weights  onnx-community/fairface_age_image_detection-ONNX, Apache-2.0: ages alone.
Input    a crop of one face with a margin, squashed to 224 x 224, mean and std 0.5 where the checkpoint says nothing.
Output   (N, classes) logits; by a card, `age` (classes, or years by its scale) and `gender`.
Limits   An appearance and no fact: wrong by ten years often, more so in poor light, and not equally so for all people.
         A checkpoint of ages alone gives no gender, and the other way round; an age in years has no confidence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_scores
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.class_output import ClassOutput
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.ages import AGE_WORDS, MAX_AGE, AgeGroup, age_group, group_of
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec

GENDERS = ("female", "male")
#: Other words for the same.
_GENDER_WORDS: Mapping[str, str] = {
    "woman": "female",
    "girl": "female",
    "f": "female",
    "man": "male",
    "boy": "male",
    "m": "male",
    **{gender: gender for gender in GENDERS},
}
#: Around the face: FairFace, on which public age networks are trained, shows a quarter around it, and Open Model Zoo's
#: network is surest on a detector's tight boxes.
FACE_MARGIN = 0.15
_NO_AGE, _NO_GENDER = "the network tells no age", "the network tells no gender"


@dataclass(frozen=True, slots=True)
class DemographicsResult:
    """What one face looks like.

    Attributes:
        age_range: the checkpoint's label, or whole years; None where the network tells no age.
        age_group: the word for it; None likewise.
        age_confidence: 0..1; None likewise, and for years, which come without one.
        gender: female or male; None where the network tells none.
        gender_confidence: 0..1; None likewise.
        scores: 0..1 by label, ages and genders, to compare two runs; years as a share of `MAX_AGE`.
        reasons: why nothing is told where no network looked at a face; empty where one did.
    """

    age_range: str | None
    age_group: AgeGroup | None
    age_confidence: float | None
    gender: str | None
    gender_confidence: float | None
    scores: Mapping[str, float]
    reasons: tuple[str, ...] = ()

    @property
    def confidence(self) -> float | None:
        """The lower of those that are known."""
        return min((c for c in (self.age_confidence, self.gender_confidence) if c is not None), default=None)

    @property
    def missing(self) -> tuple[str, ...]:
        """What is not told, and why."""
        return self.reasons or tuple(
            reason for value, reason in ((self.age_range, _NO_AGE), (self.gender, _NO_GENDER)) if value is None
        )

    def to_context_string(self) -> str:
        """One line, which says that it is an estimate."""
        if self.reasons:
            return f"Apparent age and gender: not told ({'; '.join(self.reasons)})"
        words = [self.age_group.replace("_", " ")] if self.age_group else []
        words += [f"age {self.age_range}"] if self.age_range else []
        words += [self.gender] if self.gender else []
        sure = "" if self.confidence is None else f" (confidence: {self.confidence:.0%})"
        return f"Apparent age and gender: {', '.join(words)}{sure}"

    def to_dict(self) -> dict[str, Any]:
        """`{age_group, gender, confidence}`, as the documented `predict` answers."""
        return {"age_group": self.age_group, "gender": self.gender, "confidence": self.confidence}

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/demographics`."""
        return {
            "age_range": self.age_range,
            "age_group": self.age_group,
            "age_confidence": wire.share(self.age_confidence),
            "gender": self.gender,
            "gender_confidence": wire.share(self.gender_confidence),
            "confidence": wire.share(self.confidence),
            "missing": list(self.missing),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/demographics` read again, without the scores, which do not travel."""
        nobody_looked = told["age_range"] is None and told["gender"] is None
        return cls(
            age_range=told["age_range"],
            age_group=told["age_group"],
            age_confidence=told["age_confidence"],
            gender=told["gender"],
            gender_confidence=told["gender_confidence"],
            scores={},
            reasons=tuple(told["missing"]) if nobody_looked else (),
        )


class DemographicsAnswer(wire.Answer):
    """What one face looks like: an estimate."""

    age_range: str | None = Field(description="The checkpoint's label, or whole years; null where it tells no age.")
    age_group: str | None = Field(description=f"One of {', '.join(AGE_WORDS)}; null where no age is told.")
    age_confidence: float | None = Field(description="0..1; null for an age in years, which comes without one.")
    gender: str | None = Field(description="female or male; null where the network tells none.")
    gender_confidence: float | None = Field(description="0..1.")
    confidence: float | None = Field(description="The lower of the two, of those that are known.")
    missing: list[str] = Field(description="Why something is null.")


SPEC = Spec(
    name="demographics",
    title="Demographics",
    scope=Scope.CROP,
    priority=Priority.HIGH,
    triggers=("face",),
    declared_mb=500,
    input=InputSpec(
        "pixel_values",
        (224, 224),
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="antialias",
    ),
    agreement=Agreement(
        "label scores", 0.95, lambda reference, candidate: same_scores(reference.scores, candidate.scores)
    ),
    aliases=("age_gender", "age-gender"),
    variables=("AGE_GENDER_MODEL_PATH",),
    margin=FACE_MARGIN,
)


class DemographicsAdapter(ImageNetwork[DemographicsResult]):
    """Any network that tells ages, genders or both from a face."""

    SPEC = SPEC
    FINDING = DemographicsResult
    RESPONSE = DemographicsAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        stated = description.card.outputs
        self.years = stated["age"] if "age" in stated and not stated["age"].classes else None
        if self.years is None and "age" not in stated and "gender" not in stated:
            output = ClassOutput.of(description, "probabilities", "logits")
            labels = [_read(name) for name in output.names]
            self.age = _part(output, [age for age, _ in labels])
            self.gender = _part(output, [gender for _, gender in labels])
        else:
            self.age = _stated(description, "age") if self.years is None else None
            self.gender = _stated(description, "gender")
        self._check(description)

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[DemographicsResult]:
        """One or two outputs for N faces to N results."""
        count = len(images)
        ages = self.age.scores(outputs, count) if self.age else [{}] * count
        genders = self.gender.scores(outputs, count) if self.gender else [{}] * count
        years = self._years(outputs, count)
        return [_result(*row) for row in zip(ages, genders, years, strict=True)]

    def _years(self, outputs: Tensors, count: int) -> list[int | None]:
        if self.years is None:
            return [None] * count
        values = np.asarray(outputs[self.years.name], np.float32).reshape(count, -1) * np.float32(self.years.scale or 1)
        if values.shape[1] != 1 or not np.isfinite(values).all():
            raise InferenceFailed(f"{count} faces gave {values.shape[1]} ages each, or some that are no numbers")
        return [int(value) for value in np.rint(np.clip(values[:, 0], 0, MAX_AGE))]

    def _check(self, description: Description) -> None:
        file, outputs = description.graph.path.name, {tensor.name for tensor in description.graph.outputs}
        if self.years is not None and self.years.name not in outputs:
            raise WeightsInvalid(f"{file}: its card says that {self.years.name!r} is the age; the graph has none of it")
        if self.age is None and self.gender is None and self.years is None:
            shown = ", ".join(description.class_names[:4]) or "no names"
            raise WeightsInvalid(
                f"{file} has no classes that are ages or genders ({shown}): a config.json beside it, or a card with "
                '"names", or with "outputs": {"age": …, "gender": …}, says what they are'
            )


@dataclass(frozen=True, slots=True)
class _Part:
    """One of the two answers of a network: labels, and the classes that mean each."""

    output: ClassOutput
    labels: Mapping[str, tuple[int, ...]]

    def scores(self, outputs: Tensors, count: int) -> list[dict[str, float]]:
        """By label, for each face."""
        rows: Float = self.output.probabilities(outputs, count)
        return [{label: float(row[list(at)].sum()) for label, at in self.labels.items()} for row in rows]


def _stated(description: Description, role: str) -> _Part | None:
    """The output that the card gives that role."""
    if role not in description.card.outputs:
        return None
    output = ClassOutput.of(description, role)
    labels = [_read(name) for name in output.names]
    part = _part(output, [age if role == "age" else gender for age, gender in labels])
    if part is None:
        raise WeightsInvalid(f"{description.graph.path.name}: the classes of its output {role} are no {role}s")
    return part


def _part(output: ClassOutput, labels: Sequence[str | None]) -> _Part | None:
    """The classes with a label, by it; None where too few have one to tell anything apart."""
    found: dict[str, tuple[int, ...]] = {}
    for index, label in enumerate(labels):
        if label is not None:
            found[label] = (*found.get(label, ()), index)
    # A class without a label would make the others' shares too small for what they say.
    return _Part(output, found) if len(found) > 1 and None not in labels else None


def _read(name: str) -> tuple[str | None, str | None]:
    """The age and the gender that a class name says: "20-29", "male", "female_20-29", "Male (25, 32)"."""
    if age_group(name) is not None:
        return name, None
    words = re.split(r"[\s_/|:]+", name.strip(), maxsplit=1)
    if len(words) == 1:
        return None, _GENDER_WORDS.get(words[0].lower())
    for word, rest in (words, re.split(r"[\s_/|:]+(?=\S+$)", name.strip(), maxsplit=1)[::-1]):
        gender, age = _GENDER_WORDS.get(word.lower()), rest.strip()
        if gender is not None:
            return (age, gender) if age_group(age) is not None else (None, gender)
    return None, None


def _result(ages: Mapping[str, float], genders: Mapping[str, float], years: int | None) -> DemographicsResult:
    age = max(ages, key=lambda label: ages[label], default=None)
    gender = max(genders, key=lambda label: genders[label], default=None)
    scores = {**ages, **genders} | ({} if years is None else {"years": years / MAX_AGE})
    return DemographicsResult(
        age_range=str(years) if years is not None else age,
        age_group=group_of(years) if years is not None else age_group(age) if age is not None else None,
        age_confidence=None if age is None else min(1.0, ages[age]),
        gender=gender,
        gender_confidence=None if gender is None else min(1.0, genders[gender]),
        scores=scores,
    )


class AgeGenderPredictor(Model[DemographicsResult]):
    """Estimate age and gender: `AgeGenderPredictor("age-gender").predict(face_crop)`."""

    ADAPTER = DemographicsAdapter

    def predict(self, face_image: PictureLike) -> dict[str, Any]:
        """`{age_group, gender, confidence}` of the one face in a crop."""
        return self.predict_demographics(face_image).to_dict()

    def predict_demographics(self, face_image: PictureLike) -> DemographicsResult:
        """As `predict`, as the typed result."""
        return self._predict([face_image])[0]
