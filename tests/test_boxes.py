"""Boxes: the three forms of the wire, and what holds for all of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box, clamp_box, coverage, expand_box, iou, nms, parse_box
from hearthwatch.vision.image import Float, Ids

numbers = st.floats(-1e6, 1e6, allow_nan=False)
sides = st.floats(1e-3, 1e6)
boxes = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), numbers, numbers, sides, sides)


def box_arrays() -> st.SearchStrategy[Float]:
    """(N, 4) float32 on a coarse grid, so that overlaps and ties are frequent; some have no area."""
    corners = st.integers(0, 12).flatmap(lambda n: npst.arrays(np.int64, (n, 4), elements=st.integers(0, 12)))
    return corners.map(lambda a: np.concatenate([a[:, :2], a[:, :2] + a[:, 2:]], axis=1).astype(np.float32))


@st.composite
def detections(draw: st.DrawFn) -> tuple[Float, Float, Ids]:
    found = draw(box_arrays())
    count = len(found)
    scores = draw(npst.arrays(np.int64, count, elements=st.integers(0, 5)))
    class_ids = draw(npst.arrays(np.int64, count, elements=st.integers(0, 2)))
    return found, (scores / 5).astype(np.float32), class_ids


FORMS: dict[str, Any] = {
    "list": [10, 20, 40, 60],
    "tuple": (10.0, 20.0, 40.0, 60.0),
    "Box": Box(10, 20, 40, 60),
    "array": np.array([10, 20, 40, 60], np.float32),
    "whole array": np.array([10, 20, 40, 60]),
    "corners": {"x1": 10, "y1": 20, "x2": 40, "y2": 60},
    "corners in another order": {"y2": 60, "x2": 40, "y1": 20, "x1": 10},
    "size": {"x": 10, "y": 20, "width": 30, "height": 40},
    "with other keys": {"x": 10, "y": 20, "width": 30, "height": 40, "confidence": "high"},
}

WRONG: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "text": "1,2,3,4",
    "empty list": [],
    "three numbers": [1, 2, 3],
    "five numbers": [1, 2, 3, 4, 5],
    "nested": [[1, 2], [3, 4]],
    "words in a list": [1, 2, "3", 4],
    "truth values": [False, False, True, True],
    "null inside": [0, 0, None, 4],
    "not a number": [0, 0, math.nan, 4],
    "infinite": [0, 0, math.inf, 4],
    "beyond every float": [0, 0, 10**400, 4],
    "infinitely wide": [-1.7e308, 0, 1.7e308, 4],
    "empty": [5, 5, 5, 9],
    "no height": [5, 5, 9, 5],
    "inverted": [9, 9, 5, 5],
    "inverted in one axis": [1, 9, 5, 5],
    "no keys": {},
    "half the keys": {"x1": 1, "y1": 2, "width": 3, "height": 4},
    "negative width": {"x": 5, "y": 5, "width": -3, "height": 4},
    "no width": {"x": 5, "y": 5, "width": 0, "height": 4},
    "words for numbers": {"x": "5", "y": 5, "width": 3, "height": 4},
    "infinite width": {"x": 1e308, "y": 5, "width": 1.7e308, "height": 4},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_every_form_of_a_box_is_the_same_box(form: Any) -> None:
    assert parse_box(form) == Box(10, 20, 40, 60)


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_box_is_refused_with_a_sentence(wrong: Any) -> None:
    with pytest.raises(BadBox, match=r"^box "):
        parse_box(wrong)


def test_the_sentence_shows_the_box() -> None:
    with pytest.raises(BadBox, match=r"box \[9\.0, 9\.0, 5\.5, 10\.0\] is empty or inverted"):
        parse_box([9, 9, 5.5, 10])


@given(boxes)
def test_a_box_survives_the_wire(box: Box) -> None:
    back = parse_box(box.as_xywh())
    assert back == pytest.approx(box, abs=1e-9, rel=1e-9)
    assert box.as_xywh() == {"x": box.x1, "y": box.y1, "width": box.width, "height": box.height}


@given(st.one_of(st.none(), st.floats(), st.text(), st.lists(st.one_of(st.floats(), st.integers(), st.none()))))
def test_whatever_comes_is_a_box_or_a_sentence(thing: Any) -> None:
    try:
        box = parse_box(thing)
    except BadBox:
        return
    assert box.width > 0
    assert box.height > 0
    assert math.isfinite(box.area)


@given(boxes, sides, sides)
def test_a_clamped_box_lies_in_both_and_is_clamped_already(box: Box, width: float, height: float) -> None:
    outside = box.x2 <= 0 or box.y2 <= 0 or box.x1 >= width or box.y1 >= height
    if outside:
        with pytest.raises(BadBox, match="outside"):
            clamp_box(box, width, height)
        return
    inside = clamp_box(box, width, height)
    assert max(box.x1, 0) == inside.x1 < inside.x2 == min(box.x2, width)
    assert max(box.y1, 0) == inside.y1 < inside.y2 == min(box.y2, height)
    assert clamp_box(inside, width, height) == inside


@given(boxes, st.floats(0, 2))
def test_expanding_keeps_the_middle_and_adds_the_margin_on_every_side(box: Box, margin: float) -> None:
    wide = expand_box(box, margin)
    near = 1e-6 * (1 + abs(box.x1) + abs(box.y1) + box.width + box.height)
    assert wide.width == pytest.approx(box.width * (1 + 2 * margin), abs=near)
    assert wide.height == pytest.approx(box.height * (1 + 2 * margin), abs=near)
    assert wide.x1 + wide.x2 == pytest.approx(box.x1 + box.x2, abs=near)
    assert wide.y1 + wide.y2 == pytest.approx(box.y1 + box.y2, abs=near)


def test_expanding_adds_a_share_of_the_width_sideways_and_of_the_height_up_and_down() -> None:
    assert expand_box(Box(10, 20, 20, 60), 0.1) == Box(9, 16, 21, 64)


def test_the_overlap_of_known_boxes_is_known() -> None:
    a = np.array([[0, 0, 10, 10]], np.float32)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10], [10, 0, 20, 10], [2, 2, 4, 7], [3, 3, 3, 3]], np.float32)
    assert iou(a, b)[0].tolist() == pytest.approx([1, 1 / 3, 0, 0.1, 0])
    assert coverage(a, b)[0].tolist() == pytest.approx([1, 0.5, 0, 0.1, 0])
    assert coverage(b, a)[:, 0].tolist() == pytest.approx([1, 0.5, 0, 1, 0])


@given(box_arrays(), box_arrays())
def test_overlaps_are_shares_and_symmetrical(a: Float, b: Float) -> None:
    overlaps = iou(a, b)
    assert overlaps.shape == (len(a), len(b))
    assert ((overlaps >= 0) & (overlaps <= 1)).all()
    assert np.array_equal(overlaps, iou(b, a).T)
    covered = coverage(a, b)
    assert ((covered >= overlaps - 1e-6) & (covered <= 1)).all()


@given(box_arrays())
def test_a_box_overlaps_itself_wholly_and_an_empty_one_nothing(a: Float) -> None:
    has_area = (a[:, 2] > a[:, 0]) & (a[:, 3] > a[:, 1])
    assert np.array_equal(np.diag(iou(a, a)), has_area.astype(np.float32))


@given(detections(), st.floats(0, 1))
def test_suppression_keeps_the_best_and_no_two_of_a_class_that_overlap(
    found: tuple[Float, Float, Ids], max_iou: float
) -> None:
    candidates, scores, class_ids = found
    kept = nms(candidates, scores, class_ids, max_iou=max_iou)
    overlaps = iou(candidates, candidates)
    for position, first in enumerate(kept):
        for second in kept[position + 1 :]:
            assert class_ids[first] != class_ids[second] or overlaps[first, second] <= max_iou
    # Whatever went, a better one of its class that stayed overlaps it.
    for gone in set(range(len(candidates))) - set(kept):
        rivals = [k for k in kept if class_ids[k] == class_ids[gone] and overlaps[k, gone] > max_iou]
        assert any(scores[k] >= scores[gone] for k in rivals)
    assert scores[kept].tolist() == sorted(scores[kept].tolist(), reverse=True)
    for class_id in set(class_ids.tolist()):
        of_class = np.flatnonzero(class_ids == class_id)
        assert of_class[np.argmax(scores[of_class])] in kept


@given(detections(), st.floats(0, 1))
def test_suppressing_twice_changes_nothing(found: tuple[Float, Float, Ids], max_iou: float) -> None:
    candidates, scores, class_ids = found
    kept = nms(candidates, scores, class_ids, max_iou=max_iou)
    assert nms(candidates[kept], scores[kept], class_ids[kept], max_iou=max_iou) == list(range(len(kept)))


@given(detections())
def test_without_classes_all_boxes_are_of_one(found: tuple[Float, Float, Ids]) -> None:
    candidates, scores, class_ids = found
    assert nms(candidates, scores, max_iou=0.5) == nms(candidates, scores, np.zeros_like(class_ids), max_iou=0.5)


def test_of_two_equal_boxes_the_first_stays_and_another_class_is_left_alone() -> None:
    same = np.array([[0, 0, 9, 9]] * 3, np.float32)
    assert nms(same, np.array([0.5, 0.5, 0.4], np.float32), np.array([1, 1, 2]), max_iou=0.7) == [0, 2]
