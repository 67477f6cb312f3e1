"""Batches of views: a step's batch follows from the seed and the step alone, so a resumed training sees the same."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch

from hearthwatch.vision.image import Ids
from hearthwatch.vision.keypoints import COCO_KEYPOINTS
from training.yolo.examples import Example, View, shown
from training.yolo.targets import Truth

#: Batches made ahead while the network works.
AHEAD = 3
K = TypeVar("K")


class Batch(NamedTuple):
    """Views, (N, H, W, 3) uint8 RGB, and what each network is to find in them."""

    pixels: torch.Tensor
    truths: tuple[Truth, ...]


@dataclass(slots=True)
class Batches(Generic[K]):
    """What is shown at each step.

    Attributes:
        order: keys of examples; one pass over it, shuffled, follows the other. A key may come several times.
        examples: a key's picture, with what each network is to find in it.
        view: how they are shown.
        size: views per batch.
        seed: of the order and of the views.
    """

    order: Sequence[K]
    examples: Callable[[K], Sequence[Example]]
    view: View
    size: int
    seed: int
    _shuffled: tuple[int, Ids] = field(default=(-1, np.zeros(0, np.int64)), repr=False)

    def at(self, step: int) -> Batch:
        """The batch of one step."""
        return _batch([self._view(number) for number in range(step * self.size, (step + 1) * self.size)])

    def ahead(self) -> Ahead:
        """The same batches, asked for in order, made by a thread while the caller works."""
        return Ahead(self)

    def _view(self, number: int) -> list[Example]:
        turn, place = divmod(number, len(self.order))
        if self._shuffled[0] != turn:
            self._shuffled = (turn, np.random.default_rng([self.seed, 0, turn]).permutation(len(self.order)))
        key = self.order[int(self._shuffled[1][place])]
        return shown(self.examples(key), self.view, np.random.default_rng([self.seed, 1, number]))


class Ahead:
    """Makes the batch of the first step that is asked for, and those that follow it."""

    def __init__(self, batches: Batches[Any]) -> None:
        self._batches = batches
        self._ready: queue.Queue[Batch | BaseException] = queue.Queue(AHEAD)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._next = 0

    def at(self, step: int) -> Batch:
        """The batch of a step, which follows the one before.

        Raises:
            ValueError: it does not.
        """
        if self._thread is None:
            self._next = step
            self._thread = threading.Thread(target=self._make, args=(step,), name="batches", daemon=True)
            self._thread.start()
        if step != self._next:
            raise ValueError(f"step {step} was asked for after step {self._next - 1}")
        item = self._ready.get()
        if isinstance(item, BaseException):
            raise item
        self._next += 1
        return item

    def close(self) -> None:
        """Make no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _make(self, begin: int) -> None:
        try:
            for step in itertools.count(begin):
                if not self._put(self._batches.at(step)):
                    return
        except BaseException as error:  # noqa: BLE001 - raised again where the batch is asked for
            self._put(error)

    def _put(self, item: Batch | BaseException) -> bool:
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False


def _batch(views: Sequence[Sequence[Example]]) -> Batch:
    pixels = torch.from_numpy(np.stack([view[0].pixels for view in views]))
    return Batch(pixels, tuple(_truth(one) for one in zip(*views, strict=True)))


def _truth(views: Sequence[Example]) -> Truth:
    points = [view.keypoints for view in views if view.keypoints is not None]
    keypoints = np.concatenate(points) if points else np.zeros((0, len(COCO_KEYPOINTS), 3), np.float32)
    return Truth(
        images=_which([len(view.boxes) for view in views]),
        boxes=torch.from_numpy(np.concatenate([view.boxes for view in views])),
        classes=torch.from_numpy(np.concatenate([view.classes for view in views]).astype(np.int64)),
        keypoints=torch.from_numpy(keypoints),
        ignored_images=_which([len(view.ignore) for view in views]),
        ignored=torch.from_numpy(np.concatenate([view.ignore for view in views])),
    )


def _which(counts: Sequence[int]) -> torch.Tensor:
    return torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
