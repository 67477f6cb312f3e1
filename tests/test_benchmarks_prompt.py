"""The benchmark of the prompt: an event as busy as it says, and lengths before and inside the budget."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import prompt
from benchmarks.busy_event import CAMERA, KINDS, busy_event
from benchmarks.llama_server import VARIABLE

from hearthwatch.prompt import collect_facts


def test_the_event_has_facts_about_every_detection() -> None:
    event = busy_event(prompt.DETECTIONS)
    assert len(event.detections) == 50
    scene = collect_facts(event.detections, event.known, event.when, CAMERA)
    assert {fact.subject for fact in scene.facts} >= {one.id for one in event.detections}
    assert len(scene.facts) > 6 * 50
    assert set(KINDS) == {one.class_name for one in event.detections}


def test_two_events_differ() -> None:
    assert prompt.prompt_of(busy_event(5)).user != prompt.prompt_of(busy_event(5, seed=7)).user
    assert prompt.prompt_of(busy_event(5)).system == prompt.prompt_of(busy_event(5, seed=7)).system


def test_what_is_measured_is_told() -> None:
    work = prompt.work(times=3)
    for call in work.alternatives.values():
        call()
    facts = work.facts()
    told = "\n".join(prompt.sections({prompt.GROUP: facts}))
    assert "the goal is 5 ms" in told
    for size, found in facts["lengths"].items():
        assert found["after"] <= prompt.BUDGET, size
        assert found["after"] <= found["before"]
        assert bool(found["dropped"]) == (found["after"] < found["before"])
    assert facts["lengths"]["50"]["dropped"] > 0
    assert facts["lengths"]["1"]["dropped"] == 0


def test_without_a_server_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", "")
    plan = prompt.prepare(tmp_path, [], tmp_path, print, quick=True)
    assert "llama-server" in plan.skipped[prompt.CACHE]
    assert [job.key for job in plan.jobs] == [prompt.GROUP]


def test_what_a_server_knew_is_told() -> None:
    read = {
        "first": {"read": 4000, "known": 0},
        "second": {"read": 1000, "known": 3000},
        "same": {"read": 1, "known": 3999},
    }
    told = "\n".join(prompt.sections({prompt.CACHE: read}))
    assert "0.25 of the first" in told
