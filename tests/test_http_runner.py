"""`HttpRunner` against the services on made-up networks: what it answers is what a runner in this process answers."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.adapter.options import LoadOptions
from hearthwatch.client import ClientConfig, HttpRunner, RetryPolicy
from hearthwatch.client.questions import QUESTIONS
from hearthwatch.enrichment import ComposedRunner, ModelCall, Outcome, Runner
from hearthwatch.enrichment.texts import TextEmbeddings
from hearthwatch.errors import (
    BadBox,
    DeadlineExceeded,
    ImageTruncated,
    InputError,
    NotAnImage,
    ServiceRefused,
    UnknownModel,
    WeightsMissing,
)
from hearthwatch.hosting import LocalRunner
from hearthwatch.models import MODELS, get_model
from hearthwatch.models.depth_estimator import METHODS
from hearthwatch.pipeline import DetectionInput, EnrichmentPipeline, EnrichmentTrackingResult
from hearthwatch.services import SERVICES, Kind
from hearthwatch.settings import read_settings
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture
from loopback import on_loopback
from made_up import OUTPUTS, write_networks
from served import TEXT_TOWERS, NumbersEngine, Served, picture, serve
from test_from_wire import STATISTICS, STEP, TWINS

DATA = picture(640, 480, kind=".jpg")
#: The made-up networks find somebody at the first and the last of them.
BOXES = (Box(60, 80, 180, 380), Box(250, 300, 340, 360), Box(420, 80, 540, 380))
TEXTS = ("a person with a box", "an empty porch", "a person with a box")
FRAMES = tuple(picture(640, 480, kind=".jpg", value=value) for value in (60, 80, 100))
#: A route answers for them, of whatever service.
ROUTED = {Kind.MODEL, Kind.DETECT, Kind.FACE, Kind.FRAMES, Kind.EMBED_TEXT}


@dataclass(frozen=True)
class World:
    """All services, each on a port, and the folder with their networks."""

    folder: Path
    served: dict[str, Served]
    config: ClientConfig

    def local(self) -> LocalRunner:
        return LocalRunner(LoadOptions(self.folder, engines=(NumbersEngine(),), device="cpu"), MODELS, threads=2)

    def http(self, question: Callable[[HttpRunner], Awaitable[Any]], **changes: Any) -> Any:
        async def run() -> Any:
            async with HttpRunner(replace(self.config, **changes)) as runner:
                return await question(runner)

        return asyncio.run(run())

    def ask(self, call: ModelCall, **changes: Any) -> list[Outcome]:
        found: list[Outcome] = self.http(lambda http: http.run(call), **changes)
        return found

    def both(self, call: Callable[[], ModelCall]) -> tuple[list[Outcome], list[Outcome]]:
        """What this process answers, and the services."""

        async def run() -> tuple[list[Outcome], list[Outcome]]:
            async with self.local() as local, HttpRunner(self.config) as http:
                return await local.run(call()), await http.run(call())

        return asyncio.run(run())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = write_networks(tmp_path_factory.mktemp("models"), [*OUTPUTS, *TEXT_TOWERS.values(), "fashion_clip"])
    with ExitStack() as stack:
        served = {s.name: stack.enter_context(serve(folder, s.name, with_weights=())) for s in SERVICES}
        urls = {name: stack.enter_context(on_loopback(one)) for name, one in served.items()}
        yield World(folder, served, ClientConfig(urls, retries=RetryPolicy(attempts=1)))


def told(result: Any) -> Any:
    return result and orjson.loads(orjson.dumps(result.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


def assert_same(local: Sequence[Outcome], http: Sequence[Outcome]) -> None:
    """Equal types, and equal to what the wire rounds to; distances are exact."""
    for mine, theirs in zip(local, http, strict=True):
        assert (mine.error, theirs.error) == (None, None)
        assert type(theirs.result) is type(mine.result)
        assert theirs.weights == mine.weights
        own, other = told(mine.result), told(theirs.result)
        if own is None:
            continue
        for name in STATISTICS & own.keys():
            assert other.pop(name) == pytest.approx(own.pop(name), abs=STEP)
        for twin in TWINS & own.keys():
            assert bool(other.pop(twin)) == bool(own.pop(twin))
        assert other == own
        assert theirs.result.to_context_string() == type(mine.result).from_wire(told(mine.result)).to_context_string()


def call_of(model: str, boxes: Sequence[Box] = (), **fields: Any) -> ModelCall:
    if QUESTIONS[model].about == "texts":
        return ModelCall(model, texts=TEXTS, **fields)
    frames = tuple(map(Picture, FRAMES)) if QUESTIONS[model].about == "frames" else ()
    return ModelCall(model, Picture(DATA), tuple(boxes), frames, **fields)


def test_every_model_of_the_page_that_has_a_route_has_its_row() -> None:
    routes = [(service, route) for service in SERVICES for route in service.routes if route.kind in ROUTED]
    assert {route.model for _, route in routes} == set(QUESTIONS)
    for model, question in QUESTIONS.items():
        homes = [
            service.name for service, route in routes if (route.model, route.path) == (model, question.capability.path)
        ]
        assert question.capability.service in homes
        assert question.capability.model in {model, ""}


@pytest.mark.parametrize("model", QUESTIONS)
def test_the_services_answer_what_this_process_answers(model: str, world: World) -> None:
    for boxes in ((), BOXES[:1], BOXES):
        local, http = world.both(partial(call_of, model, boxes))
        assert len(local) == (len(TEXTS) if QUESTIONS[model].about == "texts" else max(1, len(boxes)))
        assert_same(local, http)
        if QUESTIONS[model].about != "texts":  # those that the service has kept take no time
            assert all(outcome.inference_time_ms > 0 for outcome in http)
        assert all(outcome.timings == http[0].timings for outcome in http)


def test_distances_are_those_of_the_map_before_it_was_rounded(world: World) -> None:
    local, http = world.both(lambda: call_of("depth_estimator", BOXES))
    for mine, theirs in zip(local, http, strict=True):
        for method in METHODS:
            assert theirs.result.distance(method) == mine.result.distance(method)
    depth = http[0].result
    assert depth.depth is http[1].result.depth, "one map for all boxes"
    other = depth.inside(BOXES[2])
    assert other.distance().relative_depth == pytest.approx(http[2].result.distance().relative_depth, abs=STEP)


def test_threats_at_nobody_are_not_lost_on_the_way(world: World) -> None:
    local, http = world.both(lambda: call_of("threat_detector", BOXES[:1]))
    assert local[0].result.elsewhere
    assert told(http[0].result)["elsewhere"] == told(local[0].result)["elsewhere"]


def test_who_found_nothing_at_a_box_found_nothing(world: World) -> None:
    local, http = world.both(lambda: call_of("pose_estimator", BOXES))
    assert [outcome.result is None for outcome in http] == [outcome.result is None for outcome in local]
    assert [outcome.result is None for outcome in http] == [False, True, False]


@pytest.mark.parametrize("beside", [True, False], ids=["beside the picture", "with the picture among them"])
def test_a_clip_is_the_same_with_labels_and_frames_of_another_size(beside: bool, world: World) -> None:
    small = [picture(320, 240, kind=".jpg", value=value) for value in (60, 80, 100)]

    def call() -> ModelCall:
        frames = [*map(Picture, small)] + ([] if beside else [Picture(DATA)])
        labels = (("labels", ("a person waving", "a person with a ladder")),)
        return ModelCall("action_recognizer", Picture(DATA), BOXES, tuple(frames), labels)

    local, http = world.both(call)
    assert_same(local, http)
    assert set(http[0].result.all_scores) == {"a person waving", "a person with a ladder"}


def test_a_clip_whose_frames_repeat_shows_all_of_them(world: World) -> None:
    def call() -> ModelCall:
        return ModelCall("action_recognizer", Picture(DATA), (), tuple(map(Picture, (FRAMES[0], DATA, FRAMES[0]))))

    assert_same(*world.both(call))


def test_pixels_that_were_never_encoded_are_sent_too(world: World) -> None:
    pixels = Picture(picture(640, 480)).image().pixels
    local, http = world.both(lambda: ModelCall("pose_estimator", Picture.of(np.array(pixels)), BOXES))
    assert [outcome.result is None for outcome in http] == [outcome.result is None for outcome in local]


class Watched(Picture):
    """Counts who looks at its pixels."""

    looks = 0

    def image(self, at_least: int | None = None, *, keep: bool = True) -> Image:
        self.looks += 1
        return super().image(at_least, keep=keep)


def test_pixels_are_encoded_once_for_all_models_and_kept_no_longer(world: World) -> None:
    models = ("pose_estimator", "threat_detector", "person_reid", "pet_classifier", "depth_estimator")

    async def run(asked: Sequence[str]) -> int:
        picture = Watched.of(np.zeros((480, 640, 3), np.uint8))
        assert isinstance(picture, Watched)
        async with HttpRunner(world.config) as http:
            answers = await asyncio.gather(*(http.run(ModelCall(model, picture, BOXES)) for model in asked))
            assert all(outcome.done for outcomes in answers for outcome in outcomes)
            looks, alive = picture.looks, weakref.ref(picture)
            del picture
            gc.collect()
            assert alive() is None
            return looks

    assert asyncio.run(run(models)) == asyncio.run(run(models[:1]))


def test_boxes_of_a_picture_that_was_made_smaller_are_answered_in_its_own_pixels(world: World) -> None:
    async def run() -> list[Outcome]:
        async with HttpRunner(world.config, max_side=320) as http:
            return await http.run(call_of("pose_estimator", BOXES))

    whole = world.ask(call_of("pose_estimator", BOXES))
    for large, small in zip(whole, asyncio.run(run()), strict=True):
        assert (large.result is None) is (small.result is None)
        if large.result is not None:
            assert list(small.result.bbox) == pytest.approx(list(large.result.bbox), abs=2.0)


def test_a_picture_with_all_its_boxes_goes_out_once_and_as_it_came(world: World) -> None:
    light = world.served["light"]
    for count in (1, 3, 40):  # so many that they do not fit an address
        boxes = tuple(BOXES[0] for _ in range(count))
        runs = len(light.engine.runs)
        outcomes = world.ask(call_of("pose_estimator", boxes))
        assert len(outcomes) == count
        assert len(light.engine.runs) == runs + 1


def test_texts_are_kept_in_front_of_a_service_as_of_a_network(world: World) -> None:
    async def run(http: HttpRunner) -> tuple[Any, Any]:
        texts = TextEmbeddings(http)
        return await texts.embed(TEXTS), await texts.embed(TEXTS)

    first, again = world.http(run)
    assert (first.read, again.read, again.kept) == (2, 0, 2)
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    assert first.digest == "made-up"


class TestWhoIsAsked:
    def test_what_is_offered_are_the_models_of_services_that_have_an_address(self, world: World) -> None:
        assert {m.SPEC.name for m in MODELS if world.http(_offered(m.SPEC.name))} == set(QUESTIONS)
        only_light = {"light": world.config.urls["light"]}
        offered = {m.SPEC.name for m in MODELS if world.http(_offered(m.SPEC.name), urls=only_light)}
        assert offered == set(world.served["light"].service.models)
        assert not world.http(_offered("toaster"))

    def test_a_model_that_somebody_switched_off_is_not_offered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DEMOGRAPHICS_ENABLED", "false")
        config = ClientConfig.of(read_settings())
        assert config.switched_off == {"demographics"}
        monkeypatch.delenv("DEMOGRAPHICS_ENABLED")
        assert ClientConfig.of(read_settings()).switched_off == set()

    def test_nor_is_it_asked(self, world: World) -> None:
        outcome = world.ask(call_of("demographics"), switched_off=frozenset({"demographics"}))[0]
        assert isinstance(outcome.error, UnknownModel)

    def test_models_are_asked_where_they_are_at_home(self, world: World) -> None:
        heavy, light = world.served["enrichment"].engine, world.served["light"].engine
        runs = len(heavy.runs), len(light.runs)
        ask = call_of("pet_classifier", BOXES)
        assert world.ask(ask, homes={"pet_classifier": "enrichment"})[0].done
        assert len(heavy.runs) > runs[0]
        assert len(light.runs) == runs[1]
        homeless = {"urls": {"light": world.config.urls["light"]}, "homes": {"pet_classifier": "enrichment"}}
        assert not world.http(_offered("pet_classifier"), **homeless)


def _offered(model: str) -> Callable[[HttpRunner], Awaitable[bool]]:
    async def ask(http: HttpRunner) -> bool:
        return http.offers(model)

    return ask


class TestFailures:
    """Every one is an outcome, with the type that it has in this process."""

    @pytest.mark.parametrize(
        ("data", "error"),
        [(b"no picture", NotAnImage), (DATA[: len(DATA) // 2] + b"\xff\xd9", ImageTruncated)],
        ids=["none", "cut off"],
    )
    def test_what_is_no_picture(self, data: bytes, error: type[Exception], world: World) -> None:
        local, http = world.both(lambda: ModelCall("person_reid", Picture(data), BOXES))
        assert [type(outcome.error) for outcome in http] == [type(outcome.error) for outcome in local] == [error] * 3

    def test_a_bad_box_fails_alone(self, world: World) -> None:
        boxes = (BOXES[0], Box(700, 0, 800, 9), Box(float("nan"), 0, 9, 9), Box(9, 9, 1, 1), BOXES[2])
        for model in ("pet_classifier", "depth_estimator", "pose_estimator"):
            outcomes = world.ask(call_of(model, boxes))
            assert [type(outcome.error) for outcome in outcomes[1:4]] == [BadBox] * 3
            alone = world.ask(call_of(model, (BOXES[0], BOXES[2])))
            assert_same(alone, [outcomes[0], outcomes[4]])
        none = world.ask(call_of("depth_estimator", boxes[1:4]))
        assert [type(outcome.error) for outcome in none] == [BadBox] * 3

    def test_more_boxes_than_one_request_may_have(self, world: World) -> None:
        outcomes = world.ask(call_of("pet_classifier", BOXES[:1] * 101))
        assert len(outcomes) == 101
        assert {type(outcome.error) for outcome in outcomes} == {InputError}
        assert "at most 100" in str(outcomes[0].error)

    def test_a_deadline_that_is_over(self, world: World) -> None:
        outcomes = world.ask(call_of("pet_classifier", BOXES, deadline=0.0))
        assert [type(outcome.error) for outcome in outcomes] == [DeadlineExceeded] * 3

    @pytest.mark.parametrize("labels", ["waving", [""], [7]], ids=str)
    def test_labels_that_are_none(self, labels: Any, world: World) -> None:
        options = (("labels", labels),)
        local, http = world.both(partial(ModelCall, "action_recognizer", Picture(DATA), (), (Picture(DATA),), options))
        assert type(local[0].error) is type(http[0].error) is InputError

    @pytest.mark.parametrize("model", ["face_detector", "toaster"])
    def test_a_model_without_a_route(self, model: str, world: World) -> None:
        outcomes = world.ask(ModelCall(model, Picture(DATA), BOXES))
        assert [type(outcome.error) for outcome in outcomes] == [UnknownModel] * 3

    @pytest.mark.parametrize(
        "call",
        [ModelCall("pet_classifier", texts=TEXTS), ModelCall("clip_text", Picture(DATA))],
        ids=["texts to a model of pictures", "a picture to a model of texts"],
    )
    def test_a_question_of_the_wrong_kind(self, call: ModelCall, world: World) -> None:
        outcomes = world.ask(call)
        assert [type(outcome.error) for outcome in outcomes] == [InputError] * call.questions

    def test_nobody_listens(self, world: World) -> None:
        outcomes = world.http(
            lambda http: http.run(call_of("pet_classifier", BOXES)), urls={"light": "http://127.0.0.1:1"}
        )
        assert [type(outcome.error) for outcome in outcomes] == [ServiceRefused] * 3

    def test_a_runner_that_was_closed_answers_nobody(self, world: World) -> None:
        async def run() -> list[Outcome]:
            http = HttpRunner(world.config)
            await http.close()
            return await http.run(call_of("pet_classifier", BOXES))

        assert not any(outcome.done for outcome in asyncio.run(run()))

    def test_who_is_cancelled_is_cancelled(self, world: World) -> None:
        async def run(http: HttpRunner) -> None:
            task = asyncio.create_task(http.run(call_of("pet_classifier", BOXES)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        world.http(run)

    def test_what_nobody_installed_is_told_as_that(self, tmp_path: Path) -> None:
        with serve(tmp_path, with_weights=()) as served, on_loopback(served) as url:

            async def run() -> list[Outcome]:
                async with HttpRunner(ClientConfig({"light": url})) as http:
                    return await http.run(call_of("pet_classifier", BOXES))

            outcomes = asyncio.run(run())
        assert [type(outcome.error) for outcome in outcomes] == [WeightsMissing] * 3


@pytest.mark.parametrize("model", ["pet_classifier", "pose_estimator", "depth_estimator", "demographics", "yolo26"])
def test_rows_in_are_rows_out_whatever_the_boxes(model: str, world: World) -> None:
    side = st.floats(-100, 800) | st.sampled_from([float("nan"), float("inf"), 1e300])

    @given(st.lists(st.builds(Box, side, side, side, side), max_size=8))
    @settings(max_examples=15, deadline=None, database=None, derandomize=True)
    def as_many(boxes: list[Box]) -> None:
        call = ModelCall(model, Picture(DATA), tuple(boxes))
        outcomes = world.ask(call)
        assert len(outcomes) == call.questions
        assert {outcome.model for outcome in outcomes} == {model}
        for outcome in outcomes:
            assert outcome.error is None or isinstance(outcome.error, BadBox), outcome.error

    as_many()


DETECTIONS = [
    DetectionInput("a", "person", 0.9, BOXES[0], face_visible=True),
    DetectionInput("b", "person", 0.8, BOXES[2], face_bbox=Box(430, 90, 480, 150)),
    DetectionInput("c", "car", 0.8, BOXES[1]),
    DetectionInput("d", "dog", 0.7, BOXES[1]),
    DetectionInput("e", "bird", 0.6, BOXES[1]),
]


def enriched(runner: Runner) -> Awaitable[EnrichmentTrackingResult]:
    return EnrichmentPipeline(runner).enrich_batch_with_tracking(DETECTIONS, {None: DATA})


class TestThePipeline:
    def test_it_knows_the_same_wherever_its_models_run(self, world: World) -> None:
        async def run() -> tuple[EnrichmentTrackingResult, ...]:
            async with world.local() as local, world.local() as beside, HttpRunner(world.config) as http:
                return await enriched(local), await enriched(ComposedRunner(http, beside)), await enriched(http)

        local, composed, http = asyncio.run(run())
        assert local.data is not None
        assert composed.data is not None
        assert http.data is not None
        assert composed.status == local.status
        assert composed.successful_models == local.successful_models
        assert composed.errors == local.errors
        assert composed.weights == local.weights
        for name in ("pose_results", "threat_results", "clothing_classifications", "vehicle_classifications",
                     "pet_classifications", "demographics_results", "reid_embeddings"):  # fmt: skip
            mine, theirs = getattr(local.data, name), getattr(composed.data, name)
            assert mine.keys() == theirs.keys(), name
            for key, result in mine.items():
                own, other = ({n: v for n, v in told(r).items() if n not in TWINS} for r in (result, theirs[key]))
                assert own == other, name
        assert local.data.depth_analysis is not None
        assert composed.data.depth_analysis is not None
        assert composed.data.depth_analysis.distances == local.data.depth_analysis.distances
        assert composed.data.faces == local.data.faces
        assert "face_detector" not in http.successful_models, "it has no route of its own"
        assert http.data.skipped["a"].keys() >= {"face_detector"}

    def test_the_example_of_the_page_runs_as_it_stands(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        page = (Path(__file__).parents[1] / "docs/client.md").read_text(encoding="utf-8")
        (example,) = (text for text in page.split("```")[1::2] if "HttpRunner" in text)
        names: dict[str, Any] = {}
        exec(example.removeprefix("python\n"), names)  # noqa: S102 - our own page
        variables = {
            "enrichment": "ENRICHMENT_URL",
            "light": "ENRICHMENT_LIGHT_URL",
            "clip": "CLIP_URL",
            "yolo26": "YOLO26_URL",
        }
        for service, variable in variables.items():
            monkeypatch.setenv(variable, world.config.urls[service])

        async def run() -> EnrichmentTrackingResult:
            async with world.local() as local:
                found: EnrichmentTrackingResult = await names["enrich"](DETECTIONS, DATA, local)
                return found

        found = asyncio.run(run())
        assert "face_detector" in found.successful_models
        assert "fashion_clip" in found.successful_models

    def test_a_service_that_is_away_costs_its_own_models(self, world: World) -> None:
        urls = {**world.config.urls, "enrichment": "http://127.0.0.1:1"}
        found = world.http(enriched, urls=urls)
        assert found.status.value == "partial"
        heavy = {"vehicle_classifier", "fashion_clip", "demographics"}
        assert set(found.failed_models) == heavy
        assert all("refuses connections" in found.errors[model] for model in heavy)
        assert {"pose_estimator", "threat_detector", "depth_estimator", "person_reid"} <= set(found.successful_models)


def test_the_names_are_those_of_the_models() -> None:
    for model in QUESTIONS:
        assert get_model(model).SPEC.name == model
