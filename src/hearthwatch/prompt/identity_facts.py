"""Facts about who somebody is by what the gallery remembers. Similar is not the same, and each fact says by what."""

from __future__ import annotations

from collections.abc import Iterator

from hearthwatch.gallery import EntityMatch, HouseholdMatch, How
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance

_BY = {How.FACE: "by face", How.PLATE: "by its plate", How.APPEARANCE: "by appearance alone"}


def identity_facts(known: EnrichmentResult) -> Iterator[Fact]:
    """Who lives here, and who was seen before; of each detection the best match alone."""
    for match in (*known.person_household_matches, *known.vehicle_household_matches):
        if match.detection_id is not None:
            yield _household(match, match.detection_id)
    for matches in (known.person_reid_matches, known.vehicle_reid_matches):
        for key, found in matches.items():
            if found and found[0].sighting_count:
                yield _seen_before(found[0], key)


def _household(match: HouseholdMatch, key: str) -> Fact:
    whose = "somebody" if match.kind == "person" else "a vehicle"
    text = f"may be {match.name!r}, {whose} of this household, {_BY[match.how]}"
    return Fact("household", match.how.value, text, key, None, Importance.IDENTITY, (match.name,))


def _seen_before(match: EntityMatch, key: str) -> Fact:
    times = "once" if match.sighting_count == 1 else f"{match.sighting_count} times"
    where = f" at {match.last_camera!r}" if match.last_camera else ""
    text = f"probably seen {times} before ({_BY[match.how]}), last on {match.last_seen:%Y-%m-%d %H:%M}{where}"
    return Fact("seen_before", str(match.sighting_count), text, key, None, Importance.IDENTITY,
                (match.last_camera,) if match.last_camera else ())  # fmt: skip
