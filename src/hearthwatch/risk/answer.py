"""The answer that a language model is asked for: its JSON schema, and the strict reading of what came.

What is not in the schema is ignored. What is in it has the type, the range and the words of the schema, or the whole
answer is none: nothing is guessed, converted or moved into its range.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hearthwatch.risk.assessment import ACTIONS, Action, ConfidenceFactors, Entity, Flag, level_of
from hearthwatch.risk.texts import clean, without_thinking

#: Characters that are kept: a summary is a sentence, a reasoning a paragraph; word is the name of a kind.
SUMMARY_CHARACTERS, REASONING_CHARACTERS, DESCRIPTION_CHARACTERS, WORD_CHARACTERS = 300, 1500, 200, 40
#: Entities or flags that are kept: more than a picture has anything to say about.
MOST_ROWS = 16
#: Faults that a repair is told about; more help nobody.
_MOST_FAULTS = 6


class UnusableAnswer(ValueError):
    """Why an answer is none.

    Attributes:
        faults: what is wrong with it, as sentences.
    """

    def __init__(self, faults: tuple[str, ...]) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a language model said, as data: texts have one line, no control characters and a limited length.

    Attributes:
        risk_score: 0..100, before any bound.
        contradiction: what it called the score, where the score has another level; else empty.
    """

    risk_score: int
    summary: str
    reasoning: str
    entities: tuple[Entity, ...]
    flags: tuple[Flag, ...]
    recommended_action: Action | None
    confidence_factors: ConfidenceFactors | None
    contradiction: str


def _word(value: Any) -> Any:
    """`Review Soon` as `review_soon`: the same word in another dress."""
    return value.strip().lower().replace(" ", "_").replace("-", "_") if isinstance(value, str) else value


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


Low = Annotated[Literal["low", "medium", "high"], BeforeValidator(_word)]
Text = Annotated[str, Field(min_length=1)]


class _Entity(_Strict):
    type: Text
    description: str
    threat_level: Low


class _Flag(_Strict):
    type: Text
    description: str
    severity: Annotated[Literal["warning", "alert", "critical"], BeforeValidator(_word)]


class _Factors(_Strict):
    detection_quality: Annotated[Literal["good", "fair", "poor"], BeforeValidator(_word)]
    weather_impact: Annotated[Literal["none", "minor", "significant"], BeforeValidator(_word)]
    enrichment_coverage: Annotated[Literal["full", "partial", "minimal"], BeforeValidator(_word)]


class _Told(_Strict):
    risk_score: Annotated[int, Field(ge=0, le=100)]
    risk_level: str | None = None
    summary: Text
    reasoning: Text
    entities: list[_Entity] = []
    flags: list[_Flag] = []
    recommended_action: Annotated[Action | None, BeforeValidator(_word)] = None
    confidence_factors: _Factors | None = None


def read_answer(text: str) -> Answer:
    """What an answer says.

    Args:
        text: as the model wrote it, thinking and a fence of code included.

    Raises:
        UnusableAnswer: it is not one JSON object of the schema, and nothing else.
    """
    told = _validated(_object(without_thinking(text)))
    summary, reasoning = clean(told.summary, SUMMARY_CHARACTERS), clean(told.reasoning, REASONING_CHARACTERS)
    empty = tuple(f"{name}: it says nothing" for name, said in (("summary", summary), ("reasoning", reasoning))
                  if not said)  # fmt: skip
    if empty:
        raise UnusableAnswer(empty)
    level = clean(told.risk_level or "", WORD_CHARACTERS)
    factors = told.confidence_factors
    return Answer(
        risk_score=told.risk_score,
        summary=summary,
        reasoning=reasoning,
        entities=tuple(
            Entity(clean(row.type, WORD_CHARACTERS), clean(row.description, DESCRIPTION_CHARACTERS), row.threat_level)
            for row in told.entities[:MOST_ROWS]
        ),
        flags=tuple(
            Flag(clean(row.type, WORD_CHARACTERS), clean(row.description, DESCRIPTION_CHARACTERS), row.severity)
            for row in told.flags[:MOST_ROWS]
        ),
        recommended_action=told.recommended_action,
        confidence_factors=None if factors is None else ConfidenceFactors(**factors.model_dump()),
        contradiction=level if level.lower() not in {"", level_of(told.risk_score)} else "",
    )


def _validated(told: dict[str, Any]) -> _Told:
    try:
        return _Told.model_validate(told)
    except ValidationError as error:
        rows = error.errors(include_url=False, include_input=False, include_context=False)
        where = [(".".join(map(str, row["loc"])), row["msg"]) for row in rows[:_MOST_FAULTS]]
        raise UnusableAnswer(tuple(f"{clean(place, 80)}: {wrong}" for place, wrong in where)) from error


def _object(text: str) -> dict[str, Any]:
    if not text:
        raise UnusableAnswer(("the answer is empty",))
    try:
        told = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except UnusableAnswer:
        raise
    except json.JSONDecodeError as error:
        raise UnusableAnswer((f"the answer is not one JSON object and nothing else: {error}",)) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; a thousand brackets
        raise UnusableAnswer((f"the answer cannot be read as JSON: {type(error).__name__}",)) from error
    if not isinstance(told, dict):
        raise UnusableAnswer((f"the answer is JSON of type {type(told).__name__}; an object is expected",))
    return told


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; one that says something twice says nothing."""
    told = dict(pairs)
    if len(told) != len(pairs):
        twice = next(key for key, _ in pairs if sum(other == key for other, _ in pairs) > 1)
        raise UnusableAnswer((f"the answer says {clean(twice, 80)!r} twice",))
    return told


def _no_number(word: str) -> float:
    raise UnusableAnswer((f"{word} is no number",))


def _text(characters: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": characters}


def _rows(of: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "maxItems": 4, "items": _shape(of)}


def _shape(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _one_of(*words: str) -> dict[str, Any]:
    return {"type": "string", "enum": list(words)}


#: The JSON schema of an answer, for servers that hold a model to one. The reasoning comes before the score: a model
#: that writes the number first explains it afterwards. Fewer rows and shorter texts than are accepted: a server that
#: holds to it writes less, and is waited for less.
ANSWER_SCHEMA: dict[str, Any] = _shape(
    {
        "summary": _text(200),
        "reasoning": _text(600),
        "entities": _rows(
            {
                "type": _text(24),
                "description": _text(80),
                "threat_level": _one_of("low", "medium", "high"),
            }
        ),
        "flags": _rows(
            {
                "type": _text(24),
                "description": _text(80),
                "severity": _one_of("warning", "alert", "critical"),
            }
        ),
        "recommended_action": _one_of(*ACTIONS),
        "confidence_factors": _shape(
            {
                "detection_quality": _one_of("good", "fair", "poor"),
                "weather_impact": _one_of("none", "minor", "significant"),
                "enrichment_coverage": _one_of("full", "partial", "minimal"),
            }
        ),
        "risk_score": {"type": "integer", "minimum": 0, "maximum": 100},
        "risk_level": _one_of("low", "medium", "high", "critical"),
    }
)
