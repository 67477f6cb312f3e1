"""`python -m benchmarks.cycles`: what a model takes from memory and gives back, load after load.

Each model has a process of its own. A cycle loads it in one of two threads, answers in two others at once as a service
does, and closes it in a loading thread. The goal of the issue: what the process has of its own after the last cycle is
at most 2 % above what it had after the tenth.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import orjson

from benchmarks.memory import read_memory
from benchmarks.processes import ROOT
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.errors import WeightsMissing
from hearthwatch.models import MODELS, get_model
from hearthwatch.settings import read_settings

CYCLES = 200
#: From here on, nothing may be added: the engine's code is read and its caches are filled.
SETTLED = 10
GOAL = 1.02


@dataclass(frozen=True, slots=True)
class Cycles:
    """One model's cycles, in MiB of anonymous memory.

    Attributes:
        model: the canonical name.
        engine: that ran it.
        cycles: how many.
        taken: by a load and its first calls, median.
        returned: by an unload, median.
        settled: of the process after cycle `SETTLED`.
        last: of the process after the last one.
        highest: of the process after any cycle from `SETTLED` on.
    """

    model: str
    engine: str
    cycles: int
    taken: float
    returned: float
    settled: float
    last: float
    highest: float

    @property
    def growth(self) -> float:
        """The end as a share of cycle `SETTLED`."""
        return self.last / self.settled


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 1 where a model grew beyond the goal."""
    asked = _parser().parse_args(argv)
    if asked.one:
        sys.stdout.buffer.write(orjson.dumps(asdict(measure(asked.one, asked.models_dir, asked.cache, asked.cycles))))
        return 0
    with tempfile.TemporaryDirectory(prefix="cycles-") as folder:
        found = [cycles for name in asked.models if (cycles := _in_process(name, asked, folder)) is not None]
    sys.stdout.write(page(found))
    return int(any(cycles.growth > GOAL for cycles in found))


def measure(name: str, models_dir: Path, cache_dir: Path, cycles: int) -> Cycles:
    """Load, answer, close, again and again, in this process."""
    adapter, options = get_model(name), LoadOptions(models_dir, cache_dir, device="cpu")
    taken, returned, after, engine = [], [], [], ""
    with ThreadPoolExecutor(2) as loaders, ThreadPoolExecutor(2) as workers:
        for _ in range(cycles):
            before = read_memory()["anonymous"]
            loaded = loaders.submit(load, adapter, options).result()
            engine = loaded.info.engine
            for call in [workers.submit(loaded.warm_up) for _ in range(2)]:
                call.result()
            full = read_memory()["anonymous"]
            loaders.submit(loaded.close).result()
            del loaded
            after.append(read_memory()["anonymous"])
            taken.append(full - before)
            returned.append(full - after[-1])
    settled = after[min(SETTLED, cycles) - 1 :]
    return Cycles(name, engine, cycles, median(taken), median(returned), settled[0], settled[-1], max(settled))


def page(found: Sequence[Cycles]) -> str:
    """A Markdown table."""
    lines = [
        f"| model | engine | cycles | taken MiB | given back MiB | after {SETTLED} | at the end | highest | growth |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        verdict = f"{(row.growth - 1) * 100:+.1f} %{'' if row.growth <= GOAL else ' (goal missed)'}"
        lines.append(
            f"| {row.model} | {row.engine} | {row.cycles} | {row.taken:.1f} | {row.returned:.1f} | {row.settled:.1f} "
            f"| {row.last:.1f} | {row.highest:.1f} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _in_process(name: str, asked: argparse.Namespace, folder: str) -> Cycles | None:
    """In a fresh process; None where the model has no weights."""
    command = [sys.executable, "-m", "benchmarks.cycles", "--one", name, "--cycles", str(asked.cycles),
               "--models-dir", str(asked.models_dir), "--cache", folder]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    if done.returncode == 0:
        return Cycles(**orjson.loads(done.stdout.splitlines()[-1]))
    words = done.stderr.decode(errors="replace").strip().splitlines()
    if words and WeightsMissing.__name__ in words[-1]:
        sys.stderr.write(f"skipped: {name}: no weights\n")
        return None
    raise RuntimeError(f"{name}: {words[-1] if words else 'no reason given'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cycles", description="Load and unload, again and again."
    )
    names = [model.SPEC.name for model in MODELS]
    parser.add_argument("models", nargs="*", default=names, help=f"of {', '.join(names)}; all where none is named")
    parser.add_argument("--cycles", type=int, default=CYCLES)
    # The same folder as the tests: ruff's ban on the environment is for what users run.
    assets = Path(os.environ.get("HEARTHWATCH_TEST_ASSETS") or ROOT.parent / "shared") / "weights"  # noqa: TID251
    parser.add_argument(
        "--models-dir", type=Path, default=assets if assets.is_dir() else read_settings().models_dir, help="of weights"
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--cache", type=Path, help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
