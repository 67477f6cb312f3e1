"""Names and plates stay at home, and come back in what is told about them."""

from __future__ import annotations

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hearthwatch.gallery import HouseholdMatch, How
from hearthwatch.models import LicensePlateResult
from hearthwatch.pipeline import EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk.pseudonyms import Private, Veil, private_of
from scene import INSIDE, detection

EMPTY = Scene((), None)
WHEN = datetime(2026, 11, 20, 12, tzinfo=UTC)


def veil(*names: str, plates: tuple[str, ...] = (), scene: Scene = EMPTY) -> Veil:
    return Veil(Private(frozenset(names), frozenset(plates)), scene)


def test_without_private_words_nothing_changes() -> None:
    text = "NAME-1 and PLATE-1 (?!) .*"
    assert veil().hide(text) == veil().show(text) == text


@pytest.mark.parametrize("spelling", ["Ada Lovelace", "ada lovelace", "ADA  LOVELACE", "Ada\nLovelace"])
def test_a_name_is_found_however_it_is_spelled(spelling: str) -> None:
    assert veil("Ada Lovelace").hide(f"known as '{spelling}'.") == "known as 'NAME-1'."


@pytest.mark.parametrize("spelling", ["AB12CD", "ab 12-CD", "AB-12 CD", "A B 1 2 C D", "AB·12·CD"])
def test_a_plate_is_found_whatever_stands_between_its_letters(spelling: str) -> None:
    assert veil(plates=("AB 12 CD", "AB12CD")).hide(f"plate reads {spelling!r}") == "plate reads 'PLATE-1'"


def test_a_name_inside_another_word_is_that_word() -> None:
    assert veil("Al", plates=("A1",)).hide("Alarm, A12, xA1, al") == "Alarm, A12, xA1, NAME-1"


def test_the_longer_of_two_names_is_hidden_first() -> None:
    hidden = veil("Ada", "Ada Lovelace").hide("Ada Lovelace and Ada")
    assert hidden == "NAME-2 and NAME-1"


@pytest.mark.parametrize("name", ["O'Brien", 'the "boss"', "Zoë\\n", "a.*b", "Łukasz", "x\ty"])
def test_a_name_is_found_where_it_is_quoted(name: str) -> None:
    quoted = f"{name!r} {orjson.dumps(name).decode()} {name}"
    hidden = veil(name).hide(quoted)
    assert hidden.count("NAME-1") == 3
    assert name not in hidden


def test_a_pseudonym_that_a_sign_shows_already_is_not_taken() -> None:
    sign = Fact("text", "NAME-1", "writing in the picture reads 'name-1'", None, 0.9, Importance.CONTEXT)
    hiding = veil("Ada", scene=Scene((sign,), None))
    assert hiding.hide("Ada") == "NAME-2"
    assert hiding.show("NAME-1 and NAME-2") == "NAME-1 and Ada"


def test_pseudonyms_side_by_side_come_back_too() -> None:
    hiding = veil("(", ":")
    assert hiding.show(hiding.hide("(:)")) == "(:)"
    assert hiding.show("SURNAME-1 NAME-1x") == "SURNAME-1 (x"


def test_what_comes_back_is_the_word_however_the_pseudonym_is_written() -> None:
    hiding = veil(*(f"Person {letter}" for letter in "abcdefghijkl"))
    assert hiding.show("name-1, NAME-12, Name-99") == "Person a, Person l, Name-99"


def test_the_private_words_of_an_event_are_those_that_anybody_knows() -> None:
    plate = LicensePlateResult("AB12CD", "ab 12-cd", 0.9, INSIDE)
    match = HouseholdMatch("Ada", "person", How.FACE, 0.9, None, detection_id="p")
    found = EnrichmentResult(license_plates=[plate], person_household_matches=[match])
    given = [detection("p", known="Grace"), detection("c", "car", plate="XY 1"), detection("d", "dog")]
    assert private_of(given, found) == Private(frozenset({"Ada", "Grace"}), frozenset({"AB12CD", "ab 12-cd", "XY 1"}))
    assert private_of([detection("p")], None) == Private()


def test_the_scene_that_is_asked_about_names_nobody() -> None:
    plate = LicensePlateResult("AB12CD", "ab 12-cd", 0.9, INSIDE)
    found = EnrichmentResult(
        plate_by_detection={"c": plate},
        person_household_matches=[HouseholdMatch("Ada", "person", How.FACE, 0.9, None, detection_id="p")],
    )
    given = [detection("p", known="Grace"), detection("c", "car")]
    scene = collect_facts(given, found, WHEN)
    hidden = Veil(private_of(given, found), scene).hide_scene(scene)
    assert [fact.kind for fact in hidden.facts] == [fact.kind for fact in scene.facts]
    told = " ".join(f"{fact.value} {fact.text}" for fact in hidden.facts)
    assert not any(word in told for word in ("Ada", "Grace", "AB12CD"))
    assert {"NAME-1", "NAME-2", "PLATE-1"} <= set(told.replace("'", " ").replace(",", " ").split())


@given(st.sets(st.text(min_size=1, max_size=12), max_size=4), st.text(max_size=60))
def test_what_was_hidden_is_shown_again_and_nothing_private_was_left(names: set[str], around: str) -> None:
    assume(all(name.strip() and name.isprintable() for name in names))
    assume(not any("name" in name.lower() for name in names) and "name-" not in around.lower())
    hiding = veil(*names)
    for name in names:
        hidden = hiding.hide(f"({name})")
        assert hidden.startswith("(") or name[0] == "(" or "(" in names
        if name[0].isalnum() and name[-1].isalnum():
            assert "NAME-" in hidden
