"""Whatever a service answers: it is the typed result, or it is said that it is none; nothing else comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.client import ClientConfig, EnrichmentClient, RetryPolicy
from hearthwatch.enrichment import EnrichmentStatus
from hearthwatch.enrichment.parts import PARTS
from hearthwatch.errors import BadAnswer, EnrichmentUnavailableError, HearthwatchError
from results import RESULTS
from served import picture

Ask = Callable[[EnrichmentClient], Awaitable[Any]]
PICTURE = picture(32, 32)
#: By model: the method whose answer is told by its result.
METHODS: dict[str, Ask] = {
    "vehicle_classifier": lambda client: client.classify_vehicle(PICTURE),
    "pet_classifier": lambda client: client.classify_pet(PICTURE),
    "fashion_clip": lambda client: client.classify_clothing(PICTURE),
    "pose_estimator": lambda client: client.analyze_poses(PICTURE),
    "threat_detector": lambda client: client.detect_threats(PICTURE),
    "person_reid": lambda client: client.extract_reid(PICTURE),
    "demographics": lambda client: client.predict_demographics(PICTURE),
    "depth_estimator": lambda client: client.estimate_depth(PICTURE),
    "action_recognizer": lambda client: client.classify_action([PICTURE]),
}
JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, width=32)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def outcome(ask: Ask, answer: httpx.Response) -> Any:
    """What a method gives, or the error that it raises; no other exception passes."""

    async def run() -> Any:
        config = ClientConfig({"enrichment": "http://porch", "light": "http://porch"}, retries=RetryPolicy(attempts=1))
        async with EnrichmentClient(config, transport=httpx.MockTransport(lambda _request: answer)) as client:
            try:
                return await ask(client)
            except HearthwatchError as error:
                return error

    return asyncio.run(run())


def told_of(result: Any) -> Any:
    return orjson.loads(orjson.dumps(result.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


@st.composite
def changed(draw: st.DrawFn, told: Any) -> Any:
    """An answer with one thing in it gone or another one, at any depth."""
    if isinstance(told, dict) and told and draw(st.integers(0, 3)):
        name = draw(st.sampled_from(sorted(told)))
        rest = {key: value for key, value in told.items() if key != name}
        return rest if draw(st.booleans()) else {**rest, name: draw(changed(told[name]))}
    if isinstance(told, list) and told and draw(st.integers(0, 3)):
        index = draw(st.integers(0, len(told) - 1))
        return [*told[:index], draw(changed(told[index])), *told[index + 1 :]]
    return draw(JUNK)


@pytest.mark.parametrize("model", METHODS)
def test_an_answer_is_what_the_model_said_and_a_changed_one_is_a_result_or_none(model: str) -> None:
    @given(RESULTS[model], st.data())
    @settings(max_examples=25, deadline=None, database=None, derandomize=True)
    def answered(result: Any, data: st.DataObject) -> None:
        told = told_of(result)
        whole = outcome(METHODS[model], httpx.Response(200, json=told))
        assert type(whole) is type(result), whole
        wrong = outcome(METHODS[model], httpx.Response(200, json=data.draw(changed(told))))
        assert isinstance(wrong, type(result) | BadAnswer)

    answered()


@given(st.data())
@settings(max_examples=40, deadline=None, database=None, derandomize=True)
def test_so_it_is_with_everything_about_a_detection(data: st.DataObject) -> None:
    parts = {PARTS[model].name: told_of(data.draw(RESULTS[model])) for model in METHODS if model != "depth_estimator"}
    parts["reid_space"] = parts["reid_embedding"]["space"]
    parts["reid_embedding"] = parts["reid_embedding"]["embedding"]
    told = {**parts, "status": "full", "models_loaded": list(METHODS), "skipped": {}, "errors": {}, "depth": None}
    whole = outcome(lambda client: client.enrich(PICTURE, "person"), httpx.Response(200, json=told))
    assert whole.status is EnrichmentStatus.FULL
    assert told_of(whole.vehicle) == parts["vehicle"]
    name = data.draw(st.sampled_from(sorted(told)))
    wrong = {**told, name: data.draw(changed(told[name]))}
    answer = outcome(lambda client: client.enrich(PICTURE, "person"), httpx.Response(200, json=wrong))
    assert isinstance(answer, type(whole) | BadAnswer)


@given(
    st.integers(100, 599),
    st.binary(max_size=60),
    st.dictionaries(st.just("retry-after"), st.text("0123456789-.eE ", max_size=6)),
)
@settings(max_examples=120, deadline=None, database=None, derandomize=True)
def test_any_status_with_any_body_is_an_error_with_a_type(status: int, body: bytes, headers: dict[str, str]) -> None:
    error = outcome(METHODS["pet_classifier"], httpx.Response(status, content=body, headers=headers))
    assert isinstance(error, HearthwatchError)
    assert str(status) in str(error) or status == 200
    assert error.retry_after_s is None or error.retry_after_s >= 0
    if status >= 500 and status != 507:
        assert isinstance(error, EnrichmentUnavailableError)
