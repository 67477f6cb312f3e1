"""The same work against itself: how far a ratio is from 1 when nothing differs. Finer than that nothing can be told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.table import Row
from benchmarks.work import Job, Work

GROUP = "method"
#: Side of the matrices: a product takes some milliseconds on all cores, like a small network.
SIDE = 384


def jobs() -> list[Job]:
    """One: a matrix product twice."""
    return [Job(GROUP, "method", {"side": SIDE})]


def rows() -> Sequence[Row]:
    """One row, without a goal."""
    return [Row(GROUP, "a matrix product against itself", (GROUP, "once"), (GROUP, "again"), note="should be 1.00")]


def work(side: int) -> Work:
    """The same call under two names."""
    matrix = np.random.default_rng(0).random((side, side), dtype=np.float32)

    def product() -> object:
        return matrix @ matrix

    return Work({"once": product, "again": product}, lambda: {"side": side})
