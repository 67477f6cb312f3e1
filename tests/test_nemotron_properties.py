"""Whatever a scene is and whatever a language model says of it: a score inside the bounds, or the rules' own."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.client import RetryPolicy
from hearthwatch.prompt.fact import Scene
from hearthwatch.report.json import risk_to_json
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, RiskAssessment, assess
from hearthwatch.risk.answer import UnusableAnswer, read_answer
from hearthwatch.risk.bounds import appearance_floor, bounded, without_likeness
from test_bounds import scenes
from test_nemotron import ask
from test_risk_answer import JSON, NEARLY

SAID = st.one_of(
    st.integers(-5, 105).map(lambda score: json.dumps({"risk_score": score, "summary": "s", "reasoning": "r"})),
    NEARLY.map(json.dumps),
    JSON.map(json.dumps),
    st.text(max_size=80),
)


def judged(scene: Scene, answers: list[str]) -> tuple[RiskAssessment, int]:
    """What becomes of these answers, the last of which stays, and how many were asked for."""
    left = list(answers)
    asked = 0

    async def say(_request: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        text = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(200, json={"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})

    async def story() -> RiskAssessment:
        config = LanguageModelConfig("http://127.0.0.1:1", "any", retries=RetryPolicy(attempts=1))
        async with NemotronAnalyzer(config, transport=httpx.MockTransport(say)) as analyzer:
            return await analyzer.analyze(scene, ask)

    return asyncio.run(story()), asked


def is_usable(text: str) -> bool:
    try:
        read_answer(text)
    except UnusableAnswer:
        return False
    return True


@settings(deadline=None, max_examples=200)
@given(scenes(), SAID, SAID)
def test_a_score_is_the_model_s_inside_the_bounds_or_the_rules_own(scene: Scene, first: str, second: str) -> None:
    risk, asked = judged(scene, [first, second])
    good = next((text for text in (first, second) if is_usable(text)), None)
    assert asked == (1 if is_usable(first) else 2)
    if good is None:
        assert replace(risk, fallback=None) == assess(scene)
        assert risk.fallback
        return
    floor = appearance_floor(assess(without_likeness(scene)).risk_score)
    assert (risk.risk_score, risk.bounds) == bounded(read_answer(good).risk_score, scene, (floor,))
    assert (risk.source, risk.version, risk.fallback) == ("any", "prompt-7", None)
    json.dumps(risk_to_json(risk)).encode()
