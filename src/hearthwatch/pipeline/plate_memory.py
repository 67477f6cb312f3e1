"""Plates as they were read on each track, so that the frames of several batches vote together."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline.approach import FORGET_S, MAX_TRACKS
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.plates import MAX_READINGS, PlateVote, vote


@dataclass(slots=True)
class _Track:
    """The latest readings, and when the last one came in."""

    readings: deque[LicensePlateResult] = field(default_factory=lambda: deque(maxlen=MAX_READINGS))
    noted_at: float = 0.0


class PlateMemory:
    """Remembers readings by track for as long as tracks are remembered. Safe to be called from several threads.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._tracks: OrderedDict[tuple[str | None, str], _Track] = OrderedDict()

    def __len__(self) -> int:
        """Tracks that are remembered."""
        return len(self._tracks)

    def voted(
        self, detections: Sequence[DetectionInput], readings: Mapping[str, LicensePlateResult]
    ) -> dict[str, PlateVote]:
        """Remember a batch's readings, and the vote of each track by detection id.

        Args:
            detections: those without a track have no vote: their one reading says it all.
            readings: by detection id.
        """
        with self._lock:
            now = self._clock()
            of_track = [one for one in detections if one.track_id is not None and one.id in readings]
            for one in of_track:
                self._note((one.camera, str(one.track_id)), readings[one.id], now)
            votes = {one.id: vote(self._tracks[one.camera, str(one.track_id)].readings) for one in of_track}
            self._forget(now)
        return {key: found for key, found in votes.items() if found is not None}

    def _note(self, key: tuple[str | None, str], reading: LicensePlateResult, now: float) -> None:
        track = self._tracks.get(key)
        if track is None or now - track.noted_at > FORGET_S:
            track = self._tracks[key] = _Track()  # another one by the same number
        track.readings.append(reading)
        track.noted_at = now
        self._tracks.move_to_end(key)

    def _forget(self, now: float) -> None:
        while self._tracks:
            key, oldest = next(iter(self._tracks.items()))
            if len(self._tracks) <= MAX_TRACKS and now - oldest.noted_at <= FORGET_S:
                return
            del self._tracks[key]
