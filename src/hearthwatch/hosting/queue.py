"""The queue in front of the worker threads: bounded, fair between models, the weapon detector first.

A call enters when it arrives, waits until its model is in memory and then for a free worker. What waits is counted
against its model's limit all that time, so a slow load cannot pile up calls either. Workers take calls themselves: no
event loop has to wake up between two calls. Who no longer waits for an answer leaves, and his call is never taken.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hearthwatch.errors import Draining, QueueFull

#: Calls of one model that may wait.
QUEUE_LIMIT = 32
#: Calls of critical models in a row while others wait: first in line, but nobody starves behind them.
MAX_URGENT_IN_A_ROW = 4
#: The weight of the newest call in the running mean of what a model's calls take.
_NEWEST = 0.2

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Work(Generic[T]):
    """One call that waits, then runs.

    Attributes:
        model: whom it asks.
        task: what a worker is to do; there once the model is in memory.
        deadline: seconds of the queue's clock; a worker does not take it after that. None waits.
        batch: calls of a model with the same key may be answered together; None is answered by itself.
        cancelled: nobody waits for the answer any more. A worker looks at it before each step.
        ready_at: when its model was in memory, on the queue's clock.
        taken: a worker has it, or has answered it.
        taken_at: when a worker took it.
    """

    model: str
    task: T = field(init=False)
    deadline: float | None = None
    batch: Hashable = None
    cancelled: bool = False
    ready_at: float = 0.0
    taken: bool = False
    taken_at: float = 0.0


@dataclass(slots=True, eq=False)
class _Lane(Generic[T]):
    """One model's calls."""

    urgent: bool = False
    slots: int = 1
    max_batch: int = 1
    waiting: set[Work[T]] = field(default_factory=set)
    ready: deque[Work[T]] = field(default_factory=deque)
    running: int = 0
    mean_s: float = 0.0

    @property
    def runnable(self) -> bool:
        return bool(self.ready) and self.running < self.slots


