"""Weapons that several frames show: the rule over a camera's last frames, what is remembered, and what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.errors import InferenceFailed
from hearthwatch.models import ThreatDetection, ThreatResult
from hearthwatch.models.threat_detector import MIN_CONFIDENCE, severity_of
from hearthwatch.pipeline import DetectionInput, EnrichmentPipeline, EnrichmentResult
from hearthwatch.pipeline.approach import FORGET_S
from hearthwatch.pipeline.threat_memory import (
    APART_MS,
    FRAMES,
    MAX_MOMENTS,
    MAX_SIGHTINGS,
    NEEDED,
    WINDOW_MS,
    Frame,
    RepeatedThreat,
    Sighting,
    ThreatMemory,
    frame_of,
)
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import assess
from hearthwatch.vision.boxes import Box
from scene import FakeRunner, detection, picture

SIZE = (160.0, 120.0)
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOON_MS = round(NOON.timestamp() * 1000)
#: 30 px square, in the hand of the person below.
HAND = Box(25, 40, 55, 70)
PERSON = Box(20, 10, 60, 110)
ELSEWHERE = Box(110, 40, 140, 70)
Told = dict[str, tuple[RepeatedThreat, ...]]


def sighting(box: Box = HAND, name: str = "knife", confidence: float = 0.6) -> Sighting:
    return Sighting(name, confidence, box, SIZE)


def frame(ms: float, *seen: Sighting, camera: str = "porch", key: str = "p") -> Frame:
    return Frame(camera, round((NOON_MS + ms) * 1000), {key: seen} if seen else {})


def shown(*frames: Frame, memory: ThreatMemory | None = None) -> RepeatedThreat | None:
    """What is said of the last frame's weapon, each frame a batch of its own."""
    memory, told = ThreatMemory() if memory is None else memory, Told()
    for one in frames:
        told = memory.note([one])
    return told["p"][0] if told else None


# ----------------------------------------------------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("shows", "seen", "frames", "span_ms"),
    [
        ("K", 0, 1, 0.0),
        ("KK", 2, 2, 500.0),
        (".K", 0, 2, 0.0),
        ("K.K", 2, 3, 1000.0),
        (".KK", 2, 3, 500.0),
        ("KKK", 3, 3, 1000.0),
        ("K..K", 0, 3, 0.0),
        ("KKKK", 3, 3, 1000.0),
        ("KK.", 0, 3, 0.0),
    ],
)
def test_two_of_the_last_three_frames_repeat_a_weapon(shows: str, seen: int, frames: int, span_ms: float) -> None:
    told = shown(*(frame(500 * i, *([sighting()] if one == "K" else [])) for i, one in enumerate(shows)))
    assert told == (RepeatedThreat("knife", HAND, seen, frames, span_ms) if seen else None)


@pytest.mark.parametrize(("apart_ms", "repeated"), [(0, False), (199, False), (199.999, False), (200, True)])
def test_frames_must_be_two_hundred_milliseconds_apart(apart_ms: float, repeated: bool) -> None:
    told = shown(frame(0, sighting()), frame(apart_ms, sighting()))
    assert (told is not None) is repeated


def test_a_burst_repeats_nothing_however_many_frames_it_has() -> None:
    memory = ThreatMemory()
    assert memory.note([frame(10 * i, sighting(), key=f"p{i}") for i in range(20)]) == {}


@pytest.mark.parametrize("step_ms", [10, 33, 40, 66, 100, 200, 500, 1000, 2000, 2500])
def test_a_faster_camera_is_neither_quicker_nor_slower_to_confirm(step_ms: int) -> None:
    memory, first = ThreatMemory(), None
    for ms in range(0, 5001, step_ms):
        told = shown(frame(ms, sighting()), memory=memory)
        first = ms if told and first is None else first
    assert first == min(ms for ms in range(step_ms, 5001, step_ms) if ms >= APART_MS)
    assert told is not None
    assert (told.seen, told.frames) == (FRAMES, FRAMES)


def test_frames_that_are_passed_over_are_no_frames_without_it() -> None:
    """At 30 frames a second three neighbours are a tenth of a second, in which a network makes one mistake."""
    between = [frame(33 * i) for i in range(1, 7)]
    assert shown(frame(0, sighting()), *between, frame(200, sighting())) is not None
    # What stands for the time before is the frame next to it, so that two in a film of many repeat nothing.
    assert shown(frame(0, sighting()), *between, frame(233, sighting())) is None


