"""`HttpRunner` against a server that delays, breaks off, lies and refuses: an outcome each, no other's harm."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest

from fault_server import Fault, answer, cut_off, fault_server, problem, reset, silence, trickle
from hearthwatch.client import BreakerLimits, ClientConfig, HttpRunner, RetryPolicy, Surroundings
from hearthwatch.client.breaker import State
from hearthwatch.client.questions import QUESTIONS
from hearthwatch.enrichment import ModelCall, Outcome
from hearthwatch.errors import (
    BadAnswer,
    BadBox,
    BudgetTooSmall,
    CircuitOpen,
    DeadlineExceeded,
    HearthwatchError,
    NotAnImage,
    ServiceFailed,
    ServiceOverloaded,
    ServiceTimedOut,
    ServiceUnreachable,
    WeightsMissing,
)
from hearthwatch.models import PetClassificationResult
from hearthwatch.pipeline import DetectionInput, EnrichmentPipeline, EnrichmentTrackingResult
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture
from loopback import on_loopback
from served import Served, picture, serve

DATA = picture(640, 480, kind=".jpg")
BOXES = (Box(60, 80, 180, 380), Box(420, 80, 540, 380))
CAT = {"pet_type": "cat", "breed": "unknown", "confidence": 0.9, "is_household_pet": True}
ROWS = [{"index": 0, **CAT}, {"index": 1, **CAT, "pet_type": "dog"}]
ANSWER = {"results": ROWS, "weights": "sample", "inference_time_ms": 3.5}
TIMING = "decode;dur=1.00, queue;dur=2.00, load;dur=0.00, preprocess;dur=0.50, infer;dur=2.75, postprocess;dur=0.25"


@dataclass
class World:
    """A clock that sleeping moves, and real connections."""

    waits: list[float] = field(default_factory=list)
    now: float = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(lambda: self.now, sleep=self.sleep, chance=lambda: 0.5)


def config(url: str, *, attempt_s: float = 5.0, breaker: BreakerLimits | None = None, **urls: str) -> ClientConfig:
    return ClientConfig(
        {"light": url, **urls},
        connect_timeout_s=attempt_s / 2,
        read_timeout_s=attempt_s / 2,
        breaker=breaker or BreakerLimits(),
        max_answer_bytes=100_000,
    )


def pets(**fields: Any) -> ModelCall:
    return ModelCall("pet_classifier", Picture(DATA), BOXES, **fields)


def ask(
    *faults: Fault, calls: int = 1, attempt_s: float = 5.0, **fields: Any
) -> tuple[list[Outcome], list[Any], World]:
    """The last call's outcomes, what the server received, and the waits between."""

    async def run() -> tuple[list[Outcome], list[Any], World]:
        world = World()
        async with (
            fault_server(*faults) as server,
            HttpRunner(config(server.url, attempt_s=attempt_s), surroundings=world.surroundings) as http,
        ):
            for _ in range(calls):
                outcomes = await http.run(pets(**fields))
            return outcomes, server.received, world

    return asyncio.run(run())


