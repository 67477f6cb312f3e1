"""What comes with the package to try a model on: real photographs, and sentences.

Precisions, conversions and built engines are compared on them, and a model answers about them before it serves.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from hearthwatch.adapter.base import Adapter, Array, PictureAdapter, Run, TextAdapter
from hearthwatch.adapter.frames import FramesAdapter, Sentences, clips_of
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image

R = TypeVar("R")

#: Short, long, longer than a text tower's context, of other scripts, and of no words at all.
VERIFICATION_TEXTS: tuple[str, ...] = (
    "a surveillance camera photo of a person carrying a large box",
    "a white van in front of the house at night, seen from the porch; its lights are on and nobody sits in it",
    "a dog. " * 60,
    "un chat sur la clôture, 猫, кошка",
    "",
)
#: One that moves, and one that stands still.
VERIFICATION_CLIPS = 2
#: Directions that stand for texts, and the spread of their numbers: of 512, the length of what CLIP's towers give.
SAMPLE_SENTENCES, SAMPLE_SPREAD = 6, 0.4


def verification_pictures() -> list[Image]:
    """Real photographs that come with the package: a person, upright and mirrored, and a part of her."""
    data = importlib.resources.files("hearthwatch.adapter").joinpath("pictures/astronaut.jpg").read_bytes()
    whole = decode(data)
    rows, columns = whole.pixels.shape[:2]
    upper = whole.pixels[: rows // 2, columns // 8 : columns * 3 // 4]
    return [whole, Image.of(whole.pixels[:, ::-1]), Image.of(upper)]


def verification_clips(adapter: FramesAdapter[Any]) -> list[Array]:
    """Two clips: a view that wanders over a photograph, and one that stands still."""
    whole = verification_pictures()[0]
    rows, columns = whole.pixels.shape[:2]
    steps = np.linspace(0, columns // 3, adapter.frames).astype(int)
    wandering = [Image.of(whole.pixels[: rows * 2 // 3, step : step + columns * 2 // 3]) for step in steps]
    return [*clips_of(adapter, wandering), *clips_of(adapter, [whole])]


def verification_sentences(adapter: FramesAdapter[Any]) -> Sentences:
    """Directions that stand for texts: the text tower itself is not asked when a network is only tried out."""
    features = np.random.default_rng(5).normal(0, SAMPLE_SPREAD, (SAMPLE_SENTENCES, adapter.text_width))
    names = tuple(f"sentence {number}" for number in range(SAMPLE_SENTENCES))
    return Sentences(names, features.astype(np.float32), adapter.digest)


def try_out(adapter: Adapter[R], run: Run, pictures: Sequence[Image] = ()) -> list[R]:
    """The answers about what comes with the package, in its order, and about further pictures."""
    if isinstance(adapter, TextAdapter):
        return adapter.read(VERIFICATION_TEXTS, run)
    if isinstance(adapter, FramesAdapter):
        return adapter.watch(verification_clips(adapter), verification_sentences(adapter), run)
    return look(adapter, [*verification_pictures(), *pictures], run)


def answer_some(adapter: Adapter[R], run: Run, batch: int) -> list[R]:
    """As many questions at once as are asked for, and nothing of what they are about: for warming up and measuring."""
    if isinstance(adapter, TextAdapter):
        # Most texts are short, and an engine may prepare for each length; the longest take the most memory.
        adapter.read(VERIFICATION_TEXTS[:1], run)
        return adapter.read([max(VERIFICATION_TEXTS, key=len)] * batch, run)
    if isinstance(adapter, FramesAdapter):  # clip by clip, whatever the batch is
        return adapter.watch(verification_clips(adapter)[:1], verification_sentences(adapter), run)
    return look(adapter, verification_pictures()[:1] * batch, run)


def look(adapter: Adapter[R], pictures: Sequence[Image], run: Run) -> list[R]:
    """The answers of a model that looks at pictures.

    Raises:
        TypeError: it reads texts, or watches clips.
    """
    if not isinstance(adapter, PictureAdapter):
        raise TypeError(f"{adapter.SPEC.name} looks at no single pictures")
    results: list[R] = adapter.predict(pictures, run)
    return results
