"""Damage to vehicles: what was written into a network's raw answer comes back, at its place in the picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter.segment_output import SegmentOutput
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import BadBox, InferenceFailed, WeightsInvalid
from hearthwatch.models.vehicle_damage import (
    DAMAGE_MARGIN,
    MIN_CONFIDENCE,
    SPEC,
    DamagesAnswer,
    VehicleDamage,
    VehicleDamageAdapter,
    VehicleDamageResult,
)
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.letterbox import Letterbox

Array = np.ndarray[Any, Any]
NAMES = ("dent", "scratch", "glass shatter")
#: Not square, so that swapped axes show; (height, width).
SIZE, CELL, MASKS = (320, 640), 4, 5
GRID = (SIZE[0] // CELL, SIZE[1] // CELL)
ANCHORS = 4200
CLASSIC = {"output0": (None, 4 + len(NAMES) + MASKS, ANCHORS), "output1": (None, MASKS, *GRID)}
END_TO_END = {"output0": (None, 300, 6 + MASKS), "output1": (None, MASKS, *GRID)}
Shapes = Mapping[str, tuple[int | None, ...]]


def described(shapes: Shapes = CLASSIC, names: tuple[str, ...] = NAMES) -> Description:
    outputs = tuple(TensorInfo(name, shape, "float32") for name, shape in shapes.items())
    spec = replace(SPEC.pixels, size=SIZE, origins={})
    return Description(Graph(Path("damage.onnx"), "0" * 64, 1, (), outputs, {}), Card(), spec, names)


@dataclass(frozen=True)
class Seen:
    """A damage in pixels of the network's input: its box, and the part of the input that its mask covers."""

    box: tuple[float, float, float, float]
    covered: tuple[int, int, int, int]
    score: float = 0.9
    class_id: int = 0


class Network:
    """Answers about every crop with the same damages, in either head, and remembers what it was given.

    Each damage has a prototype of its own: +8 where it covers, -8 elsewhere.
    """

    def __init__(self, *seen: Seen, end_to_end: bool = False) -> None:
        self.seen, self.end_to_end = seen, end_to_end
        self.given: list[Array] = []
        self.change: Callable[[dict[str, Array]], None] = lambda _outputs: None

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (tensor,) = inputs.values()
        self.given.append(tensor)
        rows = np.zeros((300, 6 + MASKS) if self.end_to_end else (4 + len(NAMES) + MASKS, ANCHORS), np.float32)
        maps = np.full((MASKS, *GRID), -8, np.float32)
        for place, seen in enumerate(self.seen):
            x1, y1, x2, y2 = (side // CELL for side in seen.covered)
            maps[place, y1:y2, x1:x2] = 8
            if self.end_to_end:
                rows[place, :6] = *seen.box, seen.score, seen.class_id
                rows[place, 6 + place] = 1
                continue
            left, top, right, bottom = seen.box
            anchor = place * 700
            rows[:4, anchor] = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
            rows[4 + seen.class_id, anchor] = seen.score
            rows[4 + len(NAMES) + place, anchor] = 1
        outputs = {"output0": np.stack([rows] * len(tensor)), "output1": np.stack([maps] * len(tensor))}
        self.change(outputs)
        return outputs


def picture(width: int, height: int) -> Image:
    return Image.of(np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8))


#: As large as the input, so that pixels of the picture are those of the input.
WHOLE = picture(SIZE[1], SIZE[0])
DENT = Seen((100, 40, 180, 100), (100, 40, 180, 100))
GLASS = Seen((300, 60, 420, 200), (340, 100, 380, 140), 0.6, 2)


