"""What the CLIP pair is shown at each step: pictures, what is said about them, and which of it is true. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import orjson

from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.models.clip import PADDING
from hearthwatch.vision.image import Float, Ids, UInt8
from training.statements import TOPICS, Known, Statement, caption, known, question
from training.subjects import SCENE

#: How a picture differs from the exact one, at most: its size, where it lies (share of a side), brightness and gamma.
#: One factor for all three channels: the hue is evidence.
SMALLEST, LARGEST, SHIFT, GAIN, GAMMA = 0.88, 1.1, 0.05, 0.25, 0.2


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What is learned from.

    Attributes:
        pixels: (n, side, side, 3).
        facts: (n,) JSON of `subjects.Facts`.
    """

    pixels: UInt8
    facts: Sequence[str]


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """One step's.

    Attributes:
        pixels: (N, side, side, 3).
        captions: (N, L) tokens of the pictures' captions.
        questions: (T, M) tokens of the questions, which are shorter.
        truth: (N, N + T) 1 where a text fits a picture, 0 where it does not, -1 where nobody can say.
        groups: of the texts that compete with each other; the captions are the first group.
    """

    pixels: UInt8
    captions: Ids
    questions: Ids
    truth: Ids
    groups: Sequence[slice]


class Lessons:
    """A step's batch follows from the seed and the step alone, so that a resumed training sees the same.

    Args:
        pictures: one pass over them, shuffled, follows the other.
        tokenizer: of the texts.
        batch: pictures in each.
        side: that they are shown with.
        seed: of everything.
    """

    def __init__(self, pictures: Pictures, tokenizer: ClipTokenizer, *, batch: int, side: int, seed: int) -> None:
        self._pixels, self._tokenizer = pictures.pixels, tokenizer
        self._batch, self._side, self._seed = batch, side, seed
        self._facts: list[Mapping[str, Any]] = [orjson.loads(str(text)) for text in pictures.facts]
        self._known: list[Known] = [known(facts) for facts in self._facts]
        self._shuffled: tuple[int, Ids] = (-1, np.zeros(0, np.int64))

    def at(self, step: int) -> Batch:
        """The batch of one step: captions, then a question about every topic."""
        rng = np.random.default_rng([self._seed, 1, step])
        chosen = [self._picture(number) for number in range(step * self._batch, (step + 1) * self._batch)]
        groups = [[caption(self._facts[i], self._known[i], rng) for i in chosen]]
        groups += [question(topic, rng) for topic in TOPICS]
        ends = np.cumsum([len(group) for group in groups]).tolist()
        pixels = [varied(self._pixels[i], self._side, rng, flip=self._facts[i]["kind"] != SCENE) for i in chosen]
        return Batch(
            np.stack(pixels),
            self._tokens(groups[0]),
            self._tokens([statement for group in groups[1:] for statement in group]),
            self._truth(chosen, [statement for group in groups for statement in group]),
            [slice(begin, end) for begin, end in itertools.pairwise([0, *ends])],
        )

    def _picture(self, number: int) -> int:
        turn, place = divmod(number, len(self._facts))
        if self._shuffled[0] != turn:
            self._shuffled = (turn, np.random.default_rng([self._seed, 0, turn]).permutation(len(self._facts)))
        return int(self._shuffled[1][place])

    def _tokens(self, statements: Sequence[Statement]) -> Ids:
        """No longer than the longest of them: what follows the end is not looked at."""
        tokens = self._tokenizer.encode([statement.text for statement in statements])
        return np.ascontiguousarray(tokens.ids[:, : int(tokens.mask.sum(axis=1).max())])

    def _truth(self, chosen: Sequence[int], statements: Sequence[Statement]) -> Ids:
        said = [[statement.is_true(self._known[i]) for statement in statements] for i in chosen]
        return np.array([[-1 if true is None else int(true) for true in row] for row in said], np.int64)


def varied(pixels: UInt8, side: int, rng: np.random.Generator, *, flip: bool) -> UInt8:
    """One picture as the network is shown it, (side, side, 3).

    Args:
        pixels: (n, n, 3).
        side: of the result.
        rng: decides.
        flip: it may be mirrored; not where its caption says what is on the left.
    """
    scale = math.exp(rng.uniform(math.log(SMALLEST), math.log(LARGEST))) * side / len(pixels)
    mirror = -1 if flip and rng.random() < 0.5 else 1
    matrix = np.array([[mirror * scale, 0, 0], [0, scale, 0]], np.float64)
    # The middle of the picture comes to lie near the middle of the result. warpAffine counts from pixels' centres.
    middle = np.full(2, (len(pixels) - 1) / 2)
    matrix[:, 2] = (side - 1) / 2 + rng.uniform(-SHIFT, SHIFT, 2) * side - matrix[:, :2] @ middle
    seen = cv2.warpAffine(pixels, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=PADDING)
    return np.asarray(cv2.LUT(seen, _light(rng)), np.uint8)


def _light(rng: np.random.Generator) -> UInt8:
    """(256,) what becomes of each value in another light."""
    gain, gamma = (math.exp(rng.uniform(-1, 1) * math.log1p(most)) for most in (GAIN, GAMMA))
    values: Float = (np.arange(256, dtype=np.float32) / np.float32(255)) ** np.float32(gamma) * np.float32(255 * gain)
    return np.clip(values, 0, 255).astype(np.uint8)
