"""The load generator: a process of its own that sends one prepared request again and again over kept connections.

Blocking sockets, one thread for each connection, and as little arithmetic as an answer needs to be told from the next:
it shares the machine with the server, so what it costs is reported beside every rate.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.serving.companion import answer_lines

HOST = "127.0.0.1"
#: A server that says nothing for so long has failed.
TIMEOUT_S = 120.0
_CHUNK = 1 << 18


class BadAnswer(Exception):
    """An answer that is not 200, or that cannot be told from the next."""


@dataclass(slots=True)
class Connection:
    """What one connection saw: milliseconds of each answer, and when the last one came (seconds of the clock)."""

    latencies_ms: list[float] = field(default_factory=list)
    ended: float = 0.0
    error: Exception | None = None


def main() -> None:
    answer_lines(lambda question: answer(**question))


def answer(
    port: int,
    path: str,
    *,
    connections: int = 1,
    body: str | None = None,
    content_type: str = "",
    seconds: float | None = None,
    requests: int | None = None,
    pause_s: float = 0.0,
) -> dict[str, Any]:
    """Send for some seconds, or so many requests over each connection; whatever was sent is waited for.

    Args:
        port: of this machine.
        path: to POST to, or to GET where there is no body.
        connections: at the same time.
        body: file with it.
        content_type: of the body.
        seconds: after which nothing more is sent.
        requests: of each connection.
        pause_s: between an answer and the next request.

    Returns:
        `count`, `elapsed_s` until the last answer, `cpu_s` of this process and `latencies_ms`.
    """
    request = request_bytes(path, None if body is None else Path(body).read_bytes(), content_type)
    seen = [Connection() for _ in range(connections)]
    cpu, started = time.process_time(), time.perf_counter()
    until = None if seconds is None else started + seconds
    threads = [
        threading.Thread(target=_send, args=(port, request, one, more_until(until, requests), pause_s)) for one in seen
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in seen:
        if one.error is not None:
            raise one.error
    latencies = [value for one in seen for value in one.latencies_ms]
    elapsed = max(one.ended for one in seen) - started
    return {
        "count": len(latencies),
        "elapsed_s": elapsed,
        "cpu_s": time.process_time() - cpu,
        "latencies_ms": latencies,
    }


def more_until(
    until: float | None, requests: int | None, clock: Callable[[], float] = time.perf_counter
) -> Callable[[int], bool]:
    """Whether a connection that has sent so many requests sends one more; the first is always sent."""

    def more(sent: int) -> bool:
        return not sent or ((until is None or clock() < until) and (requests is None or sent < requests))

    return more


def request_bytes(path: str, body: bytes | None, content_type: str) -> bytes:
    """The whole request."""
    head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: {HOST}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    return f"{head}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def read_answer(receive: Callable[[int], bytes]) -> bytes:
    """One answer's body.

    Args:
        receive: at most so many bytes of the connection; none at its end.

    Raises:
        BadAnswer: not 200, no length, or the connection ended inside it.
    """
    data = b""
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(receive)
    head = data[:end].decode("latin-1")
    status, _, lines = head.partition("\r\n")
    headers = _headers(lines)
    if "content-length" not in headers:
        raise BadAnswer(f"an answer without a length: {status}")
    wanted = end + 4 + int(headers["content-length"])
    while len(data) < wanted:
        data += _more(receive)
    if status.split()[1] != "200":
        raise BadAnswer(f"{status}: {data[end + 4 :][:300].decode(errors='replace')}")
    return data[end + 4 :]


def _more(receive: Callable[[int], bytes]) -> bytes:
    data = receive(_CHUNK)
    if not data:
        raise BadAnswer("the server closed the connection")
    return data


def _headers(lines: str) -> Mapping[str, str]:
    pairs = (line.partition(":") for line in lines.split("\r\n"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _send(port: int, request: bytes, seen: Connection, more: Callable[[int], bool], pause_s: float) -> None:
    try:
        with socket.create_connection((HOST, port), timeout=TIMEOUT_S) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while more(len(seen.latencies_ms)):
                started = time.perf_counter()
                connection.sendall(request)
                read_answer(connection.recv)
                seen.ended = time.perf_counter()
                seen.latencies_ms.append((seen.ended - started) * 1000)
                if pause_s:
                    time.sleep(pause_s)
    except (OSError, BadAnswer) as error:
        seen.error = error


if __name__ == "__main__":
    main()
