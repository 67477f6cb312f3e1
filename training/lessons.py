"""What the image tower of the CLIP pair is shown at each step, and what may be true of it. No torch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import orjson

from hearthwatch.models.clip import PADDING
from hearthwatch.vision.image import Float, Ids, UInt8
from training.statements import TOPICS, Known, known
from training.subjects import SCENE

Bools = npt.NDArray[np.bool_]
#: How a picture differs from the exact one, at most: its size, where it lies (share of a side), brightness and gamma.
#: One factor for all three channels: the hue is evidence.
SMALLEST, LARGEST, SHIFT, GAIN, GAMMA = 0.88, 1.1, 0.05, 0.25, 0.2

#: Least share that a value is taken to have: those of a handful of pictures, or of none, are no better known.
LEAST_SHARE = 0.01
#: Every value of every topic, and which places those of each topic have there.
VALUES = [(topic, value) for topic, values in TOPICS.items() for value in values]
_ENDS = np.cumsum([0, *map(len, TOPICS.values())]).tolist()
OF_TOPIC = [slice(begin, end) for begin, end in itertools.pairwise(_ENDS)]


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
        possible: (N, V) which values of `VALUES` may be true of each picture; all of a topic that cannot be seen.
    """

    pixels: UInt8
    possible: Bools


class Lessons:
    """A step's batch follows from the seed and the step alone, so that a resumed training sees the same.

    Args:
        pictures: one pass over them, shuffled, follows the other.
        batch: pictures in each.
        side: that they are shown with.
        seed: of everything.

    Attributes:
        frequencies: (V,) how frequent each value is among those of its topic; none much less than `LEAST_SHARE`.
    """

    def __init__(self, pictures: Pictures, *, batch: int, side: int, seed: int) -> None:
        self._pixels, self._batch, self._side, self._seed = pictures.pixels, batch, side, seed
        facts: list[Mapping[str, Any]] = [orjson.loads(text) for text in pictures.facts]
        self._flip = [each["kind"] != SCENE for each in facts]
        self._possible = np.array([possible(known(each)) for each in facts])
        self.frequencies = _frequencies(self._possible)
        self._shuffled: tuple[int, Ids] = (-1, np.zeros(0, np.int64))

    def at(self, step: int) -> Batch:
        """The batch of one step."""
        rng = np.random.default_rng([self._seed, 1, step])
        chosen = [self._picture(number) for number in range(step * self._batch, (step + 1) * self._batch)]
        pixels = [varied(self._pixels[i], self._side, rng, flip=self._flip[i]) for i in chosen]
        return Batch(np.stack(pixels), self._possible[chosen])

    def _picture(self, number: int) -> int:
        turn, place = divmod(number, len(self._flip))
        if self._shuffled[0] != turn:
            self._shuffled = (turn, np.random.default_rng([self._seed, 0, turn]).permutation(len(self._flip)))
        return int(self._shuffled[1][place])


def possible(about: Known) -> Bools:
    """(V,) which of `VALUES` may be true of a picture."""
    return np.array([topic not in about or value in about[topic] for topic, value in VALUES])


def _frequencies(values: Bools) -> Float:
    """(V,) from (N, V) possible ones; pictures that tell nothing do not count."""
    shares = np.empty(len(VALUES), np.float32)
    for topic in OF_TOPIC:
        some = values[:, topic]
        count = some.sum(axis=1, keepdims=True)
        told = (count[:, 0] > 0) & (count[:, 0] < some.shape[1])
        counts = (some[told] / count[told]).sum(axis=0)
        least = np.maximum(counts, LEAST_SHARE * max(counts.sum(), 1.0))
        shares[topic] = least / least.sum()
    return shares


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