@pytest.mark.parametrize(
    ("box", "repeated"),
    [
        (HAND, True),
        (Box(43, 40, 73, 70), True),  # moved by six tenths of its side
        (Box(47, 40, 77, 70), False),  # by more than two thirds
        (Box(34, 49, 64, 79), True),
        (Box(30, 45, 50, 65), True),  # smaller, in the same hand
        (Box(36, 51, 42, 57), False),  # another thing
        (ELSEWHERE, False),
    ],
    ids=str,
)
def test_a_hand_moves_a_little(box: Box, repeated: bool) -> None:
    assert (shown(frame(0, sighting()), frame(500, sighting(box))) is not None) is repeated


def test_a_long_thing_may_turn() -> None:
    upright, level = Box(40, 30, 50, 60), Box(30, 40, 60, 50)
    assert shown(frame(0, sighting(upright)), frame(500, sighting(level))) is not None


@pytest.mark.parametrize(("other", "repeated"), [("knife", True), ("Knife", True), ("knives", False), ("gun", False)])
def test_another_class_repeats_nothing(other: str, repeated: bool) -> None:
    assert (shown(frame(0, sighting(name=other)), frame(500, sighting())) is not None) is repeated


def test_a_picture_of_another_size_has_other_places() -> None:
    smaller = Sighting("knife", 0.6, HAND, (80.0, 60.0))
    assert shown(frame(0, smaller), frame(500, sighting())) is None


def test_cameras_are_told_apart() -> None:
    memory = ThreatMemory()
    batch = [frame(250 * i, sighting(), camera=f"camera {i}", key=f"p{i}") for i in range(5)]
    assert memory.note(batch) == {}


def test_two_networks_that_see_one_thing_in_one_frame_are_one_frame() -> None:
    memory = ThreatMemory()
    seen = {"knife-1": (sighting(),), "p": (sighting(confidence=0.7),)}
    assert memory.note([Frame("porch", NOON_MS * 1000, seen)]) == {}
    assert set(memory.note([Frame("porch", (NOON_MS + 300) * 1000, seen)])) == {"knife-1", "p"}


def test_the_same_moment_sent_again_is_one_frame() -> None:
    assert shown(*[frame(0, sighting())] * 5) is None
    assert shown(frame(0, sighting()), frame(0), frame(300), frame(600, sighting())) is not None


# ----------------------------------------------------------------------------------------------------- what is a frame


def person(key: str = "p", ms: float = 0, **fields: Any) -> DetectionInput:
    told: dict[str, Any] = {"box": PERSON, "camera": "porch", "time": NOON + timedelta(milliseconds=ms)}
    return detection(key, **told | fields)


def threat(confidence: float = 0.6, name: str = "knife", box: Box = HAND) -> ThreatDetection:
    return ThreatDetection(name, confidence, box, severity_of(name))


def test_a_frame_has_the_weapons_of_both_networks_by_detection() -> None:
    bat = detection("w", "Bat", ELSEWHERE, camera="porch", time=NOON, confidence=0.5)
    made = frame_of([person(), bat], SIZE, {"p": ThreatResult((threat(),), elsewhere=(threat(name="gun"),))})
    assert made is not None
    assert (made.camera, made.time_us) == ("porch", NOON_MS * 1000)
    assert {key: [one.class_name for one in found] for key, found in made.seen.items()} == {
        "p": ["knife", "gun"], "w": ["Bat"],
    }  # fmt: skip


@pytest.mark.parametrize("confidence", [0.0, MIN_CONFIDENCE - 0.01, float("nan")])
def test_what_does_not_count_in_one_frame_does_not_add_up(confidence: float) -> None:
    weak = detection("w", "knife", camera="porch", time=NOON, confidence=confidence)
    made = frame_of([person(), weak], SIZE, {"p": ThreatResult((threat(confidence),), (threat(0.4),))})
    assert made is not None
    assert made.seen == {}


@pytest.mark.parametrize(
    "subjects",
    [
        [],
        [person(time=None)],
        [person(camera=None)],
        [person(), person("q", camera="yard")],
        [person(), person("q", ms=300)],
    ],
    ids=["nobody", "no time", "no camera", "two cameras", "two times"],
)
def test_without_one_camera_and_one_time_nothing_is_remembered(subjects: list[DetectionInput]) -> None:
    assert frame_of(subjects, SIZE, {"p": ThreatResult((threat(),))}) is None


