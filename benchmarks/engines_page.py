"""The page of engines, made from a stored result: `python -m benchmarks.engines_page` writes docs/engines.md."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from benchmarks.markdown import milliseconds, span, table
from benchmarks.processes import ROOT

PAGE = ROOT / "docs" / "engines.md"
RESULTS = ROOT / "benchmarks" / "results"
#: At best on another machine, 2 cores of an AMD EPYC with AVX512-BF16, 2026-11-20, before there was a package: speed-up
#: over eager PyTorch in f32, and the time over that of the bf16 ceiling. All OpenVINO in bf16 at batch 1.
SEEN: Mapping[str, tuple[float, float]] = {
    "CLIP ViT-L/14": (2.2, 1.5),
    "ViT-B/16": (2.1, 1.5),
    "ResNet-50": (2.8, 1.1),
    "ResNet-18": (3.0, 1.1),
    "YOLOv8n-pose": (2.7, 1.4),
    "OSNet x0.25": (11.0, 3.6),
}
_ENGINE_HEAD = (
    "network",
    "batch",
    "engine",
    "ms",
    "of processes",
    "CPU-ms",
    "speed-up",
    "95 % interval",
    "% of ceiling",
)
_BEST_HEAD = ("network", "fastest engine", "speed-up", "seen at best", "times the floor", "seen at best")
_LOAD_HEAD = ("network", "engine", "import ms", "cold ms", "warm ms", "again ms", "first call ms")
_MEMORY_HEAD = ("network", "engine", "weights", "taken", "resident", "left", "left after the last")


def newest(folder: Path = RESULTS) -> Path | None:
    """The stored result that the page is of; None where there is none."""
    return max(folder.glob("*-engines.json"), default=None, key=lambda path: path.name)


def page_of(data: Mapping[str, Any], source: str) -> str:
    """The whole page.

    Args:
        data: a stored result.
        source: its file name.
    """
    return "\n".join(_page(data, source)) + "\n"


def sections(found: Mapping[str, Any]) -> Iterator[str]:
    """The tables of a result; nothing where engines were not measured."""
    if ceilings := found.get("ceilings"):
        yield from ("", "## Ceiling", "")
        yield from _ceilings(ceilings)
    if rows := found.get("rows"):
        yield from ("", "## Engines beside eager PyTorch", "")
        yield from (
            "A speed-up is the time of eager PyTorch over that of the engine: above 1 the engine is faster.",
            "",
        )
        yield from table(_ENGINE_HEAD, [_cells(row) for row in rows])
        yield from ("", "## The fastest at batch 1", "")
        yield from table(_BEST_HEAD, [_best(name, rows) for name in _names(rows)])
    if loads := found.get("loads"):
        yield from ("", "## Load", "")
        yield from table(_LOAD_HEAD, [_load_cells(load) for load in loads])
        yield from ("", "## Memory, MiB", "")
        yield from table(_MEMORY_HEAD, [cells for load in loads for cells in _memory_cells(load)])


def main() -> int:
    """Exit code 1 where no result is stored."""
    source = newest()
    if source is None:
        sys.stderr.write("no result is stored; `python -m benchmarks --only engines` stores one\n")
        return 1
    PAGE.write_text(page_of(orjson.loads(source.read_bytes()), source.name), encoding="utf-8")
    sys.stderr.write(f"{PAGE.relative_to(ROOT)} written from {source.name}\n")
    return 0


def _page(data: Mapping[str, Any], source: str) -> Iterator[str]:
    machine, method = data["machine"], data["method"]
    instructions = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield from ("# Engines", "")
    written = f"Written by `python -m benchmarks.engines_page` from `benchmarks/results/{source}`; do not edit."
    measured = (
        f"Measured on {data['date']}: {machine['cpu']}{instructions}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, {versions}. "
        f"{method['processes']} fresh processes for each engine, which took turns; one engine in a process. "
        f"Load of the machine before the run: {machine['load_before']}."
    )
    yield from (*_wrapped(written), "", *_wrapped(measured))
    yield ""
    yield from _HOW_TO_READ.splitlines()
    yield from sections(data["engines"])
    for title, reasons in (("Not measured", data["skipped"]), ("Failed", data["failed"])):
        if reasons:
            yield from ("", f"## {title}", "")
            yield from (f"* {name}: {reason}" for name, reason in reasons.items())


_HOW_TO_READ = """\
* Networks have their real architecture and made-up weights; each is exported to ONNX once. Every engine is called
  through `hearthwatch.runtimes`, and is measured only where its answer agrees with that of eager PyTorch. What comes
  after the network, such as non-maximum suppression, is not included.
