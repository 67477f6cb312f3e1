"""The section of a prompt about what a person wears: the document's strings, from its dictionaries and from ours."""

from __future__ import annotations

from typing import Any

import pytest

from events import clothes
from hearthwatch.prompt import format_enhanced_clothing_context

DOCUMENTED: dict[str, Any] = {
    "suspicious": {"top_match": "person in all black clothing", "confidence": 0.72, "all_scores": {}},
    "delivery": {"top_match": "UPS driver in brown uniform", "confidence": 0.55, "all_scores": {}},
    "utility": {"top_match": "landscaper in work clothes", "confidence": 0.9, "all_scores": {}},
    "carrying": {"top_match": "person with a backpack", "confidence": 0.4, "all_scores": {}},
    "casual": {"top_match": "person in casual everyday clothes", "confidence": 0.28, "all_scores": {}},
}


def test_the_documented_dictionary_gives_the_documented_lines() -> None:
    assert format_enhanced_clothing_context(DOCUMENTED).splitlines() == [
        "### Person Appearance Analysis",
        "- **ALERT**: person in all black clothing (confidence: 72%)",
        "- Service worker identified: UPS driver in brown uniform (55%)",
        "- Carrying: person with a backpack (40%)",
        "- General attire: person in casual everyday clothes",
    ]


@pytest.mark.parametrize(("group", "confidence", "words"), [("suspicious", 0.6, "ALERT"), ("delivery", 0.5, "Service")])
def test_what_is_not_above_its_threshold_is_not_said(group: str, confidence: float, words: str) -> None:
    told = DOCUMENTED | {group: DOCUMENTED[group] | {"confidence": confidence}}
    assert words in format_enhanced_clothing_context(DOCUMENTED)
    assert words not in format_enhanced_clothing_context(told)


def test_groups_that_are_not_there_are_left_out() -> None:
    assert format_enhanced_clothing_context({}) == "### Person Appearance Analysis"
    assert format_enhanced_clothing_context({"casual": DOCUMENTED["casual"]}).count("\n") == 1


@pytest.mark.parametrize(("word", "alert", "service"), [
    ("ski mask", True, False), ("UPS", False, True), ("everyday", False, False), ("no such words", False, False)
])  # fmt: skip
def test_a_result_its_answer_and_its_groups_say_the_same_as_the_result_itself(
    word: str, *, alert: bool, service: bool
) -> None:
    result = clothes(word)
    said = format_enhanced_clothing_context(result)
    assert (result.is_suspicious, result.is_service_uniform) == (alert, service)
    assert ("**ALERT**" in said, "Service worker identified" in said) == (alert, service)
    assert format_enhanced_clothing_context(result.to_wire()) == said
    assert format_enhanced_clothing_context(result.to_wire()["categories"]) == said
