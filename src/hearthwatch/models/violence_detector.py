"""Violence detector: whether a picture shows people who fight.

Network  ViT-B/16 (Dosovitskiy et al. 2021, arXiv:2010.11929) with two classes; or any classifier whose class names or
         card say which of its classes are violence.
Weights  jaranohaal/vit-base-violence-detection, Apache-2.0: frames of Real Life Violence Situations (Soliman et al.
         2019, "Violence Recognition from Videos using Deep Learning Techniques"). Its config.json names no classes; the
         card that `pull` writes beside it does.
Input    the whole picture, squashed to 224 x 224, mean and std 0.5 where the checkpoint says nothing.
Output   (N, classes) logits or probabilities.
Limits   One picture has no movement: sport, dance and horseplay look like a fight. The published accuracy (98.8 %) is
         on the same data set; on pictures of a house's camera nobody published one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

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
from hearthwatch.vision.inputs import InputSpec

#: What classes of violence and of its absence are called, letters alone: the folders of the data sets (Real Life
#: Violence Situations: Violence, NonViolence; RWF-2000, Cheng et al. 2020, arXiv:1911.05913: Fight, NonFight), and
#: plain words for the same.
VIOLENT = frozenset({"violence", "violent", "fight", "fighting", "assault", "aggression", "aggressive"})
PEACEFUL = frozenset(
    {
        "nonviolence",
        "nonviolent",
        "noviolence",
        "notviolent",
        "nonfight",
        "nonfighting",
        "nofight",
        "normal",
        "neutral",
        "safe",
        "peaceful",
    }
)


@dataclass(frozen=True, slots=True)
class ViolenceDetectionResult:
    """What one picture shows.

    Attributes:
        is_violent: whether violence is likelier than none.
        confidence: 0..1; that it is as `is_violent` says.
        category: the checkpoint's word for the likeliest kind of violence, where it tells several apart; None else, and
            where there is none.
    """

    is_violent: bool
    confidence: float
    category: str | None = None

    def to_context_string(self) -> str:
        """One line."""
        if not self.is_violent:
            return f"Violence: none seen (confidence: {self.confidence:.0%})"
        kind = "" if self.category is None else f", {self.category}"
        return f"Violence: seen{kind} (confidence: {self.confidence:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "is_violent": self.is_violent,
            "confidence": wire.share(self.confidence),
            "category": self.category,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The result read again."""
        return cls(told["is_violent"], wire.number(told["confidence"]), told["category"])


class ViolenceAnswer(wire.Answer):
    """What one picture shows."""

    is_violent: bool = Field(description="Whether violence is likelier than none.")
    confidence: float | None = Field(description="0..1; that it is as `is_violent` says.")
    category: str | None = Field(
        description="The weights' own word for the kind of violence; null where they know one kind only, or see none."
    )


def _same_likelihood(reference: ViolenceDetectionResult, candidate: ViolenceDetectionResult) -> float:
    """1 minus the difference of the probabilities of violence."""
    first, second = (one.confidence if one.is_violent else 1.0 - one.confidence for one in (reference, candidate))
    return 1.0 - abs(first - second)


SPEC = Spec(
    name="violence_detector",
    title="Violence detector",
    scope=Scope.FRAME,
    priority=Priority.LOW,
    # Nothing that a single detection has: the pipeline asks it about pictures with several persons.
    triggers=(),
    declared_mb=500,
    input=InputSpec(
        "pixel_values",
        (224, 224),
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="antialias",
    ),
    agreement=Agreement("probability of violence", 0.95, _same_likelihood),
    aliases=("violence",),
)


class ViolenceAdapter(ImageNetwork[ViolenceDetectionResult]):
    """Any image classifier that tells violence from none."""

    SPEC = SPEC
    FINDING = ViolenceDetectionResult
    RESPONSE = ViolenceAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.output = ClassOutput.of(description, "probabilities", "logits")
        self.kinds = _kinds(description, self.output)

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[ViolenceDetectionResult]:
        """(N, classes) to N results."""
        return [self._judge(row) for row in self.output.probabilities(outputs, len(images))]

    def _judge(self, probabilities: Float) -> ViolenceDetectionResult:
        kinds = {word: float(probabilities[list(at)].sum()) for word, at in self.kinds.items()}
        violent = sum(kinds.values())
        peaceful = max(0.0, float(probabilities.sum()) - violent)
        is_violent = violent > peaceful
        category = max(kinds, key=lambda word: kinds[word]) if is_violent and len(kinds) > 1 else None
        return ViolenceDetectionResult(is_violent, min(1.0, violent if is_violent else peaceful), category)


def _kinds(description: Description, output: ClassOutput) -> Mapping[str, tuple[int, ...]]:
    """Class indices of violence by the checkpoint's words: from the card, else from the class names.

    Raises:
        WeightsInvalid: they do not say which are, or that any are none.
    """
    file, stated = description.graph.path.name, description.card.classes
    if stated:
        found = _merged(stated.items())
    elif all(_letters(name) in VIOLENT | PEACEFUL for name in output.names):
        found = _merged((name, (index,)) for index, name in enumerate(output.names))
    else:
        found = {}
    named = [index for indices in found.values() for index in indices]
    if not named or len(set(named)) == output.classes:
        labels = f" ({', '.join(output.names[:20])})" if output.names else ""
        raise WeightsInvalid(
            f"{file} does not say which of its {output.classes} classes{labels} are violence and which are none: class "
            'names such as "violence" and "non-violence" do, or a card with "classes": {"violence": […]}'
        )
    if max(named) >= output.classes or len(set(named)) < len(named):
        raise WeightsInvalid(f"{file}: its card names classes beyond the {output.classes} that it has, or one twice")
    return found


def _merged(pairs: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, tuple[int, ...]]:
    """Those that are violence, by their words."""
    found: dict[str, tuple[int, ...]] = {}
    for name, indices in pairs:
        if _letters(name) in VIOLENT:
            word = " ".join(name.lower().replace("_", " ").split())
            found[word] = found.get(word, ()) + tuple(indices)
    return found


def _letters(name: str) -> str:
    """Without what stands between the words: "Non-Violence", "non_violence" and "NonViolence" are one."""
    return "".join(character for character in name.lower() if character.isalpha())


class ViolenceDetector(Model[ViolenceDetectionResult]):
    """Tell whether people fight: `ViolenceDetector("violence-detection").detect("yard.jpg").is_violent`."""

    ADAPTER = ViolenceAdapter

    def detect(self, image: PictureLike) -> ViolenceDetectionResult:
        """What one whole picture shows."""
        return self._predict([image])[0]
