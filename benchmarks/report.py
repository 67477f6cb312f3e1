"""Results as data, and the table that is made from the data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from benchmarks import clip, engines_page, enrich, pipeline, prompt
from benchmarks.comparison import Comparison
from benchmarks.machine import slug
from benchmarks.markdown import milliseconds, span, table
from benchmarks.pairs import READING_MS, WARM_UP
from benchmarks.serving import page as serving_page

#: Raised when the meaning of a field changes.
FORMAT = 1
GROUPS = {
    "method": "The method itself",
    "decode": "Decoding",
    "models": "Models: `predict` beside the bare engine",
    "engines": "Engine beside engine, both bare",
    "analyze": "The whole of `analyze`",
    "clip": "CLIP, served and bare",
    "enrich": "Everything about a detection in one call",
    "pipeline": "The pipeline over HTTP and in one process",
    "prompt": "From facts to a prompt",
}
#: An absolute path's folders.
_FOLDERS = re.compile(r"(?<![\w./])(?:/[^\s/:]+)+/")
_HEAD = ("what", "subject", "ms", "CPU-ms", "beside", "ms", "CPU-ms", "ratio", "95 % interval", "of processes", "goal")


@dataclass(frozen=True, slots=True)
class Report:
    """One run.

    Attributes:
        date: ISO, UTC.
        machine: as `machine.describe`.
        processes: that each job was measured in.
        rounds: of each process.
        comparisons: the rows.
        parts: of `analyze`: milliseconds in all and inside the engine.
        facts: what the first process of each job said about it.
        engines: as `engines.summary`; empty where engines were not measured.
        serving: as `serving.plan.summary`; empty where the services were not measured.
        skipped: what was not measured, and why.
        failed: what could not be measured, and why.
    """

    date: str
    machine: Mapping[str, Any]
    processes: int
    rounds: int
    comparisons: Sequence[Comparison]
    parts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    engines: Mapping[str, Any] = field(default_factory=dict)
    serving: Mapping[str, Any] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)


def to_json(report: Report) -> bytes:
    """The whole run."""
    method = {"processes": report.processes, "pairs": report.rounds, "warm_up_calls": WARM_UP, "reading_ms": READING_MS,
              "ratio": "median over processes of the median over pairs",
              "interval": "95 %, bootstrap over processes, then over pairs"}  # fmt: skip
    rows = [asdict(row) | {"verdict": row.verdict} for row in report.comparisons]
    rest = {"parts_of_analyze": report.parts, "engines": report.engines, "serving": report.serving,
            "facts": report.facts, "skipped": report.skipped, "failed": report.failed}  # fmt: skip
    value = {"format": FORMAT, "date": report.date, "machine": report.machine, "method": method, "comparisons": rows}
    return orjson.dumps(_placeless(value | rest), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def to_markdown(report: Report) -> str:
    """The run as a page."""
    return "\n".join(_page(report)) + "\n"


def store(report: Report, folder: Path) -> Path:
    """Write both into the folder, named by date, processor and, where alone, the group; gives the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    alone = not report.comparisons
    kind = "-engines" if alone and report.engines else "-serving" if alone and report.serving else ""
    for group in (clip.GROUP, enrich.GROUP, pipeline.GROUP, prompt.GROUP):
        if {row.group for row in report.comparisons} == {group}:
            kind = f"-{group}"
    page = folder / f"{report.date}-{slug(report.machine['cpu'])}{kind}.md"
    page.with_suffix(".json").write_bytes(to_json(report))
    page.write_text(to_markdown(report), encoding="utf-8")
    return page


def _page(report: Report) -> Iterator[str]:
    machine = report.machine
    yield f"# Benchmarks of {report.date}"
    yield ""
    instructions = f" ({', '.join(machine['instructions'])})" if machine["instructions"] else ""
    yield f"{machine['cpu']}{instructions}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']},"
    yield f"Python {machine['python']}, {', '.join(f'{name} {v}' for name, v in machine['versions'].items())},"
    yield f"commit {machine['commit'] or 'unknown'}. Load before the run: {machine['load_before']}."
    yield ""
    yield f"{report.processes} fresh processes a row, {report.rounds} interleaved pairs in each. A ratio is the"
    yield "subject's time over the time of what stands beside it: below 1 it is faster."
    for group, title in GROUPS.items():
        rows = [row for row in report.comparisons if row.group == group]
        if rows:
            yield from ("", f"## {title}", "")
            yield from table(_HEAD, [_cells(row) for row in rows])
    if report.parts:
        yield from ("", "## Inside `analyze`", "")
        yield from table(("part", "ms", "inside the engine", "beside it"), [*_part_cells(report.parts)])
    yield from clip.sections(report.facts)
    yield from enrich.sections(report.facts)
    yield from pipeline.sections(report.facts)
    yield from prompt.sections(report.facts)
    yield from engines_page.sections(report.engines)
    yield from serving_page.sections(report.serving)
    for title, reasons in (("Not measured", report.skipped), ("Failed", report.failed)):
        if reasons:
            yield from ("", f"## {title}", "")
            yield from (f"* {name}: {_placeless(reason)}" for name, reason in reasons.items())


def _cells(row: Comparison) -> list[str]:
    name = f"{row.name} ({row.note})" if row.note else row.name
    numbers = [row.subject.name, milliseconds(row.subject.wall_ms), milliseconds(row.subject.cpu_ms),
               row.reference.name, milliseconds(row.reference.wall_ms), milliseconds(row.reference.cpu_ms)]  # fmt: skip
    goal = "" if row.goal is None else f"{row.goal:g}: {row.verdict}"
    return [name, *numbers, f"{row.ratio:.2f}", span(row.interval), span(row.range), goal]


def _part_cells(parts: Mapping[str, Mapping[str, float]]) -> Iterator[list[str]]:
    for part, times in parts.items():
        inside = times["infer_ms"]
        yield [
            part,
            milliseconds(times["ms"]),
            milliseconds(inside) if inside else "",
            milliseconds(times["ms"] - inside) if inside else "",
        ]
    total = parts["total"]["ms"]
    rest = total - sum(times["ms"] for part, times in parts.items() if part != "total")
    yield ["total less the parts", milliseconds(rest), "", ""]


def _placeless(value: Any) -> Any:
    """The same without folders in its texts: results are published, and where files lay is nobody's business."""
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, Mapping):
        return {key: _placeless(inner) for key, inner in value.items()}
    return [_placeless(inner) for inner in value] if isinstance(value, (list, tuple)) else value
