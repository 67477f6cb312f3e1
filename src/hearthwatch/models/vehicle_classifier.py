"""Vehicle classifier: which kind of vehicle a crop shows, and its colour.

Network  ResNet-50 (He et al. 2016, arXiv:1512.03385) with the eleven classes of MIO-TCD (Luo et al. 2018, "MIO-TCD: A
         New Benchmark Dataset for Vehicle Classification and Localization"); or any classifier whose class names or
         card say which of its classes are these, with an output for the colour or without.
Weights  AventIQ-AI/ResNet-50-Vehicle-Segment-classification, which states no licence (its data: CC BY-NC-SA 4.0).
Input    a crop of one vehicle with a margin, squashed to 224 x 224, ImageNet mean and std.
Output   (N, 11) logits; by a card, `type` and `color`.
Limits   MIO-TCD is traffic cameras of North America: what else stands in a drive (a tractor, a camper) has no class.
         Where the network has no output for it, the colour is a rule's (`vision.paint`).
"""

from __future__ import annotations

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
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from hearthwatch.vision.paint import COLORS, Paint, paint_of

#: MIO-TCD's classes in the order of their indices, which is that of the alphabet.
MIO_TCD = (
    "articulated_truck",
    "background",
    "bicycle",
    "bus",
    "car",
    "motorcycle",
    "non_motorized_vehicle",
    "pedestrian",
    "pickup_truck",
    "single_unit_truck",
    "work_van",
)
UNKNOWN = "unknown"
BACKGROUND = "background"
NO_VEHICLE = frozenset({BACKGROUND, "pedestrian"})
COMMERCIAL = frozenset({"articulated_truck", "single_unit_truck", "work_van"})
#: So little of them is paint that a rule would tell the colour of the street.
UNPAINTED = frozenset({"bicycle", "motorcycle", "non_motorized_vehicle"})
DISPLAY_NAMES: Mapping[str, str] = {
    "articulated_truck": "Articulated truck",
    "bicycle": "Bicycle",
    "bus": "Bus",
    "car": "Car (sedan, SUV)",
    "motorcycle": "Motorcycle",
    "non_motorized_vehicle": "Non-motorized vehicle",
    "pickup_truck": "Pickup truck",
    "single_unit_truck": "Single-unit truck",
    "work_van": "Work van",
    UNKNOWN: "No vehicle",
}
#: Other words for the same classes.
_SYNONYMS: Mapping[str, str] = {
    "sedan": "car",
    "suv": "car",
    "pickup": "pickup_truck",
    "motorbike": "motorcycle",
    "nonmotorized_vehicle": "non_motorized_vehicle",
}
#: Fewer kinds of vehicle than this tell nothing apart.
MIN_KINDS = 2
#: Around the vehicle's box: detectors cut off mirrors and bumpers.
VEHICLE_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class VehicleClassificationResult:
    """One vehicle.

    Attributes:
        vehicle_type: one of `MIO_TCD`, or `UNKNOWN` where the network says that it is no vehicle.
        confidence: 0..1; where it is unknown, that it is no vehicle.
        all_scores: 0..1 by class, the likeliest first; `background` and `pedestrian` are among them.
        color: a word; None where it cannot be told.
        color_confidence: 0..1; None likewise.
        color_reason: why it cannot be told; empty where it can.
    """

    vehicle_type: str
    confidence: float
    all_scores: Mapping[str, float] = field(default_factory=dict)
    color: str | None = None
    color_confidence: float | None = None
    color_reason: str = ""

    @property
    def display_name(self) -> str:
        """The type for people."""
        return DISPLAY_NAMES.get(self.vehicle_type, self.vehicle_type)

    @property
    def is_commercial(self) -> bool:
        """Whether it is of a type that delivers and builds."""
        return self.vehicle_type in COMMERCIAL

    @property
    def is_vehicle(self) -> bool:
        """False where the network says that there is none."""
        return self.vehicle_type != UNKNOWN

    def to_context_string(self) -> str:
        """The vehicle as a prompt's lines."""
        if not self.is_vehicle:
            return f"Vehicle: none by a closer look (confidence: {self.confidence:.0%})"
        color = f", {self.color}" if self.color else ""
        lines = [f"Vehicle: {self.display_name}{color} (confidence: {self.confidence:.0%})"]
        if self.is_commercial:
            lines.append("  [Commercial vehicle]")
        return "\n".join(lines)

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/vehicle-classify`."""
        return {
            "vehicle_type": self.vehicle_type,
            "display_name": self.display_name,
            "confidence": wire.share(self.confidence),
            "is_commercial": self.is_commercial,
            "color": self.color,
            "color_confidence": wire.share(self.color_confidence),
            "color_reason": self.color_reason or None,
            "all_scores": {name: wire.share(score) for name, score in self.all_scores.items()},
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/vehicle-classify` read again."""
        return cls(
            vehicle_type=told["vehicle_type"],
            confidence=wire.number(told["confidence"]),
            all_scores={name: wire.number(score) for name, score in told["all_scores"].items()},
            color=told["color"],
            color_confidence=told["color_confidence"],
            color_reason=told["color_reason"] or "",
        )


class VehicleAnswer(wire.Answer):
    """One vehicle."""

    vehicle_type: str = Field(
        description=f"One of {', '.join(name for name in MIO_TCD if name not in NO_VEHICLE)}; "
        f'"{UNKNOWN}" where the network says that it is no vehicle.'
    )
    display_name: str = Field(description="The type for people.")
    confidence: float | None = Field(description="0..1; where the type is unknown, that it is no vehicle.")
    is_commercial: bool = Field(description=f"Whether the type is {', '.join(sorted(COMMERCIAL))}.")
    color: str | None = Field(description=f"{', '.join(COLORS)}, or a word of the network's own; null with a reason.")
    color_confidence: float | None = Field(description="0..1; by the rule, the share of the body in that colour.")
    color_reason: str | None = Field(description="Why there is no colour; null where there is one.")
    all_scores: dict[str, float | None] = Field(description="0..1 by class, background and pedestrian included.")


SPEC = Spec(
    name="vehicle_classifier",
    title="Vehicle classifier",
    scope=Scope.CROP,
    priority=Priority.MEDIUM,
    triggers=("car", "truck", "bus", "motorcycle", "bicycle"),
    declared_mb=1500,
    input=InputSpec(
        "pixel_values", (224, 224), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="antialias"
    ),
    agreement=Agreement(
        "class scores", 0.95, lambda reference, candidate: same_scores(reference.all_scores, candidate.all_scores)
    ),
    aliases=("vehicle",),
    variables=("VEHICLE_MODEL_PATH",),
    margin=VEHICLE_MARGIN,
)


class VehicleAdapter(ImageNetwork[VehicleClassificationResult]):
    """Any image classifier that tells kinds of vehicles apart."""

    SPEC = SPEC
    FINDING = VehicleClassificationResult
    RESPONSE = VehicleAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.type = ClassOutput.of(description, "type", "probabilities", "logits")
        self.kinds = _kinds(description, self.type)
        self.color: ClassOutput | None = None
        if (stated := description.card.outputs.get("color")) is not None:
            if not stated.classes:
                raise WeightsInvalid(f"{description.graph.path.name}: its card names an output color without classes")
            self.color = ClassOutput.of(description, "color")

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[VehicleClassificationResult]:
        """(N, classes) to N vehicles."""
        rows = self.type.probabilities(outputs, len(images))
        colors = self.color.probabilities(outputs, len(images)) if self.color else [None] * len(images)
        return [self._judge(row, color, image) for row, color, image in zip(rows, colors, images, strict=True)]

    def _judge(self, row: Float, color: Float | None, image: Image) -> VehicleClassificationResult:
        scores = {name: float(row[list(indices)].sum()) for name, indices in self.kinds.items()}
        ordered = dict(sorted(scores.items(), key=lambda item: -item[1]))
        best = next(iter(ordered))
        kind = UNKNOWN if best in NO_VEHICLE else best
        paint = self._paint(kind, color, image)
        return VehicleClassificationResult(
            kind, min(1.0, ordered[best]), ordered, paint.color, paint.confidence, paint.reason
        )

    def _paint(self, kind: str, color: Float | None, image: Image) -> Paint:
        if kind == UNKNOWN:
            return Paint(None, None, "the network says that it is no vehicle")
        if self.color is not None and color is not None:
            return Paint(self.color.names[int(color.argmax())], float(color.max()))
        if kind in UNPAINTED:
            return Paint(None, None, f"too little of a {DISPLAY_NAMES[kind].lower()} is painted")
        return paint_of(image.pixels)


def _kinds(description: Description, output: ClassOutput) -> Mapping[str, tuple[int, ...]]:
    """Class indices by MIO-TCD's names: from the card, from the class names, or by MIO-TCD's own order."""
    file, stated = description.graph.path.name, description.card.classes
    if stated:
        found = _merged((name, indices) for name, indices in stated.items())
    elif output.names:
        found = _merged((name, (index,)) for index, name in enumerate(output.names))
    else:
        found = {name: (i,) for i, name in enumerate(MIO_TCD)} if output.classes == len(MIO_TCD) else {}
    named = [index for indices in found.values() for index in indices]
    if len(found.keys() - NO_VEHICLE) < MIN_KINDS:
        raise WeightsInvalid(
            f"{file} does not say which of its {output.classes} classes are which vehicles: a card with "
            f'"classes": {{"car": […], "bus": […]}} does, with names of {", ".join(MIO_TCD)}'
        )
    if max(named) >= output.classes or len(set(named)) < len(named):
        raise WeightsInvalid(f"{file}: its card names classes beyond the {output.classes} that it has, or one twice")
    # What the network knows beside vehicles is no vehicle.
    if rest := tuple(sorted(set(range(output.classes)) - set(named))):
        found[BACKGROUND] = found.get(BACKGROUND, ()) + rest
    return found


def _merged(pairs: Any) -> dict[str, tuple[int, ...]]:
    """The pairs whose names are known; two words for one class are one class."""
    found: dict[str, tuple[int, ...]] = {}
    for name, indices in pairs:
        word = name.strip().lower().replace("-", "_").replace(" ", "_")
        word = _SYNONYMS.get(word, word)
        if word in MIO_TCD:
            found[word] = found.get(word, ()) + tuple(indices)
    return found


class VehicleClassifier(Model[VehicleClassificationResult]):
    """Tell kinds of vehicles apart: `VehicleClassifier("vehicles.onnx").classify(vehicle_crop)`."""

    ADAPTER = VehicleAdapter

    def classify(self, image: PictureLike) -> dict[str, Any]:
        """`{vehicle_type, display_name, confidence, is_commercial, color, …}` of the one vehicle in a crop."""
        return self.classify_vehicle(image).to_wire()

    def classify_vehicle(self, image: PictureLike) -> VehicleClassificationResult:
        """As `classify`, as the typed result."""
        return self._predict([image])[0]
