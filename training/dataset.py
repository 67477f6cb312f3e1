"""Scenes drawn once, by all processor cores, and kept on disk for every network that learns from them.

A set of scenes is a folder of shards: `00012.npy` holds the pictures, `00012.json` what is true of them. A shard's
JSON is written last and in one step, so a kill at any moment costs the shards that were being drawn and nothing else.
The folder's name carries the renderer's version: other drawings are another set.
"""

from __future__ import annotations

import multiprocessing
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import orjson

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import UInt8
from training.progress import Progress
from training.scenes.cast import random_spec, window_spec
from training.scenes.draw import draw
from training.scenes.labels import Animal, Person, Plate, RenderedScene, Thing, Vehicle, Weapon
from training.scenes.spec import SceneSpec
from training.version import version_of

#: Where each split's seeds begin. Tests draw from TEST alone, and no training ever sees it.
TRAIN, VALIDATION, TEST = 0, 1_000_000, 2_000_000
SHARD = 40
_RENDERER = "training.scenes.draw"
T = TypeVar("T", bound=Thing)


@dataclass(frozen=True, slots=True)
class SceneSet:
    """Which scenes, and at what size.

    Attributes:
        name: of its folder.
        first: seed of the first scene; the others follow it.
        count: how many.
        drawn: (width, height) that they are drawn at.
        kept: (width, height) that they are kept at, scaled as a network's input is: the same aspect.
        spec: a seed's scene, for a picture of (width, height) pixels.
    """

    name: str
    first: int
    count: int
    drawn: tuple[int, int]
    kept: tuple[int, int]
    spec: Callable[[int, tuple[int, int]], SceneSpec] = random_spec


#: What all networks learn from. Drawn at the size that is kept: at a camera's size, drawing would take three times as
#: long, as long as all trainings together.
TRAINING = SceneSet("training", TRAIN, 4000, (640, 360), (640, 360))
#: Windows of a camera's pictures, in which most people hold something: in whole pictures a gun has 8 of 640 px, and
#: there is one in fourteen of them.
WINDOWS = SceneSet("windows", TRAIN, 4000, (320, 320), (320, 320), window_spec)
#: What they are measured on, at the size that a camera sends.
HELD_OUT = SceneSet("held-out", VALIDATION, 240, (1280, 720), (1280, 720))
#: Where the command of the sample networks keeps them.
FOLDER = Path(__file__).resolve().parents[1] / "out" / "sample-zoo" / "scenes"


@dataclass(frozen=True, slots=True, eq=False)
class StoredScene:
    """A scene from disk; the fields are those of `RenderedScene`, at the size that is kept."""

    picture: UInt8
    people: tuple[Person, ...]
    weapons: tuple[Weapon, ...]
    vehicles: tuple[Vehicle, ...]
    plates: tuple[Plate, ...]
    animals: tuple[Animal, ...]
    place: str
    light: str
    caption: str
    seed: int


AnyScene = StoredScene | RenderedScene


