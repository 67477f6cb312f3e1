"""The analyzer against language models that lie, hang, babble and break: a score inside the bounds, or the rules'."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest
from prometheus_client import REGISTRY

from builds import PATIENCE_S
from fault_server import Fault, FaultServer, answer, fault_server, problem, reset, silence, trickle
from hearthwatch.client import BreakerLimits, RetryPolicy, Surroundings
from hearthwatch.client.breaker import State
from hearthwatch.errors import SettingsError
from hearthwatch.prompt.counting import CountTokens
from hearthwatch.prompt.fact import Scene
from hearthwatch.prompt.facts import collect_facts
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, Private, RiskAssessment, assess, level_of
from hearthwatch.risk.answer import ANSWER_SCHEMA
from hearthwatch.risk.stream import Limits
from hearthwatch.settings import read_settings
from language_models import (
    GOOD,
    NAME,
    chat,
    completion,
    endless,
    failing,
    half,
    one_endless_line,
    told,
    whole,
)
from scene import INSIDE, detection

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERSON = detection("p")
DOG = detection("d", "dog")
GUN = detection("w", "gun", INSIDE)
STRANGER = collect_facts([PERSON], None, NOON)
#: A rejected answer, and one to the request for another.
BAD, STILL_BAD = "I cannot judge that.", '{"risk_score": 250}'


@dataclass(frozen=True)
class Asked:
    system: str = "Judge this event."
    user: str = "person in view"
    version: str = "prompt-7"


def ask(scene: Scene, _count: CountTokens) -> Asked:
    return Asked(user="\n".join(fact.text for fact in scene.facts))


class World:
    """A clock that sleeping moves, and real connections."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.now = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(lambda: self.now, lambda: 1_800_000_000.0, self.sleep, lambda: 0.5)


Story = Callable[[FaultServer, NemotronAnalyzer, World], Any]


def with_server(story: Story, *faults: Fault, path: str = "", **options: Any) -> Any:
    async def run() -> Any:
        world = World()
        async with (
            fault_server(*faults) as server,
            NemotronAnalyzer(
                LanguageModelConfig(server.url + path, **{"model": "asked-for", "attempt_s": 5.0, **options}),
                surroundings=world.surroundings,
            ) as analyzer,
        ):
            return await story(server, analyzer, world)

    return asyncio.run(run())


def judged(*faults: Fault, scene: Scene = STRANGER, **options: Any) -> tuple[RiskAssessment, FaultServer, World]:
    """One event."""

    async def story(server: FaultServer, analyzer: NemotronAnalyzer, world: World) -> Any:
        return await analyzer.analyze(scene, ask), server, world

    found: tuple[RiskAssessment, FaultServer, World] = with_server(story, *faults, **options)
    return found


def assert_by_rules(risk: RiskAssessment, scene: Scene = STRANGER, *words: str) -> None:
    assert replace(risk, fallback=None) == assess(scene)
    assert risk.source == "rules"
    assert risk.fallback is not None
    for word in words:
        assert word in risk.fallback
    assert risk.fallback.isprintable()
    assert len(risk.fallback) <= 500


