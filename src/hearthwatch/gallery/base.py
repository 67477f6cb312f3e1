"""`Gallery`: what remembers who and what has been seen, whatever it is kept in; and what goes into it.

*Entities* are people and vehicles without names: a sighting joins the entity that it matches, or founds a new one.
Their appearance is forgotten after a day, for it is mostly clothing. *Household members* are people and vehicles with
names, which somebody enrolled and which stay until somebody forgets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, get_args

import numpy as np

from hearthwatch.errors import InputError
from hearthwatch.gallery.matches import EntityMatch, HouseholdMatch, Kind
from hearthwatch.models.plate_ocr import normalise_plate
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Float

#: The widest embedding of any network here has 768 numbers; a wider one than this is a mistake that would eat memory.
MAX_NUMBERS = 2048
#: Of a sighting: an appearance and a face.
MAX_EMBEDDINGS = 2
#: Letters and digits of a plate (judgement): two are a fragment that many share, and no country's have more than ten.
PLATE_CHARACTERS = (3, 12)
MAX_NAME = 100


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector that can be remembered and looked for.

    Attributes:
        vector: (D,) of any length; kept as float32 of length 1.
        space: what it may be compared with: network, weights and preprocessing.

    Raises:
        InputError: no vector, zero, not finite, or without the name of its space.
    """

    vector: Float = field(repr=False)
    space: str

    def __post_init__(self) -> None:
        try:
            numbers = np.asarray(self.vector, np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"an embedding is a list of numbers; {error}") from error
        if numbers.ndim != 1 or not 1 <= numbers.size <= MAX_NUMBERS:
            raise InputError(f"an embedding has 1 to {MAX_NUMBERS} numbers in a row; got the shape {numbers.shape}")
        if not self.space:
            raise InputError("nobody said which space the embedding is of, so it cannot be compared")
        try:
            vector = unit(numbers)
        except ValueError as error:
            raise InputError("an embedding that is zero or not finite resembles nothing") from error
        vector.setflags(write=False)
        object.__setattr__(self, "vector", vector)


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """Somebody or a vehicle in one picture.

    Attributes:
        kind: person or vehicle.
        time: when; one without a time zone is taken for this machine's local time.
        camera: where; None where nobody said.
        embeddings: of what it looks like.
        plate: of a vehicle; kept as upper-case letters and digits alone.

    Raises:
        InputError: nothing to recognise it by, or a plate that is none or a person's.
    """

    kind: Kind
    time: datetime
    camera: str | None = None
    embeddings: tuple[Embedding, ...] = ()
    plate: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "plate", _checked(self.kind, self.embeddings, self.plate, "a sighting"))
        if self.time.tzinfo is None:
            object.__setattr__(self, "time", self.time.astimezone())


@dataclass(frozen=True, slots=True, eq=False)
class HouseholdMember:
    """Somebody who lives here, or a vehicle of theirs.

    Attributes:
        name: unique in the household, also between people and vehicles.
        kind: person or vehicle.
        embeddings: of its pictures.
        plate: of a vehicle.

    Raises:
        InputError: no name, nothing to recognise it by, or a plate that is none or a person's.
    """

    name: str
    kind: Kind
    embeddings: tuple[Embedding, ...] = ()
    plate: str | None = None

    def __post_init__(self) -> None:
        name = self.name.strip()
        if not 1 <= len(name) <= MAX_NAME:
            raise InputError(f"a name has 1 to {MAX_NAME} characters; got {len(name)}")
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "plate", _checked(self.kind, self.embeddings, self.plate, repr(name)))


@dataclass(frozen=True, slots=True)
class Entity:
    """Somebody or a vehicle that was seen, as a gallery lists it.

    Attributes:
        identity: its id; never used again for another one.
        kind: person or vehicle.
        first_seen: with its time zone.
        last_seen: likewise.
        last_camera: of the last sighting; None where nobody said.
        visits: sightings, those counted once that are less than a gap apart.
        exemplars: pictures of it that are remembered.
        plate: of a vehicle that has shown one.
    """

    identity: str
    kind: Kind
    first_seen: datetime
    last_seen: datetime
    last_camera: str | None
    visits: int
    exemplars: int
    plate: str | None = None


class Gallery(Protocol):
    """Who and what has been seen before; each call is done whole or not at all."""

    async def match(self, sighting: Sighting) -> list[EntityMatch]:
        """The entities that it may be, the strongest evidence first; empty for somebody new. Nothing is remembered.

        Raises:
            InputError: an embedding of a space without a threshold, or of another size than the space's others.
        """
        ...

    async def match_household(self, sighting: Sighting) -> list[HouseholdMatch]:
        """The members that it may be, likewise. Two that are about as near are no answer: look at `margin`."""
        ...

    async def record(self, sightings: Sequence[Sighting]) -> list[str]:
        """Remember the sightings of one picture.

        No two of them become one entity, for nobody is in a picture twice; but those of one plate do.

        Returns:
            The identity of each, in their order.

        Raises:
            InputError: as `match`; then none is remembered.
        """
        ...

    async def entities(self, kind: Kind | None = None) -> list[Entity]:
        """Who is remembered, the last seen first."""
        ...

    async def forget(self, identity: str) -> bool:
        """Forget an entity and all that came of it; False where there is none."""
        ...

    async def add_member(self, member: HouseholdMember) -> None:
        """Enrol somebody, or add pictures (and a plate) to who is enrolled under that name.

        Raises:
            InputError: the name is of the other kind, the plate is another member's, or there are too many.
        """
        ...

    async def members(self, kind: Kind | None = None) -> list[HouseholdMember]:
        """Who is enrolled, by name."""
        ...

    async def forget_member(self, name: str) -> bool:
        """Forget a member; False where there is none."""
        ...


def plate_text(text: str | None) -> str | None:
    """A plate as plates are compared: upper-case letters and digits alone; None where that is no whole plate."""
    plate = normalise_plate(text or "")
    low, high = PLATE_CHARACTERS
    return plate if low <= len(plate) <= high else None


def _checked(kind: Kind, embeddings: tuple[Embedding, ...], plate: str | None, whose: str) -> str | None:
    """The plate as it is compared."""
    if kind not in get_args(Kind):
        raise InputError(f"{whose} is a {kind!r}; allowed are {', '.join(get_args(Kind))}")
    if plate is not None and kind != "vehicle":
        raise InputError(f"{whose} is a person, who has no plate")
    normal = plate_text(plate)
    if plate is not None and normal is None:
        raise InputError(f"the plate of {whose} has to have {PLATE_CHARACTERS[0]} to {PLATE_CHARACTERS[1]} letters "
                         "A to Z and digits")  # fmt: skip
    if not embeddings and normal is None:
        raise InputError(f"{whose} has neither an embedding nor a plate to be recognised by")
    if len(embeddings) > MAX_EMBEDDINGS and whose == "a sighting":
        raise InputError(f"a sighting has {len(embeddings)} embeddings; allowed are {MAX_EMBEDDINGS}")
    return normal
