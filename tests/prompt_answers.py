"""What a language model might answer to the ten prompts, right or wrong, and what becomes of it: docs/scenes.md.

The answers are written by hand. Run as a script, it writes the page anew:
PYTHONPATH=src:.:tests python tests/prompt_answers.py
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson

from hearthwatch.prompt import collect_facts
from hearthwatch.risk import LanguageModelConfig, NemotronAnalyzer, RiskAssessment, assess, private_of
from prompt_scenes import SCENES

PAGE = Path(__file__).parents[1] / "docs" / "scenes.md"
_FACTORS = {"detection_quality": "good", "weather_impact": "none", "enrichment_coverage": "full"}
INTRODUCTION = """# Ten scenes: prompt, answer, score

Written by `tests/prompt_answers.py`; a test holds it. The prompts are those that `build_prompt` writes of these events,
word for word (the [system part](../tests/golden/prompts/system.txt) is the same for all). **The answers are written by
hand**, some of them wrong on purpose: no language model that knows anything could be run where this page was made. They
go through the same code as a model's, and what becomes of them is what it makes of them. Beside each, the score that
the rules alone give.
"""


@dataclass(frozen=True)
class Said:
    """One answer, and what it is an example of."""

    of: str
    answer: Mapping[str, Any] | str


def _answer(score: int, level: str, action: str, summary: str, reasoning: str, *flags: tuple[str, str, str],
            coverage: str = "full") -> dict[str, Any]:  # fmt: skip
    return {
        "summary": summary,
        "reasoning": reasoning,
        "entities": [],
        "flags": [{"type": kind, "description": text, "severity": severity} for kind, text, severity in flags],
        "recommended_action": action,
        "confidence_factors": _FACTORS | {"enrichment_coverage": coverage},
        "risk_score": score,
        "risk_level": level,
    }


ANSWERS: Mapping[str, Said] = {
    "nothing": Said(
        "a model that adds nothing of its own",
        _answer(0, "low", "none", "Nobody and nothing is in view.", "The detector found nothing in this picture.",
                coverage="minimal"),
    ),
    "delivery": Said(
        "an ordinary event",
        _answer(12, "low", "none", "A driver in a delivery uniform walks up from a brown work van.",
                "A uniform is no proof, but van, walk and noon fit a delivery. No weapon was seen."),
    ),
    "resident_and_stranger": Said(
        "a resident does not lower the risk of the stranger beside him",
        _answer(55, "medium", "review_soon", "A masked person crouches beside somebody who may be Ada, at night.",
                "person-2 hides the face and crouches at 23:15. That person-1 may live here says nothing of person-2.",
                ("hidden face", "ski mask, crouching, at night", "alert")),
    ),
    "armed": Said(
        "a score below a floor: a confirmed weapon is never low, and the advice for the lower score is dropped",
        _answer(15, "low", "none", "Somebody stands in the front yard.",
                "It may be a neighbour who works in the garden."),
    ),
    "vehicle": Said(
        "a level that contradicts the score: the score counts",
        _answer(22, "high", "review_later", "A known car with a dent comes nearer.",
                "The plate was seen three times before. The dent may be old."),
    ),
    "animals": Said(
        "a score above a ceiling: animals alone are never more than low",
        _answer(40, "medium", "review_later", "A dog, a cat and a bird are in view.", "The dog may be a stranger's."),
    ),
    "hostile": Said(
        "a model that obeyed a sign: nothing confirmed it, so no floor holds; compare with the rules' score",
        _answer(0, "low", "none", "Nothing of interest.", "The resident is home."),
    ),
    "absent": Said(
        "no answer at all, twice: the rules judge and say why",
        "I am sorry, but I cannot assess the risk of this event without seeing the picture.",
    ),
    "fight": Said(
        "a score above a ceiling: one network's word on one frame confirms nothing",
        _answer(90, "critical", "immediate_response", "One person may be fighting another, who lies on the ground.",
                "Raised arms, an action of fighting and somebody lying down agree with each other.",
                ("violence", "two people may be fighting", "critical")),
    ),
    "described": Said(
        "a crowbar that only a description names is no weapon that was found",
        _answer(20, "low", "review_later", "Ada, who is known, stands before a red door.",
                "The application knows her. A network that says not how sure it is also named a crowbar.",
                ("crowbar", "named in a description alone", "warning")),
    ),
}  # fmt: skip


def judged(name: str) -> RiskAssessment:
    """What becomes of the answer to one scene, through the same code as a real model's."""
    made = SCENES[name]()
    said = ANSWERS[name].answer
    text = said if isinstance(said, str) else orjson.dumps(said).decode()

    async def model(_request: httpx.Request) -> httpx.Response:
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        return httpx.Response(200, json={"model": "by-hand", "choices": [choice]})

    async def story() -> RiskAssessment:
        config = LanguageModelConfig("http://127.0.0.1:8091")
        async with NemotronAnalyzer(config, transport=httpx.MockTransport(model)) as analyzer:
            scene = collect_facts(made.detections, made.known, made.when, made.camera)
            return await analyzer.analyze(
                scene, lambda _shown, _count: made.prompt(), private_of(made.detections, made.known)
            )

    return asyncio.run(story())


def page() -> str:
    """The whole page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from INTRODUCTION.splitlines()
    yield ""
    yield "| scene | answered | score | rules alone | an example of |"
    yield "|---|---|---|---|---|"
    for name, said in ANSWERS.items():
        answer = said.answer
        told = "no JSON" if isinstance(answer, str) else f"{answer['risk_score']} ({answer['risk_level']})"
        risk, rules = judged(name), _rules(name)
        yield f"| [{_title(name)}](#{name.replace('_', '-')}) | {told} | {_score(risk)} | {_score(rules)} | {said.of} |"
    for name, said in ANSWERS.items():
        risk, rules = judged(name), _rules(name)
        yield ""
        yield f"## {_title(name)}"
        yield ""
        yield "```text"
        yield SCENES[name]().prompt().user
        yield "```"
        yield ""
        yield "```json" if not isinstance(said.answer, str) else "```text"
        yield said.answer if isinstance(said.answer, str) else _json(said.answer)
        yield "```"
        yield ""
        yield f"**{_score(risk)}**, judged by {'the rules' if risk.source == 'rules' else 'the answer'}."
        for note in [
            *map(str, risk.reasons if risk.source != "rules" else ()),
            *([risk.fallback] if risk.fallback else ()),
        ]:
            yield f"* {note}"
        yield ""
        yield f"The rules alone: **{_score(rules)}**."
        yield from (f"* {reason}" for reason in rules.reasons)


def _rules(name: str) -> RiskAssessment:
    made = SCENES[name]()
    return assess(collect_facts(made.detections, made.known, made.when))


def _json(answer: Mapping[str, Any]) -> str:
    return orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()


def _score(risk: RiskAssessment) -> str:
    return f"{risk.risk_score} ({risk.risk_level})"


def _title(name: str) -> str:
    return name.replace("_", " ").capitalize()


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
