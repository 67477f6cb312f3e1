"""`hearthwatch demo`: a drawn evening scene through everything, on the sample networks; with `--serve` as services."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hearthwatch.adapter.facade import options_from
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.analysis import DETECTOR, Analyzer, Event
from hearthwatch.cli.evening import Evening, read_evening
from hearthwatch.cli.listening import Listening, leave, listening_services, say_where, serving_options
from hearthwatch.cli.offer import program, say_how_to_ask, say_next_steps
from hearthwatch.cli.ports import Ports
from hearthwatch.cli.story import compare, tell
from hearthwatch.cli.terminal import say
from hearthwatch.errors import HearthwatchError, SettingsError, WeightsMissing
from hearthwatch.hosting import LocalRunner
from hearthwatch.models import MODELS
from hearthwatch.report.text import model_title
from hearthwatch.report.write import write_reports
from hearthwatch.selection import FOLLOW_UPS, get_models_for_detection_type, models_beside
from hearthwatch.services import SERVICES
from hearthwatch.settings import Settings, read_settings
from hearthwatch.vision.decode import read_picture
from hearthwatch.vision.picture import Picture

EXIT_WRONG, EXIT_INTERRUPTED = 1, 130
DEFAULT_OUT = Path("out")
EXAMPLES = """Examples:

  hearthwatch demo

  hearthwatch demo --out /tmp/evening

  hearthwatch demo --serve                   then ask the services that it names; Ctrl-C stops them

  hearthwatch demo --serve --port-offset 1000

