"""The picture as a whole for a reader: what is known about it, beside what is known about each detection."""

from __future__ import annotations

from dataclasses import dataclass

from hearthwatch.analysis import Event
from hearthwatch.prompt.fact import Fact, Importance
from hearthwatch.report.cards import Line, skipped_sentences
from hearthwatch.report.text import words

_LABELS = {"image_quality": "Picture", "scene_change": "View", "tampering": "Camera", "text": "Writing"}
#: Kinds whose word says it all; of the others the sentence does.
_BY_WORD = {"weather", "image_quality", "text"}


@dataclass(frozen=True, slots=True)
class Whole:
    """One picture.

    Attributes:
        lines: what is known.
        skipped: what was not looked for, one sentence a reason.
    """

    lines: tuple[Line, ...]
    skipped: tuple[str, ...]


def whole_of(event: Event) -> Whole:
    """What is known about an event's picture; weapons in nobody's hand stand among the reasons."""
    facts = [f for f in event.scene.facts if f.subject is None and f.kind not in {"weapon", "absent"}]
    skipped = event.enrichment.data.skipped_of_pictures if event.enrichment.data else {}
    return Whole(tuple(map(_line, facts)), tuple(skipped_sentences(skipped)))


def _line(fact: Fact) -> Line:
    label = _LABELS.get(fact.kind, words(fact.kind).capitalize())
    value = fact.value if fact.kind in _BY_WORD else fact.text
    return Line(label, value, fact.confidence, notable=fact.importance <= Importance.POSTURE)
