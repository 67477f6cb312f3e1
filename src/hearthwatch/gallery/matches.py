"""What a gallery answers: somebody who was seen before, somebody who lives here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from hearthwatch.adapter import wire
from hearthwatch.gallery.spaces import How

Kind = Literal["person", "vehicle"]
_WORDS: Mapping[How, str] = {
    How.FACE: "by face",
    How.PLATE: "by its plate",
    How.APPEARANCE: "by appearance alone, which proves nothing",
}


@dataclass(frozen=True, slots=True)
class EntityMatch:
    """Somebody, or a vehicle, that was probably seen before.

    Attributes:
        identity: the entity's id in its gallery; no name.
        kind: person or vehicle.
        how: by what it was recognised.
        similarity: cosine of the two appearances or faces, -1..1; 1 where the plates are the same text.
        margin: by how much it is more similar than all other entities of the gallery; negative where another is nearer,
            None of a plate and where there is no other.
        sighting_count: visits before this one; 0 where it is still the first.
        first_seen: with its time zone.
        last_seen: likewise, before this sighting.
        last_camera: where that was; None where nobody said.
        space: of the embeddings; empty of a plate.
    """

    identity: str
    kind: Kind
    how: How
    similarity: float
    margin: float | None
    sighting_count: int
    first_seen: datetime
    last_seen: datetime
    last_camera: str | None = None
    space: str = ""

    def to_context_string(self) -> str:
        """The three lines that the documents name, and by what it was recognised."""
        return (
            f"Match: {self.identity} ({_WORDS[self.how]})\n"
            f"Similarity: {self.similarity:.0%}\n"
            f"Previous sightings: {self.sighting_count} times"
        )

    def to_wire(self) -> dict[str, Any]:
        """As plain values, with the keys `identity`, `similarity` and `sighting_count` that formatters read."""
        return {
            "identity": self.identity,
            "kind": self.kind,
            "how": self.how.value,
            "similarity": wire.share(self.similarity),
            "margin": wire.share(self.margin),
            "sighting_count": self.sighting_count,
            "first_seen": self.first_seen.isoformat(),
            "last_seen": self.last_seen.isoformat(),
            "last_camera": self.last_camera,
            "space": self.space,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One match read again.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        return cls(
            identity=told["identity"],
            kind=told["kind"],
            how=How(told["how"]),
            similarity=wire.number(told["similarity"]),
            margin=told["margin"],
            sighting_count=told["sighting_count"],
            first_seen=datetime.fromisoformat(told["first_seen"]),
            last_seen=datetime.fromisoformat(told["last_seen"]),
            last_camera=told["last_camera"],
            space=told["space"],
        )


@dataclass(frozen=True, slots=True)
class HouseholdMatch:
    """Somebody who lives here, or a vehicle of theirs.

    Attributes:
        name: as the household gave it.
        kind: person or vehicle.
        how: by what it was recognised; what that is worth differs much.
        similarity: cosine, -1..1; 1 where the plates are the same text.
        margin: by how much it is more similar than every other member of the kind; negative where another is nearer,
            None of a plate and where there is no other.
        space: of the embeddings; empty of a plate.
        detection_id: the detection that it is; None of a gallery's own answer. It says nothing about anybody else.
    """

    name: str
    kind: Kind
    how: How
    similarity: float
    margin: float | None
    space: str = ""
    detection_id: str | None = None

    def to_context_string(self) -> str:
        """One line; the name is quoted, because somebody typed it and it is no statement of ours."""
        said = f"Household {'member' if self.kind == 'person' else 'vehicle'}: {self.name!r} ({_WORDS[self.how]}"
        return f"{said})" if self.how is How.PLATE else f"{said}; similarity: {self.similarity:.0%})"

    def to_wire(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "how": self.how.value,
            "similarity": wire.share(self.similarity),
            "margin": wire.share(self.margin),
            "space": self.space,
            "detection_id": self.detection_id,
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """One match read again.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        return cls(
            name=told["name"],
            kind=told["kind"],
            how=How(told["how"]),
            similarity=wire.number(told["similarity"]),
            margin=told["margin"],
            space=told["space"],
            detection_id=told["detection_id"],
        )
