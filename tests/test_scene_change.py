"""A camera that shows something else has changed; people, cars, noise and slow light have not changed it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.pipeline.daylight import PERIODS
from hearthwatch.pipeline.scene_change import LEAST_SIMILARITY, SceneChange, SceneChangeResult
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image, UInt8
from views import HEIGHT, WIDTH, covered, image, infrared, lit, moved, noisy, view, with_thing

CAR = Box(200, 150, 520, 330)
CHANGES: dict[str, Callable[[UInt8], UInt8]] = {
    "turned by a tenth": lambda pixels: moved(pixels, 0.1),
    "turned by half": lambda pixels: moved(pixels, 0.5),
    "another place": lambda pixels: view(int(pixels[200, 300, 0]) + 500),
    "covered": covered,
    "nearly covered": lambda pixels: covered(pixels, 0.85),
    "painted white": lambda pixels: covered(pixels, 1.0, (250, 250, 250)),
}
SAME: dict[str, Callable[[UInt8], UInt8]] = {
    "noise": lambda pixels: noisy(pixels, 8.0),
    "a cloud": lambda pixels: lit(pixels, 0.6),
    "the sun": lambda pixels: lit(pixels, 1.25),
}


@cache
def seen(seed: int) -> UInt8:
    return view(seed)


def first_seen(seed: int = 0, camera: str = "porch", **options: Any) -> SceneChange:
    """With one picture of a camera."""
    change = SceneChange(**options)
    change.compare(image(seen(seed)), camera, None)
    return change


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CHANGES)
def test_another_view_is_a_change(name: str, seed: int) -> None:
    result = first_seen(seed).compare(image(CHANGES[name](seen(seed))), "porch", None)
    assert result.changed is True
    assert result.similarity is not None
    assert result.similarity < LEAST_SIMILARITY
    assert "similarity" in result.reason


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SAME)
def test_the_same_view_is_none(name: str, seed: int) -> None:
    result = first_seen(seed).compare(image(SAME[name](seen(seed))), "porch", None)
    assert (result.changed, result.reason, result.pictures) == (False, "", 1)
    assert result.compared_share == 1


def test_a_first_picture_has_nothing_to_be_compared_with() -> None:
    result = SceneChange().compare(image(seen(0)), "porch", None)
    assert (result.changed, result.similarity, result.embedding_distance) == (None, None, None)
    assert result.reason == "first picture of this camera in this light"


def test_nobodys_picture_has_no_baseline() -> None:
    change = SceneChange()
    for _ in range(2):
        result = change.compare(image(seen(0)), None, None)
        assert (result.changed, result.reason, result.period) == (None, "no camera is named", None)


def test_light_that_changes_slowly_is_followed() -> None:
    change = SceneChange()
    results = [change.compare(image(lit(seen(1), gain)), "porch", None) for gain in np.geomspace(1.2, 0.3, 60).tolist()]
    assert results[0].changed is None
    assert not any(result.changed for result in results)


def test_a_scene_that_stays_changed_is_the_usual_one_in_the_end() -> None:
    change = SceneChange()
    for _ in range(20):
        change.compare(image(seen(1)), "porch", None)
    told = [change.compare(image(moved(seen(1), 0.5)), "porch", None).changed for _ in range(50)]
    assert all(told[:15])
    assert not any(told[-5:])


def test_a_covered_lens_does_not_spoil_the_baseline() -> None:
    change = SceneChange()
    for _ in range(10):
        change.compare(image(seen(1)), "porch", None)
    covers = [change.compare(image(covered(seen(1))), "porch", None) for _ in range(10)]
    assert all(cover.changed for cover in covers)
    free = change.compare(image(seen(1)), "porch", None)
    assert free.similarity is not None
    assert free.similarity > 0.9


def test_an_odd_first_picture_is_soon_outvoted() -> None:
    change = SceneChange()
    change.compare(image(covered(seen(1), 0.9)), "porch", None)
    told = [change.compare(image(seen(1)), "porch", None).changed for _ in range(6)]
    assert told[0] is True
    assert told[-1] is False


@pytest.mark.parametrize("seed", range(3))
def test_who_stands_in_the_picture_is_no_change(seed: int) -> None:
    change = first_seen(seed)
    thing = image(with_thing(seen(seed), CAR))
    alone = change.compare(thing, "porch", None, boxes=[CAR])
    assert alone.changed is False
    # With a margin around the car, and without the windows that reach into it.
    assert 0.5 < alone.compared_share < 1 - CAR.area / (WIDTH * HEIGHT)
    assert alone.similarity is not None
    assert alone.similarity > 0.8


def test_a_parked_car_is_not_learned() -> None:
    change = first_seen(2)
    for _ in range(60):
        change.compare(image(with_thing(seen(2), CAR)), "porch", None, boxes=[CAR])
    gone = change.compare(image(seen(2)), "porch", None)
    assert gone.changed is False
    assert gone.similarity is not None
    assert gone.similarity > 0.9


def test_what_a_car_hid_from_the_first_is_learned_once_it_is_seen() -> None:
    change = SceneChange()
    change.compare(image(with_thing(seen(2), CAR)), "porch", None, boxes=[CAR])
    first = change.compare(image(seen(2)), "porch", None)
    second = change.compare(image(seen(2)), "porch", None)
    assert first.compared_share < 0.8
    assert (first.changed, second.changed, second.compared_share) == (False, False, 1)
    assert second.similarity is not None
    assert second.similarity > 0.9


def test_too_little_left_to_compare_is_no_answer() -> None:
    result = first_seen().compare(image(covered(seen(0))), "porch", None, boxes=[Box(0, 0, 620, 350)])
    assert (result.changed, result.similarity) == (None, None)
    assert "could be compared" in result.reason
    outside = first_seen().compare(image(seen(0)), "porch", None, boxes=[Box(-90, -90, -30, -30), Box(900, 0, 999, 9)])
    assert outside.compared_share == 1


def test_two_pictures_of_nothing_are_not_called_the_same() -> None:
    change = SceneChange()
    wall = Image.of(np.full((HEIGHT, WIDTH, 3), (90, 120, 150), np.uint8))
    assert [change.compare(wall, "garage", None).changed for _ in range(3)] == [None] * 3


def test_a_size_of_picture_does_not_matter_and_a_new_shape_begins_anew() -> None:
    change = first_seen(1)
    large = view(1, width=1280, height=720)
    assert change.compare(image(large), "yard", None).changed is None
    assert change.compare(image(np.ascontiguousarray(large[::2, ::2])), "yard", None).changed is False
    square = change.compare(image(np.ascontiguousarray(large[:, :720])), "yard", None)
    assert (square.changed, square.reason) == (None, "the picture's shape is new")


@pytest.mark.parametrize("size", [(1, 1), (10, 10), (11, 11), (8, 3000), (3000, 5)], ids=str)
def test_any_size_of_picture_is_answered(size: tuple[int, int]) -> None:
    change = SceneChange()
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    results = [change.compare(Image.of(pixels), "porch", None, boxes=[Box(0, 0, 1, 1)]) for _ in range(2)]
    assert results[0].changed is None
    assert results[1].changed is not True


@given(st.permutations(["day", "day", "day", "night", "night", "night"]))
@settings(max_examples=12, deadline=None, derandomize=True, database=None)
def test_the_order_of_day_and_night_does_not_matter(order: list[str]) -> None:
    makes = {
        "day": [image(noisy(seen(3), 2.0, number)) for number in range(3)],
        "night": [image(infrared(noisy(seen(3), 2.0, number))) for number in range(3)],
    }
    change = SceneChange()
    told: dict[str, list[SceneChangeResult]] = {"day": [], "night": []}
    for period in order:
        told[period].append(change.compare(makes[period][len(told[period])], "porch", None))
    for period, results in told.items():
        alone = SceneChange()
        assert results == [alone.compare(picture, "porch", None) for picture in makes[period]]
        assert {result.period for result in results} == {period}
        assert [result.changed for result in results] == [None, False, False]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=12))
@settings(max_examples=15, deadline=None, derandomize=True, database=None)
def test_cameras_never_mix(pictures: list[tuple[str, int]]) -> None:
    together, apart = SceneChange(), {name: SceneChange() for name in "abc"}
    for camera, seed in pictures:
        picture = image(seen(seed))
        assert together.compare(picture, camera, None) == apart[camera].compare(picture, "any", None)


def test_of_too_many_cameras_the_least_used_is_forgotten() -> None:
    change = first_seen(camera="a", most_cameras=2)
    for camera, known in (("b", False), ("a", True), ("c", False), ("a", True), ("b", False)):
        assert (change.compare(image(seen(0)), camera, None).changed is not None) is known


def test_several_threads_may_ask_at_once() -> None:
    change = SceneChange()
    pictures = {name: image(seen(seed)) for seed, name in enumerate("abcd")}
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda name: (name, change.compare(pictures[name], name, None)), "abcd" * 6))
    for name in "abcd":
        counts = sorted(result.pictures for camera, result in results if camera == name)
        assert counts == list(range(6))
        assert not any(result.changed for _, result in results)


SIMILARITIES = st.none() | st.floats(-1, 1)


@given(
    st.builds(
        SceneChangeResult,
        st.sampled_from([None, True, False]),
        st.text(max_size=20),
        SIMILARITIES,
        st.floats(0, 1),
        st.none() | st.floats(0, 1),
        st.sampled_from([None, *PERIODS]),
        st.integers(0, 10_000),
    )
)
def test_it_tells_the_same_after_the_wire(result: SceneChangeResult) -> None:
    told: Any = orjson.loads(orjson.dumps(result.to_wire()))
    read = SceneChangeResult.from_wire(told)
    assert read.to_wire() == told


def test_the_context_is_one_line() -> None:
    change = first_seen(0)
    assert change.compare(image(seen(0)), "porch", None).to_context_string() == "Scene change: none"
    assert (
        change.compare(image(covered(seen(0))), "porch", None)
        .to_context_string()
        .startswith("Scene change: similarity to the usual picture 0.")
    )
    assert "first picture" in SceneChange().compare(image(seen(0)), "porch", None).to_context_string()


@pytest.mark.weights
def test_frames_of_two_real_cameras_are_told_apart(assets: Path) -> None:
    files = sorted((assets / "data" / "frames").glob("*.jpg"))
    frames = {file.name: decode(file.read_bytes()) for file in files}
    change = SceneChange()
    for number, (name, frame) in enumerate(frames.items()):
        result = change.compare(frame, "campus", None)
        assert result.changed is (None if number == 0 else name.startswith("c3"))
