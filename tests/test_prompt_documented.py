"""The documented sections: word for word from the documented dictionaries, and from our own types."""

from __future__ import annotations

from typing import Any

import pytest

from events import armed_event, pose
from hearthwatch.gallery import EntityMatch, How
from hearthwatch.models import ActionResult, DemographicsResult, ThreatDetection, ThreatResult
from hearthwatch.pipeline import EnrichmentResult
from hearthwatch.pipeline.extraction import (
    BatchExtractionResult,
    ExtractedObject,
    ExtractedText,
    PictureExtraction,
)
from hearthwatch.prompt import (
    MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT,
    ONDEMAND_ENRICHMENT_SECTION,
    format_enhanced_clothing_context,
    format_florence_scene_context,
    format_ondemand_enrichment_context,
)
from hearthwatch.vision.boxes import Box
from prompt_scenes import BEFORE, LEFT, RIGHT
from prompt_signs import SIGNS

FLORENCE: dict[str, Any] = {
    "scene": "A person in dark clothes stands at a blue front door. A UPS van is parked on the street.",
    "security_objects": {"labels": ["person", "kitchen knife", "backpack", "toolbox"], "bboxes": []},
    "text_regions": {"labels": ["UPS", "NO PARKING"], "quad_boxes": []},
}
ONDEMAND: dict[str, Any] = {
    "threat": {
        "threats_detected": True,
        "threats": [{"type": "knife", "confidence": 0.87, "bbox": [10.0, 20.5, 30.0, 40.0]}],
        "highest_threat": {"type": "knife", "confidence": 0.87, "bbox": [10.0, 20.5, 30.0, 40.0]},
    },
    "pose": {
        "poses": [
            {"keypoints": [[1.0, 2.0]], "confidence": 0.92, "posture": "crouching"},
            {"keypoints": [[1.0, 2.0]], "confidence": 0.5, "posture": "arms_raised"},
        ]
    },
    "demographics": {"age_group": "young_adult", "gender": "male", "confidence": 0.78},
    "reid_embedding": [0.1] * 512,
    "action": {
        "top_action": "person picking lock",
        "confidence": 0.66,
        "all_scores": {"person picking lock": 0.66, "person hiding": 0.2, "person using tool on door": 0.1},
    },
    "reid_match": {"identity": "person_42", "similarity": 0.91, "sighting_count": 3},
}


def test_florences_dictionary_gives_the_documented_lines() -> None:
    assert format_florence_scene_context(FLORENCE) == (
        "### Scene Analysis (Florence-2)\n"
        "\n"
        "**Scene Description:**\n"
        "A person in dark clothes stands at a blue front door. A UPS van is parked on the street.\n"
        "\n"
        "**Objects Detected:** person, kitchen knife, backpack, toolbox\n"
        "- **HIGH RISK OBJECTS**: kitchen knife, toolbox\n"
        "\n"
        "**Visible Text:** UPS, NO PARKING"
    )


def test_the_ondemand_dictionary_gives_the_documented_lines() -> None:
    assert format_ondemand_enrichment_context(ONDEMAND) == (
        "### ⚠️ THREAT DETECTED\n"
        "- **Type**: KNIFE\n"
        "- **Confidence**: 87%\n"
        "- **Location**: [10.0, 20.5, 30.0, 40.0]\n"
        "\n"
        "### Body Posture Analysis\n"
        "- Person 1: crouching (confidence: 92%)\n"
        "- Person 2: arms_raised (confidence: 50%)\n"
        "\n"
        "### Person Demographics\n"
        "- **Estimated age group**: young_adult\n"
        "- **Gender**: male\n"
        "- **Confidence**: 78%\n"
        "\n"
        "### Detected Activity\n"
        "- **Primary action**: person picking lock\n"
        "- **Confidence**: 66%\n"
        "- **Alternative interpretations**: person picking lock, person hiding, person using tool on door\n"
        "\n"
        "### Person Recognition\n"
        "- **Match**: person_42\n"
        "- **Similarity**: 91%\n"
        "- **Previous sightings**: 3 times"
    )


