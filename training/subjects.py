"""Pictures of one subject with what is true of them: what the CLIP pair learns from and is asked about. No torch.

A person in a whole scene has 20 of CLIP's 224 px, so most pictures are of one thing, cut out and padded to a square as
the adapter does it; some are whole scenes, of which the adapter sees the square in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from hearthwatch.models.clip import PADDING
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop, pad_to_square
from hearthwatch.vision.image import Image
from hearthwatch.vision.posture import classify_posture
from training.augment import resized
from training.dataset import AnyScene
from training.gather import Rows
from training.scenes.camera import Camera
from training.scenes.cast import IDENTITIES, SEEDS
from training.scenes.draw import draw
from training.scenes.finish import COLOURS
from training.scenes.labels import SEEN, Person, RenderedScene, Thing, Vehicle
from training.scenes.plates import plate_text
from training.scenes.skeleton import facing_camera, good_yaws
from training.scenes.spec import (
    ANIMALS,
    LIGHTS,
    PLACES,
    POSTURES,
    VEHICLES,
    AnimalSpec,
    PersonSpec,
    SceneSpec,
    VehicleSpec,
)
from training.scenes.vehicles import vehicle_size

Rng = np.random.Generator
#: What is known of one picture: plain values, kept as JSON.
Facts = Mapping[str, Any]
#: Side at which pictures are kept, pixels.
SIDE = 128
#: (width, height) of a picture of one subject.
CLOSE = (256, 256)
#: Least share of a thing that must be seen, and least longer side of its box in pixels, to be cut out.
MIN_VISIBLE, MIN_SIDE_PX = 0.6, 56
#: Of scenes from the disk it is not known which pixels show what: how much of its own box a weapon fills, about, and
#: how much of a person's box what is carried before the body.
WEAPON_FILLS, BOX_FILLS = 0.2, 0.08
#: Kind "scene" has no box: it is the whole picture.
SCENE = "scene"
#: How often each kind is shown: as before a home, and evenly enough to tell vehicles and animals apart as well.
_SUBJECTS = {"person": 0.78, "vehicle": 0.14, "animal": 0.08}
_EVENLY = {"person": 0.5, "vehicle": 0.25, "animal": 0.25}
_LIGHT_SHARES = (0.32, 0.2, 0.16, 0.18, 0.14)
#: What hands hold; "box" is carried by both.
_HANDS = {
    "": 0.30, "box": 0.14, "umbrella": 0.10, "bat": 0.10, "crowbar": 0.09, "bag": 0.08, "knife": 0.06, "gun": 0.05,
    "phone": 0.03, "torch": 0.03, "mug": 0.02,
}  # fmt: skip
_ANIMAL_M = {"cat": 0.55, "dog": 0.9}
#: How high somebody reaches, metres, about.
_TALL_M = {"sitting": 1.35, "crouching": 1.15, "bending_over": 1.25, "crawling": 1.3, "lying_down": 1.8}


def shown(seed: int) -> Rows:
    """A picture of one subject: `squares` by name; nothing where it is hidden."""
    return squares([draw(close_spec(seed))])


def shown_evenly(seed: int) -> Rows:
    """As `shown`, with more vehicles and animals."""
    return squares([draw(close_spec(seed, _EVENLY))])


def squares(scenes: Iterable[AnyScene], *, wholes: int = 0) -> Rows:
    """What is cut out of scenes: `pixels` (n, SIDE, SIDE, 3), and `facts` (n,) as JSON.

    Args:
        scenes: in any number.
        wholes: every so many-th of them also as a whole; 0: none.
    """
    pixels, facts = [], []
    for number, scene in enumerate(scenes):
        for image, known in cut(scene, whole=wholes > 0 and number % wholes == 0):
            pixels.append(resized(image.pixels, (SIDE, SIDE)))
            facts.append(orjson.dumps(known).decode())
    return {"pixels": np.stack(pixels), "facts": np.array(facts)} if pixels else {}


def cut(scene: AnyScene, *, whole: bool) -> Iterator[tuple[Image, Facts]]:
    """Everything in a scene that is large and clear enough, as a square; perhaps the square in the picture's middle."""
    image = Image.of(scene.picture)
    for thing in clear(scene):
        yield pad_to_square(crop(image, thing.box), PADDING), facts_of(thing, scene)
    if whole:
        yield crop(image, middle(scene)), scene_facts(scene)


