"""A network that answers at once with one engine while a better one is built behind it.

    building_engine ── built, results agree ──> ready      the built engine serves, the first one is closed
          │
          ├── failed, crashed, too slow, refused ──> degraded   the first engine serves, with the reason
          └── close ──> closed                                  from every state

A build is tried once per load, and one at a time in a process (`build_turn`). Calls in flight while the engines change
end on the engine that they began on; it is closed after its last call. What is built must agree before it serves, and
the comparison runs on the built engine.

Every step is one log line that contains the word tensorrt. This file knows nothing of TensorRT itself: what builds,
what compares, the clock and the thread are arguments.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Array, Runtime, RuntimeInfo, Tensors
from hearthwatch.runtimes.build_turn import BUILD_TIMEOUT_S, Turn

State = Literal["building_engine", "ready", "degraded", "closed"]

#: Builds and loads the better engine. It returns soon after the event is set, by raising or with a runtime.
Build = Callable[[threading.Event], Runtime]
#: None where a candidate's results agree, else why not, in words.
Gate = Callable[[Runtime], str | None]
Verdict = Callable[[str | None], object]

_turn = Turn()
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a build stands.

    Attributes:
        state: building_engine, ready, degraded or closed.
        engine: the one that serves.
        reason: why the better engine does not serve; None while it is built and once it serves.
        elapsed_s: since the build began, 0 while it waits for another; it stands still once the state is settled.
        eta_s: seconds until the build is done, from earlier builds of the kind; None where nothing is known, and where
            this build takes longer than they did.
    """

    state: State
    engine: str
    reason: str | None
    elapsed_s: float
    eta_s: float | None


def start_thread(work: Callable[[], None]) -> None:
    """Run in the background, one after the other. A thread that hangs does not keep the process alive."""
    threading.Thread(target=_turn.take, args=(work,), name="tensorrt-build", daemon=True).start()


def told(error: BaseException) -> str:
    """An error as a reason: a refusal of ours is a sentence, others need their name."""
    words = str(error).strip()
    return words if words and isinstance(error, LoadFailed) else f"{type(error).__name__}: {words or 'no reason given'}"


