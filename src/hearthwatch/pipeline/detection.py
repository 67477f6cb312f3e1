"""`DetectionInput`: one detection as an application sends it, with what the application knows about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from hearthwatch.errors import BadBox, InputError
from hearthwatch.vision.boxes import Box, parse_box


@dataclass(frozen=True, slots=True)
class DetectionInput:
    """One detection, with what the application knows about it.

    Attributes:
        id: unique within the batch.
        class_name: the detector's word.
        confidence: 0..1.
        bbox: xyxy in pixels of the picture, or of `source_size` where that is given.
        face_visible: the application saw a face.
        face_bbox: where, in the same pixels.
        suspicious_score: 0..100; above 50 is suspicious.
        track_id: of the application's tracker.
        camera: which one.
        time: when.
        zones: names of zones that the box is in.
        dwell_s: seconds in view.
        stationary: it does not move.
        source_size: (width, height) that `bbox` refers to, when it is not the picture that is sent.
        known: who the application says it is.
        plate: a plate that the application read.
    """

    id: str
    class_name: str
    confidence: float
    bbox: Box
    face_visible: bool = False
    face_bbox: Box | None = None
    suspicious_score: float = 0.0
    track_id: str | None = None
    camera: str | None = None
    time: datetime | None = None
    zones: tuple[str, ...] = ()
    dwell_s: float | None = None
    stationary: bool | None = None
    source_size: tuple[float, float] | None = None
    known: str | None = None
    plate: str | None = None

    def __post_init__(self) -> None:
        if self.source_size is not None and not min(self.source_size) > 0:
            raise InputError(f"detection {self.id}: source_size {self.source_size} must be two numbers above 0")

    @classmethod
    def of(cls, value: object, index: int = 0) -> DetectionInput:
        """A detection from its documented dictionary: `label` (or `class_name`, `class`), `bbox`, and the fields above.

        Args:
            value: the dictionary, whose unknown keys are ignored; or a `DetectionInput`, which is returned as it is.
            index: its place in the batch, the id where it has none.

        Raises:
            BadBox: the box is none.
            InputError: no dictionary, no class, or a field that cannot be read; the message has the index.
        """
        if isinstance(value, DetectionInput):
            return value
        if not isinstance(value, Mapping):
            raise InputError(f"detection {index} is a {type(value).__name__}; allowed are objects with label and bbox")
        name = value.get("class_name") or value.get("class") or value.get("label")
        if not isinstance(name, str) or not name:
            raise InputError(f"detection {index} has no class (key class_name, class or label)")
        where = f"detection {index} ({name})"
        if value.get("bbox") is None:
            raise BadBox(f"{where} has no bbox")
        # An application that states no confidence states the object itself.
        fields: dict[str, Any] = {"id": str(index), "class_name": name, "confidence": 1.0}
        for key, read in _FIELDS.items():
            if value.get(key) is not None:
                fields[key] = _read(where, key, read, value[key])
        return cls(**fields)

    def in_picture(self, width: float, height: float) -> DetectionInput:
        """The same with its boxes in pixels of a picture of that size, when they refer to another one."""
        if self.source_size is None:
            return self
        sx, sy = width / self.source_size[0], height / self.source_size[1]
        face = None if self.face_bbox is None else _scaled(self.face_bbox, sx, sy)
        return replace(self, bbox=_scaled(self.bbox, sx, sy), face_bbox=face, source_size=None)


def _scaled(box: Box, sx: float, sy: float) -> Box:
    return Box(box.x1 * sx, box.y1 * sy, box.x2 * sx, box.y2 * sy)


def _read(where: str, key: str, read: Callable[[Any], Any], value: object) -> Any:
    try:
        return read(value)
    except BadBox as error:
        raise BadBox(f"{where}, {key}: {error}") from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {key} {value!r} cannot be used: {error}") from error


def _box(value: Any) -> Box:
    try:
        return parse_box(value)
    except TypeError as error:
        raise BadBox(f"box {value!r} is neither a list nor an object") from error


def _number(low: float, high: float = math.inf) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        number = float(value)
        if isinstance(value, bool) or not (math.isfinite(number) and low <= number <= high):
            raise ValueError(f"allowed is a number of {low:g} to {high:g}" if high < math.inf else
                             f"allowed is a number from {low:g}")  # fmt: skip
        return number

    return read


def _flag(value: Any) -> bool:
    # `bool("false")` is True.
    if value not in (True, False):
        raise ValueError("allowed are true and false")
    return bool(value)


def _words(value: Any) -> str:
    # A flag or a number is no name: `known: false` must not become somebody called "False".
    if not isinstance(value, str):
        raise TypeError("allowed is a text")
    return value


def _name(value: Any) -> str:
    """A text, or a number that an application counts its things by."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _words(value)


def _zones(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(_words(zone) for zone in value)


def _size(value: Any) -> tuple[float, float]:
    sides = [_number(0)(side) for side in value]
    if len(sides) != 2 or not min(sides) > 0:
        raise ValueError("allowed are two numbers above 0")
    return sides[0], sides[1]


def _time(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(_words(value))


#: The fields of a detection's dictionary and how each is read.
_FIELDS: Mapping[str, Callable[[Any], Any]] = {
    "id": _name,
    "confidence": _number(0, 1),
    "bbox": _box,
    "face_visible": _flag,
    "face_bbox": _box,
    "suspicious_score": _number(0, 100),
    "track_id": _name,
    "camera": _name,
    "time": _time,
    "zones": _zones,
    "dwell_s": _number(0),
    "stationary": _flag,
    "source_size": _size,
    "known": _words,
    "plate": _words,
}
