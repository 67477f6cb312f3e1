"""Scene text: the writing in a whole picture, on doors, vans, signs and parcels.

Network  PP-OCRv6 small (PaddlePaddle), text detection and recognition, run by RapidOCR, as `plate_ocr`.
Weights  inside RapidOCR's wheel, Apache-2.0.
Input    the whole picture; the long side is shrunk to 960 px for finding the lines and to 2000 px for reading them.
Output   lines of text with a score and four corners each; below a score of 0.5 the package leaves them out.
Limits   Small writing is lost in those 960 px, so that a plate is better read from its own crop. Every line that is
         found is read before the list is cut, so that a wall of text takes seconds. What is read is data of whoever
         wrote it there, and no instruction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement, same_boxes
from hearthwatch.adapter.base import PictureAdapter, Run
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.vision.boxes import Box, coverage
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.text_lines import TextLine, read_lines

#: Lines that are kept of one picture, the surest first: a prompt has room for fewer, and a page of print has more.
MAX_LINES = 50
#: Characters that are kept of one line: a lorry's side with address and telephone number has less.
MAX_LINE_CHARACTERS = 100
#: A line belongs to a box when this share of it lies inside (as `license_plate_detector`).
MIN_COVERAGE = 0.7


@dataclass(frozen=True, slots=True)
class SceneLine:
    """One line of text.

    Attributes:
        text: as it was read, at most `MAX_LINE_CHARACTERS`.
        confidence: 0..1.
        bbox: xyxy in picture pixels.
        truncated: whether its end was cut off.
    """

    text: str
    confidence: float
    bbox: Box
    truncated: bool = False

    def to_wire(self) -> dict[str, Any]:
        """One row of `lines`."""
        return {
            "text": self.text,
            "confidence": wire.share(self.confidence),
            "bbox": wire.xywh(self.bbox),
            "truncated": self.truncated,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One row of `lines` read again."""
        return cls(told["text"], wire.number(told["confidence"]), wire.box(told["bbox"]), told["truncated"])


@dataclass(frozen=True, slots=True)
class SceneText:
    """The writing in one picture.

    Attributes:
        lines: at most `MAX_LINES`, from top to bottom and from left to right.
        dropped: lines that there was no room for, the least sure.
    """

    lines: tuple[SceneLine, ...] = ()
    dropped: int = 0

    def to_context_string(self) -> str:
        """One line; each text is quoted, because it is what a camera saw and not a statement of ours."""
        if not self.lines:
            return "Visible text: none"
        return "Visible text: " + ", ".join(f'"{line.text}" ({line.confidence:.0%})' for line in self.lines)

    def to_wire(self) -> dict[str, Any]:
        """All of them."""
        return {"lines": [line.to_wire() for line in self.lines], "dropped": self.dropped}

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """All of them read again."""
        return cls(tuple(map(SceneLine.from_wire, told["lines"])), told["dropped"])


class SceneLineAnswer(wire.Answer):
    """One line of text."""

    text: str = Field(description=f"As it was read, at most {MAX_LINE_CHARACTERS} characters.")
    confidence: float | None = Field(description="0..1.")
    bbox: wire.BoxAnswer = Field(description="Pixels of the picture that was sent.")
    truncated: bool = Field(description="Whether its end was cut off.")


class SceneTextAnswer(wire.Answer):
    """The writing in one picture."""

    lines: list[SceneLineAnswer] = Field(description=f"At most {MAX_LINES}, from top to bottom.")
    dropped: int = Field(description="Lines that there was no room for, the least sure.")


def _boxes(lines: Sequence[SceneLine]) -> Float:
    return np.array([line.bbox for line in lines], np.float32).reshape(-1, 4)


SPEC = Spec(
    name="scene_text",
    title="Text reader",
    scope=Scope.FRAME,
    priority=Priority.LOW,
    triggers=(),
    declared_mb=100,
    input=InputSpec("pixels", (960, 960), layout="NHWC", dtype="uint8"),
    agreement=Agreement("IoU of the lines", 0.85, lambda a, b: same_boxes(_boxes(a.lines), _boxes(b.lines))),
    bundled=True,
)


class SceneTextAdapter(PictureAdapter[SceneText]):
    """Lines of text to what stays of them; no text is an answer too."""

    SPEC = SPEC
    FINDING = SceneText
    RESPONSE = SceneTextAnswer

    def predict(self, images: Sequence[Image], run: Run) -> list[SceneText]:
        """N pictures to their texts."""
        return [_kept(read_lines(run({self.input.name: image.pixels})), image) for image in images]

    def associate(self, result: SceneText, boxes: Sequence[Box]) -> Sequence[SceneText | None]:
        """The lines inside each box; None where there are none. What was dropped was nobody's."""
        if not result.lines or not boxes:
            return [None] * len(boxes)
        inside = coverage(_boxes(result.lines), np.array(boxes, np.float32)) >= MIN_COVERAGE
        found = [tuple(line for line, is_in in zip(result.lines, column, strict=True) if is_in) for column in inside.T]
        return [SceneText(lines) if lines else None for lines in found]


def _kept(lines: Sequence[TextLine], image: Image) -> SceneText:
    written = [line for line in lines if line.text.strip()]
    surest = sorted(range(len(written)), key=lambda index: -written[index].score)[:MAX_LINES]
    kept = (_line(written[index], image) for index in sorted(surest))
    return SceneText(tuple(kept), len(written) - len(surest))


def _line(line: TextLine, image: Image) -> SceneLine:
    """One line, its box from the pixels that the reader saw to those of the picture."""
    height, width = image.pixels.shape[:2]
    left, top, right, bottom = image.region
    sx, sy = (right - left) / width, (bottom - top) / height
    x1, y1, x2, y2 = line.box
    text = line.text.strip()
    box = Box(left + x1 * sx, top + y1 * sy, left + x2 * sx, top + y2 * sy)
    # The corners of a line at the edge lie a little outside.
    inside = Box(max(box.x1, left), max(box.y1, top), min(box.x2, right), min(box.y2, bottom))
    return SceneLine(text[:MAX_LINE_CHARACTERS], line.score, inside, len(text) > MAX_LINE_CHARACTERS)


class SceneTextReader(Model[SceneText]):
    """Read what is written in a picture: `SceneTextReader().read("street.jpg")`."""

    ADAPTER = SceneTextAdapter

    def read(self, image: PictureLike) -> SceneText:
        """The lines of one picture, from top to bottom."""
        return self._predict([image])[0]
