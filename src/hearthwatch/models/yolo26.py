"""Object detector: people, vehicles and animals in a picture.

Network  YOLO26 (Ultralytics, 2025); files of YOLO11 and YOLOv8 have the same interface and run as well.
Weights  any ONNX export with its class names in the metadata; AGPL-3.0 for the stock files.
Input    the whole picture, letterboxed to 640 x 640, RGB, 0..1.
Output   (N, 300, 6) end-to-end or (N, 4 + classes, 8400) classic; see `vision.yolo`.
Limits   Trained on photographs of COCO; a person below about 20 px of the 640 is missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.base import ImageNetwork, R, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.letterbox import Letterbox
from hearthwatch.vision.yolo import YoloHead, decode_yolo

#: What CONTRACT.md answers with when the caller names no classes.
DEFAULT_CLASSES = ("person", "car", "truck", "bus", "motorcycle", "bicycle", "dog", "cat", "bird")
#: CONTRACT.md's default.
DEFAULT_CONFIDENCE = 0.5
#: Stands on the wire for every class that the weights name; no class has such a name.
EVERY_CLASS = "*"
#: The lowest confidence that is decoded; callers filter above it.
MIN_CONFIDENCE = 0.25


@dataclass(frozen=True, slots=True)
class Detection:
    """One object.

    Attributes:
        class_name: the word of the weight file.
        confidence: 0..1.
        box: xyxy in picture pixels.
    """

    class_name: str
    confidence: float
    box: Box

    def to_context_string(self) -> str:
        """One line."""
        return f"Object: {self.class_name} ({self.confidence:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """One row of `detections`."""
        return {
            "class": self.class_name,
            "confidence": wire.share(self.confidence),
            "bbox": wire.xywh(self.box),
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `detections` read again."""
        return cls(told["class"], wire.number(told["confidence"]), wire.box(told["bbox"]))


@dataclass(frozen=True, slots=True)
class Detections:
    """All objects of one picture, best first."""

    detections: tuple[Detection, ...]

    def to_context_string(self) -> str:
        """One line, most confident first."""
        if not self.detections:
            return "Objects: none detected"
        return "Objects: " + ", ".join(f"{d.class_name} ({d.confidence:.0%})" for d in self.detections)

    def to_wire(self) -> dict[str, Any]:
        """All of them; `select` leaves out what a caller did not ask for."""
        return {"detections": [detection.to_wire() for detection in self.detections]}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/detect` read again."""
        return cls(tuple(map(Detection.from_wire, told["detections"])))


class DetectionAnswer(wire.Answer):
    """One object."""

    class_name: str = Field(alias="class", description="The weights' own word.")
    confidence: float | None = Field(description="0..1.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")


class DetectionsAnswer(wire.Answer):
    """The objects of one picture."""

    detections: list[DetectionAnswer] = Field(description="Most confident first.")


def _boxes(result: Detections) -> Float:
    return np.array([d.box for d in result.detections if d.confidence >= DEFAULT_CONFIDENCE], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="yolo26",
    title="Object detector",
    scope=Scope.FRAME,
    priority=Priority.CRITICAL,
    triggers=(),
    declared_mb=650,
    input=InputSpec("images", (640, 640), scale=1 / 255, resize="letterbox"),
    # Boxes of the same objects move by a pixel or two between precisions; a lost object is IoU 0.
    agreement=Agreement("IoU of the boxes", 0.85, lambda a, b: same_boxes(_boxes(a), _boxes(b))),
    aliases=("detector", "yolov8n", "yolo"),
    variables=("YOLO26_MODEL_PATH",),
)


class YoloDecoder(ImageNetwork[R]):
    """A network with any YOLO head for boxes; what its boxes mean is up to the model."""

    #: The lowest confidence that is decoded.
    LOWEST: ClassVar[float] = MIN_CONFIDENCE

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        file = description.graph.path.name
        outputs = description.graph.outputs
        if len(outputs) != 1:
            raise WeightsInvalid(f"{file} has {len(outputs)} outputs; a YOLO detector has 1")
        self.output = outputs[0].name
        self.head = YoloHead.of(outputs[0].shape, names=len(description.class_names), extra=0, file=file)
        self.class_names = description.class_names or tuple(f"class_{i}" for i in range(self.head.classes))

    def decode(self, outputs: Tensors, images: Sequence[Image]) -> list[tuple[Detection, ...]]:
        """(N, …) raw head to N lists of objects, in picture pixels, best first."""
        raw = np.asarray(outputs[self.output], dtype=np.float32)
        return [self._decode(rows, image) for rows, image in zip(raw, images, strict=True)]

    def _decode(self, raw: Float, image: Image) -> tuple[Detection, ...]:
        letterbox = Letterbox.fit(image.region, self.input.size)
        found = decode_yolo(raw, self.head, min_confidence=self.LOWEST).in_picture(letterbox)
        return tuple(
            Detection(self._name(class_id), score, Box(*box))
            for class_id, score, box in zip(
                found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True
            )
        )

    def _name(self, class_id: int) -> str:
        return self.class_names[class_id] if class_id < len(self.class_names) else f"class_{class_id}"


class YoloNetwork(YoloDecoder[Detections]):
    """A detector whose answer is its boxes; models derive from it by their spec."""

    FINDING: ClassVar[type[Any]] = Detection
    RESPONSE = DetectionsAnswer

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[Detections]:
        """(N, …) raw head to the objects of N pictures."""
        return [Detections(found) for found in self.decode(outputs, images)]


class DetectorAdapter(YoloNetwork):
    """The detector that everything starts with."""

    SPEC = SPEC
    FINDING = Detections  # it is asked about whole pictures alone

    @classmethod
    def for_one_box(cls, found: Detections | None) -> Detections:
        return found or Detections(())


class ObjectDetector(Model[Detections]):
    """Find people, vehicles and animals: `ObjectDetector("yolo26n.onnx").detect("photo.jpg")`."""

    ADAPTER = DetectorAdapter

    def detect(
        self,
        image: PictureLike,
        confidence: float = DEFAULT_CONFIDENCE,
        classes: Collection[str] | None = DEFAULT_CLASSES,
    ) -> list[Detection]:
        """Objects of one picture, best first.

        Args:
            image: a PIL image, an RGB array, encoded bytes or a path.
            confidence: 0..1; objects below it are left out. Nothing below `MIN_CONFIDENCE` is ever decoded.
            classes: class names to keep; None keeps all that the weights name.
        """
        return select(self._predict([image])[0], confidence, classes)


def select(result: Detections, confidence: float, classes: Collection[str] | None) -> list[Detection]:
    """The detections at or above a confidence, of these classes (None: of all)."""
    return [d for d in result.detections if d.confidence >= confidence and (classes is None or d.class_name in classes)]
