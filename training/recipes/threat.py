"""Finds weapons in the hands of drawn people.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers; see `training.yolo`.
Classes  knife, gun, bat, crowbar.
Input    the whole picture, letterboxed to 736 x 1280 px: in 640 px most guns have 8. Learned from windows of 224 x 224
         px at that scale.
Limits   What is hidden by more than half, or smaller than about 10 px square of the 1280, was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hearthwatch.models.threat_detector import ThreatAdapter
from training.dataset import WINDOWS, AnyScene, StoredScene, held_out, whole_size
from training.scenes.spec import WEAPONS
from training.yolo.examples import Example, View, example_of, fit
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson

NAMES = WEAPONS
SIZE = (736, 1280)
#: Side of the smallest square that is asked for, and the share of it that must be seen.
LEAST_PX, LEAST_VISIBLE = 10.0, 0.5


def example(scene: AnyScene) -> Example:
    """What is to be found in a scene."""
    rows = [(NAMES.index(weapon.kind), weapon) for weapon in scene.weapons]
    scale = fit(whole_size(scene), SIZE)
    return example_of(scene.picture, rows, scale=scale, least_px=LEAST_PX, least_visible=LEAST_VISIBLE)


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, or on those that are given, from the lowest confidence that a call can ask for."""
    examples = map(example, held_out() if known is None else known)
    return precision_of(ThreatAdapter, path, examples, NAMES, lambda result: (*result.threats, *result.weaker))


def times(scene: StoredScene) -> int:
    """Windows without a weapon are there to teach what is none."""
    return 2 if scene.weapons else 1


LESSON = Lesson(
    model="threat_detector",
    title="Threat detector",
    names=NAMES,
    size=SIZE,
    view=View(size=(224, 224), zoom=(0.75, 1.3), focus=0.85, grey=0.0, least_px=8.0),
    example=example,
    times=times,
    minutes=14,
    steps=7000,
    scenes=(WINDOWS,),
)
RECIPE = LESSON.recipe(evaluate)
