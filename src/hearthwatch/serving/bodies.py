"""The three ways to send a picture: JSON with base64, a form, or the picture itself as the body.

Whatever way it comes, the answer is the same: each gives encoded pictures and the other fields as plain values. Fields
may stand in the query whatever the body is. Sizes are checked before anything is decoded, and nothing is written to
disk.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pybase64
from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from hearthwatch.errors import DeadlineExceeded, ImageTooLarge, InputError, NotAnImage
from hearthwatch.serving.fields import FIELDS
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.problems import Refused
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits

JSON = "application/json"
FORM = "multipart/form-data"
#: `image/jpg` is no registered type, and half of the programs that send JPEGs say it.
RAW = ("image/jpeg", "image/png", "image/webp", "image/bmp", "image/gif", "image/jpg")
#: Names of the picture in JSON, the first that is there counts.
PICTURE_KEYS = ("image", "image_base64")
#: Names of the pictures beside it, in JSON and in a form.
FRAME_KEYS = ("frames", "frames_buffer")
#: Above it, text is parsed off the event loop: 1 MiB of JSON with base64 takes about a millisecond.
_LARGE_BODY = 1 << 20
_DATA_URL = re.compile(r"data:[^,]{0,100};base64,", re.IGNORECASE)
_WHITESPACE = re.compile(r"[ \t\r\n]+")
#: Fields of a form beside its files, enough for as many labels and boxes as are allowed, and some more so that the
#: refusal can say how many came: more than that is no request that we know.
_MAX_FORM_FIELDS = 300


@dataclass(frozen=True, slots=True)
class Several:
    """How several pictures of one request are called.

    Attributes:
        key: of the list of base64 texts in JSON.
        files: names of the files in a form, the first of them in sentences.
        what: the word for them in sentences.
        code: the stable word where there are too many.
    """

    key: str
    files: tuple[str, ...]
    what: str
    code: str

    def most(self, limits: RequestLimits) -> int:
        """How many of them one request may have."""
        return limits.max_frames if self is FRAMES else limits.max_pictures


BATCH = Several("images", ("files",), "pictures", "too_many_items")
FRAMES = Several("frames", ("frames", "files"), "frames", "too_many_frames")


@dataclass(frozen=True, slots=True)
class Body:
    """A request's parts.

    Attributes:
        pictures: encoded, each with its file name where one was given; an error stands for one that is no base64.
        fields: the other values, as JSON has them or as text of a form or query.
        frames: further pictures in the order of time; an error stands for one that is no base64 or too large.
    """

    pictures: list[tuple[str | None, bytes | InputError]] = field(default_factory=list)
    fields: Mapping[str, Any] = field(default_factory=dict)
    frames: list[bytes | InputError] = field(default_factory=list)


async def read_body(
    request: Request,
    limits: RequestLimits,
    take: Callable[[int], None],
    *,
    deadline: float,
    several: Several | None = None,
    none: bool = False,
    raw: bool = True,
    frames: bool = False,
) -> Body:
    """Read a request.

    Args:
        request: not yet read.
        limits: for its size.
        take: called with the size of each part that is read; it may refuse.
        deadline: of the event loop's clock; a body that comes more slowly is given up.
        several: how the route calls its pictures where it takes several; None where it takes one (`image`, `file`).
        none: the route takes no picture.
        raw: whether a picture may be the body itself; not where a field has a form that a query cannot have.
        frames: whether further pictures may come beside the one.

    Raises:
        Refused: too large, or of a media type that the route does not take.
        DeadlineExceeded: it did not arrive in time.
        InputError: it cannot be read as what it says it is.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {JSON, FORM, *RAW} or (kind in RAW and none):
        allowed = f"{JSON}, {FORM}" + ("" if several or none or not raw else f" or {', '.join(RAW[:5])}")
        raise Refused(415, "unsupported_media_type", f"the media type {kind[:100]!r} is not taken here; {allowed} is")
    if several and kind in RAW:
        raise Refused(415, "unsupported_media_type", f"a body of {kind} is one picture, and this route takes several")
    if not raw and kind in RAW:
        detail = f"a body of {kind} leaves no place for the other fields of this route; send {JSON} or {FORM}"
        raise Refused(415, "unsupported_media_type", detail)
    beside = _from_text(request.query_params)
    try:
        async with asyncio.timeout_at(deadline):
            if kind == FORM:
                return _joined(await _read_form(request, limits, take, several, none=none, frames=frames), beside)
            data = b"".join([chunk async for chunk in _chunks(request, limits, take)])
    except TimeoutError as error:
        raise DeadlineExceeded("the request did not arrive before its deadline") from error
    if kind in RAW:
        limits.picture.check_bytes(len(data))
        return Body([(None, data)], beside)
    if len(data) > _LARGE_BODY:
        return _joined(await asyncio.to_thread(_from_json, data, limits, several, none=none, frames=frames), beside)
    return _joined(_from_json(data, limits, several, none=none, frames=frames), beside)


