"""`Fact` and `Scene`: one thing that is known, and all of them about one event."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum


class Importance(IntEnum):
    """Facts in the order in which a reader needs them; a short prompt loses the last ones first."""

    THREAT = 1
    POSTURE = 2
    IDENTITY = 3
    PRESENCE = 4
    CONTEXT = 5
    ABSENT = 6


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known.

    Attributes:
        kind: `weapon`, `posture`, `alert`, `action`, `known`, `household`, `seen_before`, `face`, `plate`, `presence`,
            `demographics`, `clothing`, `pet`, `vehicle`, `damage`, `distance`, `movement`, `zone`, `dwell`, `conflict`
            of a detection; `violence`, `weather`, `tampering`, `image_quality`, `scene_change`, `text`, `caption`,
            `object` of the scene; `nothing` and `absent` of both.
        value: the word that rules look at (`crouching`, `confirmed high`, `person` …).
        text: the fact for a reader.
        subject: the detection's id; None for the scene.
        confidence: 0..1 where a network said so.
        importance: its rank.
        quotes: words of others in `text`, in their order, as they stand there: as `repr` writes them, or bare.
    """

    kind: str
    value: str
    text: str
    subject: str | None
    confidence: float | None
    importance: Importance
    quotes: tuple[str, ...] = field(default=(), compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scene:
    """All facts of one event.

    Attributes:
        facts: the most important first.
        when: local time; None where nobody knows.
        camera: its name; None where nobody said it.
    """

    facts: tuple[Fact, ...]
    when: datetime | None
    camera: str | None = None

    def of(self, subject: str) -> list[Fact]:
        """The facts of one detection."""
        return [fact for fact in self.facts if fact.subject == subject]

    def subjects(self, *values: str) -> list[str]:
        """Ids of the detections of these kinds (`person`, `vehicle`, `animal`, `object`)."""
        return [f.subject for f in self.facts if f.kind == "presence" and f.value in values and f.subject is not None]


def absent(value: str, text: str, subject: str | None, *quotes: str) -> Fact:
    """What is not known, and why.

    Args:
        value: who would have told.
        text: a sentence's part for a reader.
        subject: the detection's id; None for the scene.
        quotes: words of others in it.
    """
    return Fact("absent", value, text, subject, None, Importance.ABSENT, quotes)
