"""Other servers of the same work: how each is started, and why one is left out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from benchmarks.baselines.same_work import Subject
from benchmarks.serving.http_load import HOST
from benchmarks.serving.servers import Command, free_port

STRAIGHTFORWARD, LITSERVE, BENTOML, TRIVIAL = "straightforward", "LitServe", "BentoML", "trivial"
#: The checkpoint that eager PyTorch runs.
CHECKPOINT = "osnet_x0_25_msmt17.pt"
LITSERVE_WORKERS = 2


@dataclass(frozen=True, slots=True)
class Other:
    """A server that is not ours.

    Attributes:
        needs: packages.
        command: makes its start from a port and the subject.
        file: of weights that it needs, in the folder of weights.
        at_its_best: with how many workers and threads it runs.
    """

    needs: tuple[str, ...]
    command: Callable[[int, Subject | None], Command]
    file: str | None = None
    at_its_best: str = ""


def unavailable(name: str, models_dir: Path) -> str | None:
    """Why a server cannot be measured here."""
    other = OTHERS[name]
    missing = [package for package in other.needs if importlib.util.find_spec(package) is None]
    if missing:
        return f"{', '.join(missing)} not installed (the dependency group bench, or the extra torch)"
    if other.file is not None and not (models_dir / other.file).is_file():
        return f"{other.file} is not in the folder of weights"
    return None


def others(subject: Subject | None, names: Sequence[str]) -> dict[str, Command]:
    """How to start these on free ports."""
    return {name: OTHERS[name].command(free_port(), subject) for name in names}


def _module(name: str, port: int, *arguments: str, ready: str = "/health") -> Command:
    return Command(["-m", f"benchmarks.baselines.{name}", str(port), *arguments], port, ready)


def _json(subject: Subject) -> str:
    return orjson.dumps(subject.to_arguments()).decode()


def _straightforward(port: int, subject: Subject | None) -> Command:
    assert subject is not None
    return _module("straightforward", port, str(Path(subject.models_dir) / CHECKPOINT))


def _litserve(port: int, subject: Subject | None) -> Command:
    assert subject is not None
    # Its workers are processes: each has one call at a time.
    return _module("litserve_server", port, _json(replace(subject, calls=1)), str(LITSERVE_WORKERS))


def _bentoml(port: int, subject: Subject | None) -> Command:
    assert subject is not None
    service = "benchmarks.baselines.bentoml_service:PersonReID"
    arguments = ["-m", "bentoml", "serve", service, "--host", HOST, "--port", str(port)]
    environment = {"BENCHMARK_SUBJECT": _json(subject), "BENTOML_DO_NOT_TRACK": "True"}
    return Command(arguments, port, "/readyz", environment)


def _trivial(port: int, subject: Subject | None) -> Command:  # noqa: ARG001 - it does no work
    return _module("trivial", port, ready="/")


OTHERS: Mapping[str, Other] = {
    STRAIGHTFORWARD: Other(("torch",), _straightforward, CHECKPOINT, "FastAPI, Pillow, eager PyTorch, one process"),
    LITSERVE: Other(("litserve",), _litserve, None, f"{LITSERVE_WORKERS} workers, its fast queue"),
    BENTOML: Other(("bentoml",), _bentoml, None, "1 worker, 2 threads"),
    TRIVIAL: Other((), _trivial),
}
