"""Finds the license plates of drawn vehicles.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers; see `training.yolo`.
Classes  License_Plate.
Input    the whole picture, letterboxed to 384 x 640 px. Learned from windows of 192 x 192 px at that scale.
Limits   A plate that is hidden by more than half, or smaller than about 7 px square of the 640, was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hearthwatch.models.license_plate_detector import PlateDetectorAdapter
from hearthwatch.models.plate_ocr import PlateOCRAdapter, normalise_plate
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from training.dataset import AnyScene, StoredScene, held_out, whole_size
from training.weights import opened
from training.yolo.evaluate import match
from training.yolo.examples import Example, View, example_of, fit
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson, hits

NAMES = ("License_Plate",)
SIZE = (384, 640)
#: Side of the smallest square that is asked for, and the share of it that must be seen.
LEAST_PX, LEAST_VISIBLE = 7.0, 0.5
#: Plates whose text counts: at least so wide, in picture pixels, and hidden by next to nothing.
READABLE_PX, READABLE_VISIBLE = 70.0, 0.95
#: A found plate is read from this confidence on.
SURE = 0.25


class _Everything(PlateDetectorAdapter):
    """Average precision asks for the doubtful ones as well."""

    LOWEST = 0.02


def example(scene: AnyScene) -> Example:
    """What is to be found in a scene."""
    rows = [(0, plate) for plate in scene.plates]
    scale = fit(whole_size(scene), SIZE)
    return example_of(scene.picture, rows, scale=scale, least_px=LEAST_PX, least_visible=LEAST_VISIBLE)


def evaluate(path: Path, known: Sequence[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, and `text`: the share of readable plates that are found and read without a mistake."""
    known = held_out() if known is None else known
    measures = precision_of(_Everything, path, map(example, known), NAMES, lambda result: result.detections)
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


def times(scene: StoredScene) -> int:
    """Scenes without a plate are there to teach what is none."""
    return 2 if scene.plates else 1


LESSON = Lesson(
    model="license_plate_detector",
    title="License plate detector",
    names=NAMES,
    size=SIZE,
    view=View(size=(192, 192), zoom=(0.75, 1.4), focus=0.8, flip=0.0, least_px=6.0),
    example=example,
    times=times,
    minutes=8,
    steps=5000,
    width=0.1875,
    most=256,
)
RECIPE = LESSON.recipe(evaluate)
