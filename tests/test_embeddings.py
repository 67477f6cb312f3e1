"""Embeddings: directions, compared by the cosine of their angle."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hearthwatch.vision.embeddings import SMALLEST_NORM, average_embedding, cosine_similarity, embedding_hash, unit
from hearthwatch.vision.image import Float

DIMENSION = 16


def vectors(count: int | None = None) -> st.SearchStrategy[Float]:
    shape: Any = DIMENSION if count is None else (count, DIMENSION)
    arrays = npst.arrays(np.float32, shape, elements=st.floats(-1000, 1000, width=32))
    return arrays.filter(lambda a: (np.linalg.norm(a, axis=-1) > 1e-2).all())


@given(vectors(3))
def test_a_unit_vector_has_length_one_and_the_same_direction(array: Float) -> None:
    scaled = unit(array)
    assert scaled.dtype == np.float32
    assert np.linalg.norm(scaled, axis=1) == pytest.approx(1, abs=1e-6)
    lengths = np.linalg.norm(array.astype(np.float64), axis=1, keepdims=True)
    assert scaled * lengths == pytest.approx(array, rel=1e-5, abs=1e-4)
    assert unit(scaled) == pytest.approx(scaled, abs=1e-6)


@given(vectors(), vectors(), st.floats(0.01, 100))
def test_a_cosine_is_symmetrical_bounded_and_knows_no_length(a: Float, b: Float, factor: float) -> None:
    cosine = cosine_similarity(a, b)
    assert -1 <= cosine <= 1
    assert cosine == pytest.approx(cosine_similarity(b, a), abs=1e-6)
    assert cosine == pytest.approx(cosine_similarity(a * np.float32(factor), b), abs=1e-4)
    assert cosine == pytest.approx(-cosine_similarity(-a, b), abs=1e-6)
    assert cosine_similarity(a, a) == pytest.approx(1, abs=1e-6)


def test_known_angles_have_known_cosines() -> None:
    assert cosine_similarity([1, 0], [3, 0]) == pytest.approx(1)
    assert cosine_similarity([1, 0], [0, 2]) == pytest.approx(0)
    assert cosine_similarity([1, 0], [-5, 0]) == pytest.approx(-1)
    assert cosine_similarity([1, 0], [1, 1]) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize(
    "wrong",
    [[0.0, 0.0], [SMALLEST_NORM / 10, 0.0], [math.nan, 1.0], [math.inf, 1.0], [1e200, 1e200], []],
    ids=["zero", "too short", "not a number", "infinite", "too long", "empty"],
)
def test_a_vector_without_direction_is_refused(wrong: list[float]) -> None:
    for call in (lambda: unit(wrong), lambda: cosine_similarity(wrong, wrong), lambda: average_embedding([wrong])):
        with pytest.raises(ValueError, match="not finite or has no length"):
            call()


def test_one_bad_vector_spoils_its_batch() -> None:
    with pytest.raises(ValueError, match="has no length"):
        unit([[1.0, 0.0], [0.0, 0.0]])


def test_different_dimensions_are_not_compared() -> None:
    with pytest.raises(ValueError, match="have 2 and 3 numbers"):
        cosine_similarity([1, 0], [1, 0, 0])
    with pytest.raises(ValueError, match="shape"):
        average_embedding([[1.0, 0.0], [1.0, 0.0, 0.0]])


@given(vectors(4))
def test_an_average_does_not_depend_on_order_or_lengths(array: Float) -> None:
    rows = list(array)
    try:
        average = average_embedding(rows)
    except ValueError:  # they cancel out
        assert np.linalg.norm(unit(array).mean(axis=0)) < 1e-3
        return
    assert average.shape == (DIMENSION,)
    assert np.linalg.norm(average) == pytest.approx(1, abs=1e-5)
    if np.linalg.norm(unit(array).mean(axis=0)) > 1e-2:
        assert average_embedding(rows[::-1]) == pytest.approx(average, abs=1e-3)
        assert average_embedding([row * np.float32(3) for row in rows]) == pytest.approx(average, abs=1e-3)


@given(vectors())
def test_the_average_of_one_is_itself(vector: Float) -> None:
    assert average_embedding([vector]) == pytest.approx(unit(vector), abs=1e-6)


def test_each_embedding_weighs_the_same_whatever_its_length() -> None:
    assert average_embedding([[100.0, 0.0], [0.0, 1.0]]).tolist() == pytest.approx([math.sqrt(0.5)] * 2)


def test_the_average_of_none_and_of_opposites_is_refused() -> None:
    with pytest.raises(ValueError, match="no embeddings"):
        average_embedding([])
    with pytest.raises(ValueError, match="has no length"):
        average_embedding([[1.0, 0.0], [-1.0, 0.0]])


@given(vectors())
def test_a_hash_is_of_the_exact_little_endian_bytes(vector: Float) -> None:
    digest = embedding_hash(vector)
    assert digest == hashlib.sha256(vector.astype("<f4").tobytes()).hexdigest()[:16]
    assert embedding_hash(np.repeat(vector, 2)[::2]) == digest
    changed = vector.copy()
    changed[0] = np.nextafter(changed[0], np.float32(np.inf))
    assert embedding_hash(changed) != digest
