"""Requests per second of one route: our service, a bare loop of the same work, and other servers, in turns.

All of them stand ready in processes of their own; all but the one that is measured are paused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import orjson

from benchmarks.baselines.same_work import Subject
from benchmarks.processes import MeasurementFailed
from benchmarks.serving.companion import Companion
from benchmarks.serving.others import others
from benchmarks.serving.pictures import BASE64, RAW, TRANSPORTS, Transport
from benchmarks.serving.servers import Server, ours
from benchmarks.serving.windows import Reading, Window, reading
from benchmarks.work import Work

OURS, BARE = "hearthwatch", "bare loop"
#: The least cosine between an embedding of a server and that of the bare loop: below it they do not do the same work.
#: Pillow on the whole picture and our decoder at a quarter of it are 0.997 alike.
AGREEMENT = 0.98


def work(
    service: str,
    model: str,
    route: str,
    places: Mapping[str, str],
    connections: Sequence[int],
    seconds: float,
    beside: Sequence[str] = (),
    transports: Sequence[str] = (RAW.name,),
) -> Work:
    """Windows of every server, of each transport and every number of connections.

    Args:
        service: of ours that has the route.
        model: behind it.
        route: path.
        places: `models_dir`, `cache_dir` and `folder`, where the bodies are.
        connections: to measure with.
        seconds: of a window.
        beside: names of `others`.
        transports: names of ours; the others are sent base64.

    Raises:
        MeasurementFailed: a server does not start, does not answer, or answers something else than the bare loop.
    """
    with ExitStack() as stack:
        ways = [transport for transport in TRANSPORTS if transport.name in transports]
        stand = _Stand(stack, route, ways, Path(places["folder"]))
        stand.start_ours(service, model, places)
        subject = Subject(model, places["models_dir"], *stand.engine(), _cores())
        bare = stand.start_beside(subject, beside)
        stand.compare(bare.ask({}).get("embedding"))
        windows: dict[str, Window] = {}
        for count in connections:
            windows[key(BARE, count)] = partial(_bare, bare, min(count, _cores()), seconds)
            windows |= stand.windows(count, seconds)
        stand.pause()
        return Work({}, stand.last_facts, windows=windows, close=stack.pop_all().close)


@dataclass(slots=True)
class Costs:
    """What the load generator took for each request, milliseconds, by alternative."""

    client_ms: dict[str, list[float]] = field(default_factory=dict)

    def medians(self) -> dict[str, float]:
        return {name: round(median(values), 4) for name, values in self.client_ms.items()}


class _Stand:
    """The servers of one route, and what was found out about them.

    Args:
        stack: ends what is started.
        route: path.
        transports: of ours.
        folder: with the bodies.
    """

    def __init__(self, stack: ExitStack, route: str, transports: Sequence[Transport], folder: Path) -> None:
        self._stack = stack
        self._route = route
        self._transports = transports
        self._folder = folder
        self._load = stack.enter_context(Companion("benchmarks.serving.http_load"))
        self._servers: dict[str, Server] = {}
        self._answers: dict[str, Any] = {}
        self._costs = Costs()
        self._facts: dict[str, Any] = {}

    def start_ours(self, service: str, model: str, places: Mapping[str, str]) -> None:
        """Start it and ask it once each way, which loads the model."""
        server = self._stack.enter_context(Server(ours(service, places["models_dir"], places["cache_dir"])))
        self._servers[OURS] = server
        self._facts["memory_mib"] = {"before": server.memory_mib()}
        for transport in self._transports:
            self._ask(OURS, transport)
        self._facts["model"] = model_row(server, model)

    def engine(self) -> tuple[str, str]:
        """Engine and precision of our service."""
        row = self._facts["model"]
        return row["engine"], row["precision"]

    def start_beside(self, subject: Subject, names: Sequence[str]) -> Companion:
        """Start the bare loop, which is returned, and other servers; these are asked once."""
        picture = str(self._folder / RAW.file)
        for name, command in others(subject, names).items():
            self._servers[name] = self._stack.enter_context(Server(command))
            self._ask(name, BASE64)
        arguments = orjson.dumps(subject.to_arguments()).decode(), picture
        return self._stack.enter_context(Companion("benchmarks.baselines.bare_loop", *arguments))

    def compare(self, expected: Sequence[float] | None) -> None:
        """Refuse to measure what gives another answer than the bare loop."""
        self._facts["agreement"] = agreements(expected, self._answers)

    def windows(self, connections: int, seconds: float) -> dict[str, Window]:
        """One for each server and transport."""
        found: dict[str, Window] = {}
        for name, server in self._servers.items():
            for transport in self._transports if name == OURS else (BASE64,):
                side = key(f"{name}, {transport.name}" if name == OURS else name, connections)
                order = {**transport.order(self._folder), "port": server.port, "path": self._route}
                order |= {"connections": connections, "seconds": seconds}
                found[side] = partial(_window, side, server, self._load, order, self._costs)
        return found

    def pause(self) -> None:
        for server in self._servers.values():
            server.pause()

    def last_facts(self) -> dict[str, Any]:
        """What is known at the end."""
        after = {name: server.memory_mib() for name, server in self._servers.items()}
        starts = {name: server.start_s for name, server in self._servers.items()}
        memory = {**self._facts["memory_mib"], "after": after.pop(OURS)}
        rest = {"start_s": starts.pop(OURS), "other_start_s": starts, "other_memory_mib": after}
        return {**self._facts, **rest, "memory_mib": memory, "client_ms": self._costs.medians()}

    def _ask(self, name: str, transport: Transport) -> None:
        body = (self._folder / transport.file).read_bytes()
        reply = self._servers[name].ask(self._route, body, transport.content_type)
        if reply.status != 200:
            raise MeasurementFailed(f"{name} answered {reply.status}: {str(reply.content)[:300]}")
        self._answers[f"{name}, {transport.name}"] = reply.content


def trivial_work(places: Mapping[str, str], connections: Sequence[int], seconds: float) -> Work:
    """The load generator against a server without work: what it costs, and what it can ask for at most."""
    with ExitStack() as stack:
        load = stack.enter_context(Companion("benchmarks.serving.http_load"))
        server = stack.enter_context(Server(others(None, ("trivial",))["trivial"]))
        costs = Costs()
        windows: dict[str, Window] = {}
        for count in connections:
            for transport in TRANSPORTS:
                order = {**transport.order(Path(places["folder"])), "path": "/", "connections": count}
                order |= {"port": server.port, "seconds": seconds}
                name = key(transport.name, count)
                windows[name] = partial(_window, name, server, load, order, costs)
        close = stack.pop_all().close
    return Work({}, lambda: {"client_ms": costs.medians()}, windows=windows, close=close)


def key(side: str, connections: int) -> str:
    """The name of an alternative's readings."""
    return f"{side} x{connections}"


