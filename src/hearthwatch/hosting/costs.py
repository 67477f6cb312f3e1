"""What models cost, as measured, kept on disk: one JSON file per model, engine and machine.

A file that is damaged is measured again. What rejected an engine is kept for a day: a machine that was short of memory
may kill a process for no fault of the engine's.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.artifacts.lockfile import exclusive, replace_atomically
from hearthwatch.hosting.probe_job import Report

FOLDER = "costs"
#: Raise it when what is measured changes.
VERSION = 1
#: After that, an engine that was rejected is tried again.
REJECTED_S = 24 * 3600.0

_log = logging.getLogger(__name__)


class Costs:
    """Reports of probes by key.

    Args:
        cache_dir: they are kept in its folder `costs`.
        clock: seconds since the epoch.
    """

    def __init__(self, cache_dir: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._folder = cache_dir / FOLDER
        self._clock = clock

    def path(self, model: str, facts: Sequence[Any]) -> Path:
        """Where a report is kept, by everything that it depends on."""
        key = hashlib.sha256(orjson.dumps([VERSION, model, *facts])).hexdigest()[:32]
        return self._folder / f"{model}-{key}.json"

    def read(self, path: Path) -> Report | None:
        """A report that still holds; None where there is none."""
        try:
            kept = orjson.loads(path.read_bytes())
            report, age_s = Report.from_json(orjson.dumps(kept["report"])), self._clock() - float(kept["at"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as error:
            _log.warning("cost file=%s unusable=%s", path, error)
            return None
        return report if report.outcome == "measured" or 0 <= age_s < REJECTED_S else None

    def write(self, path: Path, report: Report) -> None:
        """Keep a report; the caller holds its lock. Where it cannot be written, it is measured again next time."""
        try:
            replace_atomically(path, orjson.dumps({"at": self._clock(), "report": report}))
        except OSError as error:
            _log.warning("cost file=%s kept=no reason=%s", path, error)

    @contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """One at a time, of all processes that share the folder.

        Raises:
            OSError: the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with exclusive(self._folder / f".{name}.guard"):
            yield
