"""Who comes nearer: a rule over several sightings, and what is remembered for it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.models import ObjectDistance
from hearthwatch.pipeline.approach import (
    DEPTH_STEP,
    FORGET_S,
    GROWTH,
    MAX_SIGHTINGS,
    MAX_TRACKS,
    MIN_SIGHTINGS,
    WINDOW_S,
    Approach,
    Approaches,
)
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.vision.boxes import Box
from scene import detection

SIZE = (1280.0, 720.0)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def sighting(seconds: float, height: float, aspect: float = 2.5, **fields: Any) -> DetectionInput:
    """Somebody in the middle of the picture."""
    width = height / aspect
    box = Box(640 - width / 2, 360 - height / 2, 640 + width / 2, 360 + height / 2)
    fields = {"track_id": "7", "camera": "porch"} | fields
    return detection("a", box=box, time=NOON + timedelta(seconds=seconds), **fields)


def far(depth: float) -> ObjectDistance:
    return ObjectDistance(depth, None, "close")


def watched(heights: Sequence[float], depths: Sequence[float] | None = None, step_s: float = 1.0) -> Approach:
    """What is said after the last of these."""
    memory, said = Approaches(), Approach(None, "")
    for index, (height, depth) in enumerate(zip(heights, depths or [0.5] * len(heights), strict=True)):
        said = memory.note(sighting(index * step_s, height), far(depth), SIZE)
    return said


@pytest.mark.parametrize(
    ("heights", "depths", "movement"),
    [
        ([100, 120, 140], [0.5, 0.45, 0.4], "approaching"),
        ([100, 120, 140], [0.5, 0.5, 0.5], "approaching"),
        ([140, 120, 100], [0.4, 0.45, 0.5], "receding"),
        ([100, 102, 99], [0.5, 0.5, 0.5], "still"),
        ([100, 102, 99], [0.2, 0.5, 0.9], "still"),
        ([100, 120, 140], [0.4, 0.5, 0.6], None),
        ([140, 120, 100], [0.6, 0.5, 0.4], None),
        ([100, 120], [0.5, 0.4], None),
    ],
    ids=str,
)
def test_the_height_decides_and_the_depth_must_not_contradict(
    heights: list[float], depths: list[float], movement: str | None
) -> None:
    said = watched(heights, depths)
    assert said.movement == movement
    assert said.approaching is (None if movement is None else movement == "approaching")
    assert said.reason


def test_what_is_not_known_says_why() -> None:
    memory = Approaches()
    for distance, told, reason in (
        (far(0.5), sighting(0, 100, track_id=None), "no track"),
        (far(0.5), detection("a", track_id="7"), "no time"),
        (None, sighting(0, 100), "no depth"),
        (far(math.nan), sighting(0, 100), "no depth"),
        (far(0.5), sighting(0, 719), "cut off at the picture's edge"),
    ):
        assert memory.note(told, distance, SIZE) == Approach(None, reason)
    assert len(memory) == 0
    assert "needed are 3 in 1 s" in watched([100, 120, 140], step_s=0.2).reason


@pytest.mark.parametrize(
    ("top", "bottom", "cut"), [(2, 600, True), (3, 600, False), (100, 718, True), (100, 717, False)]
)
def test_a_box_at_the_upper_or_lower_edge_is_cut_off(top: float, bottom: float, cut: bool) -> None:
    at_edge = detection("a", box=Box(0, top, 1280, bottom), track_id="7", time=NOON)
    memory = Approaches()
    assert (memory.note(at_edge, far(0.5), SIZE).reason == "cut off at the picture's edge") is cut
    assert len(memory) == (not cut)


def test_somebody_who_bends_down_does_not_recede() -> None:
    memory = Approaches()
    for seconds, height, aspect in ((0, 200, 2.7), (1, 160, 2.0), (2, 110, 1.3)):
        said = memory.note(sighting(seconds, height, aspect), far(0.5), SIZE)
    assert said.movement is None
    assert "shape" in said.reason


def test_one_wild_box_changes_nothing() -> None:
    assert watched([100, 101, 260, 99, 100, 101, 100]).movement == "still"
    assert watched([100, 110, 20, 130, 140, 150, 160]).movement == "approaching"


def test_who_came_and_stands_now_is_still() -> None:
    heights = [100.0 + 10 * i for i in range(10)] + [200.0] * 20
    assert watched(heights[:10]).movement == "approaching"
    assert watched(heights).movement == "still"


def test_tracks_and_cameras_are_told_apart() -> None:
    memory = Approaches()
    for index in range(4):
        near = memory.note(sighting(index, 100 + 20 * index), far(0.5), SIZE)
        away = memory.note(sighting(index, 160 - 20 * index, track_id="8"), far(0.5), SIZE)
        calm = memory.note(sighting(index, 100, camera="yard"), far(0.5), SIZE)
    assert (near.movement, away.movement, calm.movement) == ("approaching", "receding", "still")


# ------------------------------------------------------------------------------------------------------------- memory


def test_memory_is_bounded_and_old_tracks_leave() -> None:
    now = [0.0]
    memory = Approaches(clock=lambda: now[0])
    for index in range(MAX_TRACKS + 50):
        memory.note(sighting(0, 100, track_id=str(index)), far(0.5), SIZE)
    assert len(memory) == MAX_TRACKS
    now[0] = FORGET_S + 1
    memory.note(sighting(1, 100, track_id="new"), far(0.5), SIZE)
    assert len(memory) == 1


def test_a_track_that_is_seen_stays_and_what_it_did_long_ago_does_not() -> None:
    now = [0.0]
    memory = Approaches(clock=lambda: now[0])
    for index in range(200):
        now[0] = float(index)
        said = memory.note(sighting(index, 100 + index), far(0.5), SIZE)
        assert said.sightings <= MAX_SIGHTINGS
        assert said.seconds <= WINDOW_S
    assert said.sightings == MAX_SIGHTINGS
    # Back after a while: a new beginning.
    assert memory.note(sighting(300, 90), far(0.5), SIZE).sightings == 1


def test_many_threads_lose_no_sighting() -> None:
    memory = Approaches()

    def watch(track: int) -> str | None:
        for index in range(12):
            said = memory.note(sighting(index, 100 * 1.05**index, track_id=str(track)), far(0.5), SIZE)
        assert said.sightings == 12
        return said.movement

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(watch, range(64))) == {"approaching"}


# --------------------------------------------------------------------------------------------------------- properties

HEIGHTS = st.lists(st.floats(20, 600), min_size=1, max_size=MAX_SIGHTINGS - 1)
DEPTHS = st.floats(0, 1)
OPPOSITE = {"approaching": "receding", "receding": "approaching", "still": "still", None: None}


@given(HEIGHTS, st.data())
def test_backwards_in_time_is_the_opposite(heights: list[float], data: st.DataObject) -> None:
    depths = data.draw(st.lists(DEPTHS, min_size=len(heights), max_size=len(heights)))
    there, back = watched(heights, depths), watched(heights[::-1], depths[::-1])
    # Where rounding decides, either is right.
    edge = there.growth is not None and any(
        math.isclose(there.growth, limit, rel_tol=1e-6) for limit in (GROWTH, 1 / GROWTH)
    )
    assert edge or back.movement == OPPOSITE[there.movement] or "depth" in there.reason + back.reason


@given(HEIGHTS, st.data())
def test_depth_alone_moves_nobody_however_pictures_are_scaled(heights: list[float], data: st.DataObject) -> None:
    """Depths can silence a height and never turn it round, nor make somebody move who stays."""
    depths = data.draw(st.lists(DEPTHS, min_size=len(heights), max_size=len(heights)))
    by_height, by_both = watched(heights).movement, watched(heights, depths).movement
    assert by_both in {by_height, None}
    if by_height == "still":
        assert by_both == "still"


@given(HEIGHTS, st.floats(0.2, 1.0))
def test_the_size_of_the_picture_changes_nothing(heights: list[float], scale: float) -> None:
    memory, said = Approaches(), Approach(None, "")
    for index, height in enumerate(heights):
        whole = sighting(index, height)
        small = DetectionInput(
            "a", "person", 0.9, Box(*(side * scale for side in whole.bbox)), track_id="7", time=whole.time
        )
        said = memory.note(small, far(0.5), (SIZE[0] * scale, SIZE[1] * scale))
    expected = watched(heights)
    assert said.growth == pytest.approx(expected.growth)
    limits = [] if said.growth is None else [abs(math.log(said.growth * side)) for side in (GROWTH, 1 / GROWTH)]
    assert said.movement == expected.movement or min(limits) < 1e-6


@given(st.permutations(range(8)), st.lists(st.floats(20, 600), min_size=8, max_size=8))
def test_the_order_in_which_pictures_arrive_changes_nothing(order: list[int], heights: list[float]) -> None:
    memory = Approaches()
    for index in order:
        said = memory.note(sighting(index, heights[index]), far(0.5), SIZE)
    assert said == watched(heights)


@given(HEIGHTS)
def test_a_word_needs_enough_sightings_and_enough_growth(heights: list[float]) -> None:
    said = watched(heights)
    assert said.sightings == len(heights)
    if len(heights) < MIN_SIGHTINGS:
        assert said.movement is None
    if said.movement in ("approaching", "receding"):
        assert said.growth is not None
        assert (said.growth >= GROWTH) if said.approaching else (said.growth <= 1 / GROWTH)


def test_somebody_who_stands_is_rarely_said_to_move() -> None:
    """What `GROWTH` says of boxes that differ by 5 % from picture to picture."""
    random = np.random.default_rng(11)
    moving = [watched((100 * np.exp(random.normal(0, 0.05, 3))).tolist()).movement != "still" for _ in range(500)]
    assert sum(moving) / len(moving) < 0.06
    longer = [watched((100 * np.exp(random.normal(0, 0.05, 8))).tolist()).movement != "still" for _ in range(300)]
    assert sum(longer) / len(longer) < 0.03


def test_the_step_of_depth_is_what_contradicts() -> None:
    just, over = [0.5, 0.5 + DEPTH_STEP * 0.45, 0.5 + DEPTH_STEP * 0.9], [0.5, 0.5 + DEPTH_STEP, 0.5 + 2 * DEPTH_STEP]
    assert watched([100, 120, 140], just).movement == "approaching"
    assert watched([100, 120, 140], over).movement is None
