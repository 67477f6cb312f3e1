"""Two alternatives compared: the ratio of their times, how sure it is, and whether a goal holds.

A ratio is the subject's time over the reference's, below 1 where the subject is faster. Each process gives the median
of its pairs' ratios, and the ratio is the median of those. Its 95 % interval comes from a bootstrap in two steps:
processes are drawn with replacement, then pairs inside each. All pairs in one pot would look surer than they are,
for the pairs of one process share its luck (where its memory lies, what else ran).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: A goal is judged by no fewer.
MIN_PROCESSES = 5
MIN_PAIRS = 7
#: Resamples of the bootstrap, and the seed that makes a table come out the same from the same readings.
RESAMPLES = 4000
SEED = 20261120

Ratios = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Goal:
    """What a ratio should not exceed.

    Attributes:
        at_most: the ratio.
        above_ms: the goal is for references slower than this; a fixed cost weighs more on a faster one.
    """

    at_most: float
    above_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One alternative: median over the processes' medians, milliseconds of one call."""

    name: str
    wall_ms: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Subject against reference.

    Attributes:
        group: decode, models …
        name: what was done.
        subject: whose ratio it is.
        reference: what it is measured against.
        ratio: of wall time.
        interval: 95 % interval of the ratio.
        range: the least and the largest ratio of a process.
        cpu_ratio: of processor time.
        processes: that were measured.
        pairs: in each.
        goal: that applies to it, if any.
        note: what a reader should know.
    """

    group: str
    name: str
    subject: Timing
    reference: Timing
    ratio: float
    interval: tuple[float, float]
    range: tuple[float, float]
    cpu_ratio: float
    processes: int
    pairs: int
    goal: float | None = None
    note: str = ""

    @property
    def verdict(self) -> str:
        """Whether the goal holds, in words; empty where there is none.

        A goal holds when the interval touches it.
        """
        if self.goal is None:
            return ""
        if self.processes < MIN_PROCESSES or self.pairs < MIN_PAIRS:
            return f"not judged ({self.processes} of {MIN_PROCESSES} processes, {self.pairs} of {MIN_PAIRS} pairs)"
        low, high = self.interval
        if low <= self.goal:
            return "holds"
        return f"falls short ({self.ratio:.2f}, interval {low:.2f}..{high:.2f}, goal {self.goal:g})"


def ratios_of(subject: npt.ArrayLike, reference: npt.ArrayLike) -> Ratios:
    """Readings by process and pair to ratios by process and pair.

    Raises:
        ValueError: no readings, or not as many of the one as of the other.
    """
    first, second = np.asarray(subject, np.float64), np.asarray(reference, np.float64)
    if first.ndim != 2 or first.size == 0 or first.shape != second.shape:
        raise ValueError(f"readings must be processes x pairs on both sides; got {first.shape} and {second.shape}")
    return first / second


def median_ratio(ratios: Ratios) -> float:
    """The median over the processes of the median over the pairs."""
    return float(np.median(np.median(ratios, axis=1)))


def interval_of(ratios: Ratios, *, seed: int = SEED) -> tuple[float, float]:
    """The 95 % interval of `median_ratio`, by the two-step bootstrap."""
    rng = np.random.default_rng(seed)
    processes, pairs = ratios.shape
    drawn = rng.integers(processes, size=(RESAMPLES, processes))
    inside = rng.integers(pairs, size=(RESAMPLES, processes, pairs))
    medians = np.median(np.median(ratios[drawn[:, :, None], inside], axis=2), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(low), float(high)


def median_ms(readings: Sequence[Sequence[float]]) -> float:
    """The median over the processes of the median over the readings."""
    return float(np.median([np.median(values) for values in readings]))
