"""How much a gallery remembers, and for how long."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GalleryLimits:
    """The bounds of a gallery. Where nothing else is said, the numbers are judgement.

    Attributes:
        entities: strangers. With all their exemplars of OSNet, 2000 take 34 MB, and one is looked up in 0.6 ms
            (measured).
        exemplars: pictures of each stranger; the first ones leave.
        members: people and vehicles of the household.
        member_embeddings: of each of them.
        matches: answers to one question.
        window_s: seconds between two sightings that may be one stranger by appearance, and for which an appearance is
            kept at all. A day: OSNet is mostly clothing (PITFALLS.md).
        visit_gap_s: seconds without a sighting that end a visit.
    """

    entities: int = 2000
    exemplars: int = 5
    members: int = 100
    member_embeddings: int = 50
    matches: int = 5
    window_s: float = 86_400.0
    visit_gap_s: float = 300.0
