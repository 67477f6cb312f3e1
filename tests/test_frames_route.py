"""A route about several moments: frames in the order of time, all ways of sending them, and every refusal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.testclient import TestClient

from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.errors import HearthwatchError
from hearthwatch.models import PetClassificationResult
from hearthwatch.services import HealthForm, Kind, Loading, MetricNames, Route, Service
from hearthwatch.serving.app import build_app
from hearthwatch.serving.desk import Desk
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.metrics import Readings, ServiceMetrics
from served import picture, problem_of, text_of

PATH = "/action-classify"
#: The model's name stands in for one that looks at frames: what runs is `Watcher`.
ROUTE = Route(
    PATH, "pet_classifier", "What somebody does over some moments", ("labels", "bbox"), Kind.FRAMES, ("labels",)
)
MOMENTS = Service(
    "moments", (), "ai-moments", 8099, 100, Loading.ALWAYS, (ROUTE,),
    MetricNames("moments_requests_total", "moments_seconds"), HealthForm.MODELS, "Moments",
)  # fmt: skip
FRAMES = [picture(value=value) for value in (10, 90, 170)]


@dataclass
class Watcher:
    """A runner whose model decodes its frames and remembers what it was asked."""

    calls: list[ModelCall] = field(default_factory=list)

    async def run(self, call: ModelCall) -> list[Outcome]:
        self.calls.append(call)
        try:
            for frame in clip_of(call):
                frame.image()
        except HearthwatchError as error:
            return [Outcome(call.model, error=error)]
        found = PetClassificationResult("cat", "unknown", 0.9, is_household_pet=True)
        return [Outcome(call.model, found, weights="real", timings=CallTimings(1.0, infer_ms=2.0))]

    def offers(self, model: str) -> bool:
        return model == ROUTE.model


@dataclass(frozen=True)
class Moments:
    """The service, and what its model was asked."""

    client: TestClient
    watcher: Watcher

    def ask(self, frames: list[Any], **fields: Any) -> Any:
        return self.client.post(PATH, json={"frames": frames, **fields})


class Steady:
    """A process that is never draining."""

    draining = False


def clip_of(call: ModelCall) -> list[Any]:
    """The frames of a call in the order of time: the picture and these, or these alone where it is one of them."""
    assert call.picture is not None
    return list(call.frames) if call.picture in call.frames else [call.picture, *call.frames]


@pytest.fixture
def moments() -> Iterator[Moments]:
    watcher, status = Watcher(), Steady()
    desk = Desk(
        MOMENTS, watcher, status, ServiceMetrics(MOMENTS, Readings()),  # type: ignore[arg-type]  # parts that behave
        RequestLimits(max_pixels=200_000),
    )  # fmt: skip
    with TestClient(build_app(desk), base_url="http://127.0.0.1") as client:
        yield Moments(client, watcher)


def test_every_way_of_sending_frames_is_the_same_question(moments: Moments) -> None:
    texts = [text_of(frame) for frame in FRAMES]
    labels = ["running", "waiting"]
    ways = [
        moments.ask(texts, labels=labels, bbox=[2, 2, 30, 30]),
        *(
            moments.client.post(
                PATH, files=[(name, ("f.png", frame)) for frame in FRAMES],
                data={"labels": labels, "bbox": "2,2,30,30"},
            )
            for name in ("frames", "files")
        ),
    ]  # fmt: skip
    for way in ways:
        assert way.status_code == 200, way.text
        assert way.json()["pet_type"] == "cat"
        assert way.json()["weights"] == "real"
        assert way.json()["inference_time_ms"] == 2.0
    for call in moments.watcher.calls:
        assert [frame.data for frame in clip_of(call)] == FRAMES
        assert dict(call.options) == {"labels": ("running", "waiting")}
        assert [list(box) for box in call.boxes] == [[2, 2, 30, 30]]
        assert call.deadline is not None


def test_without_labels_and_box_the_documented_ones_and_the_whole_picture_are_meant(moments: Moments) -> None:
    assert moments.ask([text_of(FRAMES[0])]).status_code == 200
    call = moments.watcher.calls[0]
    assert (call.options, call.boxes) == ((), ())
    assert [frame.data for frame in clip_of(call)] == FRAMES[:1]


def test_the_same_label_twice_counts_once(moments: Moments) -> None:
    assert moments.ask([text_of(FRAMES[0])], labels=["running", "waiting", "running"]).status_code == 200
    assert dict(moments.watcher.calls[0].options)["labels"] == ("running", "waiting")


def test_64_frames_are_taken_and_65_refused_with_both_numbers(moments: Moments) -> None:
    small = picture(32, 32)
    assert moments.ask([text_of(small)] * 64).status_code == 200
    answers = [
        moments.ask([text_of(small)] * 65),
        moments.client.post(PATH, files=[("frames", ("f.png", small))] * 65),
    ]
    for answer in answers:
        body = problem_of(answer, 422, "too_many_frames")
        assert body["detail"] == "65 frames were sent; at most 64 are allowed"
    problem_of(moments.client.post(PATH, files=[("frames", ("f.png", small))] * 70), 422, "too_many_frames")


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        ("%%%", 400, "not_an_image"),
        (text_of(b"no picture"), 400, "not_an_image"),
        (5, 400, "not_an_image"),
        (None, 400, "not_an_image"),
        (text_of(picture(kind=".jpg")[:-40]), 400, "image_truncated"),
        (text_of(b"II*\0" + b"\0" * 40), 415, "unsupported_media_type"),
        (text_of(picture(9000, 8000)), 413, "image_too_large"),
    ],
    ids=["no base64", "text", "a number", "null", "cut", "tiff", "72 megapixels"],
)
def test_a_frame_that_is_no_picture_is_named(moments: Moments, bad: Any, status: int, code: str) -> None:
    body = problem_of(moments.ask([text_of(FRAMES[0]), bad, text_of(FRAMES[1])]), status, code)
    assert body["detail"].startswith("frame 1: ")


@pytest.mark.parametrize("body", [{}, {"frames": []}, {"frames": text_of(FRAMES[0])}, {"image": text_of(FRAMES[0])}])
def test_without_frames_the_key_is_named(moments: Moments, body: dict[str, Any]) -> None:
    assert "send frames" in problem_of(moments.client.post(PATH, json=body), 422, "bad_input")["detail"]


def test_one_picture_as_the_body_is_not_taken(moments: Moments) -> None:
    answer = moments.client.post(PATH, content=FRAMES[0], headers={"content-type": "image/png"})
    problem_of(answer, 415, "unsupported_media_type")


def test_a_box_is_one_of_the_first_frame(moments: Moments) -> None:
    problem_of(moments.ask([text_of(FRAMES[0])], bbox=[500, 0, 600, 9]), 422, "bad_box")


def test_pixels_and_labels_are_limited_together(moments: Moments) -> None:
    large = text_of(picture(320, 240))
    problem_of(moments.ask([large] * 3), 413, "image_too_large")
    body = problem_of(moments.ask([text_of(FRAMES[0])], labels=["a"] * 101), 422, "too_many_texts")
    assert "101" in body["detail"]


def test_openapi_has_an_example_that_works_and_says_how_many(moments: Moments) -> None:
    operation = moments.client.get("/openapi.json").json()["paths"][PATH]["post"]
    content = operation["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    schema = content["application/json"]["schema"]
    assert schema["properties"]["frames"]["maxItems"] == 64
    assert schema["required"] == ["frames"]
    assert moments.client.post(PATH, json=content["application/json"]["example"]).status_code == 200
