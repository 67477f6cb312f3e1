"""`hearthwatch models`: which weights are there, and fetching those that are not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from hearthwatch.adapter.describing import describe_for
from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.catalog import CATALOG, CatalogEntry, default_entry, licence_class
from hearthwatch.artifacts.choice import choose_weights
from hearthwatch.artifacts.download import Hooks
from hearthwatch.artifacts.hub import Remote
from hearthwatch.artifacts.inventory import Stock, take_stock
from hearthwatch.artifacts.lookup import WeightsChoice
from hearthwatch.artifacts.pull import PulledFile, pull
from hearthwatch.artifacts.samples import notice
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.cli.terminal import mib, say
from hearthwatch.errors import HearthwatchError, UnknownModel, WeightsInvalid
from hearthwatch.models import MODELS, get_model
from hearthwatch.report.text import plain
from hearthwatch.settings import Settings, read_settings

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="See and fetch the weights of the models.")

EXIT_SOME_FAILED, EXIT_USAGE, EXIT_NO_WEIGHTS, EXIT_INTERRUPTED = 1, 2, 3, 130
#: Without a terminal, progress is a line at each quarter.
PLAIN_STEPS = 4

ModelsDir = Annotated[
    Path | None,
    typer.Option(help="Folder with the weights; HEARTHWATCH_MODELS_DIR, else the user's cache.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Machine output on stdout.")]

LIST_EXAMPLES = """Examples:

  hearthwatch models list

  hearthwatch models list -v --models-dir /models

  hearthwatch models list --json | jq -r '.models[] | select(.state == "missing") | .name'
"""
PULL_EXAMPLES = """Examples:

  hearthwatch models pull

  hearthwatch models pull face_detector pose

  HEARTHWATCH_LICENSE_POLICY=permissive hearthwatch models pull

  HF_ENDPOINT=https://hub.example.org hearthwatch models pull yolo26n.pt
"""


@app.command("list", epilog=LIST_EXAMPLES)
def list_models(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also the preprocessing of each file and the places looked at.")
    ] = False,
    as_json: AsJson = False,
    models_dir: ModelsDir = None,
) -> None:
    """Show each model's weights: state, kind, licence, size and where they are."""
    console = Console(stderr=True)
    settings = _settings(console)
    folder = models_dir or settings.models_dir
    weights = _choice(settings, models_dir)
    stock = [(spec, _stock(spec, settings, folder, weights)) for spec in _specs(settings)]
    told = _notice([one for _, one in stock])
    if as_json:
        rows = [_row(one) | ({"details": _details(spec, one)} if verbose else {}) for spec, one in stock]
        _print_json({"models_dir": str(folder), "weights": weights, "notice": told, "models": rows})
        return
    _print_table(console, [one for _, one in stock])
    if told:
        say(console, told)
    for spec, one in stock:
        if verbose or one.state in {"ambiguous", "refused"}:
            say(console, f"{one.model}: {one.how}")
        if verbose:
            places = (f"looked at {place}" for place in one.looked_at)
            for line in (f"source {one.source}", *places, *_details(spec, one)):
                say(console, f"  {line}")


