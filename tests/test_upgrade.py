"""A better engine built behind a working one: every call is answered, and nothing that went wrong is served."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from builds import PATIENCE_S
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Array, EngineName, Runtime, RuntimeInfo, Tensors
from hearthwatch.runtimes.upgrade import Gate, UpgradingRuntime

pytestmark = pytest.mark.usefixtures("no_build_outlives_its_test")


TIMEOUT_S = 100.0

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
