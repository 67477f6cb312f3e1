"""Embeddings: vectors that are compared by the cosine of their angle."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from hearthwatch.vision.image import Float

#: Below this length a vector has no direction that means anything (float32 carries 7 digits).
SMALLEST_NORM = 1e-6


def unit(vectors: npt.ArrayLike) -> Float:
    """(..., D) scaled to length 1 along the last axis, float32.

    Raises:
        ValueError: a vector that is not finite, or shorter than `SMALLEST_NORM`.
    """
    array = np.asarray(vectors, dtype=np.float64)
    with np.errstate(over="ignore"):  # an infinite length is refused below
        norms = np.linalg.norm(array, axis=-1, keepdims=True)
    if not np.isfinite(norms).all() or (norms < SMALLEST_NORM).any():
        raise ValueError("an embedding that is not finite or has no length cannot be normalised")
    return np.asarray(array / norms, dtype=np.float32)


def cosine_similarity(a: Sequence[float] | Float, b: Sequence[float] | Float) -> float:
    """Cosine of two vectors of one dimension, in -1..1. Their lengths do not matter.

    Raises:
        ValueError: different dimensions, or a vector without direction.
    """
    first, second = unit(a), unit(b)
    if first.shape != second.shape:
        raise ValueError(f"embeddings have {first.size} and {second.size} numbers and cannot be compared")
    return float(np.clip(np.dot(first, second), -1.0, 1.0))


def average_embedding(embeddings: Sequence[Sequence[float]] | Sequence[Float]) -> Float:
    """The direction in the middle of N embeddings: (D,) float32, length 1.

    Raises:
        ValueError: no embedding, different dimensions, or they cancel out.
    """
    if len(embeddings) == 0:
        raise ValueError("the average of no embeddings is not defined")
    return unit(np.mean(unit(np.stack([np.asarray(e, dtype=np.float64) for e in embeddings])), axis=0))


def embedding_hash(embedding: Float) -> str:
    """16 hexadecimal digits that identify an embedding's exact float32 bytes: a look-up key, not a similarity."""
    return hashlib.sha256(np.ascontiguousarray(embedding, dtype="<f4").tobytes()).hexdigest()[:16]