@pytest.fixture(params=[False, True], ids=["classic", "end to end"])
def end_to_end(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def adapter(end_to_end: bool = False) -> VehicleDamageAdapter:
    return VehicleDamageAdapter(described(END_TO_END if end_to_end else CLASSIC))


def found(*seen: Seen, image: Image = WHOLE, end_to_end: bool = False) -> VehicleDamageResult:
    return adapter(end_to_end).predict([image], Network(*seen, end_to_end=end_to_end))[0]


def about(box: Box, tolerance: float = 1e-2) -> Any:
    return pytest.approx(tuple(box), abs=tolerance)


def test_what_was_written_into_the_answer_comes_back_best_first(end_to_end: bool) -> None:
    dent, glass = found(GLASS, DENT, end_to_end=end_to_end).damages
    assert (dent.class_name, glass.class_name) == ("dent", "glass shatter")
    assert [dent.confidence, glass.confidence] == pytest.approx([0.9, 0.6])
    assert tuple(dent.box) == about(Box(*DENT.box))
    assert tuple(glass.box) == about(Box(*GLASS.box))
    whole = SIZE[0] * SIZE[1]
    assert dent.covered_share == pytest.approx(80 * 60 / whole, rel=0.02)
    assert glass.covered_share == pytest.approx(40 * 40 / whole, rel=0.02)
    xs, ys = zip(*glass.outline, strict=True)
    assert (min(xs), min(ys), max(xs), max(ys)) == pytest.approx((340, 100, 380, 140), abs=1)


def test_each_vehicle_is_one_row_of_one_batch_and_its_damages_are_in_pixels_of_the_picture(end_to_end: bool) -> None:
    image, network = picture(1000, 700), Network(DENT, end_to_end=end_to_end)
    vehicles = [Box(200, 100, 600, 300), Box(50, 400, 450, 640), Box(700, 300, 1100, 500)]
    answers = adapter(end_to_end).for_boxes(image, vehicles, network)
    assert [tensor.shape for tensor in network.given] == [(3, 3, *SIZE)]
    for vehicle, answer in zip(vehicles, answers, strict=True):
        assert isinstance(answer, VehicleDamageResult)
        (damage,) = answer.damages
        # Whole pixels that cover the box and its margin, as far as the picture goes.
        dx, dy = vehicle.width * DAMAGE_MARGIN, vehicle.height * DAMAGE_MARGIN
        view = (vehicle.x1 - dx, vehicle.y1 - dy, min(vehicle.x2 + dx, 1000.0), min(vehicle.y2 + dy, 700.0))
        corners = Letterbox.fit(view, SIZE).to_picture(np.array([DENT.box], np.float32).reshape(2, 2)).reshape(4)
        x1, y1, x2, y2 = corners.tolist()
        expected = Box(max(x1, view[0]), max(y1, view[1]), min(x2, view[2]), min(y2, view[3]))
        assert tuple(damage.box) == about(expected, 1e-2)
        seen = Box(vehicle.x1, vehicle.y1, min(vehicle.x2, 1000.0), vehicle.y2)
        inside = Box(max(expected.x1, seen.x1), max(expected.y1, seen.y1), expected.x2, expected.y2)
        assert damage.covered_share == pytest.approx(inside.area / seen.area, rel=0.05)
        assert all(expected.x1 <= x <= expected.x2 and expected.y1 <= y <= expected.y2 for x, y in damage.outline)


def test_a_damage_that_covers_all_of_a_vehicle_covers_1_of_it() -> None:
    vehicle = Box(200, 100, 600, 300)
    network = Network(Seen((0, 0, 640, 320), (0, 0, 640, 320)))
    (answer,) = adapter().for_boxes(picture(1000, 700), [vehicle], network)
    assert isinstance(answer, VehicleDamageResult)
    assert answer.damages[0].covered_share == pytest.approx(1.0, abs=0.01)
    assert answer.damages[0].covered_share <= 1


def test_a_neighbour_s_damage_in_the_margin_is_not_this_vehicle_s() -> None:
    vehicle = Box(200, 100, 600, 300)  # fills 20 px to 620 px of the input, which shows 20 px more on both sides
    beside, across = Seen((622, 100, 639, 200), (620, 100, 640, 200)), Seen((590, 100, 630, 200), (588, 100, 632, 200))
    (answer,) = adapter().for_boxes(picture(1000, 700), [vehicle], Network(beside, across))
    assert isinstance(answer, VehicleDamageResult)
    (own,) = answer.damages
    assert own.box.x2 > vehicle.x2
    # Of what lies across the edge only the vehicle's own part counts.
    assert own.covered_share < own.box.area / vehicle.area


def test_no_damage_lies_in_the_padding() -> None:
    high = picture(100, 320)  # fills 270 px to 370 px of the input
    padding, half = Seen((10, 50, 200, 150), (0, 0, 640, 320)), Seen((200, 40, 320, 240), (0, 0, 640, 320))
    (damage,) = found(padding, half, image=high).damages
    assert tuple(damage.box) == about(Box(0, 40, 50, 240))
    assert damage.covered_share == pytest.approx(50 * 200 / (100 * 320), rel=0.02)
    assert min(x for x, _ in damage.outline) >= 0


def test_a_box_whose_mask_is_empty_covers_nothing_and_is_told_all_the_same() -> None:
    (damage,) = found(Seen((100, 40, 180, 100), (300, 200, 340, 240))).damages
    assert (damage.covered_share, damage.outline) == (0.0, ())
    assert damage.to_context_string() == "Damage: dent (confidence: 90%, under 1% of the vehicle)"


def test_nothing_and_what_is_too_faint_are_an_answer(end_to_end: bool) -> None:
    for seen in ((), (replace(DENT, score=MIN_CONFIDENCE - 0.01),)):
        nothing = found(*seen, end_to_end=end_to_end)
        assert (nothing.has_damage, nothing.highest_damage, nothing.damage_types) == (False, None, ())
        assert nothing.to_context_string() == "Vehicle damage: none visible"
        assert nothing.to_wire() == {"has_damage": False, "damage_types": [], "damages": []}


def test_a_call_may_ask_for_surer_damages() -> None:
    all_of_them = found(GLASS, DENT, Seen((10, 10, 50, 50), (8, 8, 52, 52), 0.3))
    assert all_of_them.damage_types == ("dent", "glass shatter")
    assert len(all_of_them.damages) == 3
    assert len(all_of_them.at_least(0.5).damages) == 2
    assert all_of_them.at_least(0.95) == VehicleDamageResult()
    assert all_of_them.highest_damage == all_of_them.damages[0]


def test_damages_are_told_with_what_they_cover() -> None:
    result = VehicleDamageResult(
        (VehicleDamage("dent", 0.78, Box(1, 2, 3, 4), 0.042), VehicleDamage("crack", 0.3, Box(1, 2, 3, 4), 0.0))
    )
    assert result.to_context_string() == (
        "Vehicle damage: dent (confidence: 78%, 4% of the vehicle), crack (confidence: 30%, under 1% of the vehicle)"
    )


def test_the_wire_rounds_and_its_description_fits() -> None:
    damage = VehicleDamage("dent", 0.87654, Box(1.04, 2, 3, 4.96), 0.123456, ((1.06, 2.0), (3.0, 4.0)))
    told = VehicleDamageResult((damage,)).to_wire()
    assert told["damages"] == [
        {
            "class": "dent",
            "confidence": 0.8765,
            "bbox": {"x": 1.0, "y": 2.0, "width": 2.0, "height": 3.0},
            "covered_share": 0.1235,
            "outline": [[1.1, 2.0], [3.0, 4.0]],
        }
    ]
    assert DamagesAnswer.model_validate(told).model_dump(by_alias=True) == told


def test_a_box_outside_the_picture_is_refused() -> None:
    with pytest.raises(BadBox, match="outside"):
        adapter().for_boxes(WHOLE, [Box(2000, 0, 2100, 90)], Network(DENT))


def test_names_come_from_the_weights_and_a_file_without_names_has_numbers() -> None:
    unnamed = VehicleDamageAdapter(described(names=()))
    assert unnamed.predict([WHOLE], Network(GLASS))[0].damages[0].class_name == "class_2"
    beyond = Network(replace(DENT, class_id=7), replace(GLASS, class_id=-1), end_to_end=True)
    assert adapter(end_to_end=True).predict([WHOLE], beyond)[0].damage_types == ("class_7", "class_-1")


# Planted mistakes


def move(outputs: dict[str, Array], boxes: float = 0, cells: int = 0) -> None:
    """Boxes some pixels down, prototypes some cells down."""
    outputs["output0"][:, 1] += boxes
    outputs["output1"] = np.roll(outputs["output1"], cells, axis=2)


#: What an export, or a decoding, that is a little wrong would do to the answers.
MISTAKES: dict[str, Callable[[dict[str, Array]], None]] = {
    "prototypes upside down": lambda outputs: outputs.update(output1=outputs["output1"][:, :, ::-1]),
    "prototypes mirrored": lambda outputs: outputs.update(output1=outputs["output1"][..., ::-1]),
    "prototypes on their side": lambda outputs: outputs.update(
        output1=np.ascontiguousarray(outputs["output1"].transpose(0, 1, 3, 2)).reshape(outputs["output1"].shape)
    ),
    "prototypes in another order": lambda outputs: outputs.update(output1=np.roll(outputs["output1"], 1, axis=1)),
    "coefficients before the classes": lambda outputs: outputs.update(
        output0=np.concatenate([outputs["output0"][:, :4], outputs["output0"][:, :3:-1]], axis=1)
    ),
    "a letterbox that is 12 px too far down": lambda outputs: move(outputs, boxes=12, cells=3),
    "boxes that forget the letterbox": lambda outputs: move(outputs, boxes=12),
    "masks that forget the letterbox": lambda outputs: move(outputs, cells=3),
}


def problems(result: VehicleDamageResult) -> list[str]:
    """What is wrong with an answer that should be a dent and a broken pane."""
    if [damage.class_name for damage in result.damages] != ["dent", "glass shatter"]:
        return ["the kinds"]
    whole, wrong = SIZE[0] * SIZE[1], []
    for damage, seen in zip(result.damages, (DENT, GLASS), strict=True):
        x1, y1, x2, y2 = seen.covered
        if damage.covered_share != pytest.approx((x2 - x1) * (y2 - y1) / whole, rel=0.02):
            wrong.append(f"the share of {damage.class_name}")
        xs, ys = zip(*(damage.outline or ((-1, -1),)), strict=True)
        if (min(xs), min(ys), max(xs), max(ys)) != pytest.approx(seen.covered, abs=1):
            wrong.append(f"the place of {damage.class_name}")
    return wrong


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_planted_mistake_shows(mistake: str) -> None:
    network = Network(DENT, GLASS)
    assert problems(adapter().predict([WHOLE], network)[0]) == []
    network.change = MISTAKES[mistake]
    assert problems(adapter().predict([WHOLE], network)[0])


# Properties


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 999), st.integers(0, 12), st.booleans(), st.tuples(st.integers(1, 900), st.integers(1, 900)))
def test_whatever_a_network_says_damages_are_inside_the_vehicle_and_shares_are_shares(
    seed: int, count: int, end_to_end: bool, side: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)

    def answer(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        rows = np.zeros((1, 300, 6 + MASKS) if end_to_end else (1, 4 + len(NAMES) + MASKS, ANCHORS), np.float32)
        corners = random.uniform(-100, 700, (count, 4)).astype(np.float32)
        if end_to_end:
            rows[0, :count, :4] = corners
            rows[0, :count, 4] = random.random(count)
            rows[0, :count, 5] = random.integers(0, len(NAMES), count)
            rows[0, :, 6:] = random.normal(0, 3, (300, MASKS))
        else:
            rows[0, :4, :count] = corners.T
            rows[0, 4 : 4 + len(NAMES), :count] = random.random((len(NAMES), count))
            rows[0, 4 + len(NAMES) :] = random.normal(0, 3, (MASKS, ANCHORS))
        return {"output0": rows, "output1": random.normal(0, 3, (1, MASKS, *GRID)).astype(np.float32)}

    result = adapter(end_to_end).predict([picture(*side)], answer)[0]
    scores = [damage.confidence for damage in result.damages]
    assert len(scores) <= count
    assert scores == sorted(scores, reverse=True)
    assert all(score >= MIN_CONFIDENCE for score in scores)
    for damage in result.damages:
        assert 0 <= damage.covered_share <= 1
        assert damage.class_name in NAMES
        assert 0 <= damage.box.x1 < damage.box.x2 <= side[0]
        assert 0 <= damage.box.y1 < damage.box.y2 <= side[1]
        slack = 1e-3 * max(side)
        for x, y in damage.outline:
            assert damage.box.x1 - slack <= x <= damage.box.x2 + slack
            assert damage.box.y1 - slack <= y <= damage.box.y2 + slack
    DamagesAnswer.model_validate(result.to_wire())


# Refusals

WRONG_GRAPHS: dict[str, tuple[Shapes, str]] = {
    "a detector": ({"output0": (None, 7, ANCHORS)}, "a head of three axes and mask prototypes of four"),
    "nothing": ({}, "gives nothing"),
    "two heads": ({"a": CLASSIC["output0"], "b": CLASSIC["output0"]}, "mask prototypes of four"),
    "a third output": (CLASSIC | {"more": (None, 3)}, "mask prototypes of four"),
    "channels at the end": (CLASSIC | {"output1": (None, *GRID, MASKS)}, "no whole part of its input"),
    "other classes": (CLASSIC | {"output0": (None, 4 + 80 + MASKS, ANCHORS)}, "no YOLO head with 3 classes"),
    "another number of prototypes": (CLASSIC | {"output1": (None, 32, *GRID)}, "no YOLO head with 3 classes"),
    "prototypes of another input": (CLASSIC | {"output1": (None, MASKS, 160, 160)}, "no whole part of its input"),
    "prototypes of no size": (CLASSIC | {"output1": (None, MASKS, 0, 160)}, "no whole part of its input"),
}


@pytest.mark.parametrize("case", WRONG_GRAPHS)
def test_a_graph_that_does_not_segment_is_refused_with_a_sentence(case: str) -> None:
    shapes, message = WRONG_GRAPHS[case]
    with pytest.raises(WeightsInvalid, match=message) as refusal:
        VehicleDamageAdapter(described(shapes))
    assert "damage.onnx" in str(refusal.value)


def test_the_outputs_are_told_apart_by_their_axes_in_any_order_and_under_any_name() -> None:
    turned = described({"masks": CLASSIC["output1"], "boxes": CLASSIC["output0"]})
    output = SegmentOutput.of(turned)
    assert (output.detections, output.prototypes, output.head.extra) == ("boxes", "masks", MASKS)


def test_a_graph_of_open_sides_is_taken_and_judged_by_its_answers() -> None:
    sides: Shapes = {"output0": (None, 4 + len(NAMES) + 32, None), "output1": (None, None, None, None)}
    output = SegmentOutput.of(described(sides))
    assert (output.head.classes, output.head.extra, output.head.end_to_end) == (len(NAMES), 32, False)
    answers = {"output0": np.zeros((2, 39, 10), np.float32), "output1": np.zeros((2, 32, *GRID), np.float32)}
    assert len(output.read(answers, 2)) == 2
    wrong: dict[str, Array] = {
        "output1": np.zeros((2, 16, *GRID), np.float32),
        "output0": np.zeros((1, 39, 10), np.float32),
    }
    for name, array in wrong.items():
        with pytest.raises(InferenceFailed, match="2 pictures gave"):
            output.read({**answers, name: array}, 2)
    with pytest.raises(InferenceFailed, match="no whole part of an input"):
        output.read({**answers, "output1": np.zeros((2, 32, 160, 80), np.float32)}, 2)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("output", ["output0", "output1"])
def test_answers_that_are_no_numbers_are_an_error_and_no_damage(output: str, value: float) -> None:
    network = Network(DENT)
    network.change = lambda outputs: outputs[output].__setitem__((0, 1, 2), value)
    with pytest.raises(InferenceFailed, match="no numbers"):
        adapter().predict([WHOLE], network)


# Agreement


def test_engines_are_compared_by_boxes_and_by_what_they_cover() -> None:
    measure = SPEC.agreement.judge
    seen, smaller = found(DENT), found(replace(DENT, covered=(100, 40, 140, 100)))
    assert measure([seen], [seen]) == 1.0
    assert measure([seen], [smaller]) == pytest.approx(0.5, abs=0.02)
    assert measure([seen], [found()]) == 0.0
    assert measure([seen], [found(GLASS)]) == 0.0
    assert measure([found()], [found(replace(DENT, score=0.4))]) is None
    empty = found(replace(DENT, covered=(300, 200, 340, 240)))
    assert (measure([empty], [empty]), measure([seen], [empty])) == (1.0, 0.0)
