"""A run's report in a folder, each file whole or not there at all.

The annotated pictures, `report.html` for people, `report.json` for programs, and `events.jsonl` to judge again.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import orjson

from hearthwatch.analysis import Event
from hearthwatch.errors import SettingsError
from hearthwatch.recording import EVENTS, record, to_line
from hearthwatch.report.annotate import annotate
from hearthwatch.report.html import EventView, render_page, view_event
from hearthwatch.report.json import report_to_json
from hearthwatch.report.pictures import encode_jpeg

HTML, JSON, PICTURE = "report.html", "report.json", ".annotated.jpg"
#: Bytes of a name's stem: file systems allow 255, our endings, a number and a temporary's prefix need some of them.
MAX_STEM_BYTES = 180

_SUFFIX = re.compile(r"(?<=.)\.\w{1,5}$")
_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where a report lies; `pictures` in the order of the events."""

    html: Path
    json: Path
    events: Path
    pictures: tuple[Path, ...]


def write_reports(
    events: Sequence[Event], failed: Sequence[tuple[str, str]], out_dir: Path, made: datetime | None = None
) -> ReportPaths:
    """Write everything about a run; files of the same names are replaced, others stay.

    Args:
        events: what was assessed.
        failed: the source and the sentence of each input that could not be.
        out_dir: made if it is not there. Nothing outside of it is touched, whatever the sources are called.
        made: when the report is written, for the page's head.

    Raises:
        SettingsError: the folder cannot be written to.
    """
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        pictures: list[Path] = []
        views: list[EventView] = []
        for number, (event, name) in enumerate(zip(events, picture_names(events), strict=True), 1):
            # One at a time: the pixels of a long run do not fit into memory twice.
            annotated = annotate(event)
            pictures.append(write_whole(out_dir / name, encode_jpeg(annotated)))
            views.append(view_event(event, number, annotated))
        content = orjson.dumps(report_to_json(events, failed), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
        json = write_whole(out_dir / JSON, content)
        recorded = write_whole(out_dir / EVENTS, b"".join(to_line(record(event)) for event in events))
        html = write_whole(out_dir / HTML, render_page(views, failed, made).encode())
    except OSError as error:
        raise SettingsError(f"the report cannot be written to {out_dir}: {error.strerror or error}") from error
    return ReportPaths(html, json, recorded, tuple(pictures))


def picture_names(events: Sequence[Event]) -> list[str]:
    """A safe file name for each event's picture, no two alike on any file system: `porch.annotated.jpg`."""
    taken: set[str] = set()
    names: list[str] = []
    for event in events:
        stem = safe_stem(event.source)
        unique, count = stem, 1
        while unique.casefold() in taken:
            count += 1
            unique = f"{stem}-{count}"
        taken.add(unique.casefold())
        names.append(f"{unique}{PICTURE}")
    return names


def safe_stem(source: str) -> str:
    """A source's last part without its ending, in letters, digits, dots, dashes and underscores.

    `yard/walking.mp4 @ 3.2 s` becomes `walking.mp4-3.2-s`.
    """
    name = PurePosixPath(source.replace("\\", "/")).name
    stem = _UNSAFE.sub("-", unicodedata.normalize("NFC", _SUFFIX.sub("", name)))
    short = stem.encode("utf-8", "ignore")[:MAX_STEM_BYTES].decode("utf-8", "ignore")
    return short.strip(".-") or "picture"


def write_whole(path: Path, data: bytes) -> Path:
    """Whoever reads the file sees the old bytes or the new ones, never a part; a link in its place is replaced."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)  # of a process that was killed
    try:
        # "x" refuses whatever somebody else puts in the way, links too.
        with temporary.open("xb") as stream:
            stream.write(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path
