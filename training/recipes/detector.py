"""Finds drawn people, vehicles and animals.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers. All layers but the head are those
         of the other three YOLO networks here, with which it is trained before it looks at whole pictures.
Classes  person, bicycle, car, bus, truck, cat, dog: COCO's words. COCO has no van; here it is a truck.
Input    the whole picture, letterboxed to 384 x 640 px.
Limits   Measured are things of 14 px square of the 640 and more, hidden by at most half.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hearthwatch.models.yolo26 import DetectorAdapter
from training.dataset import TRAINING, AnyScene, held_out
from training.scenes.labels import Thing
from training.yolo.examples import View
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson, Refinement

NAMES = ("person", "bicycle", "car", "bus", "truck", "cat", "dog")
_COCO = {"van": "truck"}


class _Everything(DetectorAdapter):
    """Average precision asks for the doubtful ones as well."""

    LOWEST = 0.02


def rows(scene: AnyScene) -> Sequence[tuple[int, Thing]]:
    """What is to be found in a scene."""
    things: list[Thing] = [*scene.people, *scene.vehicles, *scene.animals]
    return [(NAMES.index(_COCO.get(thing.kind, thing.kind)), thing) for thing in things]


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, or on those that are given."""
    examples = map(LESSON.example, held_out() if known is None else known)
    return precision_of(_Everything, path, examples, NAMES, lambda result: result.detections)


#: In windows of 256 px nobody sees a whole bus.
WHOLE = Refinement(TRAINING, View(size=(384, 640), zoom=(0.8, 1.2), focus=0.0), steps=2400)
LESSON = Lesson("yolo26", "Object detector", NAMES, (384, 640), rows, least_px=14.0, refinements=(WHOLE,))
RECIPE = LESSON.recipe(evaluate)
