"""One service over HTTP: each attempt under its circuit, on the clock, repeated where that may help.

An attempt is what a circuit counts: a service that hangs costs each attempt a minute, and with three to a call a
circuit that counted calls would let fifteen of them wait before it opened.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import httpx
import orjson

from hearthwatch.client import metrics
from hearthwatch.client.breaker import CircuitBreaker, Outcome
from hearthwatch.client.capabilities import Capability
from hearthwatch.client.configuration import ClientConfig
from hearthwatch.client.failures import UNREADABLE, broken, is_failure, kind_of, may_pass, refused, unreadable
from hearthwatch.client.retries import Retries, RetryBudget
from hearthwatch.errors import BadAnswer, DeadlineExceeded, EnrichmentUnavailableError, ServiceTimedOut, SettingsError

T = TypeVar("T")
Json = dict[str, Any]
#: An answer of more bytes is read in a thread: with a depth map in it, that takes milliseconds.
LARGE_BYTES = 64 * 1024
#: Of the time that we wait, what the service is told it has: its own sentence about a deadline needs time to arrive.
TOLD_SHARE = 0.95
#: The longest deadline that services accept, in milliseconds.
MAX_DEADLINE_MS = 3_600_000
#: W3C Trace Context, version 00: trace id, parent id, flags.
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
#: Of `Server-Timing`: a stage and its milliseconds.
_STAGE = re.compile(r"(\w+);dur=(\d+(?:\.\d+)?)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a client takes from the world, so that a test can give it another one.

    Attributes:
        clock: seconds that never go back.
        now: seconds since 1970.
        sleep: waits.
        chance: 0..1, evenly.
        traceparent: of the caller's trace, where there is one, for the requests of a call to continue.
    """

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    chance: Callable[[], float] = random.random
    traceparent: Callable[[], str | None] = lambda: None


@dataclass(frozen=True, slots=True)
class Told:
    """One answer.

    Attributes:
        body: what it says.
        stages_ms: what the work took in the service, by the stages of `Server-Timing`.
    """

    body: Json
    stages_ms: Mapping[str, float]