@pytest.mark.parametrize("part", ["threat", "pose", "demographics", "action", "reid_match"])
def test_a_part_alone_is_its_section_alone(part: str) -> None:
    whole = format_ondemand_enrichment_context(ONDEMAND)
    alone = format_ondemand_enrichment_context({part: ONDEMAND[part]})
    assert alone in whole
    assert alone.count("###") == 1
    assert alone == alone.strip()
    without = format_ondemand_enrichment_context(ONDEMAND | {part: None})
    assert without.count("###") == 4


@pytest.mark.parametrize(
    "empty",
    [
        {},
        {"threat": {"threats_detected": False, "threats": [], "highest_threat": None}},
        {"threat": None, "pose": {"poses": []}, "demographics": None},
        EnrichmentResult(),
    ],
)
def test_nothing_to_say_is_nothing(empty: Any) -> None:
    assert format_ondemand_enrichment_context(empty) == ""


@pytest.mark.parametrize("missing", FLORENCE)
def test_what_florence_did_not_say_is_left_out(missing: str) -> None:
    told = format_florence_scene_context({**FLORENCE, missing: None})
    assert told.count("**") == format_florence_scene_context(FLORENCE).count("**") - (4 if "obj" in missing else 2)
    assert format_florence_scene_context({}) == "### Scene Analysis (Florence-2)"


@pytest.mark.parametrize(
    ("label", "risky"),
    [("weapon", True), ("Knife", True), ("a crowbar", True), ("tool", True), ("tools", True), ("toolbox", True),
     ("stool", False), ("penknife", False), ("person", False)],
)  # fmt: skip
def test_high_risk_words_begin_a_word(label: str, *, risky: bool) -> None:
    told = format_florence_scene_context({"security_objects": {"labels": [label]}})
    assert ("HIGH RISK" in told) == risky


def test_our_own_pictures_say_the_same_as_florences_dictionary() -> None:
    objects = tuple(ExtractedObject(label, LEFT) for label in FLORENCE["security_objects"]["labels"])
    texts = tuple(ExtractedText(text, LEFT, 0.9) for text in FLORENCE["text_regions"]["labels"])
    picture = PictureExtraction(("person-1",), FLORENCE["scene"], objects, texts)
    for ours in (picture, BatchExtractionResult([picture])):
        assert format_florence_scene_context(ours) == format_florence_scene_context(FLORENCE)
    assert format_florence_scene_context(BatchExtractionResult()) == format_florence_scene_context({})


def test_our_own_results_say_the_same_under_their_detection() -> None:
    knife = ThreatDetection("knife", 0.87, Box(10.0, 20.5, 30.0, 40.0), "high")
    known = EnrichmentResult(
        threat_results={"person-1": ThreatResult((knife,)), "person-2": ThreatResult()},
        pose_results={"person-1": pose(LEFT, "crouching", 0.92), "person-2": pose(RIGHT, alerts=("arms_raised",))},
        demographics_results={"person-1": DemographicsResult("20-29", "young_adult", 0.78, "male", 0.9, {})},
        action_results={"person-1": ActionResult(ONDEMAND["action"]["all_scores"])},
        person_reid_matches={
            "person-1": [EntityMatch("person_42", "person", How.APPEARANCE, 0.91, None, 3, BEFORE, BEFORE)],
            "person-2": [],
        },
    )
    first = {**ONDEMAND, "pose": {"poses": ONDEMAND["pose"]["poses"][:1]}}
    assert format_ondemand_enrichment_context(known) == (
        f"**Detection person-1**\n\n{format_ondemand_enrichment_context(first)}\n\n"
        "**Detection person-2**\n\n### Body Posture Analysis\n- Person 1: arms_raised (confidence: 90%)"
    )


