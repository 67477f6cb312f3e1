"""A deadline is spent on what matters most, by what was measured; and whatever happens, no model is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter.spec import Priority
from hearthwatch.enrichment import CallTimings, ModelCall, Outcome, Pace, PictureEnrichment, enrich_picture
from hearthwatch.enrichment.pace import by_value, priority_of
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed, LoadFailed, WeightsMissing
from hearthwatch.models import MODELS
from hearthwatch.pipeline import DetectionInput
from hearthwatch.selection import FOLLOW_UPS, get_models_for_detection_type, models_beside
from hearthwatch.vision.boxes import Box
from scene import FakeRunner, answer, detection, photo, picture

PERSON = ["threat_detector", "pose_estimator", "face_detector", "person_reid", "depth_estimator"]
FRAMES = [picture(), picture()]


def ours() -> FakeRunner:
    """Offers exactly what `PERSON` has, and what follows."""
    return FakeRunner(lacks=frozenset({"fashion_clip"}))


def measured(milliseconds: float = 100.0, models: Sequence[str] = PERSON) -> Pace:
    pace = Pace()
    for model in models:
        pace.note(model, 1, milliseconds)
    return pace


def enrich(pace: Pace, left_s: float | None, runner: FakeRunner | None = None, **options: Any) -> PictureEnrichment:
    deadline = None if left_s is None else time.monotonic() + left_s
    subjects = options.pop("subjects", [detection("p")])
    return asyncio.run(enrich_picture(runner or ours(), picture(), subjects, deadline=deadline, pace=pace, **options))


class TestPace:
    def test_what_was_never_measured_is_expected_to_take_nothing_and_is_never_left_out(self) -> None:
        pace = Pace()
        assert pace.expected_ms({"depth_estimator": 4}) == 0
        assert pace.too_slow({"depth_estimator": 1}, -5.0) == []

    def test_a_model_of_the_whole_picture_takes_the_same_for_any_number_of_boxes(self) -> None:
        pace = Pace()
        pace.note("pose_estimator", 8, 40.0)
        pace.note("person_reid", 8, 40.0)
        assert pace.expected_ms({"pose_estimator": 1}) == pytest.approx(40.0)
        assert pace.expected_ms({"person_reid": 1}) == pytest.approx(5.0)
        assert pace.expected_ms({"person_reid": 16}) == pytest.approx(80.0)

    def test_the_least_valuable_go_first_and_the_weapon_detector_never(self) -> None:
        pace = measured(10.0)
        questions = dict.fromkeys(by_value(PERSON), 1)
        order = ["depth_estimator", "person_reid", "face_detector", "pose_estimator"]
        for left_out, left_ms in enumerate((50.0, 40.0, 30.0, 20.0, 10.0, 0.0, -100.0)):
            assert pace.too_slow(questions, left_ms) == order[: min(left_out, 4)]

    def test_models_that_run_at_the_same_time_take_less_than_their_sum_as_measured(self) -> None:
        pace = measured(100.0, ["pose_estimator", "depth_estimator"])
        questions = {"pose_estimator": 1, "depth_estimator": 1}
        assert pace.expected_ms(questions) == pytest.approx(200.0)
        calls = [CallTimings(infer_ms=100.0), CallTimings(infer_ms=100.0)]
        pace.note_together(calls, 120.0)
        assert pace.expected_ms(questions) == pytest.approx(120.0)
        for _ in range(60):
            pace.note_together(calls, 20.0)
        assert pace.expected_ms(questions) == pytest.approx(100.0)  # never less than the slowest

    def test_waiting_for_a_load_says_nothing_about_the_next_call(self) -> None:
        pace = measured(100.0, ["pose_estimator", "depth_estimator"])
        pace.note_together([CallTimings(load_ms=5000.0, infer_ms=100.0)], 5100.0)
        assert pace.expected_ms({"pose_estimator": 1, "depth_estimator": 1}) == pytest.approx(200.0)

    def test_every_model_has_the_place_of_its_spec(self) -> None:
        for model in MODELS:
            assert priority_of(model.SPEC.name) is model.SPEC.priority
        assert priority_of("no_such_model") is Priority.LOW


class TestDeadlines:
    def test_without_a_deadline_nothing_is_left_out(self) -> None:
        assert enrich(measured(1e9), None).late == set()

    def test_what_there_is_no_time_for_is_not_asked_and_says_so(self) -> None:
        runner = ours()
        enrichment = enrich(measured(10_000.0), 25.0, runner)
        found = enrichment.detections["p"]
        assert enrichment.late == {"depth_estimator", "person_reid", "face_detector"}
        assert {call.model for call in runner.calls} & enrichment.late == set()
        assert found.results.keys() == {"threat_detector", "pose_estimator"}
        for model in enrichment.late:
            assert found.skipped[model].startswith("no time: ")
            assert "50000 ms were expected" in found.skipped[model]

    def test_the_weapon_detector_is_asked_even_where_there_is_no_time_at_all(self) -> None:
        runner = ours()
        enrichment = enrich(measured(10_000.0), 0.0, runner)
        assert {call.model for call in runner.calls} >= {"threat_detector"}
        assert isinstance(enrichment.detections["p"].errors["threat_detector"], DeadlineExceeded)
        assert "depth_estimator" in enrichment.late

    def test_a_model_whose_turn_comes_later_is_left_out_where_it_is_too_late_by_then(self) -> None:
        pace = measured(10_000.0, ["demographics", "action_recognizer", "plate_ocr"])
        subjects = [detection("p", box=Box(10, 10, 100, 110)), detection("c", "car")]
        enrichment = enrich(pace, 5.0, frames=FRAMES, subjects=subjects)
        assert enrichment.late == {"demographics", "action_recognizer", "plate_ocr"}
        assert "demographics" in enrichment.detections["p"].skipped
        assert "plate_ocr" in enrichment.detections["c"].skipped

    def test_what_a_call_took_is_what_the_next_one_expects(self) -> None:
        pace = Pace()
        enrich(pace, None)
        assert all(pace.knows(model) for model in PERSON)
        # At least what the fake says that it takes; the rest is what everything around it took.
        assert 2.0 <= pace.expected_ms({"pose_estimator": 1}) < pace.expected_ms(dict.fromkeys(PERSON, 1)) + 1e-9


class TestOrder:
    def test_models_are_asked_in_the_order_of_their_value(self) -> None:
        runner = FakeRunner(lacks=frozenset({"fashion_clip"}))
        subjects = [detection("d", "dog"), detection("c", "car"), detection("p")]
        enrich(Pace(), None, runner, subjects=subjects)
        first = [call.model for call in runner.calls if call.model not in {"plate_ocr", "demographics"}]
        assert first[0] == "threat_detector"
        assert first == by_value(first)


# ---------------------------------------------------------------------------------------------- whatever happens


@dataclass
class Moody(FakeRunner):
    """Answers late, fails, lacks models and finds nothing, as a test draws it."""

    delays: dict[str, int] = field(default_factory=dict)
    silent: frozenset[str] = frozenset()

    async def run(self, call: ModelCall) -> list[Outcome]:
        self.calls.append(call)
        for _ in range(self.delays.get(call.model, 0)):
            await asyncio.sleep(0)
        if call.model in self.breaks:
            raise self.breaks[call.model]
        if (error := self.fails.get(call.model)) is not None:
            return [Outcome(call.model, error=error)] * len(call.boxes)
        found = [None if call.model in self.silent else answer(call.model, box) for box in call.boxes]
        outcomes = [Outcome(call.model, result, weights="real") for result in found]
        return outcomes[:-1] if call.model in self.miscounts else outcomes


CONDITIONAL = {"demographics", "action_recognizer", *FOLLOW_UPS.values()}
EVERY = sorted(
    {
        name
        for kind in ("person", "car", "cat", "bird")
        for name in get_models_for_detection_type(kind, True, True) + models_beside(kind)
    }
    | CONDITIONAL
)
ERRORS: list[HearthwatchError] = [InferenceFailed("broken"), LoadFailed("no engine"), WeightsMissing("m", ["x"], "y")]
SHARED = photo()
models_of = st.sets(st.sampled_from(EVERY)).map(frozenset)
boxes = st.sampled_from([Box(0, 0, 120, 110), Box(10, 5, 60, 100), Box(80, 20, 150, 118)])
people = st.lists(
    st.tuples(
        st.sampled_from(["person", "person", "car", "dog", "bird", "bench"]), boxes, st.booleans(),
        st.sampled_from([0.0, 51.0]), st.sampled_from([None, Box(20, 20, 60, 70), Box(400, 400, 500, 500)]),
    ),
    max_size=4,
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    people=people,
    fails=st.dictionaries(st.sampled_from(EVERY), st.sampled_from(ERRORS)),
    breaks=models_of,
    miscounts=models_of,
    lacks=models_of,
    silent=models_of,
    delays=st.dictionaries(st.sampled_from(EVERY), st.integers(0, 6)),
    known=st.dictionaries(st.sampled_from(EVERY), st.sampled_from([1.0, 5_000.0, 60_000.0])),
    left_s=st.sampled_from([None, 0.0, 4.0, 30.0, 100.0]),
    frames=st.integers(0, 3),
    beside=st.booleans(),
)
def test_whatever_happens_no_model_is_lost_and_none_is_told_twice(
    people: list[tuple[str, Box, bool, float, Box | None]],
    fails: dict[str, HearthwatchError],
    breaks: frozenset[str],
    miscounts: frozenset[str],
    lacks: frozenset[str],
    silent: frozenset[str],
    delays: dict[str, int],
    known: dict[str, float],
    left_s: float | None,
    frames: int,
    beside: bool,
) -> None:
    runner = Moody(
        lacks=lacks, fails=fails, breaks=dict.fromkeys(breaks, OSError("gone")), miscounts=miscounts, silent=silent,
        delays=delays,
    )  # fmt: skip
    pace = Pace()
    for model, milliseconds in known.items():
        pace.note(model, 1, milliseconds)
    subjects = [
        detection(f"d{i}", kind, box, face_visible=visible, suspicious_score=score, face_bbox=face)
        for i, (kind, box, visible, score, face) in enumerate(people)
    ]
    enrichment = enrich(pace, left_s, runner, subjects=subjects, frames=[picture(SHARED)] * frames, beside=beside)
    assert set(enrichment.detections) == {subject.id for subject in subjects}
    for subject in subjects:
        _check_one(enrichment, subject, lacks, several=frames > 1, beside=beside)
    # No lesser model is asked where a better one that was measured is left out.
    first = {call.model for call in runner.calls} - CONDITIONAL - {"face_detector"}
    for late in enrichment.late - CONDITIONAL - {"face_detector"}:
        assert priority_of(late) is not Priority.CRITICAL
        assert not [m for m in first if m in known and priority_of(m) > priority_of(late)]
    # Each network is asked about the picture at most once.
    asked = [call.model for call in runner.calls]
    assert len(asked) == len(set(asked))
    assert set(enrichment.succeeded).isdisjoint(enrichment.failed)


def _check_one(
    enrichment: PictureEnrichment, subject: DetectionInput, lacks: frozenset[str], *, several: bool, beside: bool
) -> None:
    found = enrichment.detections[subject.id]
    told = [*found.results, *found.nothing, *found.skipped, *found.errors]
    assert len(told) == len(set(told)), told
    suspicious = subject.suspicious_score > 50
    selected = set(get_models_for_detection_type(subject.class_name, suspicious, several))
    selected |= set(models_beside(subject.class_name)) if beside else set()
    if subject.class_name == "person" and subject.face_visible and "demographics" not in lacks:
        selected.add("demographics")
    assert selected <= set(told), (selected - set(told), told)
    possible = selected | CONDITIONAL | {"face_detector"}
    assert set(told) <= possible
