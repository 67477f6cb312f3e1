"""Language models on loopback that say what a test tells them, in both dialects, as streams or whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson

from fault_server import Fault, answer

#: An answer as it should be.
GOOD: dict[str, Any] = {
    "summary": "A person stands at the door.",
    "reasoning": "Somebody rings at noon, which is ordinary.",
    "entities": [{"type": "person", "description": "at the door", "threat_level": "low"}],
    "flags": [{"type": "loitering", "description": "for a minute", "severity": "warning"}],
    "recommended_action": "review_later",
    "confidence_factors": {"detection_quality": "good", "weather_impact": "none", "enrichment_coverage": "partial"},
    "risk_score": 25,
    "risk_level": "low",
}
NAME = "nemotron-nano"


def told(**changes: Any) -> str:
    """The good answer with some of it changed; None leaves a key out."""
    return orjson.dumps({key: value for key, value in (GOOD | changes).items() if value is not None}).decode()


def chat(text: str, *, end: str = "stop", thought: str = "") -> Fault:
    """A stream of chat completions, some characters an event."""
    head: list[dict[str, Any]] = [{"delta": {"role": "assistant", "content": None}}]
    thoughts = [{"delta": {"reasoning_content": thought}}] if thought else []
    parts = [{"delta": {"content": part}} for part in _parts(text)]
    events = [*head, *thoughts, *parts, {"delta": {}, "finish_reason": end}]
    return _stream([{"model": NAME, "choices": [{"index": 0, **event}]} for event in events])


def completion(text: str, *, end: str = "eos") -> Fault:
    """A stream of llama.cpp's completion."""
    parts = [{"content": part, "stop": False} for part in _parts(text)]
    return _stream([*parts, {"content": "", "stop": True, "stop_type": end, "model": f"/models/{NAME}.gguf"}])


def whole(text: str) -> Fault:
    """A chat completion of a server that does not stream, though it was asked to."""
    return answer({"model": NAME, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]},
                  Content_Type="application/json")  # fmt: skip


def failing(sentence: str) -> Fault:
    """A stream that begins well and tells an error."""
    return _stream([{"choices": [{"delta": {"content": '{"risk'}}]}, {"error": {"code": 500, "message": sentence}}])


async def endless(writer: asyncio.StreamWriter) -> None:
    """A model that never ends."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
    event = _event({"choices": [{"delta": {"content": "la " * 50}}]})
    while not writer.is_closing():
        writer.write(event)
        await writer.drain()


async def one_endless_line(writer: asyncio.StreamWriter) -> None:
    """An event without an end."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: ")
    while not writer.is_closing():
        writer.write(b"x" * 4096)
        await writer.drain()


async def half(writer: asyncio.StreamWriter) -> None:
    """A stream that breaks off."""
    writer.write(b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nContent-Length: 9999\r\n\r\n")
    writer.write(_event({"choices": [{"delta": {"content": told()[:40]}}]}))
    await writer.drain()
    writer.transport.abort()


def _stream(events: list[dict[str, Any]]) -> Fault:
    body = b": begin\n\n" + b"".join(map(_event, events)) + b"data: [DONE]\n\n"
    return answer(body, Content_Type="text/event-stream; charset=utf-8")


def _event(event: dict[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(event) + b"\n\n"


def _parts(text: str) -> Iterator[str]:
    return (text[at : at + 7] for at in range(0, len(text), 7))
