"""Three ways to send a picture, one meaning; and what is turned away before it is read."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import orjson
import pytest
from starlette.requests import Request
from starlette.types import Message

from hearthwatch.errors import DeadlineExceeded, ImageTooLarge, InputError, NotAnImage, QueueFull
from hearthwatch.serving.bodies import BATCH, Body, from_base64, read_body
from hearthwatch.serving.limits import Intake, RequestLimits, pixels_of
from hearthwatch.serving.problems import Refused
from hearthwatch.vision.header import Limits

PICTURE = bytes(range(256)) * 3
TEXT = base64.b64encode(PICTURE).decode()
SMALL = RequestLimits(picture=Limits(max_bytes=1000), max_bytes=4000, max_pictures=3)


def read(
    request: httpx.Request, *, limits: RequestLimits = SMALL, many: bool = False, part: int = 100,
    take: Callable[[int], None] = lambda _size: None, stall: bool = False, announce: bool = True,
) -> Body:  # fmt: skip
    """What is read of a request that arrives in parts."""
    data = request.read()
    parts: Iterator[Message] = iter(
        {"type": "http.request", "body": data[at : at + part], "more_body": at + part < len(data) or stall}
        for at in range(0, max(len(data), 1), part)
    )

    async def receive() -> Message:
        if (message := next(parts, None)) is None:
            await asyncio.sleep(3600)
        assert message is not None
        return message

    headers = [
        (name.lower(), value) for name, value in request.headers.raw if announce or name.lower() != b"content-length"
    ]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": request.url.query}

    async def within() -> Body:
        deadline = asyncio.get_running_loop().time() + (0.05 if stall else 60)
        several = BATCH if many else None
        return await read_body(Request(scope, receive), limits, take, several=several, deadline=deadline)

    return asyncio.run(within())


def as_json(**content: Any) -> httpx.Request:
    return httpx.Request("POST", "http://x/", json=content)


def as_form(files: Any, data: dict[str, Any] | None = None) -> httpx.Request:
    return httpx.Request("POST", "http://x/", files=files, data=data)


def as_it_is(data: bytes = PICTURE, kind: str = "image/jpeg", query: str = "") -> httpx.Request:
    return httpx.Request("POST", f"http://x/{query}", content=data, headers={"content-type": kind})


WAYS = {
    "image": as_json(image=TEXT, min_confidence=0.25, bbox=[1, 2, 3, 4]),
    "image_base64": as_json(image_base64=TEXT, min_confidence=0.25, bbox=[1, 2, 3, 4]),
    "data url": as_json(image=f"data:image/jpeg;base64,{TEXT}", min_confidence=0.25, bbox=[1, 2, 3, 4]),
    "wrapped": as_json(image=base64.encodebytes(PICTURE).decode(), min_confidence=0.25, bbox=[1, 2, 3, 4]),
    "form": as_form({"file": ("a.jpg", PICTURE)}, {"min_confidence": "0.25", "bbox": "1,2,3,4"}),
    "raw": as_it_is(query="?min_confidence=0.25&bbox=1,2,3,4"),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_same_bytes_and_fields(way: str) -> None:
    body = read(WAYS[way])
    assert [data for _, data in body.pictures] == [PICTURE]
    assert float(body.fields["min_confidence"]) == 0.25
    assert body.fields["bbox"] in ([1, 2, 3, 4], "1,2,3,4")


@pytest.mark.parametrize(
    "kind", ["image/jpeg", "IMAGE/PNG", "image/webp", "image/bmp", "image/gif", "image/jpg", "image/png; x=1"]
)
def test_every_raw_type_is_taken(kind: str) -> None:
    assert read(as_it_is(kind=kind)).pictures == [(None, PICTURE)]


def test_a_list_is_a_repeated_key_in_a_query_and_in_a_form() -> None:
    assert read(as_it_is(query="?classes=dog&classes=cat")).fields == {"classes": ["dog", "cat"]}
    assert read(as_form({"file": PICTURE}, {"classes": ["dog", "cat"]})).fields == {"classes": ["dog", "cat"]}


def test_an_empty_field_of_a_form_was_not_filled_in() -> None:
    assert read(as_form({"file": PICTURE}, {"min_confidence": ""})).fields == {}


def test_fields_may_stand_in_the_query_of_any_request_but_not_twice() -> None:
    for content in (as_json(image=TEXT), as_form({"file": PICTURE})):
        request = httpx.Request("POST", "http://x/?min_confidence=0.5", headers=content.headers, content=content.read())
        assert read(request).fields["min_confidence"] == "0.5"
    twice = httpx.Request("POST", "http://x/?min_confidence=0.5", json={"image": TEXT, "min_confidence": 0.25})
    with pytest.raises(InputError, match="say it once"):
        read(twice)


def test_several_pictures_keep_their_order_and_names() -> None:
    files = [("files", ("a.jpg", b"1")), ("files", ("b.jpg", b"2"))]
    assert read(as_form(files), many=True).pictures == [("a.jpg", b"1"), ("b.jpg", b"2")]
    texts = [base64.b64encode(data).decode() for data in (b"1", b"2")]
    assert read(as_json(images=texts), many=True).pictures == [(None, b"1"), (None, b"2")]


def test_one_bad_picture_of_several_is_an_error_in_its_place() -> None:
    pictures = read(as_json(images=[TEXT, "no base64!", 7]), many=True).pictures
    assert pictures[0][1] == PICTURE
    assert isinstance(pictures[1][1], NotAnImage)
    assert isinstance(pictures[2][1], InputError)
    large = read(as_form([("files", ("a", b"x" * 1001)), ("files", ("b", b"1"))]), many=True).pictures
    assert isinstance(large[0][1], ImageTooLarge)
    assert large[1] == ("b", b"1")


@pytest.mark.parametrize(
    "request_",
    [as_json(images=[TEXT] * 4), as_form([("files", ("a", b"1"))] * 4), as_form([("files", ("a", b"1"))] * 9)],
)
def test_too_many_pictures_are_told_with_both_numbers(request_: httpx.Request) -> None:
    with pytest.raises(Refused, match=r"(4|more than 3) pictures were sent; at most 3") as refused:
        read(request_, many=True, limits=RequestLimits(max_pictures=3))
    assert (refused.value.status, refused.value.code) == (422, "too_many_items")


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "application/x-www-form-urlencoded", "image/tiff", "application/octet-stream"]
)
def test_another_media_type_is_told_what_is_taken(kind: str) -> None:
    with pytest.raises(Refused, match="application/json") as refused:
        read(as_it_is(kind=kind))
    assert (refused.value.status, refused.value.code) == (415, "unsupported_media_type")


def test_a_raw_body_is_one_picture_and_says_so_where_several_are_asked_for() -> None:
    with pytest.raises(Refused, match="takes several") as refused:
        read(as_it_is(), many=True)
    assert refused.value.status == 415


@pytest.mark.parametrize("announce", [True, False])
@pytest.mark.parametrize("request_", [as_json(image="A" * 5000), as_form({"file": b"x" * 5000}), as_it_is(b"x" * 5000)])
def test_a_request_over_the_limit_is_not_read_to_its_end(request_: httpx.Request, announce: bool) -> None:
    taken: list[int] = []
    with pytest.raises(Refused, match="4,000 bytes") as refused:
        read(request_, take=taken.append, announce=announce)
    assert (refused.value.status, refused.value.code) == (413, "request_too_large")
    assert refused.value.headers["Connection"] == "close"
    assert sum(taken) <= 4000


@pytest.mark.parametrize(
    "request_",
    [as_json(image=base64.b64encode(b"x" * 1200).decode()), as_form({"file": b"x" * 1200}), as_it_is(b"x" * 1200)],
)
def test_a_picture_over_the_limit_is_told_its_size(request_: httpx.Request) -> None:
    with pytest.raises(ImageTooLarge, match=r"1,[12]\d\d bytes; at most 1,000"):
        read(request_)


@pytest.mark.parametrize(
    "text", ["http://camera.local/x.jpg", "no base64!", "AAA", "A===", "data:image/png;base64,?", "\u00e9", "AA\x00A"]
)
def test_what_is_no_base64_is_no_picture(text: str) -> None:
    with pytest.raises(NotAnImage, match="not base64"):
        from_base64(text)


def test_an_address_is_told_that_it_is_not_fetched() -> None:
    with pytest.raises(NotAnImage, match="not fetched"):
        from_base64("http://169.254.169.254/latest/meta-data")


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (as_it_is(b"{", "application/json"), "not JSON"),
        (as_it_is(b"[]", "application/json"), "type list"),
        (as_it_is(b"", "application/json"), "not JSON"),
        (as_json(), "no picture"),
        (as_json(image=None), "no picture"),
        (as_json(image=7), "type int"),
        (as_form({"photo": PICTURE}), "no file 'file'"),
        (as_form([("file", b"1"), ("file", b"2")]), "2 files"),
        (as_it_is(b"x", "multipart/form-data"), "boundary"),
        (as_it_is(b"x", "multipart/form-data; boundary=b"), "form"),
    ],
)
def test_what_cannot_be_read_is_told_why(request_: httpx.Request, told: str) -> None:
    with pytest.raises(InputError, match=told):
        read(request_)


def test_deeply_nested_json_is_an_error_and_not_the_end_of_the_process() -> None:
    with pytest.raises(InputError, match="not JSON"):
        read(as_it_is(b"[" * 100_000 + b"]" * 100_000, "application/json"), limits=RequestLimits())


def test_a_body_that_does_not_arrive_is_given_up_at_its_deadline() -> None:
    with pytest.raises(DeadlineExceeded, match="did not arrive"):
        read(as_it_is(), stall=True)


def test_large_json_is_read_as_small_json_is() -> None:
    picture = b"x" * (1 << 20)
    body = read(as_json(image=base64.b64encode(picture).decode()), limits=RequestLimits(), part=1 << 16)
    assert body.pictures == [(None, picture)]


def test_what_the_process_holds_at_once_is_limited_and_let_go() -> None:
    intake = Intake(max_bytes=1000)
    with intake.request() as take:
        read(as_it_is(), take=take)
        assert intake.held_bytes == len(PICTURE)
        with intake.request() as other, pytest.raises(QueueFull, match=r"968 bytes.*1,000"):
            read(as_it_is(), take=other)
        assert intake.held_bytes == len(PICTURE)
    assert intake.held_bytes == 0
    with intake.request() as take:
        read(as_it_is(), take=take)


def test_the_pixels_of_all_pictures_together_are_limited() -> None:
    assert pixels_of([(1000, 1000)] * 2, RequestLimits()) == 2_000_000
    with pytest.raises(ImageTooLarge, match=r"160 megapixels together.*128"):
        pixels_of([(8000, 4000)] * 5, RequestLimits())


def test_unknown_fields_of_a_form_and_a_query_are_ignored() -> None:
    assert read(as_it_is(query="?nothing=1&min_confidence=0.5")).fields == {"min_confidence": "0.5"}


def test_json_keeps_every_field_for_the_check_that_follows() -> None:
    assert read(as_json(image=TEXT, anything=[1])).fields == orjson.loads(
        orjson.dumps({"image": TEXT, "anything": [1]})
    )
