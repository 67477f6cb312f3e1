"""Networks on each engine, side by side with eager PyTorch, and against what the processor can compute at most."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import ceiling, memory
from benchmarks.comparison import median_ms
from benchmarks.engine_works import BATCHES, ENGINES, batch_key
from benchmarks.processes import MeasurementFailed, readings, run_job
from benchmarks.table import Row, compare
from benchmarks.work import Answer, Job
from hearthwatch.runtimes.base import Engine, Precision

GROUP = "engines"
EAGER = "pytorch f32"
#: Readings of a process for networks above so many GFLOP: a call of theirs takes seconds.
_FEWER_READINGS = ((100.0, 3), (20.0, 5))


@dataclass(frozen=True, slots=True)
class Subject:
    """A network to measure.

    Attributes:
        name: of `architectures.build`.
        needs: the package that it needs beside torch, if any.
        quick: whether a quick run measures it.
        quick_load: whether a quick run loads it cold and warm.
    """

    name: str
    needs: str | None = None
    quick: bool = False
    quick_load: bool = False


NETWORKS = (
    Subject("CLIP ViT-L/14", needs="transformers"),
    Subject("ViT-B/16", needs="transformers"),
    Subject("ResNet-50"),
    Subject("ResNet-18", quick=True),
    Subject("YOLOv8n-pose", quick=True, quick_load=True),
    Subject("OSNet x0.25", quick=True),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run measures of the engines.

    Attributes:
        jobs: in the order of a turn; a warm load comes after the job that fills its cache.
        networks: what `export_work` said, by the network's name.
        engines: (engine, precision), eager PyTorch first.
        skipped: what is not measured, and why.
    """

    jobs: Sequence[Job]
    networks: Mapping[str, Mapping[str, Any]]
    engines: Sequence[tuple[str, Precision]]
    skipped: Mapping[str, str]


def plan(
    folder: Path,
    instructions: Sequence[str],
    tell: Callable[[str], None],
    *,
    quick: bool = False,
    run: Callable[[Job, int], Answer] = run_job,
) -> Plan:
    """Export the networks and build the ceiling's loops, each into `folder`."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("onnxscript") is None:
        return Plan([], {}, [], {GROUP: 'PyTorch and its exporter are not installed (the extra "torch")'})
    engines, skipped = available_engines()
    wanted = [subject for subject in NETWORKS if subject.quick or not quick]
    networks, left_out = _export(wanted, folder, tell, run)
    skipped |= left_out
    loaded = [subject.name for subject in NETWORKS if subject.quick_load or not quick]
    jobs = _timing_jobs(networks, engines, folder)
    loads, why_no_loads = _load_jobs({name: networks[name] for name in loaded if name in networks}, engines, folder)
    library, why_no_ceiling = ceiling.compile_loops(folder)
    skipped |= {"percent of the ceiling": why_no_ceiling} if library is None else {}
    skipped |= {"memory": why_no_loads} if why_no_loads is not None else {}
    skipped |= {f"ceiling in {precision}": why for precision, why in ceiling.unmeasured(instructions).items()}
    return Plan([*([ceiling.job(library)] if library else []), *jobs, *loads], networks, engines, skipped)


def available_engines() -> tuple[list[tuple[str, Precision]], dict[str, str]]:
    """(engine, precision) of all that run here, and why others do not. Only OpenVINO in more than float32."""
    found: list[tuple[str, Precision]] = []
    skipped: dict[str, str] = {}
    for name, make in ENGINES.items():
        engine = make()
        if reason := engine.unavailable("cpu"):
            skipped[name] = reason
        else:
            found += [(name, precision) for precision in _precisions(engine)]
    if not any(precision == "bf16" for _, precision in found):
        skipped["bf16"] = "this processor has no instructions for it"
    return found, skipped


def summary(plan: Plan, answers: Mapping[str, Sequence[Answer]], instructions: Sequence[str]) -> dict[str, Any]:
    """The whole group's result: plain JSON, from which the page is made."""
    ceilings: dict[str, Any] = {}
    if ceiling.KEY in answers:
        ceilings = ceiling.summary(answers[ceiling.KEY], ceiling.unmeasured(instructions))
    return {
        "ceilings": ceilings,
        "rows": [
            _row(name, facts["gflop"], batch, engine, answers, ceilings)
            for name, facts in plan.networks.items()
            for batch in BATCHES
            for engine in map(_label, plan.engines)
            if {_key(name, EAGER), _key(name, engine)} <= answers.keys()
        ],
        "loads": [
            {"network": name, "engine": engine, "weights_mib": facts["bytes"] / 2**20}
            | memory.summary(cold, answers.get(memory.key_of(_key(name, engine), cached=True), ()))
            for name, facts in plan.networks.items()
            for engine in map(_label, plan.engines)
            if (cold := answers.get(memory.key_of(_key(name, engine), cached=False)))
        ],
    }


