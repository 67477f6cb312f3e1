"""A picture is decoded once, by whoever asks first, and says the same to everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pytest
from PIL import Image as PILImage

from hearthwatch.errors import ImageError, ImageTooLarge, ImageTruncated
from hearthwatch.vision.decode import decode
from hearthwatch.vision.header import Header, Limits
from hearthwatch.vision.image import Image
from hearthwatch.vision.picture import Picture
from pictures import HEIGHT, SAMPLES, WIDTH, jpeg, scene

LARGE = jpeg(scene(1280, 720))


@dataclass
class Clock:
    """Half a second passes between two looks."""

    now: float = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


@dataclass
class GatedClock:
    """A clock that holds the thread that decodes until the others are waiting."""

    entered: threading.Event = field(default_factory=threading.Event)
    gate: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> float:
        self.entered.set()
        assert self.gate.wait(timeout=30)
        return 0.0


def test_nothing_is_looked_at_before_somebody_asks() -> None:
    picture = Picture(b"no picture at all")
    assert picture.data == b"no picture at all"
    assert picture.decodes == 0


def test_the_size_is_known_without_decoding() -> None:
    picture = Picture(SAMPLES["jpeg, exif"])
    assert picture.header == Header("JPEG", HEIGHT, WIDTH, orientation=6)
    assert picture.size == (HEIGHT, WIDTH)
    assert picture.decodes == 0


def test_a_picture_is_decoded_once_and_on_the_clock() -> None:
    picture = Picture(SAMPLES["png"], clock=Clock())
    first = picture.image()
    assert np.array_equal(first.pixels, scene())
    assert picture.image() is first
    assert picture.image(at_least=5) is first
    assert (picture.decodes, picture.decode_ms) == (1, 500.0)


def test_a_full_image_serves_every_wish() -> None:
    picture = Picture(LARGE)
    full = picture.image()
    assert picture.image(at_least=100) is full
    assert picture.decodes == 1


def test_a_reduced_image_is_kept_until_more_is_asked_for() -> None:
    picture = Picture(LARGE)
    small = picture.image(at_least=160)
    assert small.pixels.shape == (90, 160, 3)
    assert picture.size == (1280, 720)
    assert picture.image(at_least=100) is small
    larger = picture.image(at_least=161)
    assert larger.pixels.shape == (180, 320, 3)
    assert picture.image(at_least=160) is larger
    full = picture.image()
    assert full.pixels.shape == (720, 1280, 3)
    assert picture.image(at_least=1280) is full
    assert picture.decodes == 3


def test_more_pixels_than_there_are_is_a_wish_for_all() -> None:
    picture = Picture(LARGE)
    full = picture.image(at_least=5000)
    assert full.pixels.shape == (720, 1280, 3)
    assert picture.image(at_least=9000) is full
    assert picture.image() is full


def together(clock: GatedClock, ask: Callable[[], object], threads: int = 8) -> list[object]:
    """What several threads get that ask while the first is still decoding."""

    def outcome() -> object:
        try:
            return ask()
        except ImageError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        asked = [pool.submit(outcome) for _ in range(threads)]
        assert clock.entered.wait(timeout=30)
        clock.gate.set()
        return [future.result(timeout=30) for future in asked]


def test_many_threads_that_ask_at_once_share_one_decode() -> None:
    clock = GatedClock()
    picture = Picture(LARGE, clock=clock)
    images = together(clock, picture.image)
    assert picture.decodes == 1
    assert all(image is images[0] for image in images)


def test_many_threads_that_ask_at_once_share_one_failure() -> None:
    clock = GatedClock()
    picture = Picture(LARGE[:-900] + b"\xff\xd9", clock=clock)
    errors = together(clock, picture.image)
    assert picture.decodes == 1
    assert {(type(error), str(error)) for error in errors} == {
        (ImageTruncated, "the JPEG is cut off: its compressed pixels end before the picture does")
    }


def test_the_size_does_not_wait_for_a_decode() -> None:
    clock = GatedClock()
    picture = Picture(LARGE, clock=clock)
    with ThreadPoolExecutor(1) as pool:
        decoding = pool.submit(picture.image)
        assert clock.entered.wait(timeout=30)
        assert picture.size == (1280, 720)
        assert not decoding.done()
        clock.gate.set()


def test_a_failure_is_raised_again_without_another_try() -> None:
    picture = Picture(SAMPLES["png"][:-20])
    with pytest.raises(ImageTruncated) as first:
        picture.image()
    for ask in (picture.image, lambda: picture.image(at_least=3), lambda: picture.size, lambda: picture.header):
        with pytest.raises(ImageTruncated) as again:
            ask()
        assert str(again.value) == str(first.value)
        assert again.value is not first.value
    assert picture.decodes == 1


def test_a_header_that_cannot_be_read_spares_the_decode() -> None:
    picture = Picture(b"GIF89a")
    with pytest.raises(ImageTruncated):
        _ = picture.size
    with pytest.raises(ImageTruncated):
        picture.image()
    assert picture.decodes == 0


def test_the_limits_are_held() -> None:
    with pytest.raises(ImageTooLarge):
        _ = Picture(SAMPLES["png"], Limits(max_pixels=10)).size
    with pytest.raises(ImageTooLarge):
        Picture.of(scene(), Limits(max_pixels=10))


@pytest.mark.parametrize("make", [Image.of, PILImage.fromarray, lambda pixels: pixels], ids=["image", "pil", "array"])
def test_pixels_that_are_there_need_no_decode(make: Callable[[object], Image]) -> None:
    picture = Picture.of(make(scene()))
    assert np.array_equal(picture.image().pixels, scene())
    assert picture.image(at_least=10_000) is picture.image()
    assert picture.size == (WIDTH, HEIGHT)
    assert picture.data is None
    assert picture.header is None
    assert (picture.decodes, picture.decode_ms) == (0, 0.0)


def test_an_image_that_was_decoded_small_is_a_picture_of_its_full_size() -> None:
    small = decode(LARGE, at_least=200)
    picture = Picture.of(small)
    assert picture.size == (1280, 720)
    assert picture.image() is small


def test_a_crop_is_no_picture() -> None:
    crop = Image(scene(), (5.0, 5.0, 5.0 + WIDTH, 5.0 + HEIGHT))
    with pytest.raises(ValueError, match="crop"):
        Picture.of(crop)