class UpgradingRuntime:
    """A `Runtime` that serves with `working` until the engine that `build` makes has passed `gate`.

    Args:
        working: serves from the start; closed by this runtime.
        build: makes the better engine; called once, in the background.
        gate: judges the built engine.
        model: the model's name, for the log.
        precision: the precision of the better engine, for the log.
        judged: told the gate's verdict, to keep it; what it raises is logged and changes nothing.
        timeout_s: build and comparison together, once it is their turn; later the working engine stays. Noticed by
            whoever calls next.
        expected_s: what earlier builds of the kind took; None where there were none.
        clock: seconds, monotonic.
        start: runs the build in the background.
    """

    def __init__(
        self,
        working: Runtime,
        build: Build,
        gate: Gate,
        *,
        model: str,
        precision: str,
        judged: Verdict = lambda _reason: None,
        timeout_s: float = BUILD_TIMEOUT_S,
        expected_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        start: Callable[[Callable[[], None]], None] = start_thread,
    ) -> None:
        self._model = model
        self._precision = precision
        self._build = build
        self._gate = gate
        self._judged = judged
        self._timeout_s = timeout_s
        self._expected_s = expected_s
        self._clock = clock
        self._lock = threading.Lock()
        self._cancelled = threading.Event()
        self._done = threading.Event()
        self._serving = _Serving(working)
        self._state: State = "building_engine"
        self._reason: str | None = None
        self._started: float | None = None
        self._elapsed_s = 0.0
        _log.info("tensorrt build planned model=%s precision=%s serving=%s expected_s=%s", model, precision,
                  working.info.engine, "unknown" if expected_s is None else round(expected_s))  # fmt: skip
        try:
            start(self._work)
        except RuntimeError as error:  # no more threads: the working engine serves on
            self._conclude(None, f"the build could not be started: {error}")
            self._done.set()

    @property
    def info(self) -> RuntimeInfo:
        """What serves now."""
        return self._serving.runtime.info

    @property
    def progress(self) -> Progress:
        """Where the build stands."""
        self._notice_timeout()
        with self._lock:
            self._measure()
            eta = None
            if self._state == "building_engine" and self._started is not None and self._expected_s is not None:
                left = self._expected_s - self._elapsed_s
                eta = left if left > 0 else None
            return Progress(self._state, self.info.engine, self._reason, self._elapsed_s, eta)

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One call, answered by the engine that serves when it begins."""
        self._notice_timeout()
        with self._lock:
            if self._state == "closed":
                raise RuntimeError("this network is closed")
            serving = self._serving
            serving.calls += 1
        try:
            return serving.runtime.run(inputs)
        finally:
            with self._lock:
                serving.calls -= 1
                finished = serving.finished
            if finished:
                serving.runtime.close()

    def close(self) -> None:
        """Take no more calls, end a build that runs, and give the memory back once the last call is answered."""
        with self._lock:
            if self._state == "closed":
                return
            building = self._state == "building_engine"
            self._settle("closed", "it was closed")
            finished = self._retire(self._serving)
        if building:
            _log.info("tensorrt build cancelled model=%s reason=closed", self._model)
        if finished:
            self._serving.runtime.close()

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the background work has ended, whatever came of it; False where it has not by then."""
        return self._done.wait(timeout_s)

    def _work(self) -> None:
        candidate: Runtime | None = None
        with self._lock:
            self._started = self._clock()
        try:
            if self._cancelled.is_set():
                raise LoadFailed("it was cancelled")
            _log.info("tensorrt build started model=%s precision=%s", self._model, self._precision)
            candidate = self._build(self._cancelled)
            _log.info("tensorrt build finished model=%s precision=%s", self._model, self._precision)
            reason = None if self._cancelled.is_set() else self._compare(candidate)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever ends a build, the working engine serves on
            reason = told(error)
        try:
            self._conclude(candidate, reason)
        finally:
            self._done.set()

    def _compare(self, candidate: Runtime) -> str | None:
        try:
            reason = self._gate(candidate)
        except Exception as error:  # noqa: BLE001 - a comparison that fails is no verdict, and lets nothing through
            _log.warning("tensorrt comparison failed model=%s reason=%s", self._model, told(error))
            return f"its results could not be compared: {told(error)}"
        _log.info("tensorrt results model=%s agree=%s reason=%s", self._model, reason is None, reason)
        try:
            self._judged(reason)
        except Exception as error:  # noqa: BLE001 - it is compared again at the next start
            _log.warning("tensorrt verdict model=%s kept=no reason=%s", self._model, told(error))
        return None if reason is None else f"its results were refused: {reason}"

    def _conclude(self, candidate: Runtime | None, reason: str | None) -> None:
        self._notice_timeout()
        with self._lock:
            late = self._state != "building_engine"
            old = self._serving
            finished = False
            if not late and reason is None and candidate is not None:
                self._serving = _Serving(candidate)
                self._settle("ready", None)
                finished = self._retire(old)
            elif not late:
                self._settle("degraded", reason)
        swapped = self._serving.runtime is candidate
        if late:
            _log.info("tensorrt engine discarded model=%s reason=%s", self._model, self._reason)
        elif swapped:
            _log.info("tensorrt engine serves model=%s replaced=%s", self._model, old.runtime.info.engine)
        else:
            self._log_degraded()
        if candidate is not None and not swapped:
            candidate.close()
        if finished:
            old.runtime.close()

    def _notice_timeout(self) -> None:
        with self._lock:
            self._measure()
            if self._state != "building_engine" or self._elapsed_s < self._timeout_s:
                return
            self._settle("degraded", f"no engine after {self._timeout_s:.0f} s")
        self._log_degraded()

    def _settle(self, state: State, reason: str | None) -> None:
        """Under the lock: the build is over, or no longer waited for."""
        self._measure()
        self._state, self._reason = state, reason
        if state != "ready":
            self._cancelled.set()

    def _measure(self) -> None:
        """Under the lock: the time goes on as long as the build does."""
        if self._state == "building_engine" and self._started is not None:
            self._elapsed_s = self._clock() - self._started

    @staticmethod
    def _retire(serving: _Serving) -> bool:
        """Under the lock: it takes no more calls. True where it has none left, so that the caller closes it."""
        serving.retired = True
        return serving.finished

    def _log_degraded(self) -> None:
        _log.warning("tensorrt build failed model=%s serving=%s reason=%s", self._model, self.info.engine, self._reason)


@dataclass(slots=True, eq=False)
class _Serving:
    """A runtime and the calls that are in it."""

    runtime: Runtime
    calls: int = 0
    retired: bool = False

    @property
    def finished(self) -> bool:
        """Retired, and its last call is answered: exactly one caller sees this become true, and closes it."""
        return self.retired and self.calls == 0
