"""What holds for every gallery: it remembers, it never mixes spaces, and it forgets."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import orjson
import pytest

from galleries import CLIP, LIMITS, NOON, NUMBERS, OSNET, OTHER, Clock, axis, car, like, make, member, run, sighting
from hearthwatch.errors import InputError
from hearthwatch.gallery import (
    GALLERIES,
    Embedding,
    EntityMatch,
    Gallery,
    HouseholdMatch,
    HouseholdMember,
    How,
    Sighting,
    plate_text,
)

DAY = LIMITS.window_s
GAP = LIMITS.visit_gap_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=GALLERIES, ids=lambda cls: cls.__name__)
def kind_of_gallery(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def gallery(kind_of_gallery: Any, clock: Clock) -> Gallery:
    return make(kind_of_gallery, clock=clock)


def record(gallery: Gallery, *sightings: Sighting) -> list[str]:
    return run(gallery.record(sightings))


def match(gallery: Gallery, asked: Sighting) -> list[EntityMatch]:
    return run(gallery.match(asked))


def household(gallery: Gallery, asked: Sighting) -> list[HouseholdMatch]:
    return run(gallery.match_household(asked))


class TestAppearance:
    def test_nobody_is_known_at_first(self, gallery: Gallery) -> None:
        assert match(gallery, sighting(axis(0))) == []
        assert run(gallery.entities()) == []

    def test_who_was_recorded_is_found_and_joined(self, gallery: Gallery) -> None:
        (first,) = record(gallery, sighting(axis(0)))
        (found,) = match(gallery, sighting(like(0, 0.8), after_s=600, camera="door"))
        assert (found.identity, found.kind, found.how, found.space) == (first, "person", How.APPEARANCE, OSNET)
        assert found.similarity == pytest.approx(0.8, abs=1e-6)
        assert (found.first_seen, found.last_seen, found.last_camera) == (NOON, NOON, "gate")
        assert record(gallery, sighting(like(0, 0.8), after_s=600)) == [first]
        (entity,) = run(gallery.entities())
        assert (entity.identity, entity.visits, entity.exemplars) == (first, 2, 2)

    def test_looking_somebody_up_remembers_nothing(self, gallery: Gallery) -> None:
        match(gallery, sighting(axis(0)))
        assert match(gallery, sighting(axis(0))) == []

    @pytest.mark.parametrize(("space", "threshold"), [(OSNET, 0.7), (CLIP, 0.85)])
    def test_each_space_has_its_threshold(self, gallery: Gallery, space: str, threshold: float) -> None:
        record(gallery, sighting(axis(0), space=space))
        assert match(gallery, sighting(like(0, threshold - 0.01), space=space)) == []
        assert len(match(gallery, sighting(like(0, threshold + 0.01), space=space))) == 1

    def test_a_site_that_calibrated_a_space_has_its_own(self, kind_of_gallery: Any) -> None:
        gallery = make(kind_of_gallery, thresholds={OSNET: 0.9, "mine/1/2": 0.5})
        record(gallery, sighting(axis(0)), sighting(axis(1), space=OTHER), sighting(axis(2), space="mine/1/2"))
        assert match(gallery, sighting(like(0, 0.85))) == []
        assert len(match(gallery, sighting(like(1, 0.85), space=OTHER))) == 1
        assert len(match(gallery, sighting(like(2, 0.6), space="mine/1/2"))) == 1

    def test_spaces_and_kinds_are_never_mixed(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0)))
        assert match(gallery, sighting(axis(0), space=OTHER)) == []
        assert match(gallery, sighting(axis(0), kind="vehicle")) == []
        assert match(gallery, sighting(axis(0, 16), space=OTHER)) == []

    def test_the_nearest_is_first_and_says_by_how_much(self, gallery: Gallery) -> None:
        near, far = record(gallery, sighting(axis(0)), sighting(like(0, 0.75)))
        first, second = match(gallery, sighting(axis(0)))
        assert (first.identity, second.identity) == (near, far)
        assert first.margin == pytest.approx(0.25, abs=1e-5)
        assert second.margin == pytest.approx(-0.25, abs=1e-5)

    def test_a_margin_looks_at_those_below_the_threshold_too_and_alone_there_is_none(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0)))
        assert match(gallery, sighting(axis(0)))[0].margin is None
        record(gallery, sighting(like(0, 0.6)))
        assert match(gallery, sighting(axis(0)))[0].margin == pytest.approx(0.4, abs=1e-5)

    def test_any_of_the_exemplars_will_do(self, gallery: Gallery) -> None:
        (first,) = record(gallery, sighting(axis(0)))
        assert record(gallery, sighting(like(0, 0.75, 1), after_s=1)) == [first]
        assert match(gallery, sighting(axis(1))) == []
        assert [found.identity for found in match(gallery, sighting(like(1, 0.8, 0)))] == [first]

    def test_the_first_exemplars_of_many_leave(self, gallery: Gallery) -> None:
        for number in range(LIMITS.exemplars + 3):
            record(gallery, sighting(axis(0), after_s=number))
        assert [entity.exemplars for entity in run(gallery.entities())] == [LIMITS.exemplars]


class TestOnePicture:
    def test_no_two_of_a_picture_become_one(self, gallery: Gallery) -> None:
        both = record(gallery, sighting(axis(0)), sighting(axis(0)))
        assert len(set(both)) == 2
        again = record(gallery, sighting(axis(0), after_s=9), sighting(axis(0), after_s=9))
        assert sorted(again) == sorted(both)

    def test_who_is_more_like_somebody_is_that_one(self, gallery: Gallery) -> None:
        (first,) = record(gallery, sighting(axis(0)))
        other, same = record(gallery, sighting(like(0, 0.8), after_s=9), sighting(like(0, 0.9), after_s=9))
        assert same == first != other

    def test_two_detections_of_one_plate_are_one_vehicle(self, gallery: Gallery) -> None:
        assert len(set(record(gallery, car("AB 123"), car("ab-123")))) == 1
        assert len(set(record(gallery, car("AB 123"), car("CD 456")))) == 2

    def test_one_that_cannot_be_remembered_keeps_the_whole_picture_out(self, gallery: Gallery) -> None:
        with pytest.raises(InputError):
            record(gallery, sighting(axis(0)), sighting(axis(1), space="unheard-of/1"))
        with pytest.raises(InputError, match="have 8 numbers; got one of 16"):
            record(gallery, sighting(axis(0)), sighting(axis(1, 16)))
        assert run(gallery.entities()) == []


class TestPlates:
    def test_a_plate_is_stronger_than_an_appearance(self, gallery: Gallery) -> None:
        (ours,) = record(gallery, car("AB 123", axis(0)))
        (twin,) = record(gallery, car(None, axis(1)))
        first, second = match(gallery, car("ab123", axis(1)))
        assert (first.identity, first.how, first.similarity, first.margin) == (ours, How.PLATE, 1.0, None)
        assert (second.identity, second.how) == (twin, How.APPEARANCE)

    def test_another_plate_is_another_vehicle_however_alike(self, gallery: Gallery) -> None:
        ours = record(gallery, car("AB 123", axis(0)))
        assert match(gallery, car("CD 456", axis(0))) == []
        assert len(match(gallery, car(None, axis(0)))) == 1
        assert record(gallery, car("CD 456", axis(0))) != ours

    def test_who_is_joined_by_its_looks_has_the_plate_from_then_on(self, gallery: Gallery) -> None:
        (ours,) = record(gallery, car(None, axis(0)))
        record(gallery, car("AB 123", axis(0), after_s=9))
        assert [found.identity for found in match(gallery, car("AB 123"))] == [ours]

    @pytest.mark.parametrize(
        ("text", "plate"),
        [("ab-123 c", "AB123C"), (" ", None), (None, None), ("A1", None), ("X" * 13, None), ("äöü", None)],
    )
    def test_plates_are_compared_as_letters_and_digits(self, text: str | None, plate: str | None) -> None:
        assert plate_text(text) == plate


class TestTime:
    def test_an_appearance_is_forgotten_after_a_day_and_a_plate_is_not(self, gallery: Gallery, clock: Clock) -> None:
        record(gallery, sighting(axis(0)), car("AB 123", axis(0)))
        clock.now += DAY
        assert len(match(gallery, sighting(axis(0)))) == 1
        clock.now += 1
        assert match(gallery, sighting(axis(0))) == []
        (entity,) = run(gallery.entities())
        assert (entity.plate, entity.exemplars) == ("AB123", 0)
        assert [found.how for found in match(gallery, car("AB 123", axis(0)))] == [How.PLATE]

    @pytest.mark.parametrize("direction", [1, -1])
    def test_pictures_more_than_a_day_apart_are_not_compared(self, gallery: Gallery, direction: int) -> None:
        record(gallery, sighting(axis(0)))
        assert len(match(gallery, sighting(axis(0), after_s=direction * DAY))) == 1
        assert match(gallery, sighting(axis(0), after_s=direction * (DAY + 1))) == []

    def test_a_camera_with_a_wrong_clock_makes_nobody_forgotten(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0)))
        record(gallery, sighting(axis(1), after_s=1e9))
        assert len(match(gallery, sighting(axis(0)))) == 1

    def test_pictures_of_one_visit_are_no_earlier_sightings(self, gallery: Gallery) -> None:
        def before(after_s: float) -> int:
            return match(gallery, sighting(axis(0), after_s=after_s))[0].sighting_count

        for seconds in (0, 10, GAP, 2 * GAP):
            record(gallery, sighting(axis(0), after_s=seconds, camera=f"camera {seconds}"))
        assert before(2 * GAP + 20) == 0
        assert before(3 * GAP + 1) == 1
        record(gallery, sighting(axis(0), after_s=3 * GAP + 1))
        assert before(3 * GAP + 2) == 1
        assert before(-GAP - 1) == 2

    def test_a_picture_that_comes_late_changes_neither_the_last_time_nor_the_camera(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0), camera="door"))
        record(gallery, sighting(axis(0), after_s=-1000))
        (entity,) = run(gallery.entities())
        assert (entity.last_seen, entity.last_camera, entity.visits) == (NOON, "door", 2)
        assert entity.first_seen == NOON - timedelta(seconds=1000)

    def test_times_of_other_zones_are_compared_as_moments(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0)))
        there = NOON.astimezone(timezone(timedelta(hours=9)))
        asked = replace(sighting(axis(0)), time=there + timedelta(seconds=GAP))
        assert match(gallery, asked)[0].sighting_count == 0
        assert Sighting("person", datetime(2026, 11, 30, 12), embeddings=asked.embeddings).time.tzinfo is not None  # noqa: DTZ001

    def test_the_last_seen_are_listed_first(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0), after_s=5))
        record(gallery, car("AB 123"))
        assert [entity.kind for entity in run(gallery.entities())] == ["person", "vehicle"]
        assert [entity.plate for entity in run(gallery.entities("vehicle"))] == ["AB123"]


class TestForgetting:
    def test_forgetting_leaves_nothing(self, gallery: Gallery) -> None:
        person, vehicle = record(gallery, sighting(axis(0)), car("AB 123", axis(0)))
        assert run(gallery.forget(person))
        assert run(gallery.forget(vehicle))
        assert not run(gallery.forget(person))
        assert run(gallery.entities()) == []
        assert match(gallery, sighting(axis(0))) == match(gallery, car("AB 123", axis(0))) == []
        assert person not in record(gallery, sighting(axis(0)))

    def test_of_too_many_the_least_recently_seen_leave_and_never_a_member(self, kind_of_gallery: Any) -> None:
        gallery = make(kind_of_gallery, replace(LIMITS, entities=3))
        run(gallery.add_member(member("Anna", axis(7))))
        first, *_ = [record(gallery, sighting(axis(number)))[0] for number in range(3)]
        record(gallery, sighting(axis(0), after_s=5))  # the first one again
        for number in range(3, 5):
            record(gallery, sighting(axis(number)))
        assert len(run(gallery.entities())) == 3
        assert [found.identity for found in match(gallery, sighting(axis(0)))] == [first]
        assert match(gallery, sighting(axis(1))) == match(gallery, sighting(axis(2))) == []
        assert [found.name for found in household(gallery, sighting(axis(7)))] == ["Anna"]


class TestHousehold:
    def test_a_member_is_known_by_looks_and_a_vehicle_by_its_plate(self, gallery: Gallery) -> None:
        for one in (member("Anna", axis(0)), member("the van", plate="AB 123")):
            run(gallery.add_member(one))
        (anna,) = household(gallery, sighting(like(0, 0.9)))
        assert (anna.name, anna.kind, anna.how) == ("Anna", "person", How.APPEARANCE)
        (van,) = household(gallery, car("ab123", axis(3)))
        assert (van.name, van.kind, van.how, van.similarity) == ("the van", "vehicle", How.PLATE, 1.0)
        assert household(gallery, car("ab124")) == household(gallery, sighting(axis(1))) == []

    def test_a_twin_of_the_family_car_with_another_plate_is_not_the_family_car(self, gallery: Gallery) -> None:
        run(gallery.add_member(HouseholdMember("the van", "vehicle", (Embedding(axis(0), CLIP),), "AB 123")))
        assert household(gallery, car("CD 456", axis(0))) == []
        assert [found.how for found in household(gallery, car(None, axis(0)))] == [How.APPEARANCE]

    def test_members_stay_while_appearances_of_strangers_go(self, gallery: Gallery, clock: Clock) -> None:
        run(gallery.add_member(member("Anna", axis(0))))
        clock.now += 365 * DAY
        assert len(household(gallery, sighting(axis(0), after_s=365 * DAY))) == 1

    def test_pictures_are_added_to_who_is_enrolled(self, gallery: Gallery) -> None:
        run(gallery.add_member(member("Anna", axis(0))))
        run(gallery.add_member(member(" Anna ", axis(1))))
        (anna,) = run(gallery.members())
        assert (anna.name, len(anna.embeddings)) == ("Anna", 2)
        assert all(household(gallery, sighting(axis(number))) for number in (0, 1))

    def test_a_vehicle_may_get_another_plate(self, gallery: Gallery) -> None:
        run(gallery.add_member(member("the van", plate="AB 123")))
        run(gallery.add_member(member("the van", plate="CD 456")))
        assert household(gallery, car("AB 123")) == []
        assert len(household(gallery, car("CD 456"))) == 1

    def test_what_cannot_be_enrolled_says_why_and_changes_nothing(self, kind_of_gallery: Any) -> None:
        gallery = make(kind_of_gallery, replace(LIMITS, members=2, member_embeddings=2))
        run(gallery.add_member(member("Anna", axis(0))))
        run(gallery.add_member(member("the van", plate="AB 123")))
        three = HouseholdMember("Anna", "person", (Embedding(axis(0), OSNET),) * 2)
        for wrong, sentence in (
            (member("Anna", plate="XY 1"), "enrolled as a person"),
            (member("Ben", plate="AB 123"), "enrolled as that of 'the van'"),
            (member("Ben", axis(1)), "2 members are enrolled"),
            (three, "would have 3 embeddings; allowed are 2"),
            (member("Anna", axis(0, 16)), "have 8 numbers; got one of 16"),
            (member("Anna", axis(0), space="unheard-of/1"), "no threshold is known"),
        ):
            with pytest.raises(InputError, match=sentence):
                run(gallery.add_member(wrong))
        assert [(one.name, len(one.embeddings)) for one in run(gallery.members())] == [("Anna", 1), ("the van", 0)]

    def test_a_forgotten_member_is_gone_with_the_plate(self, gallery: Gallery) -> None:
        run(gallery.add_member(member("Anna", axis(0))))
        run(gallery.add_member(member("the van", plate="AB 123")))
        assert run(gallery.forget_member("Anna"))
        assert run(gallery.forget_member("the van"))
        assert not run(gallery.forget_member("Anna"))
        assert run(gallery.members()) == []
        assert household(gallery, sighting(axis(0))) == household(gallery, car("AB 123")) == []

    def test_members_are_listed_by_name_and_kind(self, gallery: Gallery) -> None:
        for one in (member("Zoe", axis(0)), member("the van", plate="AB 123"), member("Anna", axis(1))):
            run(gallery.add_member(one))
        assert [one.name for one in run(gallery.members("person"))] == ["Anna", "Zoe"]
        assert [one.name for one in run(gallery.members())] == ["Anna", "Zoe", "the van"]


class TestRefusals:
    @pytest.mark.parametrize(
        ("vector", "sentence"),
        [
            ([0.0] * 8, "zero or not finite"),
            ([math.nan] * 8, "zero or not finite"),
            ([1.0, math.inf], "zero or not finite"),
            ([1e300, 1e300], "zero or not finite"),
            ([], "1 to 2048 numbers"),
            (np.ones(2049), "1 to 2048 numbers"),
            (np.ones((2, 4)), "1 to 2048 numbers"),
            (["a", "b"], "a list of numbers"),
            ([[1.0], [1.0, 2.0]], "a list of numbers"),
        ],
        ids=repr,
    )
    def test_what_is_no_embedding(self, vector: Any, sentence: str) -> None:
        with pytest.raises(InputError, match=sentence):
            Embedding(vector, OSNET)

    def test_an_embedding_of_no_space(self) -> None:
        with pytest.raises(InputError, match="which space"):
            Embedding(axis(0), "")

    def test_an_embedding_cannot_be_changed_from_outside(self) -> None:
        mine = axis(0)
        kept = Embedding(mine, OSNET).vector
        mine[0] = 7.0
        assert kept[0] == 1.0
        with pytest.raises(ValueError, match="read-only"):
            kept[0] = 2.0

    @pytest.mark.parametrize(
        ("fields", "sentence"),
        [
            ({"kind": "dog"}, "allowed are person, vehicle"),
            ({"plate": "AB 123"}, "a person, who has no plate"),
            ({"kind": "vehicle", "plate": "?"}, "3 to 12 letters"),
            ({"embeddings": ()}, "neither an embedding nor a plate"),
            ({"embeddings": (Embedding(axis(0), OSNET),) * 3}, "3 embeddings; allowed are 2"),
        ],
        ids=str,
    )
    def test_what_is_no_sighting(self, fields: dict[str, Any], sentence: str) -> None:
        whole: dict[str, Any] = {"kind": "person", "time": NOON, "embeddings": (Embedding(axis(0), OSNET),)}
        with pytest.raises(InputError, match=sentence):
            Sighting(**whole | fields)

    @pytest.mark.parametrize("name", ["", "  ", "x" * 101])
    def test_what_is_no_name(self, name: str) -> None:
        with pytest.raises(InputError, match="1 to 100 characters"):
            member(name, axis(0))

    def test_a_space_that_nobody_knows_a_threshold_of(self, gallery: Gallery) -> None:
        for space in ("unheard-of/1", "fashion-clip/1", "osnetwork"):
            with pytest.raises(InputError, match="no threshold is known"):
                match(gallery, sighting(axis(0), space=space))

    def test_another_size_than_the_others_of_the_space(self, gallery: Gallery) -> None:
        record(gallery, sighting(axis(0)))
        with pytest.raises(InputError, match=f"have {NUMBERS} numbers; got one of 16"):
            match(gallery, sighting(axis(0, 16)))


class TestWords:
    MATCH = EntityMatch("entity-7", "person", How.APPEARANCE, 0.8236, None, 3, NOON, NOON, "gate", OSNET)

    def test_a_match_says_what_the_documents_say(self) -> None:
        assert self.MATCH.to_context_string().splitlines() == [
            "Match: entity-7 (by appearance alone, which proves nothing)",
            "Similarity: 82%",
            "Previous sightings: 3 times",
        ]

    def test_seed_003s_formatter_reads_a_match(self) -> None:
        match = self.MATCH.to_wire()
        assert f"- **Match**: {match['identity']}" == "- **Match**: entity-7"
        assert f"- **Similarity**: {match['similarity']:.0%}" == "- **Similarity**: 82%"
        assert f"- **Previous sightings**: {match['sighting_count']} times" == "- **Previous sightings**: 3 times"

    @pytest.mark.parametrize(
        ("how", "kind", "line"),
        [
            (How.FACE, "person", "Household member: 'Anna' (by face; similarity: 91%)"),
            (How.APPEARANCE, "person",
             "Household member: 'Anna' (by appearance alone, which proves nothing; similarity: 91%)"),
            (How.PLATE, "vehicle", "Household vehicle: 'Anna' (by its plate)"),
        ],
    )  # fmt: skip
    def test_a_member_is_told_with_what_it_was_recognised_by(self, how: How, kind: Any, line: str) -> None:
        assert HouseholdMatch("Anna", kind, how, 0.912, 0.2).to_context_string() == line

    @pytest.mark.parametrize("found", [MATCH, replace(MATCH, margin=0.1234, last_camera=None),
                                       HouseholdMatch("Anna", "person", How.FACE, 0.91, None, OSNET, "person-1")],
                             ids=repr)  # fmt: skip
    def test_what_was_told_is_told_again(self, found: EntityMatch | HouseholdMatch) -> None:
        told = orjson.loads(orjson.dumps(found.to_wire()))
        again = type(found).from_wire(told)
        assert again.to_wire() == told
        assert replace(again, similarity=found.similarity) == found

    def test_the_strongest_evidence_is_a_face(self) -> None:
        assert sorted(How, key=lambda how: how.strength) == [How.FACE, How.PLATE, How.APPEARANCE]
