"""What leaves the house: no name and no plate in a prompt that is built from a scene with pseudonyms."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from events import make_event
from hearthwatch.gallery import HouseholdMatch, How
from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline import EnrichmentResult
from hearthwatch.prompt import build_prompt
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk.pseudonyms import Veil, private_of
from scene import INSIDE, detection

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
ROOM = 50_000


@pytest.mark.parametrize("name", ["Ada", "Ada Lovelace", "Q\"uote's", "  wide  ", "A" * 90])
def test_neither_names_nor_plates_are_in_a_prompt_of_hidden_facts(name: str) -> None:
    plate = LicensePlateResult("KL204BN", "KL-204 BN", 0.9, INSIDE)
    known = EnrichmentResult(
        person_household_matches=[HouseholdMatch(name, "person", How.APPEARANCE, 0.9, 0.2, detection_id="p")],
        plate_by_detection={"c": plate},
        license_plates=[plate],
    )
    detections = [detection("p", known="Grace Hopper"), detection("c", "car", plate="KL 204-BN")]
    scene = collect_facts(detections, known, NOON)
    shown = Veil(private_of(detections, known), scene).hide_scene(scene)
    told = build_prompt(shown, known, budget_tokens=ROOM)
    text = (told.system + told.user).lower()
    for word in (*name.split(), "grace", "hopper", "kl204bn", "204"):
        assert word.lower().strip("\"'") not in text.replace("quoted", "").replace("quotes", ""), word
    assert "name-1" in text
    assert "plate-1" in text


def test_a_camera_that_is_called_after_somebody_is_hidden_as_well() -> None:
    detections = [detection("p", known="Grace Hopper")]
    scene = collect_facts(detections, None, NOON, "grace hopper's door, beside NAME-1")
    veil = Veil(private_of(detections, None), scene)
    told = build_prompt(veil.hide_scene(scene), None, budget_tokens=ROOM)
    assert "name-2's door, beside name-1" in told.user.lower()
    assert "hopper" not in told.user.lower()
    assert veil.hide_scene(replace(scene, camera=None)).camera is None


def test_an_event_without_detections_tells_its_camera() -> None:
    told = build_prompt(collect_facts([], None, NOON, "Front door"), None, budget_tokens=ROOM)
    assert "Front door" in told.user


def test_the_same_prompt_of_this_house_names_them() -> None:
    event = make_event([detection("p", known="Grace Hopper")])
    told = build_prompt(event.scene, event.enrichment.data, budget_tokens=ROOM)
    assert "Grace Hopper" in told.user
