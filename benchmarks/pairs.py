"""Timing alternatives in turns, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Call = Callable[[], object]
Clock = Callable[[], float]

#: One reading covers at least this much work: below it the clock, the collector and a stray interrupt are visible.
READING_MS = 20.0
#: Calls before anything counts: caches, lazy compilation, the processor's clock.
WARM_UP = 3
#: A call of seconds is warm after one.
LONG_MS = 1000.0


@dataclass(slots=True)
class Samples:
    """Milliseconds of one call of one alternative, one value a round.

    Attributes:
        wall_ms: by the wall clock.
        cpu_ms: of all threads of the process.
    """

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)


def interleave(
    alternatives: Mapping[str, Call],
    rounds: int,
    *,
    reading_ms: float = READING_MS,
    clock: Clock = time.perf_counter,
    cpu_clock: Clock = time.process_time,
) -> dict[str, Samples]:
    """Time each alternative once a round, in the order of `turns` (A B, B A, A B …).

    So none of them always follows the same one.

    Args:
        alternatives: what to call, by name.
        rounds: readings of each.
        reading_ms: a reading repeats a call until it has lasted about this long.
        clock: wall clock in seconds.
        cpu_clock: processor time in seconds.
    """
    repeats = {name: _repeats(call, reading_ms, clock) for name, call in alternatives.items()}
    samples = {name: Samples() for name in alternatives}
    for name in turns(list(alternatives), rounds):
        wall_ms, cpu_ms = _read(alternatives[name], repeats[name], clock, cpu_clock)
        samples[name].wall_ms.append(wall_ms)
        samples[name].cpu_ms.append(cpu_ms)
    return samples


def turns(names: Sequence[str], rounds: int) -> Iterator[str]:
    """Each name once a round; each round starts with the next one."""
    for turn in range(rounds):
        for place in range(len(names)):
            yield names[(turn + place) % len(names)]


def _repeats(call: Call, reading_ms: float, clock: Clock) -> int:
    """Warm up, and say how many calls make one reading."""
    fastest_ms = math.inf
    for _ in range(WARM_UP):
        fastest_ms = min(fastest_ms, _read(call, 1, clock, clock)[0])
        if fastest_ms > LONG_MS:
            break
    return 1 if fastest_ms >= reading_ms else math.ceil(reading_ms / max(fastest_ms, reading_ms / 1000))


def _read(call: Call, repeats: int, clock: Clock, cpu_clock: Clock) -> tuple[float, float]:
    """(wall, processor) milliseconds of one call, averaged over `repeats` of them."""
    cpu, wall = cpu_clock(), clock()
    for _ in range(repeats):
        call()
    wall_s, cpu_s = clock() - wall, cpu_clock() - cpu
    return wall_s * 1000 / repeats, cpu_s * 1000 / repeats