* **ms** is the time of the whole batch: the median over the processes of the median over their readings. *Of
  processes* is their least and largest median. **CPU-ms** is the time of all threads.
* **Speed-up** is the time of eager PyTorch in f32 over that of the engine, above 1 where the engine is faster.
* The **ceiling** is the fastest reading of a loop that only multiplies and adds in registers, in the same precision,
  on all cores. **% of ceiling** is two operations for each multiplication of the network, over its time, over the
  ceiling. *Times the floor* is the same turned round: the time over what it would be at the ceiling.
* *Seen at best* comes from another machine, two cores of an AMD EPYC, and was seen in bf16; a processor without bf16
  has half the ceiling and stands beside it at a disadvantage.
* **Cold** is the first load of a fresh process without any cache of compiled networks, **warm** the same with that
  cache (only OpenVINO has one), **again** the later loads of the cold process. Files are in the system's page cache
  throughout; *import* is that of the engine and comes on top, once. PyTorch reads no file: its load is that of making
  the module with its weights from their seed.
* **Taken** is anonymous memory (RssAnon) after a load and a call at batch 1, above the same process before;
  *resident* includes pages of mapped files, which the system takes back when it needs them. *Left* is what is still
  there after `close`, and *left after the last* after the third load and close in the same process."""


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _ceilings(ceilings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    head = ("precision", "loop", "GFLOP/s on 1 thread", "on all", "threads", "slowest process")
    yield from table(
        head,
        [
            [precision, of["loop"], f"{of['one_thread']:.0f}", f"{of['gflops']:.0f}", str(of["threads"]),
             f"{of['slowest_process']:.0f}"]
            for precision, of in ceilings.items()
        ],
    )  # fmt: skip


def _cells(row: Mapping[str, Any]) -> list[str]:
    interval = "" if row["speed_up"] == 1.0 else span(row["interval"])
    spread = " to ".join(milliseconds(value) for value in row["ms_of_processes"])
    percent = "" if row["percent_of_ceiling"] is None else f"{row['percent_of_ceiling']:.0f}"
    numbers = [milliseconds(row["ms"]), spread, milliseconds(row["cpu_ms"]), f"{row['speed_up']:.2f}"]
    return [row["network"], str(row["batch"]), row["engine"], *numbers, interval, percent]


def _best(name: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    best = min((row for row in rows if row["network"] == name and row["batch"] == 1), key=lambda row: row["ms"])
    floor = "" if best["floor_ms"] is None else f"{best['ms'] / best['floor_ms']:.1f}"
    seen = [f"{value:.1f}" for value in SEEN[name]] if name in SEEN else ["", ""]
    return [name, best["engine"], f"{best['speed_up']:.1f}", seen[0], floor, seen[1]]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["network"] for row in rows))


def _load_cells(load: Mapping[str, Any]) -> list[str]:
    warm = ""
    if load["warm_ms"] is not None:
        warm = milliseconds(load["warm_ms"]) + ("" if load["warm_from_cache"] else " (not from its cache)")
    times = [milliseconds(load[key]) for key in ("import_ms", "cold_ms", "again_ms", "first_run_ms")]
    return [load["network"], load["engine"], times[0], times[1], warm, *times[2:]]


def _memory_cells(load: Mapping[str, Any]) -> Iterator[list[str]]:
    for prefix in ("", "warm_"):
        if f"{prefix}taken_mib" in load:
            values = [load["weights_mib"], *(load[f"{prefix}{key}_mib"] for key in _MEMORY)]
            engine = f"{load['engine']}{', warm' if prefix else ''}"
            yield [load["network"], engine, *(f"{value:.0f}" for value in values)]


_MEMORY = ("taken", "resident", "left", "left_at_last")


if __name__ == "__main__":
    sys.exit(main())
