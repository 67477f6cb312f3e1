"""YOLO heads: known objects written into raw outputs come back as they were."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.boxes import iou
from hearthwatch.vision.image import Float
from hearthwatch.vision.yolo import MAX_CANDIDATES, MAX_DETECTIONS, NMS_MAX_IOU, YoloHead, decode_yolo

#: Key points of the pose task: x, y, confidence each.
POSE = 51
MIN_CONFIDENCE = 0.25
COCO = 80


@dataclass(frozen=True)
class Known:
    """One object that a raw output is built from."""

    box: tuple[float, float, float, float]
    score: float
    class_id: int = 0
    extra: tuple[float, ...] = ()


#: Neither square, nor at the same place in both axes, so that swapped axes or halves show.
FAR_APART = [
    Known((10, 20, 110, 60), 0.9, 3, tuple(range(POSE))),
    Known((300, 200, 340, 420), 0.6, 0, tuple(range(100, 100 + POSE))),
    Known((500, 10, 630, 90), 0.3, 7, tuple(range(200, 200 + POSE))),
]


def classic(known: list[Known], classes: int, extra: int = 0, anchors: int = 8400) -> Float:
    """(4 + classes + extra, anchors): the objects at anchors spread over the map, the rest below every threshold."""
    raw = np.full((4 + classes + extra, anchors), 0.01, np.float32)
    places = np.linspace(0, anchors - 1, len(known)).astype(int)
    for place, thing in zip(places, known, strict=True):
        x1, y1, x2, y2 = thing.box
        raw[:4, place] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        raw[4 + thing.class_id, place] = thing.score
        raw[4 + classes :, place] = thing.extra[:extra]
    return raw


def end_to_end(known: list[Known], extra: int = 0, rows: int = 300) -> Float:
    """(rows, 6 + extra): the objects in their order, the rest of no confidence."""
    raw = np.zeros((rows, 6 + extra), np.float32)
    for row, thing in zip(raw, known, strict=False):
        row[:] = (*thing.box, thing.score, thing.class_id, *thing.extra[:extra])
    return raw


def raw_of(head: YoloHead, known: list[Known]) -> Float:
    return end_to_end(known, head.extra) if head.end_to_end else classic(known, head.classes, head.extra)


HEADS = {
    "classic": YoloHead.of((1, 4 + COCO, 8400), names=COCO, extra=0, file="f"),
    "classic pose": YoloHead.of((1, 4 + 8 + POSE, 8400), names=8, extra=POSE, file="f"),
    "end to end": YoloHead.of((1, 300, 6), names=COCO, extra=0, file="f"),
    "end to end pose": YoloHead.of((1, 300, 6 + POSE), names=8, extra=POSE, file="f"),
}


@pytest.fixture(params=list(HEADS.values()), ids=list(HEADS))
def head(request: pytest.FixtureRequest) -> YoloHead:
    chosen: YoloHead = request.param
    return chosen


def test_known_objects_come_back_best_first(head: YoloHead) -> None:
    found = decode_yolo(raw_of(head, FAR_APART[::-1]), head, min_confidence=MIN_CONFIDENCE)
    assert found.boxes == pytest.approx(np.array([thing.box for thing in FAR_APART]), abs=1e-3)
    assert found.scores.tolist() == pytest.approx([thing.score for thing in FAR_APART])
    assert found.class_ids.tolist() == [thing.class_id for thing in FAR_APART]
    assert found.class_ids.dtype == np.int64
    assert found.extra == pytest.approx(np.array([thing.extra[: head.extra] for thing in FAR_APART]))
    assert found.extra.shape == (3, head.extra)


def test_the_threshold_itself_counts_and_what_is_below_it_goes(head: YoloHead) -> None:
    known = [Known((0, 0, 9, 9), 0.5, 1, (1,) * POSE), Known((50, 50, 59, 59), 0.4999, 1, (1,) * POSE)]
    found = decode_yolo(raw_of(head, known), head, min_confidence=0.5)
    assert found.boxes.tolist() == [[0, 0, 9, 9]]


def test_nothing_found_is_empty_arrays_of_the_right_shape(head: YoloHead) -> None:
    found = decode_yolo(raw_of(head, []), head, min_confidence=MIN_CONFIDENCE)
    shapes = (found.boxes.shape, found.scores.shape, found.class_ids.shape, found.extra.shape)
    assert shapes == ((0, 4), (0,), (0,), (0, head.extra))


def test_there_are_never_more_than_the_limit(head: YoloHead) -> None:
    grid = [(20.0 * (i % 32), 20.0 * (i // 32)) for i in range(900)]
    known = [Known((x, y, x + 9, y + 9), 0.9 - i / 2000, 0, (0,) * POSE) for i, (x, y) in enumerate(grid)]
    raw = end_to_end(known, head.extra, rows=900) if head.end_to_end else raw_of(head, known)
    found = decode_yolo(raw, head, min_confidence=MIN_CONFIDENCE)
    assert found.scores.tolist() == pytest.approx([thing.score for thing in known[:MAX_DETECTIONS]])


def test_decoding_leaves_the_network_s_answer_alone(head: YoloHead) -> None:
    raw = raw_of(head, FAR_APART)
    before = raw.copy()
    decode_yolo(raw, head, min_confidence=MIN_CONFIDENCE)
    assert np.array_equal(raw, before)


def test_the_classic_head_suppresses_twins_of_a_class_and_no_others() -> None:
    close = (12.0, 20.0, 110.0, 60.0)
    known = [FAR_APART[0], Known(close, 0.8, 3), Known(close, 0.7, 4), Known((60, 20, 160, 60), 0.6, 3)]
    assert iou(np.array([known[0].box], np.float32), np.array([close], np.float32))[0, 0] > NMS_MAX_IOU
    found = decode_yolo(classic(known, COCO), HEADS["classic"], min_confidence=MIN_CONFIDENCE)
    assert found.class_ids.tolist() == [3, 4, 3]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7, 0.6])


def test_the_end_to_end_head_is_final_and_keeps_twins() -> None:
    known = [FAR_APART[0], FAR_APART[0]]
    found = decode_yolo(end_to_end(known), HEADS["end to end"], min_confidence=MIN_CONFIDENCE)
    assert len(found.boxes) == 2


def test_of_too_many_candidates_the_best_reach_the_suppression() -> None:
    anchors = MAX_CANDIDATES + 500
    raw = np.full((5, anchors), 0.3, np.float32)
    raw[:4] = np.array([[100], [100], [40], [20]])
    # The last anchors are the best ones and lie elsewhere.
    raw[0, -3:], raw[4, -3:] = [300, 400, 500], [0.5, 0.6, 0.7]
    found = decode_yolo(raw, YoloHead(end_to_end=False, classes=1), min_confidence=MIN_CONFIDENCE)
    assert found.boxes[:, 0].tolist() == [480, 380, 280, 80]


@given(
    st.lists(
        st.tuples(st.floats(0, 600), st.floats(0, 600), st.floats(1, 80), st.floats(1, 80), st.integers(0, 7)),
        min_size=1,
        max_size=6,
    )
)
def test_both_heads_say_the_same_of_the_same_objects(things: list[tuple[float, float, float, float, int]]) -> None:
    known = [Known((x, y, x + w, y + h), 0.9 - 0.1 * i, class_id) for i, (x, y, w, h, class_id) in enumerate(things)]
    first = decode_yolo(classic(known, 8), YoloHead(end_to_end=False, classes=8), min_confidence=MIN_CONFIDENCE)
    second = decode_yolo(end_to_end(known), YoloHead(end_to_end=True, classes=8), min_confidence=MIN_CONFIDENCE)
    kept = [second.scores.tolist().index(pytest.approx(score)) for score in first.scores.tolist()]
    assert first.boxes == pytest.approx(second.boxes[kept], abs=1e-3)
    assert first.class_ids.tolist() == second.class_ids[kept].tolist()


RECOGNISED = {
    (1, 84, 8400): (80, 0, YoloHead(end_to_end=False, classes=80)),
    (None, 84, None): (80, 0, YoloHead(end_to_end=False, classes=80)),
    (1, 8, 1344): (4, 0, YoloHead(end_to_end=False, classes=4)),
    (1, 5, 8400): (0, 0, YoloHead(end_to_end=False, classes=1)),
    (1, 56, 8400): (1, POSE, YoloHead(end_to_end=False, classes=1, extra=POSE)),
    (1, 300, 6): (80, 0, YoloHead(end_to_end=True, classes=80)),
    (None, None, 6): (1, 0, YoloHead(end_to_end=True, classes=1)),
    (1, 300, 57): (1, POSE, YoloHead(end_to_end=True, classes=1, extra=POSE)),
}


@pytest.mark.parametrize("shape", RECOGNISED, ids=str)
def test_a_head_is_recognised_by_its_shape(shape: tuple[int | None, ...]) -> None:
    names, extra, expected = RECOGNISED[shape]  # type: ignore[index]
    assert YoloHead.of(shape, names=names, extra=extra, file="f") == expected


WRONG_SHAPES: dict[str, tuple[tuple[int | None, ...], int, int]] = {
    "transposed": ((1, 8400, 84), 80, 0),
    "transposed, and no names": ((1, 8400, 84), 0, 0),
    "other number of classes": ((1, 84, 8400), 4, 0),
    "pose without key points": ((1, 5, 8400), 1, POSE),
    "pose of other key points": ((1, 44, 8400), 1, POSE),
    "end to end of another task": ((1, 300, 57), 80, 0),
    "all dynamic": ((None, None, None), 0, 0),
    "two axes": ((1, 1000), 1000, 0),
    "four axes": ((1, 3, 80, 85), 80, 0),
    "no axes": ((), 80, 0),
    "only a box": ((1, 4, 8400), 0, 0),
}


@pytest.mark.parametrize("wrong", WRONG_SHAPES.values(), ids=WRONG_SHAPES.keys())
def test_a_shape_that_is_no_head_is_refused_with_a_sentence(wrong: tuple[tuple[int | None, ...], int, int]) -> None:
    shape, names, extra = wrong
    with pytest.raises(WeightsInvalid, match=r"^plates\.onnx: its output of .* is no YOLO head with .*: ") as caught:
        YoloHead.of(shape, names=names, extra=extra, file="plates.onnx")
    for side in shape:
        assert re.search(rf"\b{'any' if side is None else side}\b", str(caught.value))
