"""Facts: what is known, about whom, and in which order."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import quality, seen_before, vote, whole_findings, writing
from hearthwatch.errors import InferenceFailed
from hearthwatch.gallery import HouseholdMatch, How
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
    VehicleDamageResult,
    ViolenceDetectionResult,
    WeatherResult,
)
from hearthwatch.models.clothing import judge, matches
from hearthwatch.pipeline import DepthAnalysisResult, EnrichmentError, EnrichmentResult, SceneChangeResult
from hearthwatch.pipeline.approach import Approach
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


def test_an_event_is_of_its_camera_else_of_that_of_its_detections() -> None:
    seen = [detection("p"), detection("q", camera="drive"), detection("r", camera="porch")]
    assert collect_facts([], None, None, "garden").camera == "garden"
    assert collect_facts(seen, None, None, "garden").camera == "garden"
    assert collect_facts(seen, None, None).camera == "drive"
    assert collect_facts(seen[:1], None, None).camera is None


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


# ------------------------------------------------------------------------------------ the picture, and several pictures


def test_a_busy_scene_has_a_fact_of_every_documented_kind() -> None:
    """The kinds that `Fact` lists are those that there are."""
    person, car, cat = detection("p", known="Ada", zones=("drive",), dwell_s=61), detection("c", "car"), "d"
    found = whole_findings("p", "c", "a word") | {
        "pose_results": {"p": pose("crouching", alerts=("arms_raised",))},
        "face_by_detection": {"p": FaceResult(Box(1, 1, 5, 5), 0.8, ())},
        "plate_by_detection": {"c": LicensePlateResult("AB12", "AB 12", 0.7, Box(1, 1, 5, 5))},
        "demographics_results": {"p": DemographicsResult("60-69", "senior", 0.9, "male", 0.8, {})},
        "clothing_classifications": {"p": clothes("everyday")},
        "pet_classifications": {cat: PetClassificationResult("cat", "tabby", 0.9, is_household_pet=True)},
        "vehicle_classifications": {"c": VehicleClassificationResult("work_van", 0.9)},
        "action_results": {"p": ActionResult({"person walking": 1.0})},
    }
    scene = facts_of(person, car, detection(cat, "cat"), detection("k", "knife"), **found)
    documented = set(re.findall(r"`(\w+)`", str(Fact.__doc__).partition("kind:")[2].partition("value:")[0]))
    # What was looked for in vain is a fact of the prompt alone.
    assert {fact.kind for fact in scene.facts} == documented - {"nothing"}
    assert [fact.importance for fact in scene.facts] == sorted(fact.importance for fact in scene.facts)


@pytest.mark.parametrize(
    ("how", "by"),
    [(How.FACE, "by face"), (How.PLATE, "by its plate"), (How.APPEARANCE, "by appearance alone")],
)
def test_a_household_match_says_by_what_and_belongs_to_its_detection(how: How, by: str) -> None:
    people = [HouseholdMatch("Ada", "person", how, 0.8, 0.2, "test", "p")]
    cars = [HouseholdMatch("the van", "vehicle", how, 0.8, 0.2, "test", "c")]
    scene = facts_of(
        detection("p"), detection("q"), detection("c", "car"),
        person_household_matches=people, vehicle_household_matches=cars,
    )  # fmt: skip
    told = {fact.subject: fact for fact in scene.facts if fact.kind == "household"}
    text = f"may be 'Ada', somebody of this household, {by}"
    assert told["p"] == Fact("household", how.value, text, "p", None, Importance.IDENTITY)
    assert told["c"].text == f"may be 'the van', a vehicle of this household, {by}"
    assert set(told) == {"p", "c"}


def test_a_gallerys_own_answer_without_a_detection_is_no_fact() -> None:
    match = HouseholdMatch("Ada", "person", How.FACE, 0.8, 0.2)
    assert [fact.kind for fact in facts_of(detection("p"), person_household_matches=[match]).facts] == ["presence"]


def test_somebody_seen_before_is_told_with_how_often_and_where_last() -> None:
    matches = {"p": [seen_before(times=3), seen_before("other", times=9)], "q": [seen_before(times=1, camera=None)]}
    scene = facts_of(detection("p"), detection("q"), person_reid_matches=matches)
    told = {fact.subject: (fact.value, fact.text) for fact in scene.facts if fact.kind == "seen_before"}
    last = "last on 2026-01-03 23:15"
    assert told == {
        "p": ("3", f"probably seen 3 times before (by appearance alone), {last} at 'porch'"),
        "q": ("1", f"probably seen once before (by appearance alone), {last}"),
    }


def test_somebody_new_and_a_first_visit_that_goes_on_are_not_seen_before() -> None:
    matches = {"p": [], "q": [seen_before(times=0)]}
    kinds = [fact.kind for fact in facts_of(detection("p"), detection("q"), person_reid_matches=matches).facts]
    assert kinds == ["presence", "presence"]


def test_damage_is_told_where_there_is_some() -> None:
    damaged = whole_findings("p", "c", "dent")["vehicle_damage"] | {"d": VehicleDamageResult()}
    scene = facts_of(detection("c", "car"), detection("d", "car"), vehicle_damage=damaged)
    assert only(scene, "damage") == Fact("damage", "dent", "damage seen: dent", "c", 0.8, Importance.CONTEXT)


@pytest.mark.parametrize("movement", ["approaching", "receding", "still", None])
def test_which_way_somebody_moves_is_told_where_it_is_known(movement: str | None) -> None:
    moves = {"p": Approach(movement, "by its height")}  # type: ignore[arg-type]
    depth = DepthAnalysisResult({"p": ObjectDistance(0.2, 3.0, "close")}, moves)
    told = [fact for fact in facts_of(detection("p"), depth_analysis=depth).facts if fact.kind == "movement"]
    text = f"{movement}: by its height"
    assert told == ([Fact("movement", movement, text, "p", None, Importance.CONTEXT)] if movement else [])


def test_a_contradiction_is_told_with_both_sides_at_its_detection() -> None:
    conflicts = whole_findings("p", "c", "word")["conflicts"]
    fact = only(facts_of(detection("p"), detection("c", "car"), conflicts=conflicts), "conflict")
    text = "detector: word (90%) against vehicle_classifier: word (90%): both are sure: one of them is wrong"
    assert fact == Fact("conflict", "no_vehicle", text, "c", None, Importance.CONTEXT)


def test_a_plate_that_several_frames_read_is_told_as_they_say_together() -> None:
    plates = {"c": LicensePlateResult("A812", "A8 12", 0.7, Box(1, 1, 5, 5))}
    car = detection("c", "car")

    def told(**votes: object) -> tuple[str, str, float | None]:
        fact = only(facts_of(car, plate_by_detection=plates, **votes), "plate")
        return fact.value, fact.text, fact.confidence

    assert told(plate_votes={"c": vote("AB12")}) == ("AB12", "plate reads 'AB12' in 2 of 3 readings", 0.8)
    single = ("A812", "plate reads 'A812'", 0.7)
    assert told() == told(plate_votes={"c": vote("A812", readings=1)}) == single
    undecided = vote("", reason="1 of 4 characters are undecided")
    text = "plate reads 'A812' in this picture; 3 readings do not decide it (1 of 4 characters are undecided)"
    assert told(plate_votes={"c": undecided}) == ("A812", text, 0.7)


def test_a_plate_that_is_unreadable_now_is_told_by_the_frames_that_read_it() -> None:
    plates = {"c": LicensePlateResult("", "", 0.0, Box(1, 1, 5, 5))}
    car = detection("c", "car")
    assert only(facts_of(car, plate_by_detection=plates, plate_votes={"c": vote("AB12")}), "plate").value == "AB12"
    assert "cannot be read" in only(facts_of(car, plate_by_detection=plates), "absent").text


@pytest.mark.parametrize(
    ("violence", "value", "text", "importance"),
    [
        (ViolenceDetectionResult(is_violent=True, confidence=0.7), "suspected", "people may be fighting",
         Importance.THREAT),
        (ViolenceDetectionResult(is_violent=True, confidence=0.7, category="kick"), "suspected",
         "people may be fighting (kick)", Importance.THREAT),
        (ViolenceDetectionResult(is_violent=False, confidence=0.7), "none", "nobody seems to fight",
         Importance.CONTEXT),
    ],
)  # fmt: skip
def test_a_fight_is_suspected_and_never_certain(
    violence: ViolenceDetectionResult, value: str, text: str, importance: Importance
) -> None:
    scene = facts_of(detection("p"), violence_detection=violence)
    assert only(scene, "violence") == Fact("violence", value, text, None, 0.7, importance)
    assert scene.of("p") == facts_of(detection("p")).of("p")


def test_the_weather_is_context_of_the_scene() -> None:
    fact = only(facts_of(weather_classification=WeatherResult("rain", 0.8)), "weather")
    assert fact == Fact("weather", "rain", "the weather looks like rain", None, 0.8, Importance.CONTEXT)


def test_tampering_is_told_where_it_is_suspected_and_not_where_nobody_can_tell() -> None:
    suspected = facts_of(image_quality=quality(tampering=True, reason="half of it is blank"))
    text = "the camera may have been tampered with: half of it is blank"
    assert suspected.facts == (Fact("tampering", "suspected", text, None, None, Importance.POSTURE),)
    for unknown in (False, None):
        assert facts_of(image_quality=quality(tampering=unknown)).facts == ()


def test_a_bad_picture_is_told_with_its_faults_and_a_good_one_is_no_fact() -> None:
    fact = only(facts_of(image_quality=quality(sharpness=0.3)), "image_quality")
    text = "the picture is blurred, so that less can be seen"
    assert fact == Fact("image_quality", "blurred", text, None, None, Importance.CONTEXT)
    assert facts_of(image_quality=quality()).facts == ()


def test_a_view_that_changed_is_told_and_one_that_did_not_or_cannot_be_told_is_not() -> None:
    changed = facts_of(scene_change=SceneChangeResult(True, "it was turned"))
    text = "the camera's view has changed: it was turned"
    assert changed.facts == (Fact("scene_change", "changed", text, None, None, Importance.POSTURE),)
    for other in (False, None):
        assert facts_of(scene_change=SceneChangeResult(other, "first picture")).facts == ()


def test_writing_is_quoted_and_a_plates_is_told_with_its_vehicle_alone() -> None:
    fact = only(facts_of(vision_extraction=writing("no parking")), "text")
    text = "writing in the picture reads 'no parking'"
    assert fact == Fact("text", "no parking", text, None, 0.9, Importance.CONTEXT)
    assert facts_of(detection("c", "car"), vision_extraction=writing("AB 12", "c")).facts == (
        Fact("presence", "vehicle", "car in view", "c", SURE, Importance.PRESENCE),
    )


def test_what_nobody_looked_for_in_the_picture_is_absent_of_the_scene_with_the_reason() -> None:
    scene = facts_of(
        detection("p"),
        skipped_of_pictures={"weather_classifier": "no weights installed"},
        structured_errors=[EnrichmentError("scene_text", None, InferenceFailed.code, "it broke")],
    )
    assert [(f.value, f.text, f.subject) for f in scene.facts if f.kind == "absent"] == [
        ("weather_classifier", "weather_classifier was not run: no weights installed", None),
        ("scene_text", "scene_text failed: it broke", None),
    ]
