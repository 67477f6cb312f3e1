"""What surrounds every answer: request id, trace, `Server-Timing`, one log line; and a 500 where all else failed."""

from __future__ import annotations

import contextvars
import logging
import re
import secrets
import time
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearthwatch.serving.problems import problem

#: The parts of `Server-Timing`, in the order of CONTRACT.md.
STAGES = ("decode", "queue", "load", "preprocess", "infer", "postprocess")
#: What may stand in an echoed id: printable, no spaces, as long as a UUID and some.
_REQUEST_ID = re.compile(rb"[!-~]{1,128}")
#: W3C Trace Context, version 00: trace id, parent id, flags; all zeros are invalid ids.
_TRACEPARENT = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    Attributes:
        request_id: echoed, or made here.
        trace_id: of the caller's trace, or a new one.
        flags: of the trace, as they came.
        started: seconds of `time.monotonic`.
        stages_ms: what the work took, by stage.
    """

    request_id: str
    trace_id: str
    flags: str = "00"
    started: float = field(default_factory=time.monotonic)
    stages_ms: dict[str, float] = field(default_factory=dict)

    @property
    def server_timing(self) -> str:
        """The header's value: every stage, in milliseconds."""
        return ", ".join(f"{stage};dur={self.stages_ms.get(stage, 0.0):.2f}" for stage in STAGES)


_current: contextvars.ContextVar[Exchange] = contextvars.ContextVar("exchange")


def exchange() -> Exchange:
    """The exchange that this task answers."""
    return _current.get()


class Envelope:
    """The outermost part of a service: every answer leaves through it, also those of errors.

    Args:
        app: the service.
        service: its name, for the log.
    """

    def __init__(self, app: ASGIApp, service: str) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        current = _exchange_of(scope)
        _current.set(current)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(current)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            _log.exception("failed service=%s path=%s request=%s", self._service, scope["path"], current.request_id)
            if status:
                raise  # the answer has begun: the server closes the connection
            await problem(error)(scope, receive, send_with_headers)
        self._tell(scope, status, current)

    def _tell(self, scope: Scope, status: int, current: Exchange) -> None:
        if _log.isEnabledFor(logging.INFO):
            milliseconds = (time.monotonic() - current.started) * 1000
            _log.info("answered service=%s method=%s path=%s status=%d ms=%.1f request=%s trace=%s",
                      self._service, scope["method"], scope["path"], status, milliseconds, current.request_id,
                      current.trace_id)  # fmt: skip


def _exchange_of(scope: Scope) -> Exchange:
    given = {name: value for name, value in scope["headers"] if name in {b"x-request-id", b"traceparent"}}
    request_id = given.get(b"x-request-id", b"")
    trace = _TRACEPARENT.fullmatch(given.get(b"traceparent", b""))
    return Exchange(
        request_id=request_id.decode() if _REQUEST_ID.fullmatch(request_id) else secrets.token_hex(8),
        trace_id=trace[1].decode() if trace else secrets.token_hex(16),
        flags=trace[3].decode() if trace else "00",
    )


def _headers(current: Exchange) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-request-id", current.request_id.encode()),
        (b"traceparent", f"00-{current.trace_id}-{secrets.token_hex(8)}-{current.flags}".encode()),
        (b"server-timing", current.server_timing.encode()),
    ]
