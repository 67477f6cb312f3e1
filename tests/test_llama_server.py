"""A real llama.cpp server with a tiny random model: it is held to the schema, and its death is no end of anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from benchmarks import prompt
from benchmarks.busy_event import busy_event
from benchmarks.llama_server import LlamaServer, ServerMissing, program

from hearthwatch.client import RetryPolicy
from hearthwatch.prompt import CountTokens, Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, RiskAssessment, assess
from scene import detection
from test_nemotron import Asked, ask

SCENE = collect_facts([detection("p", dwell_s=90.0)], None, datetime(2026, 11, 20, 12, tzinfo=UTC))
#: One token a character, and the schema allows a few thousand of them.
MANY_TOKENS = 6000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def binary() -> str:
    try:
        return program()
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(binary: str) -> Iterator[str]:
    with LlamaServer(binary) as running:
        yield running.url


def judge(url: str, times: int = 1, **options: int) -> list[RiskAssessment]:
    async def story() -> list[RiskAssessment]:
        config = LanguageModelConfig(url, max_tokens=options.get("max_tokens", MANY_TOKENS))
        async with NemotronAnalyzer(config) as analyzer:
            return [await analyzer.analyze(SCENE, ask) for _ in range(times)]

    return asyncio.run(story())


@pytest.mark.parametrize("path", ["", "/completion"])
def test_a_real_server_holds_even_a_random_model_to_the_schema(server: str, path: str) -> None:
    (risk,) = judge(server + path)
    assert risk.fallback is None
    assert "tiny" in risk.source
    assert 0 <= risk.risk_score <= 59
    assert risk.recommended_action is not None or risk.reasons
    assert risk.confidence_factors is not None
    assert risk.latency_ms is not None


@pytest.mark.parametrize("path", ["", "/completion"])
def test_the_same_event_is_judged_the_same(server: str, path: str) -> None:
    first, second = judge(server + path, 2)
    assert (first.risk_score, first.summary, first.reasoning, first.flags) == (
        second.risk_score, second.summary, second.reasoning, second.flags,
    )  # fmt: skip


def test_an_answer_that_does_not_fit_is_no_answer(server: str) -> None:
    (risk,) = judge(server, max_tokens=64)
    assert risk.source == "rules"
    assert "cut off" in str(risk.fallback)


def test_tokens_are_counted_as_the_server_counts_them(server: str) -> None:
    counts: list[int] = []

    def counting(_scene: Scene, count: CountTokens) -> Asked:
        counts.extend(count("x" * length) for length in (1, 100))
        return Asked()

    async def story() -> None:
        async with NemotronAnalyzer(LanguageModelConfig(server, max_tokens=MANY_TOKENS)) as analyzer:
            await analyzer.analyze(SCENE, counting)

    asyncio.run(story())
    # One token a character, and SentencePiece's space before a text.
    assert counts == [2, 101]


def test_a_killed_server_leaves_the_rules(binary: str) -> None:
    async def story(running: LlamaServer) -> list[RiskAssessment]:
        config = LanguageModelConfig(running.url, max_tokens=MANY_TOKENS, retries=RetryPolicy(attempts=1))
        async with NemotronAnalyzer(config) as analyzer:
            first = await analyzer.analyze(SCENE, ask)
            asked = asyncio.create_task(analyzer.analyze(SCENE, ask))
            await asyncio.sleep(0.05)
            running.process.kill()
            return [first, await asked, await analyzer.analyze(SCENE, ask)]

    with LlamaServer(binary) as running:
        first, during, after = asyncio.run(story(running))
    assert first.fallback is None
    for risk in (during, after):
        assert (risk.source, risk.risk_score) == ("rules", assess(SCENE).risk_score)
        assert risk.fallback


def test_a_second_event_is_not_read_from_its_beginning(binary: str) -> None:
    """The task stands first in every prompt, so that the server keeps it."""
    read = prompt.cache_work(binary).facts()
    assert read["second"]["known"] >= len(prompt.prompt_of(busy_event(5)).system)
    assert read["second"]["read"] < 0.7 * read["first"]["read"]
    assert read["same"]["read"] < 10
