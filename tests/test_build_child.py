"""An engine is built in a child process, which ends when it should and never later."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from builds import PATIENCE_S, child, children, is_running, job_for, needs_proc
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.build_child import BuildJob, run_child


def test_a_job_arrives_as_it_was_sent(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    arrived = BuildJob.from_json(job.to_json())
    assert b"\n" not in job.to_json()
    # Where the engine is kept is the parent's; the child is told the folder.
    assert replace(arrived, request=replace(arrived.request, cache_dir=job.request.cache_dir)) == job
    assert BuildJob.from_json(replace(job, timing_folder=None).to_json()).timing_folder is None
    reads = replace(job, request=replace(job.request, tokens=(16, 77)))
    assert BuildJob.from_json(reads.to_json()).request.tokens == (16, 77)


@pytest.mark.parametrize("way", ["well", "talk"])
def test_a_child_builds_into_the_folder(tmp_path: Path, way: str) -> None:
    job = job_for(tmp_path)
    run_child(job, threading.Event(), command=child(way))
    assert {file.suffix for file in job.folder.iterdir()} == {".engine", ".profile", ".onnx"}
    assert list((tmp_path / "timing").iterdir())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (child("crash"), r"the build crashed \(Segmentation fault\): it said nothing"),
        (child("fail"), r"the build failed: RuntimeError: out of GPU memory"),
        ((sys.executable, "-c", "print('one'); import sys; sys.exit('two')"), r"the build failed: one / two|two / one"),
        ((sys.executable, "-c", "import sys; sys.exit(4)"), "the build failed: it said nothing"),
    ],
    ids=["crash", "failure", "last words", "silence"],
)
def test_a_child_that_ends_badly_is_a_reason(tmp_path: Path, command: Sequence[str], reason: str) -> None:
    with pytest.raises(LoadFailed, match=reason):
        run_child(job_for(tmp_path), threading.Event(), command=command)


@needs_proc
def test_a_child_that_hangs_is_ended(tmp_path: Path) -> None:
    ticks, others = iter(range(0, 10_000, 30)), children()
    with pytest.raises(LoadFailed, match="no engine after 100 s"):
        run_child(job_for(tmp_path), threading.Event(), command=child("hang"), timeout_s=100, clock=lambda: next(ticks))
    assert children() <= others


@needs_proc
def test_a_build_that_is_cancelled_ends_its_child(tmp_path: Path) -> None:
    cancelled, others = threading.Event(), children()
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(run_child, job_for(tmp_path), cancelled, command=child("hang"))
        cancelled.set()
        with pytest.raises(LoadFailed, match="cancelled"):
            building.result(PATIENCE_S)
    assert children() <= others


@needs_proc
def test_a_child_whose_parent_is_killed_ends_itself(tmp_path: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from builds import child, job_for
from hearthwatch.runtimes.build_child import run_child
import subprocess
began = subprocess.Popen.__init__
def tell(self, *arguments, **options):
    began(self, *arguments, **options)
    print(self.pid, flush=True)
subprocess.Popen.__init__ = tell
run_child(job_for(Path(sys.argv[1])), threading.Event(), command=child("hang"))
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert parent.stdout is not None
    number = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for _ in range(int(PATIENCE_S * 20)):
        if not is_running(number):
            break
        time.sleep(0.05)
    else:
        os.kill(number, signal.SIGKILL)
        pytest.fail("the child goes on without its parent")
