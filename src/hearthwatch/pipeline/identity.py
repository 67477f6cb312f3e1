"""Identities: who of a batch's people and vehicles was seen before, and who lives here.

Everybody is looked up first and remembered afterwards, so that nothing in a batch matches the batch itself. In one
picture nobody is twice: a resident is at most one of the people in it, and says nothing about the others.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from hearthwatch.errors import HearthwatchError
from hearthwatch.gallery import Embedding, EntityMatch, Gallery, HouseholdMatch, How, Kind, Sighting, plate_text
from hearthwatch.models import CLIPResult, LicensePlateResult, ReIDResult
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.results import EnrichmentError
from hearthwatch.selection import VEHICLE_CLASSES

#: Who failed, in errors.
GALLERY = "gallery"
#: By how much a member must be more similar than the next one to be named. docs/decisions/0015-gallery.md has the
#: measurement.
CLEAR_MARGIN = 0.05


class Recognisable(Protocol):
    """What is looked at of an `EnrichmentResult`."""

    @property
    def reid_embeddings(self) -> Mapping[str, ReIDResult]: ...
    @property
    def plate_by_detection(self) -> Mapping[str, LicensePlateResult]: ...


@dataclass(slots=True)
class Identities:
    """Who the detections are. A detection that was looked up and is new to the gallery has an empty list.

    Attributes:
        person_reid_matches: by detection id, whom of the seen ones it may be, the strongest evidence first.
        vehicle_reid_matches: likewise of vehicles.
        person_household_matches: at most one for each detection, and for each member and picture.
        vehicle_household_matches: likewise of vehicles.
        entities: by detection id, the identity that it was remembered as.
        reasons: by detection id, why it could not be looked up or why no member is named.
        errors: what failed, of one detection each.
    """

    person_reid_matches: dict[str, list[EntityMatch]] = field(default_factory=dict)
    vehicle_reid_matches: dict[str, list[EntityMatch]] = field(default_factory=dict)
    person_household_matches: list[HouseholdMatch] = field(default_factory=list)
    vehicle_household_matches: list[HouseholdMatch] = field(default_factory=list)
    entities: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    errors: list[EnrichmentError] = field(default_factory=list)

    def matches_of(self, kind: Kind) -> dict[str, list[EntityMatch]]:
        """Who was seen before, of one kind."""
        return self.person_reid_matches if kind == "person" else self.vehicle_reid_matches

    def household_of(self, kind: Kind) -> list[HouseholdMatch]:
        """Who lives here, of one kind."""
        return self.person_household_matches if kind == "person" else self.vehicle_household_matches


async def identify(
    detections: Sequence[DetectionInput],
    result: Recognisable,
    gallery: Gallery,
    *,
    vehicle_embeddings: Mapping[str, CLIPResult] | None = None,
    pictures: Mapping[str, Hashable] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Identities:
    """Look everybody up, then remember everybody.

    Args:
        detections: of one batch. Those of one camera, one time and one of `pictures` are of one picture.
        result: what is known about them.
        gallery: where.
        vehicle_embeddings: of CLIP by detection id, where there are any.
        pictures: a name of each detection's picture by id, for batches of several; nobody is twice in one.
        now: the time of detections that do not say theirs.
    """
    found = Identities()
    asked = _Asked(gallery, found)
    when, vehicles = now(), vehicle_embeddings or {}
    names = pictures or {}
    by_picture: dict[tuple[str | None, datetime, Hashable], dict[str, Sighting]] = {}
    for detection in detections:
        sighting = asked.sighting(detection, result, vehicles, when)
        if sighting is not None:
            key = sighting.camera, sighting.time, names.get(detection.id)
            by_picture.setdefault(key, {})[detection.id] = sighting
    known = [picture for picture in [await asked.look_up(one) for one in by_picture.values()] if picture]
    for picture in sorted(known, key=lambda one: min(sighting.time for sighting in one.values())):
        await asked.remember(picture)
    return found


@dataclass(slots=True)
class _Asked:
    """One batch's questions; whatever becomes of one costs no other."""

    gallery: Gallery
    found: Identities

    def sighting(
        self,
        detection: DetectionInput,
        result: Recognisable,
        vehicles: Mapping[str, CLIPResult],
        when: datetime,
    ) -> Sighting | None:
        """A detection as the gallery takes it; None, with the reason, where there is nothing to recognise it by."""
        key, kind = detection.id, _kind_of(detection.class_name)
        if kind is None:
            return None
        looks: ReIDResult | CLIPResult | None = (
            result.reid_embeddings.get(key) if kind == "person" else vehicles.get(key)
        )
        plate = None if kind == "person" else _plate_of(detection, result.plate_by_detection.get(key))
        if looks is None and plate is None:
            wanted = "appearance" if kind == "person" else "appearance and no plate that could be read"
            self.found.reasons[key] = f"nothing to recognise it by: no embedding of its {wanted}"
            return None
        try:
            embeddings = () if looks is None else (Embedding(looks.embedding, looks.space),)
            return Sighting(kind, detection.time or when, detection.camera, embeddings, plate)
        except Exception as error:  # noqa: BLE001 - the other detections must not be lost with this one
            self._fail([key], error)
            return None

    async def look_up(self, picture: Mapping[str, Sighting]) -> dict[str, Sighting]:
        """Whom the subjects of one picture may be.

        Returns:
            Those for which that could be answered.
        """
        members: dict[str, list[HouseholdMatch]] = {}
        for key, sighting in picture.items():
            try:
                matches = await self.gallery.match(sighting)
                members[key] = await self.gallery.match_household(sighting)
            except Exception as error:  # noqa: BLE001 - the other detections must not be lost with this one
                self._fail([key], error)
                continue
            self.found.matches_of(sighting.kind)[key] = matches
        self._name(picture, members)
        return {key: picture[key] for key in members}

    async def remember(self, picture: Mapping[str, Sighting]) -> None:
        """Record one picture."""
        try:
            identities = await self.gallery.record(list(picture.values()))
        except Exception as error:  # noqa: BLE001 - what was found must not be lost because it cannot be kept
            self._fail(list(picture), error)
            return
        self.found.entities.update(zip(picture, identities, strict=True))

    def _name(self, picture: Mapping[str, Sighting], members: Mapping[str, Sequence[HouseholdMatch]]) -> None:
        """At most one member for each detection, and one detection for each member: the strongest evidence is heard
        first.
        """
        claims: list[tuple[str, HouseholdMatch]] = []
        for key, matches in members.items():
            if matches and (doubt := _doubt(matches)) is not None:
                self.found.reasons[key] = doubt
            elif matches:
                claims.append((key, matches[0]))
        named: set[str] = set()
        for key, match in sorted(claims, key=lambda claim: (claim[1].how.strength, -claim[1].similarity)):
            if match.name in named and match.how is not How.PLATE:
                self.found.reasons[key] = f"like {match.name!r}, whom somebody else in the picture is more like"
                continue
            named.add(match.name)
            self.found.household_of(picture[key].kind).append(replace(match, detection_id=key))

    def _fail(self, keys: Sequence[str], error: Exception) -> None:
        known = isinstance(error, HearthwatchError)
        code = error.code if isinstance(error, HearthwatchError) else HearthwatchError.code
        message = str(error) if known else f"{type(error).__name__}: {error}"
        self.found.errors += [EnrichmentError(GALLERY, key, code, message) for key in keys]


def _kind_of(class_name: str) -> Kind | None:
    """By equality, as models are selected; None for what no gallery remembers."""
    name = class_name.lower()
    if name == "person":
        return "person"
    return "vehicle" if name in VEHICLE_CLASSES else None


def _plate_of(detection: DetectionInput, read: LicensePlateResult | None) -> str | None:
    """The plate: the application's own reading before ours; None where neither is a whole one."""
    return plate_text(detection.plate) or plate_text(read.text if read is not None else None)


def _doubt(matches: Sequence[HouseholdMatch]) -> str | None:
    """Why the best of several members is not the answer; None where it is."""
    best = matches[0]
    if best.margin is None or best.margin >= CLEAR_MARGIN:
        return None
    others = [match.name for match in matches[1:] if match.how is best.how]
    rival = repr(others[0]) if others else "another member"
    return f"like {best.name!r} and almost as much like {rival}: nobody is named"
