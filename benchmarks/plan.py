"""What one group of a run measures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.table import Row
from benchmarks.work import Job


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        jobs: to do.
        rows: to print.
        skipped: what is left out, with the reason.
        facts: what was found out while preparing.
    """

    jobs: Sequence[Job] = ()
    rows: Sequence[Row] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
