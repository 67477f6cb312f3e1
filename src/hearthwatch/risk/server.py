"""A language model's server over HTTP: each attempt under one circuit, on the clock, repeated where that may help."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import httpx
import orjson

from hearthwatch.client import metrics
from hearthwatch.client.breaker import CircuitBreaker, Outcome
from hearthwatch.client.capabilities import Capability
from hearthwatch.client.failures import broken, is_failure, kind_of, may_pass, refused
from hearthwatch.client.retries import Retries
from hearthwatch.client.transport import Surroundings
from hearthwatch.errors import (
    BadAnswer,
    DeadlineExceeded,
    EnrichmentUnavailableError,
    HearthwatchError,
    ServiceTimedOut,
    SettingsError,
)
from hearthwatch.risk.configuration import LanguageModelConfig
from hearthwatch.risk.dialects import Turn, dialect_of
from hearthwatch.risk.place import Place, Resolve, Url, place_of, resolve
from hearthwatch.risk.stream import EndlessAnswer, Incoming, Reply

#: As circuits and metrics name it.
NAME = "llm"
#: Bytes of a refusal that are read for its sentence.
_REFUSAL_BYTES = 16 * 1024
_STREAM = "text/event-stream"
#: llama.cpp's route that tells the tokens of a text.
_TOKENIZE = "/tokenize"
#: Seconds for one count, and bytes of its answer: 65,536 tokens as numbers of six digits, generously.
_COUNT_S, _COUNT_BYTES = 5.0, 1024 * 1024

_log = logging.getLogger(__name__)


class LanguageModelServer:
    """One server. Used from one event loop; `close` it.

    Args:
        config: where it is and how patient to be.
        transport: carries httpx's requests; None: the network.
        surroundings: clock, sleep and chance.
        resolver: names to addresses.

    Raises:
        SettingsError: an address that is none.
    """

    def __init__(
        self,
        config: LanguageModelConfig,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        surroundings: Surroundings | None = None,
        resolver: Resolve = resolve,
    ) -> None:
        self.config = config
        self._dialect, path = dialect_of(config.url)
        try:
            self.url = Url.of(config.url, path)
        except (ValueError, KeyError) as error:
            raise SettingsError(f"LLM_URL={config.url!r} cannot be used: {error}") from error
        self._counting = replace(self.url, path=path.removesuffix(self._dialect.path) + _TOKENIZE)
        self._world = surroundings or Surroundings()
        self._resolver = resolver
        timeout = httpx.Timeout(config.attempt_s, connect=config.connect_timeout_s)
        # Events of a home go where the settings say, and not to a proxy that some variable names.
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, trust_env=False)
        self._capability = Capability(NAME, path, NAME, raw=False)
        metrics.watch_circuit(NAME)
        on_change = partial(metrics.record_circuit, NAME)
        self.circuit = CircuitBreaker(
            "the language model", config.breaker, clock=self._world.clock, on_change=on_change
        )
        self._retries = Retries(
            config.retries,
            may_pass,
            sleep=self._world.sleep,
            chance=self._world.chance,
            clock=self._world.clock,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    async def place(self) -> Place:
        """Where it is now.

        Raises:
            SettingsError: elsewhere, which nobody has allowed.
            ServiceUnreachable: its name has no address.
        """
        found = await place_of(self.url, self._resolver)
        if not (found.is_near or self.config.allow_remote):
            raise SettingsError(
                f"{self.url} is not on this machine or its private network ({', '.join(found.addresses)}): what is "
                "asked about an event would leave the house. --allow-remote-llm, or "
                "HEARTHWATCH_ALLOW_REMOTE_LLM=true, sends it with names and plates as pseudonyms"
            )
        return found

    async def ask(self, turns: Sequence[Turn], place: Place, deadline: float) -> Reply:
        """What the model says.

        Args:
            turns: the conversation.
            place: of `place`: no other address is connected to.
            deadline: seconds of the clock that the whole call may last to.

        Raises:
            EnrichmentUnavailableError: no answer; the leaf says why.
            DeadlineExceeded: the time was over before anything was sent.
            HearthwatchError: the server's refusal.
        """
        body = self._dialect.body(turns, self.config.model or "default", self.config.max_tokens)

        async def attempt() -> Reply:
            permit, outcome = self.circuit.acquire(), Outcome.NEITHER
            try:
                reply = await self._exchange(body, place, deadline)
                outcome = Outcome.SUCCEEDED
            except Exception as error:
                # Who writes without an end is not well, and costs as much as who hangs.
                outcome = Outcome.FAILED if is_failure(error) or isinstance(error, EndlessAnswer) else Outcome.NEITHER
                raise
            finally:  # also of who is cancelled
                self.circuit.settle(permit, outcome)
            return reply

        repeated = partial(metrics.increment_enrichment_retry, NAME)
        try:
            return await self._retries.call(attempt, deadline=deadline, on_repeat=repeated)
        except EnrichmentUnavailableError as error:
            metrics.record_pipeline_error(kind_of(error, self._capability))
            raise

    async def count_tokens(self, text: str, place: Place, deadline: float) -> int:
        """How many tokens the model reads a text as, without what a chat template adds.

        Args:
            text: any.
            place: of `place`: no other address is connected to.
            deadline: seconds of the clock that the call may last to.

        Raises:
            EnrichmentUnavailableError: no answer; the leaf says why.
            DeadlineExceeded: the time was over before anything was sent.
            HearthwatchError: the server's refusal; most others than llama.cpp's have no such route.
        """
        limit_s = min(_COUNT_S, deadline - self._world.clock())
        if limit_s <= 0:
            raise DeadlineExceeded("there was no time left to count tokens")
        try:
            async with (
                asyncio.timeout(limit_s),
                self._connected({"content": text}, place, self._counting) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise await self._refusal(response, self._counting)
                told = await _at_most(response, _COUNT_BYTES)
        except TimeoutError as error:
            raise ServiceTimedOut(f"{self._counting} gave no count within {limit_s:.3g} s") from error
        except httpx.HTTPError as error:
            raise broken(error, str(self._counting)) from error
        return _number_of_tokens(told, str(self._counting))

    async def _exchange(self, body: dict[str, Any], place: Place, deadline: float) -> Reply:
        started = self._world.clock()
        limit_s = min(self.config.attempt_s, deadline - started)
        if limit_s <= 0:
            raise DeadlineExceeded("there was no time left to ask the language model")
        try:
            # httpx counts the time between two parts of an answer: a server that trickles would hold us for ever.
            async with asyncio.timeout(limit_s), self._connected(body, place, self.url) as response:
                return await self._read(response)
        except TimeoutError as error:
            raise ServiceTimedOut(f"{self.url} did not end its answer within {limit_s:.3g} s") from error
        except httpx.HTTPError as error:
            raise broken(error, str(self.url)) from error
        finally:
            metrics.observe_ai_request_duration(NAME, self._world.clock() - started)

    @asynccontextmanager
    async def _connected(self, body: dict[str, Any], place: Place, url: Url) -> AsyncIterator[httpx.Response]:
        """The response of the first address that takes a connection, its body not yet read."""
        response = await self._first(body, place, url)
        try:
            yield response
        finally:
            await response.aclose()

    async def _first(self, body: dict[str, Any], place: Place, url: Url) -> httpx.Response:
        for address in place.addresses[:-1]:
            try:
                return await self._send(body, address, url)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                _log.info("no connection address=%s reason=%s", address, type(error).__name__)
        return await self._send(body, place.addresses[-1], url)

    async def _send(self, body: dict[str, Any], address: str, url: Url) -> httpx.Response:
        headers = {
            "Host": url.authority,
            "Accept": f"{_STREAM}, application/json",
            "Accept-Encoding": "identity",  # not packed: a small part could be a very large text
        }
        if self.config.api_key:
            headers["Authorization"] = f"Bearer {self.config.api_key}"
        request = self._http.build_request(
            "POST",
            url.at(address),
            json=body,
            headers=headers,
            extensions={"sni_hostname": url.host},  # whose certificate it must be
        )
        return await self._http.send(request, stream=True)

    async def _read(self, response: httpx.Response) -> Reply:
        if response.status_code != httpx.codes.OK:
            raise await self._refusal(response, self.url)
        streams = response.headers.get("content-type", "").partition(";")[0].strip().lower() == _STREAM
        incoming = Incoming(self._dialect.piece, streams=streams, limits=self.config.limits)
        async for part in response.aiter_bytes():
            incoming.feed(part)
            if incoming.is_done:
                break
        return incoming.reply()

    async def _refusal(self, response: httpx.Response, url: Url) -> HearthwatchError:
        told = await _at_most(response, _REFUSAL_BYTES)
        return refused(response.status_code, response.headers, told, str(url), self._world.now())


async def _at_most(response: httpx.Response, limit: int) -> bytes:
    """The first bytes of a body; what is beyond them is never held."""
    told = bytearray()
    async for part in response.aiter_bytes():
        told += part
        if len(told) > limit:
            break
    return bytes(told[:limit])


def _number_of_tokens(told: bytes, url: str) -> int:
    try:
        tokens = orjson.loads(told)["tokens"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise BadAnswer(f"{url} told no tokens") from error
    if not isinstance(tokens, list):
        raise BadAnswer(f"{url} told tokens of type {type(tokens).__name__}; a list is expected")
    return len(tokens)