class ServiceConnection:
    """One service.

    Args:
        name: of its row of the page.
        config: how patient to be.
        http: the connections, shared with other services.
        surroundings: clock, sleep and chance.

    Attributes:
        weights: real, sample, custom or mixed, by capability: what its last answer came from.

    Raises:
        SettingsError: the configuration has no address of that service.
    """

    def __init__(self, name: str, config: ClientConfig, http: httpx.AsyncClient, surroundings: Surroundings) -> None:
        if name not in config.urls:
            raise SettingsError(
                f"there is no address of the service {name}; there are {', '.join(config.urls) or 'none'}"
            )
        self.name = name
        self.weights: dict[str, str] = {}
        self._url = config.urls[name].rstrip("/")
        self._config = config
        self._http = http
        self._world = surroundings
        self._circuits: dict[str, CircuitBreaker] = {}
        self._retries = Retries(
            config.retries,
            may_pass,
            budget=RetryBudget(),
            sleep=surroundings.sleep,
            chance=surroundings.chance,
            clock=surroundings.clock,
        )

    def circuit(self, capability: Capability) -> CircuitBreaker:
        """That of a capability of this service; it has no other one's failures."""
        if capability.name not in self._circuits:
            label = f"{self.name}:{capability.name}"
            metrics.watch_circuit(label)
            self._circuits[capability.name] = CircuitBreaker(
                f"{capability.name} of {self.name}",
                self._config.breaker,
                clock=self._world.clock,
                on_change=partial(metrics.record_circuit, label),
            )
        return self._circuits[capability.name]

    async def ask(
        self, capability: Capability, body: Mapping[str, Any], read: Callable[[Told], T], deadline: float | None = None
    ) -> T:
        """One question.

        Args:
            capability: what is asked for.
            body: arguments of httpx: the picture and the other fields.
            read: an answer to what it means, maybe in a thread; what it raises of `UNREADABLE` makes it a bad one.
            deadline: seconds of the clock that the whole call may last to, waits and repeats included; None: no end.

        Raises:
            EnrichmentUnavailableError: no answer; the leaf says why.
            DeadlineExceeded: the time was over before anything was sent.
            HearthwatchError: the service's own refusal, such as `ImageError`, `BadBox` or `WeightsMissing`.
        """
        circuit, trace = self.circuit(capability), _trace_of(self._world.traceparent())

        async def attempt() -> T:
            permit, outcome = circuit.acquire(), Outcome.NEITHER
            try:
                content, headers = await self._exchange(capability, body, trace, deadline)
                understand = partial(self._meaning, capability, content, headers, read)
                answer = await asyncio.to_thread(understand) if len(content) > LARGE_BYTES else understand()
                outcome = Outcome.SUCCEEDED
            except Exception as error:
                outcome = Outcome.FAILED if is_failure(error) else Outcome.NEITHER
                raise
            finally:  # also of who is cancelled
                circuit.settle(permit, outcome)
            return answer

        repeated = partial(metrics.increment_enrichment_retry, capability.endpoint)
        try:
            return await self._retries.call(attempt, deadline=deadline, on_repeat=repeated)
        except EnrichmentUnavailableError as error:
            metrics.record_pipeline_error(kind_of(error, capability))
            raise

    async def tell(self, path: str, method: str = "GET", params: Mapping[str, str] | None = None) -> Json:
        """A page about the service itself, asked for once and past all circuits.

        Raises:
            EnrichmentUnavailableError: no answer.
            HearthwatchError: the service's own refusal.
        """
        headers = self._headers(_trace_of(self._world.traceparent()), self._config.attempt_s)
        content, _ = await self._request(method, path, self._config.attempt_s, headers=headers, params=params)
        return _object_in(content, f"{self._url}{path}")

    def _meaning(
        self, capability: Capability, content: bytes, headers: Mapping[str, str], read: Callable[[Told], T]
    ) -> T:
        where = f"{self._url}{capability.path}"
        told = Told(_object_in(content, where), stages_in(headers.get("server-timing", "")))
        try:
            answer = read(told)
        except UNREADABLE as error:
            raise unreadable(error, where) from error
        self._note_weights(capability, told.body.get("weights"))
        return answer

    def _note_weights(self, capability: Capability, origin: object) -> None:
        """Nobody should take for real what a network says that has only seen drawings."""
        if not isinstance(origin, str):
            return
        if origin in {"sample", "mixed"} and self.weights.get(capability.name) != origin:
            _log.warning("sample weights answer service=%s capability=%s", self.name, capability.name)
        self.weights[capability.name] = origin

    async def _exchange(
        self, capability: Capability, body: Mapping[str, Any], trace: tuple[str, str], deadline: float | None
    ) -> tuple[bytes, Mapping[str, str]]:
        started = self._world.clock()
        limit_s = self._config.attempt_s
        if deadline is not None:
            limit_s = min(limit_s, deadline - started)
        if limit_s <= 0:
            raise DeadlineExceeded(f"there was no time left to ask {self.name} for {capability.name}")
        headers = self._headers(trace, limit_s) | body.get("headers", {})
        try:
            return await self._request("POST", capability.path, limit_s, **{**body, "headers": headers})
        finally:
            metrics.observe_ai_request_duration(capability.name, self._world.clock() - started)

    async def _request(
        self, method: str, path: str, limit_s: float, **arguments: Any
    ) -> tuple[bytes, Mapping[str, str]]:
        """The answer's content and headers."""
        where = f"{self._url}{path}"
        try:
            # httpx counts the time between two parts of an answer: a service that trickles would hold us for ever.
            async with asyncio.timeout(limit_s), self._http.stream(method, where, **arguments) as response:
                body = await self._read(response, where)
        except TimeoutError as error:
            raise ServiceTimedOut(f"{where} did not answer within {limit_s:.3g} s") from error
        except httpx.HTTPError as error:
            raise broken(error, where) from error
        if response.status_code != httpx.codes.OK:
            raise refused(response.status_code, response.headers, body, where, self._world.now())
        return body, response.headers

    async def _read(self, response: httpx.Response, where: str) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._config.max_answer_bytes:
                raise BadAnswer(
                    f"{where} answered with more than {len(body):,} bytes; "
                    f"at most {self._config.max_answer_bytes:,} are read"
                )
        return bytes(body)

    def _headers(self, trace: tuple[str, str], limit_s: float) -> dict[str, str]:
        trace_id, flags = trace
        told_ms = min(max(1, int(limit_s * 1000 * TOLD_SHARE)), MAX_DEADLINE_MS)
        headers = {
            "X-Deadline-Ms": str(told_ms),
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-{flags}",
            "X-Request-ID": trace_id,
        }
        return headers | ({"X-API-Key": self._config.api_key} if self._config.api_key else {})


def _trace_of(traceparent: str | None) -> tuple[str, str]:
    """(trace id, flags) of the caller's trace, or of a new one that nobody records."""
    found = _TRACEPARENT.fullmatch(traceparent or "")
    return (found[1], found[2]) if found else (secrets.token_hex(16), "00")


def stages_in(server_timing: str) -> dict[str, float]:
    """Milliseconds by stage of a `Server-Timing`; what is none of it is left out."""
    return {stage: float(milliseconds) for stage, milliseconds in _STAGE.findall(server_timing)}


def _object_in(body: bytes, where: str) -> Json:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadAnswer(f"{where} answered with something that is no JSON: {error}") from error
    if not isinstance(told, dict):
        raise BadAnswer(f"{where} answered with JSON of type {type(told).__name__}; an object is expected")
    return told
