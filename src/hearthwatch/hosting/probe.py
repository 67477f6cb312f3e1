"""What a model costs, measured in a child process before its first load.

Several models in one process cannot be told apart by looking at the process, and an engine that crashes or hangs takes
its process with it. So each engine is tried in a child of its own, in the order in which they would be tried here,
until one is measured. Its figures are kept on disk (`costs`) and hold for these weights, engines and this machine.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.precision import processor
from hearthwatch.adapter.spec import Scope
from hearthwatch.artifacts.graph import read_graph
from hearthwatch.artifacts.lookup import FoundWeights
from hearthwatch.child import crash_of, end, last_words, tell
from hearthwatch.errors import LoadFailed, OutOfMemory
from hearthwatch.hosting.costs import Costs
from hearthwatch.hosting.probe_job import LARGEST_BATCH, ProbeJob, Report
from hearthwatch.hosting.spec import MIB, Cost
from hearthwatch.runtimes.base import Engine, EngineName
from hearthwatch.runtimes.select import ALL_ENGINES, resolve_device
from hearthwatch.settings import child_environment

#: Runs the child with this interpreter.
CHILD = (sys.executable, "-m", "hearthwatch.hosting.probe_child")
#: A first load may convert a checkpoint and compile a large network on a slow machine; beyond this it hangs.
TIMEOUT_S = 600.0
_POLL_S = 0.05
#: Packages whose versions change what a network takes.
_PACKAGES = ("openvino", "onnxruntime", "onnxruntime-gpu", "torch", "rapidocr")

_log = logging.getLogger(__name__)


class Probe:
    """Measures models in child processes.

    Args:
        costs: where the figures are kept.
        command: the child.
        timeout_s: of one child; then it is ended, and its engine rejected.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        costs: Costs,
        *,
        command: Sequence[str] = CHILD,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._costs = costs
        self._command = tuple(command)
        self._timeout_s = timeout_s
        self._clock = clock
        self._cancelled = threading.Event()
        self._rejected: dict[str, dict[EngineName, str]] = {}

    def rejected(self, model: str) -> Mapping[EngineName, str]:
        """The engines that must not load this model, with the reason of each, as `measure` found out."""
        return self._rejected.get(model, {})

    def close(self) -> None:
        """End the children that run; what waits for them fails to load."""
        self._cancelled.set()

    def measure(self, adapter: type[Adapter[Any]], options: LoadOptions) -> Cost:
        """The cost on the first engine that can; the declared one where no engine says that it can.

        Raises:
            WeightsMissing: nowhere; no child was started.
            OutOfMemory: a child had no room.
            LoadFailed: every engine was rejected, or the probe was closed.
        """
        spec, found = adapter.SPEC, find(adapter, options)
        device = resolve_device(options.device, options.engines)
        digest = _digest(found)
        rejected: dict[EngineName, str] = {}
        self._rejected[spec.name] = rejected
        engines = [None] if spec.bundled else _candidates(options, device)
        for engine in engines:
            report = self._report(adapter, options, device, digest, engine)
            if report.outcome == "measured":
                return Cost(report.resident_bytes, report.peak_bytes, report.engine, report.precision, report.device)
            if report.outcome == "no_room":
                raise OutOfMemory(f"{spec.name} has no room on {device}: {report.reason}")
            if report.outcome == "rejected" and engine is not None:
                rejected[engine.name] = report.reason
        if rejected and len(rejected) == len(engines):
            reasons = "; ".join(f"{name}: {reason}" for name, reason in rejected.items())
            raise LoadFailed(f"{spec.name} could not be loaded on {device}: {reasons}")
        declared = spec.declared_mb * MIB
        return Cost(declared, declared, measured=False)

    def _report(
        self, adapter: type[Adapter[Any]], options: LoadOptions, device: str, digest: str, engine: Engine | None
    ) -> Report:
        """From the disk, or from a child; one child per question at a time, of all processes."""
        one = replace(options, engines=[] if engine is None else [engine])
        cuda = device.startswith("cuda")
        job = ProbeJob.of(adapter, one, LARGEST_BATCH if _batches(adapter, cuda=cuda) else 1)
        name = "bundled" if engine is None else engine.name
        facts = [job.adapter, digest, name, device, options.precision, options.threads, options.concurrency, job.batch,
                 repr(adapter.SPEC.input), _versions(), processor()]  # fmt: skip
        path = self._costs.path(adapter.SPEC.name, facts)
        if kept := self._costs.read(path):
            return kept
        # What a GPU has in use is of all processes together: two probes at once would measure each other.
        with self._costs.locked(device.replace(":", "-") if cuda else path.stem):
            if kept := self._costs.read(path):
                return kept
            started = self._clock()
            report = self._ask(job)
            _log.info("probe model=%s engine=%s outcome=%s resident_mib=%d peak_mib=%d s=%.1f reason=%s",
                      adapter.SPEC.name, name, report.outcome, report.resident_bytes // MIB, report.peak_bytes // MIB,
                      self._clock() - started, report.reason)  # fmt: skip
            if report.outcome != "no_room":  # there may be room the next time
                self._costs.write(path, report)
            return report

    def _ask(self, job: ProbeJob) -> Report:
        """Run a child and wait for its end.

        Raises:
            LoadFailed: the probe was closed.
        """
        started = self._clock()
        # Files and no pipes: a child that says much must not wait for us to read it.
        with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as words:
            # A session of its own, so that all of it can be ended, and that Ctrl-C at a terminal is ours to handle.
            child = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=answer,
                stderr=words,
                env=child_environment(),
                start_new_session=True,
            )
            try:
                tell(child, job.to_json())
                while child.poll() is None:
                    if self._cancelled.wait(_POLL_S):
                        raise LoadFailed("the process is stopping")
                    if self._clock() - started >= self._timeout_s:
                        return Report("rejected", f"it hung: no answer after {self._timeout_s:.0f} s")
            finally:
                end(child)
            return _outcome(child.returncode, answer, words)


