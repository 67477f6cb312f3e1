"""What is in a drawn scene, exactly: boxes around what can be seen, joints, plates, depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hearthwatch.vision.boxes import Box
from training.scenes.camera import Camera, Float

#: Depth of the sky in a scene's depth map, metres.
FAR_M = 200.0
#: A key point's third number, as COCO has it.
ABSENT, HIDDEN, SEEN = 0, 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something with a box.

    Attributes:
        kind: its word.
        box: xyxy in picture pixels around what can be seen of it.
        visible: share of its own pixels that nothing hides and the picture's edge does not cut off, 0..1.
        distance_m: median depth of its visible pixels.
        owner: its number in `RenderedScene.ids`.
    """

    kind: str
    box: Box
    visible: float
    distance_m: float
    owner: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Person(Thing):
    """A person.

    Attributes:
        posture: of `spec.POSTURES`.
        keypoints: (17, 3) x, y, and ABSENT, HIDDEN or SEEN, in COCO's order.
        identity: equal numbers look the same.
        arms_raised: both hands above the head.
        holds: the word of what is in a hand.
        carries: "box".
        clothing: words such as "red jacket".
    """

    posture: str
    keypoints: Float
    identity: int
    arms_raised: bool = False
    holds: str | None = None
    carries: str | None = None
    clothing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Weapon(Thing):
    """A weapon in somebody's hand; `holder` is the person's owner number."""

    holder: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plate(Thing):
    """A plate; `vehicle` is the vehicle's owner number."""

    text: str
    vehicle: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Vehicle(Thing):
    """A vehicle; `plate` is the text of its plate, whether it can be seen or not."""

    colour: str
    plate: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Animal(Thing):
    """A cat or a dog."""


@dataclass(frozen=True, slots=True, eq=False)
class RenderedScene:
    """A picture and everything that is true of it.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        depth: (H, W) metres along the optical axis; the sky is FAR_M.
        ids: (H, W) which thing each pixel shows; 0 is the place.
        people: those of whom anything can be seen; likewise the others.
        weapons: in hands.
        vehicles: with wheels.
        plates: of vehicles.
        animals: with four legs.
        place: of `spec.PLACES`.
        light: of `spec.LIGHTS`.
        caption: one sentence.
        seed: of the spec.
        camera: that took the picture.
    """

    picture: npt.NDArray[np.uint8]
    depth: Float
    ids: npt.NDArray[np.int16]
    people: tuple[Person, ...]
    weapons: tuple[Weapon, ...]
    vehicles: tuple[Vehicle, ...]
    plates: tuple[Plate, ...]
    animals: tuple[Animal, ...]
    place: str
    light: str
    caption: str
    seed: int
    camera: Camera