#: By name: what the server does every time, what it becomes, and how often it is tried.
FAULTS: dict[str, tuple[Fault, type[HearthwatchError], int]] = {
    "nothing for too long": (silence, ServiceTimedOut, 3),
    "an answer that trickles": (trickle, ServiceTimedOut, 3),
    "a reset": (reset, ServiceUnreachable, 3),
    "half an answer": (cut_off(ANSWER), ServiceUnreachable, 3),
    "500": (problem(500, "internal"), ServiceFailed, 3),
    "502": (answer(b"", 502), ServiceFailed, 3),
    "503 while it loads": (problem(503, "loading"), ServiceFailed, 3),
    "504": (problem(504, "deadline_exceeded"), ServiceTimedOut, 3),
    "429 that says when": (problem(429, "queue_full", Retry_After="2"), ServiceOverloaded, 3),
    "429 that does not": (problem(429, "queue_full"), ServiceOverloaded, 1),
    "no weights": (problem(503, "weights_missing"), WeightsMissing, 1),
    "no room for the model": (problem(507, "budget_too_small"), BudgetTooSmall, 1),
    "a picture that is none to it": (problem(400, "not_an_image"), NotAnImage, 1),
    "no JSON": (answer(b'{"results": '), BadAnswer, 1),
    "JSON of another kind": (answer([ANSWER]), BadAnswer, 1),
    "no rows": (answer({"weights": "real"}), BadAnswer, 1),
    "rows of another kind": (answer({"results": [1, 2]}), BadAnswer, 1),
    "rows that are no list": (answer({"results": 7}), BadAnswer, 1),
    "too few rows": (answer({"results": ROWS[:1]}), BadAnswer, 1),
    "too many rows": (answer({"results": [*ROWS, ROWS[0]]}), BadAnswer, 1),
    "rows in another order": (answer({"results": ROWS[::-1]}), BadAnswer, 1),
    "half a row": (answer({"results": [ROWS[0], {"index": 1, "pet_type": "cat"}]}), BadAnswer, 1),
    "an impossible word": (answer({"results": [ROWS[0], ROWS[1] | {"pet_type": "fox"}]}), BadAnswer, 1),
    "the answer about one box": (answer(CAT), BadAnswer, 1),
    "an answer without end": (answer(b" " * 100_001), BadAnswer, 1),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_an_outcome_for_each_box(name: str) -> None:
    fault, kind, attempts = FAULTS[name]
    outcomes, received, world = ask(fault, attempt_s=0.2)
    assert [type(outcome.error) for outcome in outcomes] == [kind] * 2
    assert [(outcome.model, outcome.result, outcome.weights) for outcome in outcomes] == [
        ("pet_classifier", None, "")
    ] * 2
    assert len(received) == attempts
    assert len(world.waits) == attempts - 1


def test_what_passes_is_waited_for_and_then_answered() -> None:
    outcomes, received, world = ask(problem(500, "internal"), reset, answer(ANSWER, Server_Timing=TIMING))
    assert [outcome.result.pet_type for outcome in outcomes] == ["cat", "dog"]
    assert world.waits == pytest.approx([1.0, 2.0])
    assert len(received) == 3
    assert outcomes[0].weights == "sample"
    times = outcomes[0].timings
    assert (times.decode_ms, times.queue_ms, times.infer_ms) == (1.0, 2.0, 2.75)
    assert times.inference_time_ms == 3.5


def test_times_come_from_the_answer_where_a_proxy_took_the_header_away() -> None:
    outcomes, _, _ = ask(answer(ANSWER))
    assert outcomes[0].inference_time_ms == 3.5


def test_what_is_sent_is_the_picture_with_all_its_boxes() -> None:
    _, received, _ = ask(answer(ANSWER), deadline=1002.0)
    (request,) = received
    assert (request.path, request.body) == ("/pet-classify", DATA)
    assert request.headers["content-type"] == "image/jpeg"
    assert request.query == {"boxes": ["60.0,80.0,180.0,380.0", "420.0,80.0,540.0,380.0"]}
    assert 1000 < float(request.headers["x-deadline-ms"]) <= 2000


def test_a_deadline_ends_the_repeats() -> None:
    outcomes, received, world = ask(problem(500, "internal"), deadline=1002.0)
    assert type(outcomes[0].error) is ServiceFailed
    assert (len(received), world.waits) == (2, [1.0])
    outcomes, received, _ = ask(answer(ANSWER), deadline=999.0)
    assert type(outcomes[0].error) is DeadlineExceeded
    assert received == []


def test_a_row_with_an_error_fails_alone() -> None:
    rows = [ROWS[0], {"index": 1, "error": "box [9, 9, 1, 1] is empty", "code": "bad_box", **dict.fromkeys(CAT)}]
    first, second = ask(answer({**ANSWER, "results": rows}))[0]
    assert first.result == PetClassificationResult("cat", "unknown", 0.9, is_household_pet=True)
    assert isinstance(second.error, BadBox)
    assert "empty" in str(second.error)


def test_a_broken_model_opens_its_own_circuit_and_no_others() -> None:
    async def run() -> None:
        world = World()
        async with (
            fault_server(problem(500, "internal")) as server,
            HttpRunner(config(server.url), surroundings=world.surroundings) as http,
        ):
            for _ in range(2):
                await http.run(pets())
            sent = len(server.received)
            outcomes = await http.run(pets())
            assert [type(outcome.error) for outcome in outcomes] == [CircuitOpen] * 2
            assert len(server.received) == sent
            light = http.service("light")
            assert light.circuit(QUESTIONS["pet_classifier"].capability).state is State.OPEN
            server.faults[:] = [answer({**ANSWER, "results": [{"index": 0, "error": "x", "code": "bad_box"}] * 1})]
            other = await http.run(ModelCall("person_reid", Picture(DATA), BOXES[:1]))
            assert type(other[0].error) is BadBox, "it was asked"

    asyncio.run(run())


# With a real service beside the broken one.


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("light")) as served:
        yield served


