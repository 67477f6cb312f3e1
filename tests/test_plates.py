"""Several readings of a plate: what they say together, and where they do not decide it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hearthwatch.models import LicensePlateResult
from hearthwatch.models.plate_ocr import normalise_plate
from hearthwatch.pipeline.approach import FORGET_S, MAX_TRACKS
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.plate_alignment import MAX_CHARACTERS, distance, is_near, places
from hearthwatch.pipeline.plate_memory import PlateMemory
from hearthwatch.pipeline.plates import MAX_READINGS, UNDECIDED, PlateVote, vote
from hearthwatch.vision.boxes import Box
from scene import detection

BOX = Box(0, 0, 100, 25)


def reading(text: str, confidence: float = 0.9, characters: tuple[float, ...] | None = None) -> LicensePlateResult:
    return LicensePlateResult(text, text.lower(), confidence, BOX, character_confidence=characters)


def each(text: str, sure: float, **at: float) -> LicensePlateResult:
    """A reading with a confidence for each character: `sure`, but for those at `i<index>`."""
    own = tuple(at.get(f"i{index}", sure) for index in range(len(text)))
    return reading(text, math.fsum(own) / len(own), own)


def voted(*readings: LicensePlateResult) -> PlateVote:
    outcome = vote(readings)
    assert outcome is not None
    return outcome


# -------------------------------------------------------------------------------------------------------- by example


def test_three_readings_with_a_mistake_each_give_the_plate_that_none_of_them_read() -> None:
    outcome = voted(reading("A8123CD"), reading("AB128CD"), reading("AB123C0"))
    assert (outcome.text, outcome.pattern, outcome.reason) == ("AB123CD", "AB123CD", "")
    assert (outcome.readings, outcome.agreeing, outcome.left_out) == (3, 0, 0)
    assert outcome.confidence == pytest.approx(0.9 * 6 / 7)


def test_a_sure_character_beats_two_doubtful_ones() -> None:
    doubtful = each("AB123CD", 0.9, i1=0.3)
    outcome = voted(each("A8123CD", 0.9, i1=0.8), doubtful, doubtful)
    assert outcome.text == "A8123CD"
    assert outcome.character_confidence is not None
    assert outcome.character_confidence[1] == pytest.approx(0.8 / 3)
    assert outcome.character_confidence[0] == pytest.approx(0.9)


def test_a_tie_is_not_decided() -> None:
    outcome = voted(each("AB123CD", 0.9), each("A8123CD", 0.9))
    assert (outcome.text, outcome.pattern) == ("", "A?123CD")
    assert outcome.reason == "1 of 7 characters are undecided"
    assert outcome.character_confidence is not None
    assert outcome.character_confidence[1] is None
    assert '"A?123CD" not readable from 2 readings' in outcome.to_context_string()


def test_lengths_that_weigh_the_same_are_not_decided() -> None:
    outcome = voted(reading("AB123CD"), reading("AB123C"))
    assert (outcome.text, outcome.pattern) == ("", "")
    assert outcome.reason == "readings of 6 and 7 characters are equally heavy"


def test_a_shorter_reading_votes_where_it_can_only_stand_in_one_way() -> None:
    outcome = voted(reading("AB123CD", 0.6), reading("A8123CD", 0.6), reading("B123CD", 0.5))
    assert outcome.text == "AB123CD", "the short one has the B"
    assert outcome.agreeing == 1


def test_readings_of_another_plate_are_left_out_and_lower_the_confidence() -> None:
    outcome = voted(reading("AB123CD"), reading("AB123CD"), reading("XYZ9876"))
    assert (outcome.text, outcome.agreeing, outcome.left_out) == ("AB123CD", 2, 1)
    assert outcome.confidence == pytest.approx(0.6)
    # Equally heavy: no mixture of the two.
    outcome = voted(reading("AB123CD"), reading("XYZ9876"))
    assert (outcome.text, outcome.pattern, outcome.left_out) == ("", "", 2)
    assert outcome.reason == "readings of different plates are equally heavy"


def test_what_was_not_read_is_counted_and_decides_nothing() -> None:
    assert vote([]) is None
    outcome = voted(reading("", 0.0), reading("", 0.0))
    assert (outcome.text, outcome.readings, outcome.unreadable) == ("", 0, 2)
    outcome = voted(reading("", 0.0), reading("AB12", 0.7))
    assert (outcome.text, outcome.confidence, outcome.unreadable) == ("AB12", 0.7, 1)


def test_a_line_that_is_no_plate_is_left_out() -> None:
    advertisement = reading("X" * (MAX_CHARACTERS + 1), 1.0)
    assert voted(advertisement, reading("AB12")).text == "AB12"
    assert "are no plate" in voted(advertisement).reason


def test_of_many_readings_the_surest_are_looked_at() -> None:
    outcome = voted(*[reading("AB12", 0.2)] * 100, *[reading("AB13", 0.9)] * MAX_READINGS)
    assert (outcome.text, outcome.readings, outcome.left_out) == ("AB13", 100 + MAX_READINGS, 100)


def test_characters_are_not_told_where_a_reader_gave_none() -> None:
    assert voted(reading("AB12"), each("AB12", 0.9)).character_confidence is None


def on_track(key: str, track: str | None = "1", camera: str | None = "x") -> DetectionInput:
    return detection(key, "car", track_id=track, camera=camera)


def test_readings_of_one_track_vote_together_across_batches() -> None:
    memory = PlateMemory()
    first = memory.voted([on_track("a"), on_track("b", camera="y")], {"a": reading("AB12"), "b": reading("CD34")})
    assert {key: found.text for key, found in first.items()} == {"a": "AB12", "b": "CD34"}
    second = memory.voted([on_track("c")], {"c": reading("AB12")})
    assert (second["c"].text, second["c"].agreeing, second["c"].readings) == ("AB12", 2, 2)


def test_a_detection_without_a_track_or_a_plate_has_no_vote() -> None:
    memory = PlateMemory()
    assert memory.voted([on_track("a", track=None), on_track("b")], {"a": reading("AB12")}) == {}
    assert len(memory) == 0


def test_a_track_is_forgotten_with_its_number() -> None:
    now = [0.0]
    memory = PlateMemory(lambda: now[0])
    memory.voted([on_track("a")], {"a": reading("AB12")})
    now[0] = FORGET_S + 1
    assert memory.voted([on_track("b", track="2")], {"b": reading("CD34")})["b"].readings == 1
    assert len(memory) == 1
    assert memory.voted([on_track("c")], {"c": reading("EF56")})["c"].text == "EF56"


def test_memory_of_plates_is_bounded() -> None:
    memory = PlateMemory()
    for number in range(MAX_TRACKS + 10):
        memory.voted([on_track("a", track=str(number))], {"a": reading("AB12")})
    assert len(memory) == MAX_TRACKS
    for _ in range(2 * MAX_READINGS):
        outcome = memory.voted([on_track("a", track="last")], {"a": reading("AB12")})["a"]
    assert outcome.readings == MAX_READINGS


# --------------------------------------------------------------------------------------------------------- alignment


@pytest.mark.parametrize(
    ("text", "reference", "expected"),
    [
        ("ABC", "ABC", {0: 0, 1: 1, 2: 2}),
        ("AXC", "ABC", {0: 0, 1: 1, 2: 2}),
        ("BC", "ABC", {1: 0, 2: 1}),
        ("ABC", "BC", {0: 1, 1: 2}),
        # Which of the two As the reading has is not known.
        ("AB", "AAB", {2: 1}),
        # Nor which of the two As of the reading is that of the plate.
        ("AA", "A", {}),
        ("", "AB", {}),
    ],
)
def test_characters_stand_where_every_shortest_way_puts_them(
    text: str, reference: str, expected: dict[int, int]
) -> None:
    assert dict(places(text, reference)) == expected


WORDS = st.text("AB01", max_size=7)


@given(WORDS, WORDS, WORDS)
def test_the_distance_is_one(a: str, b: str, c: str) -> None:
    assert distance(a, b) == distance(b, a) <= max(len(a), len(b))
    assert (distance(a, b) == 0) == (a == b)
    assert distance(a, c) <= distance(a, b) + distance(b, c)
    assert is_near(a, a)


@given(WORDS, WORDS)
def test_places_rise_and_are_used_once(a: str, b: str) -> None:
    where = places(a, b)
    pairs = sorted(where.items())
    assert [index for _, index in pairs] == sorted({index for _, index in pairs})
    assert all(0 <= place < len(b) and 0 <= index < len(a) for place, index in pairs)


# --------------------------------------------------------------------------------------------------------- properties

SHARES = st.floats(0.01, 1)
TEXTS = st.text("ABO018", min_size=1, max_size=8)


@st.composite
def readings(draw: st.DrawFn, texts: st.SearchStrategy[str] = TEXTS) -> LicensePlateResult:
    text, confidence = draw(texts), draw(SHARES)
    own = draw(st.none() | st.tuples(*[SHARES] * len(text)))
    return reading(text, confidence, own)


@given(st.lists(readings(TEXTS | st.just("")), max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_readings_changes_nothing(rows: list[LicensePlateResult], random: Any) -> None:
    assert vote(random.sample(rows, len(rows))) == vote(rows)


@given(readings())
def test_one_reading_is_itself(one: LicensePlateResult) -> None:
    outcome = voted(one)
    assert (outcome.text, outcome.pattern) == (one.text, one.text)
    assert outcome.confidence == pytest.approx(one.confidence)
    assert (outcome.readings, outcome.agreeing, outcome.left_out, outcome.reason) == (1, 1, 0, "")
    if one.character_confidence is None:
        assert outcome.character_confidence is None
    else:
        assert outcome.character_confidence == pytest.approx(one.character_confidence)


@given(readings(), st.integers(2, 5))
def test_the_same_reading_again_is_the_same(one: LicensePlateResult, times: int) -> None:
    outcome = voted(*[one] * times)
    assert (outcome.text, outcome.agreeing) == (one.text, times)
    assert outcome.confidence == pytest.approx(one.confidence)


@given(TEXTS, TEXTS, st.floats(0.01, 1), st.integers(2, 4), st.floats(0, 1))
def test_a_sure_majority_beats_a_wrong_reading(true: str, wrong: str, sure: float, times: int, doubt: float) -> None:
    assume(true != wrong)
    outcome = voted(*[reading(true, sure)] * times, reading(wrong, sure * doubt))
    assert (outcome.text, outcome.agreeing) == (true, times)


@given(st.lists(readings(), min_size=1, max_size=6))
def test_nothing_is_invented(rows: list[LicensePlateResult]) -> None:
    """Each character of a vote was read by somebody, and the text has a length that somebody read."""
    outcome = voted(*rows)
    signs = {sign for row in rows for sign in row.text}
    assert set(outcome.pattern) <= signs | {UNDECIDED}
    assert outcome.text in ("", outcome.pattern)
    assert bool(outcome.text) is not bool(outcome.reason)
    assert not outcome.pattern or len(outcome.pattern) in {len(row.text) for row in rows}
    assert 0 <= outcome.confidence <= max(row.confidence for row in rows) + 1e-9
    assert outcome.agreeing + outcome.left_out <= outcome.readings == len(rows)
    for sure in outcome.character_confidence or ():
        assert sure is None or 0 <= sure <= 1


def test_voting_beats_single_readings_of_noisy_characters() -> None:
    """A reader that gets each character wrong by 12 %, is less sure then, and loses one at times."""
    random = np.random.default_rng(5)
    signs = list("ABCDEFGHJKLMNPRSTUVWXYZ0123456789")
    single = voted_right = 0
    for _ in range(200):
        true = "".join(random.choice(signs, 7))
        rows = [_noisy(true, random, signs) for _ in range(5)]
        single += rows[0].text == true
        voted_right += voted(*rows).text == true
    assert single / 200 < 0.65
    assert voted_right / 200 > 0.93


def _noisy(true: str, random: np.random.Generator, signs: list[str]) -> LicensePlateResult:
    own = [random.uniform(0.3, 0.9) if random.random() < 0.12 else random.uniform(0.7, 1.0) for _ in true]
    text = "".join(str(random.choice(signs)) if sure < 0.7 else sign for sign, sure in zip(true, own, strict=True))
    if random.random() < 0.05:
        lost = int(random.integers(len(true)))
        text, own = text[:lost] + text[lost + 1 :], own[:lost] + own[lost + 1 :]
    return reading(text, float(np.mean(own)), tuple(own))


def test_readings_are_normalised_before_they_vote() -> None:
    assert normalise_plate("ab-12·cd ") == "AB12CD"
