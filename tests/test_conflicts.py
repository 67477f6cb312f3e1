"""Findings that contradict each other: which are found, and who holds."""

from __future__ import annotations

import copy
import itertools
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.models import FaceResult, PetClassificationResult, PoseResult, VehicleClassificationResult
from hearthwatch.models.action_recognizer import ActionResult
from hearthwatch.models.actions import action_of
from hearthwatch.pipeline.conflict import APPLICATION, DETECTOR, SURE, Conflict, Statement
from hearthwatch.pipeline.conflict_rules import IMPOSSIBLE, MIN_POSTURE_PX, RULES
from hearthwatch.pipeline.conflicts import resolve
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.pipeline.results import EnrichmentResult
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.posture import POSTURES
from scene import detection

TALL, WIDE = Box(20, 10, 60, 110), Box(20, 10, 120, 50)
FACE = FaceResult(Box(30, 20, 40, 30), 0.9, ())
BACKGROUND = VehicleClassificationResult("unknown", 0.9, {"background": 0.9, "pedestrian": 0.05})
NOT_SURE, VERY = 0.6, 0.9


def of(detections: list[DetectionInput], **found: Any) -> list[Conflict]:
    return resolve(detections, EnrichmentResult(**found))


def one(detections: list[DetectionInput], **found: Any) -> Conflict:
    (conflict,) = of(detections, **found)
    return conflict


def posed(posture: str, confidence: float = VERY) -> dict[str, PoseResult]:
    return {"a": PoseResult((), posture, confidence)}


def doing(action: str, confidence: float) -> dict[str, ActionResult]:
    return {"a": ActionResult({f"person {action}": confidence, "something else": 0.0})}


# ------------------------------------------------------------------------------------------------------ who holds


@pytest.mark.parametrize(
    ("detector", "closer", "holds"),
    [
        (VERY, NOT_SURE, DETECTOR),
        (NOT_SURE, VERY, "vehicle_classifier"),
        (VERY, VERY, None),
        (NOT_SURE, NOT_SURE, None),
        (SURE, float("nan"), DETECTOR),
        (float("nan"), SURE, "vehicle_classifier"),
        (SURE - 0.001, SURE, "vehicle_classifier"),
    ],
)
def test_who_is_sure_holds_against_who_is_not(detector: float, closer: float, holds: str | None) -> None:
    car = detection("a", "car", confidence=detector)
    look = VehicleClassificationResult("unknown", closer, {"background": closer})
    conflict = one([car], vehicle_classifications={"a": look})
    assert (conflict.holds, conflict.is_open) == (holds, holds is None)
    assert conflict.between == (DETECTOR, "vehicle_classifier")
    assert conflict.reason


# --------------------------------------------------------------------------------------------------------- the rules


def test_a_vehicle_that_is_none_on_a_closer_look() -> None:
    conflict = one([detection("a", "Truck")], vehicle_classifications={"a": BACKGROUND})
    assert (conflict.rule, str(conflict.said[1])) == ("no_vehicle", "vehicle_classifier: no vehicle (90%)")
    walker = VehicleClassificationResult("unknown", 0.9, {"pedestrian": 0.9, "car": 0.1})
    conflict = one([detection("a", "car")], vehicle_classifications={"a": walker})
    assert conflict.said[1] == Statement("vehicle_classifier", "a pedestrian", 0.9)
    van = VehicleClassificationResult("work_van", 0.9, {"work_van": 0.9})
    assert of([detection("a", "car")], vehicle_classifications={"a": van}) == []
    assert of([detection("a", "person")], vehicle_classifications={"a": BACKGROUND}) == []


def test_a_pet_that_is_another_or_none() -> None:
    dog = PetClassificationResult("dog", "unknown", VERY, is_household_pet=True)
    assert of([detection("a", "dog")], pet_classifications={"a": dog}) == []
    conflict = one([detection("a", "cat", confidence=NOT_SURE)], pet_classifications={"a": dog})
    assert (conflict.rule, conflict.holds) == ("other_pet", "pet_classifier")
    neither = PetClassificationResult("dog", "unknown", VERY, is_household_pet=False)
    conflict = one([detection("a", "dog")], pet_classifications={"a": neither})
    # The classifier's confidence is about cats against dogs: of "neither" it states none.
    assert (conflict.rule, conflict.holds, conflict.said[1].confidence) == ("no_pet", DETECTOR, None)
    assert one([detection("a", "dog", confidence=NOT_SURE)], pet_classifications={"a": neither}).is_open


