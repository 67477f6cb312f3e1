"""Finds the license plates of drawn vehicles.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers. All layers but the head are those
         of the other three YOLO networks here: they are trained together.
Classes  License_Plate.
Input    the whole picture, letterboxed to 384 x 640 px.
Limits   Measured are plates of 8 px square of the 640 and more, hidden by at most half; read are those of 70 px of
         width in the picture and more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hearthwatch.models.license_plate_detector import PlateDetectorAdapter
from hearthwatch.models.plate_ocr import PlateOCRAdapter, normalise_plate
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from training.dataset import AnyScene, held_out
from training.scenes.labels import Thing
from training.weights import opened
from training.yolo.evaluate import match
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson, hits

NAMES = ("License_Plate",)
#: Plates whose text counts: at least so wide, in picture pixels, and hidden by next to nothing.
READABLE_PX, READABLE_VISIBLE = 70.0, 0.95
#: A found plate is read from this confidence on.
SURE = 0.25


class _Everything(PlateDetectorAdapter):
    """Average precision asks for the doubtful ones as well."""

    LOWEST = 0.02


def rows(scene: AnyScene) -> Sequence[tuple[int, Thing]]:
    """What is to be found in a scene."""
    return [(0, plate) for plate in scene.plates]


def evaluate(path: Path, known: Sequence[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, and `text`: the share of readable plates that are found and read without a mistake."""
    known = held_out() if known is None else known
    measures = precision_of(_Everything, path, map(LESSON.example, known), NAMES, lambda result: result.detections)
    return {"mAP50": measures["mAP50"], "text": text_accuracy(path, known)}


def text_accuracy(path: Path, known: Iterable[AnyScene]) -> float:
    """Share of readable plates that are found, and whose text is read exactly."""
    labels, said = [], []
    with opened(PlateDetectorAdapter, path) as detector, opened(PlateOCRAdapter) as reader:
        for scene in known:
            plates = [p for p in scene.plates if p.box.width >= READABLE_PX and p.visible >= READABLE_VISIBLE]
            if not plates:
                continue
            image = Image.of(scene.picture)
            found = [d for d in detector.predict([image])[0][0].detections if d.confidence >= SURE]
            owner = match(
                np.array([d.box for d in found], np.float32).reshape(-1, 4),
                np.array([d.confidence for d in found], np.float32),
                np.array([p.box for p in plates], np.float32),
            ).tolist()
            for index, plate in enumerate(plates):
                box: Box | None = found[owner.index(index)].box if index in owner else None
                answer = reader.for_boxes(image, [box])[0][0] if box is not None else None
                labels.append(normalise_plate(plate.text))
                said.append(answer.text if answer is not None else "")
    return hits(labels, said)


LESSON = Lesson("license_plate_detector", "License plate detector", NAMES, (384, 640), rows, least_px=8.0)
RECIPE = LESSON.recipe(evaluate)
