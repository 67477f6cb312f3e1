"""The whole of `analyze`, warm and in process, beside the sum of its networks run bare and one decode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.bare import bare_calls, recording
from benchmarks.comparison import Goal
from benchmarks.pairs import Call
from benchmarks.scene import load_options
from benchmarks.table import Row
from benchmarks.work import Answer, Job, Work
from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.analysis import Analyzer, Event
from hearthwatch.hosting import LocalRunner
from hearthwatch.models import get_model
from hearthwatch.vision.decode import decode
from hearthwatch.vision.picture import Picture

GROUP = "analyze"
THREADS = "analyze with two calls at a time"
GOAL = Goal(1.25)

#: `Event.timings_ms` and `Event.infer_ms` of one analysis.
Times = tuple[Mapping[str, float], Mapping[str, float]]


def jobs(prepared: Mapping[str, Any], models_dir: str, cache_dir: str) -> list[Job]:
    """The analysis beside what it rests on, and beside itself with two calls to the networks at a time."""
    given = {"scene": prepared["scene"], "models_dir": models_dir, "cache_dir": cache_dir}
    return [Job(GROUP, "analyze", given), Job(THREADS, "threads", given)]


def rows(prepared: Mapping[str, Any]) -> list[Row]:
    """The first has the goal; the second says what `LocalRunner(threads=2)` would bring here."""
    name = f"1080p photo, {prepared['persons']} people found"
    sides = (GROUP, "analyze"), (GROUP, "bare")
    return [
        Row(GROUP, name, *sides, GOAL, ("analyze", "one decode and bare networks"), note=prepared["source"]),
        Row(GROUP, name, (THREADS, "two calls at a time"), (THREADS, "one call at a time")),
    ]


def work(scene: str, models_dir: str, cache_dir: str) -> Work:
    """The analysis, and the same engine calls without it."""
    data, options, loop = Path(scene).read_bytes(), load_options(models_dir, cache_dir), _loop()
    runner = LocalRunner(options)
    times: list[Times] = []
    analyze = _analysis(loop, runner, data, times)
    event = analyze()
    if event.errors:  # what failed took no time
        raise ValueError(event.errors[0])
    calls = [call for model in event.infer_ms for call in _bare(loop, runner, options, model, analyze)]

    def bare() -> None:
        decode(data)
        for call in calls:
            call()

    times.clear()
    return Work({"analyze": analyze, "bare": bare}, lambda: {"people": _people(event), "parts": _parts(times)})


def threads_work(scene: str, models_dir: str, cache_dir: str) -> Work:
    """The analysis with one and with two calls to the networks at a time."""
    data, options, loop = Path(scene).read_bytes(), load_options(models_dir, cache_dir), _loop()
    names = {1: "one call at a time", 2: "two calls at a time"}
    runners = {name: LocalRunner(options, threads=threads) for threads, name in names.items()}
    return Work({name: _analysis(loop, runner, data, []) for name, runner in runners.items()})


def _loop() -> asyncio.AbstractEventLoop:
    # Not asyncio.Runner: on leaving it looks a signal handler up, which in Python 3.11 builds the repr of the result.
    return asyncio.new_event_loop()


def _analysis(
    loop: asyncio.AbstractEventLoop, runner: LocalRunner, data: bytes, times: list[Times]
) -> Callable[[], Event]:
    analyzer = Analyzer(runner)

    def analyze() -> Event:
        event = loop.run_until_complete(analyzer.analyze(Picture(data), "scene"))
        # The times and not the events: pictures that are kept would make each decoding take fresh memory.
        times.append((event.timings_ms, event.infer_ms))
        return event

    return analyze


def parts_of(answers: Sequence[Answer]) -> dict[str, dict[str, float]]:
    """Medians over the processes: part of `analyze` to milliseconds in all and inside the engine."""
    found: list[Mapping[str, Mapping[str, float]]] = [answer.facts["parts"] for answer in answers]
    return {
        part: {column: median(parts[part][column] for parts in found if part in parts) for column in ("ms", "infer_ms")}
        for part in found[0]
    }


def _bare(
    loop: asyncio.AbstractEventLoop, runner: LocalRunner, options: LoadOptions, model: str, analyze: Call
) -> list[Call]:
    """One model's engine calls of one analysis, without the model."""
    loaded = loop.run_until_complete(runner.load(model))
    with recording(loaded) as asked:
        analyze()
    adapter = get_model(model)
    path = None if adapter.SPEC.bundled else find(adapter, options).path
    return bare_calls(loaded.info, path, asked)


def _people(event: Event) -> int:
    return sum(detection.class_name == "person" for detection in event.detections)


def _parts(times: Sequence[Times]) -> dict[str, dict[str, float]]:
    """Where the time of the analyses went: medians, in all and inside the engine."""
    return {
        part: {
            "ms": median(in_all[part] for in_all, _ in times),
            "infer_ms": median(inside.get(part, 0.0) for _, inside in times),
        }
        for part in times[-1][0]
    }
