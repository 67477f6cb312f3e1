"""Structural similarity against the paper's formula, window by window, and against what it must be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.vision.ssim import MARGIN, SIGMA, WINDOW, Grey, informative, ssim, ssim_map

C1, C2 = 6.5025, 58.5225  # of the paper, for 8 bits


def grey(seed: int, height: int = 17, width: int = 23) -> Grey:
    return np.random.default_rng(seed).integers(0, 256, (height, width)).astype(np.float64)


def by_hand(x: Grey, y: Grey, row: int, column: int) -> float:
    """Equation 13 of the paper at one place, with its weights (equations 14 to 16), one pixel after the other."""
    weights = {}
    for down in range(WINDOW):
        for right in range(WINDOW):
            distance = (down - MARGIN) ** 2 + (right - MARGIN) ** 2
            weights[down, right] = float(np.exp(-distance / (2 * SIGMA**2)))
    total = sum(weights.values())

    def mean(values: Grey) -> float:
        return sum(w / total * float(values[row + i, column + j]) for (i, j), w in weights.items())

    mean_x, mean_y = mean(x), mean(y)
    variance_x, variance_y = mean((x - mean_x) ** 2), mean((y - mean_y) ** 2)
    covariance = mean((x - mean_x) * (y - mean_y))
    above = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    return above / ((mean_x**2 + mean_y**2 + C1) * (variance_x + variance_y + C2))


def test_every_window_is_the_papers_formula() -> None:
    x, y = grey(1), grey(2)
    y[:, :12] = 0.7 * x[:, :12] + 20  # alike at the left
    found = ssim_map(x, y)
    assert found.shape == (x.shape[0] - 10, x.shape[1] - 10)
    for row, column in ((0, 0), (3, 1), (6, 12), (2, 7)):
        assert found[row, column] == pytest.approx(by_hand(x, y, row, column), abs=1e-9)


@given(st.integers(0, 99), st.integers(0, 99))
@settings(max_examples=25, deadline=None)
def test_it_is_between_minus_one_and_one_and_the_same_both_ways(first: int, second: int) -> None:
    x, y = grey(first), grey(second)
    assert -1 <= ssim(x, y) <= 1
    assert ssim(x, y) == pytest.approx(ssim(y, x))
    assert ssim(x, x) == pytest.approx(1)


def test_two_even_pictures_differ_by_their_brightness_alone() -> None:
    x, y = np.full((20, 20), 50.0), np.full((20, 20), 200.0)
    assert ssim(x, y) == pytest.approx((2 * 50 * 200 + C1) / (50**2 + 200**2 + C1))


def test_a_negative_is_below_nothing_in_common() -> None:
    x = grey(3)
    assert ssim(x, 255 - x) < -0.5


def test_what_neither_shows_is_not_informative() -> None:
    sky, fence = np.full((30, 60), 200.0), np.full((30, 60), 200.0)
    fence[:, 30:] = grey(4, 30, 30)
    shown = informative(sky, fence)
    assert shown.shape == (20, 50)
    assert not shown[:, :15].any()
    assert shown[:, 30:].all()
    assert (shown == informative(fence, sky)).all()


@pytest.mark.parametrize("shapes", [((10, 40), (10, 40)), ((20, 20), (20, 21)), ((20,), (20,))], ids=str)
def test_pictures_that_cannot_be_compared_are_refused(shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="one shape, 11 x 11 or larger"):
        ssim_map(np.zeros(shapes[0]), np.zeros(shapes[1]))
