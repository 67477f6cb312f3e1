"""Rates compared: requests per second of ours over those of what stands beside it, and whether a goal holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.comparison import MIN_PAIRS, MIN_PROCESSES, Comparison
from benchmarks.serving.others import BENTOML, LITSERVE, STRAIGHTFORWARD
from benchmarks.serving.pictures import BASE64, RAW, TRANSPORTS
from benchmarks.serving.throughput import BARE, OURS, key
from benchmarks.table import Row, compare
from benchmarks.work import Answer

GROUP = "serving"
#: The connections at which goals are judged; at one the client's own time lies between two requests.
JUDGED = 8


@dataclass(frozen=True, slots=True)
class Pair:
    """Ours by one transport beside something.

    Attributes:
        transport: of ours; the others take base64 JSON, the bare loop nothing.
        beside: what.
        at_least: the goal for our rate over its.
    """

    transport: str
    beside: str
    at_least: float | None = None


#: Of `/person-reid`. The others' ratio is with the same transport as theirs. 1.0 is "ahead of".
PAIRS = (
    Pair(RAW.name, BARE, 0.88),
    Pair(BASE64.name, BARE, 0.75),
    Pair(BASE64.name, STRAIGHTFORWARD, 4.0),
    Pair(BASE64.name, LITSERVE, 1.0),
    Pair(BASE64.name, BENTOML, 1.0),
)
GOALS_OF = "/person-reid"


def rows(
    job: str, route: str, answers: Mapping[str, Sequence[Answer]], connections: Sequence[int]
) -> list[dict[str, Any]]:
    """One row for each number of connections and pair that was measured."""
    measured = answers[job][0].samples
    return [
        row(job, route, pair, count, answers)
        for count in connections
        for pair in PAIRS
        if {key(pair.beside, count), _ours(pair, count)} <= measured.keys()
    ]


def row(job: str, route: str, pair: Pair, connections: int, answers: Mapping[str, Sequence[Answer]]) -> dict[str, Any]:
    """Ours over the other. What stands beside is the subject of the comparison, so that the ratio is one of rates."""
    sides = (job, key(pair.beside, connections)), (job, _ours(pair, connections))
    found = compare(Row(GROUP, route, *sides), answers)
    goal = pair.at_least if route == GOALS_OF and connections == JUDGED else None
    return {
        "route": route,
        "transport": pair.transport,
        "connections": connections,
        "requests_per_s": 1000 / found.reference.wall_ms,
        "cpu_ms": found.reference.cpu_ms,
        "beside": pair.beside,
        "beside_requests_per_s": 1000 / found.subject.wall_ms,
        "beside_cpu_ms": found.subject.cpu_ms,
        "ratio": found.ratio,
        "interval": list(found.interval),
        "of_processes": list(found.range),
        "processes": found.processes,
        "windows": found.pairs,
        "goal": goal,
        "verdict": verdict(found, goal),
    }


def _ours(pair: Pair, connections: int) -> str:
    return key(f"{OURS}, {pair.transport}", connections)


def verdict(found: Comparison, at_least: float | None) -> str:
    """Whether a rate is as high as its goal, in words: it holds when the interval touches it. Empty without a goal."""
    if at_least is None:
        return ""
    if found.processes < MIN_PROCESSES or found.pairs < MIN_PAIRS:
        return f"not judged ({found.processes} of {MIN_PROCESSES} processes, {found.pairs} of {MIN_PAIRS} windows)"
    low, high = found.interval
    if high >= at_least:
        return "holds"
    return f"falls short ({found.ratio:.2f}, interval {low:.2f}..{high:.2f}, goal {at_least:g})"


def load_generator(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """What the load generator costs, on a server without work: medians over the processes."""
    found = []
    for connections in (1, JUDGED):
        for transport in TRANSPORTS:
            name = key(transport.name, connections)
            taken = [answer for answer in answers if name in answer.samples]
            if taken:
                found.append({
                    "transport": transport.name,
                    "connections": connections,
                    "requests_per_s": 1000 / median(median(answer.samples[name].wall_ms) for answer in taken),
                    "client_cpu_ms": median(answer.facts["client_ms"][name] for answer in taken),
                    "server_cpu_ms": median(median(answer.samples[name].cpu_ms) for answer in taken),
                })  # fmt: skip
    return found


def model_rows(models: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `GET /models` says, as far as it is of interest here."""
    kept = ("name", "state", "engine", "precision", "declared_mb", "measured_mb", "cost_source")
    return [{name: row.get(name) for name in kept} for row in models]


def memory(found: Sequence[Mapping[str, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """MiB of the light service before any model and with all of them: medians over the processes."""
    if not found:
        return {}
    return {
        moment: {kind: median(one[moment][kind] for one in found) for kind in ("anonymous", "resident")}
        for moment in ("before", "after")
    }


def starts(answers: Mapping[str, Sequence[Answer]], jobs: Sequence[str]) -> list[dict[str, Any]]:
    """Seconds until each server served, and what it takes at the end: medians over the processes of its first job."""
    taken: dict[str, list[tuple[float, Mapping[str, float]]]] = {}
    for answer in next((answers[job] for job in jobs if job in answers), ()):
        facts = answer.facts
        taken.setdefault(OURS, []).append((facts["start_s"], facts["memory_mib"]["after"]))
        for name, seconds in facts["other_start_s"].items():
            taken.setdefault(name, []).append((seconds, facts["other_memory_mib"][name]))
    return [
        {"server": name, "start_s": median(s for s, _ in of), "resident_mib": median(m["resident"] for _, m in of),
         "anonymous_mib": median(m["anonymous"] for _, m in of)}
        for name, of in taken.items()
    ]  # fmt: skip
