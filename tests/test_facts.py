"""Facts: what is known, about whom, and in which order."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.errors import InferenceFailed
from hearthwatch.models import (
    ENHANCED_CLOTHING_PROMPTS,
    ActionResult,
    ClothingClassificationResult,
    DemographicsResult,
    FaceResult,
    LicensePlateResult,
    ObjectDistance,
    PetClassificationResult,
    VehicleClassificationResult,
)
from hearthwatch.models.clothing import judge, matches
from hearthwatch.pipeline import DepthAnalysisResult, EnrichmentError, EnrichmentResult
from hearthwatch.prompt.fact import Fact, Importance, Scene
from hearthwatch.prompt.facts import collect_facts, kind_of
from hearthwatch.risk import assess
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES
from hearthwatch.vision.ages import AgeGroup
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.paint import Paint
from hearthwatch.vision.posture import POSTURES
from scene import SURE, detection, pose

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def facts_of(*detections: object, **known: object) -> Scene:
    return collect_facts(detections, EnrichmentResult(**known), NOON)  # type: ignore[arg-type]


def only(scene: Scene, kind: str) -> Fact:
    found = [fact for fact in scene.facts if fact.kind == kind]
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(
    ("class_name", "kind"),
    [
        *[(name, "vehicle") for name in VEHICLE_CLASSES],
        *[(name, "animal") for name in ANIMAL_CLASSES],
        ("person", "person"),
        ("Person", "person"),
        ("CAR", "vehicle"),
        ("carpet", "object"),
        ("persona", "object"),
        ("hot dog", "object"),
        ("bench", "object"),
        ("", "object"),
    ],
)
def test_a_class_is_of_its_kind_by_equality(class_name: str, kind: str) -> None:
    assert kind_of(class_name) == kind


@pytest.mark.parametrize("class_name", ["person", "car", "dog", "bench"])
def test_every_detection_is_a_presence_with_its_confidence(class_name: str) -> None:
    scene = facts_of(detection("d", class_name, confidence=0.6))
    expected = Fact("presence", kind_of(class_name), f"{class_name} in view", "d", 0.6, Importance.PRESENCE)
    assert scene.facts == (expected,)
    assert scene.subjects(kind_of(class_name)) == ["d"]
    assert scene.when == NOON


@pytest.mark.parametrize("posture", [word for word in POSTURES if word != "unknown"])
def test_a_posture_is_a_fact_in_words(posture: str) -> None:
    fact = only(facts_of(detection("p"), pose_results={"p": pose(posture)}), "posture")
    text = f"posture {posture.replace('_', ' ')}"
    assert fact == Fact("posture", posture, text, "p", SURE, Importance.POSTURE)


def test_an_unknown_posture_is_told_as_absent_and_never_as_a_posture() -> None:
    scene = facts_of(detection("p"), pose_results={"p": pose("unknown")})
    assert [fact.kind for fact in scene.of("p")] == ["presence", "absent"]
    assert "too few joints" in only(scene, "absent").text


def test_raised_arms_are_an_alert_beside_the_posture() -> None:
    scene = facts_of(detection("p"), pose_results={"p": pose("standing", alerts=("arms_raised", "suspicious_pose"))})
    assert only(scene, "alert") == Fact("alert", "arms_raised", "both arms raised", "p", SURE, Importance.POSTURE)


def test_what_the_application_says_is_a_fact() -> None:
    scene = facts_of(detection("p", known="Ada", zones=("drive", "gate"), dwell_s=61.4))
    assert [(f.kind, f.value, f.text, f.confidence) for f in scene.of("p")] == [
        ("known", "asserted", "known as 'Ada'", None),
        ("presence", "person", "person in view", SURE),
        ("zone", "drive", "in zone 'drive'", None),
        ("zone", "gate", "in zone 'gate'", None),
        ("dwell", "61.4", "in view for 61 s", None),
    ]


def test_a_face_and_a_plate_are_facts_of_their_own_detection() -> None:
    face = FaceResult(Box(1, 1, 5, 5), 0.8, ())
    plate = LicensePlateResult("AB12", "AB 12", 0.7, Box(1, 1, 5, 5))
    scene = facts_of(
        detection("p"), detection("c", "car"), face_by_detection={"p": face}, plate_by_detection={"c": plate}
    )
    assert only(scene, "face") == Fact("face", "visible", "face visible", "p", 0.8, Importance.IDENTITY)
    assert only(scene, "plate") == Fact("plate", "AB12", "plate reads 'AB12'", "c", 0.7, Importance.IDENTITY)


def test_a_pet_and_a_distance_are_context_and_move_no_score() -> None:
    distances = DepthAnalysisResult(
        {"c": ObjectDistance(0.2, 3.0, "close"), "d": ObjectDistance(0.1, 2.0, "very close")}
    )
    pets = {
        "c": PetClassificationResult("cat", "tabby", 0.9, is_household_pet=True),
        "d": PetClassificationResult("dog", "unknown", 0.1, is_household_pet=False),
    }
    scene = facts_of(detection("c", "cat"), detection("d", "dog"), pet_classifications=pets, depth_analysis=distances)
    told = {(fact.subject, fact.kind): (fact.value, fact.text, fact.confidence) for fact in scene.facts}
    assert told["c", "pet"] == ("cat", "cat (tabby) by a closer look", 0.9)
    assert told["d", "pet"] == ("neither", "neither a cat nor a dog by a closer look", None)
    assert told["c", "distance"] == ("close", "close in this picture", None)
    assert assess(scene).risk_score == assess(facts_of(detection("c", "cat"), detection("d", "dog"))).risk_score


def test_a_vehicle_looked_at_closely_is_context_and_moves_no_score() -> None:
    vehicles = {
        "v": VehicleClassificationResult("work_van", 0.9, color="white", color_confidence=0.7),
        "b": VehicleClassificationResult("pickup_truck", 0.8),
        "n": VehicleClassificationResult("unknown", 0.95),
    }
    things = detection("v", "truck"), detection("b", "car"), detection("n", "car")
    scene = facts_of(*things, vehicle_classifications=vehicles)
    told = {fact.subject: (fact.value, fact.text, fact.confidence) for fact in scene.facts if fact.kind == "vehicle"}
    assert told == {
        "v": ("work_van", "white work van, commercial, by a closer look", 0.9),
        "b": ("pickup_truck", "pickup truck by a closer look", 0.8),
        "n": ("unknown", "no vehicle by a closer look", None),
    }
    assert assess(scene).risk_score == assess(facts_of(*things)).risk_score


def clothes(word: str, *, color: str | None = None) -> ClothingClassificationResult:
    """Those of the prompts with a word, which are much nearer than the others."""
    cosines = {
        group: [8.0 if word in text else 0.0 for text in texts] for group, texts in ENHANCED_CLOTHING_PROMPTS.items()
    }
    return judge(matches(cosines), Paint(color, 0.8 if color else None, "" if color else "too dark"))


def test_clothes_are_context_and_only_those_that_hide_somebody_move_the_score() -> None:
    people = [detection(key) for key in "hucd"]
    worn = {
        "h": clothes("ski mask"),
        "u": clothes("UPS", color="brown"),
        "c": clothes("everyday", color="red"),
    }
    scene = facts_of(*people, clothing_classifications=worn)
    told = {fact.subject: fact for fact in scene.facts if fact.kind == "clothing"}
    assert set(told) == {"h", "u", "c"}
    assert (told["h"].value, told["h"].text, told["h"].importance) == (
        "suspicious", "person in ski mask or balaclava, which may hide who it is", Importance.POSTURE
    )  # fmt: skip
    assert (told["u"].value, told["u"].text) == ("uniform", "UPS driver in brown uniform")
    assert (told["c"].value, told["c"].text) == ("casual", "person in casual everyday clothes, mostly red")
    assert {told["u"].importance, told["c"].importance} == {Importance.CONTEXT}
    for key, more in (("h", 10), ("u", 0), ("c", 0)):
        alone = facts_of(detection(key), clothing_classifications={key: worn[key]})
        assert assess(alone).risk_score == assess(facts_of(detection(key))).risk_score + more


def test_an_action_is_told_with_its_confidence_and_moves_no_score() -> None:
    actions = {
        "s": ActionResult({"person picking lock": 0.7, "person walking normally": 0.3}),
        "w": ActionResult({"person walking normally": 0.9, "person picking lock": 0.1}),
        "o": ActionResult({"a person with a ladder": 1.0}),
    }
    people = detection("s"), detection("w"), detection("o")
    scene = facts_of(*people, action_results=actions)
    seen = [fact for fact in scene.facts if fact.kind == "action"]
    told = {fact.subject: (fact.value, fact.confidence, fact.importance) for fact in seen}
    assert told == {
        "s": ("person picking lock", 0.7, Importance.POSTURE),
        "w": ("person walking normally", 0.9, Importance.CONTEXT),
        "o": ("a person with a ladder", 1.0, Importance.CONTEXT),
    }
    assert {fact.text for fact in scene.of("s")} >= {"primary action 'person picking lock'"}
    assert assess(scene).risk_score == assess(facts_of(*people)).risk_score
    assert facts_of(*people, action_results=None).facts == facts_of(*people).facts


def test_depth_names_the_nearest_and_tells_all_in_order() -> None:
    depth = DepthAnalysisResult(
        {"a": ObjectDistance(0.5, 3.7, "moderate"), "b": ObjectDistance(0.1, 2.2, "very close")}
    )
    assert depth.closest_detection_id == "b"
    assert depth.to_context_string().splitlines() == [
        "b: Distance: very close (about 2 m, not calibrated)",
        "a: Distance: moderate (about 4 m, not calibrated)",
    ]
    assert DepthAnalysisResult().closest_detection_id is None


def test_what_was_not_run_and_what_failed_are_absent_with_the_reason() -> None:
    scene = facts_of(
        detection("p"),
        skipped={"p": {"depth_estimator": "not part of this version"}},
        structured_errors=[
            EnrichmentError("pose_estimator", "p", InferenceFailed.code, "it broke"),
            EnrichmentError("pose_estimator", "q", InferenceFailed.code, "somebody else's"),
        ],
    )
    assert [(fact.value, fact.text) for fact in scene.of("p") if fact.kind == "absent"] == [
        ("depth_estimator", "depth_estimator was not run: not part of this version"),
        ("pose_estimator", "pose_estimator failed: it broke"),
    ]


def test_a_weapon_is_the_first_fact_and_belongs_to_its_holder() -> None:
    scene = facts_of(detection("p", box=Box(0, 0, 50, 100)), detection("k", "knife", Box(10, 40, 40, 70)))
    weapon = scene.facts[0]
    assert (weapon.kind, weapon.value, weapon.subject) == ("weapon", "confirmed high", "p")
    assert weapon.importance is Importance.THREAT
    assert weapon.text == "knife (high), confirmed: sure, large enough, and at a person"


def test_a_weapon_in_nobodys_hand_belongs_to_the_scene() -> None:
    weapon = facts_of(detection("k", "knife")).facts[0]
    assert (weapon.value, weapon.subject) == ("candidate high", None)


def test_no_enrichment_leaves_what_the_detector_saw() -> None:
    scene = collect_facts([detection("p")], None, None)
    assert [fact.kind for fact in scene.facts] == ["presence"]
    assert scene.when is None
    assert collect_facts([], None, None).facts == ()


DETECTIONS = st.builds(
    lambda kind, known, zones, dwell: (kind, known, zones, dwell),
    st.sampled_from(["person", "car", "dog", "knife", "bench"]),
    st.none() | st.just("Ada"),
    st.sampled_from([(), ("drive",)]),
    st.none() | st.floats(0, 1000),
)


@settings(deadline=None)
@given(st.lists(DETECTIONS, max_size=5), st.lists(st.none() | st.sampled_from(POSTURES), min_size=5, max_size=5))
def test_facts_are_in_order_of_importance_and_never_leave_their_subject(
    rows: list[tuple[str, str | None, tuple[str, ...], float | None]], postures: list[str | None]
) -> None:
    detections = [
        detection(f"d{i}", kind, known=known, zones=zones, dwell_s=dwell)
        for i, (kind, known, zones, dwell) in enumerate(rows)
    ]
    poses = {f"d{i}": pose(posture) for i, posture in enumerate(postures) if posture is not None}
    scene = facts_of(*detections, pose_results=poses)
    assert [fact.importance for fact in scene.facts] == sorted(fact.importance for fact in scene.facts)
    for one in detections:
        alone = facts_of(one, pose_results=poses)
        # A weapon is given to who holds it; everything else is the subject's own.
        assert [f for f in scene.of(one.id) if f.kind != "weapon"] == [
            f for f in alone.of(one.id) if f.kind != "weapon"
        ]
    assert scene.subjects("person", "vehicle", "animal", "object") == [one.id for one in detections]


@pytest.mark.parametrize(
    ("group", "gender", "value"),
    [("senior", "female", "senior, female"), ("young_adult", None, "young adult"), (None, "male", "male")],
)
def test_an_age_and_a_gender_are_estimates_that_raise_no_risk(
    group: AgeGroup | None, gender: str | None, value: str
) -> None:
    found = DemographicsResult("60-69" if group else None, group, 0.9 if group else None, gender, 0.8, {})
    scene, without = facts_of(detection("p"), demographics_results={"p": found}), facts_of(detection("p"))
    fact = only(scene, "demographics")
    assert (fact.value, fact.subject, fact.importance) == (value, "p", Importance.CONTEXT)
    assert fact.text == f"{value} by appearance (an estimate, which must not raise the risk)"
    assert assess(scene) == assess(without)
