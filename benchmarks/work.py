"""What one process measures, and what it says about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from benchmarks.pairs import Call, Samples
from benchmarks.serving.windows import Window


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to measure in a process of its own.

    Attributes:
        key: its name in a run.
        work: name in `child.WORKS`.
        arguments: of that function; plain JSON.
        most_rounds: readings at most, for calls of seconds; None: as many as the run asks for.
    """

    key: str
    work: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    most_rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a child found ready to be timed.

    Attributes:
        alternatives: calls to time in turns, by name; empty for work that only prepares.
        facts: what to say about it, asked for after the timing; plain JSON.
        windows: alternatives that say themselves what they read.
        close: ends what was started for it.
    """

    alternatives: Mapping[str, Call]
    facts: Callable[[], Mapping[str, Any]] = dict
    windows: Mapping[str, Window] = field(default_factory=dict)
    close: Call = lambda: None


@dataclass(frozen=True, slots=True)
class Answer:
    """What one process measured.

    Attributes:
        samples: readings by alternative.
        facts: as the work gave them.
    """

    samples: Mapping[str, Samples]
    facts: Mapping[str, Any]
