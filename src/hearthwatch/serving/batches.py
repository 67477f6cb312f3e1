"""Several pictures in one request: a row for each, and one that is no picture costs its own row alone."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, ImageError, InputError
from hearthwatch.services import Route
from hearthwatch.serving.desk import Asked, Desk, Json, note_timings
from hearthwatch.serving.limits import pixels_of
from hearthwatch.vision.picture import Picture

#: A picture and what the model says about it, to the fields of its row.
Row = Callable[[Picture, Any], Json]
#: Errors of one picture of a batch: they cost its own row. Any other costs the request.
_OWN_ROW = (ImageError, InputError, DeadlineExceeded)


async def each_picture(desk: Desk, route: Route, asked: Asked, row: Row, nothing: Json) -> Json:
    """The rows of a batch, and the milliseconds of them all.

    Args:
        desk: the service.
        route: whose model answers.
        asked: the request.
        row: makes the fields of a picture's row.
        nothing: the same fields for a picture without an answer.

    Raises:
        HearthwatchError: what no single picture is to blame for.
    """
    pictures: list[Picture | HearthwatchError] = []
    for _, data in asked.body.pictures:
        picture = data if isinstance(data, InputError) else Picture(data, desk.limits.picture)
        pictures.append(_checked(picture))
    pixels_of((picture.size for picture in pictures if isinstance(picture, Picture)), desk.limits)
    rows = await asyncio.gather(*(_row(desk, route, picture, asked, row, nothing) for picture in pictures))
    milliseconds = sum(row.pop("inference_time_ms", 0.0) for row in rows)
    weights = [origin for row in rows if (origin := row.pop("weights", None))]
    names = [name for name, _ in asked.body.pictures]
    results = [{"index": index, "filename": names[index], **row} for index, row in enumerate(rows)]
    time_ms = round(milliseconds, 2)
    return {"results": results, "weights": weights[0] if weights else None, "inference_time_ms": time_ms}


def _checked(picture: Picture | HearthwatchError) -> Picture | HearthwatchError:
    """The picture with its header read, or the error of that."""
    if isinstance(picture, Picture):
        try:
            _ = picture.size
        except ImageError as error:
            return error
    return picture


async def _row(
    desk: Desk, route: Route, picture: Picture | HearthwatchError, asked: Asked, row: Row, nothing: Json
) -> Json:
    if not isinstance(picture, Picture):
        return failed_row(picture, nothing)
    outcome = (await desk.runner.run(ModelCall(route.model, picture, deadline=asked.deadline, alone=True)))[0]
    note_timings(outcome.timings)
    if isinstance(outcome.error, _OWN_ROW):
        return failed_row(outcome.error, nothing)
    if outcome.error is not None:
        raise outcome.error
    found = row(picture, outcome.result)
    return {**found, "weights": outcome.weights, "inference_time_ms": outcome.inference_time_ms}


def failed_row(error: HearthwatchError, nothing: Mapping[str, Any]) -> Json:
    """The row of what has no answer: the reason, and the other fields as `nothing` has them."""
    return {"error": str(error), "code": error.code, **nothing}
