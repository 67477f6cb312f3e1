"""An answer as it arrives: the same whatever the parts it comes in, and never more than the limits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.errors import BadAnswer, HearthwatchError, ServiceFailed
from hearthwatch.risk.dialects import CHAT, COMPLETION, Dialect
from hearthwatch.risk.stream import EndlessAnswer, Incoming, Limits, Reply
from language_models import chat, completion, told


class Written:
    """Takes what a fault writes."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data


def body(fault: Any) -> bytes:
    writer = Written()
    asyncio.run(fault(writer))
    return writer.data.partition(b"\r\n\r\n")[2]


def read(parts: Iterable[bytes], dialect: Dialect = CHAT, *, streams: bool = True, **limits: int) -> Reply:
    incoming = Incoming(dialect.piece, streams=streams, limits=Limits(**limits))
    for part in parts:
        incoming.feed(part)
    return incoming.reply()


def event(content: Any, **more: Any) -> bytes:
    return b"data: " + orjson.dumps({"choices": [{"delta": {"content": content}, **more}]}) + b"\n\n"


CHAT_BODY, COMPLETION_BODY = body(chat(told())), body(completion(told()))


@given(st.data())
def test_an_answer_is_the_same_in_whatever_parts_it_comes(data: st.DataObject) -> None:
    for whole, dialect in ((CHAT_BODY, CHAT), (COMPLETION_BODY, COMPLETION)):
        cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
        edges = [0, *cuts, len(whole)]
        reply = read([whole[a:b] for a, b in pairwise(edges)], dialect)
        assert (reply.text, reply.is_whole) == (told(), True)


@pytest.mark.parametrize(
    ("data", "text", "whole"),
    [
        (b"", "", False),
        (event("a") + event("b"), "ab", False),
        (event("a") + b"data: [DONE]\n\n", "a", True),
        (event("a") + event(None, finish_reason="stop"), "a", True),
        (event("a") + event(None, finish_reason="length") + b"data: [DONE]\n\n", "a", False),
        (event("a", finish_reason="stop") + event("after the end"), "a", True),
        (b": comment\r\n\r\nevent: message\r\nid: 7\r\n" + event("a").replace(b"\n", b"\r\n"), "a", False),
        (event("a") + b"data:\n\ndata: " + b'{"choices": [], "usage": {}}\n\n' + event("b"), "ab", False),
        (event("a") + event("b")[:-9], "a", False),
    ],
)
def test_a_stream_is_read_as_its_servers_write_it(data: bytes, text: str, whole: bool) -> None:
    reply = read([data])
    assert (reply.text, reply.is_whole) == (text, whole)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"data: {oops\n\n", BadAnswer), (b"data: 7\n\n", BadAnswer), (b'data: {"choices": [7]}\n\n', BadAnswer),
        (b'data: {"choices": [{"delta": 7}]}\n\n', BadAnswer), (event(7), BadAnswer),
        (b'data: {"error": {"message": "no room"}}\n\n', ServiceFailed),
        (b'data: {"error": "no room"}\n\n', ServiceFailed),
        (b'error: {"message": "no room"}\n\n', ServiceFailed),
    ],
)  # fmt: skip
def test_what_is_no_event_is_an_error_of_ours(data: bytes, error: type[HearthwatchError]) -> None:
    with pytest.raises(error):
        read([data])


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_are_an_answer_or_an_error_of_ours(data: bytes, streams: bool) -> None:
    for dialect in (CHAT, COMPLETION):
        try:
            reply = read([data, b"\ndata: ", data, b"\n"], dialect, streams=streams)
        except HearthwatchError:
            continue
        assert isinstance(reply.text, str)


def test_no_more_is_read_than_the_limits_allow() -> None:
    with pytest.raises(EndlessAnswer, match="100 bytes"):
        read([b"data: ", b"x" * 95], bytes=100)
    with pytest.raises(EndlessAnswer, match="10 characters"):
        read([event("12345"), event("123456")], characters=10)
    with pytest.raises(EndlessAnswer, match="10 characters"):
        read(
            [b"data: " + orjson.dumps({"choices": [{"delta": {"reasoning_content": "x" * 11}}]}) + b"\n"], characters=10
        )
    assert read([event("12345"), event("12345")], characters=10).text == "1234512345"