def test_the_wire_answers_of_enrich_are_taken_as_they_stand() -> None:
    event = armed_event()
    assert event.enrichment.data is not None
    threat = event.enrichment.data.threat_results["person-1"].to_wire()
    action = ActionResult({f"label {i}": (10 - i) / 55 for i in range(10)}).to_wire()
    told = format_ondemand_enrichment_context({"threat": threat, "action": action, "pose": None, "status": "full"})
    assert "- **Type**: KNIFE\n- **Confidence**: 90%" in told
    assert told.endswith("interpretations**: label 0, label 1, label 2")


def test_what_a_face_does_not_tell_is_said_and_never_invented() -> None:
    ages = DemographicsResult("60-69", "senior", None, None, None, {})
    told = format_ondemand_enrichment_context({"demographics": ages.to_dict()})
    assert "- **Gender**: not told\n- **Confidence**: not told" in told
    nothing = DemographicsResult(None, None, None, None, None, {}, ("no face",))
    assert format_ondemand_enrichment_context({"demographics": nothing.to_dict()}) == ""


def test_a_weapon_at_nobody_has_a_section_of_its_own() -> None:
    rifle = ThreatDetection("rifle", 0.6, RIGHT, "critical")
    results = {key: ThreatResult(elsewhere=(rifle,)) for key in ("person-1", "person-2")}
    told = format_ondemand_enrichment_context(EnrichmentResult(threat_results=results))
    assert told.startswith("**At nobody**\n\n### ⚠️ THREAT DETECTED\n- **Type**: RIFLE\n")
    assert told.count("###") == 1


@pytest.mark.parametrize("sign", SIGNS.values(), ids=[*SIGNS])
def test_no_sign_adds_a_line_or_a_mark_to_a_section(sign: str) -> None:
    def marks(text: str) -> tuple[int, ...]:
        return tuple(text.count(mark) for mark in ("\n", "##", "**", "<", ">", "{", "`", "|", "[", "]"))

    def florence(text: str) -> str:
        labels = {"labels": [text, "person"]}
        return format_florence_scene_context({"scene": text, "security_objects": labels, "text_regions": labels})

    def ondemand(text: str) -> str:
        return format_ondemand_enrichment_context(
            {
                "threat": {"threats_detected": True, "highest_threat": {"type": text, "confidence": 0.9, "bbox": text}},
                "pose": {"poses": [{"posture": text, "confidence": 0.9}]},
                "demographics": {"age_group": text, "gender": text, "confidence": 0.9},
                "action": {"top_action": text, "confidence": 0.9, "all_scores": {text: 0.9}},
                "reid_match": {"identity": text, "similarity": 0.9, "sighting_count": 1},
            }
        )

    def clothing(text: str) -> str:
        group = {"top_match": text, "confidence": 0.9}
        return format_enhanced_clothing_context(dict.fromkeys(("suspicious", "delivery", "carrying", "casual"), group))

    for section in (florence, ondemand, clothing):
        told = section(sign)
        plain = section("a tool" if "HIGH RISK" in told else "x")
        assert marks(told)[:3] == marks(plain)[:3]
        assert marks(told)[3:] == marks(plain)[3:]
        assert all(line.replace("\ufe0f", "").isprintable() for line in told.split("\n"))


def test_the_documented_prompt_takes_its_section_and_no_sign_fills_another_place() -> None:
    assert ONDEMAND_ENRICHMENT_SECTION in MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT.replace("{{", "{")
    section = format_ondemand_enrichment_context(
        {"reid_match": ONDEMAND["reid_match"] | {"identity": "{ondemand_context}"}}
    )
    told = MODEL_ZOO_ENHANCED_RISK_ANALYSIS_PROMPT.format(ondemand_context=section)
    assert section in told
    assert told.count("## On-Demand Analysis Results") == 1
    assert '{"risk_score": ' in told
    assert ONDEMAND_ENRICHMENT_SECTION.format(ondemand_context=section) in told