def body_of(server: FaultServer, index: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(server.received[index].body)
    return found


# ------------------------------------------------------------------------------------------------------------ answers


@pytest.mark.parametrize(
    ("say", "path", "source"),
    [(chat, "", "asked-for"), (chat, "/v1", "asked-for"), (chat, "/v1/chat/completions", "asked-for"),
     (whole, "", "asked-for"), (completion, "/completion", "asked-for")],
)  # fmt: skip
def test_what_a_language_model_says_becomes_an_assessment(say: Callable[[str], Fault], path: str, source: str) -> None:
    risk, server, _ = judged(say(told()), path=path)
    assert (risk.risk_score, risk.risk_level, risk.source, risk.version) == (25, "low", source, "prompt-7")
    assert (risk.summary, risk.reasoning) == (GOOD["summary"], GOOD["reasoning"])
    assert [flag.kind for flag in risk.flags] == ["loitering"]
    assert [one.kind for one in risk.entities] == ["person"]
    assert risk.recommended_action == "review_later"
    assert risk.confidence_factors is not None
    assert (risk.reasons, risk.bounds, risk.fallback) == ((), (), None)
    assert risk.latency_ms is not None
    assert len(server.received) == 1


@pytest.mark.parametrize(("say", "path"), [(chat, ""), (completion, "/completion")])
def test_without_a_name_it_goes_by_what_its_server_calls_it(say: Callable[[str], Fault], path: str) -> None:
    assert judged(say(told()), path=path, model=None)[0].source in {NAME, f"{NAME}.gguf"}


@pytest.mark.parametrize("name", ["rules", "Rules", " ", "\x1b"])
def test_no_language_model_goes_by_the_name_of_the_rules(name: str) -> None:
    assert judged(chat(told()), model=name)[0].source == "language model"


def test_a_chat_is_asked_with_a_schema_and_nothing_left_to_chance() -> None:
    _, server, _ = judged(chat(told()), api_key="secret", max_tokens=333)
    (request,) = server.received
    assert request.path == "/v1/chat/completions"
    assert request.headers["authorization"] == "Bearer secret"
    assert request.headers["host"] == server.url.removeprefix("http://")
    body = body_of(server)
    assert [(turn["role"], turn["content"]) for turn in body["messages"]] == [
        ("system", "Judge this event."), ("user", ask(STRANGER, len).user),
    ]  # fmt: skip
    assert (body["model"], body["temperature"], body["max_tokens"], body["stream"]) == ("asked-for", 0, 333, True)
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["schema"] == ANSWER_SCHEMA
    assert isinstance(body["seed"], int)


def test_llama_cpp_is_asked_with_the_same_schema() -> None:
    _, server, _ = judged(completion(told()), path="/completion")
    body = body_of(server)
    assert body["prompt"].startswith("Judge this event.\n\n")
    assert (body["json_schema"], body["temperature"], body["n_predict"]) == (ANSWER_SCHEMA, 0, 1024)


def test_the_same_event_is_the_same_request_and_the_same_assessment() -> None:
    async def story(server: FaultServer, analyzer: NemotronAnalyzer, _world: World) -> Any:
        found = [await analyzer.analyze(STRANGER, ask) for _ in range(3)]
        return found, [request.body for request in server.received]

    found, bodies = with_server(story, chat(told()))
    assert found[0] == found[1] == found[2]
    assert len(set(bodies)) == 1


def test_thinking_counts_for_nothing() -> None:
    assert judged(chat(f"<think>100? {told(risk_score=99)}</think>{told()}"))[0].risk_score == 25
    assert judged(chat(told(), thought="perhaps 99"))[0].risk_score == 25


def test_a_level_that_contradicts_the_score_is_said_and_not_believed() -> None:
    risk, _, _ = judged(chat(told(risk_score=20, risk_level="critical")))
    assert (risk.risk_score, risk.risk_level) == (20, "low")
    assert "'critical'" in str(risk.reasons[0])


# ------------------------------------------------------------------------------------------------------------- repair


@pytest.mark.parametrize(
    "wrong",
    [BAD, "", "   ", STILL_BAD, told(risk_score="25"), told(entities="none"), told()[:-9], f"<think>{told()}", "null",
     told(risk_score=-3), "Score : 25/100. Niveau : faible."],
    ids=lambda text: text[:24],
)  # fmt: skip
@pytest.mark.parametrize(("say", "path"), [(chat, ""), (completion, "/completion")])
def test_one_repair_is_asked_for_with_what_is_wrong(wrong: str, say: Callable[[str], Fault], path: str) -> None:
    risk, server, _ = judged(say(wrong), say(told()), path=path)
    assert (risk.risk_score, risk.fallback) == (25, None)
    assert len(server.received) == 2
    second = server.received[1].body.decode()
    assert "cannot be used" in second
    assert orjson.dumps(wrong).decode()[1:-1] in second


def test_a_second_useless_answer_leaves_the_rules() -> None:
    risk, server, _ = judged(chat(BAD), chat(STILL_BAD))
    assert_by_rules(risk, STRANGER, "risk_score", "less than or equal to 100")
    assert len(server.received) == 2


def test_an_answer_that_was_cut_at_its_tokens_is_repaired_with_the_reason() -> None:
    risk, server, _ = judged(chat(told()[:50], end="length"), chat(told()))
    assert risk.fallback is None
    assert "cut off" in server.received[1].body.decode()


# ----------------------------------------------------------------------------------------------------------- failures

FAULTS: list[tuple[str, Fault, Sequence[str]]] = [
    ("nobody answers", silence, ("did not end its answer",)),
    ("it trickles", trickle, ("did not end its answer",)),
    ("connections break", reset, ("hung up",)),
    ("the stream breaks off", half, ("hung up",)),
    ("never an end", endless, ("more than",)),
    ("a line without an end", one_endless_line, ("more than",)),
    ("an error in the stream", failing("out of memory\x1b[2J"), ("out of memory",)),
    ("500", problem(500, "internal"), ("500",)),
    ("400", answer({"error": {"message": "no such model"}}, 400), ("400", "no such model")),
    ("401", answer({"error": "wrong key"}, 401), ("401",)),
    ("404", answer(b"<html>not here</html>", 404), ("404",)),
    ("302", answer(b"", 302, Location="http://192.0.2.1/"), ("302",)),
    ("no JSON", answer(b"<html>welcome</html>"), ("no JSON",)),
    ("a list", answer([]), ("object",)),
    ("a stream of no JSON", answer(b"data: welcome\n\n", Content_Type="text/event-stream"), ("no JSON",)),
    ("choices of text", answer({"choices": ["x"]}), ("object",)),
    ("text that is a number", answer({"choices": [{"message": {"content": 25}}]}), ("int",)),
    ("nothing at all", answer(b"", Content_Type="text/event-stream"), ("empty",)),
    ("an empty object", answer({}), ("empty",)),
    ("no choices", answer({"choices": []}), ("empty",)),
]  # fmt: skip
QUICK: dict[str, Any] = {
    "attempt_s": 0.4,
    "retries": RetryPolicy(attempts=1),
    "limits": Limits(bytes=200_000, characters=20_000),
}


@pytest.mark.parametrize(("fault", "words"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_whatever_goes_wrong_the_rules_judge_and_say_why(fault: Fault, words: Sequence[str]) -> None:
    # Only who never answers is waited for in vain; whatever else a machine does, the others get to their end.
    patience_s = QUICK["attempt_s"] if fault in {silence, trickle} else PATIENCE_S
    risk, _, _ = judged(fault, **QUICK | {"attempt_s": patience_s})
    assert_by_rules(risk, STRANGER, *words)


def test_nobody_listens() -> None:
    async def story() -> RiskAssessment:
        world = World()
        config = LanguageModelConfig("http://127.0.0.1:9", retries=RetryPolicy(attempts=2))
        async with NemotronAnalyzer(config, surroundings=world.surroundings) as analyzer:
            risk = await analyzer.analyze(STRANGER, ask)
        assert world.waits == [1.0]
        return risk

    assert_by_rules(asyncio.run(story()), STRANGER, "nobody listens")


def test_what_may_pass_is_asked_again() -> None:
    risk, server, world = judged(reset, problem(503, "loading"), chat(told()))
    assert risk.fallback is None
    assert len(server.received) == 3
    assert world.waits == [1.0, 2.0]


def test_retry_after_is_waited_for() -> None:
    risk, _, world = judged(answer({}, 429, Retry_After="7"), chat(told()))
    assert (risk.fallback, world.waits) == (None, [7.0])


def test_a_wait_beyond_the_deadline_is_not_made() -> None:
    risk, server, world = judged(answer({}, 429, Retry_After="25"), chat(told()), deadline_s=20.0)
    assert_by_rules(risk, STRANGER, "429")
    assert (len(server.received), world.waits) == (1, [])


def test_429_without_a_time_is_not_repeated() -> None:
    risk, server, _ = judged(answer({}, 429), chat(told()))
    assert_by_rules(risk, STRANGER, "429")
    assert len(server.received) == 1


@pytest.mark.parametrize("fault", [problem(500, "internal"), endless], ids=["500", "endless"])
def test_who_fails_again_and_again_is_left_alone(fault: Fault) -> None:
    async def story(server: FaultServer, analyzer: NemotronAnalyzer, world: World) -> None:
        for _ in range(4):
            assert (await analyzer.analyze(STRANGER, ask)).source == "rules"
        assert len(server.received) == 2
        assert "too often" in str((await analyzer.analyze(STRANGER, ask)).fallback)
        server.faults[:] = [chat(told())]
        world.now += 60
        assert (await analyzer.analyze(STRANGER, ask)).fallback is None

    limits = BreakerLimits(failure_threshold=2, half_open_max_calls=1)
    with_server(story, fault, **QUICK, breaker=limits)


def test_refusals_and_useless_answers_open_no_circuit() -> None:
    async def story(server: FaultServer, analyzer: NemotronAnalyzer, _world: World) -> None:
        for _ in range(10):
            assert (await analyzer.analyze(STRANGER, ask)).source == "rules"
        assert len(server.received) == 15
        assert analyzer._server is not None
        assert analyzer._server.circuit.state is State.CLOSED

    with_server(story, answer({}, 400), answer({}, 400), *[answer({}, 400)] * 3, chat(BAD))


def test_who_gives_up_leaves_no_claim() -> None:
    async def story(_server: FaultServer, analyzer: NemotronAnalyzer, _world: World) -> None:
        asked = asyncio.create_task(analyzer.analyze(STRANGER, ask))
        await asyncio.sleep(0.1)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        assert analyzer._server is not None
        assert analyzer._server.circuit.state is State.CLOSED

    with_server(story, silence)


def test_a_prompt_that_cannot_be_written_leaves_the_rules() -> None:
    def broken(_scene: Scene, _count: CountTokens) -> Asked:
        raise ZeroDivisionError("a template")

    async def story(server: FaultServer, analyzer: NemotronAnalyzer, _world: World) -> RiskAssessment:
        risk = await analyzer.analyze(STRANGER, broken)
        assert server.received == []
        return risk

    assert_by_rules(with_server(story, chat(told())), STRANGER, "ZeroDivisionError")


def test_without_a_language_model_the_rules_judge_and_nothing_fell_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_URL", raising=False)

    async def story() -> RiskAssessment:
        async with NemotronAnalyzer() as analyzer:
            assert await analyzer.place() is None
            return await analyzer.analyze(STRANGER, ask)

    assert asyncio.run(story()) == assess(STRANGER)


def test_the_environment_names_the_language_model(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> RiskAssessment:
        async with fault_server(chat(told())) as server:
            monkeypatch.setenv("LLM_URL", server.url)
            monkeypatch.setenv("LLM_MODEL", "any")
            async with NemotronAnalyzer() as analyzer:
                return await analyzer.analyze(STRANGER, ask)

    assert asyncio.run(story()).source == "any"


def test_who_judged_is_counted() -> None:
    def count(source: str) -> float:
        return REGISTRY.get_sample_value("hearthwatch_risk_assessments_total", {"source": source}) or 0.0

    before = count("llm"), count("fallback")
    judged(chat(told()))
    judged(answer({}, 400))
    assert (count("llm"), count("fallback")) == (before[0] + 1, before[1] + 1)


# ------------------------------------------------------------------------------------------------------------- bounds


@pytest.mark.parametrize(
    ("scene", "said", "score", "bound"),
    [
        (STRANGER, 97, 59, "unconfirmed"),
        (STRANGER, 0, 0, None),
        (collect_facts([DOG], None, NOON), 88, 15, "only_animals"),
        (collect_facts([PERSON, GUN], None, NOON), 0, 30, "confirmed_weapon"),
        (collect_facts([PERSON, GUN], None, NOON), 100, 100, None),
        (collect_facts([PERSON, replace(GUN, confidence=0.5)], None, NOON), 100, 59, "unconfirmed"),
    ],
)
def test_no_answer_crosses_a_bound(scene: Scene, said: int, score: int, bound: str | None) -> None:
    risk, _, _ = judged(chat(told(risk_score=said, risk_level=level_of(said))), scene=scene)
    assert (risk.risk_score, risk.risk_level) == (score, level_of(score))
    assert risk.source == "asked-for"
    applied = {one.name: (one.before, one.after) for one in risk.bounds}
    if bound is None:
        assert (applied, risk.reasons) == ({}, ())
    else:
        assert applied[bound][1] == score
        assert next(iter(applied.values()))[0] == said
        assert [str(reason) for reason in risk.reasons][: len(risk.bounds)] == [str(one) for one in risk.bounds]


def test_advice_for_another_level_is_not_passed_on() -> None:
    text = told(risk_score=95, risk_level="critical", recommended_action="immediate_response")
    risk = judged(chat(text))[0]
    assert risk.recommended_action is None
    assert "was for a score of 95" in str(risk.reasons[-1])


@pytest.mark.parametrize(
    ("score", "advice", "kept"),
    [(29, "review_later", True), (29, "review_soon", False), (30, "alert_homeowner", True), (59, "none", True),
     (59, "immediate_response", False)],
)  # fmt: skip
def test_advice_is_no_more_urgent_than_the_level_bears(score: int, advice: str, kept: bool) -> None:
    risk = judged(chat(told(risk_score=score, risk_level=level_of(score), recommended_action=advice)))[0]
    assert risk.recommended_action == (advice if kept else None)
    assert (risk.reasons == ()) == kept


# ---------------------------------------------------------------------------------------------------------- elsewhere

RESIDENT = collect_facts([detection("p", known="Ada Lovelace")], None, NOON)
PRIVATE = Private(frozenset({"Ada Lovelace"}), frozenset({"AB 12-CD"}))


def from_elsewhere(scene: Scene, answer_text: str, *, allow: bool) -> tuple[RiskAssessment, list[httpx.Request]]:
    """One event, judged by a made-up server far away."""
    asked: list[httpx.Request] = []

    async def far(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": answer_text}, "finish_reason": "stop"}]})

    def carelessly(shown: Scene, count: CountTokens) -> Asked:
        """What is said beside the facts is hidden as well."""
        return Asked(user=f"{ask(shown, count).user}; plate ab12cd; ADA  LOVELACE")

    async def resolver(_host: str, _port: int) -> list[str]:
        return ["93.184.215.14"]

    async def story() -> RiskAssessment:
        config = LanguageModelConfig("https://llm.example/v1", "far", allow_remote=allow)
        async with NemotronAnalyzer(config, transport=httpx.MockTransport(far), resolver=resolver) as analyzer:
            if not allow:
                with pytest.raises(SettingsError, match="--allow-remote-llm"):
                    await analyzer.place()
            return await analyzer.analyze(scene, carelessly, PRIVATE)

    return asyncio.run(story()), asked


def test_nothing_is_sent_elsewhere_that_nobody_allowed() -> None:
    risk, asked = from_elsewhere(RESIDENT, told(), allow=False)
    assert_by_rules(risk, RESIDENT, "93.184.215.14", "HEARTHWATCH_ALLOW_REMOTE_LLM")
    assert asked == []


def test_names_and_plates_go_as_pseudonyms_and_come_back() -> None:
    text = told(summary="NAME-1 parks PLATE-1.", reasoning="name-1 lives here.",
                flags=[{"type": "x", "description": "NAME-1", "severity": "alert"}])  # fmt: skip
    risk, (request,) = from_elsewhere(RESIDENT, text, allow=True)
    sent = request.content.decode().lower()
    for word in ("ada", "lovelace", "ab12cd", "ab 12"):
        assert word not in sent
    assert "known as 'name-1'" in sent
    assert (risk.summary, risk.reasoning) == ("Ada Lovelace parks AB12CD.", "Ada Lovelace lives here.")
    assert risk.flags[0].description == "Ada Lovelace"


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to() -> None:
    _, (request,) = from_elsewhere(RESIDENT, told(), allow=True)
    assert request.url.host == "93.184.215.14"
    assert request.headers["host"] == "llm.example:443"
    assert request.extensions["sni_hostname"] == "llm.example"


def test_a_name_with_several_addresses_is_tried_in_order() -> None:
    async def both(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async def story() -> RiskAssessment:
        async with fault_server(chat(told())) as server:
            config = LanguageModelConfig(server.url.replace("127.0.0.1", "llm.home"))
            async with NemotronAnalyzer(config, resolver=both) as analyzer:
                return await analyzer.analyze(RESIDENT, ask)

    assert asyncio.run(story()).fallback is None


def test_names_go_as_they_are_to_a_neighbour() -> None:
    async def story(server: FaultServer, analyzer: NemotronAnalyzer, _world: World) -> str:
        await analyzer.analyze(RESIDENT, ask, PRIVATE)
        return server.received[0].body.decode()

    assert "Ada Lovelace" in with_server(story, chat(told()))


# ------------------------------------------------------------------------------------------------------ configuration


def test_every_variable_reaches_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLM_URL", raising=False)
    assert LanguageModelConfig.of(read_settings()) is None
    variables = {
        "LLM_URL": "http://porch:8091",
        "LLM_MODEL": "any",
        "HEARTHWATCH_LLM_API_KEY": "secret",
        "HEARTHWATCH_LLM_MAX_TOKENS": "500",
        "HEARTHWATCH_LLM_CONTEXT_TOKENS": "4096",
        "HEARTHWATCH_LLM_TIMEOUT_S": "7",
        "HEARTHWATCH_LLM_DEADLINE_S": "9",
        "HEARTHWATCH_ALLOW_REMOTE_LLM": "true",
        "AI_CONNECT_TIMEOUT": "3",
        "ENRICHMENT_MAX_RETRIES": "5",
        "ENRICHMENT_CB_FAILURE_THRESHOLD": "2",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    config = LanguageModelConfig.of(read_settings())
    assert config is not None
    assert (config.url, config.model, config.api_key, config.allow_remote) == (
        "http://porch:8091",
        "any",
        "secret",
        True,
    )
    assert (config.max_tokens, config.context_tokens, config.attempt_s, config.deadline_s) == (500, 4096, 7.0, 9.0)
    assert (config.connect_timeout_s, config.retries.attempts, config.breaker.failure_threshold) == (3.0, 5, 2)
    assert "secret" not in repr(config)


def test_a_prompt_leaves_room_for_two_answers() -> None:
    config = LanguageModelConfig("http://porch")
    assert config.prompt_tokens + 2 * config.max_tokens < config.context_tokens
    with pytest.raises(SettingsError, match="HEARTHWATCH_LLM_CONTEXT_TOKENS"):
        _ = replace(config, context_tokens=2048).prompt_tokens


def test_the_environment_s_defaults_are_those_of_the_class(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LLM_MODEL", "HEARTHWATCH_ALLOW_REMOTE_LLM", "HEARTHWATCH_LLM_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LLM_URL", "http://porch:8091")
    assert LanguageModelConfig.of(read_settings()) == LanguageModelConfig("http://porch:8091")
