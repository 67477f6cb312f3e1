"""Weather classifier: the weather that a picture shows.

Network  SigLIP 2 base at 224 px with a layer of classes (Zhai et al. 2023, arXiv:2303.15343; Tschannen et al. 2025,
         arXiv:2502.14786); or any classifier whose class names or card name kinds of weather.
Weights  prithivMLmods/Weather-Image-Classification, Apache-2.0: cloudy/overcast, foggy/hazy, rain/storm, snow/frosty,
         sun/clear.
Input    the whole picture, squashed to 224 x 224, mean and std 0.5 where the checkpoint says nothing.
Output   (N, classes) logits or probabilities.
Limits   The published accuracy is 0.86 on photographs like those of its training. No class means that there is no sky:
         an indoor picture and a night without a moon get a weather too. Where the network is unsure, `confidence` says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_scores
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.class_output import ClassOutput
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec

#: Words by which a classifier of weather is known: those of the public data sets (WeatherNet-05; the eleven classes of
#: Xiao et al. 2021, "Classification of Weather Phenomenon From Images by Using Deep Convolutional Neural Network") and
#: their other forms.
WEATHER_WORDS = frozenset(
    {
        "clear", "cloud", "clouds", "cloudy", "dew", "dry", "dust", "dusty", "fog", "foggy", "fogsmog", "freezing",
        "frost", "frosty", "glaze", "hail", "haze", "hazy", "lightning", "mist", "misty", "overcast", "rain",
        "rainbow", "rainy", "rime", "sandstorm", "shine", "sleet", "smog", "snow", "snowy", "storm", "stormy", "sun",
        "sunny", "sunrise", "thunder", "thunderstorm", "wet", "wind", "windy",
    }
)  # fmt: skip
#: Fewer kinds of weather than this tell nothing apart.
MIN_KINDS = 2


@dataclass(frozen=True, slots=True)
class WeatherResult:
    """The weather of one picture.

    Attributes:
        weather: the checkpoint's label for the likeliest, in lower case and with spaces between its words.
        confidence: 0..1.
        all_scores: 0..1 by label, the likeliest first.
    """

    weather: str
    confidence: float
    all_scores: Mapping[str, float] = field(default_factory=dict)

    def to_context_string(self) -> str:
        """One line."""
        return f"Weather: {self.weather} (confidence: {self.confidence:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """The result as plain values."""
        return {
            "weather": self.weather,
            "confidence": wire.share(self.confidence),
            "all_scores": {name: wire.share(score) for name, score in self.all_scores.items()},
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The result read again."""
        scores = {name: wire.number(score) for name, score in told["all_scores"].items()}
        return cls(told["weather"], wire.number(told["confidence"]), scores)


class WeatherAnswer(wire.Answer):
    """The weather of one picture."""

    weather: str = Field(description="The weights' own label for the likeliest, in lower case.")
    confidence: float | None = Field(description="0..1.")
    all_scores: dict[str, float | None] = Field(description="0..1 by label, the likeliest first.")


SPEC = Spec(
    name="weather_classifier",
    title="Weather classifier",
    scope=Scope.FRAME,
    priority=Priority.LOW,
    # Nothing that a detection has: the pipeline asks it about the whole picture.
    triggers=(),
    declared_mb=200,
    input=InputSpec(
        "pixel_values",
        (224, 224),
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        interpolation="antialias",
    ),
    agreement=Agreement(
        "label scores", 0.95, lambda reference, candidate: same_scores(reference.all_scores, candidate.all_scores)
    ),
    aliases=("weather",),
)


class WeatherAdapter(ImageNetwork[WeatherResult]):
    """Any image classifier that tells kinds of weather apart."""

    SPEC = SPEC
    FINDING = WeatherResult
    RESPONSE = WeatherAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.output = ClassOutput.of(description, "probabilities", "logits")
        self.labels = _labels(description, self.output)

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[WeatherResult]:
        """(N, classes) to N results."""
        return [self._judge(row) for row in self.output.probabilities(outputs, len(images))]

    def _judge(self, probabilities: Float) -> WeatherResult:
        scores = {label: min(1.0, float(probabilities[list(at)].sum())) for label, at in self.labels.items()}
        ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
        weather, confidence = next(iter(ordered.items()))
        return WeatherResult(weather, confidence, ordered)


def _labels(description: Description, output: ClassOutput) -> Mapping[str, tuple[int, ...]]:
    """Class indices by normalised label; two spellings of one label are one.

    Raises:
        WeightsInvalid: nobody names the classes, or their names are no weather.
    """
    found: dict[str, tuple[int, ...]] = {}
    for index, name in enumerate(output.names):
        label = " ".join(name.lower().replace("_", " ").split())
        found[label] = (*found.get(label, ()), index)
    if sum(bool(WEATHER_WORDS & {*re.findall(r"[a-z]+", label)}) for label in found) < MIN_KINDS:
        told = f"({', '.join(output.names[:20])}) " if output.names else ""
        raise WeightsInvalid(
            f"{description.graph.path.name} does not say which weather its {output.classes} classes {told}are: a card "
            'with "names" such as "rain" and "clear" does'
        )
    return found


class WeatherClassifier(Model[WeatherResult]):
    """Tell the weather: `WeatherClassifier("weather-classification").classify("yard.jpg").weather`."""

    ADAPTER = WeatherAdapter

    def classify(self, image: PictureLike) -> WeatherResult:
        """The weather of one whole picture."""
        return self._predict([image])[0]
