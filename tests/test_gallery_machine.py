"""Galleries, driven through any story beside a model of what they should know."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from galleries import CLIP, LIMITS, NOON, NUMBERS, OSNET, OTHER, Clock, axis, car, make, member, run, sighting
from hearthwatch.gallery import GALLERIES, EntityMatch, Gallery, Kind, Sighting, space_of
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Float

SMALL = replace(LIMITS, entities=4, exemplars=2, members=3)
SPACES = (OSNET, OTHER, CLIP)
#: Persons who are like nobody else: the last axis is what a picture adds.
PEOPLE = st.integers(0, 3)
HOURS = st.integers(0, 30)


def picture_of(person: int, wobble: float) -> Float:
    """Cosines of two pictures of one person are 0.98 or more, of two persons 0.02 or less."""
    return unit(axis(person) + wobble * axis(NUMBERS - 1))


@dataclass(slots=True)
class Somebody:
    looks: tuple[Kind, str, int]
    recorded_at: float
    exemplars: int = 1


class Story(RuleBasedStateMachine):
    """Everybody is recorded when the picture is taken."""

    gallery_class: Any

    @initialize()
    def begin(self) -> None:
        self.clock = Clock()
        self.gallery: Gallery = make(self.gallery_class, SMALL, self.clock)
        self.known: OrderedDict[str, Somebody] = OrderedDict()
        self.used: set[str] = set()
        self.household: dict[str, int] = {}

    def now(self, kind: Kind, space: str, person: int, wobble: float) -> Sighting:
        after_s = self.clock.now - NOON.timestamp()
        return sighting(picture_of(person, wobble), kind=kind, space=space, after_s=after_s)

    def expected(self, looks: tuple[Kind, str, int]) -> set[str]:
        return {identity for identity, somebody in self.known.items() if somebody.looks == looks}

    @rule(kind=st.sampled_from(["person", "vehicle"]), space=st.sampled_from(SPACES), person=PEOPLE,
          wobble=st.floats(-0.1, 0.1))  # fmt: skip
    def record(self, kind: Kind, space: str, person: int, wobble: float) -> None:
        before = self.expected((kind, space, person))
        (identity,) = run(self.gallery.record([self.now(kind, space, person, wobble)]))
        if before:
            assert identity in before
            self.known[identity].recorded_at = self.clock.now
            self.known[identity].exemplars = min(self.known[identity].exemplars + 1, SMALL.exemplars)
        else:
            assert identity not in self.used
            self.known[identity] = Somebody((kind, space, person), self.clock.now)
        self.used.add(identity)
        self.known.move_to_end(identity)
        if len(self.known) > SMALL.entities:
            self.known.popitem(last=False)
        assert identity in {found.identity for found in self.who(kind, space, person, wobble)}

    @rule(kind=st.sampled_from(["person", "vehicle"]), space=st.sampled_from(SPACES), person=PEOPLE,
          wobble=st.floats(-0.1, 0.1))  # fmt: skip
    def look_up(self, kind: Kind, space: str, person: int, wobble: float) -> None:
        found = self.who(kind, space, person, wobble)
        assert {match.identity for match in found} == self.expected((kind, space, person))

    def who(self, kind: Kind, space: str, person: int, wobble: float) -> list[EntityMatch]:
        found = run(self.gallery.match(self.now(kind, space, person, wobble)))
        assert [match.similarity for match in found] == sorted((match.similarity for match in found), reverse=True)
        for match in found:
            assert space_of(space).threshold <= match.similarity <= 1
            assert (match.kind, match.space) == (kind, space)
        return found

    @rule(data=st.data())
    def forget(self, data: st.DataObject) -> None:
        identity = data.draw(st.sampled_from(sorted(self.used) or ["nobody"]))
        assert run(self.gallery.forget(identity)) is (self.known.pop(identity, None) is not None)

    @rule(hours=HOURS)
    def wait(self, hours: int) -> None:
        self.clock.now += hours * 3600
        for identity, somebody in list(self.known.items()):
            if somebody.recorded_at < self.clock.now - SMALL.window_s:
                del self.known[identity]

    @rule(person=PEOPLE)
    def enrol(self, person: int) -> None:
        name = f"member {person}"
        if name in self.household or len(self.household) < SMALL.members:
            if name not in self.household:
                run(self.gallery.add_member(member(name, picture_of(person, 0.0))))
            self.household[name] = person

    @rule(person=PEOPLE)
    def leave(self, person: int) -> None:
        name = f"member {person}"
        assert run(self.gallery.forget_member(name)) is (self.household.pop(name, None) is not None)

    @invariant()
    def it_knows_whom_it_should_and_no_more(self) -> None:
        listed = run(self.gallery.entities())
        assert {entity.identity for entity in listed} == set(self.known)
        assert len(listed) <= SMALL.entities
        assert all(1 <= entity.exemplars <= SMALL.exemplars for entity in listed)
        assert {one.name for one in run(self.gallery.members())} == set(self.household)

    @invariant()
    def members_are_known_whoever_else_comes(self) -> None:
        for name, person in self.household.items():
            found = run(self.gallery.match_household(self.now("person", OSNET, person, 0.05)))
            assert [match.name for match in found] == [name]


@pytest.mark.parametrize("cls", GALLERIES, ids=lambda cls: cls.__name__)
def test_any_story_is_remembered_as_the_model_remembers_it(cls: Any) -> None:
    machine: Any = type("StoryOf", (Story,), {"gallery_class": cls})
    machine.TestCase.settings = settings(
        max_examples=30, stateful_step_count=30, deadline=None, database=None, derandomize=True
    )
    machine.TestCase("runTest").runTest()


VECTORS = npst.arrays(np.int8, NUMBERS, elements=st.integers(-4, 4)).filter(np.any).map(unit)
SIGHTINGS = st.builds(
    lambda looks, kind, space, after_s, camera, plate: (
        car(plate, looks, after_s=after_s, camera=camera)
        if kind == "vehicle"
        else sighting(looks, space=space, after_s=after_s, camera=camera)
    ),
    VECTORS,
    st.sampled_from(["person", "vehicle"]),
    st.sampled_from(SPACES),
    st.integers(-100_000, 100_000),
    st.sampled_from(["gate", "door", None]),
    st.sampled_from([None, "AB 123", "CD 456"]),
)


def told(found: list[EntityMatch]) -> list[tuple[Any, ...]]:
    """Matches without their identities, which say who came first."""
    rows = [
        (match.kind, match.how.value, round(match.similarity, 4), match.sighting_count, match.first_seen,
         match.last_seen, match.last_camera or "", match.space)
        for match in found
    ]  # fmt: skip
    return sorted(rows)


async def answers_after(
    gallery: Gallery, pictures: Sequence[Sighting], questions: Sequence[Sighting]
) -> list[list[tuple[Any, ...]]]:
    for picture in pictures:
        await gallery.record([picture])
    return [told(await gallery.match(question)) for question in questions]


def near_a_threshold(first: Sighting, second: Sighting) -> bool:
    """A cosine that rounding may put on either side, or at which either of two may be the nearer."""
    ours, theirs = first.embeddings[0], second.embeddings[0]
    return abs(float(ours.vector @ theirs.vector) - space_of(ours.space).threshold) < 1e-4


@pytest.mark.parametrize("cls", GALLERIES, ids=lambda cls: cls.__name__)
def test_the_order_of_two_pictures_makes_no_difference(cls: Any) -> None:
    @given(SIGHTINGS, SIGHTINGS, SIGHTINGS, st.booleans())
    @settings(max_examples=200, deadline=None, database=None, derandomize=True)
    def order_makes_no_difference(first: Sighting, second: Sighting, asked: Sighting, same: bool) -> None:
        second = first if same else second
        assume(not any(near_a_threshold(a, b) for a, b in ((first, second), (first, asked), (second, asked))))
        questions = (first, second, asked)
        answers = [run(answers_after(make(cls), order, questions)) for order in ((first, second), (second, first))]
        for one, other in zip(*answers, strict=True):
            assert len(one) == len(other)
            for ours, theirs in zip(one, other, strict=True):
                assert ours[2] == pytest.approx(theirs[2], abs=2e-4)
                assert ours[:2] + ours[3:] == theirs[:2] + theirs[3:]

    order_makes_no_difference()
