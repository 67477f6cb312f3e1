"""What comes with the package to try a model on: real photographs, and sentences.

Precisions, conversions and built engines are compared on them, and a model answers about them before it serves.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Sequence
from typing import TypeVar

from hearthwatch.adapter.base import Adapter, PictureAdapter, Run, TextAdapter
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


def verification_pictures() -> list[Image]:
    """Real photographs that come with the package: a person, upright and mirrored, and a part of her."""
    data = importlib.resources.files("hearthwatch.adapter").joinpath("pictures/astronaut.jpg").read_bytes()
    whole = decode(data)
    rows, columns = whole.pixels.shape[:2]
    upper = whole.pixels[: rows // 2, columns // 8 : columns * 3 // 4]
    return [whole, Image.of(whole.pixels[:, ::-1]), Image.of(upper)]


def try_out(adapter: Adapter[R], run: Run, pictures: Sequence[Image] = ()) -> list[R]:
    """The answers about what comes with the package, in its order, and about further pictures."""
    if isinstance(adapter, TextAdapter):
        return adapter.read(VERIFICATION_TEXTS, run)
    return look(adapter, [*verification_pictures(), *pictures], run)


def answer_some(adapter: Adapter[R], run: Run, batch: int) -> list[R]:
    """As many questions at once as are asked for, and nothing of what they are about: for warming up and measuring."""
    if isinstance(adapter, TextAdapter):
        return adapter.read(VERIFICATION_TEXTS[:1] * batch, run)
    return look(adapter, verification_pictures()[:1] * batch, run)


def look(adapter: Adapter[R], pictures: Sequence[Image], run: Run) -> list[R]:
    """The answers of a model that looks at pictures.

    Raises:
        TypeError: it reads texts.
    """
    if not isinstance(adapter, PictureAdapter):
        raise TypeError(f"{adapter.SPEC.name} looks at no pictures")
    results: list[R] = adapter.predict(pictures, run)
    return results
