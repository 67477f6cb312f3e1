"""Vehicles, their plates, and animals of drawn scenes: where they are and what they look like."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from training.scenes.animals import draw_animal
from training.scenes.breeds import BUILDS
from training.scenes.camera import Camera, Float
from training.scenes.canvas import Canvas
from training.scenes.finish import COLOURS, finish_of
from training.scenes.plates import DIGITS, LETTERS, STYLES, PlateStyle, draw_plate, plate_style, plate_text
from training.scenes.spec import ANIMALS, VEHICLES, AnimalSpec, VehicleSpec
from training.scenes.vehicles import DrawnVehicle, draw_vehicle, vehicle_size

from hearthwatch.models import PlateOCR
from hearthwatch.models.plate_ocr import normalise_plate

WITH_PLATES = tuple(kind for kind in VEHICLES if kind != "bicycle")
AROUND = (0.0, 0.8, math.pi / 2, 2.4, math.pi, -1.2)
SEEDS = range(2_000_000, 2_000_003)


def canvas(width: int = 320, height: int = 240, focal: float = 300.0) -> Canvas:
    return Canvas(Camera(width, height, focal, 1.6, 0.06), np.random.default_rng(0))


def vehicle(
    kind: str, yaw: float = 0.0, *, seed: int = 2_000_000, z: float = 12.0, plate: str | None = "KL-204-BN"
) -> VehicleSpec:
    return VehicleSpec(kind, 0.0, z, yaw, "red", plate, seed)


def drawn(spec: VehicleSpec) -> tuple[Canvas, DrawnVehicle]:
    on = canvas()
    return on, draw_vehicle(on, spec)


def likeness(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def places(on: Canvas, *owners: int) -> Float:
    """(n, 3) world points of the pixels that show them."""
    mask = on.mask(*owners)
    return np.asarray(on.view.positions(np.where(mask, on.depth, 0))[mask], np.float32)


@pytest.mark.parametrize("kind", VEHICLES)
@pytest.mark.parametrize("yaw", AROUND)
def test_a_vehicle_stands_on_the_ground_within_its_measures(kind: str, yaw: float) -> None:
    for seed in SEEDS:
        spec = vehicle(kind, yaw, seed=seed, z=18.0)
        on, found = drawn(spec)
        seen = places(on, found.owner)
        width, height, length = vehicle_size(spec)
        across, along = np.array([math.cos(yaw), 0, math.sin(yaw)]), np.array([math.sin(yaw), 0, -math.cos(yaw)])
        offset = seen - np.array([spec.x, 0, spec.z])
        inside = seen[:, 1] < height + 0.1
        inside &= np.abs(offset @ along) < length / 2 + 0.2
        inside &= np.abs(offset @ across) < width / 2 + 0.3  # mirrors
        assert inside.mean() > 0.99  # a pixel on an edge may lie a little beside the face
        assert -0.2 < float(seen[inside, 1].min()) < 0.1


@pytest.mark.parametrize("kind", VEHICLES)
def test_equal_specs_give_equal_vehicles_and_other_seeds_others(kind: str) -> None:
    pictures = [drawn(vehicle(kind, 0.7, seed=seed))[0].albedo for seed in (5, 5, 6)]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_a_vehicle_does_not_depend_on_what_was_drawn_before_it() -> None:
    alone, together = canvas(), canvas()
    draw_vehicle(alone, vehicle("car"))
    draw_vehicle(together, VehicleSpec("van", 60.0, 12.0, 1.0, "blue", None, 9))
    draw_vehicle(together, vehicle("car"))
    assert np.array_equal(alone.albedo, together.albedo)


@pytest.mark.parametrize("colour", COLOURS)
def test_the_colour_word_is_what_most_of_the_paint_shows(colour: str) -> None:
    on = canvas()
    found = draw_vehicle(on, VehicleSpec("car", 0.0, 7.0, 0.9, colour, None, 2_000_001))
    pixels = on.albedo[on.mask(found.owner)]
    words, middles = list(COLOURS), np.array(list(COLOURS.values()), np.float32)
    nearest = np.linalg.norm(pixels[:, None] - middles[None], axis=2).argmin(axis=1)
    shares = np.bincount(nearest, minlength=len(words)) / len(pixels)
    dark = colour in {"black", "grey"}  # so are tyres and windows
    best = max(
        (word for word in words if dark or word not in {"black", "grey"}), key=lambda word: shares[words.index(word)]
    )
    assert best == colour
    assert shares[words.index(colour)] > 0.25


@pytest.mark.parametrize("kind", WITH_PLATES)
@pytest.mark.parametrize("yaw", [0.0, 0.5, math.pi, math.pi - 0.5])
def test_the_plate_that_is_turned_to_the_camera_is_seen_where_its_corners_are(kind: str, yaw: float) -> None:
    for seed in SEEDS:
        on, found = drawn(vehicle(kind, yaw, seed=seed))
        assert found.plate_owner is not None
        assert found.plate_corners is not None
        box = on.label_box(found.plate_owner)
        assert box is not None
        corners, _ = on.camera.project(found.plate_corners)
        assert np.allclose(np.array(box), [*corners.min(axis=0), *corners.max(axis=0)], atol=1.6)
        assert on.visible(found.plate_owner) > 0.9
        assert 0.25 < float(found.plate_corners[:, 1].mean()) < 1.2


@pytest.mark.parametrize("kind", WITH_PLATES)
def test_a_plate_reads_from_left_to_right(kind: str) -> None:
    for yaw in (0.0, math.pi):
        on = canvas(480, 480, focal=1500)
        found = draw_vehicle(on, vehicle(kind, yaw))
        assert found.plate_corners is not None
        pixels, _ = on.view.project(found.plate_corners)
        size = np.array([[0, 0], [260, 0], [260, 56], [0, 56]], np.float32)
        shown = cv2.warpPerspective(on.albedo, cv2.getPerspectiveTransform(pixels, size), (260, 56))
        rng = np.random.default_rng([2_000_000, 7102])  # as the vehicle draws it
        expected = cv2.resize(
            draw_plate("KL-204-BN", plate_style("KL-204-BN", rng), rng), (260, 56), interpolation=cv2.INTER_AREA
        )

        assert likeness(shown, expected) > 0.8
        assert likeness(shown, expected) > likeness(shown, expected[:, ::-1]) + 0.2


@pytest.mark.parametrize(("kind", "plate"), [("car", None), ("bicycle", "KL-204-BN")])
def test_there_is_no_plate_where_there_is_none(kind: str, plate: str | None) -> None:
    _, found = drawn(vehicle(kind, plate=plate))
    assert (found.plate_owner, found.plate_corners) == (None, None)


def test_lamps_are_on_at_some_and_shine_by_themselves() -> None:
    lit = [seed for seed in range(300) if finish_of("red", np.random.default_rng(seed)).lit]
    assert 0.08 < len(lit) / 300 < 0.25
    on, found = drawn(vehicle("bus"))
    assert on.glow[on.mask(found.owner)].max() > 0.5  # where it goes


def test_unknown_words_are_refused() -> None:
    with pytest.raises(KeyError):
        drawn(vehicle("tractor"))
    with pytest.raises(KeyError):
        draw_vehicle(canvas(), VehicleSpec("car", 0, 9, 0, "beige"))


def test_plate_texts_are_plausible_and_leave_out_what_looks_alike() -> None:
    texts = [plate_text(np.random.default_rng(seed)) for seed in range(300)]
    assert len(set(texts)) > 295
    for text in texts:
        letters = normalise_plate(text)
        assert set(text) <= {*LETTERS, *DIGITS, " ", "-"}
        assert 6 <= len(letters) <= 8
        assert any(sign.isalpha() for sign in letters)
        assert any(sign.isdigit() for sign in letters)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_plates_are_pictures_of_their_style(style: PlateStyle) -> None:
    first, again = (draw_plate("KL-204-BN", style, np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)
    assert first.shape[1] / first.shape[0] == pytest.approx(style.size_mm[0] / style.size_mm[1], rel=0.02)
    assert first.dtype == np.float32
    assert 0 <= first.min() < 0.1
    assert 0.6 < first.max() <= 1


def test_a_plate_of_a_hundred_pixels_is_read_by_the_plate_reader() -> None:
    reader = PlateOCR().load_model()
    texts, right = [], 0
    for seed in range(2_000_000, 2_000_004):
        rng = np.random.default_rng(seed)
        text = plate_text(rng)
        plate = draw_plate(text, plate_style(text, rng), rng)
        small = cv2.resize(plate, (100, round(100 * plate.shape[0] / plate.shape[1])), interpolation=cv2.INTER_AREA)
        read = reader.read((small * 255).astype(np.uint8))
        texts.append((text, read and read.text))
        right += read is not None and read.text == normalise_plate(text)
    assert right >= 3, texts


@pytest.mark.parametrize("kind", ANIMALS)
@pytest.mark.parametrize("yaw", AROUND)
def test_an_animal_stands_on_the_ground_where_it_should(kind: str, yaw: float) -> None:
    for seed in SEEDS:
        on = canvas()
        seen = places(on, draw_animal(on, AnimalSpec(kind, 0.3, 4.0, yaw, seed)))
        assert len(seen) > 150
        assert -0.06 < float(seen[:, 1].min()) < 0.06
        assert 0.12 < float(seen[:, 1].max()) < (0.75 if kind == "cat" else 1.15)
        assert np.allclose(np.median(seen[:, [0, 2]], axis=0), [0.3, 4.0], atol=0.45)


def test_equal_animals_are_equal_and_others_are_not() -> None:
    pictures = []
    for kind, seed in (("cat", 1), ("cat", 1), ("cat", 2), ("dog", 1)):
        on = canvas()
        draw_animal(on, AnimalSpec(kind, 0.0, 3.0, 0.6, seed))
        pictures.append(on.albedo)
    assert np.array_equal(pictures[0], pictures[1])
    assert not any(np.array_equal(a, b) for a, b in combinations(pictures[1:], 2))


def test_cats_have_shorter_muzzles_and_rounder_heads_than_all_dogs() -> None:
    cats, dogs = ([build.muzzle[0] / build.skull for build in BUILDS[kind].values()] for kind in ("cat", "dog"))
    assert max(cats) * 1.5 < min(dogs)
    assert all(build.ears == "upright" for build in BUILDS["cat"].values())
    assert (
        max(build.chest for build in BUILDS["cat"].values())
        < 0.1
        < max(build.chest for build in BUILDS["dog"].values())
    )
