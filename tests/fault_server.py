"""A server on loopback that misbehaves as it is told: it answers each request with the next of its faults."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

#: What becomes of one request; it may write, wait, and hang up.
Fault = Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class FaultServer:
    """What a test tells the server and sees of it.

    Attributes:
        faults: of the next requests; the last one stays.
        received: so far.
        url: where it listens.
    """

    faults: list[Fault]
    received: list[Received] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) and not writer.is_closing():
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                target = urlsplit(first.split(" ")[1])
                self.received.append(Received(target.path, parse_qs(target.query), headers, body))
                await (self.faults.pop(0) if len(self.faults) > 1 else self.faults[0])(writer)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass  # the other side has left, or the test is over
        finally:
            writer.close()


@asynccontextmanager
async def fault_server(*faults: Fault) -> AsyncIterator[FaultServer]:
    """One that listens until the end of the block."""
    made = FaultServer(list(faults))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()


def answer(told: Any, status: int = 200, **headers: str) -> Fault:
    """A whole answer: JSON, or bytes as they are."""
    body = told if isinstance(told, bytes) else orjson.dumps(told)

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(status, len(body), headers) + body)

    return write


def problem(status: int, code: str, **headers: str) -> Fault:
    """The documented error body."""
    return answer({"detail": f"a sentence about {code}", "code": code, "model": "pet_classifier"}, status, **headers)


def cut_off(told: Any) -> Fault:
    """Half of an answer, and the connection ends."""
    body = orjson.dumps(told)

    async def write(writer: asyncio.StreamWriter) -> None:
        writer.write(_head(200, len(body), {}) + body[: len(body) // 2])
        await writer.drain()
        writer.close()

    return write


async def reset(writer: asyncio.StreamWriter) -> None:
    """The connection breaks before anything is said."""
    writer.transport.abort()


async def silence(_writer: asyncio.StreamWriter) -> None:
    """Nothing comes, for longer than any test waits."""
    await asyncio.sleep(60)


async def trickle(writer: asyncio.StreamWriter) -> None:
    """An answer that never stands still and never ends."""
    writer.write(_head(200, 1_000_000, {}))
    for _ in range(10_000):
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


def _head(status: int, length: int, headers: Mapping[str, str]) -> bytes:
    lines: Sequence[str] = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", f"Content-Length: {length}", *lines, "", ""]).encode()
