"""Lines of text that a reader found in a picture, from its arrays to what a person would read first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float

#: Lines whose middles differ by less than this share of their height stand beside each other, not below.
SAME_LINE = 0.5


@dataclass(frozen=True, slots=True)
class TextLine:
    """One line.

    Attributes:
        text: as it was read.
        score: 0..1.
        box: around its four corners, in pixels of what the reader saw.
        characters: 0..1 by character of `text`; None where the reader gave none.
    """

    text: str
    score: float
    box: Box
    characters: tuple[float, ...] | None = None


def read_lines(outputs: Mapping[str, Any]) -> list[TextLine]:
    """The lines from top to bottom, and from left to right within one.

    Args:
        outputs: `texts` (N,), `scores` (N,), `quads` (N, 4, 2) corners, and, if the reader gives it, `characters`
            (N, L), NaN where a line has no character or nothing is known of it.
    """
    texts = [str(text) for text in outputs["texts"]]
    scores = np.asarray(outputs["scores"], np.float32).tolist()
    quads = np.asarray(outputs["quads"], np.float32).reshape(-1, 4, 2)
    characters = outputs.get("characters")
    known = [None if characters is None else _known(characters[i], text) for i, text in enumerate(texts)]
    lines = [
        TextLine(text, score, Box(*quad.min(axis=0).tolist(), *quad.max(axis=0).tolist()), sure)
        for text, score, quad, sure in zip(texts, scores, quads, known, strict=True)
    ]
    return [lines[index] for index in _reading_order(quads)]


def _known(row: Float, text: str) -> tuple[float, ...] | None:
    """The probabilities of a line's characters, if all are known."""
    sure = np.asarray(row, np.float32)[: len(text)]
    return tuple(sure.tolist()) if len(sure) == len(text) and not np.isnan(sure).any() else None


def _reading_order(quads: Float) -> list[int]:
    """Indices of (N, 4, 2) corner points from top to bottom, and from left to right within a line."""
    boxes = [(quad[:, 1].mean(), np.ptp(quad[:, 1]), quad[:, 0].min()) for quad in quads]
    rows: list[list[int]] = []
    for index in sorted(range(len(boxes)), key=lambda i: boxes[i][0]):
        middle, height, _ = boxes[index]
        if rows and middle - boxes[rows[-1][0]][0] < SAME_LINE * height:
            rows[-1].append(index)
        else:
            rows.append([index])
    return [index for row in rows for index in sorted(row, key=lambda i: boxes[i][2])]
