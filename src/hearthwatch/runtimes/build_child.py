"""Building a TensorRT engine in a child process.

ONNX Runtime builds inside the creation of a session: nothing tells how far it is, nothing stops it, and a crash of
TensorRT ends the process. So a child creates the session and writes the engine to disk, and the parent can end the
child at any moment. A child whose parent is gone ends itself.

Not run, for want of an NVIDIA GPU: `main` with the real TensorRT. The tests run real children with a stand-in for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import orjson

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.build_turn import BUILD_TIMEOUT_S
from hearthwatch.runtimes.engine_cache import POLL_S
from hearthwatch.runtimes.tensorrt import TensorRTEngine

#: Runs `main` with this interpreter.
CHILD = (sys.executable, "-m", "hearthwatch.runtimes.build_child")
#: What is kept of a child's last words.
TAIL_BYTES = 2000

_FAILED = 1
_ORPHANED = 3


@dataclass(frozen=True, slots=True)
class BuildJob:
    """What a child is told.

    Attributes:
        request: what to build for; its module stays here, as it has no meaning there.
        level: the builder's optimisation level.
        folder: where the engine is written.
        stem: of the engine's files.
        timing_folder: measured kernels; None keeps none.
    """

    request: LoadRequest
    level: int
    folder: Path
    stem: str
    timing_folder: Path | None

    def to_json(self) -> bytes:
        """One line."""
        request = self.request
        return orjson.dumps({
            "path": str(request.path), "digest": request.digest, "bytes": request.bytes, "outputs": request.outputs,
            "device": request.device, "precision": request.precision, "inputs": request.inputs,
            "shapes": request.shapes, "max_batch": request.max_batch, "level": self.level, "folder": str(self.folder),
            "stem": self.stem, "timing_folder": None if self.timing_folder is None else str(self.timing_folder),
        })  # fmt: skip

    @classmethod
    def from_json(cls, line: bytes) -> BuildJob:
        """What `to_json` wrote."""
        told: dict[str, Any] = orjson.loads(line)
        request = LoadRequest(
            path=Path(told["path"]),
            digest=told["digest"],
            bytes=told["bytes"],
            outputs=tuple(told["outputs"]),
            device=told["device"],
            precision=told["precision"],
            inputs=tuple(told["inputs"]),
            shapes=tuple(tuple(shape) for shape in told["shapes"]),
            max_batch=told["max_batch"],
        )
        timing = told["timing_folder"]
        return cls(request, told["level"], Path(told["folder"]), told["stem"], None if timing is None else Path(timing))


def run_child(
    job: BuildJob,
    cancelled: threading.Event,
    *,
    command: Sequence[str] = CHILD,
    timeout_s: float = BUILD_TIMEOUT_S,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Build in a child process and wait for its end.

    Raises:
        LoadFailed: it failed, crashed, took too long, or was cancelled; the message says which.
    """
    started = clock()
    # A file and no pipe: a child that says much must not wait for us to read it.
    with tempfile.TemporaryFile() as words:
        # A session of its own, so that all of it can be ended, and that Ctrl-C at a terminal is ours to handle.
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=words, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            _tell(child, job)
            while child.poll() is None:
                if cancelled.wait(POLL_S):
                    raise LoadFailed("it was cancelled")
                if clock() - started >= timeout_s:
                    raise LoadFailed(f"no engine after {timeout_s:.0f} s; the build was ended")
        finally:
            _end(child)
        if child.returncode < 0:
            name = signal.strsignal(-child.returncode) or f"signal {-child.returncode}"
            raise LoadFailed(f"the build crashed ({name}): {_tail(words)}")
        if child.returncode > 0:
            raise LoadFailed(f"the build failed: {_tail(words)}")


def main(engine: Callable[[int], TensorRTEngine] = lambda level: TensorRTEngine(level=level)) -> int:
    """The child: reads a job from stdin, builds, and ends. The end of stdin is the end of the parent."""
    job = BuildJob.from_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, args=(sys.stdin.fileno(),), daemon=True).start()
    try:
        engine(job.level).build_here(job.request, job.folder, job.stem, job.timing_folder)
    except Exception as error:  # noqa: BLE001 - the parent is told what it was
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return _FAILED
    return 0


def _end_with_parent(stdin: int) -> None:
    # The descriptor, not the stream: a thread that holds the stream's lock at the end makes Python abort.
    while os.read(stdin, 1):
        pass
    os._exit(_ORPHANED)


def _tell(child: subprocess.Popen[bytes], job: BuildJob) -> None:
    assert child.stdin is not None  # noqa: S101 - PIPE was asked for
    with contextlib.suppress(BrokenPipeError):  # it ended before it read: its exit status tells why
        child.stdin.write(job.to_json() + b"\n")
        child.stdin.flush()


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child and what it started, and wait for it. One that has ended is left alone."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def _tail(words: IO[bytes]) -> str:
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - TAIL_BYTES))
    lines = words.read().decode(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:]) or "it said nothing"


if __name__ == "__main__":
    sys.exit(main())
