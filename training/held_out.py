"""How the tests measure the sample networks: on fewer scenes than the zoo does, which nothing else has seen."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path

from training import zero_shot
from training.dataset import TEST
from training.gather import in_parallel
from training.recipes import (
    action_recognizer,
    clip,
    clip_text,
    depth,
    detector,
    person_reid,
    pet,
    plates,
    pose,
    threat,
    vehicle,
)
from training.scenes.draw import render
from training.scenes.labels import RenderedScene

Figures = Mapping[str, float]
#: Scenes: two processor cores draw them in about ten seconds.
SCENES = range(TEST, TEST + 40)
IDENTITIES, ANIMALS = range(21_000, 21_060), range(TEST + 1000, TEST + 1060)
SUBJECTS, CLIPS = range(TEST + 2000, TEST + 2160), range(TEST + 3000, TEST + 3040)


@functools.cache
def scenes() -> tuple[RenderedScene, ...]:
    """As a camera sends them, 1280 x 720; drawn once in a process."""
    return tuple(in_parallel(render, SCENES, processes=2))


@functools.cache
def subjects() -> tuple[zero_shot.Seen, ...]:
    """What a CLIP pair is asked about, in these scenes and in some of one subject."""
    return (*zero_shot.held_out(SUBJECTS, range(0)), *(seen for seen in map(zero_shot.seen_in, scenes()) if seen.boxes))


#: Model to how its network is measured.
MEASURES: Mapping[str, Callable[[Path], Figures]] = {
    "yolo26": lambda path: detector.evaluate(path, scenes()),
    "pose_estimator": lambda path: pose.evaluate(path, scenes()),
    "threat_detector": lambda path: threat.evaluate(path, scenes()),
    "license_plate_detector": lambda path: plates.evaluate(path, scenes()),
    "person_reid": lambda path: person_reid.evaluate(path, IDENTITIES),
    "depth_estimator": lambda path: depth.evaluate(path, scenes()),
    "pet_classifier": lambda path: pet.evaluate(path, ANIMALS),
    "vehicle_classifier": lambda path: vehicle.evaluate(path, scenes()),
    "clip": lambda path: clip.evaluate(path, subjects()),
    "clip_text": lambda path: clip_text.evaluate(path, subjects()),
    "action_recognizer": lambda path: action_recognizer.evaluate(path, action_recognizer.held_out(CLIPS)),
}
