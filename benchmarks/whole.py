"""The whole of `analyze`, warm and in process, beside the sum of its networks run bare and one decode."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare import bare_calls, recording
from benchmarks.comparison import Goal
from benchmarks.pairs import Call
from benchmarks.scene import load_options
from benchmarks.table import Row
from benchmarks.work import Answer, Job, Work
from hearthwatch.adapter.loading import LoadOptions, find
from hearthwatch.analysis import Analyzer, Event
from hearthwatch.hosting import LocalRunner
from hearthwatch.models import get_model
from hearthwatch.vision.decode import decode
from hearthwatch.vision.picture import Picture

GROUP = "analyze"
GOAL = Goal(1.25)


def jobs(prepared: Mapping[str, Any], models_dir: str, cache_dir: str) -> list[Job]:
    """One: the scene."""
    return [Job(GROUP, GROUP, {"scene": prepared["scene"], "models_dir": models_dir, "cache_dir": cache_dir})]


def rows(prepared: Mapping[str, Any]) -> list[Row]:
    """One, with a goal."""
    name = f"1080p photo, {prepared['persons']} people found"
    sides = (GROUP, "analyze"), (GROUP, "bare")
    return [Row(GROUP, name, *sides, GOAL, ("analyze", "one decode and bare networks"), note=prepared["source"])]


def work(scene: str, models_dir: str, cache_dir: str) -> Work:
    """The analysis, and the same engine calls without it."""
    data = Path(scene).read_bytes()
    options = load_options(models_dir, cache_dir)
    loop = asyncio.Runner()
    runner = LocalRunner(options)
    analyzer = Analyzer(runner)
    events: list[Event] = []

    def analyze() -> None:
        events.append(loop.run(analyzer.analyze(Picture(data), "scene")))

    analyze()
    calls = [call for model in events[0].infer_ms for call in _bare(loop, runner, options, model, analyze)]

    def bare() -> None:
        decode(data)
        for call in calls:
            call()

    events.clear()
    return Work({"analyze": analyze, "bare": bare}, lambda: _facts(events))


def parts_of(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Medians over the processes: part of `analyze` to milliseconds in all and inside the engine."""
    found: list[Mapping[str, Mapping[str, float]]] = [answer.facts["parts"] for answer in answers]
    return {
        part: {column: median(parts[part][column] for parts in found if part in parts) for column in ("ms", "infer_ms")}
        for part in found[0]
    }


def _bare(loop: asyncio.Runner, runner: LocalRunner, options: LoadOptions, model: str, analyze: Call) -> list[Call]:
    """One model's engine calls of one analysis, without the model."""
    loaded = loop.run(runner.load(model))
    with recording(loaded) as asked:
        analyze()
    adapter = get_model(model)
    path = None if adapter.SPEC.bundled else find(adapter, options).path
    return bare_calls(loaded.info, path, asked)


def _facts(events: Sequence[Event]) -> dict[str, Any]:
    """What the events say about themselves: people, and where the time went."""
    last = events[-1]
    parts = {
        part: {
            "ms": median(event.timings_ms[part] for event in events),
            "infer_ms": median(event.infer_ms.get(part, 0.0) for event in events),
        }
        for part in last.timings_ms
    }
    people = sum(detection.class_name == "person" for detection in last.detections)
    return {"people": people, "detections": len(last.detections), "status": str(last.status), "parts": parts}
