"""What a service told is the same type again, for every model: nothing that travels is lost or made up on the way."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter import wire
from hearthwatch.models import MODELS
from hearthwatch.models.depth_estimator import METHODS, DepthAdapter, DepthResult
from hearthwatch.models.threat_detector import ThreatResult
from hearthwatch.vision.boxes import Box
from results import BOXES, RESULTS, depths
from test_models_contract import asked

#: One step of an 8-bit map: what statistics of a depth map are off by, at most.
STEP = 1 / 255
STATISTICS = {"min_depth", "max_depth", "mean_depth"}
#: The threats under other names: their boxes are rounded as corners, and the others as corner and size.
TWINS = {"threats", "highest_threat"}
MODEL_IDS = [model.SPEC.name for model in MODELS]


def on_the_wire(result: Any) -> Any:
    """As it comes out of a service: through JSON."""
    return orjson.loads(orjson.dumps(result.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


def assert_tells_the_same(result: Any) -> None:
    told = on_the_wire(result)
    read = type(result).from_wire(told)
    again = on_the_wire(read)
    for name in STATISTICS & told.keys():
        assert again.pop(name) == pytest.approx(told.pop(name), abs=STEP)
    for twin in TWINS & told.keys():
        assert bool(again.pop(twin)) == bool(told.pop(twin))
    assert again == told
    assert type(read) is type(result)


def test_any_result_of_any_model_can_be_made_here() -> None:
    assert sorted(RESULTS) == sorted(MODEL_IDS)


@pytest.mark.parametrize("name", MODEL_IDS)
def test_what_was_told_is_told_again(name: str) -> None:
    @given(RESULTS[name])
    @settings(max_examples=20, deadline=None, database=None, derandomize=True)
    def tells_the_same(result: Any) -> None:
        assert_tells_the_same(result)

    tells_the_same()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.SPEC.name)
def test_so_is_what_the_adapter_itself_answers(model: Any) -> None:
    for result in asked(model):
        assert_tells_the_same(result)
        # With what a service adds, and what a later version may add.
        assert on_the_wire(type(result).from_wire({**on_the_wire(result), "weights": "real", "later": 1}))


@pytest.mark.parametrize("name", [name for name in MODEL_IDS if "text" not in name])
def test_a_result_that_was_read_is_equal_to_itself_read_again(name: str) -> None:
    @given(RESULTS[name])
    @settings(max_examples=10, deadline=None, database=None, derandomize=True)
    def is_equal(result: Any) -> None:
        if "__eq__" not in vars(type(result)):
            return  # arrays inside: compared above, by what they tell
        read = type(result).from_wire(on_the_wire(result))
        assert type(read).from_wire(on_the_wire(read)) == read
        assert read.to_context_string()

    is_equal()


@given(BOXES)
def test_a_box_is_off_by_no_more_than_it_was_rounded(box: Box) -> None:
    read = wire.box(wire.xywh(box))
    assert all(abs(a - b) <= 0.1 + 1e-6 for a, b in zip(read, box, strict=True))


def test_what_json_could_not_say_is_not_made_a_number() -> None:
    assert math.isnan(wire.number(wire.share(math.nan)))
    assert wire.number(0.5) == 0.5


@given(RESULTS["threat_detector"])
def test_of_threats_only_those_that_count_travel(result: ThreatResult) -> None:
    read = ThreatResult.from_wire(on_the_wire(result))
    assert (len(read.threats), len(read.elsewhere)) == (len(result.threats), len(result.elsewhere))
    assert (read.weaker, read.trace) == ((), None)
    assert (read.max_severity, read.has_threat) == (result.max_severity, result.has_threat)


@given(depths())
@settings(deadline=None)
def test_a_depth_map_keeps_its_order_its_scale_and_its_box(result: DepthResult) -> None:
    read = DepthResult.from_wire(on_the_wire(result))
    np.testing.assert_allclose(read.depth, result.depth, atol=STEP / 2 + 1e-6)
    assert read.region == result.region
    for method in METHODS:
        assert read.distance(method) == result.distance(method), "told beside the map, and not rounded as it is"


@given(depths())
@settings(max_examples=10, deadline=None)
def test_metres_of_a_metric_network_travel_for_the_box_that_was_asked_about(result: DepthResult) -> None:
    metric = replace(result, metric=True, inverse=False)
    read = DepthResult.from_wire(on_the_wire(metric))
    assert read.raw is None
    assert read.distance() == metric.distance()
    assert read.distance().calibrated
    left, top, right, bottom = read.region
    inside = Box(left, top, (left + right) / 2, bottom)
    assert read.inside(inside).told == {}, "of another box, nothing was told"
    assert not read.inside(inside).distance().calibrated


@given(depths())
@settings(max_examples=10, deadline=None)
def test_a_map_with_its_boxes_told_apart_is_the_same(result: DepthResult) -> None:
    shared, rows = DepthAdapter.rows_to_wire([result, result])
    assert shared | rows[1] == result.to_wire()
    assert shared.keys().isdisjoint(rows[0])
    assert shared.keys() == DepthAdapter.SHARED.model_fields.keys()


@given(st.sampled_from(MODELS), st.data())
@settings(max_examples=60, deadline=None)
def test_half_an_answer_is_none(model: Any, data: st.DataObject) -> None:
    result = data.draw(RESULTS[model.SPEC.name])
    with pytest.raises((KeyError, TypeError)):
        type(result).from_wire({})
