"""The page of the services, from a stored result: `python -m benchmarks.serving.page` writes it."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from benchmarks.markdown import milliseconds, span, table
from benchmarks.processes import ROOT

PAGE = ROOT / "docs" / "serving-benchmarks.md"
RESULTS = ROOT / "benchmarks" / "results"
_RATE_HEAD = ("route", "sent as", "connections", "req/s", "CPU-ms", "beside", "req/s", "CPU-ms", "ratio",
              "95 % interval", "of processes", "goal")  # fmt: skip
_FIRST_HEAD = ("model", "when", "readings", "median ms", "95th percentile", "slowest", "CPU-ms", "goal")
_GENERATOR_HEAD = ("sent as", "connections", "req/s", "its CPU-ms", "the server's CPU-ms")
_START_HEAD = ("server", "start s", "resident MiB", "anonymous MiB")
_MODEL_HEAD = ("model", "state", "engine", "precision", "declared MB", "measured MB", "the budget believes")
_HEALTH_HEAD = ("while", "requests", "median ms", "99th percentile", "of processes", "slowest", "goal")


def newest(folder: Path = RESULTS) -> Path | None:
    """The stored result that the page is of; None where there is none."""
    return max(folder.glob("*-serving.json"), default=None, key=lambda path: path.name)


def page_of(data: Mapping[str, Any], source: str) -> str:
    """The whole page.

    Args:
        data: a stored result.
        source: its file name.
    """
    return "\n".join(_page(data, source)) + "\n"


def sections(found: Mapping[str, Any]) -> Iterator[str]:
    """The tables of a result; nothing where the services were not measured."""
    if rows := found.get("rates"):
        yield from ("", "## Requests per second", "")
        yield from ("A ratio is the rate of Hearthwatch over that of what stands beside it: above 1 it is faster.", "")
        yield from table(_RATE_HEAD, [_rate_cells(row) for row in rows])
    if rows := found.get("load_generator"):
        yield from ("", "## The load generator, on a server without work", "")
        yield from table(_GENERATOR_HEAD, [_generator_cells(row) for row in rows])
    if rows := found.get("starts"):
        yield from ("", "## Start and memory", "")
        yield from table(_START_HEAD, [_start_cells(row) for row in rows])
    if rows := found.get("first_answers"):
        yield from ("", "## First answers", "")
        yield from table(_FIRST_HEAD, [_first_cells(row) for row in rows])
    if rows := found.get("health"):
        yield from ("", "## `GET /health` from another process", "")
        yield from table(_HEALTH_HEAD, [_health_cells(row) for row in rows])
    if rows := found.get("models"):
        yield from ("", "## What `GET /models` says at the end", "")
        yield from table(_MODEL_HEAD, [_model_cells(row) for row in rows])
    if memory := found.get("memory_mib"):
        before, after = _mib(memory["before"]), _mib(memory["after"])
        yield from ("", f"The light service took {before} before its first model and {after} at the end.")


def main() -> int:
    """Exit code 1 where no result is stored."""
    source = newest()
    if source is None:
        sys.stderr.write("no result is stored; `python -m benchmarks --only serving` stores one\n")
        return 1
    PAGE.write_text(page_of(orjson.loads(source.read_bytes()), source.name), encoding="utf-8")
    sys.stderr.write(f"{PAGE.relative_to(ROOT)} written from {source.name}\n")
    return 0


def _page(data: Mapping[str, Any], source: str) -> Iterator[str]:
    machine, method, found = data["machine"], data["method"], data["serving"]
    instructions = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    yield from ("# The services, measured", "")
    written = f"Written by `python -m benchmarks.serving.page` from `benchmarks/results/{source}`; do not edit."
    best = "; ".join(f"{name}: {how}" for name, how in found["at_their_best"].items())
    picture = found["picture"]
    measured = (
        f"Measured on {data['date']}: {machine['cpu']}{instructions}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}, {versions}, commit "
        f"{machine['commit'] or 'unknown'}. {method['processes']} fresh processes of each server, which took turns. "
        f"Load of the machine before the run: {machine['load_before']}."
    )
    asked = (
        f"The picture is a 1080p JPEG ({picture['picture']}, {picture['jpeg_bytes'] / 1000:.0f} KB; "
        f"{picture['json_bytes'] / 1000:.0f} KB as base64 in JSON). {best}{'.' if best else ''}"
    )
    yield from (*_wrapped(written), "", *_wrapped(measured), "", *_wrapped(asked), "")
    yield from _HOW_TO_READ.splitlines()
    yield from sections(found)
    for title, reasons in (("Not measured", data["skipped"]), ("Failed", data["failed"])):
        if reasons:
            yield from ("", f"## {title}", "")
            yield from (f"* {name}: {reason}" for name, reason in reasons.items())


_HOW_TO_READ = """\
* The **bare loop** does the same work without HTTP: our decoder and our arithmetic, the engine called by its own API in
  the same precision, in two threads (one, beside one connection), one thread of the engine for each. It shares the
  machine with nobody, while a server shares it with the load generator.
