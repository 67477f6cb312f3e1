"""The joints of COCO, and how two skeletons are compared."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hearthwatch.vision.image import Float
from hearthwatch.vision.keypoints import COCO_KEYPOINTS, FLIP, OKS_SIGMAS, SKELETON, mirror, oks

skeletons = npst.arrays(np.float32, (17, 3), elements=st.floats(0, 1000, width=32))
PERSON = np.stack([np.arange(17) * 10.0, np.arange(17) * 7.0, np.full(17, 2.0)], axis=1).astype(np.float32)


def test_the_tables_describe_the_same_seventeen_joints() -> None:
    assert len(COCO_KEYPOINTS) == len(set(COCO_KEYPOINTS)) == len(FLIP) == len(OKS_SIGMAS) == 17


@pytest.mark.parametrize("joint", range(17), ids=COCO_KEYPOINTS)
def test_flipping_swaps_left_and_right_of_the_same_joint(joint: int) -> None:
    swap = {"left": "right", "right": "left"}
    side, _, part = COCO_KEYPOINTS[joint].partition("_")
    assert COCO_KEYPOINTS[FLIP[joint]] == (f"{swap[side]}_{part}" if part else side)
    assert OKS_SIGMAS[FLIP[joint]] == OKS_SIGMAS[joint]


def test_the_skeleton_is_symmetrical_and_reaches_every_joint() -> None:
    limbs = {frozenset(limb) for limb in SKELETON}
    assert len(limbs) == len(SKELETON)
    assert {frozenset(FLIP[joint] for joint in limb) for limb in limbs} == limbs
    assert set().union(*limbs) == set(range(17))


def test_names_skeleton_and_order_are_those_of_coco(assets: Path) -> None:
    category = json.loads((assets / "data/pose/test_coco.json").read_text(encoding="utf-8"))["categories"][0]
    assert tuple(category["keypoints"]) == COCO_KEYPOINTS
    assert tuple((a - 1, b - 1) for a, b in category["skeleton"]) == SKELETON


@given(skeletons.map(np.floor))
def test_mirroring_twice_gives_the_person_back(keypoints: Float) -> None:
    assert np.array_equal(mirror(mirror(keypoints, 1000), 1000), keypoints)


def test_mirroring_moves_the_left_wrist_to_the_other_side_and_leaves_the_input_alone() -> None:
    before = PERSON.copy()
    mirrored = mirror(PERSON, 640)
    left, right = COCO_KEYPOINTS.index("left_wrist"), COCO_KEYPOINTS.index("right_wrist")
    assert mirrored[right].tolist() == [640 - PERSON[left, 0], PERSON[left, 1], PERSON[left, 2]]
    assert np.array_equal(PERSON, before)


def test_the_same_skeleton_has_similarity_one() -> None:
    assert oks(PERSON, PERSON, 5000.0) == 1.0


def test_a_nose_that_is_off_by_its_own_tolerance_is_worth_exp_of_minus_one_half() -> None:
    # Tolerance of the nose: 2 sigma sqrt(area) = 2 * 0.026 * 100 = 5.2 px; exp(-5.2^2 / (2 * 5.2^2)) = 0.6065.
    truth = np.zeros((17, 3), np.float32)
    truth[0] = (50, 50, 2)
    found = truth.copy()
    found[0, 0] += 5.2
    assert oks(found, truth, 100.0**2) == pytest.approx(math.exp(-0.5), abs=1e-5)


def test_two_labelled_joints_are_averaged_each_with_its_own_tolerance() -> None:
    # Hip: 2 * 0.107 * 100 = 21.4 px. One joint exact, the hip off by (12.84, 17.12), which is 21.4.
    truth = np.zeros((17, 3), np.float32)
    truth[0], truth[11] = (50, 50, 2), (60, 200, 1)
    found = truth.copy()
    found[11, :2] += (12.84, 17.12)
    assert oks(found, truth, 100.0**2) == pytest.approx((1 + math.exp(-0.5)) / 2, abs=1e-5)


@given(skeletons)
def test_joints_without_a_label_do_not_count(noise: Float) -> None:
    truth = PERSON.copy()
    truth[5:, 2] = 0
    found = np.concatenate([PERSON[:5], noise[5:]])
    assert oks(found, truth, 900.0) == 1.0


def test_a_hidden_but_labelled_joint_counts() -> None:
    truth, found = PERSON.copy(), PERSON.copy()
    truth[:, 2] = 1
    found[3, 0] += 1000
    assert oks(found, truth, 900.0) == pytest.approx(16 / 17)


@given(skeletons, skeletons, st.floats(1, 1e6))
def test_similarity_lies_between_zero_and_one_and_survives_mirroring(found: Float, truth: Float, area: float) -> None:
    truth[0, 2] = 1
    similarity = oks(found, truth, area)
    assert 0 <= similarity <= 1
    assert oks(mirror(found, 512), mirror(truth, 512), area) == pytest.approx(similarity, abs=1e-3)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_a_missed_joint(value: float) -> None:
    found = PERSON.copy()
    found[4, 1] = value
    assert oks(found, PERSON, 900.0) == pytest.approx(16 / 17)


@pytest.mark.parametrize("area", [0.0, -4.0, math.nan, math.inf])
def test_nothing_is_compared_without_an_area(area: float) -> None:
    with pytest.raises(ValueError, match="positive area"):
        oks(PERSON, PERSON, area)


def test_nothing_is_compared_without_a_label() -> None:
    with pytest.raises(ValueError, match="got 0 joints"):
        oks(PERSON, np.zeros((17, 3), np.float32), 900.0)
