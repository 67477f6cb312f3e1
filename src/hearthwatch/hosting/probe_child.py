"""The process in which a model is measured: `python -m hearthwatch.hosting.probe_child`.

It reads a `ProbeJob` from stdin, loads the model once to fill the caches (conversion, precision verdict, compiled
network), gives it back, and measures a second load. What an engine does to this process, it does not do to a service:
a crash or a hang here rejects the engine. The end of stdin is the end of the parent, and then of this process.
"""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np

from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.spec import Scope
from hearthwatch.child import end_with_parent
from hearthwatch.errors import HearthwatchError, InferenceFailed, LoadFailed, OutOfMemory
from hearthwatch.hosting.memory import Memory, memory_for
from hearthwatch.hosting.probe_job import LARGEST_BATCH, ProbeJob, Report
from hearthwatch.runtimes.base import Array, Runtime, RuntimeInfo, Tensors
from hearthwatch.runtimes.memory import is_out_of_memory, release_memory
from hearthwatch.runtimes.select import resolve_device

#: How often memory is read while a model loads. A peak that is shorter may be missed.
SAMPLE_S = 0.002


def main() -> int:
    """Read a job, measure, answer. Exit code 0 where there is an answer, whatever it says."""
    # Libraries print to stdout what they like: the answer has a descriptor of its own.
    answer = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    job = ProbeJob.from_json(sys.stdin.buffer.readline())
    end_with_parent(sys.stdin.fileno())
    os.write(answer, probe(job).to_json())
    return 0


def probe(job: ProbeJob, memory: Memory | None = None) -> Report:
    """Measure one model on one engine in this process.

    Args:
        job: what to load.
        memory: what is read; None: that of the job's device.
    """
    try:
        return _measure(job, memory or memory_for(resolve_device(job.options.device, job.options.engines)))
    except NotFinite as error:
        return Report("rejected", str(error))
    except (OutOfMemory, MemoryError) as error:
        return Report("no_room", str(error) or "MemoryError")
    except LoadFailed as error:
        return Report("refused", str(error))
    except InferenceFailed as error:
        return Report("no_room" if is_out_of_memory(error) else "rejected", str(error))
    except HearthwatchError as error:
        return Report("refused", str(error))


class NotFinite(HearthwatchError):
    """A network answered with numbers that are none."""


def _measure(job: ProbeJob, memory: Memory) -> Report:
    adapter = job.adapter_class()
    # The same threads for both loads: what the heap keeps for a thread is none of the model's.
    with ThreadPoolExecutor(max_workers=job.options.concurrency) as pool:
        first = _checked(load(adapter, job.options))
        # The parent knows the model; this weight file's network may look at crops where the others do not.
        if first.adapter.scope is not adapter.SPEC.scope and first.adapter.scope is Scope.CROP:
            job = replace(job, batch=max(job.batch, LARGEST_BATCH))
        _run(first, job, pool)
        first.close()
        del first
        release_memory()
        start = memory.used_bytes()
        steps: list[tuple[str, int]] = []
        with _Peak(memory) as peak:
            loaded = _checked(load(adapter, job.options))
            steps.append(("loaded", memory.used_bytes() - start))
            pool.submit(loaded.warm_up).result()
            steps.append(("batch of 1", memory.used_bytes() - start))
            _run(loaded, job, pool)
            steps.append((f"batch of {job.batch}", memory.used_bytes() - start))
        info = loaded.info
        resident = max(0, *(size for _, size in steps))
        loaded.close()
        steps.append(("closed", memory.used_bytes() - start))
    return Report("measured", "", resident, max(resident, peak.bytes - start), info.engine, info.precision, info.device,
                  tuple(steps))  # fmt: skip


def _run(loaded: LoadedModel, job: ProbeJob, pool: ThreadPoolExecutor) -> None:
    """Its largest batch, in as many calls at the same time as are expected: each stream takes memory of its own."""
    for call in [pool.submit(loaded.warm_up, job.batch) for _ in range(job.options.concurrency)]:
        call.result()


def _checked(loaded: LoadedModel) -> LoadedModel:
    loaded.runtime = _Finite(loaded.runtime)
    return loaded


class _Finite:
    """A runtime whose answers are looked at."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def info(self) -> RuntimeInfo:
        return self._runtime.info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        outputs = self._runtime.run(inputs)
        for name, array in outputs.items():
            if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
                raise NotFinite(f"its output {name} is not finite")
        return outputs

    def close(self) -> None:
        self._runtime.close()


class _Peak:
    """Reads memory again and again, in a thread, and keeps the most."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.bytes = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            self.bytes = max(self.bytes, self._memory.used_bytes())
            if self._end.wait(SAMPLE_S):
                return


if __name__ == "__main__":
    sys.exit(main())
