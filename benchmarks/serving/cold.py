"""The first answer of a service that was just started, with and without a cache of engines, and after an unload."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.processes import MeasurementFailed
from benchmarks.serving.pictures import RAW
from benchmarks.serving.servers import Reply, Server, ours
from benchmarks.work import Answer, Work

#: A goal is judged by no fewer.
MIN_READINGS = 10
#: What is measured, the goal for the 95th percentile in milliseconds, and what a reader should know.
KINDS: Mapping[str, tuple[str, float | None]] = {
    "warm": ("just started, with a cache of engines", 500.0),
    "cold": ("just started, without any cache", 5000.0),
    "reload": ("after an unload", None),
}


@dataclass(frozen=True, slots=True)
class First:
    """Milliseconds of one service's first answers.

    Attributes:
        start_ms: until it served.
        first_ms: of the first answer after that.
        reload_ms: of the first one after an unload.
        first_cpu_ms: processor time of the service and its children for the first answer.
        reload_cpu_ms: likewise.
        returned_mib: that the unload gave back, by the service's own measure.
    """

    start_ms: float
    first_ms: float
    reload_ms: float
    first_cpu_ms: float
    reload_cpu_ms: float
    returned_mib: float


def work(model: str, route: str, places: Mapping[str, str], readings: int) -> Work:
    """Start the light service again and again, first without a cache and then with the one that this left behind.

    Args:
        model: behind the route.
        route: path.
        places: `models_dir`, and `folder` where the picture is.
        readings: of each kind.
    """
    data = (Path(places["folder"]) / RAW.file).read_bytes()
    found: dict[str, list[First]] = {"cold": [], "warm": []}
    for _ in range(readings):
        with tempfile.TemporaryDirectory(prefix="benchmark-cache-") as cache:
            for kind in ("cold", "warm"):
                with Server(ours("light", places["models_dir"], cache)) as server:
                    found[kind].append(
                        first_answers(server.ask, server.cpu_s, server.start_s * 1000, model, route, data)
                    )
    facts = {
        "start_ms": [one.start_ms for ones in found.values() for one in ones],
        **{kind: [one.first_ms for one in ones] for kind, ones in found.items()},
        "reload": [one.reload_ms for one in found["warm"]],
        "cpu_ms": {
            **{kind: [one.first_cpu_ms for one in ones] for kind, ones in found.items()},
            "reload": [one.reload_cpu_ms for one in found["warm"]],
        },
        "returned_mib": [one.returned_mib for one in found["warm"]],
    }
    return Work({}, lambda: facts)


def first_answers(
    ask: Callable[..., Reply], cpu_s: Callable[[], float], start_ms: float, model: str, route: str, data: bytes
) -> First:
    """Ask, unload, ask again.

    Raises:
        MeasurementFailed: an answer that is not 200.
    """

    def answered(reply: Reply) -> Reply:
        if reply.status != 200:
            raise MeasurementFailed(f"{model} answered {reply.status}: {str(reply.content)[:300]}")
        return reply

    def asked() -> tuple[float, float]:
        before = cpu_s()
        reply = answered(ask(route, data, RAW.content_type))
        return reply.ms, (cpu_s() - before) * 1000

    first_ms, first_cpu_ms = asked()
    unloaded = answered(ask(f"/models/unload?model_name={model}", b""))
    reload_ms, reload_cpu_ms = asked()
    returned_mib = unloaded.content["bytes_returned"] / (1 << 20)
    return First(start_ms, first_ms, reload_ms, first_cpu_ms, reload_cpu_ms, returned_mib)


def rows(answers: Mapping[str, Sequence[Answer]], models: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """One row for each model and kind.

    Args:
        answers: by key of the job.
        models: (key of the job, name of the model).
    """
    return [
        row(
            model,
            kind,
            _all([answer.facts for answer in answers[key]], kind),
            _all([answer.facts["cpu_ms"] for answer in answers[key]], kind),
        )
        for key, model in models
        if key in answers
        for kind in KINDS
    ]


def _all(found: Sequence[Mapping[str, Sequence[float]]], kind: str) -> list[float]:
    return [value for one in found for value in one[kind]]


def row(model: str, kind: str, readings: Sequence[float], cpu_ms: Sequence[float]) -> dict[str, Any]:
    """Median, 95th percentile (the nearest reading above, so that of ten it is the slowest), slowest, median CPU-ms."""
    text, goal = KINDS[kind]
    p95 = percentile(readings, 95)
    numbers = {"readings": len(readings), "median_ms": median(readings), "p95_ms": p95, "max_ms": max(readings),
               "cpu_ms": median(cpu_ms)}  # fmt: skip
    return {"model": model, "kind": kind, "what": text, **numbers, "goal_ms": goal,
            "verdict": verdict(p95, goal, len(readings))}  # fmt: skip


def verdict(value: float, goal: float | None, readings: int, least: int = MIN_READINGS) -> str:
    """Whether a value is within its goal, in words; empty where there is none."""
    if goal is None:
        return ""
    if readings < least:
        return f"not judged ({readings} of {least} readings)"
    return "holds" if value <= goal else f"falls short ({value:.0f} ms, goal {goal:.0f} ms)"


def percentile(readings: Sequence[float], percent: float) -> float:
    """The least reading that so many percent of them do not exceed."""
    return float(np.percentile(readings, percent, method="inverted_cdf"))
