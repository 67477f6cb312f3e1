"""Masks of a segmentation head: which pixels a thing covers, against a plainer account of the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float
from hearthwatch.vision.masks import MAX_CORNERS, MIN_SHARE, Mask, decode_masks

#: (height, width) of an input and pixels of a cell: neither square, nor the same in both axes.
SIZE, CELL = (64, 96), 4
GRID = (SIZE[0] // CELL, SIZE[1] // CELL)


def cells(rows: slice, columns: slice, height: float = 8.0) -> Float:
    """(h, w) logits of one prototype that covers these cells and nothing else."""
    grid = np.full(GRID, -height, np.float32)
    grid[rows, columns] = height
    return grid


def plainly(prototypes: Float, coefficients: Float, box: Float, size: tuple[int, int]) -> Float:
    """(H, W) bool: the whole input, pixel by pixel, by the formulas themselves."""
    shares = 1 / (1 + np.exp(-np.einsum("m,mhw->hw", coefficients.astype(np.float64), prototypes)))
    rows, columns = shares.shape
    # A pixel's centre in cells, whose own centres are whole numbers; beyond the outermost ones nothing changes.
    y = np.clip((np.arange(size[0]) + 0.5) * rows / size[0] - 0.5, 0, rows - 1)
    x = np.clip((np.arange(size[1]) + 0.5) * columns / size[1] - 0.5, 0, columns - 1)
    y0, x0 = np.minimum(y.astype(int), max(rows - 2, 0)), np.minimum(x.astype(int), max(columns - 2, 0))
    y1, x1 = np.minimum(y0 + 1, rows - 1), np.minimum(x0 + 1, columns - 1)
    dy, dx = (y - y0)[:, None], (x - x0)[None]
    upper = shares[np.ix_(y0, x0)] * (1 - dx) + shares[np.ix_(y0, x1)] * dx
    lower = shares[np.ix_(y1, x0)] * (1 - dx) + shares[np.ix_(y1, x1)] * dx
    fine = upper * (1 - dy) + lower * dy
    py, px = np.arange(size[0])[:, None] + 0.5, np.arange(size[1])[None] + 0.5
    inside = (px >= box[0]) & (px < box[2]) & (py >= box[1]) & (py < box[3])
    return np.where(inside, fine, 0.0)


def whole(mask: Mask, size: tuple[int, int] = SIZE) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """The mask on an input of its own."""
    canvas = np.zeros(size, np.bool_)
    height, width = mask.pixels.shape
    canvas[mask.top : mask.top + height, mask.left : mask.left + width] = mask.pixels
    return canvas


def one(prototype: Float, box: tuple[float, float, float, float], coefficient: float = 1.0) -> Mask:
    (mask,) = decode_masks(
        prototype[None], np.array([[coefficient]], np.float32), np.array([box], np.float32), (SIZE[0], SIZE[1])
    )
    return mask


def test_a_thing_covers_its_cells() -> None:
    mask = one(cells(slice(2, 5), slice(10, 20)), (0, 0, 96, 64))
    rows, columns = np.nonzero(whole(mask))
    assert (rows.min(), rows.max() + 1) == (8, 20)
    assert (columns.min(), columns.max() + 1) == (40, 80)
    # Interpolation takes some pixels off each corner and nothing else.
    assert 12 * 40 - 4 * CELL <= mask.pixels.sum() <= 12 * 40


def test_what_the_mask_says_outside_its_box_does_not_count() -> None:
    mask = one(np.full(GRID, 8, np.float32), (10, 20, 33, 41))
    assert np.array_equal(whole(mask), whole(Mask(10, 20, np.ones((21, 23), np.bool_))))
    assert not one(cells(slice(0, 4), slice(0, 4)), (40, 40, 60, 60)).pixels.any()


def test_a_negative_coefficient_turns_a_prototype_round() -> None:
    prototype = cells(slice(2, 5), slice(10, 20))
    covered, left = (whole(one(prototype, (0, 0, 96, 64), sign)) for sign in (1.0, -1.0))
    assert not (covered & left).any()
    assert (covered | left).all()


def test_nothing_was_found_and_no_mask_comes_of_it() -> None:
    empty = np.empty((0, 4), np.float32)
    assert decode_masks(np.zeros((5, *GRID), np.float32), np.empty((0, 5), np.float32), empty, SIZE) == []


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 20), (5, 5, 20, 5), (20, 20, 10, 30), (-30, 5, -2, 20), (96, 0, 120, 64), (5.6, 5, 6.4, 20)]
)
def test_a_box_that_holds_no_pixel_covers_nothing(box: tuple[float, float, float, float]) -> None:
    mask = one(np.full(GRID, 8, np.float32), box)
    assert mask.pixels.sum() == 0
    assert mask.outline().shape == (0, 2)
    assert mask.area_in(Box(-1000, -1000, 1000, 1000)) == 0


def test_logits_beyond_every_float_are_no_alarm() -> None:
    for height, covered in ((1e30, True), (-1e30, False)):
        mask = one(np.full(GRID, height, np.float32), (0, 0, 96, 64))
        assert mask.pixels.all() == covered == mask.pixels.any()


sides = st.floats(-20, 120, width=32)
grids = st.sampled_from([(GRID, SIZE), ((16, 24), (16, 24)), ((1, 1), (8, 8)), ((3, 2), (24, 16)), ((2, 5), (64, 160))])


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 999), st.integers(0, 5), st.integers(1, 7), grids, st.lists(sides, min_size=20, max_size=20))
def test_any_masks_are_those_of_the_plain_account(
    seed: int, count: int, masks: int, shape: tuple[tuple[int, int], tuple[int, int]], corners: list[float]
) -> None:
    grid, size = shape
    random = np.random.default_rng(seed)
    prototypes = random.normal(0, 1.5, (masks, *grid)).astype(np.float32)
    coefficients = random.normal(0, 1, (count, masks)).astype(np.float32)
    boxes = np.array(corners[: 4 * count], np.float32).reshape(count, 4)
    found = decode_masks(prototypes, coefficients, boxes, size)
    assert len(found) == count
    for mask, own, box in zip(found, coefficients, boxes, strict=True):
        expected = plainly(prototypes, own, box, size)
        told = whole(mask, size)
        doubtful = np.abs(expected - MIN_SHARE) < 1e-5
        assert np.array_equal(told | doubtful, (expected >= MIN_SHARE) | doubtful)
        assert mask.area_in(Box(0, 0, size[1], size[0])) == told.sum()
        outline = mask.outline()
        assert len(outline) <= MAX_CORNERS
        assert bool(len(outline)) == told.any()
        assert all(told[int(y), int(x)] for x, y in outline)


@settings(deadline=None)
@given(st.integers(0, 999), st.tuples(sides, sides, sides, sides))
def test_an_area_is_that_of_the_pixels_whose_centres_a_box_holds(seed: int, box: tuple[float, ...]) -> None:
    pixels = np.random.default_rng(seed).random((20, 30)) < 0.5
    y, x = np.nonzero(pixels)
    inside = (x + 7.5 >= box[0]) & (x + 7.5 < box[2]) & (y + 3.5 >= box[1]) & (y + 3.5 < box[3])
    assert Mask(7, 3, pixels).area_in(Box(*box)) == inside.sum()


def test_an_outline_goes_round_the_largest_piece() -> None:
    pixels = np.zeros((40, 60), np.bool_)
    pixels[2:6, 2:6] = True
    pixels[10:30, 20:50] = True
    pixels[15:20, 30:40] = False  # a hole
    outline = Mask(100, 200, pixels).outline()
    assert sorted(map(tuple, outline.tolist())) == [(120.5, 210.5), (120.5, 229.5), (149.5, 210.5), (149.5, 229.5)]


def test_a_speck_and_a_line_have_outlines_too() -> None:
    speck = np.zeros((9, 9), np.bool_)
    speck[4, 5] = True
    assert Mask(0, 0, speck).outline().tolist() == [[5.5, 4.5]]
    speck[4, 1:8] = True
    assert sorted(Mask(0, 0, speck).outline()[:, 0].tolist()) == [1.5, 7.5]


def test_a_ragged_edge_is_told_with_few_corners() -> None:
    pixels = np.zeros((400, 400), np.bool_)
    pixels[100:, :] = True
    pixels[:100, ::8] = True  # a comb
    pixels[:100, 1::8] = True
    assert 4 <= len(Mask(0, 0, pixels).outline()) <= MAX_CORNERS


def test_decoding_leaves_the_network_s_answer_alone() -> None:
    random = np.random.default_rng(1)
    given = [random.normal(0, 1, shape).astype(np.float32) for shape in ((3, *GRID), (2, 3), (2, 4))]
    given[2] = np.array([[1, 2, 50, 60], [-5, 3, 200, 9]], np.float32)
    before = [array.copy() for array in given]
    decode_masks(given[0], given[1], given[2], SIZE)
    assert all(map(np.array_equal, given, before))


def test_prototypes_that_lie_on_their_side_are_seen() -> None:
    """A planted mistake: what `test_a_thing_covers_its_cells` looks at is far from the same when axes are swapped."""
    prototype = np.zeros((1, 16, 16), np.float32) - 8
    prototype[0, 2:5, 8:14] = 8
    box = np.array([[0, 0, 64, 64]], np.float32)
    size = (64, 64)
    right, turned = (
        whole(decode_masks(maps, np.ones((1, 1), np.float32), box, size)[0], size)
        for maps in (prototype, prototype.transpose(0, 2, 1))
    )
    assert (right & turned).sum() < 0.1 * right.sum()
