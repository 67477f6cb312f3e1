"""Windows of load in turns: each alternative for a second or two, then the next; a slow minute hits them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.pairs import Samples, turns


@dataclass(frozen=True, slots=True)
class Reading:
    """One window.

    Attributes:
        wall_ms: its length over the requests that it answered: 1000 / requests per second.
        cpu_ms: processor time of the server for each request.
    """

    wall_ms: float
    cpu_ms: float


Window = Callable[[], Reading]


def in_turns(windows: Mapping[str, Window], rounds: int) -> dict[str, Samples]:
    """One window of each to warm up, then one a round, each round beginning with the next."""
    samples = {name: Samples() for name in windows}
    if rounds:
        for window in windows.values():
            window()
    for name in turns(list(windows), rounds):
        reading = windows[name]()
        samples[name].wall_ms.append(reading.wall_ms)
        samples[name].cpu_ms.append(reading.cpu_ms)
    return samples


def reading(count: int, elapsed_s: float, cpu_s: float) -> Reading:
    """Of so many requests.

    Raises:
        ValueError: none was answered.
    """
    if count < 1:
        raise ValueError("a window without an answer says nothing")
    return Reading(elapsed_s * 1000 / count, cpu_s * 1000 / count)
