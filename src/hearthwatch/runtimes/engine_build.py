"""Serving with TensorRT where its engine is there, and with another engine while it is built.

Not run, for want of an NVIDIA GPU: the real TensorRT. The tests go from no engine to a serving one and back with a
stand-in for it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Engine, LoadRequest, Runtime
from hearthwatch.runtimes.build_child import BuildJob, run_child
from hearthwatch.runtimes.build_times import BuildTimes
from hearthwatch.runtimes.build_turn import BUILD_TIMEOUT_S
from hearthwatch.runtimes.engine_cache import FOLDER, EngineCache
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.select import Selection, load_graph
from hearthwatch.runtimes.tensorrt import TensorRTEngine
from hearthwatch.runtimes.upgrade import Gate, UpgradingRuntime, told

_log = logging.getLogger(__name__)


class TensorRTBuild:
    """The `Build` of `UpgradingRuntime` for TensorRT: builds in a child unless it is built already, then loads.

    Args:
        engine: what builds and loads.
        request: in the precision to build for.
        child: builds in another process.
        timeout_s: of the build.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        engine: TensorRTEngine,
        request: LoadRequest,
        *,
        child: Callable[[BuildJob, threading.Event], None] | None = None,
        timeout_s: float = BUILD_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._request = request
        self._child = child or (lambda job, cancelled: run_child(job, cancelled, timeout_s=timeout_s))
        self._clock = clock
        self._cache: EngineCache = engine.cache(request)
        self._found: StoredEngine | None = None
        cache_dir = request.cache_dir
        self._times = None if cache_dir is None else BuildTimes(cache_dir / FOLDER / "build-times")

    @property
    def expected_s(self) -> float | None:
        """What earlier builds of the kind took; None where there were none, or where it is built already."""
        if self._times is None or not isinstance(self._cache.find(), str):
            return None
        return self._times.expected_s(self._kind)

    def __call__(self, cancelled: threading.Event) -> Runtime:
        """Build if need be, and load.

        Raises:
            LoadFailed: the reason for which there is no engine.
        """
        found = self._cache.find()
        if isinstance(found, str):
            _log.info("tensorrt engine wanted file=%s reason=%s", self._request.path.name, found)
            return self._load(self._build(cancelled), cancelled)
        try:
            return self._load(found, cancelled)
        except Exception as error:
            # Whole and of the right key, and yet of no use: it would be found and fail at every start.
            if cancelled.is_set():
                raise
            _log.warning("tensorrt engine unusable file=%s reason=%s", self._request.path.name, told(error))
        return self._load(self._build(cancelled, unusable=found), cancelled)

    @property
    def files(self) -> tuple[Path, ...]:
        """The files of the engine that was loaded; none before that."""
        return () if self._found is None else self._found.files

    def judged(self, reason: str | None) -> None:
        """Keep the verdict on the engine that was loaded: None accepts it."""
        if self._found is not None:
            self._cache.judged(self._found, reason)

    def _load(self, found: StoredEngine, cancelled: threading.Event) -> Runtime:
        _log.info("tensorrt engine found file=%s folder=%s", self._request.path.name, found.place.folder)
        if cancelled.is_set():
            raise LoadFailed("it was cancelled")
        self._found = found
        return self._engine.load_accepted(self._request, found)

    @property
    def _kind(self) -> tuple[str, ...]:
        """Builds that take about as long: the same network's name and size on the same GPU and TensorRT."""
        key = self._cache.key
        return (self._request.path.name, str(self._request.bytes >> 20), key.gpu, key.tensorrt, key.precision,
                key.shapes, str(key.level))  # fmt: skip

    def _build(self, cancelled: threading.Event, unusable: StoredEngine | None = None) -> StoredEngine:
        place, notes = self._cache.place_to_build()
        with self._cache.locked(place, cancelled):
            found = self._cache.find()  # another process may have built it while we waited
            if isinstance(found, StoredEngine) and (unusable is None or found.written != unusable.written):
                return found
            started = self._clock()
            folder = self._cache.stage(place)
            try:
                job = BuildJob(self._request, self._engine.level, folder, place.stem, self._cache.timing_folder)
                self._child(job, cancelled)
                self._cache.commit(place, notes)
            except BaseException:
                self._cache.discard(place)
                raise
            seconds = self._clock() - started
            _log.info("tensorrt engine built file=%s s=%.1f", self._request.path.name, seconds)
            if self._times is not None:
                self._times.add(self._kind, seconds)
            found = self._cache.find()
        if isinstance(found, str):
            raise LoadFailed(f"the engine was built and is not there: {found}")
        return found


def load_with_tensorrt(
    request: LoadRequest,
    wanted: LoadRequest,
    gate: Gate,
    *,
    model: str,
    engines: Sequence[Engine],
    engine: TensorRTEngine | None = None,
    make_build: Callable[[TensorRTEngine, LoadRequest], TensorRTBuild] = TensorRTBuild,
) -> Selection:
    """Load at once with TensorRT where its engine is built and agrees; else with another engine, and build behind it.

    Args:
        request: for the other engines, in their precision.
        wanted: the same for TensorRT, in its precision.
        gate: judges the built engine.
        model: the model's name, for the log.
        engines: the others, in the order in which they are tried.
        engine: TensorRT.
        make_build: what builds.

    Raises:
        LoadFailed: none of the engines could load it.
    """
    tensorrt = engine or TensorRTEngine()
    reason = tensorrt.unavailable(wanted.device)
    build: TensorRTBuild | None = None
    if reason is None:
        try:
            found = tensorrt.cache(wanted).find()
            if isinstance(found, StoredEngine) and found.accepted:
                runtime = _try_accepted(tensorrt, wanted, found)
                if not isinstance(runtime, str):
                    return Selection(runtime, ())
                reason, build = runtime, make_build(tensorrt, wanted)
            elif isinstance(found, StoredEngine) and found.accepted is False:
                reason = f"its results were refused: {found.reason}"
            else:
                reason = found if isinstance(found, str) else "its engine is built and not compared yet"
                build = make_build(tensorrt, wanted)
        except Exception as error:  # noqa: BLE001 - the other engines are there
            reason = told(error)
    selection = load_graph(request, [other for other in engines if other.name != tensorrt.name])
    passed_over = ((tensorrt.name, reason), *selection.passed_over)
    if build is None:
        _log.info("tensorrt passed over model=%s reason=%s", model, reason)
        return Selection(selection.runtime, passed_over)
    upgrading = UpgradingRuntime(selection.runtime, build, gate, model=model, precision=wanted.precision,
                                 judged=build.judged, expected_s=build.expected_s)  # fmt: skip
    return Selection(upgrading, passed_over)


def _try_accepted(tensorrt: TensorRTEngine, wanted: LoadRequest, found: StoredEngine) -> Runtime | str:
    """The engine that was compared, or why it cannot be loaded: then it is loaded or built again in the background."""
    try:
        return tensorrt.load_accepted(wanted, found)
    except Exception as error:  # noqa: BLE001 - ONNX Runtime raises what it likes
        return told(error)
