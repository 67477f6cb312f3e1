"""`hearthwatch assess`: recorded events are judged again, by another prompt, language model or rules, and compared."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console

from hearthwatch.analysis import Judge
from hearthwatch.cli.judging import AllowRemoteLlm, Llm, PointsFile, PromptFolder, judge_by, judging_by
from hearthwatch.cli.terminal import say
from hearthwatch.cli.waiting import Waiting
from hearthwatch.errors import InputError, SettingsError
from hearthwatch.recording import EVENTS, Change, RecordedEvent, Unreadable, compare, read_events, to_line
from hearthwatch.report.changes import changes_to_json, print_change, print_comparison
from hearthwatch.report.write import write_whole

EXIT_SOME_FAILED, EXIT_INTERRUPTED = 1, 130

EXAMPLES = """Examples:

  hearthwatch analyze *.jpg --out report && hearthwatch assess report

  hearthwatch assess report --points mine.json

  hearthwatch assess report --llm http://127.0.0.1:8091 --out judged.jsonl

  hearthwatch assess judged.jsonl --llm http://127.0.0.1:8091 --prompt mine/

  hearthwatch assess report --json | jq .summary

mine.json holds the points that change, {"night": 5, "posture": {"crouching": 20}}; mine/ holds system.j2, event.j2 or
both. No picture and no network is looked at again: the facts are those that were recorded.
"""


@dataclass(slots=True)
class Run:
    """What came of a run so far."""

    changes: list[Change] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """As that of `analyze`."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        return EXIT_SOME_FAILED if self.failed else 0


def assess(
    recorded: Annotated[
        list[Path], typer.Argument(metavar="RECORD...", help=f"Folders that `analyze --out` wrote, or {EVENTS} files.")
    ],
    llm: Llm = None,
    allow_remote_llm: AllowRemoteLlm = False,
    prompt: PromptFolder = None,
    points: PointsFile = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Record the events as judged now.")] = None,
    show_all: Annotated[bool, typer.Option("--all", help="Show the events that stay the same too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The whole result as one JSON object on stdout.")] = False,
) -> None:
    """Judge recorded events again and show what changes."""
    errors = Console(stderr=True)
    console = Console(stderr=as_json)
    judging = judging_by(llm, prompt, points, allow_remote=allow_remote_llm)
    files = [_file(path) for path in recorded]
    run = Run()
    judge = judge_by(judging, partial(say, errors))
    try:
        with Waiting(errors, sum(map(_lines, files)), "judging") as waiting:
            asyncio.run(_assess_all(files, judge, run, waiting))
    except KeyboardInterrupt:
        run.interrupted = True  # what is done is kept and reported below
    _report(run, console, errors, show_all=show_all, as_json=as_json)
    if out is not None:
        _record(run.changes, out)
        say(errors, f"recorded: {out}")
    raise typer.Exit(run.exit_code)


assess.__doc__ = f"{assess.__doc__}\n\n{EXAMPLES}"


def _file(path: Path) -> Path:
    file = path / EVENTS if path.is_dir() else path
    if not file.is_file():
        raise typer.BadParameter(f"{file} is not there; `hearthwatch analyze PHOTO --out FOLDER` writes it")
    return file


def _lines(file: Path) -> int:
    try:
        with file.open("rb") as stream:
            return sum(part.count(b"\n") for part in iter(lambda: stream.read(1 << 20), b""))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}") from error


async def _assess_all(
    files: Sequence[Path], judging: AbstractAsyncContextManager[Judge], run: Run, waiting: Waiting
) -> None:
    async with judging as judge:
        for file in files:
            for event in _events(file, run):
                after = await judge(event.scene(), event.detections, event.enrichment)
                run.changes.append(Change(event, after))
                waiting.done(event.source)


def _events(file: Path, run: Run) -> Iterator[RecordedEvent]:
    for event in read_events(file):
        if isinstance(event, Unreadable):
            run.failed.append((f"{file}, line {event.line}", event.why))
        else:
            yield event


def _report(run: Run, console: Console, errors: Console, *, show_all: bool, as_json: bool) -> None:
    comparison = compare(run.changes)
    if as_json:
        told: dict[str, Any] = changes_to_json(run.changes, comparison, run.failed)
        sys.stdout.buffer.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()
    else:
        for change in run.changes:
            if change.differs or show_all:
                print_change(console, change)
        print_comparison(console, comparison)
    for source, sentence in run.failed:
        say(errors, f"failed: {source}: {sentence}")


def _record(changes: Sequence[Change], out: Path) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, b"".join(to_line(replace(change.event, risk=change.after)) for change in changes))
    except OSError as error:
        raise SettingsError(f"{out} cannot be written: {error.strerror or error}") from error