def _joined(body: Body, beside: Mapping[str, Any]) -> Body:
    """A body with what stands in the query beside it.

    Raises:
        InputError: a field stands in both.
    """
    if twice := [name for name in beside if body.fields.get(name) is not None]:
        raise InputError(f"{', '.join(twice)}: said in the query and in the body; say it once")
    return replace(body, fields={**body.fields, **beside}) if beside else body


async def _chunks(request: Request, limits: RequestLimits, take: Callable[[int], None]) -> AsyncGenerator[bytes, None]:
    """The body, no further than the limit; one that announces more is refused before it is read."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise _too_large(f"{int(announced):,}", limits)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limits.max_bytes:
            raise _too_large(f"more than {limits.max_bytes:,}", limits)
        take(len(chunk))
        yield chunk


def _too_large(actual: str, limits: RequestLimits) -> Refused:
    # The rest is never read, so the connection cannot carry another request.
    detail = f"the request has {actual} bytes; at most {limits.max_bytes:,} bytes are allowed"
    return Refused(413, "request_too_large", detail, {"Connection": "close"})


class _Parser(MultiPartParser):
    # Pictures stay in memory: what a camera saw is not written to a disk that nobody asked about.
    spool_max_size = 1 << 30


async def _read_form(
    request: Request,
    limits: RequestLimits,
    take: Callable[[int], None],
    several: Several | None,
    *,
    none: bool,
    frames: bool,
) -> Body:
    most = several.most(limits) if several else limits.max_pictures
    parser = _Parser(
        request.headers,
        _chunks(request, limits, take),
        # Somewhat more frames than may be sent beside a picture, so that the refusal can say how many came.
        max_files=most + 1 + (2 * limits.max_frames if frames else 0),
        max_fields=_MAX_FORM_FIELDS,
        max_part_size=limits.max_bytes,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        if several and "Too many files" in error.message:
            raise too_many(f"more than {most + 1}", several, limits) from error
        if frames and "Too many files" in error.message:
            raise too_many(f"more than {2 * limits.max_frames}", FRAMES, limits) from error
        raise InputError(f"the form cannot be read: {error.message}") from error
    except (KeyError, UnicodeDecodeError) as error:
        raise InputError("the form cannot be read: it has no boundary, or a name that is no text") from error
    try:
        if none:
            return Body([], _from_text(form))
        body = await _from_form(form, limits, several)
        return replace(body, frames=await _frames_of_form(form, limits)) if frames else body
    finally:
        await form.close()


async def _from_form(form: FormData, limits: RequestLimits, several: Several | None) -> Body:
    keys = several.files if several else ("file",)
    files = [value for key, value in form.multi_items() if key in keys and isinstance(value, UploadFile)]
    if not files:
        raise InputError(f"no picture: the form has no file {keys[0]!r}")
    if several is None and len(files) > 1:
        raise InputError(f"one picture is asked for; the form has {len(files)} files {keys[0]!r}")
    _check_count(len(files), several, limits)
    pictures: list[tuple[str | None, bytes | InputError]] = []
    for file in files:
        try:
            limits.picture.check_bytes(file.size or 0)
            pictures.append((file.filename, await file.read()))
        except ImageTooLarge as error:
            if several is None:
                raise
            pictures.append((file.filename, error))
    return Body(pictures, _from_text(form))


def _from_text(values: QueryParams | FormData) -> dict[str, Any]:
    """Fields of a form or query: a repeated key is a list, structured ones are JSON text."""
    found: dict[str, Any] = {}
    for name in values:
        texts = [value for value in values.getlist(name) if isinstance(value, str)]
        known = FIELDS.get(name)
        if known is None or not texts:
            continue
        if known.form == "many":
            found[name] = texts
        elif known.form == "json":
            found[name] = _json_field(name, texts[-1])
        elif texts[-1] != "":  # an empty field of a form is one that was not filled in
            found[name] = texts[-1]
    return found


def _json_field(name: str, text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the field {name!r} of the form is not JSON: {error}") from error


def _from_json(data: bytes, limits: RequestLimits, several: Several | None, *, none: bool, frames: bool) -> Body:
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"the body is JSON of type {type(content).__name__}; an object is expected")
    if none:
        return Body([], content)
    if several is None:
        beside = _frames(content, limits) if frames else []
        return Body([(None, _picture(content, limits))], content, beside)
    images = content.get(several.key)
    if not isinstance(images, list) or not images:
        raise InputError(f"no {several.what}: send {several.key}, a list of base64 texts")
    _check_count(len(images), several, limits)
    return Body([(None, _each(text, limits)) for text in images], content)


def _frames(content: Mapping[str, Any], limits: RequestLimits) -> list[bytes | InputError]:
    key = _frame_key([key for key in FRAME_KEYS if content.get(key) is not None])
    if key is None:
        return []
    texts = content[key]
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InputError(f"{key} is JSON of another type; a list of base64 texts is expected")
    _check_count(len(texts), FRAMES, limits)
    return [_each(text, limits) for text in texts]


async def _frames_of_form(form: FormData, limits: RequestLimits) -> list[bytes | InputError]:
    """Files or base64 texts, under a repeated key."""
    key = _frame_key([key for key in FRAME_KEYS if key in form])
    if key is None:
        return []
    parts = form.getlist(key)
    _check_count(len(parts), FRAMES, limits)
    frames: list[bytes | InputError] = []
    for part in parts:
        try:
            if isinstance(part, UploadFile):
                limits.picture.check_bytes(part.size or 0)
            frames.append(await part.read() if isinstance(part, UploadFile) else from_base64(part, limits.picture))
        except InputError as error:
            frames.append(error)
    return frames


def _frame_key(given: list[str]) -> str | None:
    if len(given) > 1:
        raise InputError(f"{' and '.join(given)} are two names of the same; say it once")
    return given[0] if given else None


def _picture(content: Mapping[str, Any], limits: RequestLimits) -> bytes:
    text = next((content[key] for key in PICTURE_KEYS if content.get(key) is not None), None)
    if text is None:
        raise InputError(f"no picture: send {' or '.join(PICTURE_KEYS)}, as base64")
    if not isinstance(text, str):
        raise InputError(f"the picture is JSON of type {type(text).__name__}; base64 text is expected")
    return from_base64(text, limits.picture)


def _each(text: Any, limits: RequestLimits) -> bytes | InputError:
    if not isinstance(text, str):
        return InputError(f"the picture is JSON of type {type(text).__name__}; base64 text is expected")
    try:
        return from_base64(text, limits.picture)
    except InputError as error:
        return error


def _check_count(count: int, several: Several | None, limits: RequestLimits) -> None:
    if several is not None and count > several.most(limits):
        raise too_many(str(count), several, limits)


def too_many(actual: str, several: Several, limits: RequestLimits) -> Refused:
    """The refusal of a request with too many pictures."""
    detail = f"{actual} {several.what} were sent; at most {several.most(limits)} are allowed"
    return Refused(422, several.code, detail)


def from_base64(text: str, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Standard base64, after an optional `data:` prefix; line breaks are allowed.

    Raises:
        ImageTooLarge: longer than the limit, before it is decoded.
        NotAnImage: no base64.
    """
    prefix = _DATA_URL.match(text)
    if prefix is not None:
        text = text[prefix.end() :]
    # Three bytes for four characters; a line break for every 76 at most adds 3 %.
    if (least := len(text) // 4 * 3 * 0.97 - 3) > limits.max_bytes:
        limits.check_bytes(int(least))
    try:
        try:
            data: bytes = pybase64.b64decode(text, validate=True)
        except ValueError:
            data = pybase64.b64decode(_WHITESPACE.sub("", text), validate=True)
    except ValueError as error:  # binascii.Error is one
        hint = "; addresses are not fetched" if text[:8].lower().startswith(("http:", "https:", "file:")) else ""
        raise NotAnImage(f"the picture is not base64: {error}{hint}") from error
    return data
