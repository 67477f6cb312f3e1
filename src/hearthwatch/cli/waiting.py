"""What a terminal shows while somebody waits: how many are done, and what a model is busy with before it is.

A checkpoint converts itself on its first use, which takes 20 s and more. Elsewhere than on a terminal there is silence:
the log has a line for each step.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.status import Status

from hearthwatch.report.text import plain


class Waiting:
    """A bar for several pictures, a line for one that has to wait. Gone afterwards.

    Args:
        console: where it is shown, if that is a terminal.
        total: how many pictures there are.
        doing: what is done with them.
    """

    def __init__(self, console: Console, total: int, doing: str = "analysing") -> None:
        self._console = console
        self._bar: Progress | None = None
        self._line: Status | None = None
        if console.is_terminal and total > 1:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task(doing, total=total)
        elif console.is_terminal:
            self._line = console.status("")
        self._shown = False

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
        if self._line is not None and self._shown:
            self._line.stop()

    def done(self, name: str) -> None:
        """One picture is done."""
        if self._bar is not None:
            self._bar.update(self._task, advance=1, description=escape(plain(name)))

    def busy(self, model: str, step: str) -> None:
        """A model is busy with this before it answers; may come from another thread."""
        text = escape(plain(f"{model}: {step}"))
        if self._bar is not None:
            self._bar.update(self._task, description=text, refresh=True)
        if self._line is not None:
            self._line.update(text)
            if not self._shown:
                self._shown = True
                self._line.start()
