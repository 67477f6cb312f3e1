"""The sample networks: which there are, and how they come into the package.

One after the other is trained, exported, measured on held-out scenes and put in its place: `NAME.onnx`, its card
`NAME.json` and its model card `NAME.md`. `zoo.json` beside them has what each was made from and what it reached, so
that the next run leaves alone what is done and unchanged. A stopped run is taken up where it stopped.

A later network is a file in `recipes/` and a row in `RECIPES`.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson

from hearthwatch.artifacts.lockfile import exclusive, replace_atomically
from training.cards import Made, model_card, overview
from training.half import store_in_half
from training.progress import Progress
from training.recipe import Recipe, Workplace
from training.version import version_of

#: Model to the module that has its `RECIPE`, in the order of the training.
RECIPES: Mapping[str, str] = {
    "yolo26": "training.recipes.detector",
    "pose_estimator": "training.recipes.pose",
    "threat_detector": "training.recipes.threat",
    "license_plate_detector": "training.recipes.plates",
    "person_reid": "training.recipes.person_reid",
    "depth_estimator": "training.recipes.depth",
    "pet_classifier": "training.recipes.pet",
    "vehicle_classifier": "training.recipes.vehicle",
    "clip": "training.recipes.clip",
    "clip_text": "training.recipes.clip_text",
    "action_recognizer": "training.recipes.action_recognizer",
}
ROOT = Path(__file__).resolve().parents[1]
#: Where results go, and where checkpoints and drawn scenes are kept.
SAMPLE, WORK = ROOT / "src" / "hearthwatch" / "sample", ROOT / "out" / "sample-zoo"
#: All that lies in `SAMPLE` together.
MAX_BYTES = 25_000_000
LEDGER, OVERVIEW = "zoo.json", "README.md"
SUFFIXES = (".onnx", ".json", ".md")

Ending = Literal["made", "measured", "unchanged"]


class ZooError(Exception):
    """A network was not put in its place; what was there is still there."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A recipe, with what the zoo needs to know of its code.

    Attributes:
        recipe: how it is made.
        version: changes with the code that decides what comes out.
        about: the recipe's docstring.
    """

    recipe: Recipe
    version: str
    about: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one network.

    Attributes:
        name: of the model.
        ending: `measured`: not trained again.
        figures: by measure.
    """

    name: str
    ending: Ending
    figures: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Zoo:
    """Where the networks come from and where they go.

    Attributes:
        find: a model's name to its recipe.
        floors: by model and measure.
        sample: the folder of results.
        work: the folder of checkpoints and drawn scenes.
        max_bytes: of all files in `sample` together.
        threads: processor cores to use.
        progress: shows how far it is.
        finish: rewrites a network's file before it is measured.
    """

    find: Callable[[str], Entry]
    floors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    sample: Path = SAMPLE
    work: Path = WORK
    max_bytes: int = MAX_BYTES
    threads: int = 2
    progress: Progress = field(default_factory=Progress)
    finish: Callable[[Path], object] = store_in_half

    def make(self, name: str, *, minutes: float | None = None, fresh: bool = False) -> Outcome:
        """Train a network unless it is there and unchanged, and put it in its place.

        Args:
            name: of the model.
            minutes: a trial of so long.
            fresh: from the beginning, whatever is there.

        Raises:
            ZooError: it falls short of a floor, or all networks together are too large.
        """
        entry = self.find(name)
        with self._alone():
            if not fresh and self._is_done(entry, minutes):
                return Outcome(name, "unchanged", self._ledger()[name]["figures"])
            trial = "" if minutes is None else f"-{minutes:g}-minutes"
            folder = self.work / name / f"{entry.version}{trial}"
            if fresh:
                shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
            work = Workplace(folder, self.work / "scenes", minutes, self.threads, self.progress)
            checkpoint = entry.recipe.train(work)
            onnx = folder / f"{name}.onnx"
            entry.recipe.export(checkpoint, onnx)
            self.finish(onnx)
            figures = entry.recipe.evaluate(onnx)
            self._install(entry, onnx, figures, minutes)
            return Outcome(name, "made", figures)

    def forget_shared(self, names: Sequence[str]) -> None:
        """Begin again with what these networks learn together; once, before the first of them is made."""
        with self._alone():
            for shared in {self.find(name).recipe.shared for name in names} - {""}:
                shutil.rmtree(self.work / shared, ignore_errors=True)

    def measure(self, name: str, *, accept: bool = False) -> Outcome:
        """Measure the network that is in its place, and write what it reaches into its model card.

        Args:
            name: of the model.
            accept: from now on it counts as what the recipe makes, after a change that does not touch the network.

        Raises:
            ZooError: there is none, or it falls short of a floor.
        """
        entry = self.find(name)
        with self._alone():
            onnx = self.sample / f"{name}.onnx"
            if not onnx.is_file():
                raise ZooError(f"there is no {onnx}; `python -m training {name}` makes it")
            row = self._ledger().get(name, {})
            figures = entry.recipe.evaluate(onnx)
            self._check_floors(name, figures)
            version = entry.version if accept else row.get("version", "unknown")
            self._write_row(entry, figures, row.get("minutes"), version)
            return Outcome(name, "measured", figures)

    def _is_done(self, entry: Entry, minutes: float | None) -> bool:
        name = entry.recipe.name
        row = self._ledger().get(name, {})
        files = [self.sample / f"{name}{suffix}" for suffix in SUFFIXES]
        if not all(file.is_file() for file in files):
            return False
        made_from = (row.get("version"), row.get("minutes"), row.get("sha256"))
        return made_from == (entry.version, minutes, _sha256(files[0]))

    def _install(self, entry: Entry, onnx: Path, figures: Mapping[str, float], minutes: float | None) -> None:
        name = entry.recipe.name
        self._check_floors(name, figures)
        new = {self.sample / onnx.name: onnx, self.sample / f"{name}.json": onnx.with_suffix(".json")}
        self.sample.mkdir(parents=True, exist_ok=True)
        kept = sum(file.stat().st_size for file in self.sample.iterdir() if file.is_file() and file not in new)
        total = kept + sum(file.stat().st_size for file in new.values())
        if total > self.max_bytes:
            most = self.max_bytes / 1e6
            raise ZooError(f"with {name}, the sample networks have {total / 1e6:.1f} MB; at most {most:g} MB")
        for place, file in new.items():
            replace_atomically(place, file.read_bytes())
        # Last: after a kill before it, the network does not count as done.
        self._write_row(entry, figures, minutes, entry.version)

    def _check_floors(self, name: str, figures: Mapping[str, float]) -> None:
        short = [
            f"{measure} {figures.get(measure, 0):.3f} (floor {floor:g})"
            for measure, floor in self.floors.get(name, {}).items()
            if figures.get(measure, 0) < floor
        ]
        if short:
            raise ZooError(f"{name} falls short: {', '.join(short)}")

    def _write_row(self, entry: Entry, figures: Mapping[str, float], minutes: float | None, version: str) -> None:
        name = entry.recipe.name
        onnx = self.sample / f"{name}.onnx"
        made = Made(onnx.stat().st_size, minutes, figures, self.floors.get(name, {}))
        replace_atomically(self.sample / f"{name}.md", model_card(entry.recipe, entry.about, made).encode())
        row = {
            "version": version,
            "minutes": minutes,
            "sha256": _sha256(onnx),
            "bytes": made.size_bytes,
            "figures": {measure: round(value, 4) for measure, value in figures.items()},
        }
        ledger = {**self._ledger(), name: row}
        data = orjson.dumps(ledger, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS) + b"\n"
        replace_atomically(self.sample / OVERVIEW, overview(ledger, self.floors).encode())
        replace_atomically(self.sample / LEDGER, data)

    def _ledger(self) -> dict[str, Any]:
        try:
            ledger: dict[str, Any] = orjson.loads((self.sample / LEDGER).read_bytes())
        except FileNotFoundError:
            return {}
        return ledger

    def _alone(self) -> AbstractContextManager[None]:
        """Two runs would train the same network in the same folder."""
        self.work.mkdir(parents=True, exist_ok=True)
        return exclusive(self.work / "lock", lambda: self.progress.say("Waiting for another run to end ..."))


def find_recipe(name: str) -> Entry:
    """The recipe of a model.

    Raises:
        KeyError: there is none.
    """
    module = importlib.import_module(RECIPES[name])
    recipe: Recipe = module.RECIPE
    return Entry(recipe, version_of(module.__name__), module.__doc__ or "")


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
