"""One model: `predict` beside the bare engine on the same input, on each engine that can run it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.bare import bare_calls, recording
from benchmarks.comparison import Goal
from benchmarks.scene import load_options, read_images
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.adapter.loading import find, load
from hearthwatch.models import get_model
from hearthwatch.runtimes.select import ENGINES

GROUP = "models"
#: Beside a network of 20 ms and more, everything else should be small.
GOAL = Goal(1.15, above_ms=20.0)
#: OSNet takes a few milliseconds, about as long as cutting and resizing a crop for it.
GOALS = {"person_reid": Goal(1.5)}


def jobs(prepared: Mapping[str, Any], models_dir: str, cache_dir: str) -> list[Job]:
    """Each model with weights on each engine, with one picture and with all crops that the scene has for it."""
    weights = {"models_dir": models_dir, "cache_dir": cache_dir}
    return [
        Job(_key(model, engine, batch), "network",
            {"model": model, "engine": engine, "pictures": pictures[:batch], **weights})
        for model, pictures in prepared["inputs"].items()
        for batch in _batches(pictures)
        for engine in _engines(model, prepared)
    ]  # fmt: skip


def rows(prepared: Mapping[str, Any]) -> list[Row]:
    """`predict` against the bare engine, with a goal where the engine is the default; then engine against engine."""
    overhead: list[Row] = []
    between: list[Row] = []
    for model, pictures in prepared["inputs"].items():
        for batch in _batches(pictures):
            engines = _engines(model, prepared)
            name = f"{model}, {prepared['sizes'][model][0]} px" if batch == 1 else f"{model}, {batch} crops"
            for engine in engines:
                key = _key(model, engine, batch)
                goal = GOALS.get(model, GOAL) if engine == engines[0] else None
                overhead.append(Row(GROUP, name, (key, "predict"), (key, "bare"), goal, ("predict", f"{engine} bare")))
            for other in engines[1:]:
                sides = (_key(model, engines[0], batch), "bare"), (_key(model, other, batch), "bare")
                between.append(Row("engines", name, *sides, names=(f"{engines[0]} bare", f"{other} bare")))
    return overhead + between


def work(model: str, engine: str, pictures: Sequence[str], models_dir: str, cache_dir: str) -> Work:
    """One model on one engine."""
    adapter, images = get_model(model), read_images(pictures)
    given = load_options(models_dir, cache_dir)
    given = replace(given, engines=[candidate for candidate in ENGINES if candidate.name == engine])
    loaded = load(adapter, given)
    with recording(loaded) as asked:
        loaded.predict(images)
    path = None if adapter.SPEC.bundled else find(adapter, given).path
    calls = bare_calls(loaded.info, path, asked)

    def bare() -> None:
        for call in calls:
            call()

    info = loaded.info
    facts = {"engine": info.engine, "precision": info.precision, "notes": list(loaded.notes),
             "inputs": [{name: list(array.shape) for name, array in inputs.items()} for inputs in asked]}  # fmt: skip
    return Work({"predict": lambda: loaded.predict(images), "bare": bare}, lambda: facts)


def without_pytorch() -> str:
    """Why eager PyTorch is not one of the engines here: given ONNX files hold no module of it."""
    return "`--only engines` measures it, on networks that are built in PyTorch and exported from it"


def _batches(pictures: Sequence[str]) -> list[int]:
    return sorted({1, len(pictures)})


def _engines(model: str, prepared: Mapping[str, Any]) -> list[str]:
    """The default first."""
    return ["rapidocr"] if get_model(model).SPEC.bundled else list(prepared["engines"])


def _key(model: str, engine: str, batch: int) -> str:
    return f"{model} x{batch} on {engine}"
