"""What a scene is compared with: a baseline that stays among what was seen, and an embedding of one space."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.models.clip import ANOMALY_THRESHOLD, CLIPResult
from hearthwatch.pipeline.baseline import Baseline, View
from hearthwatch.pipeline.scene_change import SceneChange
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Image
from views import image, view


@cache
def porch() -> Image:
    return image(view(0))


BOXES = st.builds(
    lambda x, y, w, h: Box(x, y, x + w, y + h), *(st.floats(-80, 80), st.floats(-80, 80)), *[st.floats(1, 90)] * 2
)
PICTURES = st.tuples(st.integers(0, 5), st.lists(BOXES, max_size=2))


@given(st.lists(PICTURES, min_size=1, max_size=15))
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
def test_a_baseline_stays_among_what_was_seen(pictures: list[tuple[int, list[Box]]]) -> None:
    baseline: Baseline | None = None
    seen_pixels = []
    for seed, boxes in pictures:
        random = np.random.default_rng(seed)
        pixels = random.integers(40 * seed, 40 * seed + 50, (64, 64, 3)).astype(np.uint8)
        looked = View.of(Image.of(pixels), boxes)
        baseline = baseline or Baseline.like(looked)
        similarity, share = baseline.compare(looked)
        assert similarity is None or -1 <= similarity <= 1
        assert 0 <= share <= 1
        baseline.learn(looked)
        seen_pixels.append(np.where(looked.free, looked.grey, np.nan))
        known = ~np.isnan(seen_pixels).all(axis=0)
        assert (known == baseline.known).all()
        if known.any():
            some = np.array(seen_pixels)[:, known]
            assert (baseline.grey[known] >= np.nanmin(some, axis=0) - 1e-3).all()
            assert (baseline.grey[known] <= np.nanmax(some, axis=0) + 1e-3).all()


def embedding(*numbers: float, network: str = "clip") -> CLIPResult:
    return CLIPResult(unit(numbers), network=network)


def test_a_distant_embedding_is_a_change_of_its_own() -> None:
    change = SceneChange()
    picture = porch()
    assert change.compare(picture, "porch", None, embedding=embedding(1, 0, 0)).embedding_distance is None
    near = change.compare(picture, "porch", None, embedding=embedding(1, 0.2, 0))
    assert near.changed is False
    assert near.embedding_distance == pytest.approx(1 - 1 / np.sqrt(1.04), abs=1e-6)
    far = change.compare(picture, "porch", None, embedding=embedding(0, 0, 1))
    assert far.changed is True
    assert far.embedding_distance is not None
    assert far.embedding_distance > ANOMALY_THRESHOLD
    assert far.reason.startswith("distance to the usual embedding")


def test_embeddings_of_different_spaces_are_never_compared() -> None:
    change = SceneChange()
    picture = porch()
    change.compare(picture, "porch", None, embedding=embedding(1, 0))
    other = change.compare(picture, "porch", None, embedding=embedding(0, 1, 0, network="another"))
    assert (other.changed, other.embedding_distance) == (False, None)
    again = change.compare(picture, "porch", None, embedding=embedding(0, 1, 0, network="another"))
    assert again.embedding_distance == pytest.approx(0, abs=1e-6)
    # Without an embedding in between nothing is forgotten, and opposite ones have no middle.
    change.compare(picture, "porch", None)
    assert change.compare(picture, "porch", None, embedding=embedding(0, -1, 0, network="another")).changed is True


def test_an_embedding_that_is_none_is_refused_and_nothing_is_learned() -> None:
    change = SceneChange()
    change.compare(porch(), "porch", None)
    with pytest.raises(ValueError, match="embedding"):
        change.compare(porch(), "porch", None, embedding=CLIPResult(np.zeros(3, np.float32)))
    assert change.compare(porch(), "porch", None).pictures == 1
