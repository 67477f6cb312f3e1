"""From no engine to a serving one: built behind another engine, compared, kept, and found by the next process."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builds import PATIENCE_S, child, children, needs_proc
from fake_onnxruntime import GPU, FakeONNXRuntime, cuda, graph_request, some, tensorrt
from fakes import FakeEngine
from hearthwatch.runtimes.base import LoadRequest, Runtime
from hearthwatch.runtimes.build_child import BuildJob, run_child
from hearthwatch.runtimes.engine_build import TensorRTBuild, load_with_tensorrt
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.upgrade import Gate, UpgradingRuntime

pytestmark = pytest.mark.usefixtures("no_build_outlives_its_test")


@dataclass
class Machine:
    """A GPU machine: ONNX Runtime, its engines, and what they are asked to load."""

    ort: FakeONNXRuntime
    request: LoadRequest
    way: str = "well"
    builds: list[BuildJob] = field(default_factory=list)

    def load(self, gate: Gate = lambda _: None, gpu: Any = GPU, version: str = "101303") -> Any:
        def make_build(engine: Any, request: LoadRequest) -> TensorRTBuild:
            return TensorRTBuild(engine, request, child=self.child)

        return load_with_tensorrt(
            replace(self.request, precision="f32"),
            self.request,
            gate,
            model="toy",
            engines=[cuda(self.ort), FakeEngine("openvino")],
            engine=tensorrt(self.ort, gpu, version),
            make_build=make_build,
        )

    def child(self, job: BuildJob, cancelled: threading.Event) -> None:
        self.builds.append(job)
        run_child(job, cancelled, command=child(self.way))

    def loaded(self, **fields: Any) -> Any:
        """Loaded, with the background work done."""
        selection = self.load(**fields)
        assert not isinstance(selection.runtime, UpgradingRuntime) or selection.runtime.wait(PATIENCE_S)
        return selection


@pytest.fixture
def gpu_machine(ort: FakeONNXRuntime, tmp_path: Path) -> Machine:
    return Machine(ort, graph_request(tmp_path))


def test_the_first_load_serves_with_cuda_and_then_with_the_built_engine(gpu_machine: Machine) -> None:
    selection = gpu_machine.loaded()
    runtime = selection.runtime
    assert selection.passed_over == (("tensorrt", "no engine is built yet"),)
    assert (runtime.progress.state, runtime.info.engine, runtime.info.precision) == ("ready", "tensorrt", "f16")
    np.testing.assert_array_equal(runtime.run(some(20))["y"], some(20)["x"] * 2)
    assert len(gpu_machine.builds) == 1
    assert gpu_machine.ort.builds == 0, "the engine was built in this process"
    runtime.close()


def test_the_second_load_serves_with_tensorrt_at_once(gpu_machine: Machine) -> None:
    gpu_machine.loaded().runtime.close()
    selection = gpu_machine.load(gate=lambda _: pytest.fail("it was compared again"))
    assert (selection.runtime.info.engine, selection.passed_over) == ("tensorrt", ())
    assert not isinstance(selection.runtime, UpgradingRuntime)
    assert len(gpu_machine.builds) == 1


def test_the_gate_compares_the_built_engine(gpu_machine: Machine) -> None:
    gpu_machine.ort.error = 0.5

    def gate(candidate: Runtime) -> str | None:
        worst = np.abs(np.asarray(candidate.run(some(2))["y"]) - some(2)["x"] * 2).max()
        return f"off by {worst}" if worst else None

    runtime = gpu_machine.loaded(gate=gate).runtime
    assert (runtime.progress.state, runtime.info.engine) == ("degraded", "cuda")
    assert runtime.progress.reason == "its results were refused: off by 0.5"
    again = gpu_machine.load()
    assert again.passed_over == (("tensorrt", "its results were refused: off by 0.5"),)
    assert len(gpu_machine.builds) == 1, "a refused engine is not built again"


def test_an_engine_that_was_not_compared_is_compared_without_building(gpu_machine: Machine) -> None:
    broken = gpu_machine.loaded(gate=lambda _: 1 / 0)
    assert broken.runtime.progress.state == "degraded"
    selection = gpu_machine.loaded()
    assert selection.passed_over == (("tensorrt", "its engine is built and not compared yet"),)
    assert selection.runtime.progress.state == "ready"
    assert len(gpu_machine.builds) == 1


def test_a_new_tensorrt_builds_again_and_says_why(gpu_machine: Machine) -> None:
    gpu_machine.loaded()
    selection = gpu_machine.loaded(version="101400")
    [(name, reason)] = selection.passed_over
    assert name == "tensorrt"
    assert "it is of TensorRT 101303 (here is 101400)" in reason
    assert selection.runtime.progress.state == "ready"
    assert len(gpu_machine.builds) == 2


def test_an_accepted_engine_that_cannot_be_loaded_is_built_again_behind_cuda(gpu_machine: Machine) -> None:
    """Its digest is right and ONNX Runtime does not take it: without a new one that would be so for ever."""
    gpu_machine.loaded().runtime.close()
    found = tensorrt(gpu_machine.ort).cache(gpu_machine.request).find()
    assert isinstance(found, StoredEngine)
    gpu_machine.ort.refuses = {file.stat().st_mtime_ns for file in found.files}
    selection = gpu_machine.loaded()
    [(name, reason)] = selection.passed_over
    assert (name, "does not take" in reason) == ("tensorrt", True)
    assert (selection.runtime.progress.state, selection.runtime.info.engine) == ("ready", "tensorrt")
    assert len(gpu_machine.builds) == 2
    selection.runtime.close()
    assert gpu_machine.load().passed_over == ()


def test_an_engine_that_is_never_taken_is_built_again_once_per_load(gpu_machine: Machine) -> None:
    gpu_machine.loaded().runtime.close()
    gpu_machine.ort.starts = ("CUDAExecutionProvider",)
    runtime = gpu_machine.loaded().runtime
    assert (runtime.progress.state, runtime.info.engine) == ("degraded", "cuda")
    assert len(gpu_machine.builds) == 2


@pytest.mark.parametrize(("way", "reason"), [("crash", "Segmentation fault"), ("fail", "out of GPU memory")])
def test_a_build_that_ends_badly_leaves_cuda_serving_and_the_next_load_tries_again(
    gpu_machine: Machine, way: str, reason: str
) -> None:
    gpu_machine.way = way
    runtime = gpu_machine.loaded().runtime
    assert (runtime.progress.state, runtime.info.engine) == ("degraded", "cuda")
    assert reason in str(runtime.progress.reason)
    np.testing.assert_array_equal(runtime.run(some(1))["y"], some(1)["x"] * 2)
    gpu_machine.way = "well"
    assert gpu_machine.loaded().runtime.progress.state == "ready"


@needs_proc
def test_closing_during_a_build_ends_the_child_and_leaves_no_engine(gpu_machine: Machine) -> None:
    gpu_machine.way = "hang"
    others = children()
    runtime = gpu_machine.load().runtime
    while children() <= others:
        time.sleep(0.01)
    runtime.close()
    assert runtime.wait(PATIENCE_S)
    assert children() <= others
    assert isinstance(tensorrt(gpu_machine.ort).cache(gpu_machine.request).find(), str)
    assert not list(Path(gpu_machine.request.cache_dir or "").rglob("*.building"))


def test_two_processes_build_one_engine(gpu_machine: Machine) -> None:
    """Two loads stand for the two processes: each opens the lock's file by itself."""
    barrier = threading.Barrier(2, timeout=PATIENCE_S)

    def build(_: int) -> Runtime:
        made = TensorRTBuild(tensorrt(gpu_machine.ort), gpu_machine.request, child=gpu_machine.child)
        barrier.wait()
        return made(threading.Event())

    with ThreadPoolExecutor(2) as pool:
        runtimes = list(pool.map(build, range(2)))
    assert {runtime.info.engine for runtime in runtimes} == {"tensorrt"}
    assert len(gpu_machine.builds) == 1