def clear(scene: AnyScene) -> list[Thing]:
    """What is large and clear enough in a scene."""
    return [
        thing
        for thing in (*scene.people, *scene.vehicles, *scene.animals)
        if thing.visible >= MIN_VISIBLE and max(thing.box.width, thing.box.height) >= MIN_SIDE_PX
    ]


def middle(scene: AnyScene) -> Box:
    """The square that CLIP's preprocessing sees of a whole picture."""
    height, width = scene.picture.shape[:2]
    side = min(height, width)
    return Box((width - side) / 2, (height - side) / 2, (width + side) / 2, (height + side) / 2)


def facts_of(thing: Thing, scene: AnyScene) -> Facts:
    """What is true of a thing's picture.

    Pixels of what is in a hand are counted, and whether the joints tell the posture: what cannot be seen is not asked.
    """
    facts: dict[str, Any] = {
        "kind": thing.kind,
        "place": scene.place,
        "light": scene.light,
        "px": round(max(thing.box.width, thing.box.height)),
        "visible": round(thing.visible, 3),
    }
    if isinstance(thing, Vehicle):
        return facts | {"colour": thing.colour}
    return facts | _person_facts(thing, scene) if isinstance(thing, Person) else facts


def scene_facts(scene: AnyScene) -> Facts:
    """What is true of a whole picture: the kinds of things in its middle square, with their share of its side."""
    square = middle(scene)
    things = []
    for thing in (*scene.people, *scene.vehicles, *scene.animals):
        inside = max(min(thing.box.x2, square.x2) - max(thing.box.x1, square.x1), 0) / thing.box.width
        share = max(thing.box.width * inside, thing.box.height) / square.width if inside else 0.0
        things.append({"kind": thing.kind, "share": round(share * thing.visible, 3)})
    return {"kind": SCENE, "place": scene.place, "light": scene.light, "things": things, "caption": scene.caption}


def _person_facts(person: Person, scene: AnyScene) -> dict[str, Any]:
    joints = person.keypoints.copy()
    joints[:, 2] = joints[:, 2] > 0
    posture = "arms_raised" if person.arms_raised else person.posture
    said = classify_posture(joints).name
    return {
        "posture": posture,
        "told": said == ("reaching_up" if person.arms_raised else person.posture),
        "clothing": list(person.clothing),
        "holds": person.holds,
        "held_px": _held_px(person, scene) if person.holds else 0,
        "carries": person.carries,
        "carried_px": _carried_px(person, scene) if person.carries else 0,
        "faces": bool(person.keypoints[0, 2] == SEEN),
    }


def _held_px(person: Person, scene: AnyScene) -> int:
    """Pixels inside the person's box, for what is beside it is not in the picture; 0 where nobody knows."""
    if isinstance(scene, RenderedScene):
        # What somebody has is numbered behind the body, in the order in which it is drawn.
        return _pixels(scene, person.owner + 1, person.box)
    box = next((weapon.box for weapon in scene.weapons if weapon.holder == person.owner), None)
    if box is None:
        return 0
    width = max(min(box.x2, person.box.x2) - max(box.x1, person.box.x1), 0)
    height = max(min(box.y2, person.box.y2) - max(box.y1, person.box.y1), 0)
    return round(WEAPON_FILLS * width * height)


def _carried_px(person: Person, scene: AnyScene) -> int:
    if isinstance(scene, RenderedScene):
        return _pixels(scene, person.owner + 1 + (person.holds is not None), person.box)
    return round(BOX_FILLS * person.box.area) if person.keypoints[0, 2] == SEEN else 0


def _pixels(scene: RenderedScene, owner: int, box: Box) -> int:
    finer = scene.ids.shape[0] / scene.picture.shape[0]
    x1, y1, x2, y2 = (round(max(side, 0) * finer) for side in box)
    return round(int((scene.ids[y1:y2, x1:x2] == owner).sum()) / finer**2)


