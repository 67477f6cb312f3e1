"""A llama.cpp server with a tiny random model, for as long as a block lasts; the tests use it too."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

#: Names the program where it is not on PATH.
VARIABLE = "HEARTHWATCH_TEST_LLAMA_SERVER"
#: What the tiny model bears: one token a character.
CONTEXT = 16384
READY_S = 60.0
_LOG_CHARACTERS = 4000


class ServerMissing(Exception):
    """There is none to start; the message says what is missing."""


class ServerDied(Exception):
    """It never answered; the message ends with its log."""


def program() -> str:
    """The binary.

    Raises:
        ServerMissing: there is none, or no package that writes its model.
    """
    # Ruff's ban on the environment is for what users run.
    found = os.environ.get(VARIABLE) or shutil.which("llama-server")  # noqa: TID251
    if found is None:
        how = "docs/language-model.md says how to build it"
        raise ServerMissing(f"no llama-server on PATH, and {VARIABLE} names none ({how})")
    if importlib.util.find_spec("gguf") is None:
        raise ServerMissing("the package gguf, which writes the tiny model, is not installed")
    return found


class LlamaServer:
    """The server, at an address of its own, once the block begins.

    Args:
        binary: of `program`.

    Attributes:
        url: where it listens.
        process: to be killed, if need be.
    """

    url: str
    process: subprocess.Popen[bytes]

    def __init__(self, binary: str) -> None:
        self._binary = binary
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start it.

        Raises:
            ServerDied: it never answered.
        """
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _start(self) -> None:
        from tools.tiny_language_model import write  # it needs gguf

        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="llama-")))
        write(folder / "tiny.gguf")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = folder / "log"
        output = self._stack.enter_context(log.open("wb"))
        command = [self._binary, "--model", str(folder / "tiny.gguf"), "--host", "127.0.0.1", "--port", str(port),
                   "--ctx-size", str(CONTEXT), "--threads", "1", "--parallel", "1"]  # fmt: skip
        self.process = self._stack.enter_context(subprocess.Popen(command, stdout=output, stderr=output))
        self._stack.callback(self.process.kill)
        self.url, until = f"http://127.0.0.1:{port}", time.monotonic() + READY_S
        while not _is_ready(self.url):
            if self.process.poll() is not None or time.monotonic() > until:
                raise ServerDied(log.read_text(errors="replace")[-_LOG_CHARACTERS:])
            time.sleep(0.1)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2.0).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
