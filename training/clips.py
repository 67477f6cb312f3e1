"""Clips of one person who does one thing: what the action recogniser is asked about. No torch.

The drawn people have postures, not motions: each frame of somebody who walks is another moment of his gait, and he has
moved on. Of the documented actions these are the ones that such frames show.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import UInt8
from training.scenes.camera import Camera
from training.scenes.cast import IDENTITIES
from training.scenes.draw import draw
from training.scenes.labels import Person
from training.scenes.skeleton import facing_camera, good_yaws
from training.scenes.spec import LIGHTS, PLACES, PersonSpec, SceneSpec

Rng = np.random.Generator
#: (width, height) of a frame, frames of a clip, and seconds between two of them.
FRAME, FRAMES, EVERY_S = (288, 288), 8, 0.15
#: A frame in which less of the person can be seen makes a clip that nobody is asked about.
LEAST_VISIBLE = 0.6


@dataclass(frozen=True, slots=True)
class Motion:
    """How an action is drawn.

    Attributes:
        posture: of `spec.POSTURES`.
        speed: metres in a second.
        carries: "box", or None.
    """

    posture: str
    speed: float
    carries: str | None = None


#: By the documented sentence. Speeds are those of the word, about: a stroll, a jog.
MOTIONS: Mapping[str, Motion] = {
    "person walking normally": Motion("walking", 1.3),
    "person running": Motion("running", 2.8),
    "person sneaking or creeping": Motion("crawling", 0.4),
    "person carrying heavy object": Motion("walking", 0.8, "box"),
    "person loitering": Motion("standing", 0.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """Frames in the order of time.

    Attributes:
        action: of MOTIONS.
        frames: (H, W, 3) uint8 RGB each.
        box: around the person in the middle frame.
    """

    action: str
    frames: tuple[UInt8, ...]
    box: Box


def clip_of(seed: int) -> Clip | None:
    """The clip of a seed, the actions in turn; None where the person is hidden or leaves the picture."""
    action, scenes = clip_specs(seed)
    drawn = [draw(scene) for scene in scenes]
    people = [next(iter(scene.people), None) for scene in drawn]
    seen = [person for person in people if person is not None and person.visible >= LEAST_VISIBLE]
    if len(seen) < FRAMES:
        return None
    middle: Person = seen[FRAMES // 2]
    return Clip(action, tuple(scene.picture for scene in drawn), middle.box)


def clip_specs(seed: int) -> tuple[str, list[SceneSpec]]:
    """Action and frames of a seed: the camera and everything but the person stay as they are."""
    rng = np.random.default_rng([71, seed])
    action = list(MOTIONS)[seed % len(MOTIONS)]
    motion = MOTIONS[action]
    place, light = PLACES[int(rng.integers(len(PLACES)))], LIGHTS[int(rng.integers(len(LIGHTS)))]
    z, height_m = float(rng.uniform(4.0, 7.0)), float(rng.uniform(2.2, 3.2))
    focal = FRAME[1] * float(rng.uniform(0.45, 0.6)) / 1.75 * math.hypot(z, height_m - 0.9)
    camera = Camera(*FRAME, focal, height_m, math.atan2(height_m - 0.9, z))
    yaw = facing_camera(0.0, z) + _turn(motion.posture, rng)
    first = PersonSpec(
        int(rng.integers(*IDENTITIES["test"])), motion.posture, 0.0, z, yaw, carries=motion.carries, seed=_seed(rng)
    )
    return action, [
        SceneSpec(place, light, camera, (person,), seed=seed) for person in _moving(first, motion.speed, rng)
    ]


def _moving(first: PersonSpec, speed: float, rng: Rng) -> list[PersonSpec]:
    """The same person at each moment; half of the way lies before the middle of the picture."""
    steps = (np.arange(FRAMES) - (FRAMES - 1) / 2) * speed * EVERY_S
    return [
        replace(
            first,
            x=first.x + step * math.sin(first.yaw),
            z=first.z - step * math.cos(first.yaw),
            # Who stands about keeps his pose; of a gait this is another moment.
            seed=_seed(rng) if speed else first.seed,
        )
        for step in steps.tolist()
    ]


def _turn(posture: str, rng: Rng) -> float:
    """From facing the camera to a view that shows the posture."""
    spans = good_yaws(posture)
    widths = np.array([high - low for low, high in spans])
    low, high = spans[int(rng.choice(len(spans), p=widths / widths.sum()))]
    return float(rng.uniform(low, high))


def _seed(rng: Rng) -> int:
    return int(rng.integers(1 << 30))