@app.command("pull", epilog=PULL_EXAMPLES)
def pull_models(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Models, or files of the catalog; without any: every model that has no weights yet."),
    ] = None,
    models_dir: ModelsDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there and take the newest revision.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch weights: shows source, size and licence, continues broken downloads, checks digests.

    HF_ENDPOINT names another hub, HEARTHWATCH_OFFLINE forbids downloads, HEARTHWATCH_LICENSE_POLICY=permissive refuses
    weights whose licence is not known to be permissive.
    """
    console = Console(stderr=True)
    settings = _settings(console)
    folder = models_dir or settings.models_dir
    try:
        entries = _wanted(names or (), settings, folder)
    except UnknownModel as error:
        say(console, str(error))
        raise typer.Exit(EXIT_USAGE) from error
    report, before = _Report(folder), _choice(settings)
    try:
        for entry in entries:
            _pull_one(console, entry, settings, report, force=force)
    except KeyboardInterrupt:
        say(console, "stopped; the next pull continues where this one ended")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if as_json:
        _print_json(report.as_dict())
    elif not entries:
        say(console, f"nothing to pull: every model has weights in {folder}")
    if before == "sample" and report.pulled:
        say(console, _next_run(settings, folder))
    if report.failed:
        raise typer.Exit(_failure_code(entries, settings, folder))


@dataclass(frozen=True, slots=True)
class _Report:
    models_dir: Path
    pulled: list[PulledFile] = field(default_factory=list)
    failed: list[tuple[CatalogEntry, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            "models_dir": str(self.models_dir),
            "pulled": [
                {
                    "model": file.entry.model,
                    "file": file.entry.file,
                    "status": file.status,
                    "path": str(file.path),
                    "size_bytes": file.size_bytes,
                    "sha256": file.sha256 or None,
                    "source": file.entry.source,
                    "revision": file.revision,
                    "license": file.licence or file.entry.licence,
                    "notes": list(file.notes),
                }
                for file in self.pulled
            ],
            "failed": [{"model": entry.model, "file": entry.file, "error": error} for entry, error in self.failed],
        }


def _settings(console: Console) -> Settings:
    try:
        return read_settings()
    except HearthwatchError as error:
        say(console, str(error))
        raise typer.Exit(EXIT_USAGE) from error


def _choice(settings: Settings, models_dir: Path | None = None) -> WeightsChoice:
    """What a run would use that looks in this folder; None: where the environment says."""
    return choose_weights(
        settings.weights,
        given=settings.gives_weights or models_dir is not None,
        models_dir=models_dir or settings.models_dir,
        samples_dir=settings.samples_dir,
    )


def _notice(stock: Sequence[Stock]) -> str | None:
    """What to say of sample weights, where a run would use them."""
    sampled = [one.model for one in stock if one.state == "sample"]
    return notice(sampled, [one.model for one in stock if one.kind in {"onnx", "checkpoint"}])


def _next_run(settings: Settings, folder: Path) -> str:
    """Whether runs, which used sample weights until now, use what was pulled."""
    if settings.weights == "sample":
        return "runs go on with sample weights, because HEARTHWATCH_WEIGHTS=sample is set"
    if _choice(settings) == "sample":
        return (
            f"runs go on with sample weights, because they look in {settings.models_dir}; "
            f"HEARTHWATCH_MODELS_DIR={folder} makes them look here"
        )
    absent = [spec.name for spec in _specs(settings) if _stock(spec, settings, folder).state == "missing"]
    rest = f"; without weights are now {', '.join(absent)}" if absent else ""
    return f"the next run uses real weights and no sample ones{rest}"


def _specs(settings: Settings) -> list[Spec]:
    """Of every model that nobody switched off."""
    return [model.SPEC for model in MODELS if model.SPEC.name not in settings.switched_off]


def _stock(spec: Spec, settings: Settings, models_dir: Path, weights: WeightsChoice = "real") -> Stock:
    query = WeightsQuery.for_model(spec.name, spec.aliases, spec.path_variables, spec.kin)
    return take_stock(
        query,
        variable=settings.model_path(spec.path_variables),
        models_dir=models_dir,
        weights=weights,
        samples_dir=settings.samples_dir,
        hub_cache=settings.hub_cache,
    )


def _wanted(names: Sequence[str], settings: Settings, models_dir: Path) -> list[CatalogEntry]:
    """Turn names of models, aliases and files into rows, each once; without names, the missing ones."""
    if not names:
        missing = [spec.name for spec in _specs(settings) if _stock(spec, settings, models_dir).state == "missing"]
        return _with_companions([entry for name in missing if (entry := default_entry(name)).pullable])
    rows = []
    for name in names:
        by_file = next((entry for entry in CATALOG if entry.file == name), None)
        rows.append(by_file or default_entry(get_model(name).SPEC.name))
    return _with_companions(rows)


def _with_companions(rows: Sequence[CatalogEntry]) -> list[CatalogEntry]:
    """Each file once, with those that it needs beside it; two models may come from one file."""
    files = {(one.folder, one.file): one for row in rows for one in (row, *row.companions)}
    return list(files.values())


def _failure_code(entries: Sequence[CatalogEntry], settings: Settings, models_dir: Path) -> int:
    """Tell "some failed" from "none of these models can run now"."""
    specs = [get_model(name).SPEC for name in dict.fromkeys(entry.model for entry in entries)]
    usable = any(_stock(spec, settings, models_dir).state == "found" for spec in specs)
    return EXIT_SOME_FAILED if usable else EXIT_NO_WEIGHTS


def _pull_one(console: Console, entry: CatalogEntry, settings: Settings, report: _Report, *, force: bool) -> None:
    if entry.bundled_in:
        say(console, f"{entry.model}: nothing to pull, it comes {entry.source}")
        return
    try:
        with _progress(console, entry) as hooks:
            file = pull(
                entry,
                report.models_dir,
                endpoint=settings.hf_endpoint,
                offline=settings.offline,
                policy=settings.license_policy,
                force=force,
                hooks=hooks,
            )
    except HearthwatchError as error:
        report.failed.append((entry, str(error)))
        say(console, f"{entry.model}: failed: {error}")
        return
    report.pulled.append(file)
    state = "pulled to" if file.status == "downloaded" else "already there:"
    say(console, f"{entry.model}: {state} {file.path} ({mib(file.size_bytes)})")
    for note in file.notes:
        say(console, f"  note: {note}")


@contextmanager
def _progress(console: Console, entry: CatalogEntry) -> Iterator[Hooks]:
    """Show a bar on a terminal, lines elsewhere; both begin when the hub has answered."""

    def announce(_: CatalogEntry, remote: Remote) -> None:
        licence = remote.licence or entry.licence
        kind = licence_class(licence)
        say(console, f"{entry.model}: {entry.source}, {mib(remote.size_bytes)}, licence {licence} ({kind})")
        if entry.remark:
            say(console, f"  {entry.remark}")

    def wait() -> None:
        say(console, f"{entry.model}: another process is pulling it; waiting")

    if not console.is_terminal:
        yield Hooks(on_start=announce, on_wait=wait, on_progress=_PlainProgress(console, entry.file))
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bars:
        task = bars.add_task(plain(entry.file), start=True, total=None, visible=False)

        def move(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total, visible=True)

        yield Hooks(on_start=announce, on_wait=wait, on_progress=move)


class _PlainProgress:
    def __init__(self, console: Console, name: str) -> None:
        self._console, self._name, self._step = console, name, 0

    def __call__(self, done: int, total: int) -> None:
        step = PLAIN_STEPS * done // max(total, 1)
        if step > self._step:
            self._step = step
            say(self._console, f"  {self._name}: {mib(done)} of {mib(total)}")


def _print_table(console: Console, stock: Sequence[Stock]) -> None:
    if not console.is_terminal:
        rows = [_cells(one) for one in stock]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        for row in rows:
            say(console, "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        return
    table = Table("Model", "State", "Kind", "Licence", "Size", "Where", box=None, pad_edge=False)
    for one in stock:
        table.add_row(*(Text(plain(cell)) for cell in _cells(one)))
    console.print(table)


def _cells(one: Stock) -> tuple[str, ...]:
    where = str(one.path) if one.path else f"pull from {one.source}" if one.state == "missing" else one.how
    return (one.model, one.state, one.kind or "-", one.licence, mib(one.size_bytes), where)


def _row(one: Stock) -> dict[str, Any]:
    return {
        "name": one.model,
        "state": one.state,
        "kind": one.kind,
        "license": one.licence,
        "license_class": licence_class(one.licence),
        "size_bytes": one.size_bytes,
        "path": str(one.path) if one.path else None,
        "source": one.source,
        "how": one.how,
        "looked_at": list(one.looked_at),
    }


def _details(spec: Spec, one: Stock) -> list[str]:
    """Tell how pictures or texts become the network's input, with the origin of each field."""
    if one.kind not in {"onnx", "sample"} or one.path is None:
        return []
    try:
        described = describe_for(spec, one.path)
    except WeightsInvalid as error:
        return [f"refused when it loads: {error}"]
    lines = [f"conflict: {text}" for text in described.conflicts]
    origins = getattr(described.input, "origins", {})
    for item in fields(described.input):
        if item.name != "origins":
            value, origin = getattr(described.input, item.name), origins.get(item.name, "model default")
            lines.append(f"input {item.name}: {value} ({origin})")
    return lines


def _print_json(content: dict[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode() + "\n")
