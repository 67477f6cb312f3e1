"""Letterbox: where a picture lies inside a network's input, and the exact way back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.letterbox import PAD_GREY, Letterbox

Region = tuple[float, float, float, float]
#: (height, width) of networks: those in use and awkward ones.
SIZES = [(640, 640), (256, 128), (448, 640), (320, 320), (7, 5), (1, 1)]
#: (width, height) of pictures.
PICTURES = [(1, 1), (20000, 1), (1, 20000), (640, 640), (641, 640), (1919, 1079), (3, 900)]

sizes = st.one_of(st.sampled_from(SIZES), st.tuples(st.integers(1, 1280), st.integers(1, 1280)))


@st.composite
def regions(draw: st.DrawFn) -> Region:
    """Whole pictures, crops anywhere in a large picture, thin ones and single pixels."""
    x, y = draw(st.floats(0, 20000, width=32)), draw(st.floats(0, 20000, width=32))
    width, height = (draw(st.one_of(st.sampled_from([1.0, 20000.0]), st.floats(1, 20000, width=32))) for _ in "xy")
    return (0.0, 0.0, width, height) if draw(st.booleans()) else (x, y, x + width, y + height)


def checkered(width: int, height: int) -> Image:
    return Image.of(np.random.default_rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(regions(), sizes)
def test_the_picture_fills_one_axis_keeps_its_aspect_and_is_centred(region: Region, size: tuple[int, int]) -> None:
    box = Letterbox.fit(region, size)
    (height, width), (top, left) = box.scaled, box.offset
    assert height == size[0] or width == size[1]
    assert 1 <= height <= size[0]
    assert 1 <= width <= size[1]
    assert 0 <= size[0] - height - 2 * top <= 1
    assert 0 <= size[1] - width - 2 * left <= 1
    ratio = min(size[0] / (region[3] - region[1]), size[1] / (region[2] - region[0]))
    # Half a pixel of rounding, and the one pixel that even the thinnest picture gets.
    assert abs(height - (region[3] - region[1]) * ratio) <= 0.5 + 1e-6 or height == 1
    assert abs(width - (region[2] - region[0]) * ratio) <= 0.5 + 1e-6 or width == 1


@given(regions(), sizes)
def test_the_corners_of_the_picture_come_back_exactly(region: Region, size: tuple[int, int]) -> None:
    box = Letterbox.fit(region, size)
    (height, width), (top, left) = box.scaled, box.offset
    corners = np.array([[left, top], [left + width, top + height]], np.float32)
    expected = np.array(region, np.float32)
    assert np.array_equal(box.to_picture(corners).reshape(4), expected)
    assert np.array_equal(box.boxes_to_picture(corners.reshape(1, 4))[0], expected)


@given(regions(), sizes, npst.arrays(np.float64, (5, 2), elements=st.floats(0, 1)))
def test_there_and_back_is_the_same_point(region: Region, size: tuple[int, int], shares: Float) -> None:
    box = Letterbox.fit(region, size)
    x1, y1, x2, y2 = region
    points = (shares * [x2 - x1, y2 - y1] + [x1, y1]).astype(np.float32)
    # float32 carries 7 digits of the larger of the two coordinates: 1e-3 of a pixel of either side, and its last digit.
    there = box.to_input(points)
    pixel = np.array([(x2 - x1) / box.scaled[1], (y2 - y1) / box.scaled[0]])
    digit = np.spacing(np.float32(max(region)))
    assert (np.abs(box.to_picture(there) - points) <= 1e-3 * np.maximum(1, pixel) + digit).all()
    back = box.to_input(box.to_picture(there))
    assert (np.abs(back - there) <= 1e-3 + digit / pixel).all()
    # A point of the picture lies on the picture's part of the canvas.
    low, slack = np.array(box.offset[::-1]), 1e-2 + digit / pixel
    assert ((there >= low - slack) & (there <= low + box.scaled[::-1] + slack)).all()


@given(regions(), sizes, npst.arrays(np.float32, (4, 4), elements=st.floats(-2000, 2000, width=32)))
def test_boxes_come_back_inside_the_picture(region: Region, size: tuple[int, int], boxes: Float) -> None:
    back = Letterbox.fit(region, size).boxes_to_picture(boxes)
    low, high = np.array(region[:2], np.float32), np.array(region[2:], np.float32)
    assert back.shape == (4, 4)
    assert back.dtype == np.float32
    assert (back.reshape(-1, 2) >= low).all()
    assert (back.reshape(-1, 2) <= high).all()


def test_a_known_picture_goes_to_known_places() -> None:
    box = Letterbox.fit((100, 200, 100 + 1280, 200 + 720), (640, 640))
    assert (box.scaled, box.offset) == ((360, 640), (140, 0))
    points = np.array([[0, 140], [320, 320], [640, 500]], np.float32)
    assert box.to_picture(points).tolist() == [[100, 200], [740, 560], [1380, 920]]
    assert box.to_input(box.to_picture(points)).tolist() == points.tolist()


def test_an_odd_rest_of_padding_goes_to_the_right_and_the_bottom() -> None:
    assert Letterbox.fit((0, 0, 100, 99), (640, 640)).offset == (3, 0)
    assert Letterbox.fit((0, 0, 97, 100), (640, 640)).offset == (0, 9)


@pytest.mark.parametrize("picture", PICTURES, ids=str)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_canvas_is_grey_but_for_the_resized_picture(picture: tuple[int, int], size: tuple[int, int]) -> None:
    image = checkered(*picture)
    box = Letterbox.fit(image.region, size)
    canvas = box.apply(image)
    assert canvas.shape == (*size, 3)
    assert canvas.dtype == np.uint8
    (height, width), (top, left) = box.scaled, box.offset
    inside = canvas[top : top + height, left : left + width].copy()
    expected = cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_LINEAR)
    assert np.array_equal(inside, expected)
    canvas[top : top + height, left : left + width] = PAD_GREY
    assert (canvas == PAD_GREY).all()


def test_a_picture_of_the_very_size_is_not_touched() -> None:
    image = checkered(640, 640)
    assert np.array_equal(Letterbox.fit(image.region, (640, 640)).apply(image), image.pixels)


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_picture_decoded_at_reduced_size_gives_nearly_the_same_canvas(reduction: int) -> None:
    ramp = np.linspace(0, 255, 1920)[None, :, None] * np.linspace(0.2, 1, 1080)[:, None, None]
    full = Image.of((ramp * np.array([1, 0.7, 0.4])).astype(np.uint8))
    shape = (1920 // reduction, 1080 // reduction)
    pixels = np.asarray(cv2.resize(full.pixels, shape, interpolation=cv2.INTER_AREA), np.uint8)
    reduced = Image(pixels, full.region)
    box, same = Letterbox.fit(full.region, (640, 640)), Letterbox.fit(reduced.region, (640, 640))
    assert box == same
    difference = np.abs(box.apply(full).astype(int) - box.apply(reduced))
    assert difference.max() <= 3
    assert difference.mean() < 1
