"""`MemoryGallery`: a gallery that lasts as long as its process.

It is bounded: of strangers, the least recently seen leave; household members never leave by themselves. Used from one
event loop; no call waits for anything in its middle, so each is done whole.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from hearthwatch.errors import InputError
from hearthwatch.gallery.base import Entity, HouseholdMember, Sighting
from hearthwatch.gallery.evidence import Evidence, one_each
from hearthwatch.gallery.limits import GalleryLimits
from hearthwatch.gallery.matches import EntityMatch, HouseholdMatch, Kind
from hearthwatch.gallery.shelf import Shelf
from hearthwatch.gallery.spaces import Space, space_of


@dataclass(slots=True)
class _Known:
    """What is remembered of an entity beside its looks."""

    kind: Kind
    first_seen: datetime
    last_seen: datetime
    last_camera: str | None
    visits: int = 1

    def during(self, when: datetime, gap_s: float) -> bool:
        """Whether a time belongs to what is already counted."""
        outside_s = max((self.first_seen - when).total_seconds(), (when - self.last_seen).total_seconds())
        return outside_s <= gap_s

    def note(self, sighting: Sighting, gap_s: float) -> None:
        """Count a sighting; pictures may come in any order."""
        self.visits += not self.during(sighting.time, gap_s)
        self.first_seen = min(self.first_seen, sighting.time)
        # By the camera's name at the same moment, so that the order of two pictures makes no difference.
        if (sighting.time, sighting.camera or "") >= (self.last_seen, self.last_camera or ""):
            self.last_seen, self.last_camera = sighting.time, sighting.camera


@dataclass(slots=True)
class MemoryGallery:
    """A `Gallery` in memory.

    Args:
        limits: of what it remembers.
        thresholds: by the whole name of a space, where a site has measured its own; else those of `SPACES`.
        clock: seconds of the epoch, by which appearances are forgotten. A camera's own clock may be wrong.
    """

    limits: GalleryLimits = field(default_factory=GalleryLimits)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    clock: Callable[[], float] = time.time
    _entities: OrderedDict[str, _Known] = field(default_factory=OrderedDict, init=False, repr=False)
    _seen: Shelf = field(init=False, repr=False)
    _members: dict[str, HouseholdMember] = field(default_factory=dict, init=False, repr=False)
    _household: Shelf = field(init=False, repr=False)
    _founded: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._seen = Shelf(self.limits.exemplars)
        self._household = Shelf(self.limits.member_embeddings)

    async def match(self, sighting: Sighting) -> list[EntityMatch]:
        """As `Gallery.match`; at most `limits.matches`."""
        found = self._who(sighting)[: self.limits.matches]
        return [self._match(evidence, sighting) for evidence in found]

    async def match_household(self, sighting: Sighting) -> list[HouseholdMatch]:
        """As `Gallery.match_household`; at most `limits.matches`."""
        self._household.check([(sighting.kind, sighting.embeddings)])
        found = self._household.evidence(sighting, self._rule)[: self.limits.matches]
        return [HouseholdMatch(one.name, sighting.kind, one.how, one.similarity, one.margin, one.space)
                for one in found]  # fmt: skip

    async def record(self, sightings: Sequence[Sighting]) -> list[str]:
        """As `Gallery.record`."""
        self._seen.check([(sighting.kind, sighting.embeddings) for sighting in sightings])
        decided = one_each([self._who(sighting) for sighting in sightings])
        return [self._note(sighting, who) for sighting, who in zip(sightings, decided, strict=True)]

    async def entities(self, kind: Kind | None = None) -> list[Entity]:
        """As `Gallery.entities`."""
        self._expire()
        listed = [self._entity(identity, known) for identity, known in self._entities.items()]
        chosen = [entity for entity in listed if kind in (None, entity.kind)]
        return sorted(chosen, key=lambda entity: entity.last_seen, reverse=True)

    async def forget(self, identity: str) -> bool:
        """As `Gallery.forget`."""
        self._seen.remove(identity)
        return self._entities.pop(identity, None) is not None

    async def add_member(self, member: HouseholdMember) -> None:
        """As `Gallery.add_member`."""
        old = self._members.get(member.name)
        self._check_member(member, old)
        for one in member.embeddings:
            self._household.put(member.name, member.kind, [one], 0.0, 0.0)
        if member.plate is not None:
            self._household.set_plate(member.name, member.plate)
        if old is not None:
            both = (*old.embeddings, *member.embeddings)
            member = replace(member, embeddings=both, plate=member.plate or old.plate)
        self._members[member.name] = member

    async def members(self, kind: Kind | None = None) -> list[HouseholdMember]:
        """As `Gallery.members`."""
        return [self._members[name] for name in sorted(self._members) if kind in (None, self._members[name].kind)]

    async def forget_member(self, name: str) -> bool:
        """As `Gallery.forget_member`."""
        self._household.remove(name)
        return self._members.pop(name, None) is not None

    def _rule(self, space: str) -> Space:
        return space_of(space, self.thresholds)

    def _who(self, sighting: Sighting) -> list[Evidence]:
        self._seen.check([(sighting.kind, sighting.embeddings)])
        self._expire()
        when = sighting.time.timestamp()
        return self._seen.evidence(sighting, self._rule, (when - self.limits.window_s, when + self.limits.window_s))

    def _match(self, evidence: Evidence, sighting: Sighting) -> EntityMatch:
        known = self._entities[evidence.name]
        return EntityMatch(
            identity=evidence.name,
            kind=known.kind,
            how=evidence.how,
            similarity=evidence.similarity,
            margin=evidence.margin,
            sighting_count=known.visits - known.during(sighting.time, self.limits.visit_gap_s),
            first_seen=known.first_seen,
            last_seen=known.last_seen,
            last_camera=known.last_camera,
            space=evidence.space,
        )

    def _note(self, sighting: Sighting, who: Evidence | None) -> str:
        """Remember one sighting.

        Returns:
            Its entity: who has that plate, who was decided to be like it, or a new one.
        """
        # Asked again: another sighting of the same picture may have brought the plate, or pushed the entity out.
        identity = self._seen.with_plate(sighting.plate) or (who.name if who else None)
        known = self._entities.get(identity) if identity is not None else None
        if identity is None or known is None:
            self._founded += 1
            identity = f"entity-{self._founded}"
            known = _Known(sighting.kind, sighting.time, sighting.time, sighting.camera)
            self._entities[identity] = known
        known.note(sighting, self.limits.visit_gap_s)
        self._seen.put(identity, sighting.kind, sighting.embeddings, sighting.time.timestamp(), self.clock())
        if sighting.plate is not None:
            self._seen.set_plate(identity, sighting.plate)
        self._entities.move_to_end(identity)
        while len(self._entities) > self.limits.entities:
            self._seen.remove(self._entities.popitem(last=False)[0])
        return identity

    def _expire(self) -> None:
        """Forget appearances whose time is over, and who cannot be recognised any more without them."""
        for identity in self._seen.expire(self.clock() - self.limits.window_s):
            if self._seen.plate_of(identity) is None:
                self._entities.pop(identity, None)

    def _entity(self, identity: str, known: _Known) -> Entity:
        pictures, plate = self._seen.exemplars(identity), self._seen.plate_of(identity)
        seen = (known.first_seen, known.last_seen, known.last_camera, known.visits)
        return Entity(identity, known.kind, *seen, pictures, plate)

    def _check_member(self, member: HouseholdMember, old: HouseholdMember | None) -> None:
        """Whether somebody can be enrolled.

        Raises:
            InputError: no.
        """
        if old is not None and old.kind != member.kind:
            raise InputError(f"{member.name!r} is enrolled as a {old.kind} and cannot be a {member.kind} too")
        holder = self._household.with_plate(member.plate)
        if holder not in (None, member.name):
            raise InputError(f"the plate of {member.name!r} is enrolled as that of {holder!r}")
        if old is None and len(self._members) >= self.limits.members:
            raise InputError(f"{len(self._members)} members are enrolled, and no more are allowed: forget one first")
        embeddings = len(member.embeddings) + (len(old.embeddings) if old else 0)
        if embeddings > self.limits.member_embeddings:
            allowed = self.limits.member_embeddings
            raise InputError(f"{member.name!r} would have {embeddings} embeddings; allowed are {allowed}")
        self._household.check([(member.kind, member.embeddings)])
        for one in member.embeddings:
            self._rule(one.space)
