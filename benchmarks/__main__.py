"""`python -m benchmarks`: measure, print and store. docs/benchmarks.md says how to read it."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import clip, decoding, engines, enrich, method, networks, pipeline, prompt, whole
from benchmarks.comparison import MIN_PAIRS, MIN_PROCESSES
from benchmarks.machine import describe, is_busy
from benchmarks.processes import ROOT, run_job, run_jobs
from benchmarks.report import Report, store, to_json, to_markdown
from benchmarks.serving import plan as serving
from benchmarks.table import Row, compare
from benchmarks.work import Job
from hearthwatch.analysis import DETECTOR
from hearthwatch.settings import read_settings

#: What a run measures unless it is told otherwise. The others take far longer, so each is a run of its own.
USUAL = ("method", "decode", "models", "analyze")
ALIKE = (clip, enrich, pipeline, prompt)
OF_THEIR_OWN = (engines.GROUP, serving.GROUP, *(group.GROUP for group in ALIKE))
GROUPS = (*USUAL, *OF_THEIR_OWN)
#: Above the least that a goal is judged by, so that a verdict does not hang on one reading.
PAIRS = 15
QUICK_PROCESSES, QUICK_PAIRS = 2, 3
ASSETS_VARIABLE = "HEARTHWATCH_TEST_ASSETS"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says, with its defaults filled in.

    Attributes:
        groups: of GROUPS.
        processes: fresh ones for each job.
        pairs: interleaved, in each process.
        models_dir: where weights are.
        assets: where real pictures are, if anywhere.
        out: where the results are kept; None keeps none.
        as_json: print the data instead of the page.
        quick: few readings, and only the small part of what is a run of its own.
    """

    groups: Sequence[str]
    processes: int
    pairs: int
    models_dir: Path
    assets: Path
    out: Path | None
    as_json: bool
    quick: bool = False


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0, also where a goal falls short: that is a result. 1 where something could not be measured."""
    asked = read_command_line(argv)
    machine = describe()
    if is_busy(machine):
        _tell(f"others use this machine (load {machine['load_before']}): expect wide intervals")
    with tempfile.TemporaryDirectory(prefix="benchmarks-") as folder:
        report = _measure(asked, machine, Path(folder))
    if asked.out is not None:
        _tell(f"stored as {store(report, asked.out).name}")
    sys.stdout.write(to_json(report).decode() if asked.as_json else to_markdown(report))
    return 1 if report.failed else 0


def read_command_line(argv: Sequence[str] | None) -> Asked:
    """The arguments, or a usage error with exit code 2."""
    given = _parser().parse_args(argv)
    # The same folder as the tests: ruff's ban on the environment is for what users run.
    assets = Path(os.environ.get(ASSETS_VARIABLE) or ROOT.parent / "shared").expanduser().resolve()  # noqa: TID251
    weights = assets / "weights"
    models_dir = given.models_dir or (weights if weights.is_dir() else read_settings().models_dir)
    # What is no whole run does not replace one.
    whole_run = not given.only or given.only in [[group] for group in OF_THEIR_OWN]
    kept = None if given.quick or not whole_run else ROOT / "benchmarks" / "results"
    return Asked(
        groups=given.only or USUAL,
        processes=given.processes or (QUICK_PROCESSES if given.quick else MIN_PROCESSES),
        pairs=given.pairs or (QUICK_PAIRS if given.quick else PAIRS),
        models_dir=models_dir.expanduser().resolve(),
        assets=assets,
        out=given.out or kept,
        as_json=given.json,
        quick=given.quick,
    )


def _measure(asked: Asked, machine: Mapping[str, Any], folder: Path) -> Report:
    jobs, rows, skipped, facts = _plan(asked.groups, asked.models_dir, asked.assets, folder, quick=asked.quick)
    beside = engines.Plan([], {}, [], {})
    if engines.GROUP in asked.groups:
        beside = engines.plan(folder, machine["instructions"], _tell, quick=asked.quick)
    services = serving.Plan([], {}, [], {}, {})
    if serving.GROUP in asked.groups:
        services = serving.plan(asked.models_dir, _pictures(asked.assets, "frames"), folder, quick=asked.quick)
    jobs = [*jobs, *beside.jobs, *services.jobs]
    skipped = skipped | dict(beside.skipped) | dict(services.skipped)
    for name, reason in skipped.items():
        _tell(f"skipped: {name}: {reason}")
    answers, failed = run_jobs(jobs, asked.processes, asked.pairs, _tell)
    measured = [row for row in rows if {row.subject[0], row.reference[0]} <= answers.keys()]
    return Report(
        date=datetime.now(UTC).date().isoformat(),
        machine=machine,
        processes=asked.processes,
        rounds=asked.pairs,
        comparisons=[compare(row, answers) for row in measured],
        parts=whole.parts_of(answers[whole.GROUP]) if whole.GROUP in answers else {},
        engines=engines.summary(beside, answers, machine["instructions"]) if beside.jobs else {},
        serving=serving.summary(services, answers) if services.jobs else {},
        facts=facts | {key: found[0].facts for key, found in answers.items()},
        skipped=skipped,
        failed=failed,
    )


def _plan(
    groups: Sequence[str], models_dir: Path, assets: Path, folder: Path, *, quick: bool = False
) -> tuple[list[Job], list[Row], dict[str, str], dict[str, Any]]:
    """Jobs, rows, what is left out and why, and facts about the pictures."""
    jobs: list[Job] = []
    rows: list[Row] = []
    skipped: dict[str, str] = {}
    facts: dict[str, Any] = {}
    if "method" in groups:
        jobs, rows = jobs + method.jobs(), [*rows, *method.rows()]
    if "decode" in groups:
        jobs, rows = jobs + decoding.jobs(), [*rows, *decoding.rows()]
    for group in ALIKE:
        if group.GROUP in groups:
            told = group.prepare(models_dir, _pictures(assets, "frames"), folder, _tell, quick=quick)
            skipped |= told.skipped
            facts |= told.facts
            jobs, rows = [*jobs, *told.jobs], [*rows, *told.rows]
    if not {"models", "analyze"} & set(groups):
        return jobs, rows, skipped, facts
    prepared = _prepare(models_dir, assets, folder)
    places = str(models_dir), str(folder / "cache")
    facts["scene"] = {"source": prepared["source"], "people": prepared["persons"]}
    skipped |= prepared["missing"]
    if "models" in groups:
        jobs, rows = jobs + networks.jobs(prepared, *places), rows + networks.rows(prepared)
        skipped["eager PyTorch"] = networks.without_pytorch()
    if "analyze" in groups and DETECTOR not in prepared["missing"]:
        jobs, rows = jobs + whole.jobs(prepared, *places), rows + whole.rows(prepared)
    elif "analyze" in groups:
        skipped["analyze"] = "the detector has no weights"
    return jobs, rows, skipped, facts


def _prepare(models_dir: Path, assets: Path, folder: Path) -> Mapping[str, Any]:
    """Pictures to measure on, and which models there are."""
    _tell("preparing: pictures, and the engines' cache")
    arguments = {
        "models_dir": str(models_dir),
        "cache_dir": str(folder / "cache"),
        "folder": str(folder),
        "frames": [str(path) for path in _pictures(assets, "frames")],
        "plates": [str(path) for path in _pictures(assets, "plates")],
    }
    prepared = run_job(Job("prepare", "prepare", arguments), rounds=0).facts
    _tell(f"the picture is {prepared['source']}; people found: {prepared['persons']}")
    return prepared


def _pictures(assets: Path, kind: str) -> list[Path]:
    return sorted((assets / "data" / kind).glob("*.jpg"))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure, print and store.")
    parser.add_argument("--only", type=_groups, help=f"some of {','.join(GROUPS)}; prints, stores only with --out")
    parser.add_argument("--quick", action="store_true", help="few readings: does it run? No goal is judged")
    parser.add_argument("--json", action="store_true", help="print the data instead of the table")
    parser.add_argument("--processes", type=_count, help=f"fresh processes a row (at least {MIN_PROCESSES} to judge)")
    parser.add_argument("--pairs", type=_count, help=f"interleaved pairs a process (at least {MIN_PAIRS} to judge)")
    parser.add_argument("--models-dir", type=Path, help="folder of weights")
    parser.add_argument("--out", type=Path, help="folder for the results instead of benchmarks/results")
    return parser


def _groups(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if unknown := [name for name in names if name not in GROUPS]:
        raise argparse.ArgumentTypeError(f"there is no {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return names


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{count} is no number of measurements")
    return count


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
