"""Finds drawn people and their 17 joints.

Network  YOLOv8's pose layout with a quarter of its channels and fewer in the deep layers; see `training.yolo`.
Classes  person, with COCO's 17 key points.
Input    the whole picture, letterboxed to 448 x 768 px. Learned from windows of 192 x 192 px at that scale.
Limits   Who is hidden by more than two thirds, or smaller than about 16 px square of the 768, was never asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from hearthwatch.models.pose_estimator import PoseAdapter, Poses
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.keypoints import oks
from hearthwatch.vision.posture import classify_posture
from training.dataset import TRAINING, WINDOWS, AnyScene, StoredScene, held_out, whole_size
from training.scenes.labels import Person
from training.weights import opened
from training.yolo.evaluate import Found, match, mean_average_precision
from training.yolo.examples import Example, View, example_of, fit
from training.yolo.recipe import Lesson, hits

NAMES = ("person",)
SIZE = (448, 768)
#: Side of the smallest square that is asked for, at that size.
LEAST_PX = 16.0
#: Of whom the posture is asked: so tall or wide, in pixels of the 768, and hidden by next to nothing.
POSED_PX, POSED_VISIBLE = 64.0, 0.8


def example(scene: AnyScene) -> Example:
    """What is to be found in a scene."""
    rows = [(0, person) for person in scene.people]
    return example_of(scene.picture, rows, scale=fit(whole_size(scene), SIZE), least_px=LEAST_PX, keypoints=True)


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 of the boxes, the mean OKS of people who are found, and the share of postures that are told right."""
    answers = list(_answers(path, held_out() if known is None else known))
    pairs = [(example(scene), _boxes(poses)) for scene, poses in answers]
    return {"mAP50": mean_average_precision(pairs, NAMES)["mAP50"], **skeletons(answers)}


def skeletons(answers: Iterable[tuple[AnyScene, Poses]]) -> dict[str, float]:
    """`OKS` and `posture`, and `posture of labels`: what the rules make of the labelled joints themselves."""
    similar: list[float] = []
    labels: list[str] = []
    said: list[str] = []
    ideal: list[str] = []
    for scene, poses in answers:
        asked = [person for person in scene.people if _is_posed(person, scene)]
        found = _boxes(poses)
        truth = np.array([person.box for person in asked], np.float32).reshape(-1, 4)
        owner = match(found.boxes, found.confidences, truth).tolist()
        for index, person in enumerate(asked):
            labels.append(expected(person))
            ideal.append(classify_posture(_certain(person.keypoints)).name)
            said.append(poses.persons[owner.index(index)].posture if index in owner else "not found")
            if index in owner:
                joints = poses.persons[owner.index(index)].as_array()
                similar.append(oks(joints, person.keypoints, person.box.area / 2))
    return {
        "OKS": float(np.mean(similar)) if similar else 0.0,
        "posture": hits(labels, said),
        "posture of labels": hits(labels, ideal),
    }


def expected(person: Person) -> str:
    """The word that the rules should say."""
    return "reaching_up" if person.arms_raised else person.posture


def _answers(path: Path, known: Iterable[AnyScene]) -> Iterable[tuple[AnyScene, Poses]]:
    with opened(PoseAdapter, path) as model:
        for scene in known:
            yield scene, model.predict([Image.of(scene.picture)])[0][0]


def _is_posed(person: Person, scene: AnyScene) -> bool:
    longest = max(person.box.width, person.box.height) * fit(whole_size(scene), SIZE)
    return longest >= POSED_PX and person.visible >= POSED_VISIBLE


def _certain(keypoints: Float) -> Float:
    certain = keypoints.copy()
    certain[:, 2] = keypoints[:, 2] > 0
    return certain


def _boxes(poses: Poses) -> Found:
    boxes = [person.bbox or Box(0, 0, 0, 0) for person in poses.persons]
    return Found(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros(len(boxes), np.int64),
        np.array([person.confidence for person in poses.persons], np.float32),
    )


def times(scene: StoredScene) -> int:
    """Scenes without people are there to teach what is none."""
    return 3 if scene.people else 1


LESSON = Lesson(
    model="pose_estimator",
    title="Pose estimator",
    names=NAMES,
    size=SIZE,
    view=View(size=(192, 192), zoom=(0.7, 1.3), focus=0.95, least_px=12.0),
    example=example,
    times=times,
    minutes=18,
    steps=9000,
    scenes=(WINDOWS, TRAINING),
    keypoints=17,
)
RECIPE = LESSON.recipe(evaluate)
