"""The client against a server that delays, breaks off, lies and refuses: every failure has its type, and its price."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client import REGISTRY

from fault_server import Fault, FaultServer, answer, cut_off, fault_server, problem, reset, silence, trickle
from hearthwatch.client import BreakerLimits, CircuitOpen, ClientConfig, EnrichmentClient, RetryPolicy, Surroundings
from hearthwatch.client.breaker import State
from hearthwatch.client.capabilities import PET, POSE, Capability
from hearthwatch.client.transport import stages_in
from hearthwatch.errors import (
    BadAnswer,
    BadBox,
    BudgetTooSmall,
    DeadlineExceeded,
    EnrichmentUnavailableError,
    HearthwatchError,
    InputError,
    NotAnImage,
    ServiceFailed,
    ServiceOverloaded,
    ServiceRefused,
    ServiceTimedOut,
    ServiceUnreachable,
    UnknownModel,
    WeightsMissing,
)
from hearthwatch.models import PetClassificationResult
from served import picture

PET_ANSWER = {"pet_type": "cat", "breed": "unknown", "confidence": 0.9, "is_household_pet": True}
CAT = PetClassificationResult("cat", "unknown", 0.9, is_household_pet=True)
#: When the made-up present is, in seconds since 1970.
NOW = 1_800_000_000.0


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
        return Surroundings(lambda: self.now, lambda: NOW, self.sleep, lambda: 0.5)


def client_of(
    url: str, world: World, *, attempt_s: float = 5.0, breaker: BreakerLimits | None = None, **options: Any
) -> EnrichmentClient:
    config = ClientConfig(
        urls={"enrichment": url, "light": url},
        connect_timeout_s=attempt_s / 2,
        read_timeout_s=attempt_s / 2,
        retries=RetryPolicy(),
        breaker=breaker or BreakerLimits(),
        api_key="secret",
        max_answer_bytes=100_000,
    )
    return EnrichmentClient(config, surroundings=world.surroundings, **options)


def with_faults(
    story: Callable[[FaultServer, EnrichmentClient, World], Awaitable[None]], *faults: Fault, **options: Any
) -> None:
    """Run a story against a server with these faults."""

    async def run() -> None:
        world = World()
        async with fault_server(*faults) as server, client_of(server.url, world, **options) as client:
            await story(server, client, world)

    asyncio.run(run())


async def failing(question: Awaitable[Any]) -> HearthwatchError:
    with pytest.raises(HearthwatchError) as failed:
        await question
    return failed.value


def circuit_of(client: EnrichmentClient, capability: Capability = PET) -> State:
    return client.service("light").circuit(capability).state


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


#: By name: what the server does every time, what it becomes, how often it is tried, and whether the circuit counts it.
FAULTS: dict[str, tuple[Fault, type[HearthwatchError], int, bool]] = {
    "nothing for too long": (silence, ServiceTimedOut, 3, True),
    "an answer that trickles": (trickle, ServiceTimedOut, 3, True),
    "a reset": (reset, ServiceUnreachable, 3, True),
    "half an answer": (cut_off(PET_ANSWER), ServiceUnreachable, 3, True),
    "500": (problem(500, "internal"), ServiceFailed, 3, True),
    "500 of something else": (answer(b"<html>oops</html>", 500), ServiceFailed, 3, True),
    "502": (answer(b"", 502), ServiceFailed, 3, True),
    "503 while it loads": (problem(503, "loading"), ServiceFailed, 3, True),
    "504": (problem(504, "deadline_exceeded"), ServiceTimedOut, 3, True),
    "429 that says when": (problem(429, "queue_full", Retry_After="2"), ServiceOverloaded, 3, False),
    "429 that does not": (problem(429, "queue_full"), ServiceOverloaded, 1, False),
    "no weights": (problem(503, "weights_missing"), WeightsMissing, 1, False),
    "no room for the model": (problem(507, "budget_too_small"), BudgetTooSmall, 1, False),
    "a picture that is none to it": (problem(400, "not_an_image"), NotAnImage, 1, False),
    "a box that it does not like": (problem(422, "bad_box"), BadBox, 1, False),
    "a field that it does not like": (problem(422, "bad_input"), InputError, 1, False),
    "an unknown model": (problem(404, "unknown_model"), UnknownModel, 1, False),
    "a key that is wrong": (problem(401, "unauthorized"), InputError, 1, False),
    "a redirection": (answer(b"", 302, Location="http://127.0.0.1:1/"), BadAnswer, 1, False),
    "no JSON": (answer(b'{"pet_type": '), BadAnswer, 1, False),
    "JSON of another kind": (answer([PET_ANSWER]), BadAnswer, 1, False),
    "an answer without a field": (answer({"pet_type": "cat"}), BadAnswer, 1, False),
    "an answer with another type": (answer({**PET_ANSWER, "confidence": {}}), BadAnswer, 1, False),
    "an answer with an impossible word": (answer({**PET_ANSWER, "pet_type": "fox"}), BadAnswer, 1, False),
    "an answer without end": (answer(b" " * 100_001), BadAnswer, 1, False),
    "an answer that cannot be unpacked": (answer(b"nonsense", Content_Encoding="gzip"), BadAnswer, 1, False),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_has_its_type_and_its_price(name: str) -> None:
    fault, kind, attempts, counts = FAULTS[name]

    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        retried = counted("hearthwatch_enrichment_retries_total", endpoint="pet-classify")
        error = await failing(client.classify_pet(picture(), timeout_s=None))
        assert type(error) is kind
        assert server.url in str(error)
        assert len(server.received) == attempts
        assert len(world.waits) == attempts - 1
        assert counted("hearthwatch_enrichment_retries_total", endpoint="pet-classify") == retried + attempts - 1
        for _ in range(5):
            await failing(client.classify_pet(picture()))
        assert circuit_of(client) is (State.OPEN if counts else State.CLOSED)

    with_faults(story, fault, attempt_s=0.2)


@pytest.mark.parametrize(
    ("faults", "waits"),
    [
        ([problem(500, "internal")], [1.0]),
        ([problem(500, "internal"), reset], [1.0, 2.0]),
        ([problem(429, "queue_full", Retry_After="7"), cut_off(PET_ANSWER)], [7.0, 2.0]),
        ([problem(503, "loading", Retry_After="3")], [3.0]),
        ([problem(503, "draining", Retry_After=formatdate(NOW + 12, usegmt=True))], [12.0]),
        ([problem(503, "draining", Retry_After=formatdate(NOW - 12, usegmt=True))], [0.0]),
        ([problem(503, "draining", Retry_After="soon")], [1.0]),
    ],
)
def test_what_passes_is_waited_for_and_then_answered(faults: list[Fault], waits: list[float]) -> None:
    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        assert await client.classify_pet(picture()) == CAT
        assert world.waits == pytest.approx(waits)
        assert len(server.received) == len(faults) + 1

    with_faults(story, *faults, answer(PET_ANSWER))


def test_a_wait_that_is_longer_than_ours_is_told() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        error = await failing(client.classify_pet(picture()))
        assert (type(error), error.retry_after_s, world.waits) == (ServiceOverloaded, 3600.0, [])
        assert len(server.received) == 1

    with_faults(story, problem(429, "queue_full", Retry_After="3600"))


def test_nobody_listens() -> None:
    async def run() -> None:
        async with fault_server(reset) as server:
            url = server.url
        world = World()
        async with client_of(url, world) as client:
            assert type(await failing(client.classify_pet(picture()))) is ServiceRefused
            assert world.waits == [1.0, 2.0]

    asyncio.run(run())


def test_there_is_no_way() -> None:
    def no_route(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no route to host", request=request)

    async def run() -> None:
        async with client_of("http://porch:8096", World(), transport=httpx.MockTransport(no_route)) as client:
            error = await failing(client.classify_pet(picture()))
            assert type(error) is ServiceUnreachable
            assert "no route to host" in str(error)

    asyncio.run(run())


def test_a_circuit_opens_is_left_alone_and_closes_again() -> None:
    limits = BreakerLimits(failure_threshold=3, recovery_timeout_s=60.0, half_open_max_calls=2)

    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        await failing(client.classify_pet(picture()))
        assert circuit_of(client) is State.OPEN
        assert counted("hearthwatch_circuit_state", circuit="light:enrichment_pet") == 2
        opened, sent = (
            counted("hearthwatch_pipeline_errors_total", kind="enrichment_circuit_open"),
            len(server.received),
        )
        error = await failing(client.classify_pet(picture()))
        assert type(error) is CircuitOpen
        assert isinstance(error, EnrichmentUnavailableError)
        assert len(server.received) == sent, "nothing is sent"
        assert counted("hearthwatch_pipeline_errors_total", kind="enrichment_circuit_open") == opened + 1
        server.faults[:] = [answer(PET_ANSWER)]
        world.now += 60.0
        assert await client.classify_pet(picture()) == CAT
        assert circuit_of(client) is State.HALF_OPEN
        assert await client.classify_pet(picture()) == CAT
        assert circuit_of(client) is State.CLOSED
        assert counted("hearthwatch_circuit_state", circuit="light:enrichment_pet") == 0

    with_faults(story, problem(500, "internal"), breaker=limits)


def test_a_probe_that_fails_is_not_repeated_at_once() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        await failing(client.classify_pet(picture()))
        world.now += 60.0
        sent = len(server.received)
        await failing(client.classify_pet(picture()))
        assert len(server.received) == sent + 1

    with_faults(story, problem(500, "internal"), breaker=BreakerLimits(failure_threshold=2))


def test_a_broken_model_never_blocks_another() -> None:
    async def story(_server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        for _ in range(3):
            await failing(client.classify_pet(picture()))
        assert circuit_of(client) is State.OPEN
        assert circuit_of(client, POSE) is State.CLOSED
        assert type(await failing(client.analyze_pose(picture()))) is ServiceFailed

    with_faults(story, problem(500, "internal"))


def test_who_is_cancelled_gives_the_place_of_a_probe_back() -> None:
    limits = BreakerLimits(failure_threshold=1, half_open_max_calls=1)

    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        await failing(client.classify_pet(picture()))
        world.now += 60.0
        server.faults[:] = [silence]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.classify_pet(picture())
        server.faults[:] = [answer(PET_ANSWER)]
        assert await client.classify_pet(picture()) == CAT

    with_faults(story, problem(500, "internal"), breaker=limits)


def test_the_time_of_a_call_ends_its_repeats_and_is_told_to_the_service() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        assert type(await failing(client.classify_pet(picture(), timeout_s=2.5))) is ServiceFailed
        assert world.waits == [1.0], "a second wait would end after the deadline"
        told = [float(request.headers["x-deadline-ms"]) for request in server.received]
        assert told == pytest.approx([2.5e3 * 0.95, 1.5e3 * 0.95], abs=1)
        assert type(await failing(client.classify_pet(picture(), timeout_s=0.0))) is DeadlineExceeded
        assert len(server.received) == 2

    with_faults(story, problem(500, "internal"), attempt_s=60.0)


def test_every_attempt_has_the_key_a_trace_of_its_own_call_and_a_deadline() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        assert await client.classify_pet(picture()) == CAT
        assert await client.classify_pet(picture()) == CAT
        traces = [request.headers["traceparent"].split("-") for request in server.received]
        assert traces[0][1] == traces[1][1] != traces[2][1], "the attempts of one call are one trace"
        assert len({trace[2] for trace in traces}) == 3, "and each is a span of its own"
        for request in server.received:
            assert request.headers["x-api-key"] == "secret"
            assert float(request.headers["x-deadline-ms"]) == pytest.approx(5000 * 0.95)

    with_faults(story, problem(500, "internal"), answer(PET_ANSWER))


def test_a_trace_of_the_caller_is_continued() -> None:
    async def run() -> None:
        trace = f"00-{'a' * 32}-{'b' * 16}-01"
        async with fault_server(answer(PET_ANSWER)) as server:
            config = ClientConfig(urls={"light": server.url})
            async with EnrichmentClient(config, surroundings=Surroundings(traceparent=lambda: trace)) as client:
                await client.classify_pet(picture())
            sent = server.received[0].headers["traceparent"].split("-")
            assert (sent[1], sent[3]) == ("a" * 32, "01")
            assert sent[2] != "b" * 16

    asyncio.run(run())


def test_a_timeout_is_told_in_the_metrics_by_its_model() -> None:
    async def story(_server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        kind, other = "enrichment_pet_timeout", "enrichment_unexpected_error"
        before = counted("hearthwatch_pipeline_errors_total", kind=kind)
        await failing(client.classify_pet(picture()))
        assert counted("hearthwatch_pipeline_errors_total", kind=kind) == before + 1
        unexpected = counted("hearthwatch_pipeline_errors_total", kind=other)
        asked = counted("hearthwatch_ai_request_duration_seconds_count", model="enrichment_pose")
        await failing(client.analyze_pose(picture()))
        assert counted("hearthwatch_pipeline_errors_total", kind=other) == unexpected + 1
        assert counted("hearthwatch_ai_request_duration_seconds_count", model="enrichment_pose") == asked + 1

    with_faults(story, silence, silence, silence, answer(b"no JSON"), attempt_s=0.2)


def test_that_drawings_taught_a_network_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    async def story(_server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        for _ in range(3):
            await client.classify_pet(picture())
        assert client.weights == {"enrichment_pet": "sample"}

    with_faults(story, answer({**PET_ANSWER, "weights": "sample"}))
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        "sample weights answer service=light capability=enrichment_pet"
    ]


@pytest.mark.parametrize(
    ("header", "stages"),
    [
        ("decode;dur=1.25, infer;dur=10", {"decode": 1.25, "infer": 10.0}),
        ("", {}),
        ("cache;desc=hit, infer;dur=slow, queue;dur=0.5;desc=x", {"queue": 0.5}),
    ],
)
def test_stages_are_read_from_what_a_service_says_of_its_time(header: str, stages: dict[str, float]) -> None:
    assert stages_in(header) == stages


def test_health_is_told_and_never_an_error() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, world: World) -> None:
        assert (await client.check_health())["status"] == "healthy"
        server.faults[:] = [answer({"status": "healthy"}), reset]
        assert (await client.check_health())["status"] == "degraded"
        server.faults[:] = [reset]
        told = await client.check_health()
        assert told["status"] == "unavailable"
        assert all("hung up" in service["error"] for service in told["services"].values())
        assert world.waits == []

    with_faults(story, answer({"status": "healthy"}))


def test_many_calls_at_once_share_the_connections_and_each_has_its_answer() -> None:
    async def story(server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        answers = await asyncio.gather(*(client.classify_pet(picture()) for _ in range(150)))
        assert answers == [CAT] * 150
        assert len({request.headers["x-request-id"] for request in server.received}) == 150

    with_faults(story, answer(PET_ANSWER), attempt_s=60.0)


def test_a_client_that_was_closed_has_no_connections() -> None:
    async def run() -> None:
        async with fault_server(answer(PET_ANSWER)) as server:
            client = client_of(server.url, World())
            assert await client.classify_pet(np.zeros((8, 8, 3), np.uint8)) == CAT
            await client.close()
            with pytest.raises(RuntimeError, match="closed"):
                await client.classify_pet(picture())

    asyncio.run(run())


def test_rows_that_are_not_those_that_were_asked_for_are_no_answer() -> None:
    row = {"status": "skipped", "models_loaded": [], "skipped": {}, "errors": {}}

    async def story(_server: FaultServer, client: EnrichmentClient, _world: World) -> None:
        detections = [{"detection_type": "person"}, {"detection_type": "dog"}]
        for wrong in ("1 rows came back", "results", "fine", "int"):
            error = await failing(client.enrich_batch(picture(), detections))
            assert isinstance(error, BadAnswer)
            assert wrong in str(error)

    half = {"results": [{**row, "status": "fine"}, row]}
    with_faults(story, answer({"results": [row]}), answer({}), answer(half), answer({"results": [7, 8]}))
