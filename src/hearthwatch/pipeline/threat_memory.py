"""Weapons that several frames of a camera show: the same class at the same place, at least 200 ms apart.

Rule    Of a camera's frames those are looked at that lie `APART_MS` or more before each other, `FRAMES` of them from
        the weapon's own backwards. Frames of a faster camera are passed over, so that its speed decides nothing. A
        weapon is repeated where `NEEDED` of them show one of its class whose box overlaps its own. Of a frame that
        came late, what is known of the time after it counts as well.
Limits  Who carries a thing across the picture moves it further than its box in such a time: then nothing is repeated,
        and one sure frame has to do. A mistake that a network makes about a thing that stays where it is, it makes in
        every frame. A frame in which the weapon detector failed takes its place and shows nothing. The time that a
        caller says is all that tells frames apart: a picture sent again under another time is another frame, and one
        from the future makes the present ones too old until it is forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from hearthwatch.models import ThreatResult
from hearthwatch.models.threat_detector import MIN_CONFIDENCE, SEVERITIES
from hearthwatch.pipeline.approach import FORGET_S
from hearthwatch.pipeline.cameras import MOST_CAMERAS, Cameras
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.vision.boxes import Box, iou
from hearthwatch.vision.image import Float

#: In so many of so many frames, so far apart (DESIGN.md's ruling). Neighbouring frames of a film are nearly one
#: picture, in which a network makes one mistake.
NEEDED, FRAMES, APART_MS = 2, 3, 200.0
#: A camera that looks every two seconds still has its three frames; older ones are of another moment.
WINDOW_MS = 5000.0
#: The camera is fixed and a hand moves a little in a second: a box that moved by two thirds of its side still overlaps
#: so much, and so does one thrice as long as wide that was turned by a right angle. It is not less, for mistakes lie
#: anywhere at a person: of two squares of a tenth of its height in a person's box, 0.4 times as wide as tall, 12 %
#: overlap at all and 4 % so much (a million random pairs).
SAME_PLACE_IOU = 0.2
#: Remembered of a camera: of 150 frames a second enough for three that are `APART_MS` apart.
MAX_MOMENTS = 64
#: And of a frame, the surest: many more than hands.
MAX_SIGHTINGS = 32


@dataclass(frozen=True, slots=True)
class RepeatedThreat:
    """A weapon-like thing that several frames of its camera show.

    Attributes:
        class_name: as its own frame has it; those of the others differ at most in case.
        box: xyxy in pixels of its own picture.
        seen: frames that show it, at least `NEEDED`.
        frames: that were looked at, at most `FRAMES`.
        span_ms: from the first to the last of those that show it, at least `APART_MS`.
    """

    class_name: str
    box: Box
    seen: int
    frames: int
    span_ms: float


@dataclass(frozen=True, slots=True)
class Sighting:
    """One weapon-like thing in one frame.

    Attributes:
        class_name: the network's own word.
        confidence: 0..1.
        box: xyxy in pixels of its picture.
        size: (width, height) of that picture.
    """

    class_name: str
    confidence: float
    box: Box
    size: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Frame:
    """What one picture of a camera shows that is like a weapon.

    Attributes:
        camera: that took it.
        time_us: microseconds since 1970.
        seen: by detection id; empty where there is nothing like a weapon, which is a frame too.
    """

    camera: str
    time_us: int
    seen: Mapping[str, tuple[Sighting, ...]]


def frame_of(
    subjects: Sequence[DetectionInput], size: tuple[float, float], threats: Mapping[str, ThreatResult]
) -> Frame | None:
    """A picture as what is remembered of it; None where its detections do not name one camera and one time.

    Args:
        subjects: its detections, with boxes in its pixels; those that are weapons by name are among what it shows.
        size: (width, height) of it.
        threats: what the weapon detector saw, by detection id. Nothing below `MIN_CONFIDENCE` counts.
    """
    cameras = {one.camera for one in subjects}
    # One picture that is said to be of two times would be two frames of itself.
    times = {round(one.time.timestamp() * 1e6) for one in subjects if one.time is not None}
    if len(cameras) != 1 or len(times) != 1 or (camera := cameras.pop()) is None:
        return None
    seen = {one.id: tuple(_sightings(one, size, threats.get(one.id))) for one in subjects}
    return Frame(camera, times.pop(), {key: found for key, found in seen.items() if found})


class ThreatMemory:
    """Remembers what each camera's last frames show. Safe to be called from several threads.

    Args:
        clock: seconds that never go back; by it no frame counts for longer than `FORGET_S`, whatever time it has.
        most_cameras: remembered at most; the one that was not used for the longest time leaves first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, most_cameras: int = MOST_CAMERAS) -> None:
        self._clock = clock
        self._cameras: Cameras[_Moments] = Cameras(_Moments, most_cameras)

    def __len__(self) -> int:
        """Cameras that are remembered."""
        return len(self._cameras)

    def note(self, frames: Sequence[Frame]) -> dict[str, tuple[RepeatedThreat, ...]]:
        """Remember a batch's frames, in the order of their times, and say which of their weapons are repeated.

        Args:
            frames: of any cameras in any order. One that is `WINDOW_MS` older than its camera's newest is ignored.

        Returns:
            By detection id, of those alone that have any.
        """
        told: dict[str, tuple[RepeatedThreat, ...]] = {}
        for frame in sorted(frames, key=lambda one: one.time_us):
            with self._cameras.memory(frame.camera) as moments:
                runs = moments.note(frame, self._clock())
            repeated = _repeated(list({one for found in frame.seen.values() for one in found}), runs)
            for key, sightings in frame.seen.items():
                if found := tuple(repeated[one] for one in sightings if one in repeated):
                    told[key] = found
        return told


