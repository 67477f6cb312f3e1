"""A process beside the measuring one: it answers questions, one line of JSON each, until its input ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import orjson

from benchmarks.processes import ROOT, MeasurementFailed

Question = Mapping[str, Any]


class Companion:
    """Starts `python -m MODULE ARGUMENTS`, whose main is `answer_lines`.

    Args:
        module: to run.
        arguments: of its command line.
    """

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._module = module
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, question: Question) -> dict[str, Any]:
        """Put a question and wait for its answer.

        Raises:
            MeasurementFailed: it ended, or its answer is an error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(orjson.dumps(question) + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = b""
        if not line:
            raise MeasurementFailed(f"{self._module} ended without an answer")
        answer: dict[str, Any] = orjson.loads(line)
        if "error" in answer:
            raise MeasurementFailed(f"{self._module}: {answer['error']}")
        return answer

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def answer_lines(answer: Callable[[Question], Mapping[str, Any]]) -> None:
    """The other side: answer each line of the standard input. An exception becomes `{"error": its text}`."""
    # Libraries print what they like: theirs goes to the standard error, and the answers keep the real output.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    for line in sys.stdin.buffer:
        try:
            given = dict(answer(orjson.loads(line)))
        except Exception as error:  # noqa: BLE001 - the asker is told, and raises
            given = {"error": f"{type(error).__name__}: {error}"}
        out.write(orjson.dumps(given, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
        out.flush()
