"""Several runners as one: the first that offers a model runs it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from hearthwatch.enrichment import ComposedRunner, ModelCall, Outcome, Runner
from hearthwatch.errors import InferenceFailed, UnknownModel
from hearthwatch.vision.picture import Picture
from scene import photo


@dataclass
class Named:
    """A runner that answers with its own name.

    Attributes:
        name: of it.
        models: that it offers.
        fails: whether it cannot answer.
        asked: so far.
    """

    name: str
    models: Sequence[str]
    fails: bool = False
    asked: list[str] = field(default_factory=list)

    def offers(self, model: str) -> bool:
        return model in self.models

    async def run(self, call: ModelCall) -> list[Outcome]:
        self.asked.append(call.model)
        error = InferenceFailed(self.name) if self.fails else None
        return [Outcome(call.model, self.name, error)] * call.questions


def ask(runner: Runner, model: str) -> Outcome:
    (outcome,) = asyncio.run(runner.run(ModelCall(model, Picture(photo()))))
    return outcome


def test_the_first_that_offers_a_model_runs_it() -> None:
    http, local = Named("http", ["pose", "depth"]), Named("local", ["pose", "plates"])
    both = ComposedRunner(http, local)
    assert [ask(both, model).result for model in ("pose", "depth", "plates")] == ["http", "http", "local"]
    assert [both.offers(model) for model in ("pose", "depth", "plates", "toaster")] == [True, True, True, False]
    assert ask(ComposedRunner(local, http), "pose").result == "local"


def test_what_failed_is_not_tried_elsewhere() -> None:
    http, local = Named("http", ["pose"], fails=True), Named("local", ["pose"])
    assert str(ask(ComposedRunner(http, local), "pose").error) == "http"
    assert local.asked == []


def test_a_model_that_nobody_offers_is_an_outcome() -> None:
    for runners in ((), (Named("local", ["pose"]),)):
        outcome = ask(ComposedRunner(*runners), "toaster")
        assert isinstance(outcome.error, UnknownModel)
        assert "toaster" in str(outcome.error)


def test_it_is_a_runner_like_any_other() -> None:
    inner = ComposedRunner(Named("local", ["pose"]))
    assert ask(ComposedRunner(ComposedRunner(), inner), "pose").result == "local"
