"""Recorded events as JSON lines: one object a line, so that files can be joined, cut and searched line by line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from hearthwatch.errors import InputError
from hearthwatch.recording.event import RecordedEvent
from hearthwatch.risk.bounds import SCALE

#: The file of a run, in the folder of its report.
EVENTS = "events.jsonl"
#: Of a line. A field that is added needs no new number: who does not know it leaves it out.
VERSION = 1
#: Bytes of a line. An event of 64 detections about which everything is known has 116 kB.
MOST_BYTES = 16 * 1024 * 1024
#: Faults of one line that a message repeats, and characters of what was found in place of something else.
_FAULTS, _SHOWN = 3, 40


class _Line(BaseModel):
    # Deferred: only who writes or reads a line pays for the checks of some forty types.
    model_config = ConfigDict(arbitrary_types_allowed=True, defer_build=True)

    version: int
    event: RecordedEvent


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A line that holds no recorded event: which, and why not."""

    line: int
    why: str


def spelled(text: str) -> str:
    """The text with the bytes of a file name that are no UTF-8 spelled out: JSON cannot carry them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def to_line(event: RecordedEvent) -> bytes:
    """One line, with its line end.

    Bytes of a file name that are no UTF-8 are spelled out, and numbers that are not finite are words (`nan`): JSON
    carries neither.
    """
    content = _Line(version=VERSION, event=event).model_dump(mode="json")
    return orjson.dumps(_plain(content), option=orjson.OPT_APPEND_NEWLINE)


def from_line(line: bytes) -> RecordedEvent:
    """The event of one line.

    Raises:
        InputError: it holds none; the message says what is wrong with it.
    """
    if len(line) > MOST_BYTES:
        raise InputError(f"it has more than {MOST_BYTES} bytes")
    try:
        content = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise InputError(f"no JSON: {error}") from error
    if not isinstance(content, dict) or not {"version", "event"} <= content.keys():
        raise InputError("no recorded event: an object with version and event is expected")
    if content["version"] != VERSION:
        raise InputError(f"an event of version {repr(content['version'])[:_SHOWN]}; known is version {VERSION}")
    try:
        event = _Line.model_validate(content).event
    except ValidationError as error:
        raise InputError(_sentence(error)) from error
    if not 0 <= event.risk.risk_score <= SCALE:
        raise InputError(f"event.risk.risk_score: allowed is 0 to {SCALE}; it is {event.risk.risk_score}")
    return event


def read_events(path: Path) -> Iterator[RecordedEvent | Unreadable]:
    """The events of a file in their order; where a line holds none, what is wrong with it.

    Args:
        path: the file; empty lines are passed over.

    Raises:
        InputError: the file cannot be read.
    """
    number = 0
    try:
        with path.open("rb") as stream:
            while line := stream.readline(MOST_BYTES + 1):
                number += 1
                if not line.strip():
                    continue
                try:
                    yield from_line(line)
                except InputError as error:
                    yield Unreadable(number, str(error))
                    _to_the_line_end(stream, line)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def _to_the_line_end(stream: BinaryIO, part: bytes) -> None:
    """What is left of a line that is too long, never more than the limit of it at once."""
    while part and not part.endswith(b"\n"):
        part = stream.readline(MOST_BYTES)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return spelled(value) if isinstance(value, str) else value


def _sentence(error: ValidationError) -> str:
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    rest = f"; and {len(faults) - _FAULTS} more" if len(faults) > _FAULTS else ""
    return f"{'; '.join(faults[:_FAULTS])}{rest}"
