"""The colour of upper clothes: plain cases, a drawn person, and what cannot be told."""

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
from training.scenes.looks import look_of
from training.scenes.spec import PersonSpec, SceneSpec

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.cloth import CLOTH_COLORS, cloth_of
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image, UInt8
from painted import WORN, person


@pytest.mark.parametrize("word", CLOTH_COLORS)
@pytest.mark.parametrize("height", [24, 200, 900])
def test_plain_clothes_have_their_colour_and_not_that_of_the_trousers_or_the_wall(word: str, height: int) -> None:
    found = cloth_of(person(WORN[word], height, round(height * 0.4)))
    assert found.color == word
    assert found.confidence is not None
    assert 0.5 < found.confidence <= 1


def test_of_a_square_crop_the_middle_is_looked_at() -> None:
    pixels = np.full((90, 90, 3), (150, 140, 120), np.uint8)
    pixels[20:70, 20:70] = WORN["red"]
    assert cloth_of(pixels).color == "red"


def test_a_picture_without_colours_and_a_dark_one_have_none_and_say_why() -> None:
    grey = cv2.cvtColor(person(WORN["white"]), cv2.COLOR_RGB2GRAY)
    infrared = cloth_of(np.repeat(grey[..., None], 3, axis=2))
    assert (infrared.color, infrared.reason) == (None, "the picture has no colours, as by infrared light")
    dark = cloth_of((person(WORN["gray"]) * 0.25).astype(np.uint8))
    assert (dark.color, dark.confidence, dark.reason) == (None, None, "it is too dark to see a colour")


@settings(deadline=None, max_examples=60)
@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40), st.just(3))))
def test_any_crop_has_a_word_or_a_reason(pixels: UInt8) -> None:
    found = cloth_of(pixels)
    assert (found.color in CLOTH_COLORS) == (found.reason == "") == (found.confidence is not None)
    assert found.confidence is None or 0 < found.confidence <= 1


def drawn(identity: int, light: str) -> UInt8:
    """A standing person before a house, as the adapter would crop it."""
    camera = Camera(200, 200, 500.0, 2.5, math.atan2(1.6, 5.0))
    someone = PersonSpec(identity, "standing", 0.0, 5.0, math.pi, seed=identity)
    scene = draw(SceneSpec("drive", light, camera, people=(someone,), seed=identity), oversample=1.0)
    return crop(Image.of(scene.picture), Box(*scene.people[0].box), margin=0.05).pixels


def test_drawn_people_in_one_plain_colour_have_it_by_day_and_none_by_infrared_light() -> None:
    """Few, because they take long to draw; `vision.cloth` has the figures of many, and in other lights."""
    plain = [
        identity
        for identity in range(2_100_000, 2_100_400)
        if (upper := look_of(identity).upper).pattern == "plain" and upper.name in {"red", "blue", "green", "black"}
    ][:6]
    right = [cloth_of(drawn(identity, "day")).color == look_of(identity).upper.name for identity in plain]
    assert sum(right) >= 5
    assert cloth_of(drawn(plain[0], "infrared")).color is None
