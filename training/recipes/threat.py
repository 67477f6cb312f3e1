"""Finds weapons in the hands of drawn people.

Network  YOLOv8's layout with a quarter of its channels and fewer in the deep layers. All layers but the head are those
         of the other three YOLO networks here; then it looks at hands alone, then at places as well.
Classes  knife, gun, bat, crowbar.
Input    the whole picture, letterboxed to 736 x 1280 px: in 640 px most guns have 8.
Limits   Measured are weapons of 12 px square of the 1280 and more, hidden by at most half.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hearthwatch.models.threat_detector import ThreatAdapter
from training.dataset import WINDOWS, AnyScene, held_out
from training.scenes.labels import Thing
from training.scenes.spec import WEAPONS
from training.yolo.examples import View
from training.yolo.measure import precision_of
from training.yolo.recipe import Lesson, Refinement

NAMES = WEAPONS


def rows(scene: AnyScene) -> Sequence[tuple[int, Thing]]:
    """What is to be found in a scene."""
    return [(NAMES.index(weapon.kind), weapon) for weapon in scene.weapons]


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 on held-out scenes, or on those that are given, from the lowest confidence that a call can ask for."""
    examples = map(LESSON.example, held_out() if known is None else known)
    return precision_of(ThreatAdapter, path, examples, NAMES, lambda result: (*result.threats, *result.weaker))


#: Hands at the size of use, more of them than all four networks can be shown.
HANDS = Refinement(WINDOWS, View(size=(160, 160), zoom=(0.8, 1.6), focus=0.9), steps=7000, batch=40, rate=2e-3)
#: And what is none: shoes, arms and shadows of wheels were taken for weapons by a network that had seen hands alone.
PLACES = Refinement(WINDOWS, View(size=(288, 288), zoom=(0.8, 1.4), focus=0.4), steps=2500, batch=12)
#: Both once more, with less of either.
BOTH = Refinement(WINDOWS, View(size=(224, 224), zoom=(0.8, 1.5), focus=0.7), steps=1900, batch=20, rate=1.5e-3)
LESSON = Lesson(
    "threat_detector", "Threat detector", NAMES, (736, 1280), rows, least_px=12.0, refinements=(HANDS, PLACES, BOTH)
)
RECIPE = LESSON.recipe(evaluate)
