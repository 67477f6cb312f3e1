"""Crops: their region is what was really cut, at any scale."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import crop
from hearthwatch.vision.image import Image

#: Nothing that a division of picture coordinates does to a pixel's border is larger, in pixels.
ROUNDING = 1e-5


def numbered(rows: int, columns: int) -> Image:
    """A whole picture in which every pixel is unlike every other."""
    index = np.arange(rows * columns)
    pixels = np.stack([index % 256, index // 256 % 256, index // 65536], axis=1).astype(np.uint8)
    return Image.of(pixels.reshape(rows, columns, 3))


@st.composite
def images(draw: st.DrawFn) -> Image:
    """Any region of a picture, its pixels at any scale."""
    rows, columns = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    x, y = draw(st.floats(0, 5000)), draw(st.floats(0, 5000))
    scale_x, scale_y = draw(st.floats(0.05, 16)), draw(st.floats(0.05, 16))
    return Image(numbered(rows, columns).pixels, (x, y, x + columns * scale_x, y + rows * scale_y))


@st.composite
def boxes_in(draw: st.DrawFn, image: Image) -> Box:
    """A box that overlaps the image by at least a hundredth of it in each axis."""
    sides = []
    for low, high in ((image.region[0], image.region[2]), (image.region[1], image.region[3])):
        first, last = sorted((draw(st.floats(-0.5, 1.5)), draw(st.floats(-0.5, 1.5))))
        first, last = min(first, 0.98), max(last, 0.02)
        sides.append((low + first * (high - low), low + max(last, first + 0.02) * (high - low)))
    return Box(sides[0][0], sides[1][0], sides[0][1], sides[1][1])


def pixel_box(image: Image, part: Image) -> list[float]:
    """The part's region in pixels of the image."""
    rows, columns = image.pixels.shape[:2]
    x0, y0 = image.region[:2]
    sx, sy = columns / image.width, rows / image.height
    x1, y1, x2, y2 = part.region
    return [(x1 - x0) * sx, (y1 - y0) * sy, (x2 - x0) * sx, (y2 - y0) * sy]


@given(st.data(), images(), st.floats(0, 1))
def test_the_region_is_exactly_the_pixels_that_were_cut(data: st.DataObject, image: Image, margin: float) -> None:
    part = crop(image, data.draw(boxes_in(image)), margin=margin)
    exact = pixel_box(image, part)
    left, top, right, bottom = (round(side) for side in exact)
    assert exact == pytest.approx([left, top, right, bottom], abs=ROUNDING)
    assert np.array_equal(part.pixels, image.pixels[top:bottom, left:right])


@given(st.data(), images(), st.floats(0, 1))
def test_a_crop_covers_the_box_and_its_margin_and_less_than_a_pixel_more(
    data: st.DataObject, image: Image, margin: float
) -> None:
    box = data.draw(boxes_in(image))
    part = crop(image, box, margin=margin)
    for axis in (0, 1):
        low, high = image.region[axis], image.region[axis + 2]
        pixel = (high - low) / image.pixels.shape[1 - axis]
        extra = margin * (box[axis + 2] - box[axis])
        first, last = max(box[axis] - extra, low), min(box[axis + 2] + extra, high)
        near = ROUNDING * pixel
        assert first - pixel - near < part.region[axis] <= first + near
        assert last - near <= part.region[axis + 2] < last + pixel + near


@given(st.data(), images())
def test_cropping_a_crop_to_its_own_region_changes_nothing(data: st.DataObject, image: Image) -> None:
    part = crop(image, data.draw(boxes_in(image)))
    for again in (crop(image, Box(*part.region)), crop(part, Box(*part.region))):
        assert np.array_equal(again.pixels, part.pixels)
        assert again.region == pytest.approx(part.region)


@given(st.data(), images())
def test_a_crop_of_a_crop_is_the_crop_of_the_picture(data: st.DataObject, image: Image) -> None:
    outer = crop(image, data.draw(boxes_in(image)))
    box = data.draw(boxes_in(outer))
    inside = Box(*(min(max(v, outer.region[i % 2]), outer.region[i % 2 + 2]) for i, v in enumerate(box)))
    assert np.array_equal(crop(outer, box).pixels, crop(image, inside).pixels)


def test_a_crop_knows_where_it_was_cut_and_leaves_the_picture_alone() -> None:
    image = numbered(20, 30)
    before = image.pixels.copy()
    part = crop(image, Box(3.2, 4.9, 10, 12.1))
    assert list(part.region) == [3, 4, 10, 13]
    assert np.array_equal(part.pixels, image.pixels[4:13, 3:10])
    assert part.pixels.flags.c_contiguous
    assert np.array_equal(image.pixels, before)


def test_after_a_reduced_size_decode_a_crop_speaks_in_pixels_of_the_full_picture() -> None:
    small = Image(numbered(10, 20).pixels, (0, 0, 160, 80))
    part = crop(small, Box(17, 8, 40, 39))
    assert list(part.region) == [16, 8, 40, 40]
    assert np.array_equal(part.pixels, small.pixels[1:5, 2:5])


def test_a_margin_is_a_share_of_the_box_and_ends_at_the_picture() -> None:
    assert crop(numbered(100, 100), Box(10, 10, 30, 50), margin=0.25).region == (5, 0, 35, 60)


def test_the_smallest_box_shows_one_pixel() -> None:
    assert crop(numbered(9, 9), Box(3.4, 3.4, 3.4000001, 3.4000001)).region == (3, 3, 4, 4)
    assert crop(numbered(9, 9), Box(8.9999999, 8.9999999, 20, 20)).region == (8, 8, 9, 9)
    assert crop(numbered(1, 1), Box(-5, -5, 5, 5)).region == (0, 0, 1, 1)


@pytest.mark.parametrize("box", [(-9, 0, 0, 9), (20, 0, 29, 9), (0, -9, 9, 0), (0, 20, 9, 29), (50, 50, 60, 60)])
@pytest.mark.parametrize("margin", [0.0, 0.5])
def test_a_box_beside_the_image_is_refused_whatever_its_margin_reaches(
    box: tuple[float, float, float, float], margin: float
) -> None:
    with pytest.raises(BadBox, match="outside") as caught:
        crop(numbered(20, 20), Box(*box), margin=margin)
    assert str(list(Box(*box))) in str(caught.value)


def test_a_box_of_the_picture_that_a_crop_does_not_show_is_refused_in_the_picture_s_own_pixels() -> None:
    part = crop(numbered(50, 50), Box(20, 20, 40, 40))
    with pytest.raises(BadBox, match=r"\[1, 2, 3, 4\] lies outside .*\[20\.0, 20\.0, 40\.0, 40\.0\]"):
        crop(part, Box(1, 2, 3, 4))
