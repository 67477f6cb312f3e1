"""Weapons: candidate or confirmed, and in whose hands."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.models import PoseResult
from hearthwatch.models.threat_detector import SEVERITIES, ThreatDetection, ThreatResult, severity_of
from hearthwatch.pipeline import DetectionInput
from hearthwatch.pipeline.threat_memory import RepeatedThreat
from hearthwatch.prompt.weapons import Weapon, weapons_of
from hearthwatch.vision.boxes import Box
from scene import detection, pose

#: DESIGN.md's ruling, word for word.
CRITICAL = (
    "gun", "rifle", "pistol", "handgun", "firearm", "shotgun", "sniper", "automatic rifle", "bazooka", "grenade",
    "explosive",
)  # fmt: skip
HIGH = ("knife", "machete", "sword", "axe", "weapon")
MEDIUM = ("bat", "crowbar", "hammer")
RULING = {**dict.fromkeys(CRITICAL, "critical"), **dict.fromkeys(HIGH, "high"), **dict.fromkeys(MEDIUM, "medium")}

PERSON = detection("p", box=Box(0, 0, 100, 200))
#: Half a person's height away from everybody.
FAR = Box(300, 300, 340, 340)
IN_HAND = Box(30, 80, 70, 120)


def judge(thing: DetectionInput, *others: DetectionInput, poses: Mapping[str, PoseResult] | None = None) -> Weapon:
    found = weapons_of([thing, *others], poses or {})
    assert len(found) == 1
    return found[0]


@pytest.mark.parametrize(("name", "severity"), RULING.items(), ids=str)
def test_severity_follows_the_ruling(name: str, severity: str) -> None:
    for spelled in (name, name.upper(), name.capitalize()):
        weapon = judge(detection("w", spelled))
        assert (weapon.class_name, weapon.severity) == (spelled, severity)


def test_the_table_says_nothing_else_but_spellings() -> None:
    assert dict(SEVERITIES) == {**RULING, "baseball bat": "medium"}


@pytest.mark.parametrize("name", ["person", "gunpowder", "batman", "toothbrush", "cell phone", "battery", ""])
def test_what_is_no_weapon_by_name_is_none(name: str) -> None:
    assert weapons_of([detection("w", name)], {}) == []


# ------------------------------------------------------------------------------------------------------- confirmation


@pytest.mark.parametrize(
    ("confidence", "confirmed"), [(0.0, False), (0.79, False), (0.7999, False), (0.80, True), (1.0, True)]
)
def test_one_frame_confirms_from_eighty_percent(confidence: float, confirmed: bool) -> None:
    weapon = judge(detection("w", "knife", IN_HAND, confidence=confidence), PERSON)
    assert weapon.confirmed is confirmed
    assert weapon.confidence == confidence
    if not confirmed:
        assert weapon.reason == f"unconfirmed: {confidence:.0%} sure in one frame, 80% needed"


@pytest.mark.parametrize(
    ("width", "height", "confirmed"),
    [(23, 80, False), (80, 23, False), (23.9, 80, False), (24, 80, True), (80, 24, True), (24, 24, True)],
)
def test_the_short_side_must_have_twenty_four_pixels(width: float, height: float, confirmed: bool) -> None:
    weapon = judge(detection("w", "knife", Box(5, 5, 5 + width, 5 + height)), PERSON)
    assert weapon.confirmed is confirmed
    assert confirmed or weapon.reason.endswith("px, 24 needed")


def test_what_nobody_holds_is_a_candidate() -> None:
    weapon = judge(detection("w", "rifle", FAR, confidence=0.99), PERSON)
    assert (weapon.confirmed, weapon.holder) == (False, None)
    assert weapon.reason == "unconfirmed: in nobody's hand"


def test_a_confirmed_weapon_says_why() -> None:
    weapon = judge(detection("w", "knife", IN_HAND), PERSON)
    assert weapon.reason == "confirmed: sure, large enough, and at a person"
    assert weapon.holder == "p"


def test_a_confidence_that_is_not_a_number_confirms_nothing() -> None:
    assert not judge(detection("w", "knife", IN_HAND, confidence=float("nan")), PERSON).confirmed


# -------------------------------------------------------------------------------------------------------------- holder

#: To the right of a person of 200 px: outside the box, so that only a wrist can claim it.
BESIDE = Box(140, 80, 170, 120)


@pytest.mark.parametrize(("gap", "held"), [(0, True), (39, True), (40, True), (41, False), (500, False)], ids=str)
def test_a_wrist_reaches_a_fifth_of_the_persons_height(gap: float, held: bool) -> None:
    wrist = {"p": pose(wrist=(BESIDE.x1 - gap, 100))}
    weapon = judge(detection("w", "knife", BESIDE), PERSON, poses=wrist)
    assert weapon.holder == ("p" if held else None)
    assert weapon.confirmed is held


@pytest.mark.parametrize(("confidence", "held"), [(0.49, False), (0.5, True), (1.0, True)])
def test_a_wrist_that_was_not_seen_holds_nothing(confidence: float, held: bool) -> None:
    wrist = {"p": pose(wrist=(BESIDE.x1, 100), wrist_confidence=confidence)}
    assert (judge(detection("w", "knife", BESIDE), PERSON, poses=wrist).holder == "p") is held


def test_reach_grows_with_the_person_and_not_with_the_picture() -> None:
    for scale in (0.5, 1.0, 4.0):
        person = detection("p", box=Box(0, 0, 100 * scale, 200 * scale))
        thing = detection("w", "knife", Box(*(side * scale for side in BESIDE)))
        near = {"p": pose(wrist=((BESIDE.x1 - 39) * scale, 100 * scale))}
        far = {"p": pose(wrist=((BESIDE.x1 - 41) * scale, 100 * scale))}
        assert judge(thing, person, poses=near).holder == "p"
        assert judge(thing, person, poses=far).holder is None


@pytest.mark.parametrize(("share", "held"), [(0.4, False), (0.5, True), (1.0, True)])
def test_without_a_wrist_half_of_it_must_be_in_the_persons_box(share: float, held: bool) -> None:
    right = PERSON.bbox.x2
    thing = detection("w", "knife", Box(right - 40 * share, 50, right + 40 * (1 - share), 90))
    assert (judge(thing, PERSON).holder == "p") is held


def test_the_nearest_wrist_wins_over_the_box_that_holds_it() -> None:
    other = detection("q", box=Box(60, 0, 160, 200))
    poses = {"q": pose(wrist=(IN_HAND.x1 + 5, 100))}
    assert judge(detection("w", "knife", IN_HAND), PERSON, other, poses=poses).holder == "q"
    poses = {"p": pose(wrist=(IN_HAND.x1 - 10, 100)), "q": pose(wrist=(IN_HAND.x1 - 2, 100))}
    assert judge(detection("w", "knife", IN_HAND), PERSON, other, poses=poses).holder == "q"


def test_of_two_boxes_that_hold_it_the_smaller_one_does_in_any_order() -> None:
    other = detection("a", box=Box(-50, -50, 200, 300))
    for persons in itertools.permutations([PERSON, other]):
        assert judge(detection("w", "knife", IN_HAND), *persons).holder == "p"


def test_only_persons_hold_weapons() -> None:
    for name in ("car", "dog", "bench", "persona"):
        assert judge(detection("w", "knife", IN_HAND), detection("x", name, PERSON.bbox)).holder is None
    assert judge(detection("w", "knife", IN_HAND), detection("x", "Person", PERSON.bbox)).holder == "x"


def test_confirmed_weapons_come_first_then_the_more_severe_then_the_surer() -> None:
    things = [
        detection("a", "hammer", FAR, confidence=0.9),
        detection("b", "knife", FAR, confidence=0.5),
        detection("c", "knife", FAR, confidence=0.7),
        detection("d", "gun", FAR, confidence=0.4),
        detection("e", "bat", IN_HAND, confidence=0.85),
    ]
    for order in itertools.permutations(things):
        found = weapons_of([*order, PERSON], {})
        assert [(w.class_name, w.confidence) for w in found] == [
            ("bat", 0.85), ("gun", 0.4), ("knife", 0.7), ("knife", 0.5), ("hammer", 0.9),
        ]  # fmt: skip


SIDES = st.floats(0, 200, width=16)
BOXES = st.builds(lambda x, y, w, h: Box(x, y, x + w + 1, y + h + 1), SIDES, SIDES, SIDES, SIDES)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(SEVERITIES)),
    st.floats(0, 1),
    BOXES,
    st.lists(st.tuples(BOXES, st.none() | st.tuples(SIDES, SIDES)), max_size=4),
    st.randoms(use_true_random=False),
)
def test_a_weapon_is_confirmed_exactly_by_the_three_conditions_in_any_order(
    name: str,
    confidence: float,
    box: Box,
    people: list[tuple[Box, tuple[float, float] | None]],
    shuffled: object,
) -> None:
    persons = [detection(f"p{i}", box=around) for i, (around, _) in enumerate(people)]
    poses = {f"p{i}": pose(wrist=wrist) for i, (_, wrist) in enumerate(people) if wrist is not None}
    weapon = judge(detection("w", name, box, confidence=confidence), *persons, poses=poses)
    assert weapon.holder is None or weapon.holder in {person.id for person in persons}
    conditions = (confidence >= 0.8, min(box.width, box.height) >= 24, weapon.holder is not None)
    assert weapon.confirmed == all(conditions)
    assert weapon.reason.startswith("confirmed" if weapon.confirmed else "unconfirmed: ")
    shuffled.shuffle(persons)  # type: ignore[attr-defined]
    assert judge(detection("w", name, box, confidence=confidence), *persons, poses=poses) == weapon


@settings(deadline=None)
@given(BOXES, BOXES, st.none() | st.tuples(SIDES, SIDES))
def test_one_more_person_never_unconfirms_a_weapon(
    thing: Box, newcomer: Box, wrist: tuple[float, float] | None
) -> None:
    poses = {"q": pose(wrist=wrist)} if wrist else {}
    before = judge(detection("w", "knife", thing), PERSON)
    after = judge(detection("w", "knife", thing), PERSON, detection("q", box=newcomer), poses=poses)
    assert after.confirmed >= before.confirmed


# ------------------------------------------------------------------------------------------------- the weapon detector


def found(box: Box, confidence: float = 0.9, name: str = "knife") -> ThreatResult:
    return ThreatResult((ThreatDetection(name, confidence, box, severity_of(name)),))


def test_what_the_weapon_detector_saw_in_one_frame_is_judged_by_the_same_rules() -> None:
    (sure,) = weapons_of([PERSON], {}, {"p": found(IN_HAND)})
    assert (sure.class_name, sure.severity, sure.confirmed, sure.holder) == ("knife", "high", True, "p")
    (unsure,) = weapons_of([PERSON], {}, {"p": found(IN_HAND, 0.6)})
    assert (unsure.confirmed, unsure.reason) == (False, "unconfirmed: 60% sure in one frame, 80% needed")


def test_beside_a_person_names_them_and_confirms_nothing() -> None:
    (weapon,) = weapons_of([PERSON], {}, {"p": found(BESIDE)})
    assert (weapon.holder, weapon.confirmed) == ("p", False)
    assert weapon.reason == "unconfirmed: beside a person, not in a hand"
    (reached,) = weapons_of([PERSON], {"p": pose(wrist=(BESIDE.x1 - 10, 100))}, {"p": found(BESIDE)})
    assert (reached.holder, reached.confirmed) == ("p", True)


def test_what_lies_elsewhere_is_told_once_however_many_persons_there_are() -> None:
    loose = ThreatDetection("rifle", 0.9, FAR, "critical")
    answers = {"p": ThreatResult(elsewhere=(loose,)), "q": ThreatResult(elsewhere=(loose,))}
    (weapon,) = weapons_of([PERSON, detection("q", box=Box(0, 0, 90, 190))], {}, answers)
    assert (weapon.holder, weapon.reason) == (None, "unconfirmed: in nobody's hand")


def test_what_two_networks_saw_counts_once_and_the_more_severe_stays() -> None:
    nearly = Box(IN_HAND.x1 + 2, IN_HAND.y1, IN_HAND.x2, IN_HAND.y2)
    seen = [detection("w", "knife", IN_HAND), PERSON]
    (weapon,) = weapons_of(seen, {}, {"p": found(nearly, 0.85, "Pistol")})
    assert (weapon.class_name, weapon.severity) == ("Pistol", "critical")
    assert len(weapons_of(seen, {}, {"p": found(Box(0, 0, 30, 30))})) == 2


def test_a_name_that_nobody_knows_is_a_medium_weapon_of_the_weapon_detector() -> None:
    (weapon,) = weapons_of([PERSON], {}, {"p": found(IN_HAND, name="halberd")})
    assert weapon.severity == "medium"


def test_weak_sightings_are_no_weapons() -> None:
    weak = ThreatResult((), found(IN_HAND, 0.3).threats)
    assert weapons_of([PERSON], {}, {"p": weak}) == []


# ------------------------------------------------------------------------------------------------------ several frames


def again(box: Box = IN_HAND, name: str = "knife") -> tuple[RepeatedThreat, ...]:
    return (RepeatedThreat(name, box, 2, 3, 650.0),)


def test_several_frames_confirm_what_one_is_not_sure_of() -> None:
    reason = "confirmed: seen in 2 of 3 frames within 650 ms, large enough, and at a person"
    thing = detection("w", "knife", IN_HAND, confidence=0.6)
    (seen,) = weapons_of([thing, PERSON], {}, {}, {"w": again()})
    assert (seen.confirmed, seen.holder, seen.confidence, seen.reason) == (True, "p", 0.6, reason)
    (detected,) = weapons_of([PERSON], {}, {"p": found(IN_HAND, 0.6)}, {"p": again()})
    assert (detected.confirmed, detected.reason) == (True, reason)


def test_a_sure_frame_needs_no_other() -> None:
    (weapon,) = weapons_of([PERSON], {}, {"p": found(IN_HAND, 0.9)}, {"p": again()})
    assert weapon.reason == "confirmed: sure, large enough, and at a person"


@pytest.mark.parametrize(
    "repeated",
    [{"q": again()}, {"p": again(name="gun")}, {"p": again(FAR)}, {"p": ()}],
    ids=["of another person", "another class", "at another place", "nothing"],
)
def test_what_other_frames_show_of_something_else_confirms_nothing(
    repeated: Mapping[str, tuple[RepeatedThreat, ...]],
) -> None:
    (weapon,) = weapons_of([PERSON], {}, {"p": found(IN_HAND, 0.6)}, repeated)
    assert (weapon.confirmed, weapon.reason) == (False, "unconfirmed: 60% sure in one frame, 80% needed")


@pytest.mark.parametrize("key", ["p", "q"])
def test_what_is_at_nobody_in_several_frames_is_confirmed_by_a_wrist_alone(key: str) -> None:
    answers = dict.fromkeys(("p", "q"), ThreatResult(elsewhere=found(BESIDE, 0.6).threats))
    people = [PERSON, detection("q", box=Box(0, 0, 90, 190))]
    (loose,) = weapons_of(people, {}, answers, {key: again(BESIDE)})
    assert (loose.confirmed, loose.reason) == (False, "unconfirmed: in nobody's hand")
    (held,) = weapons_of(people, {"p": pose(wrist=(BESIDE.x1 - 10, 100))}, answers, {key: again(BESIDE)})
    assert (held.confirmed, held.holder) == (True, "p")


@settings(deadline=None)
@given(BOXES, st.floats(0, 1), st.lists(BOXES, max_size=3))
def test_frames_replace_certainty_and_neither_size_nor_a_hand(box: Box, confidence: float, people: list[Box]) -> None:
    persons = [detection(f"p{i}", box=around) for i, around in enumerate(people)]
    thing = detection("w", "knife", box, confidence=confidence)
    (weapon,) = weapons_of([thing, *persons], {}, {}, {"w": again(box)})
    assert weapon.confirmed == judge(detection("w", "knife", box, confidence=1.0), *persons).confirmed
