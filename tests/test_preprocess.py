"""Pixels to network input: exact values for every combination that an `InputSpec` can say."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import get_args

import cv2
import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, Color, DType, InputSpec, Interpolation, Layout
from hearthwatch.vision.letterbox import Letterbox
from hearthwatch.vision.preprocess import Array, input_size, to_batch

LAYOUTS, COLORS, DTYPES = get_args(Layout), get_args(Color), get_args(DType)
ARITHMETIC = {
    "as it is": (1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "0 to 1": (1 / 255, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1 to 1": (1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "ImageNet": (1 / 255, IMAGENET_MEAN, IMAGENET_STD),
    "mean of 0 to 255": (1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "std alone": (1.0, (0.0, 0.0, 0.0), (58.4, 57.1, 57.4)),
}


def pixels(seed: int = 1, *shape: int) -> UInt8:
    return np.random.default_rng(seed).integers(0, 256, (*(shape or (2, 5, 7)), 3), dtype=np.uint8)


def normalise(rgb: UInt8, spec: InputSpec) -> Array:
    """(N, H, W, 3) at the input's own size: nothing is resized, only the values are written."""
    return to_batch([Image.of(one) for one in rgb], spec)


def smooth(height: int, width: int) -> UInt8:
    """A scene without single-pixel detail: waves of different direction in each channel."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(9 * x + 4 * y), np.cos(7 * y - 3 * x), np.sin(11 * x * y)]
    return (127.5 + 127 * np.stack(waves, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("arithmetic", ARITHMETIC.values(), ids=ARITHMETIC.keys())
@pytest.mark.parametrize(("layout", "color"), list(itertools.product(LAYOUTS, COLORS)), ids=str)
def test_every_value_is_the_formula_of_the_spec(
    layout: Layout, color: Color, arithmetic: tuple[float, tuple[float, float, float], tuple[float, float, float]]
) -> None:
    scale, mean, std = arithmetic
    rgb = pixels()
    spec = InputSpec("x", (5, 7), layout=layout, color=color, scale=scale, mean=mean, std=std)
    batch = normalise(rgb, spec)
    assert batch.dtype == np.float32
    assert batch.flags.c_contiguous
    assert batch.shape == ((2, 3, 5, 7) if layout == "NCHW" else (2, 5, 7, 3))
    for channel, letter in enumerate(color):
        # Mean and std stand in the order of `color`: the first of BGR is blue's.
        plane = rgb[..., "RGB".index(letter)].astype(np.float64)
        expected = (plane * scale - mean[channel]) / std[channel]
        given_plane = batch[:, channel] if layout == "NCHW" else batch[..., channel]
        assert given_plane == pytest.approx(expected, rel=1e-5, abs=2e-5)


@pytest.mark.parametrize(("layout", "color"), list(itertools.product(LAYOUTS, COLORS)), ids=str)
def test_a_network_of_bytes_gets_the_bytes_without_arithmetic(layout: Layout, color: Color) -> None:
    rgb = pixels()
    spec = InputSpec("x", (5, 7), layout=layout, color=color, dtype="uint8", scale=1 / 255, mean=IMAGENET_MEAN)
    batch = normalise(rgb, spec)
    expected = rgb if color == "RGB" else rgb[..., ::-1]
    assert batch.dtype == np.uint8
    assert batch.flags.c_contiguous
    assert np.array_equal(batch, expected.transpose(0, 3, 1, 2) if layout == "NCHW" else expected)


def test_the_two_colour_orders_are_each_other_s_mirror() -> None:
    rgb = InputSpec("x", (5, 7), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    bgr = replace(rgb, color="BGR", mean=IMAGENET_MEAN[::-1], std=IMAGENET_STD[::-1])
    assert np.array_equal(normalise(pixels(), rgb), normalise(pixels(), bgr)[:, ::-1])
    # With the numbers left in RGB order, the same spec is another network's.
    assert not np.allclose(normalise(pixels(), rgb), normalise(pixels(), replace(rgb, color="BGR"))[:, ::-1])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_picture_is_a_batch_of_none(layout: Layout, dtype: DType) -> None:
    batch = to_batch([], InputSpec("x", (8, 6), layout=layout, dtype=dtype))
    assert batch.shape == ((0, 3, 8, 6) if layout == "NCHW" else (0, 8, 6, 3))
    assert batch.dtype == np.dtype(dtype)


@pytest.mark.parametrize("size", [(64, 64), (224, 224), (256, 128), (62, 62)], ids=str)
@pytest.mark.parametrize("shape", [(480, 640), (300, 301), (1080, 120)], ids=str)
def test_shrinking_with_antialias_is_pillow_s_bilinear(shape: tuple[int, int], size: tuple[int, int]) -> None:
    scene = smooth(*shape) // 2 + pixels(3, *shape) // 2
    batch = to_batch([Image.of(scene)], InputSpec("x", size, layout="NHWC", interpolation="antialias", scale=1 / 255))
    reference = PIL.Image.fromarray(scene).resize(size[::-1], PIL.Image.Resampling.BILINEAR)
    difference = np.abs(batch[0].astype(np.float64) - np.asarray(reference) / 255)
    assert difference.mean() < 1 / 255
    # The planted mistake, OpenCV's filter in its place, is an order of magnitude away on such a scene.
    mistake = to_batch([Image.of(scene)], InputSpec("x", size, layout="NHWC", interpolation="linear", scale=1 / 255))
    if shape[0] > 2 * size[0] and shape[1] > 2 * size[1]:
        assert np.abs(np.asarray(mistake, np.float64) - np.asarray(batch, np.float64)).mean() > 5 / 255


@pytest.mark.parametrize("interpolation", ["linear", "antialias"])
@pytest.mark.parametrize("shape", [(64, 64), (40, 90), (1, 1), (1, 200), (224, 224)], ids=str)
def test_enlarging_is_opencv_s_linear_and_pillow_agrees(shape: tuple[int, int], interpolation: Interpolation) -> None:
    scene = pixels(4, *shape)
    spec = InputSpec("x", (224, 224), layout="NHWC", dtype="uint8", interpolation=interpolation)
    batch = to_batch([Image.of(scene)], spec).astype(int)
    assert np.abs(batch[0] - cv2.resize(scene, (224, 224), interpolation=cv2.INTER_LINEAR)).max() <= 1
    pillow = PIL.Image.fromarray(scene).resize((224, 224), PIL.Image.Resampling.BILINEAR)
    assert np.abs(batch[0] - np.asarray(pillow)).max() <= 1


@pytest.mark.parametrize("interpolation", ["linear", "antialias"])
def test_antialias_widens_the_filter_where_only_one_side_shrinks(interpolation: Interpolation) -> None:
    scene = pixels(5, 600, 50)
    spec = InputSpec("x", (100, 100), layout="NHWC", dtype="uint8", interpolation=interpolation)
    batch = to_batch([Image.of(scene)], spec)[0].astype(int)
    pillow = np.asarray(PIL.Image.fromarray(scene).resize((100, 100), PIL.Image.Resampling.BILINEAR))
    opencv = cv2.resize(scene, (100, 100), interpolation=cv2.INTER_LINEAR)
    assert np.abs(batch - (pillow if interpolation == "antialias" else opencv)).max() <= 1


def test_squash_ignores_the_aspect_and_letterbox_keeps_it() -> None:
    image = Image.of(smooth(90, 160))
    squashed = to_batch([image], InputSpec("x", (64, 64), layout="NHWC", dtype="uint8"))[0]
    boxed = to_batch([image], InputSpec("x", (64, 64), layout="NHWC", dtype="uint8", resize="letterbox"))[0]
    assert np.array_equal(boxed, Letterbox.fit(image.region, (64, 64)).apply(image))
    assert (boxed[:14] == 114).all()
    assert not (squashed[:14] == 114).all()


def test_a_letterbox_fits_the_region_and_not_the_pixels_of_a_reduced_decode() -> None:
    full = Image.of(smooth(720, 1280))
    half = np.asarray(cv2.resize(full.pixels, (640, 360), interpolation=cv2.INTER_AREA), np.uint8)
    reduced = Image(half, full.region)
    spec = InputSpec("x", (96, 160), layout="NHWC", dtype="uint8", resize="letterbox")
    batch = to_batch([full, reduced], spec).astype(int)
    assert (batch[:, :3] == 114).all()
    assert (batch[:, 3] != 114).any()
    assert np.abs(batch[0] - batch[1]).mean() < 1


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(1, 50)), min_size=1, max_size=5), st.sampled_from(LAYOUTS))
def test_pictures_of_a_batch_do_not_touch_each_other(shapes: list[tuple[int, int]], layout: Layout) -> None:
    images = [Image.of(pixels(i, *shape)) for i, shape in enumerate(shapes)]
    spec = InputSpec("x", (12, 10), layout=layout, scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    batch = to_batch(images, spec)
    assert len(batch) == len(images)
    for image, row in zip(images, batch, strict=True):
        assert np.array_equal(to_batch([image], spec)[0], row)


def test_preprocessing_leaves_the_picture_alone() -> None:
    image = Image.of(pixels(6, 9, 9))
    before = image.pixels.copy()
    for color, dtype in itertools.product(COLORS, DTYPES):
        batch = to_batch([image], InputSpec("x", (9, 9), color=color, dtype=dtype))
        batch[:] = 0
    assert np.array_equal(image.pixels, before)


ASPECT = InputSpec("x", (518, 518), layout="NHWC", dtype="uint8", resize="aspect", interpolation="bicubic", multiple=14)


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        ((1080, 1920), (294, 518)),
        ((1920, 1080), (518, 294)),
        ((480, 640), (392, 518)),
        ((600, 600), (518, 518)),
        ((37, 37), (518, 518)),
        ((1, 3000), (14, 518)),
        ((3000, 1), (518, 14)),
    ],
    ids=str,
)
def test_aspect_gives_each_picture_its_own_input(picture: tuple[int, int], expected: tuple[int, int]) -> None:
    batch = to_batch([Image.of(np.zeros((*picture, 3), np.uint8))] * 2, ASPECT)
    assert batch.shape == (2, *expected, 3)


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 40), st.integers(40, 600))
def test_aspect_is_always_multiples_inside_the_largest_size(height: int, width: int, multiple: int, most: int) -> None:
    spec = replace(ASPECT, size=(most, most), multiple=multiple)
    sides = input_size(Image.of(np.zeros((height, width, 3), np.uint8)), spec)
    assert all(side % multiple == 0 and multiple <= side <= max(most, multiple) for side in sides)
    assert max(sides) > most - multiple


def test_pictures_of_different_aspect_make_no_batch() -> None:
    images = [Image.of(np.zeros(shape, np.uint8)) for shape in ((10, 10, 3), (10, 20, 3))]
    with pytest.raises(ValueError, match="2 input sizes"):
        to_batch(images, ASPECT)


@pytest.mark.parametrize("shape", [(480, 640), (20, 31)], ids=str)
def test_bicubic_is_pillows_whether_it_shrinks_or_enlarges(shape: tuple[int, int]) -> None:
    scene = pixels(6, *shape)
    batch = to_batch([Image.of(scene)], ASPECT)
    height, width = batch.shape[1:3]
    reference = PIL.Image.fromarray(scene).resize((width, height), PIL.Image.Resampling.BICUBIC)
    assert np.array_equal(batch[0], np.asarray(reference))


MIDDLE = InputSpec("x", (224, 224), layout="NHWC", dtype="uint8", resize="crop", interpolation="bicubic")


@pytest.mark.parametrize(("crop_share", "whole"), [(1.0, 224), (0.875, 256), (0.95, 235)])
@pytest.mark.parametrize("shape", [(480, 640), (640, 481), (224, 224), (100, 101), (37, 500)], ids=str)
def test_crop_takes_the_middle_of_the_picture_at_its_own_aspect(
    shape: tuple[int, int], crop_share: float, whole: int
) -> None:
    scene = pixels(7, *shape)
    batch = to_batch([Image.of(scene)], replace(MIDDLE, crop_share=crop_share))
    tall, wide = whole * shape[0] // min(shape), whole * shape[1] // min(shape)
    resized = np.asarray(PIL.Image.fromarray(scene).resize((wide, tall), PIL.Image.Resampling.BICUBIC))
    top, left = (tall - 224) // 2, (wide - 224) // 2
    difference = np.abs(batch[0].astype(int) - resized[top : top + 224, left : left + 224])
    # The order of rows and columns differs, and rounding between them with it.
    assert difference.mean() < 0.05
    assert np.percentile(difference, 99.9) <= 1


@pytest.mark.parametrize("interpolation", ["linear", "antialias", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 64000), (3000, 1), (1, 17)], ids=str)
def test_the_middle_of_a_line_is_cut_before_it_grows(shape: tuple[int, int], interpolation: Interpolation) -> None:
    shade = np.linspace(0, 255, max(shape)).astype(np.uint8)
    scene = np.repeat(shade.reshape(*shape, 1), 3, axis=2)
    batch = to_batch([Image.of(scene)], replace(MIDDLE, interpolation=interpolation, crop_share=0.875))
    assert batch.shape == (1, 224, 224, 3)
    assert np.abs(batch.astype(int) - 127).max() <= 16


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.5, 1), st.sampled_from([(99, 99), (30, 50), (50, 30)]))
def test_crop_always_fills_its_size(height: int, width: int, crop_share: float, size: tuple[int, int]) -> None:
    spec = replace(MIDDLE, size=size, crop_share=crop_share, interpolation="linear")
    assert to_batch([Image.of(np.zeros((height, width, 3), np.uint8))], spec).shape == (1, *size, 3)
