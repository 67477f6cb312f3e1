"""What the text tower of the CLIP pair reads at each step, and what each text claims. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.vision.image import Float, Ids
from training.lessons import VALUES
from training.statements import TOPICS, Statement, caption, known, question

_PLACES = {value: place for place, value in enumerate(VALUES)}


@dataclass(frozen=True, slots=True, eq=False)
class Said:
    """One step's.

    Attributes:
        tokens: (N, L), no longer than the longest text.
        claims: (N, V) 1 where a text claims that value of `VALUES`; at least one of each.
    """

    tokens: Ids
    claims: Float


class Sentences:
    """A step's texts follow from the seed and the step alone, so that a resumed training reads the same.

    Half of them are captions of pictures, half claim one value, as labels do; topics have equal shares of those.

    Args:
        facts: JSON of `subjects.Facts`, of the pictures.
        tokenizer: of the texts.
        batch: texts in each.
        seed: of everything.
    """

    def __init__(self, facts: Sequence[str], tokenizer: ClipTokenizer, *, batch: int, seed: int) -> None:
        self._facts: list[Mapping[str, Any]] = [orjson.loads(text) for text in facts]
        self._tokenizer, self._batch, self._seed = tokenizer, batch, seed

    def at(self, step: int) -> Said:
        """The texts of one step."""
        rng = np.random.default_rng([self._seed, 2, step])
        said = [self._caption(rng) if turn % 2 else _one_value(rng) for turn in range(self._batch)]
        tokens = self._tokenizer.encode([statement.text for statement in said])
        claims = np.zeros((len(said), len(VALUES)), np.float32)
        for row, statement in enumerate(said):
            claims[row, _places(statement)] = 1
        # What follows the end of a text is not looked at.
        return Said(np.ascontiguousarray(tokens.ids[:, : int(tokens.mask.sum(axis=1).max())]), claims)

    def _caption(self, rng: np.random.Generator) -> Statement:
        """Of any picture; not a whole scene's own, of which nobody says what it claims."""
        while True:
            facts = self._facts[int(rng.integers(len(self._facts)))]
            said = caption(facts, known(facts), rng)
            if _places(said):
                return said


def _places(statement: Statement) -> list[int]:
    return [_PLACES[claim] for claim in statement.claims.items() if claim in _PLACES]


def _one_value(rng: np.random.Generator) -> Statement:
    asked = question(tuple(TOPICS)[int(rng.integers(len(TOPICS)))], rng)
    return asked[int(rng.integers(len(asked)))]
