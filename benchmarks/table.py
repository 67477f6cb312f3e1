"""Rows of the table: which readings are compared, and against which goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.comparison import Comparison, Goal, Timing, interval_of, median_ms, median_ratio, ratios_of
from benchmarks.pairs import Samples
from benchmarks.processes import readings
from benchmarks.work import Answer

#: (key of the job, name of the alternative)
Side = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison to make.

    Attributes:
        group: decode, models …
        name: what was done.
        subject: whose ratio it is.
        reference: what it is measured against. Where it is of another job, pairs are made of the readings with the same
            number in processes with the same number, which ran one after the other.
        goal: for the ratio.
        names: what to call subject and reference; their alternatives' names where None.
        note: what a reader should know.
    """

    group: str
    name: str
    subject: Side
    reference: Side
    goal: Goal | None = None
    names: tuple[str, str] | None = None
    note: str = ""


def compare(row: Row, answers: Mapping[str, Sequence[Answer]]) -> Comparison:
    """Fill one row in.

    Raises:
        KeyError: a job of the row was not measured.
    """
    subject, reference = (readings(answers, *side) for side in (row.subject, row.reference))
    ratios = ratios_of([s.wall_ms for s in subject], [s.wall_ms for s in reference])
    of_processes = np.median(ratios, axis=1)
    names = row.names or (row.subject[1], row.reference[1])
    timings = _timing(names[0], subject), _timing(names[1], reference)
    goal = row.goal
    return Comparison(
        group=row.group,
        name=row.name,
        subject=timings[0],
        reference=timings[1],
        ratio=median_ratio(ratios),
        interval=interval_of(ratios),
        range=(float(of_processes.min()), float(of_processes.max())),
        cpu_ratio=timings[0].cpu_ms / timings[1].cpu_ms,
        processes=ratios.shape[0],
        pairs=ratios.shape[1],
        goal=goal.at_most if goal is not None and timings[1].wall_ms > goal.above_ms else None,
        note=row.note,
    )


def _timing(name: str, taken: Sequence[Samples]) -> Timing:
    return Timing(name, median_ms([s.wall_ms for s in taken]), median_ms([s.cpu_ms for s in taken]))
