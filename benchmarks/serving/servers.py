"""Servers as processes: started, waited for, paused while others are measured, and stopped."""

from __future__ import annotations

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Any, Self

import orjson

from benchmarks.processes import ROOT, MeasurementFailed
from benchmarks.serving import process_tree
from benchmarks.serving.http_load import HOST

#: Seconds until a server counts as hung, when it starts and when it is told to stop.
START_S, STOP_S = 120.0, 40.0
#: The documented ports, which `--port-offset` is added to.
PORTS = {"light": 8096, "detector": 8090, "clip": 8093, "enrichment": 8094}
JPEG, JSON = "image/jpeg", "application/json"
_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Command:
    """How a server is started.

    Attributes:
        arguments: of Python.
        port: that it will listen on.
        ready: path that answers 200 once it serves.
        environment: beside that of this process.
    """

    arguments: Sequence[str]
    port: int
    ready: str
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: status, parsed JSON, and the milliseconds that it took."""

    status: int
    content: Any
    ms: float


class Server:
    """A running server; use as a context manager.

    Raises:
        MeasurementFailed: it ended or did not answer within START_S; the message has the last line that it printed.
    """

    def __init__(self, command: Command) -> None:
        self.port = command.port
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, *command.arguments], cwd=ROOT, stdout=self._log, stderr=self._log,
            env={**os.environ, **command.environment},  # noqa: TID251 - a server's, not ours
            start_new_session=True, preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread here
        )  # fmt: skip
        try:
            self._wait(command.ready)
        except BaseException:
            self.stop()
            raise
        #: Seconds until it answered.
        self.start_s = time.perf_counter() - started

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def cpu_s(self) -> float:
        """Processor time of it and its children so far."""
        return process_tree.cpu_s(self._process.pid)

    def memory_mib(self) -> dict[str, float]:
        """As `process_tree.memory_mib`."""
        return process_tree.memory_mib(self._process.pid)

    def pause(self) -> None:
        """Take no processor time until `resume`."""
        process_tree.signal_tree(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        process_tree.signal_tree(self._process.pid, signal.SIGCONT)

    def ask(self, path: str, body: bytes | None = None, content_type: str = JSON) -> Reply:
        """POST the body, or GET where there is none, over a connection of its own."""
        return ask(self.port, path, body, content_type)

    def stop(self) -> None:
        """Ask it to stop; kill what does not."""
        self.resume()
        family = process_tree.tree(self._process.pid)
        self._process.terminate()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process_tree.signal_tree(self._process.pid, signal.SIGKILL)
            self._process.wait()
        for left in family[1:]:  # children that outlived it
            process_tree.signal_tree(left, signal.SIGKILL)
        self._log.close()

    def _wait(self, path: str) -> None:
        until = time.perf_counter() + START_S
        while time.perf_counter() < until:
            if self._process.poll() is not None:
                raise MeasurementFailed(f"the server ended with exit code {self._process.returncode}: {self._said()}")
            try:
                if self.ask(path).status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.02)
        raise MeasurementFailed(f"the server did not answer within {START_S:g} s: {self._said()}")

    def _said(self) -> str:
        self._log.seek(0)
        lines = [line for line in self._log.read().decode(errors="replace").splitlines() if line.strip(" │╰─╯")]
        return lines[-1] if lines else "it printed nothing"


def ask(port: int, path: str, body: bytes | None = None, content_type: str = JSON) -> Reply:
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection(HOST, port, timeout=START_S)
    try:
        started = time.perf_counter()
        headers = {} if body is None else {"Content-Type": content_type}
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        ms = (time.perf_counter() - started) * 1000
    finally:
        connection.close()
    is_json = (answer.headers.get_content_type() or "") == JSON
    return Reply(answer.status, orjson.loads(content) if is_json and content else None, ms)


def ours(service: str, models_dir: str, cache_dir: str, *, beside: Sequence[str] = (), **environment: str) -> Command:
    """`hearthwatch serve SERVICE` on a free port, with further services and variables."""
    port = free_port()
    environment = {"HEARTHWATCH_MODELS_DIR": models_dir, "HEARTHWATCH_CACHE_DIR": cache_dir, **environment}
    offset = str(port - PORTS[service])
    return Command(
        ["-m", "hearthwatch", "serve", service, *beside, f"--port-offset={offset}"], port, "/livez", environment
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    """A measuring process that is killed must not leave servers behind."""
    ctypes.CDLL(None).prctl(_PDEATHSIG, signal.SIGKILL)