def test_the_second_build_of_the_kind_knows_how_long_it_takes(gpu_machine: Machine) -> None:
    def build(digest: str) -> TensorRTBuild:
        request = replace(gpu_machine.request, digest=digest * 64)
        ticks = iter([100.0, 400.0])
        return TensorRTBuild(tensorrt(gpu_machine.ort), request, child=gpu_machine.child, clock=lambda: next(ticks))

    first, second = build("a"), build("b")
    assert first.expected_s is None
    first(threading.Event())
    assert second.expected_s == 300.0
    assert first.expected_s is None, "it is built: there is nothing to wait for"
    other = TensorRTBuild(tensorrt(gpu_machine.ort), replace(gpu_machine.request, precision="f32"))
    assert other.expected_s is None


def test_without_a_gpu_it_is_a_logged_no_op(gpu_machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    request = replace(gpu_machine.request, device="cpu")
    with caplog.at_level(logging.INFO):
        selection = load_with_tensorrt(
            request, request, lambda _: None, model="toy", engines=[FakeEngine("openvino")],
            engine=tensorrt(gpu_machine.ort),
        )  # fmt: skip
    assert selection.runtime.info.engine == "openvino"
    assert selection.passed_over == (("tensorrt", "there is no cpu here"),)
    assert caplog.messages[-1] == "tensorrt passed over model=toy reason=there is no cpu here"


@pytest.mark.parametrize("broken", ["shapes", "folder", "session"])
def test_what_keeps_tensorrt_from_being_built_is_a_reason_and_cuda_serves(
    gpu_machine: Machine, tmp_path: Path, broken: str
) -> None:
    if broken == "shapes":
        gpu_machine.request = replace(gpu_machine.request, shapes=((None, 3, None, None),))
    elif broken == "folder":
        (tmp_path / "file").touch()
        gpu_machine.request = replace(gpu_machine.request, cache_dir=tmp_path / "file")
    else:
        gpu_machine.loaded().runtime.close()
        gpu_machine.ort.starts = ("CUDAExecutionProvider",)
    selection = gpu_machine.loaded()
    assert selection.runtime.info.engine == "cuda"
    [(name, reason)] = selection.passed_over
    assert name == "tensorrt"
    assert reason
    np.testing.assert_array_equal(selection.runtime.run(some(1))["y"], some(1)["x"] * 2)


def test_a_stored_engine_is_found_by_a_new_process(gpu_machine: Machine) -> None:
    gpu_machine.loaded()
    found = tensorrt(FakeONNXRuntime(gpu_machine.ort.folder)).cache(gpu_machine.request).find()
    assert isinstance(found, StoredEngine)
    assert found.accepted