class Scenes(Sequence[StoredScene]):
    """The scenes of a folder, which must be complete. Pictures are read as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._pictures: list[UInt8] = []
        self._facts: list[list[dict[str, Any]]] = []
        self._begins = [0]
        for path in sorted(folder.glob("*.json")):
            self._facts.append(orjson.loads(path.read_bytes()))
            self._pictures.append(np.load(path.with_suffix(".npy"), mmap_mode="r"))
            self._begins.append(self._begins[-1] + len(self._facts[-1]))

    def __len__(self) -> int:
        return self._begins[-1]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        shard = bisect_right(self._begins, index) - 1
        place = index - self._begins[shard]
        return _from_facts(self._pictures[shard][place], self._facts[shard][place])

    def __iter__(self) -> Iterator[StoredScene]:
        return (self[index] for index in range(len(self)))


def scenes(wanted: SceneSet, folder: Path, *, processes: int, progress: Progress | None = None) -> Scenes:
    """The set, drawn now as far as it is not there yet.

    Args:
        wanted: the set.
        folder: that holds the sets.
        processes: that draw at once.
        progress: shows how far it is.
    """
    width, height = wanted.kept
    home = folder / f"{wanted.name}-{version_of(_RENDERER)}-{width}x{height}"
    home.mkdir(parents=True, exist_ok=True)
    ends = range(wanted.first, wanted.first + wanted.count, SHARD)
    shards = {number: range(seed, min(seed + SHARD, ends.stop)) for number, seed in enumerate(ends)}
    missing = {number: seeds for number, seeds in shards.items() if not (home / f"{number:05}.json").exists()}
    if missing:
        _draw_all(wanted, home, missing, processes, progress or Progress())
    return Scenes(home)


def held_out(folder: Path = FOLDER, processes: int = 2) -> Scenes:
    """The scenes that networks are measured on."""
    return scenes(HELD_OUT, folder, processes=processes)


def stored(scene: RenderedScene, kept: tuple[int, int]) -> StoredScene:
    """A scene as the disk keeps it.

    Args:
        scene: as drawn.
        kept: (width, height).
    """
    height, width = scene.picture.shape[:2]
    picture = scene.picture
    if (width, height) != kept:
        picture = np.asarray(cv2.resize(picture, kept, interpolation=cv2.INTER_LINEAR), np.uint8)
    factor = kept[0] / width
    return StoredScene(
        picture=picture,
        people=_scaled(scene.people, factor),
        weapons=_scaled(scene.weapons, factor),
        vehicles=_scaled(scene.vehicles, factor),
        plates=_scaled(scene.plates, factor),
        animals=_scaled(scene.animals, factor),
        place=scene.place,
        light=scene.light,
        caption=scene.caption,
        seed=scene.seed,
    )


def _scaled(things: Sequence[T], factor: float) -> tuple[T, ...]:
    return tuple(_at_size(thing, factor) for thing in things)


def _at_size(thing: T, factor: float) -> T:
    box = Box(*(side * factor for side in thing.box))
    if isinstance(thing, Person):
        keypoints = thing.keypoints * np.array([factor, factor, 1], np.float32)
        return replace(thing, box=box, keypoints=keypoints)
    return replace(thing, box=box)


def _draw_all(wanted: SceneSet, home: Path, missing: dict[int, range], processes: int, progress: Progress) -> None:
    done = sum(1 for _ in home.glob("*.json"))
    total = done + len(missing)
    # Spawned, not forked: a training's threads would be copied in whatever state they are in.
    context = multiprocessing.get_context("spawn")
    with (
        progress.of(f"drawing {wanted.name} scenes, {SHARD} at a time", total, begin=done) as tell,
        ProcessPoolExecutor(processes, mp_context=context, initializer=_quieten) as pool,
    ):
        jobs = [pool.submit(_draw_shard, wanted, home / f"{number:05}", seeds) for number, seeds in missing.items()]
        try:
            for job in as_completed(jobs):
                job.result()
                done += 1
                tell(done)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _quieten() -> None:
    """One core per process; and Ctrl-C is the parent's business."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)


def _draw_shard(
    wanted: SceneSet, place: Path, seeds: range, draw_scene: Callable[[SceneSpec], RenderedScene] = draw
) -> None:
    drawn = [stored(draw_scene(wanted.spec(seed, wanted.drawn)), wanted.kept) for seed in seeds]
    partial = place.with_suffix(f".{os.getpid()}.partial")
    with partial.open("wb") as stream:
        np.save(stream, np.stack([scene.picture for scene in drawn]))
    partial.replace(place.with_suffix(".npy"))
    partial.write_bytes(orjson.dumps([_facts(scene) for scene in drawn], option=orjson.OPT_SERIALIZE_NUMPY))
    partial.replace(place.with_suffix(".json"))


_GROUPS: dict[str, type[Thing]] = {
    "people": Person,
    "weapons": Weapon,
    "vehicles": Vehicle,
    "plates": Plate,
    "animals": Animal,
}


def _facts(scene: StoredScene) -> dict[str, Any]:
    facts: dict[str, Any] = {key: getattr(scene, key) for key in ("place", "light", "caption", "seed")}
    for group in _GROUPS:
        facts[group] = [asdict(thing) | {"box": list(thing.box)} for thing in getattr(scene, group)]
    return facts


def _from_facts(picture: UInt8, facts: dict[str, Any]) -> StoredScene:
    groups = {name: tuple(_thing(kind, row) for row in facts[name]) for name, kind in _GROUPS.items()}
    plain = {key: facts[key] for key in ("place", "light", "caption", "seed")}
    return StoredScene(picture=picture, **groups, **plain)  # type: ignore[arg-type]


def _thing(kind: type[Thing], row: dict[str, Any]) -> Thing:
    row = row | {"box": Box(*row["box"])}
    if kind is Person:
        row |= {"keypoints": np.array(row["keypoints"], np.float32).reshape(-1, 3), "clothing": tuple(row["clothing"])}
    return kind(**row)
