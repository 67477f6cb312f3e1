"""The picture with what was found in it: boxes, skeletons, faces, plates, and labels that never cover each other.

Each detection has its number, which the report's text repeats. Lines have a dark edge, so they are seen on any ground.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self, cast

import cv2
import numpy as np
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from hearthwatch.analysis import Event
from hearthwatch.models import LicensePlateResult, PoseResult, ThreatDetection
from hearthwatch.report.cards import Card, cards_of
from hearthwatch.report.labels import Label, Place, Size, place_labels
from hearthwatch.report.palette import BLACK, COLORS, RGB, WHITE, ink_on
from hearthwatch.report.text import percent, plain
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.keypoints import SKELETON

#: A joint below it is not there (as in `vision.posture`).
MIN_JOINT_CONFIDENCE = 0.5
# Chosen by eye on 320 x 240, 1080p and 4K: lines of 2, 4 and 8 px, letters of 11, 30 and 60 px.
LINE_SHARE, LETTER_SHARE = 1 / 270, 1 / 36  # of the shorter side
MIN_LINE_PX, MIN_LETTER_PX = 2, 11
#: A limb is no thicker than this share of its person's height: people far away stay visible under their skeletons.
LIMB_SHARE = 1 / 70
#: The first of `COCO_KEYPOINTS`: nose, eyes, ears.
HEAD_JOINTS = 5
#: Longer class names and plates are cut: nothing that a label has to say needs more.
MAX_NAME = 28
#: Who chooses a place first; kinds of `COLORS`.
IMPORTANCE = ("weapon", "person", "detail", "vehicle", "animal", "object")


@dataclass(frozen=True, slots=True)
class Mark:
    """A box with a label.

    Attributes:
        box: pixels of the canvas, inside it.
        kind: key of `COLORS`.
        confidence: decides among marks of one kind.
        wordings: of its label, the best first.
    """

    box: Box
    kind: str
    confidence: float
    wordings: tuple[str, ...]

    @property
    def color(self) -> RGB:
        """Its kind's colour."""
        return COLORS[self.kind]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Pixels to draw on, and how large lines and letters are on them."""

    pixels: UInt8
    region: tuple[float, float, float, float]
    line: int
    font: ImageFont.FreeTypeFont

    @classmethod
    def of(cls, image: Image) -> Self:
        """A copy of the image's pixels."""
        short_side = min(image.pixels.shape[:2])
        # With a size, Pillow gives its own scalable font or raises: the same letters on every machine.
        font = ImageFont.load_default(max(MIN_LETTER_PX, round(short_side * LETTER_SHARE)))
        scalable = cast("ImageFont.FreeTypeFont", font)
        return cls(image.pixels.copy(), image.region, max(MIN_LINE_PX, round(short_side * LINE_SHARE)), scalable)

    @property
    def size(self) -> Size:
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]

    def point(self, x: float, y: float) -> tuple[int, int] | None:
        """Picture pixels to whole pixels of the canvas; None outside of it."""
        across, down = self._scaled(x, y)
        inside = 0 <= across < self.size[0] and 0 <= down < self.size[1]
        return (int(across), int(down)) if inside else None

    def box(self, box: Box) -> Box | None:
        """The part of a box in picture pixels that is on the canvas, in its whole pixels; None where none is."""
        if not all(math.isfinite(side) for side in box):
            return None
        width, height = self.size
        x1, y1 = (max(0, math.floor(corner)) for corner in self._scaled(box.x1, box.y1))
        x2, y2 = (math.ceil(corner) for corner in self._scaled(box.x2, box.y2))
        inside = Box(x1, y1, min(width, x2), min(height, y2))
        return inside if inside.width > 0 and inside.height > 0 else None

    def _scaled(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.region
        return (x - left) * self.size[0] / (right - left), (y - top) * self.size[1] / (bottom - top)


def annotate(event: Event) -> UInt8:
    """Draw what an event holds onto a copy of its picture.

    Returns:
        (H, W, 3) RGB, the size of the decoded picture.
    """
    canvas = Canvas.of(event.picture.image())
    marks = find_marks(event, canvas)
    data = event.enrichment.data
    faces = [box for face in (data.faces if data else ()) if (box := canvas.box(face.bbox))]
    for pose in (data.pose_results if data else {}).values():
        _draw_skeleton(canvas, pose)
    for face in faces:
        _draw_frame(canvas, face, COLORS["detail"])
    for mark in reversed(marks):  # the most important on top
        if mark.kind == "detail":
            _draw_frame(canvas, mark.box, mark.color)
        else:
            _draw_box(canvas, mark.box, mark.color, canvas.line)
    plates = [mark.box for mark in marks if mark.kind == "detail"]
    return _draw_labels(canvas, marks, [*faces, *plates])


def find_marks(event: Event, canvas: Canvas) -> list[Mark]:
    """Everything that gets a box and a label, the most important first."""
    plates = event.enrichment.data.license_plates if event.enrichment.data else []
    threats = event.enrichment.data.threat_results.values() if event.enrichment.data else ()
    seen = dict.fromkeys(threat for result in threats for threat in (*result.threats, *result.elsewhere))
    known = {detection.id: detection.known for detection in event.detections}
    found = chain(
        (_card_mark(card, known[card.id], canvas) for card in cards_of(event)),
        (_threat_mark(threat, canvas) for threat in seen),
        (_plate_mark(plate, canvas) for plate in plates),
    )
    marks = [mark for mark in found if mark is not None]
    return sorted(marks, key=lambda mark: (IMPORTANCE.index(mark.kind), -mark.confidence))


def _card_mark(card: Card, known: str | None, canvas: Canvas) -> Mark | None:
    box = canvas.box(card.box)
    if box is None:
        return None
    posture = next((line.value for line in card.lines if line.label == "Posture"), "")
    title = _join(str(card.number), _legible(canvas.font, card.class_name))
    sure = _join(title, percent(card.confidence))
    full = " · ".join(part for part in (sure, _legible(canvas.font, known or ""), posture) if part)
    wordings = (full, sure, title, str(card.number))
    return Mark(box, card.kind, card.confidence, tuple(dict.fromkeys(wordings)))


def _threat_mark(threat: ThreatDetection, canvas: Canvas) -> Mark | None:
    box, text = canvas.box(threat.box), _legible(canvas.font, threat.class_name)
    if box is None:
        return None
    wordings = (_join(text, percent(threat.confidence)), text) if text else ()
    return Mark(box, "weapon", threat.confidence, wordings)


def _plate_mark(plate: LicensePlateResult, canvas: Canvas) -> Mark | None:
    box, text = canvas.box(plate.bbox), _legible(canvas.font, plate.text)
    if box is None:
        return None
    wordings = (_join(text, percent(plate.confidence)), text) if text else ()
    return Mark(box, "detail", plate.confidence, wordings)


def _join(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _legible(font: ImageFont.FreeTypeFont, text: str) -> str:
    """The text, cut to `MAX_NAME`, in letters that the font has: without accents where it lacks those.

    Empty where it has none of that script: a row of empty frames tells nobody anything, and the page has the name.
    """
    shown = plain(text)
    shown = shown if len(shown) <= MAX_NAME else f"{shown[: MAX_NAME - 1]}…"
    missing = bytes(font.getmask("\uffff"))
    base = "".join(char for char in unicodedata.normalize("NFKD", shown) if not unicodedata.combining(char))
    for spelling in (shown, base):
        if all(char == " " or bytes(font.getmask(char)) != missing for char in spelling):
            return spelling
    return ""


def _draw_box(canvas: Canvas, box: Box, color: RGB, line: int) -> None:
    # Drawn inside the box, so that it is whole at the picture's edge.
    inset = (line + 1) // 2
    corners = (int(box.x1) + inset, int(box.y1) + inset), (int(box.x2) - 1 - inset, int(box.y2) - 1 - inset)
    cv2.rectangle(canvas.pixels, *corners, BLACK, line + 2)
    cv2.rectangle(canvas.pixels, *corners, color, line)


def _draw_frame(canvas: Canvas, box: Box, color: RGB) -> None:
    """A thinner box around a face or a plate, outside of it: every pixel of those counts."""
    line = max(MIN_LINE_PX, canvas.line // 2)
    room, (width, height) = 2 * line + 1, canvas.size
    around = Box(max(0, box.x1 - room), max(0, box.y1 - room), min(width, box.x2 + room), min(height, box.y2 + room))
    _draw_box(canvas, around, color, line)


def _draw_skeleton(canvas: Canvas, pose: PoseResult) -> None:
    box = canvas.box(pose.bbox) if pose.bbox else None
    limb = max(1, min(canvas.line, round(box.height * LIMB_SHARE))) if box else canvas.line
    joints = [
        canvas.point(joint.x, joint.y) if joint.confidence >= MIN_JOINT_CONFIDENCE else None for joint in pose.keypoints
    ]
    limbs = [(a, b) for a, b in SKELETON if max(a, b) < len(joints)]
    for color, extra in ((BLACK, 2), (COLORS["person"], 0)):
        for a, b in limbs:
            start, end = joints[a], joints[b]
            if start and end:
                # Thin lines and no dots in the head: the face is what a reader wants to see.
                line = limb if max(a, b) >= HEAD_JOINTS else max(1, limb // 2)
                cv2.line(canvas.pixels, start, end, color, line + extra, cv2.LINE_AA)
    for joint in joints[HEAD_JOINTS:]:
        if joint:
            cv2.circle(canvas.pixels, joint, limb + 1, BLACK, -1, cv2.LINE_AA)
            cv2.circle(canvas.pixels, joint, limb, WHITE, -1, cv2.LINE_AA)


def _draw_labels(canvas: Canvas, marks: Sequence[Mark], avoid: Sequence[Box]) -> UInt8:
    labels = [Label(mark.box, tuple(_text_size(canvas, text) for text in mark.wordings)) for mark in marks]
    places = place_labels(labels, canvas.size, avoid)
    placed = [(mark, place) for mark, place in zip(marks, places, strict=True) if place is not None]
    for mark, place in placed:
        if place.distance > 0:
            _draw_leader(canvas, mark, place)
    picture = PILImage.fromarray(canvas.pixels)
    draw = ImageDraw.Draw(picture)
    for mark, place in placed:
        x1, y1, x2, y2 = place.rect
        draw.rectangle((x1, y1, x2 - 1, y2 - 1), fill=mark.color)
        middle = ((x1 + x2) / 2, (y1 + y2) / 2)
        draw.text(middle, mark.wordings[place.wording], fill=ink_on(mark.color), font=canvas.font, anchor="mm")
    return np.array(picture, np.uint8)


def _draw_leader(canvas: Canvas, mark: Mark, place: Place) -> None:
    """From the nearest point of the label to the nearest point of the box."""
    start, end = _nearest(place.rect, mark.box), _nearest(mark.box, place.rect)
    for color, extra in ((BLACK, 2), (mark.color, 0)):
        cv2.line(canvas.pixels, start, end, color, max(1, canvas.line // 2) + extra, cv2.LINE_AA)


def _nearest(box: Box, other: Box) -> tuple[int, int]:
    """The point of a box that is nearest to the middle of another."""
    x, y = (other.x1 + other.x2) / 2, (other.y1 + other.y2) / 2
    return int(min(max(x, box.x1), box.x2 - 1)), int(min(max(y, box.y1), box.y2 - 1))


def _text_size(canvas: Canvas, text: str) -> Size:
    ascent, descent = canvas.font.getmetrics()
    padding = max(2, (ascent + descent) // 5)
    return math.ceil(canvas.font.getlength(text)) + 2 * padding, ascent + descent + padding // 2
