"""A question as an HTTP request: the picture as the body where that suffices, else a form with the picture in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from hearthwatch.client.pictures import Outgoing
from hearthwatch.vision.boxes import Box

#: Characters of fields that go into an address beside a raw body; servers cut off longer ones.
QUERY_CHARACTERS = 2000
#: What httpx takes of a request.
Body = Mapping[str, Any]


def body_of(
    fields: Mapping[str, Any], picture: Outgoing | None = None, frames: Sequence[Outgoing] = (), *, raw: bool = True
) -> dict[str, Any]:
    """The arguments of an httpx request.

    Args:
        fields: beside the pictures, None where one is left to the service: numbers, words, boxes, lists of words or
            of boxes, or anything that is JSON.
        picture: the one that the question is about; None where the frames alone are.
        frames: pictures in the order of time.
        raw: whether the route takes a picture as the body.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if raw and picture is not None and not frames and all(map(_is_flat, given.values())):
        texts = {name: _texts(value) for name, value in given.items()}
        # Each with its name and two signs: several boxes have the name again and again.
        if sum(len(name) + len(text) + 2 for name in texts for text in texts[name]) <= QUERY_CHARACTERS:
            params = {name: values if isinstance(given[name], list) else values[0] for name, values in texts.items()}
            return {"content": picture.data, "headers": {"Content-Type": picture.media_type}, "params": params}
    files = [("file", picture)] if picture is not None else []
    files += [("frames", frame) for frame in frames]
    return {
        "files": [(name, (name, sent.data, sent.media_type)) for name, sent in files],
        "data": {name: _texts(value) for name, value in given.items()},
    }


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | Box)


def _is_flat(value: Any) -> bool:
    """Whether it can stand in a query: a scalar, or a list of words or of boxes, which is a repeated key."""
    if _is_scalar(value):
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(part, str | Box) for part in value)


def _texts(value: Any) -> list[str]:
    """A field of a form or a query: a list of words or of boxes is a repeated one."""
    if _is_scalar(value):
        return [_text(value)]
    if _is_flat(value):
        return list(map(_text, value))
    return [orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(repr, map(float, value))) if isinstance(value, Box) else str(value)