def test_one_detection_may_say_the_time_for_all_of_a_picture() -> None:
    assert frame_of([person(), person("q", time=None)], SIZE, {}) == frame(0)


# ------------------------------------------------------------------------------------------------------------- memory


def test_frames_older_than_the_window_are_ignored() -> None:
    assert shown(frame(0, sighting()), frame(WINDOW_MS + 1, sighting())) is None
    assert shown(frame(0, sighting()), frame(WINDOW_MS, sighting())) is not None
    # Late, and too late: neither said nor remembered.
    memory = ThreatMemory()
    memory.note([frame(9_500, sighting()), frame(10_000, sighting())])
    assert memory.note([frame(4_000, sighting()), frame(4_500, sighting())]) == {}


def test_a_frame_that_came_late_counts_with_those_after_it() -> None:
    for first, second in permutations([frame(0, sighting()), frame(500, sighting())]):
        assert shown(first, second) == RepeatedThreat("knife", HAND, 2, 2, 500.0)
    # Once with the frame after it, once with the one two before it: the shorter time is told.
    around = frame(0, sighting()), frame(500), frame(1300, sighting())
    assert shown(*around, frame(1000, sighting())) == RepeatedThreat("knife", HAND, 2, 3, 300.0)


def test_all_of_a_long_batch_is_told_as_if_it_had_come_in_parts() -> None:
    batch = [frame(500 * i, *([sighting()] if i < 4 else []), key=f"p{i}") for i in range(60)]
    parts, memory = Told(), ThreatMemory()
    for one in batch:
        parts |= memory.note([one])
    assert set(parts) == {"p1", "p2", "p3"}
    assert ThreatMemory().note(batch[::-1]) == parts


def test_memory_is_bounded_and_the_camera_that_was_used_last_stays() -> None:
    memory = ThreatMemory(most_cameras=3)
    memory.note([frame(0, sighting(), camera="kept")])
    for number in range(20):
        memory.note([frame(0, sighting(), camera=str(number))])
        memory.note([frame(0, camera="kept")])
        assert len(memory) <= 3
    assert set(memory.note([frame(300, sighting(), camera="kept")])) == {"p"}
    assert memory.note([frame(300, sighting(), camera="0")]) == {}


def test_a_frame_full_of_weapons_and_a_camera_full_of_frames_lose_the_least_sure_and_the_oldest() -> None:
    crowd = [sighting(Box(x, 0, x + 3, 3), confidence=0.6 + x / 1000) for x in range(0, 4 * MAX_SIGHTINGS, 2)]
    memory = ThreatMemory()
    memory.note([frame(0, *crowd)])
    told = memory.note([frame(300, *crowd)])["p"]
    assert len(told) < len(crowd)
    assert told[-1].box == crowd[-1].box
    memory.note([frame(400 + i) for i in range(MAX_MOMENTS)])
    # Room for three frames is left, and the first two are gone.
    assert memory.note([frame(200, *crowd)]) == {}


def test_a_time_from_the_future_is_forgotten_by_the_clock() -> None:
    now = [0.0]
    memory = ThreatMemory(lambda: now[0])
    memory.note([frame(10**9, sighting())])
    assert shown(frame(0, sighting()), frame(500, sighting()), memory=memory) is None
    now[0] = FORGET_S + 1
    assert shown(frame(0, sighting()), frame(500, sighting()), memory=memory) is not None


def test_many_threads_lose_no_frame() -> None:
    memory = ThreatMemory()

    def watch(number: int) -> int:
        camera = f"camera {number % 8}"
        told = [memory.note([frame(210 * i, sighting(), camera=camera)]) for i in range(20)]
        return sum(map(bool, told))

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(watch, range(8))) == {19}
        # All cameras' last frames again, from all threads at once: nothing is new.
        assert set(pool.map(lambda i: bool(memory.note([frame(3990, sighting(), camera=f"camera {i % 8}")])),
                            range(64))) == {True}  # fmt: skip


# --------------------------------------------------------------------------------------------------------- properties

NAMES = st.sampled_from(["knife", "gun"])
PLACES = st.sampled_from([HAND, Box(35, 40, 65, 70), ELSEWHERE])
SIGHTINGS = st.builds(sighting, PLACES, NAMES)
#: (milliseconds, camera, what is seen); fewer than the window takes.
FILMS = st.lists(
    st.tuples(st.integers(0, int(WINDOW_MS)), st.sampled_from(["porch", "yard"]), st.lists(SIGHTINGS, max_size=3)),
    min_size=1,
    max_size=12,
)
Film = list[tuple[int, str, list[Sighting]]]


