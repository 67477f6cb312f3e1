"""Finds drawn people, vehicles and animals.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers; see `training.yolo`.
Classes  person, bicycle, car, bus, truck, cat, dog: COCO's words. COCO has no van; here it is a truck.
Input    the whole picture, letterboxed to 384 x 640 px. Learned from windows of 256 x 256 px at about that scale.
Limits   What is hidden by more than two thirds, or smaller than about 9 px square of the 640, was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hearthwatch.models.yolo26 import DetectorAdapter
from training.dataset import AnyScene, held_out, whole_size
from training.yolo.examples import Example, View, example_of, fit
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson, once

NAMES = ("person", "bicycle", "car", "bus", "truck", "cat", "dog")
_COCO = {"van": "truck"}
SIZE = (384, 640)
#: Side of the smallest square that is asked for, at that size.
LEAST_PX = 9.0


class _Everything(DetectorAdapter):
    """Average precision asks for the doubtful ones as well."""

    LOWEST = 0.02


def example(scene: AnyScene) -> Example:
    """What is to be found in a scene."""
    things = [*scene.people, *scene.vehicles, *scene.animals]
    rows = [(NAMES.index(_COCO.get(thing.kind, thing.kind)), thing) for thing in things]
    return example_of(scene.picture, rows, scale=fit(whole_size(scene), SIZE), least_px=LEAST_PX)


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, or on those that are given."""
    scenes = held_out() if known is None else known
    return precision_of(_Everything, path, map(example, scenes), NAMES, lambda result: result.detections)


LESSON = Lesson(
    model="yolo26",
    title="Object detector",
    names=NAMES,
    size=SIZE,
    view=View(size=(256, 256), zoom=(0.5, 1.3), focus=0.85, grey=0.0, least_px=6.0),
    example=example,
    times=once,
    minutes=15,
    steps=6000,
)
RECIPE = LESSON.recipe(evaluate)