Nothing is downloaded, and no real weights are needed: the picture is drawn, and so were those that its small networks
learned from. Exit code 0: what was drawn was found; 1: something is not as drawn, failed, or a port was taken.
"""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Demo:
    """One showing.

    Attributes:
        evening: the picture with what was drawn in it.
        out: folder for the report.
        settings: of the environment.
        console: where the story goes.
        errors: where progress and complaints go.
        right: the story was told to its end and is as it was drawn.
        told: it was told to its end.
    """

    evening: Evening
    out: Path
    settings: Settings
    console: Console = field(default_factory=Console)
    errors: Console = field(default_factory=lambda: Console(stderr=True))
    right: bool = False
    told: bool = False

    @property
    def exit_code(self) -> int:
        """0 where the story is right, 1 where it is not, 130 where somebody stopped it before its end."""
        if not self.told:
            return EXIT_INTERRUPTED
        return 0 if self.right else EXIT_WRONG

    async def show(self, runner: LocalRunner) -> None:
        """Load what the picture needs, analyse it, tell the story and write the report."""
        try:
            self._check()
            await self._load(runner)
            event = await self._analyze(runner)
            story = compare(self.evening, event)
            tell(self.console, self.evening, event, story)
            await self._write(event)
            self.right = story.is_right
        except HearthwatchError as error:
            say(self.errors, f"The demo failed: {error}")
        except Exception as error:  # noqa: BLE001 - the services go on, and a person is told
            _log.exception("the demo failed")
            say(self.errors, f"The demo failed: {type(error).__name__}: {error}")
        self.told = True

    def _check(self) -> None:
        """What would come to nothing is said before anything is loaded.

        Raises:
            SettingsError: the folder for the report cannot be made.
        """
        try:
            self.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(f"the report cannot be written to {self.out}: {error.strerror or error}") from error

    async def _load(self, runner: LocalRunner) -> None:
        names = [name for name in _models_for(self.evening) if runner.offers(name)]
        say(self.errors, f"Loading {len(names)} networks (the first time takes some seconds each):")
        for name in names:
            title, started = model_title(name), time.perf_counter()
            try:
                with self.errors.status(f"  {title} ..."):
                    loaded = await runner.load(name)
            except WeightsMissing:
                say(self.errors, f"  {title:<24} has no sample weights and is left out")
                continue
            except HearthwatchError as error:
                say(self.errors, f"  {title:<24} failed: {error}")
                continue
            took = time.perf_counter() - started
            say(self.errors, f"  {title:<24} {took:4.1f} s  {loaded.info.engine}, {loaded.info.precision}")

    async def _analyze(self, runner: LocalRunner) -> Event:
        evening = self.evening
        picture = Picture(read_picture(evening.path))
        return await Analyzer(runner).analyze(picture, evening.path.name, camera=evening.camera, when=evening.when)

    async def _write(self, event: Event) -> None:
        made = datetime.now().astimezone()
        paths = await asyncio.to_thread(write_reports, [event], [], self.out.resolve(), made)
        say(self.console, "Written:")
        say(self.console, f"  page     {paths.html.as_uri()}")
        say(self.console, f"  picture  {paths.pictures[0].as_uri()}")
        say(self.console, f"  JSON     {paths.json.as_uri()}")


def demo(
    serve: Annotated[
        bool, typer.Option("--serve", help="Start every service first, and serve on until Ctrl-C.")
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder for picture, report.html, report.json and events.jsonl.")
    ] = DEFAULT_OUT,
    port_offset: Annotated[int, typer.Option(help="Added to every documented port.")] = 0,
) -> None:
    """Show on a drawn evening scene what Hearthwatch does, without any download."""
    settings = read_settings()
    showing = Demo(read_evening(settings.samples_dir), out, settings)
    try:
        code = _serving(showing, port_offset) if serve else _once(showing)
    except KeyboardInterrupt:
        say(showing.errors, "interrupted")
        code = showing.exit_code
    leave(code)
    raise typer.Exit(code)


demo.__doc__ = f"{demo.__doc__}\n\n{EXAMPLES}"


def _once(showing: Demo) -> int:
    options = options_from(showing.settings, *(model.SPEC for model in MODELS))

    async def show() -> None:
        async with LocalRunner(_on_samples(options)) as runner:
            await showing.show(runner)
            say_next_steps(showing.console, showing.settings, options)

    asyncio.run(show())
    return showing.exit_code


def _serving(showing: Demo, port_offset: int) -> int:
    """Serve, and show the scene meanwhile; where the services cannot start, show it without them."""
    settings = showing.settings
    everything = [model.SPEC.name for model in MODELS]
    try:
        options = serving_options(SERVICES, settings)
        with listening_services(SERVICES, settings, options, Ports(offset=port_offset), beside=everything) as listening:
            listening.run(
                lambda: say_where(showing.errors, listening), beside=lambda: _show_beside(showing, listening, options)
            )
    except SettingsError as error:
        say(showing.errors, f"The services were not started: {error}")
        if isinstance(error.__cause__, OSError):
            say(showing.errors, f"For example: {program()} demo --serve --port-offset {port_offset + 1000}")
        say(showing.errors, "The demo goes on without them.")
        return _once(showing) or EXIT_WRONG
    return showing.exit_code


async def _show_beside(showing: Demo, listening: Listening, options: LoadOptions) -> None:
    """Show the scene on the runner of the services; on one of its own where they serve other weights."""
    samples = _on_samples(options)
    if samples == options:
        await showing.show(listening.process.runner)
    else:
        async with LocalRunner(samples) as runner:
            await showing.show(runner)
    say_next_steps(showing.console, showing.settings, options)
    say_how_to_ask(showing.console, listening, showing.evening.path, options)


def _on_samples(options: LoadOptions) -> LoadOptions:
    """The same with the sample networks, whatever else is installed or named: the picture is drawn."""
    return replace(options, weights="sample", paths={}, variables={})


def _models_for(evening: Evening) -> list[str]:
    """The models that the picture needs, in the order in which they are asked."""
    names = [DETECTOR]
    for thing in evening.things:
        names += get_models_for_detection_type(thing.class_name) + models_beside(thing.class_name)
    names += [FOLLOW_UPS[name] for name in names if name in FOLLOW_UPS]
    return list(dict.fromkeys(names))