def model_row(server: Server, model: str) -> dict[str, Any]:
    """What `GET /models` says about one model.

    Raises:
        MeasurementFailed: nothing.
    """
    rows: list[dict[str, Any]] = server.ask("/models").content["models"]
    row = next((row for row in rows if row["name"] == model), None)
    if row is None:
        raise MeasurementFailed(f"GET /models does not name {model}")
    kept = ("name", "state", "reason", "engine", "precision", "device", "declared_mb", "measured_mb", "cost_source")
    return {name: row.get(name) for name in kept}


def agreements(expected: Sequence[float] | None, answers: Mapping[str, Any]) -> dict[str, float]:
    """Cosines of embeddings with the bare loop's; empty for a model that gives none."""
    if expected is None:
        return {}
    found = {name: float(np.dot(answer["embedding"], expected)) for name, answer in answers.items()}
    for name, cosine in found.items():
        if not cosine >= AGREEMENT:
            raise MeasurementFailed(f"the answer of {name} has a cosine of {cosine:.4f} with that of the bare loop; "
                                    f"{AGREEMENT} is asked for")  # fmt: skip
    return found


def _bare(bare: Companion, threads: int, seconds: float) -> Reading:
    done = bare.ask({"threads": threads, "seconds": seconds})
    return reading(done["count"], done["elapsed_s"], done["cpu_s"])


def _window(name: str, server: Server, load: Companion, order: Mapping[str, Any], costs: Costs) -> Reading:
    return measured(name, server.resume, server.pause, server.cpu_s, partial(load.ask, order), costs)


def measured(
    name: str,
    resume: Callable[[], object],
    pause: Callable[[], object],
    cpu_s: Callable[[], float],
    send: Callable[[], Mapping[str, Any]],
    costs: Costs,
) -> Reading:
    """One window of a paused server: it goes on for as long as it is asked."""
    resume()
    try:
        cpu = cpu_s()
        done = send()
        spent = cpu_s() - cpu
    finally:
        pause()
    costs.client_ms.setdefault(name, []).append(done["cpu_s"] * 1000 / done["count"])
    return reading(done["count"], done["elapsed_s"], spent)


def _cores() -> int:
    return len(os.sched_getaffinity(0))
