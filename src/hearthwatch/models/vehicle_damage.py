"""Vehicle damage: dents, scratches, broken glass and the like on one vehicle, and how much of it they cover.

Network  YOLO11x-seg or any other YOLO segmentation network (YOLOv8, YOLO11, YOLO26), either head.
Weights  a segmentation network trained on CarDD (Wang et al. 2022, arXiv:2211.00945: dent, scratch, crack, glass
         shatter, lamp broken, tire flat), as an ONNX export or a checkpoint of YOLOv8 or YOLO11; AGPL-3.0 for the one
         that is known to us. The names are those of the file, whatever they are.
Input    a crop of one vehicle with a margin, letterboxed to 640 x 640, RGB, 0..1.
Output   a head (N, 4 + classes + 32, 8400), or (N, 300, 38) end-to-end, and mask prototypes (N, 32, 160, 160); see
         `adapter.segment_output` and `vision.masks`.
Limits   CarDD shows damaged cars from near, in daylight. From a camera above a drive a scratch is less than a pixel,
         and a reflection can pass for one. Not measured here: no weights of it were at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.segment_output import SegmentOutput
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.vision.boxes import Box, coverage
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.letterbox import Letterbox
from hearthwatch.vision.masks import Mask, decode_masks
from hearthwatch.vision.subject import Subject
from hearthwatch.vision.yolo import decode_yolo

#: Damages below it are not decoded: the exporter's documented default.
MIN_CONFIDENCE = 0.25
#: Confidence from which engines are compared, as those of the other detectors.
SURE = 0.5
#: Around the vehicle's box: detectors cut off bumpers and mirrors, where most damage is. Not more, for the network was
#: trained on pictures that a car fills, and the margin takes pixels from it and shows the neighbours.
DAMAGE_MARGIN = 0.05
#: A damage is this vehicle's when the greater part of its box lies inside the vehicle's: the margin shows others too.
MIN_COVERAGE = 0.5
#: A share of the vehicle that a text rounds to nothing.
_LEAST_SHOWN = 0.01


@dataclass(frozen=True, slots=True)
class VehicleDamage:
    """One damage.

    Attributes:
        class_name: the word of the weight file.
        confidence: 0..1.
        box: xyxy in picture pixels.
        covered_share: 0..1, of the vehicle's box as far as it is in the picture; 0 where the mask is empty.
        outline: corners x, y in picture pixels of the largest piece of the mask; none where it is empty.
    """

    class_name: str
    confidence: float
    box: Box
    covered_share: float
    outline: tuple[tuple[float, float], ...] = ()

    def to_context_string(self) -> str:
        """One line."""
        return f"Damage: {_told(self)}"

    def to_wire(self) -> dict[str, Any]:
        """One row of `damages`."""
        return {
            "class": self.class_name,
            "confidence": wire.share(self.confidence),
            "bbox": wire.xywh(self.box),
            "covered_share": wire.share(self.covered_share),
            "outline": [[wire.pixel(x), wire.pixel(y)] for x, y in self.outline],
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `damages` read again."""
        return cls(
            class_name=told["class"],
            confidence=wire.number(told["confidence"]),
            box=wire.box(told["bbox"]),
            covered_share=wire.number(told["covered_share"]),
            outline=tuple((wire.number(x), wire.number(y)) for x, y in told["outline"]),
        )