def _row(
    name: str,
    gflop: float,
    batch: int,
    engine: str,
    answers: Mapping[str, Sequence[Answer]],
    ceilings: Mapping[str, Mapping[str, float]],
) -> dict[str, Any]:
    """One cell of the table. Eager PyTorch is the subject, so that the ratio is a speed-up."""
    key = _key(name, engine)
    compared = compare(Row(GROUP, name, (_key(name, EAGER), batch_key(batch)), (key, batch_key(batch))), answers)
    by_process = [median_ms([taken.wall_ms]) for taken in readings(answers, key, batch_key(batch))]
    precision = answers[key][0].facts["precision"]
    floor_ms = None
    if precision in ceilings:
        floor_ms = gflop * batch / ceilings[precision]["gflops"] * 1000
    return {
        "network": name,
        "batch": batch,
        "engine": engine,
        "precision": precision,
        "ms": compared.reference.wall_ms,
        "ms_of_processes": [min(by_process), max(by_process)],
        "cpu_ms": compared.reference.cpu_ms,
        "speed_up": compared.ratio,
        "interval": list(compared.interval),
        "gflop": gflop * batch,
        "floor_ms": floor_ms,
        "percent_of_ceiling": None if floor_ms is None else 100 * floor_ms / compared.reference.wall_ms,
        "agreement": min(answer.facts["agreement"] for answer in answers[key]),
        "processes": compared.processes,
        "readings": compared.pairs,
    }


def _precisions(engine: Engine) -> Sequence[Precision]:
    return tuple(reversed(engine.precisions("cpu"))) if engine.name == "openvino" else ("f32",)


def _export(
    subjects: Sequence[Subject], folder: Path, tell: Callable[[str], None], run: Callable[[Job, int], Answer]
) -> tuple[dict[str, Mapping[str, Any]], dict[str, str]]:
    """What was said of each exported network, and why others are left out. Each in a process of its own."""
    networks: dict[str, Mapping[str, Any]] = {}
    skipped: dict[str, str] = {}
    for subject in subjects:
        if subject.needs is not None and importlib.util.find_spec(subject.needs) is None:
            skipped[subject.name] = f"{subject.needs} is not installed"
            continue
        tell(f"exporting {subject.name}")
        arguments = {"name": subject.name, "folder": _folder(subject.name, folder)}
        try:
            networks[subject.name] = run(Job(subject.name, "export", arguments), 0).facts
        except MeasurementFailed as error:
            skipped[subject.name] = f"no graph could be exported: {error}"
    return networks, skipped


def _timing_jobs(
    networks: Mapping[str, Mapping[str, Any]], engines: Sequence[tuple[str, Precision]], folder: Path
) -> list[Job]:
    return [
        Job(_key(name, _label(engine)), "engine", _arguments(name, facts, engine, folder), _most_rounds(facts["gflop"]))
        for name, facts in networks.items()
        for engine in engines
    ]


def _load_jobs(
    networks: Mapping[str, Mapping[str, Any]], engines: Sequence[tuple[str, Precision]], folder: Path
) -> tuple[list[Job], str | None]:
    if (reason := memory.unavailable()) is not None:
        return [], reason
    return [
        memory.job(_key(name, _label(engine)), _arguments(name, facts, engine, folder), cached=cached)
        for name, facts in networks.items()
        for engine in engines
        for cached in ((False, True) if engine[0] in memory.CACHING else (False,))
    ], None


def _arguments(name: str, facts: Mapping[str, Any], engine: tuple[str, Precision], folder: Path) -> dict[str, Any]:
    # A cache for each precision: what one process compiled is what the next one is to find.
    place = {"folder": _folder(name, folder), "cache": str(folder / "engines" / _label(engine))}
    return {"engine": engine[0], "precision": engine[1], "network": dict(facts), **place}


def _most_rounds(gflop: float) -> int | None:
    return next((rounds for above, rounds in _FEWER_READINGS if gflop > above), None)


def _folder(name: str, folder: Path) -> str:
    return str(folder / "networks" / "".join(c if c.isalnum() else "-" for c in name))


def _label(engine: tuple[str, str]) -> str:
    return " ".join(engine)


def _key(name: str, engine: str) -> str:
    return f"{name} on {engine}"
