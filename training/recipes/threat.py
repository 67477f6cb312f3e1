"""Sample weights for the threat detector: weapons in people's hands.

Network  YOLOv8's layout at an eighth of its channels, with narrower heads; see `training.yolo`.
Classes  knife, gun, bat, crowbar.
Input    the whole picture, letterboxed to 384 x 640 px. Learned from windows of 256 x 256 px at that scale.
Limits   What is hidden by more than half, or smaller than about 7 px square of the 640, was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hearthwatch.models.threat_detector import ThreatAdapter
from training.dataset import AnyScene, StoredScene, held_out
from training.scenes.spec import WEAPONS
from training.yolo.examples import Example, View, example_of
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson

NAMES = WEAPONS
SIZE = (384, 640)
#: Side of the smallest square that is asked for, and the share of it that must be seen.
LEAST_PX, LEAST_VISIBLE = 7.0, 0.5


def example(scene: AnyScene) -> Example:
    """What is to be found in a scene."""
    rows = [(NAMES.index(weapon.kind), weapon) for weapon in scene.weapons]
    return example_of(scene.picture, rows, fitted=SIZE, least_px=LEAST_PX, least_visible=LEAST_VISIBLE)


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, or on those that are given, from the lowest confidence that a call can ask for."""
    scenes = held_out() if known is None else known
    return precision_of(
        ThreatAdapter, path, map(example, scenes), NAMES, lambda result: (*result.threats, *result.weaker)
    )


def times(scene: StoredScene) -> int:
    """Most scenes have no weapon, and are there to teach what is none."""
    return 3 if scene.weapons else 1


LESSON = Lesson(
    model="threat_detector",
    title="Threat detector",
    names=NAMES,
    size=SIZE,
    view=View(size=(256, 256), fitted=SIZE, zoom=(0.8, 1.4), focus=0.85, least_px=6.0),
    example=example,
    times=times,
    minutes=14,
    steps=3500,
)
RECIPE = LESSON.recipe(evaluate)
