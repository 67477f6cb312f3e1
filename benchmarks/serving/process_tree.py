"""What a process and all its descendants cost, read from Linux's table of processes."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
#: Places in /proc/PID/stat after the name, which may hold blanks and brackets itself.
_PARENT, _TIMES = 1, slice(11, 15)


def unavailable(proc: Path = PROC) -> str | None:
    """Why processes cannot be read here."""
    return None if (proc / "self" / "stat").is_file() else f"{proc} has no processes: they are read on Linux only"


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """The process and its descendants, parents first; empty where it has ended."""
    children: dict[int, list[int]] = defaultdict(list)
    alive = dict(_stats(proc))
    for child, fields in alive.items():
        children[int(fields[_PARENT])].append(child)
    found = [pid] if pid in alive else []
    for parent in found:  # grows while it is walked
        found += children[parent]
    return found


def cpu_s(pid: int, proc: Path = PROC) -> float:
    """Seconds of processor time of the whole tree, with descendants that have ended and were waited for."""
    alive = dict(_stats(proc))
    return sum(sum(map(int, alive[member][_TIMES])) for member in tree(pid, proc) if member in alive) / _TICKS


def memory_mib(pid: int, proc: Path = PROC) -> dict[str, float]:
    """MiB of the whole tree: `anonymous` is its own; `resident` counts pages that members share once for each."""
    taken = {"anonymous": 0.0, "resident": 0.0}
    for member in tree(pid, proc):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines = (proc / str(member) / "status").read_text(encoding="ascii", errors="replace").splitlines()
            fields = dict(line.split(":", 1) for line in lines if ":" in line)
            for name, field in (("anonymous", "RssAnon"), ("resident", "VmRSS")):
                taken[name] += int(fields.get(field, "0 kB").split()[0]) / _KIB
    return taken


def signal_tree(pid: int, number: int) -> None:
    """Send a signal to the process and its descendants; those that have ended are no error."""
    for member in tree(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, number)


def _stats(proc: Path) -> Iterator[tuple[int, list[str]]]:
    for folder in proc.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):  # it ended meanwhile
                yield int(folder.name), (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
