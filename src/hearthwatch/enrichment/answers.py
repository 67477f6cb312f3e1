"""What a runner answers, whatever it does: that it raises, hangs, miscounts or talks nonsense is an outcome too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed
from hearthwatch.models import MODELS

#: For a runner that keeps the deadline: its own answer, which may say more, comes a moment after it.
GRACE_S = 0.25
#: What each model's findings are: whoever answers otherwise has failed, and nobody reads on.
_FINDINGS: Mapping[str, type[Any]] = {model.SPEC.name: model.FINDING for model in MODELS}


async def answers_of(runner: Runner, call: ModelCall) -> list[Outcome]:
    """One outcome per question, also from a runner that breaks its promise.

    Args:
        runner: who is asked; left alone a moment after the call's deadline.
        call: the question.
    """
    patience = None if call.deadline is None else max(0.0, call.deadline - time.monotonic()) + GRACE_S
    try:
        async with asyncio.timeout(patience):
            outcomes = await runner.run(call)
    except TimeoutError:
        return _failed(call, DeadlineExceeded(f"the deadline passed before {call.model} answered"))
    except Exception as error:  # noqa: BLE001 - the other models' answers must not be lost with this one's
        return _failed(call, InferenceFailed(f"{call.model} could not be asked: {type(error).__name__}: {error}"))
    if len(outcomes) != call.questions:
        said = f"{call.model} gave {len(outcomes)} answers to {call.questions} questions"
        return _failed(call, InferenceFailed(said))
    return [_understood(call.model, outcome) for outcome in outcomes]


def _failed(call: ModelCall, error: HearthwatchError) -> list[Outcome]:
    return [Outcome(call.model, error=error)] * call.questions


def _understood(model: str, outcome: Outcome) -> Outcome:
    """The outcome, or a failure where what was found is nothing that this model finds."""
    expected = _FINDINGS.get(model)
    if outcome.result is None or expected is None or isinstance(outcome.result, expected):
        return outcome
    said = f"{model} answered with a {type(outcome.result).__name__}; a {expected.__name__} was expected"
    return Outcome(model, error=InferenceFailed(said), timings=outcome.timings)
