"""What a route about several moments answers: pictures in the order of time, all of one subject, to one result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.errors import ImageError, InputError, NotAnImage
from hearthwatch.services import Route
from hearthwatch.serving.boxes import answered, ask_about, rows_of, several_boxes
from hearthwatch.serving.desk import Asked, Desk, Json, ask, boxes_in
from hearthwatch.serving.embeddings import check_count
from hearthwatch.serving.limits import pixels_of
from hearthwatch.serving.responses import row_fields
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]


def frames_answer(desk: Desk, route: Route) -> Answer:
    """Several pictures to what a model says of them together, or of each box of them."""
    nothing = dict.fromkeys(row_fields(route))

    async def answer(asked: Asked) -> Json:
        frames = [_frame(index, data, desk) for index, (_, data) in enumerate(asked.body.pictures)]
        pixels_of((frame.size for frame in frames), desk.limits)
        # A frame of another size shows the same view, larger or smaller: the host scales the box.
        boxes, several = boxes_in(asked, frames[0]), several_boxes(asked, frames[0], desk.limits)
        labels: list[str] = getattr(asked.fields, "labels", None) or []
        check_count(labels, desk.limits.max_labels, "labels")
        options = (("labels", tuple(dict.fromkeys(labels))),) if labels else ()
        # All of them, the first one too: a frame with its very bytes is no reason to leave that one out.
        call = ModelCall(route.model, frames[0], boxes, tuple(frames), options, asked.deadline)
        try:
            found = [await ask(desk, call)] if several is None else await ask_about(desk, call, several)
        except ImageError as error:
            raise await asyncio.to_thread(_blame, frames, error) from error
        if several is not None:
            return rows_of(found, [outcome.result.to_wire() for outcome in answered(found)], nothing, {})
        outcome = answered(found)[0]
        milliseconds = round(outcome.inference_time_ms, 2)
        return {**outcome.result.to_wire(), "weights": outcome.weights, "inference_time_ms": milliseconds}

    return answer


def _frame(index: int, data: bytes | InputError, desk: Desk) -> Picture:
    """One frame, its header read.

    Raises:
        ImageError: no picture, or over a limit; it says which frame.
    """
    if isinstance(data, InputError):
        raise _of_frame(index, data)
    picture = Picture(data, desk.limits.picture)
    try:
        _ = picture.size
    except ImageError as error:
        raise _of_frame(index, error) from error
    return picture


def _blame(frames: Sequence[Picture], error: ImageError) -> ImageError:
    """The error with the number of the frame that cannot be decoded."""
    for index, frame in enumerate(frames):
        try:
            frame.image()
        except ImageError as own:
            return _of_frame(index, own)
    return error


def _of_frame(index: int, error: InputError) -> ImageError:
    kind = type(error) if isinstance(error, ImageError) else NotAnImage
    return kind(f"frame {index}: {error}")
