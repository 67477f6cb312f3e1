"""How well a gallery tells people apart, with the real OSNet on 236 labelled crops of 43 people.

42 of them are followed through one recording each, so these numbers are those of an afternoon at one camera; of one
there are two pictures of two cameras. docs/decisions/0015-gallery.md has what was measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from galleries import NOON, Clock, make, run
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.gallery import Embedding, HouseholdMatch, HouseholdMember, MemoryGallery, Sighting, space_of
from hearthwatch.models import ReIDResult, get_model
from hearthwatch.pipeline.identity import CLEAR_MARGIN
from hearthwatch.vision.decode import to_image

pytestmark = pytest.mark.weights


@dataclass(frozen=True)
class Crop:
    person: str
    recording: str
    seen: ReIDResult

    @property
    def embedding(self) -> Embedding:
        return Embedding(self.seen.embedding, self.seen.space)


@pytest.fixture(scope="module")
def crops(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Crop]:
    options = LoadOptions(models_dir=assets / "weights", cache_dir=tmp_path_factory.mktemp("cache"), precision="f32")
    osnet = load(get_model("person_reid"), options)
    photos = sorted((assets / "data/reid").glob("*.jpg"))
    seen = [osnet.predict([to_image(photo)])[0][0] for photo in photos]
    # 04002_c4s1_000001_00.jpg: the second person of the fourth recording.
    names = [photo.name.split("_") for photo in photos]
    return [Crop(person, recording, one) for (person, recording, *_), one in zip(names, seen, strict=True)]


def people(crops: list[Crop]) -> dict[str, list[Crop]]:
    found: dict[str, list[Crop]] = {}
    for crop in crops:
        found.setdefault(crop.person, []).append(crop)
    return found


def test_rates_of_pairs_at_the_documented_threshold(crops: list[Crop]) -> None:
    """Measured: 0.9967 of 612 pairs of one person, 0.0035 of 27,118 of two, 0.0154 of those of one recording."""
    vectors = np.stack([crop.seen.embedding for crop in crops])
    person, recording = (np.array([getattr(crop, name) for crop in crops]) for name in ("person", "recording"))
    pairs = np.triu_indices(len(crops), 1)
    near = (vectors @ vectors.T)[pairs] >= space_of(crops[0].seen.space).threshold
    same = (person[:, None] == person)[pairs]
    side_by_side = (recording[:, None] == recording)[pairs] & ~same
    assert near[same].mean() >= 0.99
    assert near[~same].mean() <= 0.005
    assert near[side_by_side].mean() <= 0.02


async def asked_about(residents: list[Crop], crops: list[Crop]) -> list[list[HouseholdMatch]]:
    """Who the others may be in a household of which there is one picture each."""
    gallery = make(MemoryGallery)
    for crop in residents:
        await gallery.add_member(HouseholdMember(crop.person, "person", (crop.embedding,)))
    return [await gallery.match_household(Sighting("person", NOON, "gate", (crop.embedding,))) for crop in crops]


def is_named(matches: list[HouseholdMatch]) -> bool:
    return bool(matches) and matches[0].margin is not None and matches[0].margin >= CLEAR_MARGIN


def test_who_was_enrolled_with_one_picture_is_named_first_and_clearly(crops: list[Crop]) -> None:
    """Measured on 193 pictures against 43 people: the nearest is right for all, and 191 are named."""
    firsts = {name: pictures[0] for name, pictures in people(crops).items()}
    asked = [crop for crop in crops if crop is not firsts[crop.person]]
    found = run(asked_about(list(firsts.values()), asked))
    right = [matches for crop, matches in zip(asked, found, strict=True) if matches and matches[0].name == crop.person]
    assert len(right) >= 0.98 * len(asked)
    assert sum(map(is_named, right)) >= 0.98 * len(asked)


def test_a_stranger_is_seldom_taken_for_one_of_four_residents(crops: list[Crop]) -> None:
    """Every person in turn with the three who follow is the household, and all others are strangers.

    Measured: 0.3 % of 9204 questions.
    """
    firsts = [pictures[0] for pictures in people(crops).values()]
    named: list[bool] = []
    for first in range(len(firsts)):
        residents = [firsts[(first + step) % len(firsts)] for step in range(4)]
        strangers = [crop for crop in crops if crop.person not in {resident.person for resident in residents}]
        named += map(is_named, run(asked_about(residents, strangers)))
    assert np.mean(named) <= 0.006


def test_an_afternoon_of_strangers_becomes_about_as_many_entities(crops: list[Crop]) -> None:
    """Measured: 41 entities of 43 people, two of which hold more than one person."""
    gallery = make(MemoryGallery, clock=Clock())
    of: dict[str, set[str]] = {}
    for crop in crops:
        (identity,) = run(gallery.record([Sighting("person", NOON, "gate", (crop.embedding,))]))
        of.setdefault(identity, set()).add(crop.person)
    assert abs(len(of) - len(people(crops))) <= 4
    assert sum(len(names) > 1 for names in of.values()) <= 4


def test_two_cameras_are_more_than_the_documented_threshold_bridges(crops: list[Crop]) -> None:
    """The one person with pictures of two cameras: 0.66, below 0.7. One pair proves nothing."""
    first, second = people(crops)["0001"]
    assert 0.6 <= float(first.seen.embedding @ second.seen.embedding) < 0.7
