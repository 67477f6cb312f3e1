"""Tokens as the language model's own server counts them, where it can be asked; else by the bound."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from events import make_event, person
from fault_server import Fault, answer, cut_off, fault_server, problem, reset
from hearthwatch.cli.judging import Judging, judge_by
from hearthwatch.pipeline import DetectionInput
from hearthwatch.prompt import Scene, bytes_at_most
from hearthwatch.prompt.counting import CountTokens
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer
from hearthwatch.vision.boxes import Box
from language_models import chat, told
from test_nemotron import STRANGER, Asked

TEXT = "Jürgen is at the door."
CROWD = [DetectionInput(f"p{i}", "person", 0.9, Box(i, 0, i + 1, 1), zones=("lawn", "drive")) for i in range(90)]


def counted(*faults: Fault, path: str = "", times: int = 1) -> tuple[list[int], list[Any], str | None]:
    """What a prompt's builder is told, what the server was asked, and why the rules judged, if they did."""
    counts: list[int] = []

    def ask(_scene: Scene, count: CountTokens) -> Asked:
        counts.extend(count(TEXT) for _ in range(times))
        return Asked()

    async def story() -> tuple[list[int], list[Any], str | None]:
        async with fault_server(*faults) as server:
            async with NemotronAnalyzer(LanguageModelConfig(server.url + path, "any")) as analyzer:
                risk = await analyzer.analyze(STRANGER, ask)
            return counts, server.received, risk.fallback

    return asyncio.run(story())


@pytest.mark.parametrize("path", ["", "/v1", "/v1/chat/completions", "/completion"])
def test_the_server_s_own_count_is_used_where_it_has_one(path: str) -> None:
    counts, asked, _ = counted(answer({"tokens": list(range(7))}), chat(told()), path=path)
    assert counts == [7]
    assert asked[0].path == "/tokenize"
    assert orjson.loads(asked[0].body) == {"content": TEXT}


def test_a_server_under_a_path_is_asked_under_it() -> None:
    _, asked, _ = counted(answer({"tokens": [1]}), chat(told()), path="/llm/v1")
    assert [one.path for one in asked] == ["/llm/tokenize", "/llm/v1/chat/completions"]


@pytest.mark.parametrize(
    "fault",
    [
        problem(404, "not_found"),
        problem(500, "internal"),
        answer(b"<html>", Content_Type="text/html"),
        answer({"count": 5}),
        answer({"tokens": 5}),
        answer([1, 2]),
        cut_off({"tokens": [1, 2, 3]}),
        reset,
    ],
)
def test_without_a_count_the_bound_does_and_the_server_is_not_asked_again(fault: Fault) -> None:
    counts, asked, why = counted(fault, chat(told()), times=3)
    assert counts == [bytes_at_most(TEXT)] * 3
    assert [one.path for one in asked] == ["/tokenize", "/v1/chat/completions"]
    assert why is None


def test_a_text_is_not_sent_elsewhere_to_be_counted() -> None:
    paths: list[str] = []

    async def far(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        choice = {"message": {"content": told()}, "finish_reason": "stop"}
        return httpx.Response(200, json={"choices": [choice]})

    async def resolver(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14"]

    counts: list[int] = []

    def ask(_scene: Scene, count: CountTokens) -> Asked:
        counts.append(count(TEXT))
        return Asked()

    async def story() -> None:
        config = LanguageModelConfig("https://llm.example/v1", "far", allow_remote=True)
        async with NemotronAnalyzer(config, transport=httpx.MockTransport(far), resolver=resolver) as analyzer:
            assert (await analyzer.analyze(STRANGER, ask)).source == "far"

    asyncio.run(story())
    assert counts == [bytes_at_most(TEXT)]
    assert paths == ["/v1/chat/completions"]


def prompt_of(detections: list[DetectionInput], *faults: Fault, context: int = 16384) -> tuple[list[str], str]:
    """The routes that were asked, and the event as it was told."""

    async def story() -> tuple[list[str], str]:
        async with fault_server(*faults) as server:
            judging = Judging(LanguageModelConfig(server.url, "any", context_tokens=context))
            event = make_event(detections)
            async with judge_by(judging, print) as judge:
                await judge(event.scene, detections, event.enrichment.data)
            bodies = [orjson.loads(one.body) for one in server.received]
            told_ = [body["messages"][1]["content"] for body in bodies if "messages" in body]
            return [one.path for one in server.received], told_[-1] if told_ else ""

    return asyncio.run(story())


def test_an_event_that_fits_by_the_bound_takes_no_request_to_count() -> None:
    paths, said = prompt_of([person("a", Box(0, 0, 1, 1))], chat(told()))
    assert paths == ["/v1/chat/completions"]
    assert "Left out" not in said


def test_an_event_that_fits_by_the_server_s_count_alone_is_told_whole() -> None:
    count = answer({"tokens": list(range(2000))})
    paths, said = prompt_of(CROWD, count, count, chat(told()), context=8000)
    assert paths == ["/tokenize", "/tokenize", "/v1/chat/completions"]
    assert "Left out" not in said
    assert said.count("person in view") == len(CROWD)


def test_without_a_count_the_least_important_facts_leave() -> None:
    paths, said = prompt_of(CROWD, problem(404, "not_found"), chat(told()), context=8000)
    assert paths == ["/tokenize", "/v1/chat/completions"]
    assert "Left out for want of room" in said


def test_a_context_that_is_small_by_the_bound_may_do_by_the_count() -> None:
    count = answer({"tokens": list(range(300))})
    paths, said = prompt_of([person("a", Box(0, 0, 1, 1))], count, count, chat(told()), context=4000)
    assert paths[-1] == "/v1/chat/completions"
    assert "person in view" in said