@pytest.mark.parametrize(
    ("first", "second", "conflicts"),
    [
        ("person", "car", True),
        ("car", "dog", True),
        ("person", "cat", True),
        ("person", "bicycle", False),
        ("motorcycle", "person", False),
        ("car", "truck", False),
        ("person", "backpack", False),
    ],
)
def test_one_box_is_not_of_two_kinds_unless_somebody_rides(first: str, second: str, conflicts: bool) -> None:
    found = of([detection("a", first), detection("b", second, confidence=NOT_SURE)])
    assert [c.rule for c in found] == ["two_kinds"] * conflicts
    for conflict in found:
        assert (conflict.detection_id, conflict.other_id, conflict.holds) == ("b", "a", DETECTOR)
        assert "a is sure" in conflict.reason


def test_boxes_that_overlap_less_and_boxes_of_other_pictures_are_no_conflict() -> None:
    person, car = detection("a"), detection("b", "car")
    assert one([person, car]).is_open
    assert of([person, detection("b", "car", Box(20, 40, 60, 140))]) == []
    assert of([person, detection("b", "car", camera="other")]) == []
    assert of([person, detection("b", "car", time=datetime(2026, 1, 1, tzinfo=UTC))]) == []
    assert resolve([person, car], EnrichmentResult(), {"a": 1, "b": 2}) == []
    assert len(resolve([person, car], EnrichmentResult(), {"a": 1, "b": 1})) == 1


def test_the_impossible_names_known_postures_and_actions() -> None:
    assert set(IMPOSSIBLE) <= set(POSTURES)
    assert all(action_of(action) is not None for actions in IMPOSSIBLE.values() for action in actions)


@pytest.mark.parametrize(
    ("posture", "action", "conflicts"),
    [
        ("lying_down", "running", True),
        ("standing", "running", True),
        ("lying_down", "falling down", False),
        ("crouching", "sneaking or creeping", False),
        ("unknown", "running", False),
        ("walking", "walking normally", False),
    ],
)
def test_nobody_runs_while_lying(posture: str, action: str, conflicts: bool) -> None:
    person = detection("a", box=Box(20, 10, 110, 110))
    found = of([person], pose_results=posed(posture), action_results=doing(action, NOT_SURE))
    assert [c.rule for c in found] == ["posture_action"] * conflicts
    assert all(c.holds == "pose_estimator" for c in found)
    found = of([person], pose_results=posed(posture), action_results=doing(action, VERY))
    assert all(c.is_open for c in found)


@pytest.mark.parametrize(
    ("posture", "box", "conflicts"),
    [
        ("lying_down", TALL, True),
        ("lying_down", WIDE, False),
        ("standing", WIDE, True),
        ("running", WIDE, True),
        ("standing", TALL, False),
        ("crouching", WIDE, False),
    ],
)
def test_a_posture_has_the_shape_of_its_box(posture: str, box: Box, conflicts: bool) -> None:
    found = of([detection("a", box=box)], pose_results=posed(posture, NOT_SURE))
    assert [(c.rule, c.holds) for c in found] == [("posture_shape", DETECTOR)] * conflicts


def test_a_suspicious_posture_of_somebody_tiny_does_not_hold() -> None:
    tiny, tall = Box(0, 0, 20, MIN_POSTURE_PX - 1), Box(0, 0, 20, MIN_POSTURE_PX)
    conflict = one([detection("a", box=tiny)], pose_results=posed("crouching"))
    assert (conflict.rule, conflict.holds) == ("posture_small", DETECTOR)
    assert of([detection("a", box=tall)], pose_results=posed("crouching")) == []
    assert of([detection("a", box=tiny)], pose_results=posed("sitting")) == []


def test_a_face_without_a_person() -> None:
    car = detection("a", "car", Box(0, 0, 160, 90), face_visible=True)
    conflict = one([car])
    assert (conflict.rule, conflict.between, conflict.holds) == ("face_alone", (APPLICATION, DETECTOR), None)
    assert of([car, detection("b")]) == [], "the face may be that person's"
    placed = detection("a", "car", Box(0, 0, 160, 90), face_bbox=Box(130, 10, 150, 30))
    assert [c.rule for c in of([placed, detection("b")])] == ["face_alone"], "it is not at that person"
    assert of([placed, detection("b", box=Box(120, 5, 158, 88))]) == []
    found = one([detection("a", "car", Box(0, 0, 160, 90))], face_by_detection={"a": FACE})
    assert found.between == ("face_detector", DETECTOR)
    assert of([detection("a")], face_by_detection={"a": FACE}) == []