@dataclass(frozen=True, slots=True)
class VehicleDamageResult:
    """The damages of one vehicle, most confident first; an answer also where there are none."""

    damages: tuple[VehicleDamage, ...] = ()

    @property
    def has_damage(self) -> bool:
        return bool(self.damages)

    @property
    def highest_damage(self) -> VehicleDamage | None:
        """The most confident one; None without a damage."""
        return max(self.damages, key=lambda damage: damage.confidence, default=None)

    @property
    def damage_types(self) -> tuple[str, ...]:
        """The kinds that were seen, each once, in the order of the damages."""
        return tuple(dict.fromkeys(damage.class_name for damage in self.damages))

    def at_least(self, min_confidence: float) -> VehicleDamageResult:
        """The damages at or above a confidence (0..1); nothing below `MIN_CONFIDENCE` was ever decoded."""
        return VehicleDamageResult(tuple(d for d in self.damages if d.confidence >= min_confidence))

    def to_context_string(self) -> str:
        """One line, most confident first."""
        return f"Vehicle damage: {', '.join(map(_told, self.damages)) or 'none visible'}"

    def to_wire(self) -> dict[str, Any]:
        """The damages of one vehicle as plain values."""
        return {
            "has_damage": self.has_damage,
            "damage_types": list(self.damage_types),
            "damages": [damage.to_wire() for damage in self.damages],
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The damages of one vehicle read again."""
        return cls(tuple(map(VehicleDamage.from_wire, told["damages"])))


def _told(damage: VehicleDamage) -> str:
    share = f"{damage.covered_share:.0%}" if damage.covered_share >= _LEAST_SHOWN else "under 1%"
    return f"{damage.class_name} (confidence: {damage.confidence:.0%}, {share} of the vehicle)"


class DamageAnswer(wire.Answer):
    """One damage."""

    class_name: str = Field(alias="class", description="The weights' own word.")
    confidence: float | None = Field(description="0..1.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    covered_share: float | None = Field(description="0..1, of the vehicle's box.")
    outline: list[list[float | None]] = Field(
        description="Corners [x, y] in picture pixels of the largest piece; empty where nothing is covered."
    )


class DamagesAnswer(wire.Answer):
    """The damages of one vehicle."""

    has_damage: bool = Field(description="Whether there is any.")
    damage_types: list[str] = Field(description="The kinds that were seen, each once.")
    damages: list[DamageAnswer] = Field(description="Most confident first.")


def _same_damages(reference: VehicleDamageResult, candidate: VehicleDamageResult) -> float | None:
    """The lowest IoU of the boxes, or, where that is less, the smaller covered area over the larger."""
    first, second = reference.at_least(SURE), candidate.at_least(SURE)
    boxes = same_boxes(_boxes(first), _boxes(second))
    areas = sorted(sum(damage.covered_share for damage in result.damages) for result in (first, second))
    return boxes if boxes is None or areas[1] == 0 else min(boxes, areas[0] / areas[1])


def _boxes(result: VehicleDamageResult) -> Float:
    return np.array([damage.box for damage in result.damages], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="vehicle_damage",
    title="Vehicle damage",
    scope=Scope.CROP,
    priority=Priority.LOW,
    # As for plates: a bicycle has none of what the network looks for.
    triggers=("car", "truck", "bus", "motorcycle"),
    declared_mb=2000,
    input=InputSpec("images", (640, 640), scale=1 / 255, resize="letterbox"),
    agreement=Agreement("IoU of the boxes, ratio of the covered areas", 0.85, _same_damages),
    aliases=("damage",),
    margin=DAMAGE_MARGIN,
)


class VehicleDamageAdapter(ImageNetwork[VehicleDamageResult]):
    """YOLO segmentation heads on crops of vehicles: graphs and arithmetic only."""

    SPEC = SPEC
    FINDING = VehicleDamageResult
    RESPONSE = DamagesAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        self.output = SegmentOutput.of(description)
        self.class_names = description.class_names or tuple(f"class_{i}" for i in range(self.output.head.classes))

    def looks_at(self, image: Image, boxes: Sequence[Box]) -> list[Image]:
        """A crop per box that knows the box, of which the damages cover a share; the picture without boxes.

        Raises:
            BadBox: a box outside the picture.
        """
        crops = super().looks_at(image, boxes)
        return [Subject(c.pixels, c.region, _inside(b, c)) for c, b in zip(crops, boxes, strict=True)] or crops

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[VehicleDamageResult]:
        """The two outputs for N crops to the damages of N vehicles, in picture pixels.

        Raises:
            InferenceFailed: outputs of another shape, or some that are no numbers.
        """
        answers = self.output.read(outputs, len(images))
        return [self._decode(raw, maps, image) for (raw, maps), image in zip(answers, images, strict=True)]

    def _decode(self, raw: Float, prototypes: Float, image: Image) -> VehicleDamageResult:
        vehicle = Subject.of_image(image).box
        letterbox = Letterbox.fit(image.region, self.input.size)
        found = decode_yolo(raw, self.output.head, min_confidence=MIN_CONFIDENCE).in_picture(letterbox)
        # From the boxes as they were clipped to the picture, so that no mask covers the padding.
        inputs = letterbox.to_input(found.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
        masks = decode_masks(prototypes, found.extra, inputs, self.input.size)
        owned = coverage(found.boxes, np.array([vehicle], np.float32))[:, 0] >= MIN_COVERAGE
        return VehicleDamageResult(
            tuple(
                VehicleDamage(
                    self._name(class_id), score, Box(*box), _share(mask, vehicle, letterbox), _outline(mask, letterbox)
                )
                for class_id, score, box, mask, own in zip(
                    found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), masks, owned, strict=True
                )
                if own
            )
        )

    def _name(self, class_id: int) -> str:
        return self.class_names[class_id] if 0 <= class_id < len(self.class_names) else f"class_{class_id}"


def _inside(box: Box, image: Image) -> Box:
    """The part of a box that an image shows."""
    x1, y1, x2, y2 = image.region
    return Box(max(box.x1, x1), max(box.y1, y1), min(box.x2, x2), min(box.y2, y2))


def _share(mask: Mask, vehicle: Box, letterbox: Letterbox) -> float:
    """What a mask covers of the vehicle's box, 0..1."""
    box = Box(*letterbox.to_input(np.array(vehicle, np.float32).reshape(2, 2)).reshape(-1).tolist())
    return min(mask.area_in(box) / box.area, 1.0) if box.area > 0 else 0.0


def _outline(mask: Mask, letterbox: Letterbox) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in letterbox.to_picture(mask.outline()).tolist())


class VehicleDamageDetector(Model[VehicleDamageResult]):
    """Find damage: `VehicleDamageDetector("car-damage-seg.onnx").detect(vehicle_crop).has_damage`."""

    ADAPTER = VehicleDamageAdapter

    def detect(self, image: PictureLike, min_confidence: float = MIN_CONFIDENCE) -> VehicleDamageResult:
        """The damages of the one vehicle in a crop at or above a confidence; the whole crop counts as the vehicle.

        Args:
            image: a PIL image, an RGB array, encoded bytes or a path.
            min_confidence: 0..1; nothing below `MIN_CONFIDENCE` is ever decoded.
        """
        return self._predict([image])[0].at_least(min_confidence)
