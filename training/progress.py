"""How far a long work is: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

#: Between two lines where there is no terminal, seconds.
LINE_EVERY_S = 20.0


class Tell(Protocol):
    """Called as the work goes on."""

    def __call__(self, done: int, note: str = "") -> None: ...


class Progress:
    """Shows the progress of one work at a time.

    Args:
        console: to write to; stderr by default.
        clock: seconds.
    """

    def __init__(self, console: Console | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock

    def say(self, line: str) -> None:
        """One line, at once."""
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    @contextmanager
    def of(self, title: str, total: int, *, begin: int = 0) -> Iterator[Tell]:
        """Show one work.

        Args:
            title: what is done.
            total: how much there is to do.
            begin: how much of it is done already.
        """
        if self._console.is_terminal:
            with self._bar() as bar:
                task = bar.add_task(title, total=total, completed=begin, note="")

                def move(done: int, note: str = "") -> None:
                    bar.update(task, completed=done, note=note)

                yield move
        else:
            yield self._lines(title, total, begin)

    def _bar(self) -> Bar:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        return Bar(*columns, console=self._console)

    def _lines(self, title: str, total: int, begin: int) -> Tell:
        started = last = self._clock()

        def tell(done: int, note: str = "") -> None:
            nonlocal last
            now = self._clock()
            if done < total and now - last < LINE_EVERY_S:
                return
            last = now
            left = (now - started) * (total - done) / max(done - begin, 1)
            self.say(f"{title}  {done}/{total}  {now - started:.0f} s, {left:.0f} s left  {note}".rstrip())

        return tell
