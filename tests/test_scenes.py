"""Drawn scenes: equal seeds give equal bytes, and what the labels say is what the pixels show."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
from training.scenes.camera import Camera
from training.scenes.captions import captions
from training.scenes.cast import IDENTITIES, SEEDS, evening_spec, identity_scene, pair_spec, random_spec
from training.scenes.command import main as command
from training.scenes.draw import draw, render
from training.scenes.labels import ABSENT, FAR_M, HIDDEN, SEEN, RenderedScene, Thing
from training.scenes.plans import layout_of
from training.scenes.spec import LIGHTS, PLACES, WEAPONS, PersonSpec, SceneSpec

from hearthwatch.vision.boxes import Box

SIZE = (320, 180)
#: Held-out seeds, chosen so that each kind of thing is in them. One scene takes about 0.1 s: all tests read the same.
FIRST = SEEDS["test"]
SCENES = tuple(FIRST + number for number in (0, 2, 3, 5, 10, 13, 19, 20, 21, 26))


@cache
def scene_of(seed: int) -> RenderedScene:
    return draw(random_spec(seed, SIZE), oversample=1.0)  # its ids are then all that the boxes are made from


def things(scene: RenderedScene) -> list[Thing]:
    return [*scene.people, *scene.weapons, *scene.vehicles, *scene.plates, *scene.animals]


def around(mask: np.ndarray) -> Box:
    rows, columns = np.nonzero(mask)
    return Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))


def test_a_seed_gives_the_same_bytes_again() -> None:
    first, again = render(FIRST, SIZE), render(FIRST, SIZE)
    assert first.picture.tobytes() == again.picture.tobytes()
    assert first.depth.tobytes() == again.depth.tobytes()
    assert first.ids.tobytes() == again.ids.tobytes()
    assert first.caption == again.caption
    assert random_spec(FIRST) == random_spec(FIRST)


def test_other_seeds_give_other_scenes() -> None:
    assert len({scene_of(seed).picture.tobytes() for seed in SCENES}) == len(SCENES)


def test_the_chosen_seeds_show_something_of_every_kind() -> None:
    scenes = [scene_of(seed) for seed in SCENES]
    assert all(
        any(getattr(scene, kind) for scene in scenes) for kind in ("people", "weapons", "vehicles", "plates", "animals")
    )


@pytest.mark.parametrize("seed", SCENES)
def test_a_box_is_tight_around_what_is_seen(seed: int) -> None:
    scene = scene_of(seed)
    plate_of = {plate.vehicle: plate.owner for plate in scene.plates}
    for thing in things(scene):
        mask = np.isin(scene.ids, [thing.owner, plate_of.get(thing.owner, thing.owner)])
        assert thing.box == around(mask)
        assert 0 < thing.visible <= 1
        assert thing.box.x1 >= 0
        assert thing.box.y1 >= 0
        assert thing.box.x2 <= SIZE[0]
        assert thing.box.y2 <= SIZE[1]


def test_a_finer_drawing_moves_no_box() -> None:
    coarse, fine = scene_of(SCENES[0]), render(SCENES[0], SIZE)
    boxes = {thing.owner: thing.box for thing in things(coarse)}
    for thing in (*fine.people, *fine.vehicles, *fine.animals):
        assert np.abs(np.subtract(thing.box, boxes[thing.owner])).max() <= 2.0


@pytest.mark.parametrize("seed", SCENES)
def test_a_seen_joint_lies_on_its_person(seed: int) -> None:
    scene = scene_of(seed)
    for person in scene.people:
        assert person.keypoints.shape == (17, 3)
        for x, y, state in person.keypoints.tolist():
            assert state in (ABSENT, HIDDEN, SEEN)
            if state == SEEN:
                assert person.box.x1 - 1 <= x <= person.box.x2 + 1
                assert person.box.y1 - 1 <= y <= person.box.y2 + 1
            if state == ABSENT:
                assert (x, y) == (0, 0)
            else:
                assert 0 <= x < SIZE[0]
                assert 0 <= y < SIZE[1]


@pytest.mark.parametrize("seed", SCENES)
def test_depth_is_metres_and_things_are_as_far_as_they_say(seed: int) -> None:
    scene = scene_of(seed)
    assert scene.depth.shape == scene.ids.shape == scene.picture.shape[:2]
    assert scene.depth.min() > 0.2
    assert scene.depth.max() <= FAR_M
    for thing in things(scene):
        shown = scene.depth[scene.ids == thing.owner]
        assert shown.max() < FAR_M
        assert np.median(shown) == pytest.approx(thing.distance_m, rel=0.1, abs=0.2)


@pytest.mark.parametrize("seed", SCENES)
def test_a_plate_lies_on_its_vehicle_and_a_weapon_names_its_holder(seed: int) -> None:
    scene = scene_of(seed)
    vehicles = {vehicle.owner: vehicle for vehicle in scene.vehicles}
    for plate in scene.plates:
        vehicle = vehicles[plate.vehicle]
        assert plate.text == vehicle.plate
        assert vehicle.box.x1 <= plate.box.x1
        assert vehicle.box.y1 <= plate.box.y1
        assert vehicle.box.x2 >= plate.box.x2
        assert vehicle.box.y2 >= plate.box.y2
    holds = {person.owner: person.holds for person in scene.people}
    for weapon in scene.weapons:
        assert weapon.kind in WEAPONS
        assert holds.get(weapon.holder, weapon.kind) == weapon.kind


@pytest.mark.parametrize("seed", SCENES)
def test_a_caption_names_what_is_there_in_other_words_each_time(seed: int) -> None:
    scene = scene_of(seed)
    worded = captions(scene, 3)
    assert worded[0] == scene.caption
    assert len(set(worded)) == 3
    for caption in worded:
        assert ("person" in caption) == bool(scene.people)
        assert all(vehicle.kind in caption for vehicle in scene.vehicles)
        assert all(animal.kind in caption for animal in scene.animals)
        if scene.light != "infrared":
            assert all(vehicle.colour in caption for vehicle in scene.vehicles)
        if len(scene.people) <= 2:
            assert all(person.holds in caption for person in scene.people if person.holds)


@pytest.mark.parametrize("light", LIGHTS)
@pytest.mark.parametrize("place", PLACES)
def test_every_place_can_be_drawn_in_every_light(place: str, light: str) -> None:
    camera = Camera(*SIZE, 220.0, 2.7, 0.3)
    person = PersonSpec(20_000, "standing", 0.3, 4.0, 0.0)
    scene = draw(SceneSpec(place, light, camera, (person,), seed=FIRST))
    assert scene.picture.shape == (SIZE[1], SIZE[0], 3)
    assert scene.picture.dtype == np.uint8
    assert 15 < scene.picture.mean() < 215
    assert scene.picture.std() > 8
    assert len(scene.people) == 1
    grey = (scene.picture == scene.picture[..., :1]).all()
    assert grey == (light == "infrared")


def test_night_is_darker_than_day() -> None:
    camera = Camera(*SIZE, 220.0, 2.7, 0.3)
    means = {
        light: [draw(SceneSpec("porch", light, camera, seed=seed)).picture.mean() for seed in SCENES[:2]]
        for light in LIGHTS
    }
    assert max(means["night"]) < min(means["day"])


def test_what_stands_in_front_hides_what_is_behind() -> None:
    camera = Camera(*SIZE, 220.0, 1.6, 0.1)
    near, far = PersonSpec(20_001, "standing", 0.0, 4.0, 0.0), PersonSpec(20_002, "standing", 0.15, 6.0, 0.0)
    scene = draw(SceneSpec("street", "day", camera, (far, near), seed=FIRST))
    shares = {person.identity: person.visible for person in scene.people}
    assert shares[20_001] > 0.95
    assert shares[20_002] < 0.6
    hidden = next(person for person in scene.people if person.identity == 20_002)
    assert (hidden.keypoints[:, 2] == HIDDEN).sum() >= 4


def test_things_do_not_stand_in_each_other() -> None:
    for seed in range(FIRST, FIRST + 120):
        spec = random_spec(seed)
        spots = [(person.x, person.z) for person in spec.people]
        spots += [(animal.x, animal.z) for animal in spec.animals]
        spots += [(item.x, item.z) for item in layout_of(spec.place, seed).clutter if item.radius]
        people = len(spec.people)
        for index in range(people):
            others = spots[:index] + spots[index + 1 :]
            assert all(np.hypot(spots[index][0] - x, spots[index][1] - z) > 0.4 for x, z in others)


def test_all_that_can_happen_does_happen_in_400_scenes() -> None:
    specs = [random_spec(seed) for seed in range(FIRST, FIRST + 400)]
    people = [person for spec in specs for person in spec.people]
    assert len({(spec.place, spec.light) for spec in specs}) == len(PLACES) * len(LIGHTS)
    counts = {posture: sum(person.posture == posture for person in people) for posture in {p.posture for p in people}}
    assert len(counts) == 9
    assert min(counts.values()) > 0.04 * len(people)
    armed = sum(person.holds in WEAPONS for person in people) / len(people)
    assert 0.25 < armed < 0.45
    empty = sum(not (spec.people or spec.vehicles or spec.animals) for spec in specs) / len(specs)
    assert 0.01 < empty < 0.1
    assert {vehicle.kind for spec in specs for vehicle in spec.vehicles} == {"car", "van", "truck", "bus", "bicycle"}
    assert all(IDENTITIES["test"][0] <= person.identity < IDENTITIES["test"][1] for person in people)


def test_a_person_stays_who_they_are_before_two_cameras() -> None:
    first, second = identity_scene(20_007, 0, 0), identity_scene(20_007, 0, 1)
    assert first.people[0].identity == second.people[0].identity == 20_007
    assert first.camera.height_m != second.camera.height_m
    for spec in (first, second):
        assert spec.seed >= SEEDS["test"]
        (person,) = draw(spec).people
        assert person.visible > 0.9
        assert person.box.height > 0.45 * spec.camera.height


def test_a_pair_differs_in_its_one_person_alone() -> None:
    quiet, bad = pair_spec(FIRST, "harmless"), pair_spec(FIRST, "threatening")
    assert replace(quiet, people=()) == replace(bad, people=())
    (before,), (after,) = quiet.people, bad.people
    assert before.identity == after.identity
    assert before.holds is None
    assert after.holds in WEAPONS


def test_the_weapon_of_a_threatening_scene_is_seen() -> None:
    for seed in range(FIRST, FIRST + 4):
        scene = draw(pair_spec(seed, "threatening", SIZE), oversample=1.0)
        (person,), (weapon,) = scene.people, scene.weapons
        assert weapon.holder == person.owner
        assert weapon.visible > 0.3


def test_the_evening_shows_what_the_demo_tells() -> None:
    scene = draw(evening_spec(), oversample=1.0)
    (person,), (van,), (plate,), (cat,), (weapon,) = (
        scene.people,
        scene.vehicles,
        scene.plates,
        scene.animals,
        scene.weapons,
    )
    assert (person.posture, person.holds, van.kind, cat.kind, weapon.kind) == (
        "crouching",
        "crowbar",
        "van",
        "cat",
        "crowbar",
    )
    assert plate.box.width >= 90
    assert plate.visible > 0.95
    assert cat.distance_m > person.distance_m
    assert "crowbar" in scene.caption
    assert "white van" in scene.caption


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
def test_the_command_writes_a_picture_with_its_labels_beside_it(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"scene{suffix}"
    assert command(["--seed", str(FIRST), "--out", str(out), "--size", "320x180", "--labels"]) == 0
    picture = cv2.imread(str(out))
    assert picture is not None
    assert picture.shape == (2 * 180, 2 * 320, 3)
    assert render(FIRST, SIZE).caption in capsys.readouterr().out
