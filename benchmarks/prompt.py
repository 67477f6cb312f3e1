"""A prompt to time: an event with far more facts than a camera's picture has, inside a budget that they do not fit."""

from __future__ import annotations

from collections.abc import Callable

from hearthwatch.pipeline import EnrichmentResult
from hearthwatch.prompt import Fact, Importance, Prompt, Scene, build_prompt

#: Twenty detections with fifteen facts each.
FACTS = 300
#: A third of them fits, by the bytes that are counted without a tokeniser.
BUDGET = 8000


def busy_prompt(facts: int = FACTS, budget_tokens: int = BUDGET) -> Callable[[], Prompt]:
    """A function that builds one prompt each time it is called.

    Args:
        facts: how many, of all importances in turn.
        budget_tokens: of the prompt, by the bound on tokens.
    """
    ranks = list(Importance)
    made = [
        Fact("text", "sign", f"writing reads {sign!r}", f"person-{i // 15}", 0.9, ranks[i % len(ranks)], (sign,))
        for i, sign in ((i, f"<sign> number {i}") for i in range(facts))
    ]
    scene, known = Scene(tuple(sorted(made, key=lambda fact: fact.importance)), None), EnrichmentResult()
    return lambda: build_prompt(scene, known, budget_tokens=budget_tokens)
