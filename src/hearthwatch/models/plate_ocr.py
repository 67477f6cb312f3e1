"""Plate OCR: the text on a license plate.

Network  PP-OCRv6 small (PaddlePaddle), text detection and recognition, run by RapidOCR.
Weights  inside RapidOCR's wheel, Apache-2.0.
Input    a crop of the plate with a margin of 5 %: recognition alone, without finding the lines first, read 2 to 3 of 5
         plates where both read 5.
Output   lines of text with a score each.
Limits   Latin letters and digits; a plate below about 60 px of width cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement
from hearthwatch.adapter.base import PictureAdapter, Run
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec

#: FEASIBILITY.md: at most 5 % around the plate; more brings in stickers and dealers' names.
PLATE_MARGIN = 0.05
#: Lines whose middles differ by less than this share of their height stand beside each other, not below.
SAME_LINE = 0.5

_NOT_PLATE = re.compile(r"[^A-Z0-9]")


@dataclass(frozen=True, slots=True)
class LicensePlateResult:
    """One plate.

    Attributes:
        text: upper-case letters and digits only; empty where a plate is seen and cannot be read.
        raw_text: as it was read, line by line.
        confidence: of the text, 0..1: the lowest of its lines.
        bbox: of the plate, xyxy in picture pixels.
        detection_confidence: that there is a plate, 0..1; None where nobody looked for one.
        vehicle_id: the detection that it belongs to, where known.
    """

    text: str
    raw_text: str
    confidence: float
    bbox: Box
    detection_confidence: float | None = None
    vehicle_id: str | None = None

    def to_context_string(self) -> str:
        """One line; the text is quoted, because it is what a camera saw and not a statement of ours."""
        if not self.text:
            return "License plate: visible, not readable"
        return f'License plate: "{self.text}" (confidence: {self.confidence:.0%})'

    def to_wire(self) -> dict[str, Any]:
        """One plate as plain values; the texts are null where nothing could be read."""
        return {
            "text": self.text or None,
            "raw_text": self.raw_text or None,
            "confidence": wire.share(self.confidence),
            "detection_confidence": wire.share(self.detection_confidence),
            "bbox": wire.xywh(self.bbox),
            "vehicle_id": self.vehicle_id,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One plate read again."""
        return cls(
            text=told["text"] or "",
            raw_text=told["raw_text"] or "",
            confidence=wire.number(told["confidence"]),
            bbox=wire.box(told["bbox"]),
            detection_confidence=told["detection_confidence"],
            vehicle_id=told["vehicle_id"],
        )


class PlateAnswer(wire.Answer):
    """One plate."""

    text: str | None = Field(description="Upper-case letters and digits; null where it cannot be read.")
    raw_text: str | None = Field(description="As it was read, line by line.")
    confidence: float | None = Field(description="Of the text, 0..1.")
    detection_confidence: float | None = Field(description="That there is a plate, 0..1; null where nobody looked.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    vehicle_id: str | None = Field(description="The detection that it belongs to.")


def normalise_plate(text: str) -> str:
    """Upper-case letters and digits only: separators, spaces and country signs' dots are gone."""
    return _NOT_PLATE.sub("", text.upper())


SPEC = Spec(
    name="plate_ocr",
    title="License plate reader",
    scope=Scope.CROP,
    priority=Priority.MEDIUM,
    triggers=(),
    declared_mb=100,
    input=InputSpec("pixels", (960, 960), layout="NHWC", dtype="uint8"),
    agreement=Agreement("same text", 1.0, lambda a, b: float(a.text == b.text) if a or b else None),
    margin=PLATE_MARGIN,
    bundled=True,
)


class PlateOCRAdapter(PictureAdapter[LicensePlateResult | None]):
    """Lines of text to a plate's text. None where nothing could be read."""

    SPEC = SPEC
    RESPONSE = PlateAnswer

    def predict(self, images: Sequence[Image], run: Run) -> list[LicensePlateResult | None]:
        """N crops of plates to N texts."""
        return [self._read(image, run) for image in images]

    def _read(self, image: Image, run: Run) -> LicensePlateResult | None:
        outputs = run({self.input.name: image.pixels})
        texts = [str(text) for text in outputs["texts"]]
        order = _reading_order(np.asarray(outputs["quads"], np.float32))
        scores = np.asarray(outputs["scores"], np.float32)
        lines = [(texts[i], float(scores[i])) for i in order if normalise_plate(texts[i])]
        if not lines:
            return None
        raw = " ".join(text for text, _ in lines)
        return LicensePlateResult(normalise_plate(raw), raw, min(score for _, score in lines), Box(*image.region))


def _reading_order(quads: np.ndarray) -> list[int]:
    """Indices of (N, 4, 2) corner points from top to bottom, and from left to right within a line."""
    boxes = [(quad[:, 1].mean(), np.ptp(quad[:, 1]), quad[:, 0].min()) for quad in quads]
    rows: list[list[int]] = []
    for index in sorted(range(len(boxes)), key=lambda i: boxes[i][0]):
        middle, height, _ = boxes[index]
        if rows and middle - boxes[rows[-1][0]][0] < SAME_LINE * height:
            rows[-1].append(index)
        else:
            rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda i: boxes[i][2])]


class PlateOCR(Model[LicensePlateResult | None]):
    """Read a plate: `PlateOCR().read(plate_crop)`."""

    ADAPTER = PlateOCRAdapter

    def read(self, image: PictureLike) -> LicensePlateResult | None:
        """The text on a crop of one plate, or None where nothing could be read."""
        result = self._predict([image])[0]
        return None if result is None else replace(result, detection_confidence=None)
