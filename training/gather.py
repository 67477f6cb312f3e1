"""Pictures for a training, drawn in parallel processes and kept on disk: what a killed run drew is not drawn again."""

from __future__ import annotations

import multiprocessing
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from training.progress import Progress

T = TypeVar("T")
R = TypeVar("R")
Array = npt.NDArray[np.generic]
#: What a drawing gives: arrays by name, the same names and the same number of rows in each, maybe none.
Rows = Mapping[str, Array]
Draw = Callable[[int], Rows]
#: Scenes in one file.
SHARD = 20


def gather(
    draw: Draw,
    seeds: Sequence[int],
    *,
    title: str,
    folder: Path,
    progress: Progress | None = None,
    processes: int = 2,
) -> dict[str, Array]:
    """Draw all, and put what they give below each other.

    Args:
        draw: of a module's top level, so that other processes find it.
        seeds: one call each.
        title: for the progress.
        folder: of this drawing in this version alone.
        progress: shows how far it is.
        processes: 1 draws in this one.
    """
    shards = [tuple(seeds[first : first + SHARD]) for first in range(0, len(seeds), SHARD)]
    folder.mkdir(parents=True, exist_ok=True)
    work = partial(_shard, draw, folder)
    drawn: list[Rows] = []
    with (progress or Progress()).of(title, len(shards)) as tell:
        for rows in in_parallel(work, shards, processes):
            drawn.append(rows)
            tell(len(drawn))
    drawn = [rows for rows in drawn if rows]
    if not drawn:
        raise ValueError(f"{len(seeds)} scenes gave nothing to learn from")
    return {name: np.concatenate([rows[name] for rows in drawn]) for name in drawn[0]}


def in_parallel(work: Callable[[T], R], items: Sequence[T], processes: int) -> Iterator[R]:
    """The result of each item, in order. `work` is of a module's top level, so that other processes find it."""
    if processes == 1:
        yield from map(work, items)
        return
    # Not forked: a fork of a process with threads (OpenCV's, torch's) may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        yield from pool.map(work, items)


def _shard(draw: Draw, folder: Path, seeds: tuple[int, ...]) -> Rows:
    path = folder / f"{seeds[0]:07d}-{seeds[-1]:07d}.npz"
    if (kept := _read(path)) is not None:
        return kept
    rows = [given for given in map(draw, seeds) if given and len(next(iter(given.values())))]
    joined: Rows = {name: np.concatenate([given[name] for given in rows]) for name in rows[0]} if rows else {}
    unfinished = path.with_suffix(f".{os.getpid()}.partial")
    with unfinished.open("wb") as stream:
        np.savez(stream, **dict[str, Any](joined))
    unfinished.replace(path)
    return joined


def _read(path: Path) -> Rows | None:
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in kept.files}
    except (FileNotFoundError, ValueError, zipfile.BadZipFile):
        return None
