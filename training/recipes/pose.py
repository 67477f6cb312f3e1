"""Finds drawn people and their 17 joints.

Network  YOLOv8's pose layout with a quarter of its channels and fewer in the deep layers. All layers but the head are
         those of the other three YOLO networks here: they are trained together.
Classes  person, with COCO's 17 key points.
Input    the whole picture, letterboxed to 448 x 768 px.
Limits   Measured are people of 16 px square of the 768 and more, hidden by at most half; postures and OKS are those of
         people of 77 px of height or width and more, hidden by at most a fifth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from hearthwatch.models.pose_estimator import PoseAdapter, Poses
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.keypoints import oks
from hearthwatch.vision.posture import classify_posture
from training.dataset import TRAINING, AnyScene, held_out
from training.scenes.labels import Person, Thing
from training.weights import opened
from training.yolo.evaluate import Found, match, mean_average_precision
from training.yolo.examples import View
from training.yolo.recipe import Lesson, Refinement, hits

NAMES = ("person",)
#: Of whom the posture is asked: so tall or wide, in pixels of the 768, and hidden by next to nothing.
POSED_PX, POSED_VISIBLE = 77.0, 0.8


def rows(scene: AnyScene) -> Sequence[tuple[int, Thing]]:
    """Who is to be found in a scene."""
    return [(0, person) for person in scene.people]


def evaluate(path: Path, known: Iterable[AnyScene] | None = None) -> dict[str, float]:
    """mAP50 of the boxes, the mean OKS of people who are found, and the share of postures that are told right."""
    answers = list(_answers(path, held_out() if known is None else known))
    pairs = [(LESSON.example(scene), _boxes(poses)) for scene, poses in answers]
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
    longest = max(person.box.width, person.box.height) * LESSON.scale(scene)
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


#: People at the size of use.
PEOPLE = Refinement(TRAINING, View(size=(256, 256), zoom=(0.8, 1.6), focus=0.95), steps=8000, batch=16, rate=2e-3)
LESSON = Lesson(
    "pose_estimator", "Pose estimator", NAMES, (448, 768), rows, least_px=16.0, keypoints=17, refinements=(PEOPLE,)
)
RECIPE = LESSON.recipe(evaluate)
