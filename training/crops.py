"""What re-identification, pets and depth learn from, cut from drawn scenes. One call is one seed; no torch."""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np
import PIL.Image

from hearthwatch.models.pet_classifier import ANIMALS, PET_MARGIN
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import UInt8
from training.augment import with_room
from training.gather import Rows
from training.scenes.camera import Camera
from training.scenes.cast import identity_scene
from training.scenes.draw import draw, render
from training.scenes.labels import Animal, Person, RenderedScene, Thing
from training.scenes.spec import LIGHTS, PLACES, AnimalSpec, SceneSpec

#: (height, width) at which crops are kept: the networks' inputs with room around.
PORTRAIT_SIZE, PET_SIZE = (288, 144), (256, 256)
CAMERAS: tuple[Literal[0], Literal[1]] = (0, 1)
#: Pictures of each identity by each camera.
VIEWS = 2
#: Share of a thing that must be visible, and its least side in pixels, to be learned from.
MIN_VISIBLE, MIN_SIDE_PX = 0.55, 20
#: (height, width) of the depth network's input and output.
VIEW_SIZE, DEPTH_SIZE = (192, 320), (96, 160)
#: (width, height) of the pictures that depth is learned from. A camera's size takes five times as long to draw; some
#: are of it because its noise looks different when it is shrunk.
VIEW_PICTURES = ((1280, 720), (640, 360), (640, 360), (640, 360), (640, 360))
#: (width, height) of the pictures that animals are cut from, and how long an animal is, about.
PET_PICTURE = (320, 256)
_LENGTH_M = {"cat": 0.55, "dog": 0.9}


def portrait(identity: int, view: int, camera: Literal[0, 1]) -> tuple[UInt8, Person] | None:
    """A picture by one of two cameras, and the person in it; None where that one cannot be seen well."""
    scene = draw(identity_scene(identity, view, camera))
    shown = [person for person in scene.people if person.identity == identity and is_clear(person)]
    return (scene.picture, shown[0]) if shown else None


def portraits(identity: int) -> Rows:
    """All pictures of one identity: `Portraits` by name."""
    shots = [(portrait(identity, view, camera), camera) for camera in CAMERAS for view in range(VIEWS)]
    rows = [(*with_room(shot[0], shot[1].box, 0.0, PORTRAIT_SIZE), camera) for shot, camera in shots if shot]
    if not rows:
        return {}
    return {
        "pixels": np.stack([pixels for pixels, _, _ in rows]),
        "inner": np.stack([inner for _, inner, _ in rows]),
        "identity": np.full(len(rows), identity, np.int64),
        "camera": np.array([camera for _, _, camera in rows], np.int64),
    }


def pet_scene(seed: int) -> RenderedScene:
    """One cat or dog before one of the places; the camera looks at it."""
    rng = np.random.default_rng([41, seed])
    kind = ANIMALS[int(rng.integers(len(ANIMALS)))]
    x, z, height_m = rng.uniform(-0.15, 0.15), rng.uniform(3.5, 7.5), rng.uniform(1.8, 3.2)
    share = math.exp(rng.uniform(math.log(0.15), math.log(0.7)))
    focal = share * PET_PICTURE[0] / _LENGTH_M[kind] * math.hypot(z, height_m)
    pitch = math.atan2(height_m - 0.25, z) + rng.normal(0, 0.01)
    animal = AnimalSpec(kind, x, z, rng.uniform(-math.pi, math.pi), int(rng.integers(1 << 30)))
    place, light = PLACES[int(rng.integers(len(PLACES)))], LIGHTS[int(rng.integers(len(LIGHTS)))]
    return draw(SceneSpec(place, light, Camera(*PET_PICTURE, focal, height_m, pitch), animals=(animal,), seed=seed))


def clear_pets(scene: RenderedScene) -> list[Animal]:
    """Those that somebody could tell apart."""
    return [animal for animal in scene.animals if is_clear(animal)]


def pets(seed: int) -> Rows:
    """The animals of one scene: `Examples` by name. The fourth channel is 255 where the animal is seen."""
    scene = pet_scene(seed)
    rows = []
    for animal in clear_pets(scene):
        mask = (scene.ids == animal.owner).astype(np.uint8) * 255
        mask = np.asarray(cv2.resize(mask, scene.picture.shape[1::-1], interpolation=cv2.INTER_AREA))
        rows.append((*with_room(np.dstack([scene.picture, mask]), animal.box, PET_MARGIN, PET_SIZE), animal.kind))
    if not rows:
        return {}
    return {
        "pixels": np.stack([pixels for pixels, _, _ in rows]),
        "inner": np.stack([inner for _, inner, _ in rows]),
        "label": np.array([ANIMALS.index(kind) for _, _, kind in rows], np.int64),
    }


def views(seed: int) -> Rows:
    """One scene with its depth: `Views` by name."""
    scene = render(seed, VIEW_PICTURES[seed % len(VIEW_PICTURES)])
    # As the card's input is made: Pillow's bilinear filter.
    shrunk = PIL.Image.fromarray(scene.picture).resize(VIEW_SIZE[::-1], PIL.Image.Resampling.BILINEAR)
    depth = cv2.resize(1 / scene.depth, DEPTH_SIZE[::-1], interpolation=cv2.INTER_AREA)
    return {"pixels": np.asarray(shrunk)[None], "depth": (1 / depth).astype(np.float16)[None]}


def is_clear(thing: Thing) -> bool:
    """Whether somebody could say what it is."""
    box: Box = thing.box
    return thing.visible >= MIN_VISIBLE and min(box.width, box.height) >= MIN_SIDE_PX
