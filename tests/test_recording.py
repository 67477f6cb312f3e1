"""Recorded events: whatever an event may hold comes back as it was, and a line that holds none says so."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import HOSTILE, armed_event, busy_event, hostile_event, make_event, vote, whole_event
from hearthwatch.analysis import Event
from hearthwatch.enrichment.status import EnrichmentStatus
from hearthwatch.errors import InputError
from hearthwatch.pipeline import DetectionInput, EnrichmentResult
from hearthwatch.recording import RecordedEvent, Unreadable, from_line, read_events, record, to_line
from hearthwatch.recording.lines import MOST_BYTES
from hearthwatch.risk import (
    AppliedBound,
    ConfidenceFactors,
    Entity,
    Flag,
    Reason,
    RiskAssessment,
    assess,
)
from hearthwatch.vision.boxes import Box
from prompt_scenes import SCENES

EVENTS: dict[str, Callable[[], Event]] = {
    "busy": busy_event,
    "armed": armed_event,
    "whole": whole_event,
    "nobody": make_event,
    **{f"hostile {number}": partial(hostile_event, text) for number, text in enumerate(HOSTILE)},
}
TOLD = RiskAssessment(
    41, "s", "r", (Reason(0, "held"),), "nemotron", "prompt-1", (AppliedBound("unconfirmed", 90, 59, "w"),),
    (Entity("person", "d", "high"),), (Flag("f", "d", "alert"),), "review_soon",
    ConfidenceFactors("good", "none", "full"), 812.5, "gone",
)  # fmt: skip


def recorded(name: str = "busy") -> RecordedEvent:
    return record(EVENTS[name]())


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_comes_back_as_it_was(name: str) -> None:
    kept = recorded(name)
    back = from_line(to_line(kept))
    if not any("\ud800" <= char <= "\udfff" for char in repr(kept)):
        assert back == kept
    assert back.scene() == kept.scene()
    assert assess(back.scene()).risk_score == kept.risk.risk_score


@pytest.mark.parametrize("name", SCENES)
def test_the_facts_of_a_recorded_scene_are_those_of_the_scene(name: str) -> None:
    made = SCENES[name]()
    event = make_event(made.detections, made.known, when=made.when, camera=made.camera)
    back = from_line(to_line(record(event)))
    if name == "hostile":  # half a character, which JSON cannot carry, is spelled out
        assert [(fact.kind, fact.confidence) for fact in back.scene().facts] == [
            (fact.kind, fact.confidence) for fact in event.scene.facts
        ]
        return
    assert back.scene() == event.scene
    assert [fact.quotes for fact in back.scene().facts] == [fact.quotes for fact in event.scene.facts]


def test_every_field_of_an_enrichment_is_kept_but_for_the_embeddings() -> None:
    filled = {field.name for name in EVENTS for field in fields(EnrichmentResult)
              if getattr(recorded(name).enrichment, field.name) != getattr(EnrichmentResult(), field.name)}  # fmt: skip
    seldom = {"demographics_results", "vehicle_classifications", "action_results", "vehicle_reid_matches",
              "repeated_threats", "nothing", "processing_time_ms"}  # fmt: skip
    assert filled | seldom == {field.name for field in fields(EnrichmentResult)} - {"reid_embeddings"}
    assert busy_event().enrichment.data.reid_embeddings  # type: ignore[union-attr]
    assert recorded().enrichment.reid_embeddings == {}  # type: ignore[union-attr]


def test_a_language_model_s_judgement_comes_back_as_it_was() -> None:
    kept = replace(recorded(), risk=TOLD)
    assert from_line(to_line(kept)) == kept


def test_nothing_attempted_is_not_nothing_found() -> None:
    event = make_event([DetectionInput("a", "person", 0.9, Box(1, 2, 3, 4))])
    event.enrichment.data = None
    event.enrichment.status = EnrichmentStatus.FAILED
    back = from_line(to_line(record(event)))
    assert back.enrichment is None
    assert back.status is EnrichmentStatus.FAILED


def test_boxes_are_those_of_the_picture() -> None:
    given_in_another_size = DetectionInput("a", "person", 0.9, Box(10, 10, 20, 20), source_size=(640, 480))
    kept = record(make_event([given_in_another_size], size=(320, 240)))
    assert kept.detections[0].bbox == Box(5, 5, 10, 10)
    assert kept.detections[0].source_size is None


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_not_finite_comes_back(number: float) -> None:
    data = EnrichmentResult(plate_votes={"c": replace(vote("AB1"), confidence=number)})
    line = to_line(record(make_event(data=data)))
    orjson.loads(line)  # any reader of JSON takes it
    back = from_line(line).enrichment
    assert back is not None
    assert repr(back.plate_votes["c"].confidence) == repr(number)


def test_a_file_name_that_is_no_text_is_spelled_out() -> None:
    assert from_line(to_line(record(make_event(source="porch\udcff.jpg")))).source == "porch\\udcff.jpg"


def line_with(**changes: Any) -> bytes:
    content = orjson.loads(to_line(recorded()))
    return orjson.dumps({**content, "event": {**content["event"], **changes}})


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{", "no JSON"),
        (b"[]", "no recorded event"),
        (b'{"version": 1, "events": [], "failed": []}', "no recorded event"),
        (b'{"version": 2, "event": {}}', "version 2"),
        (b'{"version": "x%s", "event": {}}' % (b"x" * 900), "known is version 1"),
        (b'{"version": 1, "event": {}}', "event.source"),
        (line_with(width="wide"), "event.width"),
        (line_with(detections=[{"id": "a"}]), "event.detections.0.class_name"),
        (line_with(status="splendid"), "event.status"),
        (line_with(enrichment=[]), "event.enrichment"),
        (
            line_with(
                risk={
                    "risk_score": 250,
                    "summary": "",
                    "reasoning": "",
                    "reasons": [],
                    "source": "rules",
                    "version": "rules-3",
                }
            ),
            "0 to 100; it is 250",
        ),
    ],
)
def test_a_line_that_holds_no_event_says_what_is_wrong(line: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words) as raised:
        from_line(line)
    assert len(str(raised.value)) < 1000


def test_what_a_later_version_adds_is_passed_over() -> None:
    content = orjson.loads(to_line(recorded()))
    content["event"]["mood"] = "calm"
    content["event"]["enrichment"]["auras"] = {}
    assert from_line(orjson.dumps(content)) == recorded()


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join([to_line(recorded()), b"\n", b"{\n", to_line(recorded("armed"))]))
    first, broken, last = read_events(path)
    assert (first, last) == (recorded(), recorded("armed"))
    assert isinstance(broken, Unreadable)
    assert broken.line == 3


def test_a_line_without_an_end_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"x" * (MOST_BYTES * 2) + b"\n" + to_line(recorded()))
    broken, after = read_events(path)
    assert isinstance(broken, Unreadable)
    assert str(MOST_BYTES) in broken.why
    assert after == recorded()


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        list(read_events(tmp_path / "none.jsonl"))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_event_or_a_sentence(line: bytes) -> None:
    with pytest.raises(InputError):
        from_line(line)
