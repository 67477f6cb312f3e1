"""How long builds took, so that the next one of the kind can say when it will be done. Nothing is guessed."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import orjson

from hearthwatch.runtimes.small_files import replace_atomically

_log = logging.getLogger(__name__)


class BuildTimes:
    """Seconds that builds took, by kind.

    Args:
        folder: one small file per kind is kept here.
    """

    #: Earlier builds that are remembered per kind.
    KEPT = 8

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def expected_s(self, kind: Sequence[str]) -> float | None:
        """The median of earlier builds of that kind, in seconds; None where there was none."""
        times = sorted(self._read(kind))
        return times[len(times) // 2] if times else None

    def add(self, kind: Sequence[str], seconds: float) -> None:
        """Remember a build that succeeded."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            replace_atomically(self._path(kind), orjson.dumps([*self._read(kind), seconds][-self.KEPT :]))
        except OSError as error:
            _log.warning("tensorrt build time kept=no reason=%s", error)

    def _read(self, kind: Sequence[str]) -> list[float]:
        try:
            times = orjson.loads(self._path(kind).read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return []
        numbers = [time for time in times if isinstance(time, float) and time > 0] if isinstance(times, list) else []
        return numbers[-self.KEPT :]

    def _path(self, kind: Sequence[str]) -> Path:
        return self._folder / f"{hashlib.sha256(orjson.dumps(list(kind))).hexdigest()[:16]}.json"
