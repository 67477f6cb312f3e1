"""What a whole picture says beside its detections: writing now, captions and further objects when Florence-2 is there.

The writing comes from `scene_text`, asked once about the whole picture. Plates keep the text of their own crops, where
they have more pixels: a line inside a plate's box is marked as that plate's and is not told twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from hearthwatch.models import LicensePlateResult
from hearthwatch.models.scene_text import SceneText
from hearthwatch.vision.boxes import Box, coverage

#: What of a picture somebody may ask for.
CAPTION, OBJECTS, TEXTS = "caption", "objects", "texts"
#: Until Florence-2 is served.
NO_FLORENCE = "Florence-2 is not part of this version"
#: A line is a plate's when this share of it lies inside the plate's box: both are drawn tightly around the same signs,
#: by two networks, and beside a plate stands no other text.
PLATE_COVERAGE = 0.5


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """One line of text in a picture.

    Attributes:
        text: as it was read, at most 100 characters (`models.scene_text`).
        bbox: xyxy in picture pixels.
        confidence: 0..1; None where the source gives none, as Florence-2.
        source: who read it.
        plate_of: the vehicle's detection id, where it is the text of its plate.
    """

    text: str
    bbox: Box
    confidence: float | None
    source: Literal["ocr", "florence"] = "ocr"
    plate_of: str | None = None


@dataclass(frozen=True, slots=True)
class ExtractedObject:
    """One thing that was looked for by its name.

    Attributes:
        label: the name.
        bbox: xyxy in picture pixels.
        confidence: 0..1; None where the source gives none, as Florence-2.
    """

    label: str
    bbox: Box
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class PictureExtraction:
    """What one picture says.

    Attributes:
        detection_ids: the batch's detections in this picture, in their order.
        caption: a description; None where nobody gave one.
        objects: things found by name; None where nobody looked.
        texts: lines from top to bottom, at most 50 (`models.scene_text`); None where nobody read.
        dropped_texts: further lines that there was no room for.
        absent: the reason for each of `CAPTION`, `OBJECTS` and `TEXTS` that is None.
    """

    detection_ids: tuple[str, ...] = ()
    caption: str | None = None
    objects: tuple[ExtractedObject, ...] | None = None
    texts: tuple[ExtractedText, ...] | None = None
    dropped_texts: int = 0
    absent: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class BatchExtractionResult:
    """What the pictures of a batch say.

    Attributes:
        pictures: one entry a picture, in the order in which their first detections came.
    """

    pictures: list[PictureExtraction] = field(default_factory=list)

    @property
    def texts(self) -> list[ExtractedText]:
        """Of all pictures, without those that are a plate's."""
        return [text for one in self.pictures for text in one.texts or () if text.plate_of is None]

    @property
    def captions(self) -> list[str] | None:
        """Of all pictures that have one; None where no picture has."""
        return [one.caption for one in self.pictures if one.caption is not None] or None

    @property
    def has_text(self) -> bool:
        return bool(self.texts)

    def to_context_string(self) -> str:
        """Captions, then texts once each, quoted: they are what a camera saw and no statement of ours."""
        lines = [f"Scene: {caption}" for caption in self.captions or ()]
        words = dict.fromkeys(text.text for text in self.texts)
        if words:
            lines.append("Visible text: " + ", ".join(f'"{word}"' for word in words))
        return "\n".join(lines)


def extraction_of(
    detection_ids: Sequence[str],
    read: SceneText | None,
    plates: Mapping[str, LicensePlateResult],
    *,
    unread: str = "nobody read this picture",
) -> PictureExtraction:
    """What one picture says by its writing alone.

    Args:
        detection_ids: the detections in it.
        read: the answer of `scene_text` about the whole picture; None where it gave none.
        plates: the plates in it, by the vehicle's detection id.
        unread: why there is none.
    """
    absent = {CAPTION: NO_FLORENCE, OBJECTS: NO_FLORENCE}
    if read is None:
        return PictureExtraction(tuple(detection_ids), absent=absent | {TEXTS: unread})
    owners = _owners([line.bbox for line in read.lines], plates)
    texts = (
        ExtractedText(line.text, line.bbox, line.confidence, "ocr", owner)
        for line, owner in zip(read.lines, owners, strict=True)
    )
    return PictureExtraction(tuple(detection_ids), texts=tuple(texts), dropped_texts=read.dropped, absent=absent)


def _owners(lines: Sequence[Box], plates: Mapping[str, LicensePlateResult]) -> list[str | None]:
    """The vehicle whose plate each line is of, by the share of the line that the plate's box covers."""
    keys = sorted(plates)
    if not keys or not lines:
        return [None] * len(lines)
    boxes = np.array([plates[key].bbox for key in keys], np.float32)
    shares = coverage(np.array(lines, np.float32), boxes)
    return [keys[int(row.argmax())] if row.max() >= PLATE_COVERAGE else None for row in shares]
