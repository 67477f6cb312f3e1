"""Requests about the same picture at the same time decode it once, and are otherwise none the wiser."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from hearthwatch.errors import ImageTooLarge, NotAnImage
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.pictures import SharedPictures
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits
from hearthwatch.vision.picture import Picture
from served import NumbersEngine, Served, picture, problem_of, serve, text_of
from server_process import until

DATA = picture(640, 480, kind=".jpg")
LIGHT = ("/pose-analyze", "/threat-detect", "/person-reid", "/pet-classify", "/depth-estimate")
BOXES = [[60.0, 80.0, 180.0, 380.0], [250.0, 300.0, 340.0, 360.0]]


def test_equal_bytes_are_one_picture_as_long_as_somebody_has_it() -> None:
    shared = SharedPictures()
    first = shared.of(DATA, DEFAULT_LIMITS)
    assert shared.of(bytes(bytearray(DATA)), DEFAULT_LIMITS) is first
    assert len(shared) == 1
    del first
    gc.collect()
    assert len(shared) == 0


def test_pictures_that_end_alike_are_not_one() -> None:
    shared = SharedPictures()
    one, other = b"a" + bytes(1000), b"b" + bytes(1000)
    first, second = shared.of(one, DEFAULT_LIMITS), shared.of(other, DEFAULT_LIMITS)
    assert (first.data, second.data) == (one, other)
    assert shared.of(one, DEFAULT_LIMITS) is first


def test_other_limits_are_kept_to() -> None:
    shared = SharedPictures()
    wide, narrow = shared.of(DATA, DEFAULT_LIMITS), shared.of(DATA, Limits(max_pixels=100))
    assert wide.size == (640, 480)
    with pytest.raises(ImageTooLarge):
        _ = narrow.size


def test_a_picture_that_is_none_is_kept_no_longer() -> None:
    shared = SharedPictures()
    broken = shared.of(b"nothing", DEFAULT_LIMITS)
    for _ in range(2):
        with pytest.raises(NotAnImage):
            _ = shared.of(b"nothing", DEFAULT_LIMITS).size
    del broken
    gc.collect()
    assert len(shared) == 0


def held_up(served: Served, engine: NumbersEngine, ask: list[Any], waiting: int) -> tuple[list[Any], int]:
    """The answers to questions that are all in flight at once, and how often the picture was decoded for them."""
    gate, inside = threading.Event(), threading.Semaphore(0)

    def hold(_model: str) -> None:
        inside.release()
        gate.wait(60)

    engine.before_run = hold
    with ThreadPoolExecutor(len(ask)) as pool:
        try:
            pending = [pool.submit(question) for question in ask]
            assert inside.acquire(timeout=60)
            until(lambda: sum(served.runner.waiting(name) for name in served.service.models) >= waiting)
            shared: Picture = served.process.pictures.of(DATA, DEFAULT_LIMITS)
        finally:
            gate.set()
        answers = [one.result(60) for one in pending]
    engine.before_run = None
    return answers, shared.decodes


def test_five_models_that_are_asked_at_once_decode_a_picture_once(tmp_path: Path) -> None:
    engine = NumbersEngine()
    with serve(tmp_path, engine=engine, runner={"threads": 1}) as served:
        alone = [served.ask(path, DATA, boxes=BOXES).json() for path in LIGHT]
        gc.collect()
        assert len(served.process.pictures) == 0, "nobody asks any more"
        questions = [lambda path=path: served.ask(path, DATA, boxes=BOXES) for path in LIGHT]
        answers, decodes = held_up(served, engine, questions, waiting=4)
        assert [answer.json()["results"] for answer in answers] == [told["results"] for told in alone]
        assert decodes == 1
        del answers
        gc.collect()
        assert len(served.process.pictures) == 0


def test_a_question_about_the_whole_picture_has_a_picture_of_its_own(tmp_path: Path) -> None:
    """It may be decoded at reduced size, and the answer must not depend on who else asks."""
    engine = NumbersEngine()
    with serve(tmp_path, engine=engine, runner={"threads": 1}) as served:
        whole, part = served.ask("/person-reid", DATA).json(), served.ask("/pet-classify", DATA, boxes=BOXES).json()
        questions = [lambda: served.ask("/person-reid", DATA), lambda: served.ask("/pet-classify", DATA, boxes=BOXES)]
        (one, other), decodes = held_up(served, engine, questions, waiting=1)
        assert one.json()["embedding"] == whole["embedding"]
        assert other.json()["results"] == part["results"]
        assert decodes == 1


def test_limits_and_errors_are_each_requests_own(tmp_path: Path) -> None:
    engine = NumbersEngine()
    with serve(tmp_path, engine=engine, limits=RequestLimits(max_pixels=640 * 480)) as served:
        cut = DATA[: len(DATA) // 2] + b"\xff\xd9"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: served.ask("/pose-analyze", cut, boxes=BOXES), range(8)))
        for answer in answers:
            assert answer.status_code in {200, 400}, answer.text
        assert len({answer.text.split("inference_time_ms")[0] for answer in answers}) == 1
        wide = picture(641, 480, kind=".jpg")
        problem_of(served.client.post("/pose-analyze", json={"image": text_of(wide), "boxes": BOXES}), 413,
                   "image_too_large")  # fmt: skip
