"""What tests of background builds share: patience, real children with a stand-in for TensorRT, and who still runs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from fake_onnxruntime import graph_request
from hearthwatch.runtimes.build_child import BuildJob

#: A test that waits this long has failed.
PATIENCE_S = 60.0

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def child(way: str) -> Sequence[str]:
    return (sys.executable, str(Path(__file__).with_name("fake_onnxruntime.py")), way)


def job_for(tmp_path: Path, **fields: Any) -> BuildJob:
    folder = tmp_path / "built"
    folder.mkdir()
    return BuildJob(graph_request(tmp_path, **fields), 3, folder, "engine", tmp_path / "timing")


def is_running(number: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children() -> set[int]:
    """Processes that this one started and that still run: of this test, and what libraries keep for tests before it."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended since
            found += [int(number) for number in (task / "children").read_text(encoding="ascii").split()]
    return {number for number in found if is_running(number)}
