"""How fast `GET /health` answers another process: idle, while models load, and while every core runs a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.comparison import MIN_PROCESSES
from benchmarks.processes import MeasurementFailed
from benchmarks.serving.cold import percentile
from benchmarks.serving.companion import Companion
from benchmarks.serving.pictures import RAW
from benchmarks.serving.servers import Server, ours
from benchmarks.work import Answer, Work

GOAL_MS = 50.0
#: Between an answer and the next question, so that a thousand of them last long enough to meet several loads.
PAUSE_S = 0.005
#: Of one order of load in the background; it is repeated until the questions are answered.
BURST_S = 2.0
CONNECTIONS = 8
BUSY_ROUTE = "/pose-analyze"
WHILE = {"idle": "nothing else is asked", "loading": "models load", "busy": f"8 connections ask {BUSY_ROUTE}"}


def work(models: Mapping[str, str], places: Mapping[str, str], requests: int) -> Work:
    """All three in one fresh service.

    Args:
        models: route by name, of the models that have weights.
        places: `models_dir`, `cache_dir` and `folder`, where the picture is.
        requests: of `GET /health`, each time.
    """
    folder = Path(places["folder"])
    data = (folder / RAW.file).read_bytes()
    order = {**RAW.order(folder), "path": BUSY_ROUTE, "connections": CONNECTIONS, "seconds": BURST_S}
    facts: dict[str, Any] = {}
    with (
        Companion("benchmarks.serving.http_load") as asker,
        Companion("benchmarks.serving.http_load") as load,
        Server(ours("light", places["models_dir"], places["cache_dir"])) as server,
    ):
        question = {"port": server.port, "path": "/health", "requests": requests, "pause_s": PAUSE_S}
        facts["memory_mib"] = {"before": server.memory_mib()}
        facts["idle"] = numbers(asker.ask(question)["latencies_ms"])
        turn = cycle(models.items())
        with meanwhile(lambda: _reload(server, *next(turn), data)) as loads:
            latencies = asker.ask(question)["latencies_ms"]
        facts["loading"] = {**numbers(latencies), "meanwhile": sum(loads), "of": "loads"}
        if BUSY_ROUTE in models.values():
            with meanwhile(lambda: load.ask({**order, "port": server.port})["count"]) as answered:
                latencies = asker.ask(question)["latencies_ms"]
            facts["busy"] = {**numbers(latencies), "meanwhile": sum(answered), "of": "answers"}
        for model, route in models.items():
            _load(server, model, route, data)
        facts["memory_mib"]["after"] = server.memory_mib()
        facts["models"] = server.ask("/models").content["models"]
    return Work({}, lambda: facts)


def numbers(latencies_ms: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile and the slowest."""
    return {
        "requests": len(latencies_ms),
        "p50_ms": percentile(latencies_ms, 50),
        "p99_ms": percentile(latencies_ms, 99),
        "max_ms": max(latencies_ms),
    }


@contextmanager
def meanwhile(act: Callable[[], int]) -> Iterator[list[int]]:
    """Do something again and again in a thread while the block runs; what it gave each time is collected.

    Raises:
        MeasurementFailed: it never came to an end, so it was not there to be measured beside.
    """
    given: list[int] = []
    failed: list[Exception] = []
    stop = threading.Event()

    def repeat() -> None:
        try:
            while not stop.is_set():
                given.append(act())
        except Exception as error:  # noqa: BLE001 - raised below, in the thread that measures
            failed.append(error)

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield given
    finally:
        stop.set()
        thread.join()
    if failed:
        raise failed[0]
    if not sum(given):
        raise MeasurementFailed("nothing happened meanwhile")


def rows(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """One row for each state of the service: medians over the processes, and the range of their 99th percentiles."""
    return [row(kind, [answer.facts[kind] for answer in answers if kind in answer.facts])
            for kind in WHILE if any(kind in answer.facts for answer in answers)]  # fmt: skip


def row(kind: str, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the processes found of one kind. The goal is for the median of their 99th percentiles."""
    p99 = [one["p99_ms"] for one in found]
    judged = median(p99)
    too_few = len(found) < MIN_PROCESSES
    unjudged = f"not judged ({len(found)} of {MIN_PROCESSES} processes)"
    word = "holds" if judged <= GOAL_MS else f"falls short ({judged:.0f} ms, goal {GOAL_MS:.0f} ms)"
    return {
        "kind": kind,
        "while": WHILE[kind],
        "requests": sum(one["requests"] for one in found),
        "meanwhile": [f"{one['meanwhile']} {one['of']}" for one in found if "meanwhile" in one],
        "p50_ms": median(one["p50_ms"] for one in found),
        "p99_ms": judged,
        "p99_ms_of_processes": [min(p99), max(p99)],
        "max_ms": max(one["max_ms"] for one in found),
        "goal_ms": GOAL_MS,
        "verdict": unjudged if too_few else word,
    }


def _reload(server: Server, model: str, route: str, data: bytes) -> int:
    server.ask(f"/models/unload?model_name={model}", b"")
    _load(server, model, route, data)
    return 1


def _load(server: Server, model: str, route: str, data: bytes) -> None:
    reply = server.ask(route, data, RAW.content_type)
    if reply.status != 200:
        raise MeasurementFailed(f"{model} answered {reply.status}: {str(reply.content)[:300]}")