def close_spec(seed: int, shares: Mapping[str, float] = _SUBJECTS) -> SceneSpec:
    """One subject before one of the places; the camera looks at it.

    Args:
        seed: decides everything.
        shares: how often each kind is shown.
    """
    rng = np.random.default_rng([61, seed])
    subject = _chosen(rng, shares)
    place, light = PLACES[int(rng.integers(len(PLACES)))], str(rng.choice(LIGHTS, p=_LIGHT_SHARES))
    height_m, x = float(rng.uniform(2.0, 3.3)), float(rng.uniform(-0.2, 0.2))
    if subject == "person":
        split = max((name for name in SEEDS if SEEDS[name] <= seed), key=SEEDS.__getitem__)
        identity = int(rng.integers(*IDENTITIES[split]))
        person = _person(identity, x, float(rng.uniform(3.5, 7.5)), rng)
        raised = 2.15 if person.arms_raised or person.posture == "reaching_up" else 1.75
        camera = _towards(rng, height_m, person.z, _TALL_M.get(person.posture, raised))
        return SceneSpec(place, light, camera, people=(person,), seed=seed)
    if subject == "vehicle":
        vehicle, metres = _vehicle(x, float(rng.uniform(8, 14)), rng)
        camera = _towards(rng, height_m, vehicle.z, metres)
        return SceneSpec(place, light, camera, vehicles=(vehicle,), seed=seed)
    kind, z = ANIMALS[int(rng.integers(len(ANIMALS)))], float(rng.uniform(3.5, 7))
    animal = AnimalSpec(kind, x, z, float(rng.uniform(-math.pi, math.pi)), _seed(rng))
    return SceneSpec(place, light, _towards(rng, height_m, z, _ANIMAL_M[kind]), animals=(animal,), seed=seed)


def _towards(rng: Rng, height_m: float, z: float, metres: float) -> Camera:
    """A camera in whose picture something at that distance has half of a side, or more."""
    aim = min(metres, 1.75) / 2
    focal = CLOSE[0] * float(rng.uniform(0.5, 0.85)) / metres * math.hypot(z, height_m - aim)
    pitch = math.atan2(height_m - aim, z) + float(rng.normal(0, 0.01))
    return Camera(*CLOSE, focal, height_m, pitch)


def _person(identity: int, x: float, z: float, rng: Rng) -> PersonSpec:
    posture = (*POSTURES, "arms_raised")[int(rng.integers(len(POSTURES) + 1))]
    raised = posture == "arms_raised"
    posture = "standing" if raised else posture
    hands = _chosen(rng, _HANDS)
    while hands == "box" and (raised or posture not in ("standing", "walking")):
        hands = _chosen(rng, _HANDS)
    spans = good_yaws(posture, arms_raised=raised)
    widths = np.array([high - low for low, high in spans])
    low, high = spans[int(rng.choice(len(spans), p=widths / widths.sum()))]
    yaw = facing_camera(x, z) + float(rng.uniform(low, high))
    holds = hands if hands not in ("", "box") else None
    return PersonSpec(identity, posture, x, z, yaw, holds, "box" if hands == "box" else None, raised, _seed(rng))


def _vehicle(x: float, z: float, rng: Rng) -> tuple[VehicleSpec, float]:
    """One, and how long it looks."""
    kind, colour = str(rng.choice(VEHICLES)), str(rng.choice(list(COLOURS)))
    plate = None if kind == "bicycle" else plate_text(rng)
    spec = VehicleSpec(kind, x, z, float(rng.uniform(-math.pi, math.pi)), colour, plate, _seed(rng))
    width, height, length = vehicle_size(spec)
    seen = abs(math.sin(spec.yaw)) * length + abs(math.cos(spec.yaw)) * width
    return spec, max(seen, height) * 1.15


def _chosen(rng: Rng, shares: Mapping[str, float]) -> str:
    return str(rng.choice(list(shares), p=list(shares.values())))


def _seed(rng: Rng) -> int:
    return int(rng.integers(1 << 30))
