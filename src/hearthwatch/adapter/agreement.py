"""Agreement: when two runs of one model, on two engines or in two precisions, say the same thing.

It is judged on *results*, not on raw tensors: the raw output of a detector's end-to-end head has a cosine of 0.72
between float32 and bfloat16 while the detections are the same, and OSNet's embeddings have 0.993 where 0.999 looks
easy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearthwatch.vision.boxes import iou
from hearthwatch.vision.image import Float


@dataclass(frozen=True, slots=True)
class Agreement:
    """A measure and the least value that counts as the same.

    Attributes:
        name: of the measure, for reports.
        at_least: the lowest value that passes, in the measure's own unit (1 = identical).
        measure: two results of one picture, the reference first, to a value; None where neither says anything.
    """

    name: str
    at_least: float
    measure: Callable[[Any, Any], float | None]

    def judge(self, reference: Sequence[Any], candidate: Sequence[Any]) -> float | None:
        """The worst value over all pictures, or None where no picture gave evidence."""
        values = [self.measure(a, b) for a, b in zip(reference, candidate, strict=True)]
        judged = [value for value in values if value is not None]
        # Not min(): it passes over a NaN, which here is an answer that went wrong and must not agree.
        return float(np.min(judged)) if judged else None


def same_boxes(reference: Float, candidate: Float) -> float | None:
    """Lowest IoU of the best match, both ways: (N, 4) and (M, 4) xyxy to 0..1; None where both are empty."""
    if len(reference) == 0 and len(candidate) == 0:
        return None
    if len(reference) == 0 or len(candidate) == 0:
        return 0.0
    overlaps = iou(reference, candidate)
    return float(min(overlaps.max(axis=0).min(), overlaps.max(axis=1).min()))


def same_direction(reference: Float, candidate: Float) -> float:
    """Cosine of two unit vectors."""
    return float(np.dot(reference, candidate))


def same_vector(reference: Float, candidate: Float) -> float:
    """Cosine of two vectors times the ratio of their lengths, the shorter to the longer: 1 where they are equal."""
    first, second = np.asarray(reference, np.float64), np.asarray(candidate, np.float64)
    longest = max(float(first @ first), float(second @ second))
    return float(first @ second) / longest if longest else 1.0


def same_scores(reference: Mapping[str, float], candidate: Mapping[str, float]) -> float:
    """1 minus the largest difference of a class's score (0..1); a class that only one of them names counts as 0 there.

    A likeliest class that changes between two that are almost equally likely is no disagreement.
    """
    names = sorted(reference.keys() | candidate.keys())
    first, second = (np.array([scores.get(name, 0.0) for name in names]) for scores in (reference, candidate))
    return float(1.0 - np.abs(first - second).max(initial=0.0))
