"""A box with its surroundings as a network's input, and the way back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.preprocess import input_size, to_batch
from hearthwatch.vision.subject import PADDING, Subject, SubjectView

SIZE = (256, 192)
SPEC = InputSpec("pixel_values", SIZE, resize="box")


def ramp(height: int = 120, width: int = 160) -> Image:
    """Red is the column, green the row."""
    y, x = np.mgrid[0:height, 0:width]
    return Image.of(np.stack([x, y, np.full_like(x, 7)], axis=2).astype(np.uint8))


@pytest.mark.parametrize("box", [Box(40, 30, 70, 90), Box(20, 40, 100, 60), Box(50, 50, 51, 51)], ids=str)
def test_the_box_is_in_the_middle_with_a_quarter_more_and_the_inputs_aspect(box: Box) -> None:
    view = SubjectView.fit(box, SIZE)
    assert view.width / view.height == pytest.approx(192 / 256)
    assert view.left + view.width / 2 == pytest.approx((box.x1 + box.x2) / 2)
    assert view.top + view.height / 2 == pytest.approx((box.y1 + box.y2) / 2)
    assert max(box.width / view.width, box.height / view.height) == pytest.approx(1 / PADDING)


def test_the_pixels_are_those_of_the_places_that_the_way_back_names() -> None:
    image, box = ramp(), Box(60, 40, 90, 80)
    view = SubjectView.fit(box, SIZE)
    pixels = view.apply(image)
    assert pixels.shape == (*SIZE, 3)
    cells = np.array([[0, 0], [191, 255], [95.5, 127.5], [40, 200]], np.float32)
    for (column, row), (x, y) in zip(cells, view.to_picture(cells, SIZE), strict=True):
        seen = pixels[round(float(row)), round(float(column))]
        assert seen[0] == pytest.approx(x, abs=1)
        assert seen[1] == pytest.approx(y, abs=1)


def test_a_coarser_map_over_the_input_leads_to_the_same_corners() -> None:
    view = SubjectView.fit(Box(60, 40, 90, 80), SIZE)
    corners = view.to_picture(np.array([[0, 0], [47, 63]], np.float32), (64, 48))
    assert np.allclose(corners, view.to_picture(np.array([[0, 0], [191, 255]], np.float32), SIZE))
    assert view.to_picture(np.zeros((3, 2), np.float32), (1, 1)).shape == (3, 2)


def test_beyond_the_picture_there_is_black() -> None:
    image = Image.of(np.full((50, 50, 3), 200, np.uint8))
    pixels = SubjectView.fit(Box(0, 0, 50, 50), SIZE).apply(image)
    assert set(np.unique(pixels)) == {0, 200}
    assert pixels[128, 96].tolist() == [200] * 3
    assert not pixels[:20].any()
    assert not pixels[:, :12].any()


def test_an_image_without_a_box_is_its_own_and_one_with_a_box_keeps_it() -> None:
    image = ramp()
    assert Subject.of_image(image).box == Box(0, 0, 160, 120)
    subject = Subject(image.pixels, image.region, Box(10, 10, 20, 20))
    assert Subject.of_image(subject) is subject
    assert (subject.width, subject.height) == (160, 120)


def test_a_batch_has_one_row_per_box_of_one_picture() -> None:
    image = ramp()
    boxes = [Box(40, 30, 70, 90), Box(80, 30, 110, 90)]
    batch = to_batch([Subject(image.pixels, image.region, box) for box in boxes], SPEC)
    assert batch.shape == (2, 3, *SIZE)
    for row, box in zip(batch, boxes, strict=True):
        assert np.array_equal(row.transpose(1, 2, 0), SubjectView.fit(box, SIZE).apply(image))
    assert input_size(image, SPEC) == SIZE


def test_a_picture_of_reduced_size_and_a_region_of_one_are_seen_at_the_same_places() -> None:
    whole = ramp(120, 160)
    box = Box(60, 40, 90, 80)
    full = SubjectView.fit(box, SIZE).apply(whole)
    part = Image(np.ascontiguousarray(whole.pixels[10:110, 20:150]), (20, 10, 150, 110))
    assert np.array_equal(SubjectView.fit(box, SIZE).apply(part), full)
    half = whole.pixels.astype(np.float32).reshape(60, 2, 80, 2, 3).mean(axis=(1, 3))
    reduced = Image(np.floor(half + 0.5).astype(np.uint8), whole.region)
    assert np.abs(SubjectView.fit(box, SIZE).apply(reduced).astype(int) - full).max() <= 1


@pytest.mark.parametrize("shape", [(2, 40_000), (70_000, 2), (1, 1), (32_766, 1), (32_767, 1)], ids=str)
def test_pictures_of_any_length_are_seen(shape: tuple[int, int]) -> None:
    image = Image.of(np.full((*shape, 3), 90, np.uint8))
    pixels = SubjectView.fit(Box(*image.region), SIZE).apply(image)
    assert pixels.shape == (*SIZE, 3)
    assert set(np.unique(pixels)) <= {0, 90}


@settings(deadline=None, max_examples=60)
@given(st.tuples(st.floats(-300, 300), st.floats(-300, 300), st.floats(0.01, 900), st.floats(0.01, 900)))
def test_any_box_gives_an_input(numbers: Any) -> None:
    x, y, width, height = numbers
    box = Box(x, y, x + width, y + height)
    view = SubjectView.fit(box, SIZE)
    assert view.apply(ramp()).shape == (*SIZE, 3)
    middle = view.to_picture(np.array([[95.5, 127.5]], np.float32), SIZE)[0]
    assert middle == pytest.approx([(box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2], abs=1e-2)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_pixels_are_those_of_transformers_processor() -> None:
    vitpose = pytest.importorskip(
        "transformers.models.vitpose.image_processing_pil_vitpose",
        reason="transformers is the reference here and not among the project's requirements",
    )
    pytest.importorskip("scipy", reason="transformers' ViTPose processor needs scipy, which the project does not")
    y, x = np.mgrid[0:430, 0:640]
    noise = np.random.default_rng(3).integers(0, 60, (430, 640, 3))
    image = Image.of((np.stack([x % 196, y % 196, (x + y) % 196], axis=2) + noise).astype(np.uint8))
    boxes = [Box(10.3, 20.7, 200, 400), Box(100, 50, 500, 250), Box(0, 0, 640, 430), Box(-30, -20, 700, 500),
             Box(300.5, 10.25, 340.75, 80.5), Box(5, 5, 9, 11)]  # fmt: skip
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    spec = replace(SPEC, scale=1 / 255, mean=mean, std=std)
    ours = np.asarray(to_batch([Subject(image.pixels, image.region, box) for box in boxes], spec), np.float32)
    theirs = vitpose.VitPoseImageProcessorPil()(
        images=[image.pixels], boxes=[[list(box.as_xywh().values()) for box in boxes]], return_tensors="np"
    )["pixel_values"]
    levels = np.abs(ours - np.asarray(theirs, np.float32)) * np.array(std)[:, None, None] * 255
    assert levels.mean(axis=(1, 2, 3)).max() < 0.01
    assert levels.max() < 1.01
