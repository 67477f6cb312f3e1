"""The threads that answer calls."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from hearthwatch.hosting.queue import Work, WorkQueue

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Workers(Generic[T]):
    """Threads that take from one queue until it is closed and empty. They start with the first call.

    Args:
        queue: whom they serve.
        answer: answers the calls that one of them took; it tells the callers, and raises nothing.
        count: threads.
    """

    def __init__(self, queue: WorkQueue[T], answer: Callable[[list[Work[T]]], object], count: int) -> None:
        if count < 1:
            raise ValueError(f"calls need at least one worker; got {count}")
        self.count = count
        self._queue = queue
        self._answer = answer
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start them; once is enough, and more is harmless."""
        with self._lock:
            if self._threads:
                return
            # Daemons: a process that forgot to close its runner must still be able to end.
            self._threads = [
                threading.Thread(target=self._work, name=f"infer-{number}", daemon=True) for number in range(self.count)
            ]
            for thread in self._threads:
                thread.start()

    def join(self) -> None:
        """Wait until the last call is answered; the queue must be closed."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while self._answer_next():
            continue

    def _answer_next(self) -> bool:
        """Whether there was one. Its calls, decoded pictures and all, are let go before others are waited for."""
        batch = self._queue.take()
        if not batch:
            return False
        try:
            self._answer(batch)
        except Exception:  # noqa: BLE001 - a worker that ends would leave everybody behind it waiting
            _log.exception("worker failed model=%s calls=%d", batch[0].model, len(batch))
        finally:
            self._queue.done(batch)
        return True
