"""Plate OCR: the text on a license plate.

Network  PP-OCRv6 small (PaddlePaddle), text detection and recognition, run by RapidOCR.
Weights  inside RapidOCR's wheel, Apache-2.0.
Input    a crop of the plate with a margin of 5 %: recognition alone, without finding the lines first, read 2 to 3 of 5
         plates where both read 5.
Output   lines of text with a score each, and a probability of each character.
Limits   Latin letters and digits; a plate below about 60 px of width cannot be read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

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
from hearthwatch.vision.text_lines import read_lines

#: FEASIBILITY.md: at most 5 % around the plate; more brings in stickers and dealers' names.
PLATE_MARGIN = 0.05

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
        character_confidence: 0..1 by character of `text`; None where the reader gave none.
    """

    text: str
    raw_text: str
    confidence: float
    bbox: Box
    detection_confidence: float | None = None
    vehicle_id: str | None = None
    character_confidence: tuple[float, ...] | None = None

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
            "character_confidence": self.character_confidence
            and [wire.share(sure) for sure in self.character_confidence],
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
            character_confidence=told["character_confidence"] and tuple(map(wire.number, told["character_confidence"])),
        )


class PlateAnswer(wire.Answer):
    """One plate."""

    text: str | None = Field(description="Upper-case letters and digits; null where it cannot be read.")
    raw_text: str | None = Field(description="As it was read, line by line.")
    confidence: float | None = Field(description="Of the text, 0..1.")
    detection_confidence: float | None = Field(description="That there is a plate, 0..1; null where nobody looked.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    vehicle_id: str | None = Field(description="The detection that it belongs to.")
    character_confidence: list[float | None] | None = Field(
        description="0..1 by character of `text`; null where the reader gave none."
    )


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
    FINDING = LicensePlateResult
    RESPONSE = PlateAnswer

    def predict(self, images: Sequence[Image], run: Run) -> list[LicensePlateResult | None]:
        """N crops of plates to N texts."""
        return [self._read(image, run) for image in images]

    def _read(self, image: Image, run: Run) -> LicensePlateResult | None:
        lines = [line for line in read_lines(run({self.input.name: image.pixels})) if normalise_plate(line.text)]
        if not lines:
            return None
        raw = " ".join(line.text for line in lines)
        known = [line.characters for line in lines if line.characters is not None]
        return LicensePlateResult(
            normalise_plate(raw),
            raw,
            min(line.score for line in lines),
            Box(*image.region),
            character_confidence=_of_normalised(raw, known) if len(known) == len(lines) else None,
        )


def _of_normalised(raw: str, lines: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """By character of the normalised text: those of the lines, without what the normalised text has not."""
    # The lines are joined by a space, which no reader was sure of, and which goes.
    spaced = [sure for line in lines for sure in (*line, math.nan)][:-1]
    return tuple(sure for sign, sure in zip(raw, spaced, strict=True) for _ in normalise_plate(sign))


class PlateOCR(Model[LicensePlateResult | None]):
    """Read a plate: `PlateOCR().read(plate_crop)`."""

    ADAPTER = PlateOCRAdapter

    def read(self, image: PictureLike) -> LicensePlateResult | None:
        """The text on a crop of one plate, or None where nothing could be read."""
        result = self._predict([image])[0]
        return None if result is None else replace(result, detection_confidence=None)
