"""`hearthwatch analyze`: photos and clips become assessed events."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from hearthwatch.adapter.facade import options_from
from hearthwatch.analysis import DEFAULT_CONFIDENCE, Analyzer, Event, Judge
from hearthwatch.cli.judging import AllowRemoteLlm, Llm, PointsFile, PromptFolder, judge_by, judging_by
from hearthwatch.cli.terminal import say
from hearthwatch.cli.waiting import Waiting
from hearthwatch.errors import HearthwatchError, InputError, WeightsError
from hearthwatch.hosting import LocalRunner
from hearthwatch.models import MODELS
from hearthwatch.pipeline import DetectionInput
from hearthwatch.report.json import report_to_json
from hearthwatch.report.terminal import print_event
from hearthwatch.report.write import write_reports
from hearthwatch.settings import read_settings
from hearthwatch.vision.clip import is_video
from hearthwatch.vision.decode import read_picture
from hearthwatch.vision.exif import taken_at
from hearthwatch.vision.picture import Picture
from hearthwatch.vision.video import sample_frames

EXIT_SOME_FAILED, EXIT_USAGE, EXIT_NO_WEIGHTS, EXIT_INTERRUPTED = 1, 2, 3, 130
#: Evenly spread over a clip: enough to see who came and what happened in the usual 10 to 30 s of a camera's event.
DEFAULT_FRAMES = 8
#: Bytes that tell a clip from a photo.
HEAD_BYTES = 64

EXAMPLES = """Examples:

  hearthwatch analyze porch.jpg

  hearthwatch analyze *.jpg --camera porch --at 2026-11-20T22:30 --out report

  hearthwatch analyze porch.jpg --json | jq '.events[0].risk'

  hearthwatch analyze driveway.mp4 --frames 12 --out report

  hearthwatch analyze porch.jpg --detections boxes.json

  hearthwatch analyze porch.jpg --llm http://127.0.0.1:8091

