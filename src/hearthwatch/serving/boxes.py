"""Several boxes of one picture in one request: a row for each in their order, and a bad one costs its own row alone.

The picture is decoded once and the model is called once, with all boxes that can be meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import BadBox, HearthwatchError, InputError
from hearthwatch.serving.batches import failed_row
from hearthwatch.serving.desk import Asked, Desk, Json, ask_all
from hearthwatch.serving.fields import BOXES_OF_A_PICTURE, SEVERAL_BOXES
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.problems import Refused
from hearthwatch.serving.values import box_of
from hearthwatch.vision.boxes import Box, clamp_box
from hearthwatch.vision.picture import Picture

#: A box inside its picture, or why it is none.
Meant = Box | BadBox
#: What became of one box.
Found = Outcome | HearthwatchError


def several_boxes(asked: Asked, picture: Picture, limits: RequestLimits) -> list[Meant] | None:
    """The boxes of a request, clamped to its picture; None where it does not ask about several.

    Raises:
        Refused: more than are allowed.
        InputError: one box was sent beside them.
    """
    name = next((name for name in SEVERAL_BOXES if getattr(asked.fields, name, None) is not None), None)
    if name is None:
        return None
    given: list[Any] = getattr(asked.fields, name)
    if len(given) > limits.max_boxes:
        raise Refused(422, "too_many_items", f"{len(given)} {name} were sent; at most {limits.max_boxes} are allowed")
    for other in BOXES_OF_A_PICTURE:
        if other != name and getattr(asked.fields, other, None) is not None:
            raise InputError(f"{other} and {name} are two ways to say what is meant; send one of them")
    width, height = picture.size
    return [_meant(value, width, height) for value in given]


async def ask_about(desk: Desk, call: ModelCall, boxes: Sequence[Meant]) -> list[Found]:
    """One call about all boxes that are meant; what became of each, in their order.

    Args:
        desk: the service.
        call: the question, still without boxes.
        boxes: of the picture.

    Raises:
        HearthwatchError: the model failed for all of them.
    """
    meant = tuple(box for box in boxes if isinstance(box, Box))
    outcomes = iter(await ask_all(desk, replace(call, boxes=meant)) if meant else ())
    return [next(outcomes) if isinstance(box, Box) else box for box in boxes]


def answered(found: Sequence[Found]) -> list[Outcome]:
    """The outcomes that have an answer, in their order."""
    return [one for one in found if isinstance(one, Outcome) and one.done]


def rows_of(found: Sequence[Found], rows: Sequence[Json], nothing: Mapping[str, None], shared: Json) -> Json:
    """The answer about several boxes.

    Args:
        found: what became of each box.
        rows: the fields of those that have an answer, in their order.
        nothing: the same fields of one that has none.
        shared: fields that are the same for all.
    """
    told, outcomes = iter(rows), answered(found)
    return {
        **shared,
        "results": [{"index": index, **_row(one, told, nothing)} for index, one in enumerate(found)],
        "weights": outcomes[0].weights if outcomes else None,
        "inference_time_ms": round(outcomes[0].inference_time_ms, 2) if outcomes else 0.0,
    }


def _row(found: Found, told: Iterator[Json], nothing: Mapping[str, None]) -> Json:
    if isinstance(found, Outcome):
        return next(told) if found.error is None else failed_row(found.error, nothing)
    return failed_row(found, nothing)


def _meant(value: Any, width: int, height: int) -> Meant:
    try:
        box = box_of(value)
        if box is None:
            raise BadBox("box null is neither a list of four numbers nor an object with named sides")
        return clamp_box(box, width, height)
    except BadBox as error:
        return error
