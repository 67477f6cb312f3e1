"""From what a scene consists of to its picture and its labels. Equal specs give equal bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.vision.boxes import Box
from training.scenes.animals import draw_animal
from training.scenes.camera import Float
from training.scenes.canvas import NEAR_M, Canvas
from training.scenes.captions import caption_of
from training.scenes.cast import random_spec
from training.scenes.labels import (
    ABSENT,
    FAR_M,
    HIDDEN,
    SEEN,
    Animal,
    Person,
    Plate,
    RenderedScene,
    Vehicle,
    Weapon,
)
from training.scenes.lens import expose
from training.scenes.light import light_up
from training.scenes.looks import look_of
from training.scenes.people import DrawnPerson, draw_person
from training.scenes.places import draw_place
from training.scenes.plans import layout_of
from training.scenes.shading import Surfaces, surfaces_of
from training.scenes.spec import WEAPONS, AnimalSpec, PersonSpec, SceneSpec, VehicleSpec
from training.scenes.vehicles import DrawnVehicle, draw_vehicle

#: What shows less of itself, or fewer pixels, is not labelled.
LEAST_VISIBLE, LEAST_PIXELS = 0.05, 12
#: How much nearer than a joint the surface over it may be, metres: flesh is thick at the hips, thin at an eye.
_FLESH_M = np.array([0.09] * 3 + [0.11] * 2 + [0.2] * 2 + [0.13] * 4 + [0.26] * 2 + [0.17] * 2 + [0.15] * 2, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Cast:
    """What was drawn, beside what was asked for."""

    people: list[tuple[PersonSpec, DrawnPerson]]
    vehicles: list[tuple[VehicleSpec, DrawnVehicle]]
    animals: list[tuple[AnimalSpec, int]]


def render(seed: int, size: tuple[int, int] = (1280, 720)) -> RenderedScene:
    """The random scene of a seed, at (width, height) pixels."""
    return draw(random_spec(seed, size))


def draw(spec: SceneSpec, oversample: float = 1.5) -> RenderedScene:
    """Draw a scene and label it.

    Args:
        spec: all of it.
        oversample: drawn finer than the picture by this factor, for smooth edges.
    """
    canvas = Canvas(spec.camera, np.random.default_rng([17, spec.seed]), oversample)
    place = draw_place(canvas, layout_of(spec.place, spec.seed), spec.light, np.random.default_rng([18, spec.seed]))
    cast = _Cast(
        vehicles=[(vehicle, draw_vehicle(canvas, vehicle)) for vehicle in spec.vehicles],
        animals=[(animal, draw_animal(canvas, animal)) for animal in spec.animals],
        people=[(person, draw_person(canvas, person)) for person in spec.people],
    )
    surfaces = surfaces_of(canvas)
    people = _people(canvas, cast)
    rng = np.random.default_rng([19, spec.seed])
    mirrors = [drawn.plate_owner for _, drawn in cast.vehicles if drawn.plate_owner is not None]
    linear = light_up(surfaces, spec.light, place.lamps, rng, mirrors=mirrors, eyes=_eyes(people, cast, canvas))
    vehicles, animals = _vehicles(canvas, cast), _animals(canvas, cast)
    return RenderedScene(
        picture=expose(linear, spec.light, rng),
        depth=_depth(surfaces),
        ids=surfaces.ids,
        people=people,
        weapons=_weapons(canvas, cast),
        vehicles=vehicles,
        plates=_plates(canvas, cast),
        animals=animals,
        place=spec.place,
        light=spec.light,
        caption=caption_of(
            place=spec.place,
            light=spec.light,
            people=people,
            vehicles=vehicles,
            animals=animals,
            width=spec.camera.width,
            seed=spec.seed,
        ),
        seed=spec.seed,
        camera=spec.camera,
    )


def _depth(surfaces: Surfaces) -> Float:
    return np.minimum(surfaces.depth, np.float32(FAR_M))


def _seen(canvas: Canvas, owner: int) -> tuple[Box, float, float] | None:
    """Box, visible share and distance of what is seen of a thing; None where that is next to nothing."""
    mask = canvas.mask(owner)
    pixels = int(np.count_nonzero(mask))
    visible = canvas.visible(owner)
    box = canvas.label_box(owner)
    if box is None or visible < LEAST_VISIBLE or pixels < LEAST_PIXELS * canvas.oversample**2:
        return None
    return box, visible, float(np.median(canvas.depth[mask]))


def _people(canvas: Canvas, cast: _Cast) -> tuple[Person, ...]:
    people = []
    for spec, drawn in cast.people:
        if seen := _seen(canvas, drawn.owner):
            box, visible, distance = seen
            people.append(
                Person(
                    kind="person",
                    box=box,
                    visible=visible,
                    distance_m=distance,
                    owner=drawn.owner,
                    posture=spec.posture,
                    keypoints=keypoints_of(canvas, drawn.joints, drawn.owner),
                    identity=spec.identity,
                    arms_raised=spec.arms_raised,
                    holds=spec.holds,
                    carries=spec.carries,
                    clothing=look_of(spec.identity).clothing,
                )
            )
    return tuple(people)


def keypoints_of(canvas: Canvas, joints: Float, owner: int) -> Float:
    """(17, 3) world joints to (17, 3) x, y in picture pixels and ABSENT, HIDDEN or SEEN.

    A joint is seen where its pixel shows its owner, and the surface there is the flesh around it and not another part
    that is nearer. A joint outside the picture is absent, with zeros.
    """
    camera = canvas.camera
    pixels, depth = camera.project(joints)
    inside = (depth > NEAR_M) & (pixels >= 0).all(axis=1) & (pixels < (camera.width, camera.height)).all(axis=1)
    scale = canvas.view.width / camera.width
    columns = np.clip((pixels[:, 0] * scale).astype(int), 0, canvas.view.width - 1)
    rows = np.clip((pixels[:, 1] * scale).astype(int), 0, canvas.view.height - 1)
    shown = (canvas.ids[rows, columns] == owner) & (canvas.depth[rows, columns] > depth - _FLESH_M)
    state = np.where(inside, np.where(shown, SEEN, HIDDEN), ABSENT)
    return np.where(inside[:, None], np.column_stack([pixels, state]), 0).astype(np.float32)


def _eyes(people: Sequence[Person], cast: _Cast, canvas: Canvas) -> list[tuple[float, float, float]]:
    """u, v and depth of the eyes that are seen."""
    depths = {drawn.owner: canvas.camera.project(drawn.joints)[1] for _, drawn in cast.people}
    return [
        (float(person.keypoints[joint, 0]), float(person.keypoints[joint, 1]), float(depths[person.owner][joint]))
        for person in people
        for joint in (1, 2)
        if person.keypoints[joint, 2] == SEEN
    ]


def _weapons(canvas: Canvas, cast: _Cast) -> tuple[Weapon, ...]:
    weapons = []
    for spec, drawn in cast.people:
        if spec.holds not in WEAPONS or drawn.weapon_owner is None:
            continue
        if seen := _seen(canvas, drawn.weapon_owner):
            box, visible, distance = seen
            weapons.append(
                Weapon(
                    kind=spec.holds,
                    box=box,
                    visible=visible,
                    distance_m=distance,
                    owner=drawn.weapon_owner,
                    holder=drawn.owner,
                )
            )
    return tuple(weapons)


def _vehicles(canvas: Canvas, cast: _Cast) -> tuple[Vehicle, ...]:
    vehicles = []
    for spec, drawn in cast.vehicles:
        if seen := _seen_with_plate(canvas, drawn):
            box, visible, distance = seen
            vehicles.append(
                Vehicle(
                    kind=spec.kind,
                    box=box,
                    visible=visible,
                    distance_m=distance,
                    owner=drawn.owner,
                    colour=spec.colour,
                    plate=spec.plate,
                )
            )
    return tuple(vehicles)


def _seen_with_plate(canvas: Canvas, drawn: DrawnVehicle) -> tuple[Box, float, float] | None:
    """As `_seen`; a vehicle's box takes in its plate, which is an owner of its own."""
    seen = _seen(canvas, drawn.owner)
    if seen is None or drawn.plate_owner is None:
        return seen
    return canvas.label_box(drawn.owner, drawn.plate_owner) or seen[0], seen[1], seen[2]


def _plates(canvas: Canvas, cast: _Cast) -> tuple[Plate, ...]:
    plates = []
    for spec, drawn in cast.vehicles:
        if drawn.plate_owner is None or spec.plate is None:
            continue
        if seen := _seen(canvas, drawn.plate_owner):
            box, visible, distance = seen
            plates.append(
                Plate(
                    kind="plate",
                    box=box,
                    visible=visible,
                    distance_m=distance,
                    owner=drawn.plate_owner,
                    text=spec.plate,
                    vehicle=drawn.owner,
                )
            )
    return tuple(plates)


def _animals(canvas: Canvas, cast: _Cast) -> tuple[Animal, ...]:
    animals = []
    for spec, owner in cast.animals:
        if seen := _seen(canvas, owner):
            box, visible, distance = seen
            animals.append(Animal(kind=spec.kind, box=box, visible=visible, distance_m=distance, owner=owner))
    return tuple(animals)