boxes.json is a list of objects with label, bbox [x1, y1, x2, y2] and, if known, confidence, id, known, dwell_s, zones;
for several photos an object of such lists by file name.
"""


@dataclass(slots=True)
class Run:
    """What came of a run so far."""

    events: list[Event] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)
    no_weights: bool = False
    interrupted: bool = False

    @property
    def exit_code(self) -> int:
        """DESIGN.md: 0 done, 1 some inputs failed, 3 no usable weights; 130 as shells say it for Ctrl-C."""
        if self.interrupted:
            return EXIT_INTERRUPTED
        if self.no_weights:
            return EXIT_NO_WEIGHTS
        return EXIT_SOME_FAILED if self.failed else 0


@dataclass(frozen=True, slots=True)
class Given:
    """What the options say about the pictures."""

    camera: str | None
    when: datetime | None
    frames: int
    detections: dict[str, list[DetectionInput]] | list[DetectionInput] | None

    def detections_of(self, photo: Path) -> list[DetectionInput] | None:
        """The given detections of one photo; None where the detector has to look."""
        if isinstance(self.detections, dict):
            for key in (str(photo), photo.name):
                if key in self.detections:
                    return self.detections[key]
            return None
        return self.detections


def analyze(
    photos: Annotated[list[Path], typer.Argument(metavar="PHOTO...", help="Photos, or mp4 clips, which are sampled.")],
    as_json: Annotated[bool, typer.Option("--json", help="The whole result as one JSON object on stdout.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for the annotated pictures, report.html, report.json and events.jsonl.")
    ] = None,
    detections: Annotated[
        Path | None, typer.Option(help="JSON file with detections to use instead of the detector.")
    ] = None,
    camera: Annotated[str | None, typer.Option(help="Name of the camera, for the report.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Local time of the event, ISO 8601; else the photo's own EXIF time.")
    ] = None,
    frames: Annotated[int, typer.Option(min=1, max=64, help="Frames looked at in each clip.")] = DEFAULT_FRAMES,
    confidence: Annotated[
        float, typer.Option(min=0.25, max=1.0, help="Lowest confidence of a detection.")
    ] = DEFAULT_CONFIDENCE,
    device: Annotated[str | None, typer.Option(help="auto, cpu, gpu, npu or cuda:N.")] = None,
    llm: Llm = None,
    allow_remote_llm: AllowRemoteLlm = False,
    prompt: PromptFolder = None,
    points: PointsFile = None,
) -> None:
    """Find people, vehicles and animals in photos, look closer at each, and say how much attention they deserve."""
    console = Console(stderr=as_json)
    errors = Console(stderr=True)
    given = Given(camera, _time(at), frames, _read_detections(detections))
    judging = judging_by(llm, prompt, points, allow_remote=allow_remote_llm)
    options = options_from(read_settings(), *(model.SPEC for model in MODELS))
    options = options if device is None else replace(options, device=device)
    if as_json:  # reports say it with each event
        for remark in options.remarks():
            say(errors, remark)
    run = Run()
    try:
        with Waiting(errors, len(photos)) as waiting:
            runner = LocalRunner(replace(options, progress=waiting.busy))
            judge = judge_by(judging, partial(say, errors))
            asyncio.run(_analyze_all(photos, given, confidence, runner, judge, run, waiting))
    except KeyboardInterrupt:
        run.interrupted = True  # what is done is kept and reported below
    _report(run, console, errors, out, as_json=as_json)
    raise typer.Exit(run.exit_code)


analyze.__doc__ = f"{analyze.__doc__}\n\n{EXAMPLES}"


async def _analyze_all(
    photos: Sequence[Path],
    given: Given,
    confidence: float,
    runner: LocalRunner,
    judging: AbstractAsyncContextManager[Judge],
    run: Run,
    waiting: Waiting,
) -> None:
    async with judging as judge, runner:
        analyzer = Analyzer(runner, confidence=confidence, judge=judge)
        for photo in photos:
            try:
                async for event in _events(photo, given, analyzer):
                    run.events.append(event)
            except WeightsError as error:
                # The detector's own weights: no other photo will fare better.
                run.no_weights = True
                run.failed.append((str(photo), str(error)))
                return
            except HearthwatchError as error:
                run.failed.append((str(photo), str(error)))
            waiting.done(photo.name)


async def _events(photo: Path, given: Given, analyzer: Analyzer) -> AsyncIterator[Event]:
    """One event of a photo, or one of each sampled frame of a clip."""
    if not is_video(_head(photo)):
        picture = Picture(read_picture(photo))
        when = given.when or (taken_at(picture.data) if picture.data else None)
        yield await analyzer.analyze(
            picture, str(photo), camera=given.camera, when=when, detections=given.detections_of(photo)
        )
        return
    for frame in sample_frames(photo, given.frames):
        source = f"{photo} @ {frame.time_s:.1f} s"
        # Frames are moments apart, which is how a weapon is confirmed in several of them.
        when = None if given.when is None else given.when + timedelta(seconds=frame.time_s)
        yield await analyzer.analyze(Picture.of(frame.image), source, camera=given.camera, when=when)


def _report(run: Run, console: Console, errors: Console, out: Path | None, *, as_json: bool) -> None:
    if out is not None and (run.events or run.failed):
        paths = write_reports(run.events, run.failed, out, datetime.now().astimezone())
        say(errors, f"report: {paths.html}")
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(report_to_json(run.events, run.failed), option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.flush()
    else:
        for event in run.events:
            print_event(console, event)
    for source, sentence in run.failed:
        say(errors, f"failed: {source}: {sentence}")


def _head(photo: Path) -> bytes:
    try:
        with photo.open("rb") as stream:
            return stream.read(HEAD_BYTES)
    except OSError as error:
        raise InputError(f"{photo} cannot be read: {error.strerror or error}") from error


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-11-20T22:30", param_hint="--at") from error


def _read_detections(path: Path | None) -> dict[str, list[DetectionInput]] | list[DetectionInput] | None:
    if path is None:
        return None
    try:
        content = orjson.loads(path.read_bytes())
        if isinstance(content, dict):
            return {str(name): _inputs(rows) for name, rows in content.items()}
        return _inputs(content)
    except (OSError, orjson.JSONDecodeError, InputError, TypeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--detections") from error


def _inputs(rows: object) -> list[DetectionInput]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InputError("detections are a list of objects with label and bbox")
    return [DetectionInput.of(row, index) for index, row in enumerate(rows)]
