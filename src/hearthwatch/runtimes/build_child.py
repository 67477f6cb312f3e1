"""Building a TensorRT engine in a child process.

ONNX Runtime builds inside the creation of a session: nothing tells how far it is, nothing stops it, and a crash of
TensorRT ends the process. So a child creates the session and writes the engine to disk, and the parent can end the
child at any moment. A child whose parent is gone ends itself.

Not run, for want of an NVIDIA GPU: `main` with the real TensorRT. The tests run real children with a stand-in for it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.child import crash_of, end, end_with_parent, last_words, tell
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.build_turn import BUILD_TIMEOUT_S
from hearthwatch.runtimes.engine_cache import POLL_S
from hearthwatch.runtimes.tensorrt import TensorRTEngine

#: Runs `main` with this interpreter.
CHILD = (sys.executable, "-m", "hearthwatch.runtimes.build_child")

_FAILED = 1


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
            "shapes": request.shapes, "tokens": request.tokens, "max_batch": request.max_batch, "level": self.level,
            "folder": str(self.folder), "stem": self.stem,
            "timing_folder": None if self.timing_folder is None else str(self.timing_folder),
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
            tokens=None if told["tokens"] is None else (told["tokens"][0], told["tokens"][1]),
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
            tell(child, job.to_json())
            while child.poll() is None:
                if cancelled.wait(POLL_S):
                    raise LoadFailed("it was cancelled")
                if clock() - started >= timeout_s:
                    raise LoadFailed(f"no engine after {timeout_s:.0f} s; the build was ended")
        finally:
            end(child)
        if child.returncode < 0:
            raise LoadFailed(f"the build crashed ({crash_of(child.returncode)}): {last_words(words)}")
        if child.returncode > 0:
            raise LoadFailed(f"the build failed: {last_words(words)}")


def main(engine: Callable[[int], TensorRTEngine] = lambda level: TensorRTEngine(level=level)) -> int:
    """The child: reads a job from stdin, builds, and ends. The end of stdin is the end of the parent."""
    job = BuildJob.from_json(sys.stdin.buffer.readline())
    end_with_parent(sys.stdin.fileno())
    try:
        engine(job.level).build_here(job.request, job.folder, job.stem, job.timing_folder)
    except Exception as error:  # noqa: BLE001 - the parent is told what it was
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return _FAILED
    return 0


if __name__ == "__main__":
    sys.exit(main())