@dataclass(frozen=True, slots=True)
class _Moment:
    """All that a camera showed at one time, and when that was noted."""

    time_us: int
    sightings: tuple[Sighting, ...]
    noted_at: float


#: Frames that are looked at together, the newest first.
_Run = tuple[_Moment, ...]


class _Moments:
    """The last moments of one camera."""

    def __init__(self) -> None:
        self._by_time: dict[int, _Moment] = {}

    def note(self, frame: Frame, now: float) -> list[_Run]:
        """Remember a frame; the runs that it is in, none where it is too old."""
        kept = {key: one for key, one in self._by_time.items() if one.noted_at >= now - FORGET_S}
        # The same picture may be sent twice, and two pictures may be of one moment: that is one frame.
        before = kept[frame.time_us].sightings if frame.time_us in kept else ()
        both = {*before, *(one for found in frame.seen.values() for one in found)}
        surest = tuple(sorted(both, key=_surest_first)[:MAX_SIGHTINGS])
        kept[frame.time_us] = _Moment(frame.time_us, surest, now)
        oldest = max(kept) - WINDOW_MS * 1000
        newest_first = sorted((key for key in kept if key >= oldest), reverse=True)[:MAX_MOMENTS]
        self._by_time = {key: kept[key] for key in newest_first}
        runs = (self._run(end) for end in newest_first if end >= frame.time_us)
        return [run for run in runs if any(one.time_us == frame.time_us for one in run)]

    def _run(self, end: int) -> _Run:
        return tuple(islice(self._backwards(end), FRAMES))

    def _backwards(self, end: int) -> Iterator[_Moment]:
        """From a moment on, each that is far enough before the one before it."""
        last: int | None = None
        for key, moment in self._by_time.items():
            if key == end or (last is not None and last - key >= APART_MS * 1000):
                last = key
                yield moment


def _sightings(one: DetectionInput, size: tuple[float, float], result: ThreatResult | None) -> Iterator[Sighting]:
    """What is like a weapon at a detection, and what is at nobody in the same picture."""
    if one.class_name.lower() in SEVERITIES and one.confidence >= MIN_CONFIDENCE:
        yield Sighting(one.class_name, one.confidence, one.bbox, size)
    for threat in (*result.threats, *result.elsewhere) if result else ():
        if threat.confidence >= MIN_CONFIDENCE:
            yield Sighting(threat.class_name, threat.confidence, threat.box, size)


def _surest_first(one: Sighting) -> tuple[float, str, Box, tuple[float, float]]:
    # By everything that there is, so that the order in which pictures come decides nothing.
    return -one.confidence, one.class_name, one.box, one.size


def _repeated(sightings: Sequence[Sighting], runs: Sequence[_Run]) -> dict[Sighting, RepeatedThreat]:
    """Those of one frame that are, by the run in which most frames show them, of equals the shortest time."""
    shown = {moment.time_us: _shown(sightings, moment) for moment in {one for run in runs for one in run}}
    found: dict[Sighting, RepeatedThreat] = {}
    for index, one in enumerate(sightings):
        told = []
        for run in runs:
            times = [moment.time_us for moment in run if shown[moment.time_us][index]]
            if len(times) >= NEEDED:
                span_ms = (times[0] - times[-1]) / 1000
                told.append(RepeatedThreat(one.class_name, one.box, len(times), len(run), span_ms))
        if told:
            found[one] = max(told, key=lambda again: (again.seen, -again.span_ms))
    return found


def _shown(sightings: Sequence[Sighting], moment: _Moment) -> list[bool]:
    """Which of them a moment shows: their class by equality, and their place in a picture of the same size."""
    others = moment.sightings
    if not (sightings and others):
        return [False] * len(sightings)
    alike = np.array([[_kind(one) == _kind(other) for other in others] for one in sightings])
    shown = alike & (iou(_boxes(sightings), _boxes(others)) >= SAME_PLACE_IOU)
    return [bool(row.any()) for row in shown]


def _kind(one: Sighting) -> tuple[str, tuple[float, float]]:
    return one.class_name.lower(), one.size


def _boxes(sightings: Sequence[Sighting]) -> Float:
    return np.array([one.box for one in sightings], np.float32)
