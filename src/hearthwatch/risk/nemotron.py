"""`NemotronAnalyzer`: a language model judges an event, inside the bounds, and the rules where it cannot.

Nemotron is the documented default; any server that speaks one of the two dialects does. Whatever goes wrong (nobody
listens, the answer is none, twice; the time is over) the rules judge and `fallback` says why. No score is made up.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import PurePath
from types import TracebackType
from typing import Protocol, Self

import httpx

from hearthwatch.client.transport import Surroundings
from hearthwatch.errors import HearthwatchError
from hearthwatch.prompt.counting import CountTokens
from hearthwatch.prompt.fact import Scene
from hearthwatch.risk import metrics
from hearthwatch.risk.answer import Answer, UnusableAnswer, read_answer
from hearthwatch.risk.assessment import ACTIONS, MOST_URGENT, Action, Level, Reason, RiskAssessment, level_of
from hearthwatch.risk.bounds import appearance_floor, bounded, without_likeness
from hearthwatch.risk.configuration import LanguageModelConfig
from hearthwatch.risk.dialects import Turn
from hearthwatch.risk.place import Place, Resolve, resolve
from hearthwatch.risk.pseudonyms import Private, Veil
from hearthwatch.risk.rules import SOURCE, assess
from hearthwatch.risk.server import LanguageModelServer
from hearthwatch.risk.stream import Reply
from hearthwatch.risk.texts import clean
from hearthwatch.risk.tokens import counter_of
from hearthwatch.settings import read_settings

#: What a server is called that says no name, or the rules' own.
NAMELESS = "language model"
#: Characters of an unusable answer that its writer is shown, of a name, and of the sentence of a fallback.
_SHOWN, _NAME, _SENTENCE = 4000, 80, 500
REPAIR = (
    "That answer cannot be used: {faults}. Answer again with one JSON object as described, complete, and nothing "
    "before or after it."
)

_log = logging.getLogger(__name__)


class Question(Protocol):
    """What a language model is asked; `prompt` makes it.

    Attributes:
        system: the part that is the same for every event, which names nobody.
        user: the event.
        version: of the prompt.
    """

    @property
    def system(self) -> str: ...

    @property
    def user(self) -> str: ...

    @property
    def version(self) -> str | int: ...


#: A scene, and a counter of tokens, to what is asked about it.
Ask = Callable[[Scene, CountTokens], Question]


class NemotronAnalyzer:
    """Asks a language model about events. Used from one event loop; `close` it, or `async with` it.

    Args:
        config: where the language model is; None: as the environment says, and the rules alone where it names none.
        transport: carries httpx's requests; None: the network.
        surroundings: clock, sleep and chance.
        resolver: names to addresses.

    Raises:
        SettingsError: a variable of the environment, or the address, cannot be used.
    """

    def __init__(
        self,
        config: LanguageModelConfig | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        surroundings: Surroundings | None = None,
        resolver: Resolve = resolve,
    ) -> None:
        self.config = config or LanguageModelConfig.of(read_settings())
        self._world = surroundings or Surroundings()
        self._server: LanguageModelServer | None = None
        if self.config is not None:
            self._server = LanguageModelServer(
                self.config, transport=transport, surroundings=self._world, resolver=resolver
            )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections; the analyzer cannot be used any more."""
        if self._server is not None:
            await self._server.close()

    async def place(self) -> Place | None:
        """Where the language model is now, for whoever wants to say so first; None where there is none.

        Raises:
            SettingsError: elsewhere, which nobody has allowed.
            ServiceUnreachable: its name has no address.
        """
        return None if self._server is None else await self._server.place()

    async def analyze(self, scene: Scene, ask: Ask, private: Private | None = None) -> RiskAssessment:
        """Judge one event. It raises nothing of ours: where the language model cannot judge, the rules do.

        Args:
            scene: its facts.
            ask: a scene as a question; it is given pseudonyms where the language model is elsewhere, and a counter of
                tokens (`risk.tokens`). It is called in another thread, for counting may take requests.
            private: the names and plates of the event.
        """
        rules = assess(scene)
        if self._server is None:
            metrics.record_assessment("rules")
            return rules
        try:
            told = await self._ask(self._server, scene, ask, private or Private())
        except (HearthwatchError, UnusableAnswer) as error:
            why = f"the language model gave no usable answer: {error}"
        except Exception as error:  # noqa: BLE001 - an event is judged whatever breaks on the way to a second opinion
            _log.exception("language model failed")
            why = f"asking the language model failed: {type(error).__name__}: {error}"
        else:
            metrics.record_assessment("llm")
            return told
        metrics.record_assessment("fallback")
        _log.warning("rules judge instead of the language model reason=%s", clean(why, _SENTENCE))
        return replace(rules, fallback=clean(why, _SENTENCE))

    async def _ask(self, server: LanguageModelServer, scene: Scene, ask: Ask, private: Private) -> RiskAssessment:
        started = self._world.clock()
        place = await server.place()
        veil = Veil(Private() if place.is_near else private, scene)
        deadline = started + server.config.deadline_s
        count = counter_of(server, place, deadline)
        question = await asyncio.to_thread(ask, veil.hide_scene(scene), count)
        turns = (Turn("system", question.system), Turn("user", veil.hide(question.user)))
        answer, reply = await _answer(server, turns, place, deadline)
        return _assessment(
            answer,
            scene,
            veil,
            source=_name(server.config.model or reply.model),
            version=str(question.version),
            latency_ms=(self._world.clock() - started) * 1000,
        )


