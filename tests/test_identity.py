"""Who the detections of a batch are: looked up before they are remembered, and nobody twice in a picture."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from galleries import CLIP, NOON, NUMBERS, OSNET, axis, like, make, member
from hearthwatch.errors import InputError
from hearthwatch.gallery import Embedding, Gallery, HouseholdMember, How, MemoryGallery
from hearthwatch.models import CLIPResult, LicensePlateResult, ReIDResult
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.identity import CLEAR_MARGIN, GALLERY, Identities, identify
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.vision.image import Float
from scene import INSIDE, detection


def person(key: str, **fields: Any) -> DetectionInput:
    return detection(key, "person", **{"camera": "gate", "time": NOON, **fields})


def vehicle(key: str, **fields: Any) -> DetectionInput:
    return detection(key, fields.pop("class_name", "car"), **{"camera": "gate", "time": NOON, **fields})


def looks(space: str = OSNET, **vectors: Float) -> EnrichmentResult:
    return EnrichmentResult(reid_embeddings={key: ReIDResult(vector, space=space) for key, vector in vectors.items()})


def plates(**texts: str) -> EnrichmentResult:
    found = {key: LicensePlateResult(text, text, 0.9, INSIDE) for key, text in texts.items()}
    return EnrichmentResult(plate_by_detection=found)


def seen_by_clip(**vectors: Float) -> dict[str, CLIPResult]:
    network, digest, preprocessing = CLIP.split("/")
    return {key: CLIPResult(vector, network, digest, preprocessing) for key, vector in vectors.items()}


def who(
    gallery: Gallery, detections: list[DetectionInput], result: EnrichmentResult | None = None, **options: Any
) -> Identities:
    return asyncio.run(identify(detections, result or EnrichmentResult(), gallery, now=lambda: NOON, **options))


@pytest.fixture
def gallery() -> Gallery:
    return make(MemoryGallery)


def enrolled(gallery: Gallery, *members: HouseholdMember) -> Gallery:
    for one in members:
        asyncio.run(gallery.add_member(one))
    return gallery


class TestSeenBefore:
    def test_a_new_visitor_was_looked_up_and_is_known_the_next_time(self, gallery: Gallery) -> None:
        first = who(gallery, [person("a")], looks(a=axis(0)))
        assert first.person_reid_matches == {"a": []}
        assert (first.reasons, first.errors) == ({}, [])
        later = NOON + timedelta(hours=2)
        again = who(gallery, [person("b", time=later)], looks(b=axis(0)))
        (match,) = again.person_reid_matches["b"]
        assert match.identity == first.entities["a"] == again.entities["b"]
        assert (match.sighting_count, match.last_camera) == (1, "gate")
        assert again.vehicle_reid_matches == {}

    def test_a_picture_never_matches_itself(self, gallery: Gallery) -> None:
        found = who(gallery, [person("a"), person("b")], looks(a=axis(0), b=axis(0)))
        assert found.person_reid_matches == {"a": [], "b": []}
        assert found.entities["a"] != found.entities["b"]

    def test_neither_does_a_batch_but_its_pictures_of_one_person_become_one(self, gallery: Gallery) -> None:
        later = NOON + timedelta(seconds=2)
        found = who(gallery, [person("b", time=later), person("a")], looks(a=axis(0), b=axis(0)))
        assert found.person_reid_matches == {"a": [], "b": []}
        assert found.entities["a"] == found.entities["b"]

    def test_a_vehicle_is_known_by_its_plate_or_its_looks(self, gallery: Gallery) -> None:
        first = who(gallery, [vehicle("a")], plates(a="AB 123"), vehicle_embeddings=seen_by_clip(a=axis(0)))
        by_plate = who(gallery, [vehicle("b", class_name="Truck")], plates(b="AB123"))
        by_looks = who(gallery, [vehicle("c")], vehicle_embeddings=seen_by_clip(c=axis(0)))
        for found, key, how in ((by_plate, "b", How.PLATE), (by_looks, "c", How.APPEARANCE)):
            (match,) = found.vehicle_reid_matches[key]
            assert (match.identity, match.how) == (first.entities["a"], how)
            assert found.person_reid_matches == {}

    def test_the_applications_own_plate_comes_before_ours(self, gallery: Gallery) -> None:
        who(gallery, [vehicle("a", plate="AB 123")], plates(a="A8 I23"))
        assert who(gallery, [vehicle("b")], plates(b="AB 123")).vehicle_reid_matches["b"]
        assert not who(gallery, [vehicle("c")], plates(c="A8 I23")).vehicle_reid_matches["c"]

    def test_a_detection_without_a_time_is_seen_now(self, gallery: Gallery) -> None:
        who(gallery, [person("a", time=None)], looks(a=axis(0)))
        (entity,) = asyncio.run(gallery.entities())
        assert entity.last_seen == NOON


class TestReasons:
    def test_without_an_embedding_or_a_plate_nobody_is_asked(self, gallery: Gallery) -> None:
        found = who(gallery, [person("a"), vehicle("b"), vehicle("c")], plates(c="A1"))
        assert found.reasons["a"] == "nothing to recognise it by: no embedding of its appearance"
        assert found.reasons["b"] == found.reasons["c"]
        assert "no plate that could be read" in found.reasons["b"]
        assert (found.person_reid_matches, found.vehicle_reid_matches, found.entities) == ({}, {}, {})
        assert found.errors == []

    def test_what_no_gallery_remembers_is_not_spoken_of(self, gallery: Gallery) -> None:
        found = who(gallery, [detection("a", "cat"), detection("b", "personage")], looks(a=axis(0), b=axis(0)))
        assert found == Identities()

    def test_an_embedding_of_no_known_space_is_that_detections_error(self, gallery: Gallery) -> None:
        spaces = {"a": "", "b": "unheard-of/1", "c": OSNET}
        result = EnrichmentResult(
            reid_embeddings={key: ReIDResult(axis(i), space=space) for i, (key, space) in enumerate(spaces.items())}
        )
        found = who(gallery, [person("a"), person("b"), person("c")], result)
        assert [(error.model, error.detection_id, error.category) for error in found.errors] == [
            (GALLERY, "a", "bad_input"), (GALLERY, "b", "bad_input"),
        ]  # fmt: skip
        assert "which space" in found.errors[0].message
        assert found.person_reid_matches == {"c": []}
        assert found.entities.keys() == {"c"}

    def test_a_vector_that_is_none_costs_its_own_detection(self, gallery: Gallery) -> None:
        result = EnrichmentResult(reid_embeddings={
            "a": ReIDResult(np.zeros(NUMBERS, np.float32), space=OSNET), "b": ReIDResult(axis(1), space=OSNET)
        })  # fmt: skip
        found = who(gallery, [person("a"), person("b")], result)
        assert [error.detection_id for error in found.errors] == ["a"]
        assert found.entities.keys() == {"b"}


class TestHousehold:
    def test_a_resident_says_nothing_about_the_stranger_beside_her(self, gallery: Gallery) -> None:
        enrolled(gallery, member("Anna", axis(0)))
        found = who(gallery, [person("a"), person("b")], looks(a=like(0, 0.95), b=axis(1)))
        (match,) = found.person_household_matches
        assert (match.name, match.detection_id, match.how) == ("Anna", "a", How.APPEARANCE)
        assert found.vehicle_household_matches == []

    def test_nobody_is_in_a_picture_twice(self, gallery: Gallery) -> None:
        enrolled(gallery, member("Anna", axis(0)))
        pair = [person("a"), person("b")]
        found = who(gallery, pair, looks(a=like(0, 0.85), b=like(0, 0.95)))
        assert [match.detection_id for match in found.person_household_matches] == ["b"]
        assert found.reasons["a"] == "like 'Anna', whom somebody else in the picture is more like"
        apart = [pair[0], replace(pair[1], time=NOON + timedelta(seconds=3))]
        found = who(gallery, apart, looks(a=like(0, 0.85), b=like(0, 0.95)))
        assert {match.detection_id for match in found.person_household_matches} == {"a", "b"}

    def test_who_is_about_as_much_like_two_is_nobody(self, gallery: Gallery) -> None:
        enrolled(gallery, member("Anna", axis(0)), member("Ben", like(0, 1 - 0.9 * CLEAR_MARGIN)))
        found = who(gallery, [person("a")], looks(a=axis(0)))
        assert found.person_household_matches == []
        assert found.reasons["a"] == "like 'Anna' and almost as much like 'Ben': nobody is named"

    def test_one_plate_in_two_boxes_is_the_family_car_in_both(self, gallery: Gallery) -> None:
        enrolled(gallery, member("the van", plate="AB 123"))
        found = who(gallery, [vehicle("a"), vehicle("b", class_name="truck")], plates(a="AB 123", b="AB 123"))
        assert [(match.name, match.how) for match in found.vehicle_household_matches] == [("the van", How.PLATE)] * 2
        assert len(set(found.entities.values())) == 1

    def test_members_by_a_calibrated_space_of_vehicles(self, gallery: Gallery) -> None:
        enrolled(gallery, HouseholdMember("the van", "vehicle", (Embedding(axis(0), CLIP),)))
        found = who(gallery, [vehicle("a")], vehicle_embeddings=seen_by_clip(a=like(0, 0.9)))
        assert [match.how for match in found.vehicle_household_matches] == [How.APPEARANCE]


@dataclass
class Broken:
    """A gallery that cannot do one thing."""

    gallery: Gallery
    breaks: Mapping[str, Exception] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def __getattr__(self, name: str) -> Any:
        async def call(asked: Any) -> Any:
            self.calls.append(name)
            if name in self.breaks:
                raise self.breaks[name]
            return await getattr(self.gallery, name)(asked)

        return call


class TestFailures:
    @pytest.mark.parametrize("name", ["match", "match_household"])
    def test_who_could_not_be_looked_up_is_an_error_and_not_remembered(self, gallery: Gallery, name: str) -> None:
        broken: Any = Broken(gallery, {name: OSError("the disk is full")})
        found = who(broken, [person("a"), person("b")], looks(a=axis(0), b=axis(1)))
        assert [(error.detection_id, error.category) for error in found.errors] == [
            ("a", "internal"),
            ("b", "internal"),
        ]
        assert found.errors[0].message == "OSError: the disk is full"
        assert "record" not in broken.calls
        assert (found.person_reid_matches, found.entities) == ({}, {})

    def test_what_was_found_is_kept_though_it_cannot_be_remembered(self, gallery: Gallery) -> None:
        enrolled(gallery, member("Anna", axis(0)))
        broken: Any = Broken(gallery, {"record": InputError("no room")})
        found = who(broken, [person("a")], looks(a=axis(0)))
        assert found.person_reid_matches == {"a": []}
        assert [match.name for match in found.person_household_matches] == ["Anna"]
        assert [(error.category, error.message) for error in found.errors] == [("bad_input", "no room")]

    def test_everybody_is_looked_up_before_anybody_is_remembered(self, gallery: Gallery) -> None:
        watched: Any = Broken(gallery)
        two = [person("a"), person("b", time=NOON + timedelta(seconds=9))]
        who(watched, two, looks(a=axis(0), b=axis(1)))
        assert watched.calls == ["match", "match_household"] * 2 + ["record"] * 2

    def test_an_empty_batch_is_nothing(self, gallery: Gallery) -> None:
        assert who(gallery, []) == Identities()
