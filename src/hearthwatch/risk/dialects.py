"""The two ways of asking a language model: OpenAI's chat completions, and llama.cpp's own completion.

Both are asked with temperature 0, a fixed seed and the JSON schema of the answer, and both stream. The first is what
llama.cpp, vLLM, Ollama, LM Studio and others answer; the second is for servers whose model has no chat template.

    https://platform.openai.com/docs/api-reference/chat
    https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from hearthwatch.errors import BadAnswer, ServiceFailed
from hearthwatch.risk.answer import ANSWER_SCHEMA
from hearthwatch.risk.texts import clean

Json = dict[str, Any]
#: Any: that it is always the same is what matters.
SEED = 0
#: Characters of a server's own sentence that an error repeats.
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Turn:
    """One part of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What one event of a stream, or a whole answer, adds.

    Attributes:
        text: of the answer.
        thought: characters of thinking that came beside it, which are counted and not kept.
        end: `stop` or `length` where the model is done, the latter cut at its number of tokens; else empty.
        model: as the server names it; empty where it does not.
    """

    text: str = ""
    thought: int = 0
    end: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way of asking.

    Attributes:
        path: of the route.
        body: a conversation, the model's name and the most tokens as a request.
        piece: what an event means.
    """

    path: str
    body: Callable[[Sequence[Turn], str, int], Json]
    piece: Callable[[Mapping[str, Any]], Piece]


def dialect_of(url: str) -> tuple[Dialect, str]:
    """Which one a server is asked in, and the path of its route.

    Args:
        url: of the server, of its `/v1`, or of the route itself; one that ends with `/completion` is llama.cpp's own.
    """
    path = urlsplit(url).path.rstrip("/")
    if path.endswith("/completion"):
        return COMPLETION, path
    if path.endswith("/chat/completions"):
        return CHAT, path
    return CHAT, f"{path.removesuffix('/v1')}{CHAT.path}"


def _chat_body(turns: Sequence[Turn], model: str, max_tokens: int) -> Json:
    return {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.text} for turn in turns],
        "temperature": 0,
        "seed": SEED,
        "max_tokens": max_tokens,
        "stream": True,
        # Not strict: OpenAI's own servers refuse lengths there, which others hold a model to.
        "response_format": {"type": "json_schema", "json_schema": {"name": "assessment", "schema": ANSWER_SCHEMA}},
    }


def _chat_piece(event: Mapping[str, Any]) -> Piece:
    _raise_told(event)
    model = _word(event.get("model"))
    choices = event.get("choices")
    if not isinstance(choices, list) or not choices:  # usage comes in an event without any
        return Piece(model=model)
    choice = _mapping(choices[0])
    said = _mapping(choice.get("delta") or choice.get("message") or {})
    thought = said.get("reasoning_content") or said.get("reasoning")
    return Piece(_string(said.get("content")), len(_string(thought)), _end(choice.get("finish_reason")), model)


def _completion_body(turns: Sequence[Turn], _model: str, max_tokens: int) -> Json:
    # No template is known: the parts in their order, and what was said before by name.
    said = [f"Answer:\n{turn.text}" if turn.role == "assistant" else turn.text for turn in turns]
    return {
        "prompt": "\n\n".join([*said, "Answer:\n"]),
        "json_schema": ANSWER_SCHEMA,
        "temperature": 0,
        "seed": SEED,
        "n_predict": max_tokens,
        "cache_prompt": True,
        "stream": True,
    }


def _completion_piece(event: Mapping[str, Any]) -> Piece:
    _raise_told(event)
    end = ("length" if event.get("stop_type") == "limit" else "stop") if event.get("stop") is True else ""
    return Piece(_string(event.get("content")), 0, end, _word(event.get("model")))


def _raise_told(event: Mapping[str, Any]) -> None:
    """A stream has begun with 200 when its server fails: it says so in an event."""
    if (error := event.get("error")) is not None:
        told = error.get("message") if isinstance(error, dict) else error
        raise ServiceFailed(f"the language model's server says: {clean(str(told), _SHOWN)}")


def _end(reason: object) -> str:
    return "length" if reason == "length" else "stop" if isinstance(reason, str) else ""


def _word(value: object) -> str:
    return value if isinstance(value, str) else ""


def _string(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadAnswer(f"the language model's server sent text of type {type(value).__name__}")
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadAnswer(f"the language model's server sent {type(value).__name__}; an object is expected")
    return value


CHAT = Dialect("/v1/chat/completions", _chat_body, _chat_piece)
COMPLETION = Dialect("/completion", _completion_body, _completion_piece)