* **LitServe** and **BentoML** run the same decoder, arithmetic and engine at their best settings, and take base64 JSON.
  The **straightforward** server is what the documents describe: FastAPI, base64, Pillow, eager PyTorch. Each server's
  embedding was compared with that of the bare loop before it was measured.
* A **window** is a second or two of load on one server, the others being paused; windows take turns. **req/s** and
  **CPU-ms** are medians over the processes of the median over their windows; CPU-ms is the processor time of the server
  with its children for each request, without the load generator's.
* **First answers** come from a service that was started for that one reading. *Without any cache* includes measuring
  what the model costs in a process of its own, once for each machine. CPU-ms is the median of the processor time of
  the service and its children, which a busy machine changes least. Files are in the system's page cache.
* A goal **holds** when the interval touches it, from five processes of seven windows up; of first answers, when the
  95th percentile of at least ten is within it; of health, when the median of the processes' 99th percentiles is."""


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 118, break_long_words=False, break_on_hyphens=False)


def _rate_cells(row: Mapping[str, Any]) -> list[str]:
    goal = "" if row["goal"] is None else f"{row['goal']:g}: {row['verdict']}"
    return [
        f"`{row['route']}`", row["transport"], str(row["connections"]),
        f"{row['requests_per_s']:.1f}", milliseconds(row["cpu_ms"]),
        row["beside"], f"{row['beside_requests_per_s']:.1f}", milliseconds(row["beside_cpu_ms"]),
        f"{row['ratio']:.2f}", span(row["interval"]), span(row["of_processes"]), goal,
    ]  # fmt: skip


def _generator_cells(row: Mapping[str, Any]) -> list[str]:
    numbers = [f"{row['requests_per_s']:.0f}", f"{row['client_cpu_ms']:.3f}", f"{row['server_cpu_ms']:.3f}"]
    return [row["transport"], str(row["connections"]), *numbers]


def _start_cells(row: Mapping[str, Any]) -> list[str]:
    return [row["server"], f"{row['start_s']:.1f}", f"{row['resident_mib']:.0f}", f"{row['anonymous_mib']:.0f}"]


def _first_cells(row: Mapping[str, Any]) -> list[str]:
    times = [milliseconds(row[name]) for name in ("median_ms", "p95_ms", "max_ms", "cpu_ms")]
    goal = "" if row["goal_ms"] is None else f"{row['goal_ms']:g}: {row['verdict']}"
    return [row["model"], row["what"], str(row["readings"]), *times, goal]


def _health_cells(row: Mapping[str, Any]) -> list[str]:
    spread = " to ".join(milliseconds(value) for value in row["p99_ms_of_processes"])
    meanwhile = f" ({', '.join(row['meanwhile'])})" if row["meanwhile"] else ""
    times = [milliseconds(row["p50_ms"]), milliseconds(row["p99_ms"]), spread, milliseconds(row["max_ms"])]
    return [f"{row['while']}{meanwhile}", str(row["requests"]), *times, f"{row['goal_ms']:g}: {row['verdict']}"]


def _model_cells(row: Mapping[str, Any]) -> list[str]:
    sizes = [f"{row[name]:.0f}" if row[name] is not None else "" for name in ("declared_mb", "measured_mb")]
    return [row["name"], row["state"], row["engine"] or "", row["precision"] or "", *sizes, row["cost_source"] or ""]


def _mib(memory: Mapping[str, float]) -> str:
    return f"{memory['resident']:.0f} MiB ({memory['anonymous']:.0f} of them its own)"


if __name__ == "__main__":
    sys.exit(main())