def frames_of(film: Film) -> list[Frame]:
    return [frame(ms, *seen, camera=camera, key=f"{i}") for i, (ms, camera, seen) in enumerate(film)]


@given(FILMS)
def test_what_is_repeated_keeps_the_ruling(film: Film) -> None:
    for key, told in ThreatMemory().note(frames_of(film)).items():
        ms, camera, _ = film[int(key)]
        for one in told:
            assert NEEDED <= one.seen <= one.frames <= FRAMES
            assert (one.seen - 1) * APART_MS <= one.span_ms <= WINDOW_MS
            # At least one other frame of the same camera shows the class, far enough away in time.
            assert any(
                where == camera and abs(then - ms) >= APART_MS and any(s.class_name == one.class_name for s in seen)
                for then, where, seen in film
            )


@given(FILMS, st.integers(0, int(APART_MS) - 1))
def test_nothing_is_repeated_within_two_hundred_milliseconds(film: Film, length_ms: int) -> None:
    short = [(ms % (length_ms + 1), camera, seen) for ms, camera, seen in film]
    memory = ThreatMemory()
    for one in frames_of(short):
        assert memory.note([one]) == {}


@given(FILMS, st.data())
def test_the_order_of_a_batch_and_of_the_batches_before_changes_nothing(film: Film, data: st.DataObject) -> None:
    """All within one window, so that nothing is too late."""
    frames = frames_of(film)
    expected = ThreatMemory().note(frames)
    assert ThreatMemory().note(data.draw(st.permutations(frames))) == expected
    *before, last = frames
    said = []
    for order in (before, data.draw(st.permutations(before))):
        memory = ThreatMemory()
        for one in order:
            memory.note([one])
        said.append(memory.note([last]))
    assert said[0] == said[1]


@given(FILMS)
def test_another_camera_changes_nothing(film: Film) -> None:
    both = ThreatMemory().note(frames_of(film))
    for camera in ("porch", "yard"):
        alone = [one for one in frames_of(film) if one.camera == camera]
        keys = {key for one in alone for key in one.seen}
        assert ThreatMemory().note(alone) == {key: told for key, told in both.items() if key in keys}


@given(st.lists(st.builds(frame, st.integers(0, 10**7), SIGHTINGS, camera=st.sampled_from("abcdefgh")), max_size=40))
def test_whatever_comes_no_more_cameras_are_remembered_than_allowed(noted: list[Frame]) -> None:
    memory = ThreatMemory(most_cameras=4)
    for one in noted:
        memory.note([one])
        assert len(memory) <= 4


# ------------------------------------------------------------------------------------------------ through the pipeline


class Armed(FakeRunner):
    """Everybody holds a knife at the same place, of which the weapon detector is not sure."""

    def __init__(self, confidence: float = 0.6, **options: Any) -> None:
        finds = {"threat_detector": lambda _box: ThreatResult((threat(confidence),))}
        super().__init__(finds=finds, **options)


def enriched(
    pipeline: EnrichmentPipeline, detections: Sequence[DetectionInput], images: Mapping[str | None, Any] | None = None
) -> EnrichmentResult:
    return asyncio.run(pipeline.enrich_batch(detections, images or {None: picture()}))


def told_of(result: EnrichmentResult, *detections: DetectionInput) -> tuple[list[str], int]:
    """The facts about weapons, and the score."""
    scene = collect_facts(detections, result, NOON)
    return [one.text for one in scene.facts if one.kind == "weapon"], assess(scene).risk_score


def test_the_second_frame_confirms_and_the_rules_follow() -> None:
    pipeline = EnrichmentPipeline(Armed(), looks=())
    first = enriched(pipeline, [person()])
    assert first.repeated_threats == {}
    texts, score = told_of(first, person())
    assert texts == ["knife (high), unconfirmed: 60% sure in one frame, 80% needed"]
    assert score <= 59
    second = enriched(pipeline, [person(ms=400)])
    assert second.repeated_threats == {"p": (RepeatedThreat("knife", HAND, 2, 2, 400.0),)}
    texts, higher = told_of(second, person(ms=400))
    assert texts == ["knife (high), confirmed: seen in 2 of 2 frames within 400 ms, large enough, and at a person"]
    assert higher >= score + 30


