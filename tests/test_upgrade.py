"""A better engine built behind a working one: every call is answered, and nothing that went wrong is served."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from fake_onnxruntime import GPU, FakeONNXRuntime, cuda, graph_request, some, tensorrt
from fakes import FakeEngine
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Runtime, RuntimeInfo, Tensors
from hearthwatch.runtimes.build_child import BuildJob, run_child
from hearthwatch.runtimes.engine_build import TensorRTBuild, load_with_tensorrt
from hearthwatch.runtimes.engine_cache import StoredEngine
from hearthwatch.runtimes.upgrade import Gate, UpgradingRuntime, start_thread

#: A test that waits this long has failed.
PATIENCE_S = 60.0
TIMEOUT_S = 100.0

needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

Outcome = Literal["built", "failed", "crashed"]
Judgement = Literal["agrees", "refused", "broken"]


@dataclass
class FakeClock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A runtime that holds each call until it is let go, and remembers every call that it should not have got."""

    def __init__(self, engine: EngineName) -> None:
        self.info = RuntimeInfo(engine, "cuda:0", "f16", "1", load_ms=1.0)
        self.closes = 0
        self.wrong: list[str] = []
        self._calls: dict[int, tuple[threading.Event, threading.Event]] = {}

    def expect(self, number: int) -> tuple[threading.Event, threading.Event]:
        """(it has entered, it may go on) of one call."""
        return self._calls.setdefault(number, (threading.Event(), threading.Event()))

    def run(self, inputs: Tensors) -> dict[str, Array]:
        number = int(np.asarray(inputs["x"])[0])
        if self.closes:
            self.wrong.append(f"call {number} came after close")
        entered, go = self.expect(number)
        entered.set()
        if not go.wait(PATIENCE_S):
            self.wrong.append(f"call {number} was never let go")
        if self.closes:
            self.wrong.append(f"closed during call {number}")
        return {"engine": np.array([self.info.engine])}

    def close(self) -> None:
        self.closes += 1


class Workshop:
    """A build that waits for its outcome, and a gate that waits for its judgement."""

    def __init__(self) -> None:
        self.candidate = Watched("tensorrt")
        self.builds = 0
        self.cancelled = threading.Event()
        self.building, self.outcome_known = threading.Event(), threading.Event()
        self.judging, self.judgement_known = threading.Event(), threading.Event()
        self.outcome: Outcome = "built"
        self.judgement: Judgement = "agrees"
        self.verdicts: list[str | None] = []

    def build(self, cancelled: threading.Event) -> Runtime:
        self.builds += 1
        self.cancelled = cancelled
        self.building.set()
        assert self.outcome_known.wait(PATIENCE_S)
        if self.outcome == "failed":
            raise RuntimeError("out of GPU memory")
        if self.outcome == "crashed":
            raise SystemExit(139)
        return self.candidate

    def gate(self, candidate: Runtime) -> str | None:
        assert candidate is self.candidate
        self.judging.set()
        assert self.judgement_known.wait(PATIENCE_S)
        if self.judgement == "broken":
            raise ValueError("no pictures")
        return None if self.judgement == "agrees" else "cosine 0.7, at least 0.99 needed"


@dataclass
class Call:
    future: Future[dict[str, Array]]
    by: Watched
    number: int


