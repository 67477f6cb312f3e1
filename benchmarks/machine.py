"""The machine that was measured: its processor, its memory and the versions that matter; no name and no path."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.processes import ROOT

PACKAGES = ("hearthwatch", "openvino", "onnxruntime", "rapidocr", "torch", "opencv-python-headless", "simplejpeg",
            "pillow", "numpy")  # fmt: skip
#: Instruction sets that decide how fast, and in which precision, a network runs.
FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")
_NOISE = re.compile(r"\((?:R|TM)\)|\bCPU\b|\bProcessor\b|\d+-Core", re.IGNORECASE)


def describe() -> dict[str, Any]:
    """CPU model, cores that we may use, memory, system, versions, and how busy it was before we began."""
    facts = _cpu_facts()
    flags = set((facts.get("flags") or facts.get("features") or "").split())
    return {
        "cpu": facts.get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [flag for flag in FLAGS if flag in flags],
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
        "commit": _commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def slug(cpu: str) -> str:
    """A CPU's name as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", _NOISE.sub(" ", cpu).lower()).strip("-") or "unknown"


def is_busy(machine: dict[str, Any]) -> bool:
    """Whether others were using a tenth of the machine, or more, before we began."""
    return bool(machine["load_before"] > machine["cores"] / 10)


def _cpu_facts(source: Path = Path("/proc/cpuinfo")) -> dict[str, str]:
    """The first processor's lines of Linux's table; empty elsewhere."""
    if not source.is_file():
        return {}
    pairs = (line.partition(":") for line in source.read_text(encoding="utf-8").split("\n\n")[0].splitlines())
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit that was measured, `-dirty` where files differ from it; None outside a checkout."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
