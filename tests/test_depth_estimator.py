"""Depth: which end is near, what a box is about, and that nothing is said in metres without a warning."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import image_graph
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description, describe
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import BadBox, BadCalibration, InferenceFailed, WeightsInvalid
from hearthwatch.models.depth_estimator import (
    METHODS,
    SPEC,
    DepthAdapter,
    DepthAnswer,
    DepthResult,
    DistanceAnswer,
    ObjectDistance,
)
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.preprocess import to_batch
from hearthwatch.vision.proximity import FARTHEST_M, NEAREST_M, PROXIMITY, estimated_metres, proximity_label

Array = np.ndarray[Any, Any]
SHAPES = {(None, 3, 4): (1, 3, 4), (None, 1, 3, 4): (1, 1, 3, 4), (None, 3, 4, 1): (1, 3, 4, 1)}
#: A ramp from left to right: 0, 1, 2, 3 in each row.
RAMP = np.tile(np.arange(4, dtype=np.float32), (3, 1))


def adapter(shape: tuple[int | None, ...] = (None, 3, 4), **card: Any) -> DepthAdapter:
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), (TensorInfo("depth", shape, "float32"),), {})
    return DepthAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={})))


def estimated(raw: Array, model: DepthAdapter | None = None, width: int = 400, height: int = 300) -> DepthResult:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        return {"depth": raw}

    picture = Image.of(np.zeros((height, width, 3), np.uint8))
    return (model or adapter()).predict([picture], run)[0]


@pytest.mark.parametrize(("near", "left"), [({}, 1.0), ({"near": "large"}, 1.0), ({"near": "small"}, 0.0)], ids=str)
def test_what_is_emitted_is_0_at_the_nearest_whichever_end_the_network_calls_near(
    near: dict[str, Any], left: float
) -> None:
    result = estimated(RAMP[None] * 7 - 2, adapter(**near))
    assert result.depth[:, 0].tolist() == [left] * 3
    assert result.depth[:, 3].tolist() == [1.0 - left] * 3
    assert (result.raw_min, result.raw_max) == (-2.0, 19.0)
    assert (result.min_depth, result.max_depth) == (0.0, 1.0)
    assert result.mean_depth == pytest.approx(0.5)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_a_channel_of_one_is_taken_off_wherever_it_stands(shape: tuple[int | None, ...]) -> None:
    result = estimated(RAMP.reshape(SHAPES[shape]), adapter(shape, near="small"))
    assert np.allclose(result.depth, RAMP / 3)


@pytest.mark.parametrize("near", ["small", "large"])
def test_one_value_everywhere_is_all_0_and_divides_by_nothing(near: str) -> None:
    result = estimated(np.full((1, 3, 4), 5, np.float32), adapter(near=near))
    assert not result.depth.any()
    assert (result.raw_min, result.raw_max) == (5.0, 5.0)
    assert SPEC.agreement.judge([result], [result]) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_map_with_values_that_are_no_numbers_is_a_failure(value: float) -> None:
    raw = RAMP[None].copy()
    raw[0, 1, 1] = value
    with pytest.raises(InferenceFailed):
        estimated(raw)


def test_a_few_wild_values_do_not_make_everything_else_near() -> None:
    raw = np.linspace(10, 20, 400, dtype=np.float32).reshape(1, 20, 20)
    raw[0, 0, 0], raw[0, 19, 19] = -500, 5000
    result = estimated(raw, adapter((None, 20, 20), near="small"))
    assert (result.min_depth, result.max_depth) == (0.0, 1.0)
    assert result.mean_depth == pytest.approx(0.5, abs=0.01)
    assert (result.raw_min, result.raw_max) == (-500.0, 5000.0)


def test_where_nothing_but_a_few_points_differs_they_are_the_scale() -> None:
    raw = np.zeros((1, 20, 20), np.float32)
    raw[0, 3, 3] = 1
    result = estimated(raw, adapter((None, 20, 20), near="small"))
    assert (result.depth.sum(), result.depth[3, 3]) == (1.0, 1.0)


def test_huge_values_do_not_overflow() -> None:
    raw = np.array([[[-3e38, 3e38]]], np.float32)
    assert estimated(raw, adapter(near="small")).depth.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize(
    ("shape", "card"),
    [
        ((None, 17), {}),
        ((None, 1, 2, 3, 4), {}),
        ((None, 3, 4), {"outputs": {"depth": {"name": "elsewhere"}}}),
    ],
)
def test_what_gives_no_map_is_refused(shape: tuple[int | None, ...], card: dict[str, Any]) -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx"):
        adapter(shape, **card)


# -------------------------------------------------------------------------------------------------------------- boxes


def ramp(near: str = "small") -> DepthResult:
    return estimated(RAMP[None], adapter(near=near))


def test_a_box_has_its_own_statistics_on_the_pictures_scale() -> None:
    inside = ramp().inside(Box(100, 0, 300, 300))
    assert [inside.min_depth, inside.max_depth] == pytest.approx([1 / 3, 2 / 3])
    assert inside.depth.shape == (3, 4)


def test_every_box_of_a_picture_is_answered_from_one_map() -> None:
    whole = ramp()
    answers = adapter().associate(whole, [Box(0, 0, 100, 300), Box(300, 0, 400, 300)])
    assert [answer.mean_depth for answer in answers] == [0.0, 1.0]
    assert all(answer.depth is whole.depth for answer in answers)


@pytest.mark.parametrize(
    ("method", "expected"), [("center", 2 / 3), ("mean", 0.5), ("median", 0.5), ("min", 0.0)], ids=str
)
def test_each_method_makes_one_value_of_the_cells(method: Any, expected: float) -> None:
    assert ramp().distance(method).relative_depth == pytest.approx(expected)


@given(st.floats(0, 399), st.floats(0, 299), st.floats(0.001, 400), st.floats(0.001, 300))
def test_any_box_that_touches_the_picture_covers_at_least_one_cell(
    x: float, y: float, width: float, height: float
) -> None:
    inside = ramp().inside(Box(x, y, x + width, y + height))
    assert inside.cells.size >= 1
    for method in METHODS:
        assert 0 <= inside.distance(method).relative_depth <= 1


def test_a_box_outside_the_picture_is_refused() -> None:
    with pytest.raises(BadBox, match="outside"):
        ramp().inside(Box(500, 0, 600, 100))


# ----------------------------------------------------------------------------------------------------------- distance


@pytest.mark.parametrize("inverse", [True, False])
def test_metres_run_from_the_nearest_to_the_farthest_and_never_back(inverse: bool) -> None:
    metres = [estimated_metres(share, inverse=inverse) for share in np.linspace(0, 1, 50)]
    assert [metres[0], metres[-1]] == pytest.approx([NEAREST_M, FARTHEST_M])
    assert all(a < b for a, b in itertools.pairwise(metres))


def test_half_way_in_inverse_depth_is_much_nearer_than_half_way_in_depth() -> None:
    assert estimated_metres(0.5, inverse=True) == pytest.approx(3.75)
    assert estimated_metres(0.5, inverse=False) == 16.0


@pytest.mark.parametrize(
    ("depth", "word"),
    [
        (0, "very close"),
        (0.15, "very close"),
        (0.16, "close"),
        (0.5, "moderate"),
        (0.7, "far"),
        (1, "very far"),
    ],
    ids=str,
)
def test_words_follow_the_table(depth: float, word: str) -> None:
    assert proximity_label(depth) == word
    assert [end for end, _ in PROXIMITY] == sorted(end for end, _ in PROXIMITY)


def test_a_distance_says_that_it_is_not_calibrated() -> None:
    distance = ramp("large").distance()
    assert distance.calibrated is False
    told = ObjectDistance(0.2, 3.4, "close").to_context_string()
    assert told == "Distance: close (about 3 m, not calibrated)"


# ---------------------------------------------------------------------------------------------------- metres that hold


def test_a_metric_network_answers_in_metres_without_a_calibration() -> None:
    metres = np.tile(np.array([1.5, 3, 6, 24], np.float32), (3, 1))
    result = estimated(metres[None], adapter(metric=True))
    assert (result.raw_min, result.raw_max, result.inverse) == (1.5, 24.0, False)
    assert result.depth[0].tolist() == pytest.approx([0, 1.5 / 22.5, 4.5 / 22.5, 1], abs=1e-6)
    car = result.inside(Box(200, 0, 299, 300)).distance()
    assert car == ObjectDistance(car.relative_depth, 6.0, "close", calibrated=True)
    assert car.relative_depth == pytest.approx(0.2)
    assert car.to_context_string() == "Distance: close (about 6 m)"
    assert result.distance("min").estimated_distance_m == 1.5
    assert result.distance("median").estimated_distance_m == 4.5


def test_a_map_in_another_unit_is_brought_to_metres_by_its_card() -> None:
    millimetres = np.full((1, 3, 4), 2500, np.float32)
    outputs = {"depth": {"name": "depth", "scale": 0.001}}
    assert estimated(millimetres, adapter(metric=True, outputs=outputs)).distance().estimated_distance_m == 2.5


@pytest.mark.parametrize(
    "card", [{"metric": True, "near": "large"}, {"metric": True, "outputs": {"depth": {"name": "depth", "scale": -1}}}]
)
def test_a_card_that_contradicts_itself_is_refused(card: dict[str, Any]) -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx: its card"):
        adapter(**card)


def test_nothing_is_metres_where_a_metric_network_says_0() -> None:
    answer = estimated(np.zeros((1, 3, 4), np.float32), adapter(metric=True)).distance()
    assert (answer.estimated_distance_m, answer.calibrated) == (None, True)
    assert answer.to_context_string() == "Distance: very close (beyond what the calibration tells)"
    assert DistanceAnswer.model_validate(answer.to_wire()).estimated_distance_m is None


#: In each column a thing, from left to right at these metres, and what a network of inverse depth says of it.
METRES = np.array([2, 4, 8, 16], np.float32)
INVERSE = np.tile(30 / METRES - 1, (3, 1)).astype(np.float32)


def column(number: int) -> Box:
    return Box(100 * number + 10, 20, 100 * number + 90, 280)


def test_two_known_distances_calibrate_a_camera() -> None:
    picture = estimated(INVERSE[None])
    line = picture.calibrate([(column(0), 2.0), (column(3), 16.0)])
    assert line.space == picture.space == "sha256:0000000000000000"
    for number, metres in enumerate(METRES):
        answer = picture.inside(column(number)).distance("median", line)
        assert answer.estimated_distance_m == pytest.approx(float(metres), rel=1e-3)
        assert answer.calibrated
    assert picture.inside(column(1)).distance("median").calibrated is False


@pytest.mark.parametrize("method", METHODS)
def test_the_nearest_is_the_nearest_in_metres_as_well(method: Any) -> None:
    picture = estimated(INVERSE[None])
    line = picture.calibrate([(column(0), 2.0), (column(3), 16.0)])
    answer = picture.inside(Box(100, 0, 400, 300)).distance(method, line)
    expected = {"center": 8.0, "mean": 1 / np.mean(1 / METRES[1:]), "median": 8.0, "min": 4.0}[method]
    assert answer.estimated_distance_m == pytest.approx(expected, rel=1e-3)


def test_a_network_whose_numbers_grow_with_distance_is_calibrated_too() -> None:
    picture = estimated(np.tile(METRES * 3 + 5, (3, 1))[None], adapter(near="small"))
    line = picture.calibrate([(column(0), 2.0), (column(2), 8.0)])
    assert picture.inside(column(3)).distance("min", line).estimated_distance_m == pytest.approx(16)


def test_a_calibration_of_another_network_is_refused() -> None:
    picture = estimated(INVERSE[None])
    line = picture.calibrate([(column(0), 2.0), (column(3), 16.0)])
    for other in (adapter(space="another"), adapter(near="small", space=picture.space)):
        with pytest.raises(BadCalibration, match="has to be calibrated anew"):
            estimated(INVERSE[None], other).distance("median", line)


def test_what_cannot_be_calibrated_says_why() -> None:
    picture = estimated(INVERSE[None])
    with pytest.raises(BadBox, match="outside"):
        picture.calibrate([(column(0), 2.0), (Box(900, 0, 990, 100), 16.0)])
    with pytest.raises(BadCalibration, match="as farther"):
        picture.calibrate([(column(0), 16.0), (column(3), 2.0)])
    with pytest.raises(BadCalibration, match="were not kept"):
        replace(picture, raw=None).calibrate([(column(0), 2.0), (column(3), 16.0)])


# --------------------------------------------------------------------------------------------------------------- wire


def test_the_wire_has_the_map_as_a_grey_png_with_the_nearest_black() -> None:
    wire = ramp().inside(Box(300, 0, 400, 300)).to_wire()
    data = np.frombuffer(base64.b64decode(wire["depth_map_base64"], validate=True), np.uint8)
    grey = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert grey is not None
    assert grey.tolist() == [[0, 85, 170, 255]] * 3
    assert (wire["min_depth"], wire["max_depth"], wire["raw_min"], wire["raw_max"]) == (1.0, 1.0, 0.0, 3.0)
    assert DepthAnswer.model_validate(wire).model_dump() == wire


def test_the_distance_on_the_wire_fits_its_description() -> None:
    wire = ramp().distance().to_wire()
    assert DistanceAnswer.model_validate(wire).model_dump() == wire


# ------------------------------------------------------------------------------------------------------------- inputs


def test_pictures_of_several_shapes_are_looked_at_one_by_one() -> None:
    seen: list[tuple[int, ...]] = []

    def run(inputs: Mapping[str, Array]) -> dict[str, Array]:
        (tensor,) = inputs.values()
        seen.append(tensor.shape)
        return {"depth": tensor[:, 0, ::14, ::14]}

    pictures = [Image.of(np.zeros((*shape, 3), np.uint8)) for shape in ((90, 160), (160, 90), (50, 50))]
    assert len(adapter().predict(pictures, run)) == 3
    assert seen == [(1, 3, 294, 518), (1, 3, 518, 294), (1, 3, 518, 518)]


def test_a_graph_of_any_size_keeps_the_aspect_and_one_of_a_fixed_size_squashes(tmp_path: Path) -> None:
    free = describe(image_graph(tmp_path / "free.onnx", name="pixel_values", shape=("n", 3, "h", "w")), SPEC.pixels)
    assert (free.input.resize, free.input.size, free.input.multiple) == ("aspect", (518, 518), 14)
    fixed = describe(image_graph(tmp_path / "fixed.onnx", name="pixel_values", shape=("n", 3, 252, 448)), SPEC.pixels)
    assert (fixed.input.resize, fixed.input.size, fixed.input.origins["resize"]) == ("squash", (252, 448), "graph")


def test_a_card_that_insists_on_the_aspect_of_a_fixed_graph_is_refused(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "fixed.onnx", name="pixel_values", shape=("n", 3, 252, 448))
    (tmp_path / "fixed.json").write_text('{"input": {"resize": "aspect", "scale": 0.004}}')
    with pytest.raises(WeightsInvalid, match=r"the card says that pictures keep .*; the graph takes 252 x 448"):
        describe(path, SPEC.pixels)


def test_a_hugging_face_preprocessor_says_that_the_aspect_is_kept(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "model.onnx", name="pixel_values", shape=("n", 3, "h", "w"))
    (tmp_path / "preprocessor_config.json").write_text(
        '{"size": {"height": 392, "width": 392}, "keep_aspect_ratio": true, "ensure_multiple_of": 28}'
    )
    found = describe(path, replace(SPEC.pixels, resize="squash", multiple=1)).input
    assert (found.resize, found.multiple, found.size) == ("aspect", 28, (392, 392))


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1080, 1920), (480, 640), (640, 480), (200, 300)], ids=str)
def test_the_pixels_are_those_of_the_reference_processor_at_that_size(shape: tuple[int, int]) -> None:
    dpt = pytest.importorskip(
        "transformers.models.dpt.image_processing_pil_dpt",
        reason="transformers is the reference here and not among the project's requirements",
    )
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    noise = np.random.default_rng(3).integers(0, 60, (*shape, 3))
    scene = (np.stack([x % 196, y % 196, (x + y) % 196], axis=2) + noise).astype(np.uint8)
    ours: Float = np.asarray(to_batch([Image.of(scene)], SPEC.pixels), np.float32)
    processor = dpt.DPTImageProcessorPil(
        size={"height": ours.shape[2], "width": ours.shape[3]},
        image_mean=list(SPEC.pixels.mean),
        image_std=list(SPEC.pixels.std),
        ensure_multiple_of=14,
    )
    theirs = np.asarray(processor(images=[scene], return_tensors="np")["pixel_values"], np.float32)
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() < 1e-5


@pytest.mark.parametrize("layout", ["model.onnx", "onnx/model.onnx"])
def test_an_export_of_a_metric_network_is_known_by_the_config_that_it_lies_beside(layout: str, tmp_path: Path) -> None:
    path = tmp_path / "depth" / layout
    path.parent.mkdir(parents=True)
    image_graph(path, name="pixel_values", shape=("n", 3, "h", "w"))
    config = tmp_path / "depth" / "config.json"
    for text, metric in (
        ('{"depth_estimation_type": "metric", "max_depth": 80}', True),
        ('{"depth_estimation_type": "relative"}', None),
        ("[]", None),
        ("{", None),
    ):
        config.write_text(text)
        assert describe(path, SPEC.pixels).card.metric is metric
    config.write_text('{"depth_estimation_type": "metric"}')
    path.with_suffix(".json").write_text('{"metric": false}')
    assert describe(path, SPEC.pixels).card.metric is False