class UpgradeMachine(RuleBasedStateMachine):
    """Builds, gates, calls, the clock and close in every order, with real threads that the rules hold and let go."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = ThreadPoolExecutor(16)
        self.clock = FakeClock()
        self.shop = Workshop()
        self.working = Watched("cuda")
        self.calls: list[Call] = []
        self.numbers = 0
        self.expected: str = "building_engine"
        self.closed = False
        self.started_at: float | None = None
        self.works: list[Callable[[], None]] = []

    @initialize(expected_s=st.none() | st.floats(1, 500), at_once=st.booleans())
    def load(self, expected_s: float | None, at_once: bool) -> None:
        self.expected_s = expected_s
        self.runtime = UpgradingRuntime(
            self.working,
            self.shop.build,
            self.shop.gate,
            model="toy",
            precision="f16",
            judged=self.shop.verdicts.append,
            timeout_s=TIMEOUT_S,
            expected_s=expected_s,
            clock=self.clock,
            start=self.works.append,
        )
        if at_once:
            self.its_turn_comes()

    def serving(self) -> Watched:
        return self.shop.candidate if self.expected == "ready" else self.working

    def notice_timeout(self) -> None:
        late = self.started_at is not None and self.clock.now - self.started_at >= TIMEOUT_S
        if self.expected == "building_engine" and late:
            self.expected = "degraded"

    @precondition(lambda self: self.works)
    @rule()
    def the_others_are_done(self) -> None:
        self.its_turn_comes()

    def its_turn_comes(self) -> None:
        self.started_at = self.clock.now
        self.done = self.pool.submit(self.works.pop())
        if self.expected == "building_engine":
            assert self.shop.building.wait(PATIENCE_S)
        else:
            self.done.result(PATIENCE_S)
            assert self.shop.builds == 0

    @precondition(lambda self: self.shop.building.is_set() and not self.shop.outcome_known.is_set())
    @rule(outcome=st.sampled_from(["built", "built", "failed", "crashed"]))
    def the_build_ends(self, outcome: Outcome) -> None:
        self.notice_timeout()
        cancelled = self.expected in {"degraded", "closed"} and self.shop.cancelled.is_set()
        self.shop.outcome = outcome
        self.shop.outcome_known.set()
        if outcome == "built" and not cancelled:
            assert self.shop.judging.wait(PATIENCE_S)
            return
        self.done.result(PATIENCE_S)
        if self.expected == "building_engine":
            self.expected = "degraded"

    @precondition(lambda self: self.shop.judging.is_set() and not self.shop.judgement_known.is_set())
    @rule(judgement=st.sampled_from(["agrees", "agrees", "refused", "broken"]))
    def the_gate_decides(self, judgement: Judgement) -> None:
        self.notice_timeout()
        self.shop.judgement = judgement
        self.shop.judgement_known.set()
        self.done.result(PATIENCE_S)
        if self.expected == "building_engine":
            self.expected = "ready" if judgement == "agrees" else "degraded"
        said = {"agrees": [None], "refused": ["cosine 0.7, at least 0.99 needed"], "broken": []}
        assert self.shop.verdicts == said[judgement]

    @rule(seconds=st.sampled_from([0.0, 1.0, 5.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds

    @precondition(lambda self: len(self.calls) < 8)
    @rule()
    def a_call_begins(self) -> None:
        self.notice_timeout()
        self.numbers += 1
        inputs = {"x": np.array([self.numbers], np.float32)}
        if self.closed:
            with pytest.raises(RuntimeError, match="closed"):
                self.runtime.run(inputs)
            return
        by = self.serving()
        entered, _ = by.expect(self.numbers)
        self.calls.append(Call(self.pool.submit(self.runtime.run, inputs), by, self.numbers))
        assert entered.wait(PATIENCE_S), "the call went to another engine"

    @precondition(lambda self: self.calls)
    @rule(data=st.data())
    def a_call_ends(self, data: st.DataObject) -> None:
        self.end_call(self.calls.pop(data.draw(st.integers(0, len(self.calls) - 1))))

    @precondition(lambda self: self.closed or self.numbers > 2)  # not too often before something has happened
    @rule()
    def close(self) -> None:
        self.runtime.close()
        self.closed = True
        self.expected = "closed"

    def end_call(self, call: Call) -> None:
        call.by.expect(call.number)[1].set()
        [engine] = call.future.result(PATIENCE_S)["engine"].tolist()
        assert engine == call.by.info.engine

    @invariant()
    def at_most_one_build(self) -> None:
        assert self.shop.builds <= 1

    @invariant()
    def no_closed_runtime_is_called_and_none_is_closed_in_a_call(self) -> None:
        assert self.working.wrong == self.shop.candidate.wrong == []
        for watched in (self.working, self.shop.candidate):
            busy = any(call.by is watched for call in self.calls)
            assert watched.closes <= (0 if busy else 1)

    @invariant()
    def what_serves_is_open_and_what_does_not_is_closed_after_its_last_call(self) -> None:
        self.notice_timeout()
        if not self.closed:
            assert self.serving().closes == 0
        for watched in (self.working, self.shop.candidate):
            busy = any(call.by is watched for call in self.calls)
            retired = self.closed or self.expected == "ready"
            if watched is self.working and retired and not busy:
                assert watched.closes == 1

    @invariant()
    def the_state_is_told(self) -> None:
        self.notice_timeout()
        if not hasattr(self, "runtime"):
            return
        progress = self.runtime.progress
        assert progress.state == self.expected
        assert (progress.reason is None) == (progress.state in {"building_engine", "ready"})
        if not self.closed:
            assert progress.engine == self.runtime.info.engine == self.serving().info.engine
        elapsed = 0.0 if self.started_at is None else self.clock.now - self.started_at
        if progress.state == "building_engine":
            assert progress.elapsed_s == elapsed
            known = self.started_at is not None and self.expected_s is not None and self.expected_s > elapsed
            assert progress.eta_s == (self.expected_s - elapsed if known and self.expected_s is not None else None)
        else:
            assert progress.elapsed_s <= elapsed
            assert progress.eta_s is None

    def teardown(self) -> None:
        try:
            if not hasattr(self, "runtime"):
                return
            self.runtime.close()
            for call in self.calls:
                self.end_call(call)
            self.calls.clear()
            for work in self.works:
                work()
            self.shop.outcome_known.set()
            self.shop.judgement_known.set()
            assert self.runtime.wait(PATIENCE_S)
            assert self.working.closes == 1
            handed_over = self.shop.builds == 1 and self.shop.outcome == "built"
            assert self.shop.candidate.closes == handed_over
            assert self.working.wrong == self.shop.candidate.wrong == []
        finally:
            self.pool.shutdown(wait=True)


TestUpgradeMachine = UpgradeMachine.TestCase
TestUpgradeMachine.settings = settings(max_examples=200, stateful_step_count=25, deadline=None)


@dataclass
class Plain:
    """A runtime that answers with its name and, closed, refuses."""

    engine: EngineName
    closed: bool = False
    calls: int = 0

    @property
    def info(self) -> RuntimeInfo:
        return RuntimeInfo(self.engine, "cuda:0", "f16", "1", load_ms=1.0)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        assert not self.closed
        self.calls += 1
        time.sleep(0)
        assert not self.closed
        return {"engine": np.array([self.engine])}

    def close(self) -> None:
        assert not self.closed
        self.closed = True


def upgrading(
    build: Callable[[threading.Event], Runtime], gate: Gate = lambda _: None, **fields: Any
) -> UpgradingRuntime:
    return UpgradingRuntime(Plain("cuda"), build, gate, model="toy", precision="f16", **fields)


def test_calls_from_many_threads_during_the_swap_are_all_answered_by_an_open_engine() -> None:
    for _ in range(20):
        old, new, begin = Plain("cuda"), Plain("tensorrt"), threading.Event()
        swapped: list[str] = []

        def build(cancelled: threading.Event, new: Plain = new, begin: threading.Event = begin) -> Runtime:
            assert begin.wait(PATIENCE_S)
            return new

        runtime = UpgradingRuntime(old, build, lambda _: None, model="toy", precision="f16")

        def call(number: int, runtime: UpgradingRuntime = runtime, begin: threading.Event = begin) -> str:
            if number == 100:
                begin.set()
            [engine] = runtime.run({"x": np.zeros(1)})["engine"].tolist()
            return str(engine)

        with ThreadPoolExecutor(8) as pool:
            swapped = list(pool.map(call, range(400)))
        assert runtime.wait(PATIENCE_S)
        assert set(swapped) <= {"cuda", "tensorrt"}
        assert swapped[0] == "cuda"
        assert old.calls + new.calls == 400
        assert old.closed
        assert [str(name) for name in runtime.run({"x": np.zeros(1)})["engine"]] == ["tensorrt"]
        runtime.close()
        assert new.closed


def test_close_from_many_threads_closes_once() -> None:
    runtime = upgrading(lambda _: Plain("tensorrt"))
    assert runtime.wait(PATIENCE_S)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: runtime.close(), range(8)))


def test_builds_of_one_process_take_turns() -> None:
    busy, most = 0, 0
    lock = threading.Lock()

    def build(cancelled: threading.Event) -> Runtime:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)
        time.sleep(0.01)
        with lock:
            busy -= 1
        return Plain("tensorrt")

    runtimes = [upgrading(build) for _ in range(5)]
    assert all(runtime.wait(PATIENCE_S) for runtime in runtimes)
    assert most == 1
    assert {runtime.progress.state for runtime in runtimes} == {"ready"}


def test_closed_before_its_turn_nothing_is_built() -> None:
    works: list[Callable[[], None]] = []
    runtime = upgrading(lambda _: pytest.fail("it was built"), start=works.append)
    runtime.close()
    works[0]()
    assert runtime.wait(0)


def test_without_a_thread_the_working_engine_serves_and_says_why() -> None:
    def no_threads(work: Callable[[], None]) -> None:
        raise RuntimeError("can't start new thread")

    runtime = upgrading(lambda _: Plain("tensorrt"), start=no_threads)
    assert runtime.progress.state == "degraded"
    assert "can't start new thread" in str(runtime.progress.reason)
    assert runtime.wait(0)
    runtime.run({"x": np.zeros(1)})


@pytest.mark.parametrize(
    ("build", "gate", "judged", "reason"),
    [
        (lambda _: Plain("tensorrt"), lambda _: "cosine 0.7", lambda _: None, "its results were refused: cosine 0.7"),
        (
            lambda _: Plain("tensorrt"),
            lambda _: 1 / 0,
            lambda _: None,
            "could not be compared: ZeroDivisionError: division",
        ),
        (lambda _: 1 / 0, lambda _: None, lambda _: None, "ZeroDivisionError: division by zero"),
        (lambda _: next(iter(())), lambda _: None, lambda _: None, "StopIteration: no reason given"),
        (lambda _: Plain("tensorrt"), lambda _: None, lambda _: 1 / 0, None),
    ],
    ids=["refused", "gate broken", "build broken", "build broken in silence", "verdict not kept"],
)
def test_what_goes_wrong_is_the_reason(build: Any, gate: Any, judged: Any, reason: str | None) -> None:
    runtime = upgrading(build, gate, judged=judged)
    assert runtime.wait(PATIENCE_S)
    if reason is None:
        assert runtime.progress.state == "ready"
    else:
        assert runtime.progress.state == "degraded"
        assert reason in str(runtime.progress.reason)
        assert runtime.info.engine == "cuda"
    runtime.close()


def test_every_step_is_one_log_line_with_the_word(caplog: pytest.LogCaptureFixture) -> None:
    def lines(build: Any, gate: Gate) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.INFO):
            runtime = upgrading(build, gate, start=lambda work: work())
            runtime.close()
        assert all("tensorrt" in line and "model=toy" in line for line in caplog.messages)
        return [line.split(" model=")[0] for line in caplog.messages]

    begun = ["tensorrt build planned", "tensorrt build started"]
    compared = [*begun, "tensorrt build finished", "tensorrt results"]
    assert lines(lambda _: Plain("tensorrt"), lambda _: None) == [*compared, "tensorrt engine serves"]
    assert lines(lambda _: Plain("tensorrt"), lambda _: "no") == [*compared, "tensorrt build failed"]
    assert lines(lambda _: 1 / 0, lambda _: None) == [*begun, "tensorrt build failed"]


def test_a_hang_is_one_log_line_and_asks_the_build_to_end(caplog: pytest.LogCaptureFixture) -> None:
    clock, cancelled_seen, go = FakeClock(), threading.Event(), threading.Event()

    def hang(cancelled: threading.Event) -> Runtime:
        go.set()
        assert cancelled.wait(PATIENCE_S)
        cancelled_seen.set()
        raise LoadFailed("it was cancelled")

    with caplog.at_level(logging.INFO):
        runtime = upgrading(hang, timeout_s=10, clock=clock)
        assert go.wait(PATIENCE_S)
        clock.now += 11
        for _ in range(3):
            runtime.run({"x": np.zeros(1)})
        assert runtime.wait(PATIENCE_S)
    assert cancelled_seen.is_set()
    assert runtime.progress.reason == "no engine after 10 s"
    assert sum("build failed" in line for line in caplog.messages) == 1
    runtime.close()


# --- The child process ---


@pytest.fixture
def ort(tmp_path: Path) -> FakeONNXRuntime:
    return FakeONNXRuntime(tmp_path)


@pytest.fixture(autouse=True)
def no_build_outlives_its_test() -> Iterator[None]:
    yield
    done = threading.Event()
    start_thread(done.set)  # it comes after every build
    assert done.wait(PATIENCE_S)


def child(way: str) -> Sequence[str]:
    return (sys.executable, str(Path(__file__).with_name("fake_onnxruntime.py")), way)


def job_for(tmp_path: Path, **fields: Any) -> BuildJob:
    folder = tmp_path / "built"
    folder.mkdir()
    return BuildJob(graph_request(tmp_path, **fields), 3, folder, "engine", tmp_path / "timing")


def test_a_job_arrives_as_it_was_sent(tmp_path: Path) -> None:
    job = job_for(tmp_path)
    arrived = BuildJob.from_json(job.to_json())
    assert b"\n" not in job.to_json()
    # Where the engine is kept is the parent's; the child is told the folder.
    assert replace(arrived, request=replace(arrived.request, cache_dir=job.request.cache_dir)) == job
    assert BuildJob.from_json(replace(job, timing_folder=None).to_json()).timing_folder is None


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
    ticks = iter(range(0, 10_000, 30))
    with pytest.raises(LoadFailed, match="no engine after 100 s"):
        run_child(job_for(tmp_path), threading.Event(), command=child("hang"), timeout_s=100, clock=lambda: next(ticks))
    assert not children()


@needs_proc
def test_a_build_that_is_cancelled_ends_its_child(tmp_path: Path) -> None:
    cancelled = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(run_child, job_for(tmp_path), cancelled, command=child("hang"))
        cancelled.set()
        with pytest.raises(LoadFailed, match="cancelled"):
            building.result(PATIENCE_S)
    assert not children()


@needs_proc
def test_a_child_whose_parent_is_killed_ends_itself(tmp_path: Path) -> None:
    script = """
import sys, threading
from pathlib import Path
from test_upgrade import child, job_for
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


def is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children() -> list[int]:
    """Processes that this test started and that still run."""
    found: list[int] = []
    for task in Path("/proc/self/task").iterdir():
        found += [int(number) for number in (task / "children").read_text(encoding="ascii").split()]
    return [number for number in found if is_running(number)]


# --- From no engine to a serving one ---


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
    runtime = gpu_machine.load().runtime
    while not children():
        time.sleep(0.01)
    runtime.close()
    assert runtime.wait(PATIENCE_S)
    assert not children()
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
