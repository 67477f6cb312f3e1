"""One detection for a reader: what is known about it, how sure that is, and what is not known and why."""

from __future__ import annotations

from dataclasses import dataclass

from hearthwatch.analysis import Event
from hearthwatch.pipeline import DetectionInput
from hearthwatch.prompt.fact import Fact, Importance
from hearthwatch.report.answers import Answers, answers_of, box_in_picture
from hearthwatch.report.palette import color_kind
from hearthwatch.report.text import join, model_title, words
from hearthwatch.vision.boxes import Box

_LABELS = {
    "known": "Known as",
    "dwell": "In view",
    "demographics": "Appears to be",
    "household": "Household",
    "conflict": "Contradiction",
}
_IN_VAIN = {
    "threat": "No weapon seen.",
    "pose": "No skeleton found.",
    "face": "No face seen.",
    "license_plate": "No plate read.",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that is known.

    Attributes:
        label: what it is about: Posture, Plate …
        value: what is known.
        confidence: 0..1 where a network said so.
        notable: it deserves a second look.
    """

    label: str
    value: str
    confidence: float | None = None
    notable: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One detection.

    Attributes:
        number: from 1, in the order of the event: it stands in the picture and in the text.
        id: the application's.
        class_name: the detector's word.
        kind: key of `palette.COLORS`.
        confidence: 0..1.
        box: picture pixels; parts of it may lie outside.
        lines: what is known.
        unknown: what was looked for and is not known, one sentence each.
        skipped: what was not looked for, one sentence a reason.
        errors: what failed, one sentence each.
    """

    number: int
    id: str
    class_name: str
    kind: str
    confidence: float
    box: Box
    lines: tuple[Line, ...]
    unknown: tuple[str, ...]
    skipped: tuple[str, ...]
    errors: tuple[str, ...]


def cards_of(event: Event) -> list[Card]:
    """A card for each detection, in their order."""
    return [_card(event, detection, number) for number, detection in enumerate(event.detections, 1)]


def skipped_sentences(skipped: dict[str, str]) -> list[str]:
    """Models that did not run, those with the same reason together."""
    by_reason: dict[str, list[str]] = {}
    for model, reason in skipped.items():
        by_reason.setdefault(reason, []).append(model_title(model))
    return [f"Not run ({reason}): {join(models)}." for reason, models in by_reason.items()]


def _card(event: Event, detection: DetectionInput, number: int) -> Card:
    answers = answers_of(event, detection)
    facts = event.scene.of(detection.id)
    return Card(
        number=number,
        id=detection.id,
        class_name=detection.class_name,
        kind=color_kind(detection.class_name),
        confidence=detection.confidence,
        box=box_in_picture(event, detection),
        lines=tuple(_lines(facts, detection, answers)),
        unknown=tuple(_unknown(facts, answers)),
        skipped=tuple(skipped_sentences(answers.skipped)),
        errors=tuple(_error(model, sentence) for model, sentence in answers.errors.items()),
    )


def _error(model: str, sentence: str) -> str:
    return sentence if model == "pipeline" else f"{model_title(model)}: {sentence}"


def _lines(facts: list[Fact], detection: DetectionInput, answers: Answers) -> list[Line]:
    known = [fact for fact in facts if fact.kind not in {"presence", "absent"}]
    lines = [_line(fact, detection, answers) for fact in known]
    if answers.reid is not None:
        lines.append(Line("Appearance", "recorded"))
    return lines


def _line(fact: Fact, detection: DetectionInput, answers: Answers) -> Line:
    values = {
        "known": detection.known or fact.text,
        "dwell": f"for {detection.dwell_s or 0:.0f} s",
        "posture": words(fact.value),
        "plate": fact.value,
        "zone": fact.value,
        "face": fact.value,
        "action": fact.value,
    }
    alerts = answers.pose.alerts if answers.pose else ()
    label = _LABELS.get(fact.kind, words(fact.kind).capitalize())
    hides = fact.kind == "clothing" and fact.value == "suspicious"
    notable = fact.importance == Importance.THREAT or fact.kind == "alert" or hides or fact.value in alerts
    if fact.kind == "action":
        notable = fact.importance == Importance.POSTURE  # that of a suspicious one
    return Line(label, values.get(fact.kind, fact.text), fact.confidence, notable)


def _unknown(facts: list[Fact], answers: Answers) -> list[str]:
    elsewhere = answers.skipped.keys() | answers.errors.keys()
    unclear = [_sentence(fact.text) for fact in facts if fact.kind == "absent" and fact.value not in elsewhere]
    return unclear + [_IN_VAIN[name] for name in answers.nothing if name in _IN_VAIN]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."
