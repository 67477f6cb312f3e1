"""The rules of risk: every row of the table, every bound, and what may never happen whoever is in the picture."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import quality
from hearthwatch.gallery import HouseholdMatch, How
from hearthwatch.models import ENHANCED_CLOTHING_PROMPTS, PoseResult, ViolenceDetectionResult
from hearthwatch.models.clothing import judge, matches
from hearthwatch.models.threat_detector import SEVERITIES
from hearthwatch.pipeline import DetectionInput, EnrichmentResult, SceneChangeResult
from hearthwatch.prompt.fact import Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.prompt.weapons import weapons_of
from hearthwatch.risk import Reason, RiskAssessment, assess, level_of
from hearthwatch.risk.bounds import HOUSEHOLD
from hearthwatch.risk.points import DOCUMENTED, VERSION
from hearthwatch.risk.rules import is_night
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.paint import Paint
from hearthwatch.vision.posture import POSTURES, SUSPICIOUS_POSTURES
from scene import detection, pose

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NIGHT = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
BODY = Box(0, 0, 100, 200)
IN_HAND = Box(30, 80, 70, 120)
FAR = Box(600, 600, 640, 640)


Poses = Mapping[str, PoseResult]


@dataclass
class Happening:
    """Detections and what is known about them, as it would come out of the pipeline.

    Attributes:
        more: further fields of `EnrichmentResult`.
    """

    detections: list[DetectionInput] = field(default_factory=list)
    poses: dict[str, PoseResult] = field(default_factory=dict)
    when: datetime | None = NOON
    more: Mapping[str, Any] = field(default_factory=dict)

    def scene(self) -> Scene:
        return collect_facts(self.detections, EnrichmentResult(pose_results=self.poses, **self.more), self.when)

    def assess(self) -> RiskAssessment:
        return assess(self.scene())

    def with_one_more(self, newcomer: DetectionInput, found: PoseResult | None = None) -> Happening:
        poses = self.poses | ({} if found is None else {newcomer.id: found})
        return replace(self, detections=[*self.detections, newcomer], poses=poses)

    def with_matches(self, matches: Sequence[HouseholdMatch]) -> Happening:
        """The same where the gallery takes some of them for the household."""
        people, vehicles = ([match for match in matches if match.kind == kind] for kind in ("person", "vehicle"))
        named = {"person_household_matches": people, "vehicle_household_matches": vehicles}
        return replace(self, more={**self.more, **named})


def score(*detections: DetectionInput, when: datetime | None = NOON, poses: Poses | None = None) -> int:
    return Happening(list(detections), dict(poses or {}), when).assess().risk_score


def person(key: str = "p", box: Box = BODY, **fields: Any) -> DetectionInput:
    return detection(key, "person", box, **fields)


def weapon(name: str, box: Box = IN_HAND, confidence: float = 0.9, key: str = "w") -> DetectionInput:
    return detection(key, name, box, confidence=confidence)


# ------------------------------------------------------------------------------------------------------------- levels


@pytest.mark.parametrize(
    ("points", "level"),
    [(0, "low"), (29, "low"), (30, "medium"), (59, "medium"), (60, "high"), (84, "high"), (85, "critical"),
     (100, "critical")],
)  # fmt: skip
def test_a_level_begins_where_the_design_says(points: int, level: str) -> None:
    assert level_of(points) == level
    assert RiskAssessment(points, "", "", (), "rules", VERSION).risk_level == level


@pytest.mark.parametrize("points", [-1, 101])
def test_a_score_outside_the_scale_has_no_level(points: int) -> None:
    with pytest.raises(ValueError, match=f"0 to 100; got {points}"):
        level_of(points)


def test_a_reason_tells_its_points() -> None:
    assert [str(Reason(5, "a")), str(Reason(-5, "b")), str(Reason(0, "c"))] == ["+5 a", "-5 b", "c"]


# ---------------------------------------------------------------------------------------------------------- the table


def test_nothing_in_view_is_no_risk_and_says_so() -> None:
    risk = Happening().assess()
    assert (risk.risk_score, risk.risk_level, risk.source, risk.version) == (0, "low", "rules", VERSION)
    assert risk.summary == "Nobody and nothing of interest is in view."
    assert "no rule applies" in risk.reasoning


@pytest.mark.parametrize(
    ("class_name", "points"),
    [("person", 20), *[(name, 5) for name in VEHICLE_CLASSES], *[(name, 2) for name in ANIMAL_CLASSES], ("bench", 0)],
)
def test_being_there(class_name: str, points: int) -> None:
    assert score(detection("d", class_name)) == points
    assert score(detection("d", class_name.upper())) == points


POSTURE_POINTS = {
    "hiding": 25, "crawling": 25, "lying_down": 20, "crouching": 15, "reaching_up": 10, "running": 10,
}  # fmt: skip


@pytest.mark.parametrize("posture", POSTURES)
def test_a_posture(posture: str) -> None:
    assert score(person(), poses={"p": pose(posture)}) == 20 + POSTURE_POINTS.get(posture, 0)


def test_every_suspicious_posture_counts() -> None:
    assert set(SUSPICIOUS_POSTURES) <= set(POSTURE_POINTS)


def test_raised_arms() -> None:
    assert score(person(), poses={"p": pose(alerts=("arms_raised",))}) == 30


CONFIRMED = {"critical": 65, "high": 50, "medium": 25}
CANDIDATE = {"critical": 30, "high": 20, "medium": 10}


@pytest.mark.parametrize(("name", "severity"), SEVERITIES.items(), ids=str)
def test_a_weapon_counts_by_its_severity_and_by_whether_it_is_confirmed(name: str, severity: str) -> None:
    assert score(person(), weapon(name)) == 20 + CONFIRMED[severity]
    assert score(person(), weapon(name, confidence=0.79)) == 20 + CANDIDATE[severity]
    assert score(person(), weapon(name, FAR)) == 20 + CANDIDATE[severity]
    assert score(weapon(name)) == CANDIDATE[severity]


@pytest.mark.parametrize(
    ("hour", "minute", "night"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (5, 59, True), (6, 0, False), (12, 0, False)],
)
def test_night_is_from_ten_to_six(hour: int, minute: int, night: bool) -> None:
    when = datetime.combine(NOON.date(), time(hour, minute))
    assert is_night(when) is night
    assert score(person(), when=when) == (35 if night else 20)


def test_night_ends_and_begins_to_the_second() -> None:
    assert not is_night(datetime.combine(NOON.date(), time(21, 59, 59, 999999)))
    assert is_night(datetime.combine(NOON.date(), time(5, 59, 59, 999999)))


@pytest.mark.parametrize("class_name", ["car", "dog"])
def test_night_counts_for_persons_only(class_name: str) -> None:
    assert score(detection("d", class_name), when=NIGHT) == score(detection("d", class_name), when=NOON)


def test_an_unknown_time_adds_nothing_and_says_so() -> None:
    risk = Happening([person()], when=None).assess()
    assert risk.risk_score == 20
    assert "The time is not known, so night adds nothing." in risk.reasoning
    for when in (NOON, NIGHT):
        assert "not known" not in Happening([person()], when=when).assess().reasoning


@pytest.mark.parametrize(("dwell", "points"), [(None, 0), (0, 0), (59.9, 0), (60, 10), (3600, 10)])
@pytest.mark.parametrize(("class_name", "base"), [("person", 20), ("car", 5), ("dog", 2)])
def test_staying_for_a_minute(class_name: str, base: int, dwell: float | None, points: int) -> None:
    assert score(detection("d", class_name, dwell_s=dwell)) == base + points


@pytest.mark.parametrize(("count", "points"), [(1, 0), (2, 5), (3, 10), (4, 10), (9, 10)])
def test_company(count: int, points: int) -> None:
    assert score(*(person(f"p{i}") for i in range(count))) == 20 + points


def test_only_strangers_are_company_and_only_persons() -> None:
    assert score(person("a"), person("b", known="Ada")) == 20
    assert score(person("a"), detection("c", "car"), detection("d", "dog")) == 20


def test_somebody_known_takes_away_what_he_added_and_no_more() -> None:
    assert score(person(known="Ada")) == 0
    assert score(person(known="Ada"), poses={"p": pose("crouching")}) == 15
    assert score(person(known="Ada"), when=NIGHT) == 15
    reasons = Happening([person(known="Ada")]).assess().reasons
    assert [reason.points for reason in reasons] == [20, -20]


def test_a_known_vehicle_or_animal_is_as_it_was() -> None:
    assert score(detection("c", "car", known="the neighbour's")) == 5
    assert score(detection("d", "dog", known="Rex")) == 2


def test_a_weapon_in_the_hand_of_somebody_known_still_counts() -> None:
    assert score(person(known="Ada"), weapon("knife")) == 50
    assert score(person(known="Ada"), weapon("knife", confidence=0.5)) == 20


def test_the_scene_is_as_risky_as_its_riskiest_subject() -> None:
    assert score(person("a"), person("b", known="Ada"), detection("c", "car"), poses={"a": pose("crouching")}) == 35
    assert score(person("a", dwell_s=100), detection("c", "car", dwell_s=100)) == 30


def test_every_reason_belongs_to_who_it_is_about() -> None:
    happening = Happening(
        [person("a"), person("b"), weapon("knife", FAR)], {"a": pose("crouching"), "b": pose("running")}, NIGHT
    )
    reasons = happening.assess().reasons
    assert [(r.points, r.subject) for r in reasons] == [
        (20, "a"),
        (15, "a"),
        (15, "a"),
        (20, None),
        (5, None),
        (0, None),
    ]
    assert [r.text for r in reasons if r.subject is None] == [
        "knife (high), unconfirmed: in nobody's hand (90%)",
        "2 people together",
        "held at 59: nothing confirmed makes it more than medium",
    ]


def test_the_summary_counts_and_names_what_matters() -> None:
    happening = Happening(
        [person("a"), person("b"), detection("c", "car"), weapon("axe", FAR)], {"a": pose("lying_down")}
    )
    assert happening.assess().summary == (
        "Two people, a car and an axe in view; weapon: axe (high), unconfirmed: in nobody's hand, 1 lying down."
    )


FIGHT = {"violence_detection": ViolenceDetectionResult(is_violent=True, confidence=0.7)}
COVERED = {"image_quality": quality(tampering=True, reason="half of it is blank")}
TURNED = {"scene_change": SceneChangeResult(True, "it was turned")}
IN_THE_PICTURE: list[tuple[Mapping[str, Any], int, str]] = [
    (FIGHT, 25, "people may be fighting (70%)"),
    (COVERED, 15, "the camera may have been tampered with: half of it is blank"),
    (TURNED, 10, "the camera's view has changed: it was turned"),
    ({"violence_detection": ViolenceDetectionResult(is_violent=True, confidence=0.69)}, 0, ""),
    ({"violence_detection": ViolenceDetectionResult(is_violent=False, confidence=0.9)}, 0, ""),
    ({"image_quality": quality(tampering=False)}, 0, ""),
    ({"image_quality": quality(sharpness=0.1, reason="fewer than 5 earlier pictures")}, 0, ""),
    ({"scene_change": SceneChangeResult(False)}, 0, ""),
    ({"scene_change": SceneChangeResult(None, "first picture of this camera")}, 0, ""),
]


@pytest.mark.parametrize(("more", "points", "text"), IN_THE_PICTURE)
@pytest.mark.parametrize("people", [0, 1])
def test_what_is_true_of_the_picture_counts_whoever_is_in_it(
    more: Mapping[str, Any], points: int, text: str, people: int
) -> None:
    risk = Happening([person()] * people, more=more).assess()
    assert risk.risk_score == 20 * people + points
    assert [reason for reason in risk.reasons if reason.subject is None] == ([Reason(points, text)] if points else [])


def test_nobody_known_takes_away_what_is_true_of_the_picture() -> None:
    assert Happening([person(known="Ada")], more={**FIGHT, **COVERED, **TURNED}).assess().risk_score == 50


def test_the_record_of_the_decision_has_the_numbers_of_the_code() -> None:
    record = (Path(__file__).parents[1] / "docs/decisions/0017-rules-3.md").read_text(encoding="utf-8")
    assert f"the table `{VERSION}`" in record.splitlines()[0]
    points = [int(cell) for cell in re.findall(r"^\| [^|]+ \| ([+-]\d+) \|", record, re.MULTILINE)]
    of_the_picture = [DOCUMENTED.violence, DOCUMENTED.tampering, DOCUMENTED.scene_changed]
    assert points == [*of_the_picture, *(HOUSEHOLD[how] for how in ("appearance", "plate", "face"))]
    assert set(HOUSEHOLD) == {how.value for how in How}
    assert f"sure from {DOCUMENTED.violence_from:.2f}" in record


#: What looking like somebody of the household lowers, at most.
LIKENESS = {How.FACE: 20, How.PLATE: 15, How.APPEARANCE: 10}


def match(key: str, how: How, kind: str = "person") -> HouseholdMatch:
    return HouseholdMatch("Ada", kind, how, 0.9, 0.2, "test", key)  # type: ignore[arg-type]


@pytest.mark.parametrize("how", How)
def test_looking_like_the_household_lowers_by_what_it_was_told(how: How) -> None:
    happening = Happening([person()], {"p": pose("crouching")}).with_matches([match("p", how)])
    risk = happening.assess()
    assert risk.risk_score == 35 - LIKENESS[how]
    assert risk.reasons[-1].points == -LIKENESS[how]
    assert "may be 'Ada'" in risk.reasons[-1].text


@pytest.mark.parametrize("how", How)
def test_a_vehicle_like_the_households_loses_what_it_added_and_no_more(how: How) -> None:
    assert Happening([detection("c", "car")]).with_matches([match("c", how, "vehicle")]).assess().risk_score == 0
    stays = Happening([detection("c", "car", dwell_s=100)]).with_matches([match("c", how, "vehicle")])
    assert stays.assess().risk_score == max(0, 15 - LIKENESS[how])


def test_of_several_likenesses_the_strongest_counts_and_once() -> None:
    happening = Happening([person(dwell_s=100)], {"p": pose("crouching")})
    for order in permutations(match("p", how) for how in How):
        assert happening.with_matches(order).assess().risk_score == 45 - 20


def test_whom_the_application_knows_is_not_lowered_twice() -> None:
    happening = Happening([person(known="Ada", dwell_s=100)], {"p": pose("crouching")})
    assert happening.with_matches([match("p", How.FACE)]).assess() == happening.assess()


def test_a_likeness_is_company_all_the_same_and_lowers_nothing_of_the_stranger() -> None:
    """Only who is known is no company: a likeness is none."""
    people = Happening([person("p"), person("q")], {"q": pose("crouching")})
    assert people.with_matches([match("p", How.FACE)]).assess() == people.assess()
    assert people.assess().risk_score == 40


def test_a_likeness_takes_no_confirmed_weapon_below_medium() -> None:
    risk = Happening([person(), weapon("bat")]).with_matches([match("p", How.FACE)]).assess()
    assert (risk.risk_score, risk.risk_level) == (30, "medium")


# ------------------------------------------------------------------------------------------------------------- bounds


def test_neither_a_fight_nor_a_covered_camera_is_more_than_medium_by_itself() -> None:
    more = {**FIGHT, **COVERED, **TURNED}
    risk = Happening([person("a"), person("b")], {"a": pose("crawling")}, NIGHT, more).assess()
    assert sum(reason.points for reason in risk.reasons) == 60 + 5 + 50
    assert (risk.risk_score, risk.risk_level) == (59, "medium")


def test_a_dog_before_a_covered_camera_is_low() -> None:
    risk = Happening([detection("d", "dog")], more=COVERED).assess()
    assert risk.risk_score == 15
    assert risk.reasons[-1].text == "held at 15: only animals are in view"


def test_nothing_unconfirmed_is_more_than_medium() -> None:
    happening = Happening([person(dwell_s=100), weapon("rifle", confidence=0.79)], {"p": pose("crawling")}, NIGHT)
    risk = happening.assess()
    assert (risk.risk_score, risk.risk_level) == (59, "medium")
    assert risk.reasons[-1] == Reason(0, "held at 59: nothing confirmed makes it more than medium")
    confirmed = replace(happening, detections=[person(dwell_s=100), weapon("rifle", confidence=0.8)]).assess()
    assert (confirmed.risk_score, confirmed.risk_level) == (100, "critical")


def test_a_confirmed_weapon_is_never_low() -> None:
    risk = Happening([person(known="Ada"), weapon("bat")]).assess()
    assert (risk.risk_score, risk.risk_level) == (30, "medium")
    assert risk.reasons[-1] == Reason(0, "raised from 25 to 30: a confirmed weapon is never low")


def test_the_end_of_the_scale_is_a_bound_that_is_told() -> None:
    risk = Happening([person(), weapon("gun")], {"p": pose("crawling")}, NIGHT).assess()
    assert sum(reason.points for reason in risk.reasons) == 125
    assert risk.risk_score == 100
    assert risk.reasons[-1] == Reason(0, "held at 100 of 125: the scale ends there")


@pytest.mark.parametrize("when", [NOON, NIGHT, None], ids=str)
@pytest.mark.parametrize("kinds", [["dog"], ["cat", "bird"], ["dog"] * 9], ids=str)
def test_animals_alone_are_at_most_fifteen(kinds: list[str], when: datetime | None) -> None:
    animals = [
        detection(f"d{i}", kind, dwell_s=9999.0, zones=("gate", "drive"), known="Rex") for i, kind in enumerate(kinds)
    ]
    assert score(*animals, when=when) <= 15


def test_the_bound_for_animals_holds_for_facts_that_no_rule_foresaw() -> None:
    """No rule brings an animal above it today, so the facts are doubled."""
    scene = Happening([detection("d", "dog", dwell_s=100)]).scene()
    doubled = replace(scene, facts=(*scene.facts, *[fact for fact in scene.facts if fact.kind == "dwell"]))
    risk = assess(doubled)
    assert risk.risk_score == 15
    assert risk.reasons[-1] == Reason(0, "held at 15: only animals are in view")


def test_an_animal_beside_a_weapon_is_no_animal_alone() -> None:
    assert score(detection("d", "dog"), weapon("gun", FAR)) == 32


# --------------------------------------------------------------------------------------------------------- properties

SIDES = st.integers(0, 400)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w + 1, y + h + 1), SIDES, SIDES, SIDES, SIDES)
WHEN = st.sampled_from([None, NOON, NIGHT])
DWELL = st.none() | st.floats(0, 200)
SEEN = st.none() | st.builds(
    pose,
    st.sampled_from(POSTURES),
    wrist=st.none() | st.tuples(SIDES, SIDES),
    alerts=st.sampled_from([(), ("arms_raised",)]),
)
LIVING = st.tuples(st.sampled_from(["person", "person", "person", "car", "dog", "bench"]), BOXES, DWELL,
                   st.none() | st.just("Ada"), SEEN)  # fmt: skip
#: Boxes that people are likely to hold, and others.
THINGS = st.tuples(st.sampled_from(sorted(SEVERITIES)), BOXES, st.floats(0, 1))


@st.composite
def happenings(draw: st.DrawFn) -> Happening:
    chosen = draw(st.lists(st.sampled_from([more for more, _, _ in IN_THE_PICTURE]), max_size=3))
    happening = Happening(when=draw(WHEN), more={name: found for more in chosen for name, found in more.items()})
    for i, (kind, box, dwell, known, seen) in enumerate(draw(st.lists(LIVING, max_size=4))):
        newcomer = detection(f"d{i}", kind, box, dwell_s=dwell, known=known)
        happening = happening.with_one_more(newcomer, seen if kind == "person" else None)
    for i, (name, box, confidence) in enumerate(draw(st.lists(THINGS, max_size=2))):
        happening = happening.with_one_more(weapon(name, box, confidence, f"w{i}"))
    return happening


@st.composite
def likenesses(draw: st.DrawFn, happening: Happening, hows: Sequence[How] = tuple(How)) -> list[HouseholdMatch]:
    """At most one match of each person and vehicle, as the pipeline gives them."""
    kinds = {"person": "person", "car": "vehicle"}
    able = [one for one in happening.detections if one.class_name in kinds]
    drawn = [(one, draw(st.none() | st.sampled_from(hows))) for one in able]
    return [match(one.id, how, kinds[one.class_name]) for one, how in drawn if how is not None]


def is_armed(happening: Happening) -> bool:
    return any(found.confirmed for found in weapons_of(happening.detections, happening.poses))


@settings(deadline=None)
@given(happenings())
def test_a_score_is_on_the_scale_and_the_level_is_its_own(happening: Happening) -> None:
    risk = happening.assess()
    assert 0 <= risk.risk_score <= 100
    assert risk.risk_level == level_of(risk.risk_score)
    assert risk.reasoning.startswith(f"{risk.risk_level.capitalize()} ({risk.risk_score} of 100)")


@settings(deadline=None)
@given(happenings())
def test_reasons_sum_to_the_score_before_its_bounds(happening: Happening) -> None:
    risk = happening.assess()
    total = sum(reason.points for reason in risk.reasons)
    bounds = [reason.text for reason in risk.reasons if reason.points == 0]
    assert (risk.risk_score == total) == (bounds == [])
    assert risk.risk_score in {total, 15, 30, 59, 100}


@settings(deadline=None)
@given(happenings())
def test_confirmation_decides_on_which_side_of_its_bound_a_score_is(happening: Happening) -> None:
    risk = happening.assess()
    if is_armed(happening):
        assert risk.risk_score >= 30
    else:
        assert risk.risk_score <= 59


@settings(deadline=None)
@given(happenings())
def test_animals_alone_are_low(happening: Happening) -> None:
    animals = [one for one in happening.detections if one.class_name in {"dog", "bench"}]
    assert Happening(animals, {}, happening.when).assess().risk_score <= 15


@settings(deadline=None)
@given(happenings(), st.randoms(use_true_random=False))
def test_the_order_of_detections_means_nothing(happening: Happening, shuffled: Any) -> None:
    expected = happening.assess()
    other = replace(happening, detections=list(happening.detections))
    shuffled.shuffle(other.detections)
    found = other.assess()
    assert (found.risk_score, found.risk_level) == (expected.risk_score, expected.risk_level)
    assert happening.assess() == expected


def test_order_means_nothing_where_two_people_could_hold_the_weapon() -> None:
    people = [person("a", Box(0, 0, 100, 200)), person("b", Box(0, 0, 120, 220)), weapon("knife")]
    scores = {score(*order, poses={"a": pose("crouching")}) for order in permutations(people)}
    assert scores == {score(*people, poses={"a": pose("crouching")})}


@settings(deadline=None)
@given(happenings(), BOXES, DWELL, SEEN)
def test_somebody_known_never_lowers_the_score_of_the_others(
    happening: Happening, box: Box, dwell: float | None, seen: PoseResult | None
) -> None:
    before = happening.assess().risk_score
    after = happening.with_one_more(person("resident", box, dwell_s=dwell, known="Ada"), seen).assess().risk_score
    assert after >= before


@pytest.mark.parametrize("name", sorted(SEVERITIES))
@pytest.mark.parametrize("confidence", [0.5, 0.9])
def test_somebody_known_never_takes_the_weapon_from_the_stranger_beside_him(name: str, confidence: float) -> None:
    resident, thing = person("resident", known="Ada"), weapon(name, confidence=confidence)
    at_hand = {"resident": pose(wrist=(50, 100)), "p": pose("crouching")}
    for box in (BODY, Box(-50, -50, 300, 300), FAR):
        without = score(person("p", box), thing, poses=at_hand)
        assert score(person("p", box), resident, thing, poses=at_hand) >= without


@settings(deadline=None)
@given(happenings(), BOXES, DWELL, SEEN)
def test_one_more_stranger_never_lowers_the_score(
    happening: Happening, box: Box, dwell: float | None, seen: PoseResult | None
) -> None:
    # Without weapons: a stranger may really be the one who holds it.
    people = [one for one in happening.detections if one.class_name not in SEVERITIES]
    before = replace(happening, detections=people)
    after = before.with_one_more(person("stranger", box, dwell_s=dwell), seen)
    assert after.assess().risk_score >= before.assess().risk_score


@settings(deadline=None)
@given(happenings(), st.data())
def test_appearance_alone_never_lowers_a_score_by_more_than_ten(happening: Happening, data: st.DataObject) -> None:
    before = happening.assess().risk_score
    alike = happening.with_matches(data.draw(likenesses(happening, [How.APPEARANCE])))
    assert before - 10 <= alike.assess().risk_score <= before


@settings(deadline=None)
@given(happenings(), st.data())
def test_a_likeness_lowers_a_score_by_twenty_at_most_and_raises_none(happening: Happening, data: st.DataObject) -> None:
    before = happening.assess().risk_score
    risk = happening.with_matches(data.draw(likenesses(happening))).assess()
    assert before - 20 <= risk.risk_score <= before
    assert risk.risk_score >= 0
    assert all(reason.points >= -20 for reason in risk.reasons)


def only_of(scene: Scene, key: str) -> Scene:
    return replace(scene, facts=tuple(scene.of(key)))


@settings(deadline=None)
@given(happenings(), st.data())
def test_a_match_of_one_detection_never_changes_what_another_adds(happening: Happening, data: st.DataObject) -> None:
    matched = data.draw(likenesses(happening))
    before, after = happening.scene(), happening.with_matches(matched).scene()
    others = {one.id for one in happening.detections} - {one.detection_id for one in matched}
    for key in others:
        assert assess(only_of(after, key)) == assess(only_of(before, key))
        # And in the company of those who were matched each of its reasons is one that it has alone.
        alone = assess(only_of(before, key)).reasons
        assert all(reason in alone for reason in assess(after).reasons if reason.subject == key)


@settings(deadline=None)
@given(happenings(), st.data())
def test_a_likeness_never_takes_a_score_below_that_of_the_others_without_it(
    happening: Happening, data: st.DataObject
) -> None:
    matched = data.draw(likenesses(happening))
    after, gone = happening.with_matches(matched).scene(), {one.detection_id for one in matched}
    rest = replace(after, facts=tuple(fact for fact in after.facts if fact.subject not in gone))
    assert assess(after).risk_score >= assess(rest).risk_score


@settings(deadline=None)
@given(happenings(), st.sampled_from(SUSPICIOUS_POSTURES))
def test_a_suspicious_posture_never_lowers_the_score(happening: Happening, posture: str) -> None:
    calm = {key: replace(found, posture="standing") for key, found in happening.poses.items()}
    before = replace(happening, poses=calm).assess().risk_score
    for key, found in calm.items():
        alarmed = calm | {key: replace(found, posture=posture)}
        assert replace(happening, poses=alarmed).assess().risk_score >= before


@settings(deadline=None)
@given(happenings())
def test_night_never_lowers_the_score_and_an_unknown_time_is_day(happening: Happening) -> None:
    by_day, by_night, unknown = (replace(happening, when=when).assess().risk_score for when in (NOON, NIGHT, None))
    assert by_night >= by_day == unknown


def test_clothes_that_hide_somebody_add_ten_and_never_make_more_than_medium() -> None:
    def dressed(word: str, posture: str, when: datetime) -> RiskAssessment:
        cosines = {
            group: [8.0 * (word in text) for text in texts] for group, texts in ENHANCED_CLOTHING_PROMPTS.items()
        }
        found = EnrichmentResult(
            pose_results={"p": pose(posture)},
            clothing_classifications={"p": judge(matches(cosines), Paint(None, None, "too dark"))},
        )
        return assess(collect_facts([person()], found, when))

    assert dressed("ski mask", "standing", NOON).risk_score == dressed("everyday", "standing", NOON).risk_score + 10
    assert any("ski mask" in str(reason) for reason in dressed("ski mask", "standing", NOON).reasons)
    worst = dressed("ski mask", "crawling", NIGHT)
    assert (worst.risk_score, worst.risk_level) == (59, "medium")
