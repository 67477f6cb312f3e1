"""What a probe is told and what it answers, as one line of JSON each."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.runtimes.base import Engine
from hearthwatch.runtimes.select import ALL_ENGINES

#: The batch that memory is measured for, where calls bring several crops or are answered together.
LARGEST_BATCH = 8


@dataclass(frozen=True, slots=True)
class ProbeJob:
    """One model on one engine.

    Attributes:
        adapter: "module:name" of the adapter's class.
        options: how it is loaded; its engines are the one that is measured.
        batch: the largest batch of one call.
    """

    adapter: str
    options: LoadOptions
    batch: int = 1

    @classmethod
    def of(cls, adapter: type[Adapter[Any]], options: LoadOptions, batch: int) -> ProbeJob:
        """A job for a class that a child can import."""
        return cls(f"{adapter.__module__}:{adapter.__qualname__}", options, batch)

    def adapter_class(self) -> type[Adapter[Any]]:
        """The adapter's class, imported."""
        module, _, name = self.adapter.partition(":")
        found: type[Adapter[Any]] = getattr(importlib.import_module(module), name)
        return found

    def to_json(self) -> bytes:
        """One line. TensorRT is left out: its engine is built behind another one, which is what serves first."""
        options = self.options
        return orjson.dumps({
            "adapter": self.adapter, "batch": self.batch, "models_dir": str(options.models_dir),
            "cache_dir": None if options.cache_dir is None else str(options.cache_dir), "device": options.device,
            "precision": options.precision, "paths": {name: str(path) for name, path in options.paths.items()},
            "variables": options.variables, "weights": options.weights, "samples_dir": str(options.samples_dir),
            "threads": options.threads, "concurrency": options.concurrency,
            "engines": [engine.name for engine in options.engines],
            "hub_cache": None if options.hub_cache is None else str(options.hub_cache),
        })  # fmt: skip

    @classmethod
    def from_json(cls, line: bytes) -> ProbeJob:
        """What `to_json` wrote."""
        told: dict[str, Any] = orjson.loads(line)
        options = LoadOptions(
            models_dir=Path(told["models_dir"]),
            cache_dir=None if told["cache_dir"] is None else Path(told["cache_dir"]),
            device=told["device"],
            precision=told["precision"],
            paths={name: Path(path) for name, path in told["paths"].items()},
            variables={name: (variable, value) for name, (variable, value) in told["variables"].items()},
            weights=told["weights"],
            samples_dir=Path(told["samples_dir"]),
            threads=told["threads"],
            concurrency=told["concurrency"],
            engines=_engines(told["engines"]),
            hub_cache=None if told["hub_cache"] is None else Path(told["hub_cache"]),
        )
        return cls(told["adapter"], options, told["batch"])


@dataclass(frozen=True, slots=True)
class Report:
    """What a probe found out.

    Attributes:
        outcome: `measured`; `refused` where the engine said that it cannot; `no_room`; `rejected` where it must not be
            used.
        reason: why it is not `measured`, as a sentence.
        resident_bytes: kept after the largest batch, above what the process had before the load.
        peak_bytes: the most while it loaded and ran, likewise.
        engine: what ran.
        precision: likewise.
        device: likewise.
        steps: bytes above the start after each step, for people.
    """

    outcome: str
    reason: str = ""
    resident_bytes: int = 0
    peak_bytes: int = 0
    engine: str = ""
    precision: str = ""
    device: str = ""
    steps: tuple[tuple[str, int], ...] = ()

    def to_json(self) -> bytes:
        """One line."""
        return orjson.dumps(self)

    @classmethod
    def from_json(cls, data: bytes) -> Report:
        """What `to_json` wrote.

        Raises:
            ValueError: it is something else.
        """
        told = orjson.loads(data)
        if not isinstance(told, dict) or told.get("outcome") not in {"measured", "refused", "no_room", "rejected"}:
            raise ValueError("no report of a probe")
        steps = tuple((str(name), int(size)) for name, size in told.get("steps", ()))
        report = cls(
            str(told["outcome"]),
            reason=str(told.get("reason", "")),
            resident_bytes=int(told.get("resident_bytes", 0)),
            peak_bytes=int(told.get("peak_bytes", 0)),
            engine=str(told.get("engine", "")),
            precision=str(told.get("precision", "")),
            device=str(told.get("device", "")),
            steps=steps,
        )
        if min(report.resident_bytes, report.peak_bytes) < 0:
            raise ValueError("a size below 0")
        return report


def _engines(names: list[str]) -> list[Engine]:
    return [engine for engine in ALL_ENGINES if engine.name in names]
