"""Day and night are told from the picture, and from what the camera has shown at that hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.pipeline.cameras import Cameras
from hearthwatch.pipeline.daylight import PERIODS, SURE, Daylight
from hearthwatch.vision.image import Image
from hearthwatch.vision.light import LIGHTS, Light, light_of, reduced
from hearthwatch.vision.quality import measure
from views import covered, image, infrared, lit, view

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def known_days(days: int = SURE) -> Daylight:
    """A camera that showed day at every hour from 9 to 16."""
    daylight = Daylight()
    for day in range(days):
        for hour in range(9, 17):
            daylight.tell("day", NOON.replace(hour=hour) + timedelta(days=day))
    return daylight


@pytest.mark.parametrize("seed", range(6))
def test_light_is_told_from_the_pixels(seed: int) -> None:
    pixels = view(seed)
    told = [light_of(reduced(image(made), 256)) for made in (pixels, infrared(pixels), lit(pixels, 0.1), pixels // 2)]
    assert told == ["day", "infrared", "dark", "day"]


def test_a_tint_all_over_is_no_colour() -> None:
    tinted = np.clip(infrared(view(1)).astype(int) + np.array([25, 0, 25]), 0, 255).astype(np.uint8)
    assert light_of(tinted) == "infrared"


@pytest.mark.parametrize("size", [(1, 1), (2160, 3840), (4000, 3), (255, 257)], ids=str)
def test_a_copy_has_the_longest_side_and_the_shape(size: tuple[int, int]) -> None:
    copy = reduced(Image.of(np.full((*size, 3), 77, np.uint8)), 256)
    assert max(copy.shape) == max(3, min(256, max(size)))
    assert copy.shape[0] == pytest.approx(size[0] * min(1, 256 / max(size)), abs=1)
    assert (copy == 77).all()


def test_colours_are_day_and_grey_is_night() -> None:
    daylight = Daylight()
    assert daylight.tell("day", None) == "day"
    assert daylight.tell("infrared", None) == "night"
    assert daylight.tell("dark", None) == "night"


def test_colours_in_the_hours_of_lamps_are_a_time_of_their_own() -> None:
    assert Daylight().tell("day", NOON.replace(hour=23)) == "lamps"
    assert Daylight().tell("infrared", NOON.replace(hour=23)) == "night"


def test_an_even_picture_belongs_to_the_one_before() -> None:
    daylight = Daylight()
    assert daylight.tell(None, None) == "day"  # nothing is known, and this does not teach it
    daylight.tell("infrared", None)
    assert daylight.tell(None, None) == "night"
    daylight.tell("day", None)
    assert daylight.tell(None, None) == "day"


def test_darkness_at_an_hour_of_nothing_but_day_is_no_night() -> None:
    assert known_days().tell("dark", NOON) == "day"
    assert known_days(SURE - 1).tell("dark", NOON) == "night"
    assert Daylight().tell("dark", NOON) == "night"


def test_dusk_moves_without_being_taken_for_a_cover() -> None:
    # 17 o'clock was never day, so 16 o'clock may be dusk tomorrow.
    assert known_days().tell("dark", NOON.replace(hour=16)) == "night"


def test_darkness_that_stays_is_believed() -> None:
    daylight = known_days(40)
    told = [daylight.tell("dark", NOON) for _ in range(5)]
    assert told == ["day", "day", "day", "night", "night"]


@given(st.lists(st.tuples(st.sampled_from([None, *LIGHTS]), st.none() | st.datetimes())))
def test_every_picture_has_a_period(pictures: list[tuple[Light | None, datetime | None]]) -> None:
    daylight = Daylight()
    for light, when in pictures:
        assert daylight.tell(light, when) in PERIODS


def test_only_the_cameras_used_last_are_remembered() -> None:
    cameras: Cameras[list[str]] = Cameras(list, most=2)
    for name in ("a", "b", "a", "c"):
        with cameras.memory(name) as memory:
            memory.append(name)
    assert [name in cameras for name in "abc"] == [True, False, True]
    with cameras.memory("a") as memory:
        assert memory == ["a", "a"]
    with pytest.raises(ValueError, match="at least 1"):
        Cameras(list, most=0)


def test_a_covered_lens_shows_no_light_of_its_own() -> None:
    assert measure(image(covered(view(0)))).light is None
    assert measure(image(covered(view(0), 1.0, (3, 2, 2)))).light == "dark"
