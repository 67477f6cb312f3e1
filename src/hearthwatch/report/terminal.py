"""One event in a terminal: the risk first, then what is there, then why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from hearthwatch.analysis import Event
from hearthwatch.report.answers import answers_of
from hearthwatch.report.cards import Card, Line, cards_of, skipped_sentences
from hearthwatch.report.judged import judged_by, said_beside, why_rules
from hearthwatch.report.text import one_line, percent, plain, sample_notice
from hearthwatch.report.whole import whole_of
from hearthwatch.risk import Reason

#: Colours only repeat what the words say.
LEVEL_STYLES = {
    "low": "bold black on green",
    "medium": "bold black on yellow",
    "high": "bold white on red",
    "critical": "bold white on magenta",
}
INDENT = 2


def print_event(console: Console, event: Event) -> None:
    """Print one event; without a terminal plain lines that are not wrapped."""
    cards = cards_of(event)
    numbers = {card.id: card.number for card in cards}
    _say(console, _header(event), 0)
    _say(console, _text(one_line(event.risk.summary)))
    for card in cards:
        _say(console, _card(card), 2 * INDENT)
    if whole := whole_of(event).lines:
        _say(console, _lines(Text("picture", "bold"), whole), 2 * INDENT)
    said = list(said_beside(event.risk))
    if event.risk.reasons or said:
        _say(console, _text("Why", "dim"))
    for sentence in said:
        _say(console, _text(sentence), 2 * INDENT)
    for reason in event.risk.reasons:
        _say(console, _reason(reason, numbers), 2 * INDENT)
    for text in _remarks(event, cards):
        _say(console, text)
    console.print()


def _header(event: Event) -> Text:
    risk = event.risk
    badge = f" {risk.risk_level.upper()} {risk.risk_score}/100 "
    text = Text.assemble((badge, LEVEL_STYLES[risk.risk_level]), "  ", (plain(event.source), "bold"))
    when = f"{event.time:%Y-%m-%d %H:%M}" if event.time else ""
    for part in (event.camera, when):
        if part:
            text.append(f" · {plain(part)}")
    return text


def _card(card: Card) -> Text:
    sure = f" {percent(card.confidence)}"
    text = Text.assemble((str(card.number), "bold"), " ", plain(card.class_name), (sure, "dim"))
    return _lines(text, card.lines)


def _lines(text: Text, lines: Sequence[Line]) -> Text:
    for line in lines:
        text.append(" · ").append_text(_line(line))
    return text


def _line(line: Line) -> Text:
    text = Text.assemble(f"{line.label.lower()} ", (plain(line.value), "bold" if line.notable else ""))
    return text.append(f" {percent(line.confidence)}", "dim") if line.confidence is not None else text


def _reason(reason: Reason, numbers: dict[str, int]) -> Text:
    points = f"{reason.points:+d}" if reason.points else ""
    text = Text(f"{points:>3}  {plain(one_line(reason.text))}")
    number = numbers.get(reason.subject or "")
    return text.append(f"  [{number}]", "dim") if number else text


def _remarks(event: Event, cards: list[Card]) -> Iterator[Text]:
    yield _text(judged_by(event.risk), "dim")
    if sentence := why_rules(event.risk):
        yield _text(sentence, "yellow")
    skipped = {model: why for d in event.detections for model, why in answers_of(event, d).skipped.items()}
    skipped |= event.enrichment.data.skipped_of_pictures if event.enrichment.data else {}
    if skipped:
        yield _text(" ".join(skipped_sentences(skipped)), "dim")
    unknown: dict[str, str] = {}
    for card in cards:
        for sentence in card.unknown:
            unknown[sentence] = f"{unknown.get(sentence, sentence)} [{card.number}]"
    if unknown:
        yield _text(" ".join(unknown.values()), "dim")
    for error in dict.fromkeys(event.errors):
        yield _text(f"Failed: {error}", "red")
    if notice := sample_notice(event.weights):
        yield _text(notice, "yellow")


def _text(text: str, style: str = "") -> Text:
    return Text(plain(text), style)


def _say(console: Console, text: Text, indent: int = INDENT) -> None:
    if console.is_terminal:
        console.print(Padding(text, (0, 0, 0, indent), expand=False))
    else:
        # Whole lines, for programs that read them.
        console.print(Text(" " * indent).append_text(text), soft_wrap=True)
