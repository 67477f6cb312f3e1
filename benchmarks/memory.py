"""What a network costs to load on each engine: time without and with a cache, memory taken and given back."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.work import Answer, Job, Work
from hearthwatch.runtimes.base import Array, Engine, LoadRequest

#: Loads in one process: what the third one leaves behind more than the first is a leak.
CYCLES = 3
#: Engines that keep compiled networks on disk.
CACHING = frozenset({"openvino"})
_STATUS = Path("/proc/self/status")
_MIB = 1024  # of the kB that the kernel counts in


def unavailable() -> str | None:
    """Why memory cannot be read here."""
    return None if _STATUS.is_file() else f"{_STATUS} is not there: memory of a process is read on Linux only"


def job(key: str, arguments: Mapping[str, Any], *, cached: bool) -> Job:
    """Load, run and close one network in a fresh process.

    Args:
        key: of the network on its engine.
        arguments: of `engines.work`, whose process has filled the cache.
        cached: with that cache, or without any.
    """
    return Job(key_of(key, cached=cached), "load", {**arguments, "cached": cached})


def key_of(key: str, *, cached: bool) -> str:
    return f"load {key}, {'warm' if cached else 'cold'}"


def work(engine: Engine, request: LoadRequest, pixel_values: Array, code: Sequence[str] = ()) -> Work:
    """Nothing to be timed in turns: the cycles are the facts.

    Args:
        engine: that loads.
        request: what it loads.
        pixel_values: for its first call.
        code: modules that its network is made of; their import is the engine's, and no part of a load.
    """
    started = perf_counter()
    if reason := engine.unavailable("cpu"):
        raise RuntimeError(reason)
    for name in code:
        importlib.import_module(name)
    import_ms = _since(started)
    gc.collect()
    base = read_memory()
    cycles = [_cycle(engine, request, pixel_values, base) for _ in range(CYCLES)]
    return Work({}, lambda: {"import_ms": import_ms, "base": base, "cycles": cycles})


def read_memory(status: Path = _STATUS) -> dict[str, float]:
    """MiB of this process: `anonymous` is its own, `resident` also has pages of mapped files."""
    fields = dict(line.split(":", 1) for line in status.read_text(encoding="ascii").splitlines())
    names = {"anonymous": "RssAnon", "resident": "VmRSS"}
    return {name: int(fields[field].split()[0]) / _MIB for name, field in names.items()}


def summary(cold: Sequence[Answer], warm: Sequence[Answer] = ()) -> dict[str, Any]:
    """Medians over the processes. `warm_ms` is None for an engine without a cache."""
    measured = [answer.facts["cycles"] for answer in cold]
    return {
        "import_ms": median(answer.facts["import_ms"] for answer in cold),
        "cold_ms": median(cycles[0]["load_ms"] for cycles in measured),
        "warm_ms": median(answer.facts["cycles"][0]["load_ms"] for answer in warm) if warm else None,
        "warm_from_cache": all(cycle["cached"] for answer in warm for cycle in answer.facts["cycles"]),
        "again_ms": median(median(cycle["load_ms"] for cycle in cycles[1:]) for cycles in measured),
        "first_run_ms": median(cycles[0]["first_run_ms"] for cycles in measured),
        "base_mib": median(answer.facts["base"]["anonymous"] for answer in cold),
        **_memory(measured, ""),
        **(_memory([answer.facts["cycles"] for answer in warm], "warm_") if warm else {}),
    }


def _memory(measured: Sequence[Sequence[Mapping[str, Any]]], prefix: str) -> dict[str, float]:
    return {
        f"{prefix}resident_mib": median(cycles[0]["loaded"]["resident"] for cycles in measured),
        f"{prefix}taken_mib": median(cycles[0]["loaded"]["anonymous"] for cycles in measured),
        f"{prefix}left_mib": median(cycles[0]["closed"]["anonymous"] for cycles in measured),
        f"{prefix}left_at_last_mib": median(cycles[-1]["closed"]["anonymous"] for cycles in measured),
    }


def _cycle(engine: Engine, request: LoadRequest, pixel_values: Array, base: Mapping[str, float]) -> dict[str, Any]:
    started = perf_counter()
    runtime = engine.load(request)
    load_ms = _since(started)
    started = perf_counter()
    answer = runtime.run({request.inputs[0]: pixel_values})
    first_run_ms = _since(started)
    assert all(np.isfinite(array).all() for array in answer.values())
    del answer
    loaded, cached = _above(base), runtime.info.cached
    runtime.close()
    del runtime
    return {
        "load_ms": load_ms,
        "first_run_ms": first_run_ms,
        "cached": cached,
        "loaded": loaded,
        "closed": _above(base),
    }


def _above(base: Mapping[str, float]) -> dict[str, float]:
    return {name: value - base[name] for name, value in read_memory().items()}


def _since(started: float) -> float:
    return (perf_counter() - started) * 1000