class WorkQueue(Generic[T]):
    """Calls by model, between those who ask and the workers. Every method may be called from any thread.

    Args:
        limit: calls of one model that may wait.
        clock: seconds, monotonic; the clock of the deadlines.
    """

    def __init__(self, limit: int = QUEUE_LIMIT, *, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1:
            raise ValueError(f"at least one call must be able to wait; got a limit of {limit}")
        self._limit = limit
        self._clock = clock
        self._changed = threading.Condition()
        self._lanes: dict[str, _Lane[T]] = {}
        self._turns: deque[str] = deque()
        self._urgent_in_a_row = 0
        self._draining = False
        self._closed = False

    def enter(
        self,
        model: str,
        *,
        urgent: bool = False,
        deadline: float | None = None,
        batch: Hashable = None,
        again: bool = False,
    ) -> Work[T]:
        """A place in the queue, before the model is in memory.

        Args:
            model: whom it asks.
            urgent: before the other models' calls.
            deadline: seconds of the queue's clock; None waits.
            batch: as `Work.batch`.
            again: it had a place before, and is neither counted against the limit nor refused.

        Raises:
            QueueFull: as many wait for this model as may wait.
            Draining: no new work is taken.
        """
        with self._changed:
            if self._draining and not again:
                raise Draining(f"this process is stopping and takes no new work for {model}")
            lane = self._lanes.setdefault(model, _Lane())
            lane.urgent = urgent
            if len(lane.waiting) >= self._limit and not again:
                full = QueueFull(f"{len(lane.waiting)} calls wait for {model}; allowed {self._limit}")
                full.retry_after_s = self._retry_after_s(lane)
                raise full
            work: Work[T] = Work(model, deadline, batch)
            lane.waiting.add(work)
            return work

    def ready(self, work: Work[T], task: T, *, slots: int = 1, max_batch: int = 1) -> None:
        """The call's model is in memory: a worker may take it.

        Args:
            work: that entered.
            task: what a worker is to do.
            slots: workers that may run this model at the same time.
            max_batch: calls that one worker may take together.
        """
        with self._changed:
            lane = self._lanes[work.model]
            lane.slots, lane.max_batch = max(1, slots), max(1, max_batch)
            if work not in lane.waiting:
                return  # he left
            work.task, work.ready_at = task, self._clock()
            lane.ready.append(work)
            if work.model not in self._turns:
                self._turns.append(work.model)
            self._changed.notify()

    def leave(self, work: Work[T]) -> bool:
        """Nobody waits for this call any more; harmless once it is answered.

        Returns:
            Whether no worker has taken it: then none ever will.
        """
        with self._changed:
            work.cancelled = True
            lane = self._lanes[work.model]
            lane.waiting.discard(work)
            if work in lane.ready:
                lane.ready.remove(work)
            self._changed.notify_all()  # a closed queue may be empty now
            return not work.taken

    def take(self, timeout: float | None = None) -> list[Work[T]]:
        """Wait for calls of one model that a worker should answer now, the oldest first; `done` must follow.

        Returns:
            At least one call; none when the queue is closed and empty, or after `timeout` seconds.
        """
        with self._changed:
            while True:
                batch = self._next()
                if batch:
                    return batch
                if self._closed and not any(lane.ready for lane in self._lanes.values()):
                    return []
                if not self._changed.wait(timeout) and timeout is not None:
                    return []

    def done(self, batch: list[Work[T]]) -> None:
        """The worker is free again."""
        with self._changed:
            lane = self._lanes[batch[0].model]
            lane.running -= 1
            took = max(0.0, self._clock() - batch[0].taken_at) / len(batch)
            lane.mean_s = took if not lane.mean_s else lane.mean_s + _NEWEST * (took - lane.mean_s)
            self._changed.notify_all()

    def drain(self) -> None:
        """Take no new calls; those that wait are answered."""
        with self._changed:
            self._draining = True

    def close(self) -> None:
        """Take no new calls, and let the workers go when none is left."""
        with self._changed:
            self._draining = self._closed = True
            self._changed.notify_all()

    def waiting(self, model: str) -> int:
        """Calls of a model that no worker has taken yet."""
        with self._changed:
            lane = self._lanes.get(model)
            return 0 if lane is None else len(lane.waiting)

    def _next(self) -> list[Work[T]]:
        """Under the lock: the calls to answer next, or none."""
        self._drop_late()
        runnable = [name for name in self._turns if self._lanes[name].runnable]
        if not runnable:
            return []
        urgent = [name for name in runnable if self._lanes[name].urgent]
        others = [name for name in runnable if not self._lanes[name].urgent]
        if urgent and (not others or self._urgent_in_a_row < MAX_URGENT_IN_A_ROW):
            name = urgent[0]
            self._urgent_in_a_row += 1
        else:
            name = others[0]
            self._urgent_in_a_row = 0
        # To the end of the line: the others have their turn before it has its next one.
        self._turns.remove(name)
        lane = self._lanes[name]
        batch = self._batch(lane)
        if lane.ready:
            self._turns.append(name)
        if any(self._lanes[other].runnable for other in self._turns):
            self._changed.notify()  # a wake-up may have been spent on calls that came with this batch
        return batch

    def _batch(self, lane: _Lane[T]) -> list[Work[T]]:
        first = lane.ready.popleft()
        batch = [first]
        if first.batch is not None and lane.max_batch > 1:
            same = [work for work in lane.ready if work.batch == first.batch]
            for work in same[: lane.max_batch - 1]:
                lane.ready.remove(work)
                batch.append(work)
        now = self._clock()
        for work in batch:
            work.taken, work.taken_at = True, now
            lane.waiting.discard(work)
        lane.running += 1
        return batch

    def _drop_late(self) -> None:
        """Under the lock: whose deadline has passed is told so by the one who waits; no worker takes it."""
        now = self._clock()
        for name in list(self._turns):
            lane = self._lanes[name]
            for work in [work for work in lane.ready if work.deadline is not None and work.deadline <= now]:
                work.cancelled = True
                lane.ready.remove(work)
                lane.waiting.discard(work)
            if not lane.ready:
                self._turns.remove(name)

    def _retry_after_s(self, lane: _Lane[T]) -> float:
        """Under the lock: when the calls that wait now should be answered; a second while nothing is known."""
        return lane.mean_s * len(lane.waiting) / lane.slots if lane.mean_s else QueueFull.retry_after_s
