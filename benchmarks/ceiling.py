"""What this processor can compute at most, by precision: register-only loops, built with the system's C compiler."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.pairs import Call
from benchmarks.work import Answer, Job, Work

KEY = "ceiling"
SOURCE = Path(__file__).with_name("ceiling.c")
#: Loops by the number that `ceiling.c` gives them, and the precision that each is the ceiling of. Of several loops of a
#: precision the fastest counts.
LOOPS: Mapping[str, tuple[int, str]] = {
    "portable": (0, "f32"),
    "AVX2": (1, "f32"),
    "AVX-512": (2, "f32"),
    "vdpbf16ps": (3, "bf16"),
    "vpdpbusd": (4, "int8"),
}
#: A reading lasts about as long: well above the start of a thread.
CALL_S = 0.05
COMPILERS = ("cc", "gcc", "clang")
_DEADLINE_S = 60


def compile_loops(folder: Path) -> tuple[Path | None, str]:
    """Build the loops.

    Returns:
        The library and no reason, or no library and the reason.
    """
    compiler = next((found for name in COMPILERS if (found := shutil.which(name))), None)
    if compiler is None:
        return None, f"there is no C compiler ({', '.join(COMPILERS)})"
    library = folder / "ceiling.so"
    command = [compiler, "-O2", "-ffp-contract=fast", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, f"{Path(compiler).name} does not run: {type(error).__name__}"
    if done.returncode != 0:
        said = next((line for line in done.stderr.splitlines() if "error" in line), "no reason given")
        return None, f"{Path(compiler).name} does not build the loops: {said}"
    return library, ""


def job(library: Path) -> Job:
    """Every loop that runs here, on one thread and on all cores."""
    return Job(KEY, "ceiling", {"library": str(library), "threads": sorted({1, _cores()})})


def work(library: str, threads: Sequence[int]) -> Work:
    """Times each loop on each number of threads."""
    loops = _Loops(library)
    pool = ThreadPoolExecutor(max(threads))
    calls: dict[str, Call] = {}
    operations: dict[str, float] = {}
    for name, (number, _) in LOOPS.items():
        if loops.runs(number):
            rounds = loops.rounds(number)
            for count in threads:
                key = f"{name} x{count}"
                calls[key] = _call(loops, number, rounds, count, pool)
                operations[key] = loops.run(number, 1) * rounds * count
    return Work(calls, lambda: {"operations": operations, "threads": list(threads)})


def summary(answers: Sequence[Answer], unmeasured: Mapping[str, str]) -> dict[str, Any]:
    """The ceiling of each precision: of its fastest loop, the fastest reading of all processes.

    The fastest, because a ceiling is what the machine can do: whatever else ran can only have lowered a reading.

    Args:
        answers: of `work`.
        unmeasured: precisions whose loops are no ceiling here, with the reason.
    """
    found: dict[str, Any] = {}
    for loop, (_, precision) in LOOPS.items():
        if precision in unmeasured or f"{loop} x1" not in answers[0].samples:
            continue
        most = answers[0].facts["threads"][-1]
        by_process = [_gflops(answer, f"{loop} x{most}") for answer in answers]
        measured = {
            "loop": loop,
            "threads": most,
            "gflops": max(by_process),
            "slowest_process": min(by_process),
            "one_thread": max(_gflops(answer, f"{loop} x1") for answer in answers),
        }
        if measured["gflops"] > found.get(precision, {"gflops": 0.0})["gflops"]:
            found[precision] = measured
    return found


def unmeasured(instructions: Sequence[str]) -> dict[str, str]:
    """Precisions for which the processor has something faster than the loops here."""
    reason = "its matrix units (AMX) are faster than the vector loop that is measured"
    return {precision: reason for precision in ("bf16", "int8") if f"amx_{precision}" in instructions}


class _Loops:
    """The built library. Its calls let go of Python's lock, so threads really run side by side."""

    def __init__(self, path: str) -> None:
        library = ctypes.CDLL(path)
        self._run = library.ceiling_run
        self._run.restype, self._run.argtypes = ctypes.c_double, [ctypes.c_int, ctypes.c_long]
        self._runs = library.ceiling_runs
        self._runs.restype, self._runs.argtypes = ctypes.c_int, [ctypes.c_int]

    def runs(self, number: int) -> bool:
        return bool(self._runs(number))

    def run(self, number: int, rounds: int) -> float:
        """Operations done."""
        return float(self._run(number, rounds))

    def rounds(self, number: int) -> int:
        """How many make a call of about CALL_S."""
        rounds, took = 1000, 0.0
        while took < CALL_S / 2:
            rounds *= 2
            started = perf_counter()
            self.run(number, rounds)
            took = perf_counter() - started
        return max(1, round(rounds * CALL_S / took))


def _call(loops: _Loops, number: int, rounds: int, threads: int, pool: ThreadPoolExecutor) -> Call:
    if threads == 1:
        return lambda: loops.run(number, rounds)
    return lambda: list(pool.map(loops.run, [number] * threads, [rounds] * threads))


def _gflops(answer: Answer, key: str) -> float:
    operations: float = answer.facts["operations"][key]
    return operations / (min(answer.samples[key].wall_ms) / 1000) / 1e9


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
