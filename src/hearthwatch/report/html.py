"""One page that holds a whole run: pictures, risks, reasons, detections. It loads nothing and runs nothing.

Everything that came from outside (names of files, cameras and classes, plates, sentences) is stripped of control
characters on its way in and escaped by the template.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from hearthwatch import __version__
from hearthwatch.analysis import Event
from hearthwatch.pipeline import EnrichmentStatus
from hearthwatch.report.annotate import annotate
from hearthwatch.report.cards import Card, Line, cards_of
from hearthwatch.report.judged import judged_by, said_beside, why_rules
from hearthwatch.report.palette import COLORS, RGB, ink_on
from hearthwatch.report.pictures import cut, encode_jpeg, fit_within
from hearthwatch.report.text import model_title, one_line, percent, plain, sample_notice
from hearthwatch.report.whole import whole_of
from hearthwatch.risk import Reason
from hearthwatch.risk.assessment import LEVELS
from hearthwatch.vision.boxes import Box, expand_box
from hearthwatch.vision.image import Image, UInt8

if TYPE_CHECKING:
    from jinja2 import Environment

#: Nothing is loaded, run or sent; the pictures and the style are in the page.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
#: Sharp on a screen of twice 800 px; a 4K picture would make a page of many MB.
PICTURE_SIDE, PICTURE_QUALITY = 1600, 85
#: Sharp at the 7 rem that a card gives it, also on screens of twice the density.
THUMBNAIL_SIDE, THUMBNAIL_QUALITY = 320, 85
#: Around a detection, of its size, so that one sees where it is.
THUMBNAIL_MARGIN = 0.06
STATUS = {
    EnrichmentStatus.PARTIAL: "Some analyses failed",
    EnrichmentStatus.FAILED: "The closer analyses failed",
}


@dataclass(frozen=True, slots=True)
class Inline:
    """A picture inside the page; width and height in pixels."""

    uri: str
    width: int
    height: int

    @classmethod
    def of(cls, pixels: UInt8, side: int, quality: int) -> Inline:
        """Shrunk to `side` pixels on the longest side, as JPEG."""
        small = fit_within(pixels, side)
        data = base64.b64encode(encode_jpeg(small, quality)).decode("ascii")
        return cls(f"data:image/jpeg;base64,{data}", small.shape[1], small.shape[0])


@dataclass(frozen=True, slots=True)
class LineView:
    """One line of a card."""

    label: str
    value: str
    sure: str
    notable: bool


@dataclass(frozen=True, slots=True)
class CardView:
    """One detection as the template shows it; the fields are those of `Card`."""

    number: int
    id: str
    class_name: str
    kind: str
    sure: str
    lines: tuple[LineView, ...]
    unknown: tuple[str, ...]
    skipped: tuple[str, ...]
    errors: tuple[str, ...]
    thumbnail: Inline | None


@dataclass(frozen=True, slots=True)
class ReasonView:
    """One reason; `number` and `kind` are those of its detection, 0 and empty for the scene."""

    points: str
    text: str
    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class TimingRow:
    """One row of the table of timings."""

    step: str
    total_ms: str
    network_ms: str
    weights: str


@dataclass(frozen=True, slots=True)
class EventView:
    """One event as the template shows it: everything is text, numbers or a picture in the page."""

    number: int
    name: str
    context: tuple[str, ...]
    time: str
    picture: Inline
    score: int
    level: str
    judged: str
    stood_in: str
    said: tuple[str, ...]
    summary: str
    reasons: tuple[ReasonView, ...]
    notice: str
    status: str
    errors: tuple[str, ...]
    cards: tuple[CardView, ...]
    whole: tuple[LineView, ...]
    skipped: tuple[str, ...]
    timings: tuple[TimingRow, ...]


def render_html(events: Sequence[Event], failed: Sequence[tuple[str, str]], made: datetime | None = None) -> str:
    """The page of a run.

    Args:
        events: what was assessed.
        failed: the source and the sentence of each input that could not be.
        made: when the report is written, for its head.
    """
    views = [view_event(event, number, annotate(event)) for number, event in enumerate(events, 1)]
    return render_page(views, failed, made)


def render_page(views: Sequence[EventView], failed: Sequence[tuple[str, str]], made: datetime | None = None) -> str:
    """As `render_html`, for events whose pictures are drawn already."""
    title = f"Report on {len(views)} picture{'' if len(views) == 1 else 's'}"
    template = _environment().get_template("page.html.j2")
    return template.render(
        policy=POLICY,
        title=title if views else "Nothing could be looked at",
        made=f"{made:%Y-%m-%d %H:%M}" if made else "",
        events=views,
        failed=failed,
        version=__version__,
        edges=[lowest for lowest, _ in LEVELS if lowest],
        chips=[(kind, _hex(color), _hex(ink_on(color))) for kind, color in COLORS.items()],
    )


def view_event(event: Event, number: int, annotated: UInt8) -> EventView:
    """What the page shows of one event.

    Args:
        event: what was assessed.
        number: its place on the page, from 1.
        annotated: (H, W, 3) RGB, of `annotate`.
    """
    risk, cards, whole, image = event.risk, cards_of(event), whole_of(event), event.picture.image()
    when = f"{event.time:%Y-%m-%d %H:%M}" if event.time else ""
    by_id = {card.id: card for card in cards}
    return EventView(
        number=number,
        name=PurePath(event.source).name or event.source,
        context=tuple(_context(event, when)),
        time=when,
        picture=Inline.of(annotated, PICTURE_SIDE, PICTURE_QUALITY),
        score=risk.risk_score,
        level=risk.risk_level,
        judged=judged_by(risk),
        stood_in=why_rules(risk),
        said=tuple(said_beside(risk)),
        summary=one_line(risk.summary),
        reasons=tuple(_reason(reason, by_id) for reason in risk.reasons),
        notice=sample_notice(event.weights),
        status=STATUS.get(event.status, "Errors"),
        errors=tuple(dict.fromkeys(event.errors)),
        cards=tuple(_card(card, image) for card in cards),
        whole=tuple(map(_line, whole.lines)),
        skipped=whole.skipped,
        timings=tuple(_timings(event)),
    )


def _context(event: Event, when: str) -> Iterable[str]:
    width, height = event.picture.size
    parts = (event.camera, when, f"{width} × {height} px", event.source)
    name = PurePath(event.source).name
    return (part for part in parts if part and part != name)


def _reason(reason: Reason, cards: dict[str, Card]) -> ReasonView:
    card = cards.get(reason.subject or "")
    points = f"{reason.points:+d}".replace("-", "\N{MINUS SIGN}") if reason.points else ""
    return ReasonView(points, one_line(reason.text), card.number if card else 0, card.kind if card else "")


def _card(card: Card, image: Image) -> CardView:
    return CardView(
        number=card.number,
        id=card.id,
        class_name=card.class_name,
        kind=card.kind,
        sure=percent(card.confidence),
        lines=tuple(map(_line, card.lines)),
        unknown=card.unknown,
        skipped=card.skipped,
        errors=card.errors,
        thumbnail=_thumbnail(card.box, image),
    )


def _line(line: Line) -> LineView:
    return LineView(line.label, line.value, percent(line.confidence), line.notable)


def _thumbnail(box: Box, image: Image) -> Inline | None:
    """The detection and a little around it; None for a box outside the picture."""
    height, width = image.pixels.shape[:2]
    sx, sy = width / image.width, height / image.height
    crop = cut(image.pixels, expand_box(Box(box.x1 * sx, box.y1 * sy, box.x2 * sx, box.y2 * sy), THUMBNAIL_MARGIN))
    return None if crop is None else Inline.of(crop, THUMBNAIL_SIDE, THUMBNAIL_QUALITY)


def _timings(event: Event) -> Iterable[TimingRow]:
    for step, milliseconds in event.timings_ms.items():
        network = event.infer_ms.get(step)
        yield TimingRow(
            step=model_title(step) if step in event.weights else step,
            total_ms=f"{milliseconds:.1f}",
            network_ms="" if network is None else f"{network:.1f}",
            weights=event.weights.get(step, ""),
        )


def _hex(color: RGB) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


@cache
def _environment() -> Environment:
    # Imported here: only a run that writes a page pays for the template engine.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("hearthwatch.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _finalize(value: Any) -> Any:
    """Every value on its way into the page; escaping follows."""
    return plain(value) if isinstance(value, str) else value
