"""A language model's answer as it arrives: events of a stream, or one JSON object, up to a limit.

https://html.spec.whatwg.org/multipage/server-sent-events.html, of which only the data is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hearthwatch.errors import BadAnswer, ServiceFailed
from hearthwatch.risk.dialects import Piece

_DATA = b"data:"
#: As llama.cpp told it before it told errors as data.
_ERROR = b"error:"
_DONE = b"[DONE]"


class EndlessAnswer(BadAnswer):
    """More came than any answer needs; the connection was closed, which stops most servers."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much is read of one answer.

    Attributes:
        bytes: of the connection; an event of a stream has a few hundred for each token.
        characters: of answer and thinking together.
    """

    bytes: int = 4 * 1024 * 1024
    characters: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    """What a model wrote.

    Attributes:
        text: all of it.
        is_whole: the model ended by itself; else it was cut at its number of tokens, or the stream broke off.
        model: as the server names it; empty where it does not.
    """

    text: str
    is_whole: bool
    model: str


class Incoming:
    """Reads one answer, part by part.

    Args:
        piece: what an event means.
        streams: the server answers with a stream of events; else with one object.
        limits: how much is read.
    """

    def __init__(
        self, piece: Callable[[Mapping[str, Any]], Piece], *, streams: bool, limits: Limits | None = None
    ) -> None:
        self._piece = piece
        self._streams = streams
        self._limits = limits or Limits()
        self._waiting = bytearray()
        self._bytes = 0
        self._characters = 0
        self._texts: list[str] = []
        self._end = ""
        self._model = ""

    @property
    def is_done(self) -> bool:
        """Nothing more is needed: the model is done, whatever the server still has to say."""
        return bool(self._end)

    def feed(self, part: bytes) -> None:
        """Take what came.

        Raises:
            EndlessAnswer: more than the limits allow.
            BadAnswer: an event that is none.
            ServiceFailed: the server says so in an event.
        """
        self._bytes += len(part)
        if self._bytes > self._limits.bytes:
            raise EndlessAnswer(f"the language model sent more than {self._limits.bytes:,} bytes")
        self._waiting += part
        if (
            self._streams and b"\n" in part
        ):  # else the line goes on, and looking for its end again would take longer each time
            for line in self._lines():
                self._take(line)

    def reply(self) -> Reply:
        """What was written.

        Raises:
            BadAnswer: no object, where no stream came.
        """
        if not self._streams:
            self._add(bytes(self._waiting))
        return Reply("".join(self._texts), self._end == "stop", self._model)

    def _lines(self) -> Iterator[bytes]:
        *lines, rest = self._waiting.split(b"\n")
        self._waiting = rest
        yield from (bytes(line.rstrip(b"\r")) for line in lines)

    def _take(self, line: bytes) -> None:
        if self.is_done:
            return
        if line.startswith(_ERROR):
            raise ServiceFailed(f"the language model's server says: {line[:500].decode('utf-8', 'replace')}")
        if not line.startswith(_DATA):  # comments, names of events, the lines between
            return
        told = line.removeprefix(_DATA).strip()
        if told == _DONE:
            self._end = self._end or "stop"
        elif told:
            self._add(told)

    def _add(self, told: bytes) -> None:
        try:
            event = orjson.loads(told)
        except orjson.JSONDecodeError as error:
            raise BadAnswer(f"the language model's server sent something that is no JSON: {error}") from error
        if not isinstance(event, dict):
            raise BadAnswer(f"the language model's server sent {type(event).__name__}; an object is expected")
        piece = self._piece(event)
        self._characters += len(piece.text) + piece.thought
        if self._characters > self._limits.characters:
            raise EndlessAnswer(f"the language model wrote more than {self._limits.characters:,} characters")
        self._texts.append(piece.text)
        self._end = self._end or piece.end
        self._model = self._model or piece.model