def test_frames_of_one_batch_confirm_in_any_order() -> None:
    people = [person(f"p{i}", ms=300 * i) for i in range(3)]
    for order in permutations(people):
        result = enriched(EnrichmentPipeline(Armed(), looks=()), order, {one.id: picture() for one in people})
        assert {key: [one.seen for one in found] for key, found in result.repeated_threats.items()} == {
            "p1": [2], "p2": [3],
        }  # fmt: skip


def test_one_picture_of_a_batch_never_confirms_itself() -> None:
    shared = picture()
    people = [person("p"), person("q", ms=500)]
    result = enriched(EnrichmentPipeline(Armed(), looks=()), people, {"p": shared, "q": shared})
    assert result.repeated_threats == {}


def test_a_crop_beside_its_frame_is_not_remembered() -> None:
    pipeline = EnrichmentPipeline(Armed(), looks=())
    for ms in (0, 500):
        result = enriched(pipeline, [person("p", ms), detection("c", "car", camera="porch")], {
            None: picture(), "p": picture(),
        })  # fmt: skip
        assert result.repeated_threats == {}


@pytest.mark.parametrize(
    "fields",
    [{"camera": None}, {"time": None}, {"camera": "yard"}, {"ms": 199}],
    ids=["no camera", "no time", "another camera", "too soon"],
)
def test_what_is_not_known_confirms_nothing(fields: dict[str, Any]) -> None:
    pipeline = EnrichmentPipeline(Armed(), looks=())
    enriched(pipeline, [person()])
    assert enriched(pipeline, [person(**{"ms": 400} | fields)]).repeated_threats == {}


def test_a_weapon_that_the_detector_saw_is_confirmed_by_its_own_id() -> None:
    pipeline = EnrichmentPipeline(FakeRunner(lacks=frozenset({"threat_detector"})), looks=())
    beyond = Box(-10, 40, 30, 80)  # cut off at the picture's edge: the pipeline clamps it, the caller does not
    for ms in (0, 500):
        batch = [
            person(ms=ms, box=Box(-20, 10, 60, 110)),
            detection("w", "knife", beyond, camera="porch", confidence=0.6),
        ]
        result = enriched(pipeline, batch)
    assert set(result.repeated_threats) == {"w"}
    assert told_of(result, *batch)[0] == [
        "knife (high), confirmed: seen in 2 of 2 frames within 500 ms, large enough, and at a person"
    ]


def test_repetition_alone_confirms_neither_what_is_small_nor_what_nobody_holds() -> None:
    small = {"threat_detector": lambda _box: ThreatResult((threat(box=Box(30, 40, 50, 70)),))}
    loose = {"threat_detector": lambda _box: ThreatResult(elsewhere=(threat(box=ELSEWHERE),))}
    for finds, reason in ((small, "only 20 px, 24 needed"), (loose, "in nobody's hand")):
        pipeline = EnrichmentPipeline(FakeRunner(finds=finds), looks=())
        for ms in (0, 500):
            result = enriched(pipeline, [person(ms=ms)])
        assert len(result.repeated_threats["p"]) == 1
        assert told_of(result, person())[0] == [f"knife (high), unconfirmed: {reason}"]


def test_a_weapon_detector_that_fails_confirms_nothing() -> None:
    """It fails in the second frame: what was seen before is not seen again. Then it answers, and the third confirms."""
    runner = Armed()
    pipeline = EnrichmentPipeline(runner, looks=())
    enriched(pipeline, [person()])
    for misbehave in ({"fails": {"threat_detector": InferenceFailed("broken")}},
                      {"breaks": {"threat_detector": OSError("the disk is gone")}},
                      {"miscounts": frozenset({"threat_detector"})}):  # fmt: skip
        for name, value in misbehave.items():
            setattr(runner, name, value)
        broken = enriched(pipeline, [person(ms=300)])
        assert broken.repeated_threats == {}
        assert told_of(broken, person())[0] == []
        assert {error.model for error in broken.structured_errors} == {"threat_detector"}
        runner.fails, runner.breaks, runner.miscounts = {}, {}, frozenset()
    again = enriched(pipeline, [person(ms=600)])
    assert [(one.seen, one.frames) for one in again.repeated_threats["p"]] == [(2, 3)]
