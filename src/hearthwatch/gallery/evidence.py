"""Evidence: why something remembered may be what was looked for. All galleries decide by it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from hearthwatch.gallery.spaces import How


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason.

    Attributes:
        name: of an entity or a member.
        how: what it was recognised by.
        similarity: cosine, -1..1; 1 of two plates that are the same text.
        margin: by how much it is more similar than all others of its space; None of a plate, or where there is none.
        space: of the embeddings; empty of a plate.
    """

    name: str
    how: How
    similarity: float
    margin: float | None = None
    space: str = ""

    @property
    def rank(self) -> tuple[int, float, str]:
        """Sorts the strongest first; the name makes the order the same every time."""
        return (self.how.strength, -self.similarity, self.name)


def by_plate(name: str) -> Evidence:
    """The same plate."""
    return Evidence(name, How.PLATE, 1.0)


def by_cosines(near: Mapping[str, float], others: float | None, space: str, how: How) -> list[Evidence]:
    """Those that are near enough, the nearest first.

    Args:
        near: cosine of the nearest exemplar by name, of all that reach the threshold.
        others: the highest cosine of all others; None where there are none.
        space: of the embeddings.
        how: what they are evidence of.
    """
    ordered = sorted(near.items(), key=lambda item: (-item[1], item[0]))
    found = []
    for place, (name, cosine) in enumerate(ordered):
        # The rival of the first is the second, and everybody else's is the first.
        rivals = ordered[:1] if place else ordered[1:2]
        highest = rivals[0][1] if rivals else others
        found.append(Evidence(name, how, cosine, None if highest is None else cosine - highest, space))
    return found


def strongest(found: Iterable[Evidence]) -> list[Evidence]:
    """The strongest of each name, the strongest first."""
    best: dict[str, Evidence] = {}
    for evidence in sorted(found, key=lambda one: one.rank):
        best.setdefault(evidence.name, evidence)
    return list(best.values())


def one_each(found: Sequence[Sequence[Evidence]]) -> list[Evidence | None]:
    """Who each subject of one picture is, when nobody is in it twice: the strongest evidence of all is heard first.

    Args:
        found: of each subject.

    Returns:
        For each subject its evidence, None for those that are nobody else's. Subjects with one plate may be one vehicle
        that was detected twice.
    """
    decided: list[Evidence | None] = [None] * len(found)
    taken: set[str] = set()
    claims = [(index, evidence) for index, one in enumerate(found) for evidence in one]
    for index, evidence in sorted(claims, key=lambda claim: (claim[1].rank, claim[0])):
        if decided[index] is None and (evidence.how is How.PLATE or evidence.name not in taken):
            decided[index] = evidence
            taken.add(evidence.name)
    return decided