def _batches(adapter: type[Adapter[Any]], *, cuda: bool) -> bool:
    """Whether one call of the network may bring several questions; clips are watched one by one everywhere."""
    scope = adapter.SPEC.scope
    return scope is not Scope.FRAMES and (cuda or scope is not Scope.FRAME)


def _candidates(options: LoadOptions, device: str) -> list[Engine]:
    """The engines that would be tried, in order; a child knows ours by their names, and no others."""
    ours = {type(engine) for engine in ALL_ENGINES}
    places = {device, "cpu"} if options.device == "auto" else {device}
    return [
        engine
        for engine in options.engines
        if type(engine) in ours
        and engine.name != "tensorrt"
        and any(engine.unavailable(place) is None for place in places)
    ]


def _digest(found: FoundWeights) -> str:
    """Of everything that makes the weights."""
    if found.kind == "bundled":
        return "bundled"
    if found.kind == "onnx":
        return read_graph(found.path).digest
    files = [found.path] if found.path.is_file() else sorted(path for path in found.path.iterdir() if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            digest.update(path.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _versions() -> list[str]:
    versions = []
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions.append(f"{package} {importlib.metadata.version(package)}")
    return versions


def _outcome(code: int, answer: IO[bytes], words: IO[bytes]) -> Report:
    """What a child that ended has found out: an engine whose child has no answer is rejected."""
    if code < 0:
        return Report("rejected", f"it crashed ({crash_of(code)}): {last_words(words)}")
    answer.seek(0)
    try:
        return Report.from_json(answer.read())
    except (ValueError, TypeError):
        return Report("rejected", f"it ended with code {code} and no answer: {last_words(words)}")


def probe_in(cache_dir: Path | None, **settings: Any) -> Probe | None:
    """A probe that keeps its figures in this cache; None where there is no cache."""
    return None if cache_dir is None else Probe(Costs(cache_dir), **settings)