# -------------------------------------------------------------------------------------------------------- any of them

SHARES = st.floats(0, 1) | st.just(float("nan"))
BOXES = st.sampled_from([TALL, WIDE, Box(21, 10, 61, 109), Box(0, 0, 20, 30)])
KINDS = st.sampled_from(["person", "car", "dog", "cat", "bicycle", "chair"])


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[DetectionInput], EnrichmentResult]:
    """Up to five detections, and whatever may have been found at them, sense or none."""
    keys = draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=5))
    detections = [
        detection(key, draw(KINDS), draw(BOXES), confidence=draw(SHARES), face_visible=draw(st.booleans()))
        for key in keys
    ]
    result = EnrichmentResult(action_results={})
    for key in keys:
        if draw(st.booleans()):
            result.pose_results[key] = PoseResult((), draw(st.sampled_from(POSTURES)), draw(SHARES))
            action = draw(st.sampled_from(["person running", "person falling down", "of its own"]))
            assert result.action_results is not None
            result.action_results[key] = ActionResult({action: draw(SHARES)})
        if draw(st.booleans()):
            kind = draw(st.sampled_from(["unknown", "car"]))
            result.vehicle_classifications[key] = VehicleClassificationResult(kind, draw(SHARES), {"background": 0.5})
            animal: Any = draw(st.sampled_from(["cat", "dog"]))
            result.pet_classifications[key] = PetClassificationResult(animal, "", draw(SHARES), draw(st.booleans()))
            result.face_by_detection[key] = FACE
    return detections, result


@given(scenes(), st.randoms(use_true_random=False))
def test_the_order_of_detections_and_findings_changes_nothing(
    scene: tuple[list[DetectionInput], EnrichmentResult], random: Any
) -> None:
    detections, result = scene
    before = copy.deepcopy(result)
    found = resolve(detections, result)
    shuffled = random.sample(detections, len(detections))
    turned = EnrichmentResult(
        pose_results=dict(reversed(result.pose_results.items())),
        action_results=dict(reversed((result.action_results or {}).items())),
        vehicle_classifications=dict(reversed(result.vehicle_classifications.items())),
        pet_classifications=dict(reversed(result.pet_classifications.items())),
        face_by_detection=dict(reversed(result.face_by_detection.items())),
    )
    assert str(resolve(shuffled, turned)) == str(found)
    assert str(result) == str(before), "evidence stays as it was"


@given(scenes())
def test_every_conflict_is_of_a_rule_and_about_what_there_is(
    scene: tuple[list[DetectionInput], EnrichmentResult],
) -> None:
    detections, result = scene
    keys = {d.id for d in detections}
    found = resolve(detections, result)
    for conflict in found:
        assert conflict.rule in RULES
        assert conflict.detection_id in keys
        assert conflict.other_id is None or conflict.other_id in keys - {conflict.detection_id}
        assert conflict.holds is None or conflict.holds in conflict.between
        assert conflict.reason
        assert conflict.to_context_string().startswith("Conflict: ")
    marks = [(c.detection_id, c.rule, c.other_id) for c in found]
    assert len(set(marks)) == len(marks)


@given(scenes())
def test_what_one_detection_conflicts_with_does_not_depend_on_the_others(
    scene: tuple[list[DetectionInput], EnrichmentResult],
) -> None:
    """But for a face, which a person who comes may own."""
    detections, result = scene
    everything = {str(c) for c in resolve(detections, result) if c.rule != "face_alone"}
    apart = {
        str(c)
        for pair in itertools.combinations(detections, 2)
        for c in resolve(pair, result)
        if c.rule != "face_alone"
    }
    if len(detections) > 1:
        assert everything == apart


def test_many_detections_take_no_time_worth_mentioning() -> None:
    corners = np.random.default_rng(3).uniform(0, 600, (200, 2)).tolist()
    crowd = [detection(str(i), box=Box(x, y, x + 40, y + 90)) for i, (x, y) in enumerate(corners)]
    assert of(crowd) == []