async def _answer(
    server: LanguageModelServer, turns: tuple[Turn, ...], place: Place, deadline: float
) -> tuple[Answer, Reply]:
    """What the model says, at the second attempt if need be.

    Raises:
        UnusableAnswer: the second one is none either.
        HearthwatchError: there was no answer at all.
    """
    reply = await server.ask(turns, place, deadline)
    try:
        return _read(reply), reply
    except UnusableAnswer as wrong:
        metrics.record_repair()
        said = Turn("assistant", reply.text[:_SHOWN])
        again = Turn("user", REPAIR.format(faults="; ".join(wrong.faults)))
        reply = await server.ask((*turns, said, again), place, deadline)
        return _read(reply), reply


def _read(reply: Reply) -> Answer:
    try:
        return read_answer(reply.text)
    except UnusableAnswer as wrong:
        if reply.is_whole:
            raise
        raise UnusableAnswer((*wrong.faults, "it was cut off before its end: be shorter")) from wrong


def _assessment(
    answer: Answer, scene: Scene, veil: Veil, *, source: str, version: str, latency_ms: float
) -> RiskAssessment:
    floor = appearance_floor(assess(without_likeness(scene)).risk_score)
    score, bounds = bounded(answer.risk_score, scene, (floor,))
    for bound in bounds:
        metrics.record_bound(bound.name)
    notes = [str(bound) for bound in bounds]
    if answer.contradiction:
        notes.insert(0, f"called {veil.show(answer.contradiction)!r} by the language model; the level follows from "
                        f"its score of {answer.risk_score}")  # fmt: skip
    advice, dropped = _advice(answer, level_of(score))
    notes += dropped
    return RiskAssessment(
        risk_score=score,
        summary=veil.show(answer.summary),
        reasoning=veil.show(answer.reasoning),
        reasons=tuple(Reason(0, note) for note in notes),
        source=source,
        version=version,
        bounds=bounds,
        entities=tuple(
            replace(one, kind=veil.show(one.kind), description=veil.show(one.description)) for one in answer.entities
        ),
        flags=tuple(
            replace(one, kind=veil.show(one.kind), description=veil.show(one.description)) for one in answer.flags
        ),
        recommended_action=advice,
        confidence_factors=answer.confidence_factors,
        latency_ms=latency_ms,
    )


def _advice(answer: Answer, level: Level) -> tuple[Action | None, list[str]]:
    """What a model advises, and a note where it does not count.

    It is for the model's own score: had a bound moved that to another level, nobody would have advised it.
    """
    advice = answer.recommended_action
    if advice is None:
        return None, []
    if level != level_of(answer.risk_score):
        return None, [f"its advice ({advice}) was for a score of {answer.risk_score} and is dropped"]
    if ACTIONS.index(advice) > ACTIONS.index(MOST_URGENT[level]):
        return None, [f"its advice ({advice}) is more than a {level} score bears and is dropped"]
    return advice, []


def _name(told: str) -> str:
    """A model's name for a reader: of a file without its folders; never that of the rules."""
    name = clean(PurePath(told).name if told.endswith(".gguf") else told, _NAME)
    return NAMELESS if name.lower() in {"", SOURCE} else name