DETECTIONS = [
    DetectionInput("a", "person", 0.9, BOXES[0]),
    DetectionInput("b", "person", 0.8, BOXES[1]),
    DetectionInput("c", "car", 0.8, BOXES[1]),
]
LIGHT = {"threat_detector", "pose_estimator", "person_reid", "depth_estimator"}
HEAVY = {"fashion_clip", "vehicle_classifier"}


async def enriched(http: HttpRunner) -> EnrichmentTrackingResult:
    return await EnrichmentPipeline(http, looks=()).enrich_batch_with_tracking(DETECTIONS, {None: DATA})


def plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


@pytest.mark.parametrize("name", [name for name in FAULTS if "box" not in name])
def test_the_other_models_answers_are_unharmed(name: str, light: Served) -> None:
    """The heavy service misbehaves; what the light one's models say is what they say without it."""
    fault, kind, _ = FAULTS[name]

    async def run() -> tuple[EnrichmentTrackingResult, EnrichmentTrackingResult]:
        with on_loopback(light) as url:
            async with fault_server(fault) as server:
                settings = config(url, attempt_s=10.0)
                async with HttpRunner(settings) as alone:
                    quiet = await enriched(alone)
                broken = ClientConfig(
                    {"light": url, "enrichment": server.url},
                    connect_timeout_s=2.0,
                    read_timeout_s=5.0 if name not in {"nothing for too long", "an answer that trickles"} else 0.5,
                    retries=RetryPolicy(attempts=1),
                )
                async with HttpRunner(broken) as http:
                    return quiet, await enriched(http)

    quiet, found = asyncio.run(run())
    assert (quiet.status.value, set(quiet.failed_models)) == ("full", set())
    if kind is WeightsMissing:
        assert found.status.value == "full", "nobody installed it: nothing failed"
        assert found.data is not None
        assert found.data.skipped["c"]["vehicle_classifier"] == "no weights installed"
    elif kind is NotAnImage:
        assert found.status.value == "partial"
    else:
        assert (found.status.value, set(found.failed_models)) == ("partial", HEAVY)
        assert all(found.errors[model] for model in HEAVY)
    assert set(found.successful_models) == set(quiet.successful_models) == LIGHT
    assert quiet.data is not None
    assert found.data is not None
    for part in ("pose_results", "threat_results", "reid_embeddings"):
        assert {key: plain(result) for key, result in getattr(found.data, part).items()} == {
            key: plain(result) for key, result in getattr(quiet.data, part).items()
        }


def test_a_service_that_stops_makes_it_partial_and_full_again_when_it_is_back(tmp_path: Path, light: Served) -> None:
    """As somebody sees it who stops the light service under a running pipeline and starts it again."""
    now = [0.0]
    with serve(tmp_path, "enrichment") as heavy, on_loopback(heavy) as heavy_url:
        with on_loopback(light) as url:
            port = urlsplit(url).port
        assert port is not None
        settings = ClientConfig(
            {"light": url, "enrichment": heavy_url},
            retries=RetryPolicy(attempts=1),
            breaker=BreakerLimits(2, recovery_timeout_s=30.0, half_open_max_calls=1),
        )

        async def run() -> None:
            async with HttpRunner(settings, surroundings=Surroundings(clock=lambda: now[0])) as http:
                with on_loopback(light, port):
                    assert (await enriched(http)).status.value == "full"
                for words in ("refuses connections", "refuses connections", "is not asked for now"):
                    found = await enriched(http)
                    assert (found.status.value, set(found.failed_models)) == ("partial", LIGHT)
                    assert set(found.successful_models) == HEAVY
                    assert all(words in found.errors[model] for model in LIGHT), found.errors
                with on_loopback(light, port):
                    assert (await enriched(http)).status.value == "partial", "it is left alone for a while"
                    now[0] += 30.0
                    found = await enriched(http)
                    assert (found.status.value, set(found.successful_models)) == ("full", LIGHT | HEAVY)
                    circuits = [http.service("light").circuit(QUESTIONS[model].capability) for model in LIGHT]
                    assert {circuit.state for circuit in circuits} == {State.CLOSED}

        asyncio.run(run())
