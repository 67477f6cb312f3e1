"""What another judgement changes, for a terminal and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from hearthwatch.recording import Change, Comparison, spelled
from hearthwatch.report.json import risk_to_json
from hearthwatch.report.terminal import LEVEL_STYLES
from hearthwatch.report.text import one_line, plain
from hearthwatch.risk import RiskAssessment

VERSION = 1


def print_change(console: Console, change: Change) -> None:
    """One event: the two scores, and the reasons that came and went."""
    before, after = change.before, change.after
    moved = f"{change.difference:+d}" if change.difference else "as before"
    line = Text.assemble(_badge(before), " → ", _badge(after), f" {moved:>9}  ", (plain(change.event.source), "bold"))
    _say(console, line)
    if _judge(before) != _judge(after):
        _say(console, Text(f"     judged by {_judge(before)}, now by {_judge(after)}", "dim"))
    for mark, reasons in (("-", change.reasons_gone), ("+", change.reasons_new)):
        for reason in reasons:
            _say(console, Text(f"     {mark} {plain(one_line(reason))}"))
    if after.fallback is not None:
        _say(console, Text(f"     The rules stood in: {plain(one_line(after.fallback))}", "yellow"))


def print_comparison(console: Console, told: Comparison) -> None:
    """All events, in a few lines."""
    if not told.events:
        _say(console, Text("No event was judged."))
        return
    same = told.events - told.higher - told.lower
    _say(console, Text(f"{told.events} events: {same} with the same score, {told.higher} higher, {told.lower} lower; "
                       f"{told.mean_difference:+.1f} points on average"))  # fmt: skip
    if told.levels:
        crossed = ", ".join(f"{then} to {now} {count}" for (then, now), count in told.levels.items())
        _say(console, Text(f"another level: {told.other_level} ({crossed})"))
    if told.largest is not None:
        _say(console, Text(f"furthest: {told.largest.difference:+d} ({plain(told.largest.event.source)})"))
    if told.turned_pairs:
        _say(console, Text(f"order: {told.turned_pairs} of {told.pairs} pairs of events have changed places"))
    if told.fallbacks:
        _say(
            console,
            Text(f"the rules stood in for the language model: {told.fallbacks} of {told.events} times", "yellow"),
        )


def changes_to_json(changes: Sequence[Change], told: Comparison, failed: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """A whole run as plain values.

    Args:
        changes: event by event.
        told: all of them.
        failed: the place and the sentence of each line that could not be read.
    """
    return {
        "version": VERSION,
        "events": [_change(change) for change in changes],
        "summary": {
            "events": told.events,
            "differing": told.differing,
            "higher": told.higher,
            "lower": told.lower,
            "other_level": [{"from": then, "to": now, "events": count} for (then, now), count in told.levels.items()],
            "mean_difference": round(told.mean_difference, 2),
            "largest_difference": told.largest.difference if told.largest else 0,
            "turned_pairs": told.turned_pairs,
            "pairs": told.pairs,
            "fallbacks": told.fallbacks,
        },
        "failed": [{"source": spelled(source), "error": spelled(sentence)} for source, sentence in failed],
    }


def _change(change: Change) -> dict[str, Any]:
    event = change.event
    return {
        "source": event.source,
        "camera": event.camera,
        "time": event.time.isoformat() if event.time else None,
        "before": risk_to_json(change.before),
        "after": risk_to_json(change.after),
        "difference": change.difference,
        "reasons_gone": change.reasons_gone,
        "reasons_new": change.reasons_new,
    }


def _badge(risk: RiskAssessment) -> tuple[str, str]:
    return f" {risk.risk_level.upper()} {risk.risk_score} ", LEVEL_STYLES[risk.risk_level]


def _judge(risk: RiskAssessment) -> str:
    return plain(one_line(f"{risk.source} ({risk.version})"))


def _say(console: Console, text: Text) -> None:
    console.print(text, soft_wrap=True)
