"""One server for all ports of a process: it listens, dispatches by port, and drains once.

A signal to stop is answered in this order: no new work is taken and the ports close; what has been taken is finished,
for `drain_s` seconds at most; the models are given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearthwatch.errors import SettingsError

#: Connections that the system holds until they are accepted.
_BACKLOG = 512
#: Open connections; more are turned away by the server. Each costs some kilobytes until it sends something.
_MAX_CONNECTIONS = 1024
_KEEP_ALIVE_S = 30

_log = logging.getLogger(__name__)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Raises:
        SettingsError: the port is taken, or the host is not of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingsError(
            f"{host}:{port} cannot be listened on: {reason}; --port-offset or PORT chooses another port"
        ) from error
    # Inherited by each connection. Event loops set it only where the socket names its protocol, and this one does not.
    # Without it, an answer on a kept connection waits 40 ms for the client's delayed acknowledgement.
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def fast_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes uvloop's event loop, which takes 8 % less of the processor for a request; None where it is not there."""
    try:
        import uvloop  # it is not made for every system
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


class Ports:
    """The applications of a process as one, by the port that a request came in on.

    Args:
        apps: application by port.
        lifespan: entered before the first request and left after the last.
    """

    def __init__(self, apps: Mapping[int, ASGIApp], lifespan: Callable[[], AbstractAsyncContextManager[None]]) -> None:
        self._apps = dict(apps)
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._apps[scope["server"][1]](scope, receive, send)
        else:  # a web socket, which no service has
            await send({"type": "websocket.close", "code": 1003})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        step = "startup"
        try:
            async with self._lifespan():
                await send({"type": "lifespan.startup.complete"})
                step = "shutdown"
                await receive()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server has to be told
            _log.exception("the process could not start or stop as it should")
            failed: Message = {"type": f"lifespan.{step}.failed", "message": f"{type(error).__name__}: {error}"}
            await send(failed)
            return
        await send({"type": "lifespan.shutdown.complete"})


class Server:
    """Serves until it is told to stop.

    Args:
        app: of all ports.
        drain_s: seconds for what has been taken.
        on_start: called once everything answers.
        on_stop: called once when the stop begins, before the ports close.
    """

    def __init__(
        self, app: ASGIApp, *, drain_s: float, on_start: Callable[[], None], on_stop: Callable[[], None]
    ) -> None:
        config = uvicorn.Config(
            app, loop="none", http="httptools", ws="none", lifespan="on", log_config=None, access_log=False,
            server_header=False, limit_concurrency=_MAX_CONNECTIONS, timeout_keep_alive=_KEEP_ALIVE_S,
            # Whole seconds, and 0 would wait for ever.
            timeout_graceful_shutdown=max(1, round(drain_s)),
        )  # fmt: skip
        self._server = _Uvicorn(config, on_start)
        self._on_stop = on_stop

    async def serve(self, sockets: Sequence[socket.socket]) -> None:
        """Serve on sockets that already listen; returns when all is given back."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.stop)
        try:
            await self._server.serve(sockets=list(sockets))
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)

    def stop(self) -> None:
        """Begin to stop; asked again, stop at once."""
        if self._server.should_exit:
            self._server.force_exit = True
            return
        self._on_stop()
        self._server.should_exit = True


class _Uvicorn(uvicorn.Server):
    """Without its own signal handlers: they would end the process by the signal after a clean stop."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Never called: signals come to `Server.stop`."""
