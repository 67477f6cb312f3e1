"""A shelf: what is remembered under many names, in memory; it says who is like what."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from hearthwatch.errors import InputError
from hearthwatch.gallery.base import Embedding, Sighting
from hearthwatch.gallery.evidence import Evidence, by_cosines, by_plate, strongest
from hearthwatch.gallery.matches import Kind
from hearthwatch.gallery.rows import Rows
from hearthwatch.gallery.spaces import Space

#: All times.
ALWAYS = (-math.inf, math.inf)


@dataclass(frozen=True, slots=True)
class _Exemplar:
    """One picture of one name: where its vectors are, and when it was put there."""

    name: str
    rows: tuple[tuple[tuple[str, Kind], int], ...]
    kept_at: float


class Shelf:
    """Exemplars and plates by name.

    Args:
        max_exemplars: of a name; of more, the one that was put there first leaves.
    """

    def __init__(self, max_exemplars: int) -> None:
        self._max_exemplars = max_exemplars
        self._rows: dict[tuple[str, Kind], Rows] = {}
        self._exemplars: OrderedDict[int, _Exemplar] = OrderedDict()
        self._of: dict[str, list[int]] = {}
        self._owners: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._plates: dict[str, str] = {}
        self._plate_of: dict[str, str] = {}
        self._next = 0

    def check(self, sightings: Iterable[tuple[Kind, Sequence[Embedding]]]) -> None:
        """Whether these can be put here, and looked for.

        Raises:
            InputError: a vector of another size than the others of its space.
        """
        sizes = {space: rows.numbers for (space, _), rows in self._rows.items()}
        for _, embeddings in sightings:
            for one in embeddings:
                expected = sizes.setdefault(one.space, one.vector.size)
                if one.vector.size != expected:
                    raise InputError(
                        f"embeddings of {one.space[:100]!r} have {expected} numbers; got one of {one.vector.size}"
                    )

    def put(self, name: str, kind: Kind, embeddings: Sequence[Embedding], time: float, kept_at: float) -> None:
        """Remember one picture of a name.

        Args:
            name: old or new.
            kind: person or vehicle.
            embeddings: checked; without any, nothing is remembered.
            time: when the picture was taken, in seconds of the epoch.
            kept_at: now, likewise.
        """
        if not embeddings:
            return
        owner = self._owners.setdefault(name, self._number())
        self._names[owner] = name
        places = tuple(((one.space, kind), self._number()) for one in embeddings)
        for (where, key), one in zip(places, embeddings, strict=True):
            if where not in self._rows:
                self._rows[where] = Rows(one.vector.size)
            self._rows[where].add(key, owner, one.vector, time)
        exemplar = self._number()
        self._exemplars[exemplar] = _Exemplar(name, places, kept_at)
        kept = self._of.setdefault(name, [])
        kept.append(exemplar)
        if len(kept) > self._max_exemplars:
            self._drop(kept[0])

    def exemplars(self, name: str) -> int:
        """How many pictures of a name there are."""
        return len(self._of.get(name, ()))

    def set_plate(self, name: str, plate: str) -> None:
        """The plate of a name that has none, or another one, and is nobody else's."""
        self._plates.pop(self._plate_of.get(name, ""), None)
        self._plates[plate], self._plate_of[name] = name, plate

    def plate_of(self, name: str) -> str | None:
        """The plate of a name, where it is known."""
        return self._plate_of.get(name)

    def with_plate(self, plate: str | None) -> str | None:
        """Who has a plate, where anybody does."""
        return None if plate is None else self._plates.get(plate)

    def remove(self, name: str) -> None:
        """Forget a name and all that is here of it."""
        for exemplar in list(self._of.get(name, ())):
            self._drop(exemplar)
        self._plates.pop(self._plate_of.pop(name, ""), None)

    def expire(self, before: float) -> list[str]:
        """Forget the exemplars that were put here before a time.

        Returns:
            The names that have none any more.
        """
        emptied = []
        while self._exemplars and next(iter(self._exemplars.values())).kept_at < before:
            exemplar, old = next(iter(self._exemplars.items()))
            self._drop(exemplar)
            if old.name not in self._of:
                emptied.append(old.name)
        return emptied

    def evidence(
        self, sighting: Sighting, rule: Callable[[str], Space], within: tuple[float, float] = ALWAYS
    ) -> list[Evidence]:
        """Who a sighting may be, the strongest evidence first.

        Args:
            sighting: checked.
            rule: of a space.
            within: first and last time of the pictures that are looked at, in seconds of the epoch.
        """
        found = []
        for one in sighting.embeddings:
            space = rule(one.space)
            rows = self._rows.get((one.space, sighting.kind))
            if rows is not None:
                near, others = rows.near(one.vector, space.threshold, *within)
                named = {self._names[owner]: cosine for owner, cosine in near.items()}
                found += by_cosines(named, others, one.space, space.how)
        holder = self.with_plate(sighting.plate)
        if sighting.plate is not None:
            # Two plates are two vehicles, however alike they look.
            found = [one for one in found if self._plate_of.get(one.name, sighting.plate) == sighting.plate]
        return strongest([*found, by_plate(holder)] if holder is not None else found)

    def _drop(self, exemplar: int) -> None:
        old = self._exemplars.pop(exemplar)
        for where, key in old.rows:
            self._rows[where].remove(key)
            if not len(self._rows[where]):
                del self._rows[where]
        kept = self._of[old.name]
        kept.remove(exemplar)
        if not kept:
            del self._of[old.name]
            del self._names[self._owners.pop(old.name)]

    def _number(self) -> int:
        self._next += 1
        return self._next
