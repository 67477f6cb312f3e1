"""The colour of a vehicle's body: plain cases, drawn vehicles, and what cannot be told."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from training.scenes.camera import Camera
from training.scenes.draw import draw
from training.scenes.finish import COLOURS
from training.scenes.spec import SceneSpec, VehicleSpec

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.paint import COLORS, Paint, paint_of
from painted import SEEN, car


@pytest.mark.parametrize("word", COLORS)
@pytest.mark.parametrize("side", [16, 120, 700])
def test_a_plain_car_has_its_colour(word: str, side: int) -> None:
    found = paint_of(car(SEEN[word], side))
    assert found.color == word
    assert found.confidence is not None
    assert 0.5 < found.confidence <= 1


def test_of_two_colours_the_larger_wins_with_less_confidence() -> None:
    pixels = car(SEEN["red"])
    pixels[:, 75:] = car(SEEN["blue"])[:, 75:]
    found, whole = paint_of(pixels), paint_of(car(SEEN["red"]))
    assert found.color == "red"
    assert found.confidence is not None
    assert whole.confidence is not None
    assert found.confidence < whole.confidence


def test_a_picture_without_colours_gives_none_and_says_why() -> None:
    grey = cv2.cvtColor(car(SEEN["white"]), cv2.COLOR_RGB2GRAY)
    found = paint_of(np.repeat(grey[..., None], 3, axis=2))
    assert found == Paint(None, None, "the picture has no colours, as by infrared light")


def test_a_dark_picture_tells_no_gray_but_still_a_hue() -> None:
    assert paint_of((car(SEEN["gray"]) * 0.25).astype(np.uint8)).reason == "it is too dark to see a colour"
    assert paint_of((car(SEEN["blue"]) * 0.4).astype(np.uint8)).color == "blue"


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_any_crop_has_a_word_or_a_reason(pixels: UInt8) -> None:
    found = paint_of(pixels)
    assert (found.color in COLORS) == (found.reason == "") == (found.confidence is not None)
    assert found.confidence is None or 0 < found.confidence <= 1


def drawn(colour: str, seed: int, light: str = "day") -> UInt8:
    """A car before one of the places, as the adapter would crop it."""
    rng = np.random.default_rng([43, seed])
    z, height = rng.uniform(7, 12), rng.uniform(2.0, 3.5)
    focal = rng.uniform(0.5, 0.8) * 240 / 4.5 * math.hypot(z, height)
    vehicle = VehicleSpec("car", 0.0, z, rng.uniform(-math.pi, math.pi), colour, None, int(rng.integers(1 << 30)))
    camera = Camera(240, 180, focal, height, math.atan2(height - 0.7, z))
    scene = draw(SceneSpec("drive", light, camera, vehicles=(vehicle,), seed=seed), oversample=1.0)
    return crop(Image.of(scene.picture), Box(*scene.vehicles[0].box), margin=0.05).pixels


def test_most_drawn_cars_have_their_colour_by_day() -> None:
    """Few, because they take long to draw; `vision.paint` has the figures of many, and in other lights."""
    words = {"grey": {"gray", "black"}, "silver": {"gray", "white"}}
    right = [
        paint_of(drawn(colour, 2_000_000 + place)).color in words.get(colour, {colour})
        for place, colour in enumerate(COLOURS)
    ]
    assert np.mean(right) >= 0.8


def test_a_car_by_infrared_light_has_no_colour() -> None:
    assert paint_of(drawn("red", 2_000_100, "infrared")).color is None
