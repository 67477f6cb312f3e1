"""What each kind of route answers: a checked request to the fields of CONTRACT.md."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, ImageError, InputError
from hearthwatch.models import get_model
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, Detections, select
from hearthwatch.services import Kind, Route
from hearthwatch.serving.desk import Asked, Desk, Json, ask, note_timings, one_picture
from hearthwatch.serving.limits import pixels_of
from hearthwatch.vision.boxes import clamp_box
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]
#: Errors of one picture of a batch: they cost its own row. Any other costs the request.
_OWN_ROW = (ImageError, InputError)


def answer_of(desk: Desk, route: Route) -> Answer:
    """What makes the answer of a route."""
    make: Callable[[Desk, Route], Answer] = _KINDS[route.kind]
    return make(desk, route)


def model_answer(desk: Desk, route: Route) -> Answer:
    """One picture, or a detection in it, to one model's answer."""
    adapter = get_model(route.model)

    async def answer(asked: Asked) -> Json:
        picture = one_picture(asked, desk.limits)
        box = getattr(asked.fields, "bbox", None)
        boxes = () if box is None else (clamp_box(box, *picture.size),)
        outcome = await ask(desk, ModelCall(route.model, picture, boxes, deadline=asked.deadline, alone=True))
        result = adapter.for_one_box(outcome.result) if boxes else outcome.result
        least = getattr(asked.fields, "min_confidence", None)
        if least is not None:
            result = result.at_least(least)
        # A depth map is compressed to a PNG here: too long for the event loop.
        wire = await asyncio.to_thread(result.to_wire) if adapter.HEAVY_WIRE else result.to_wire()
        return {**wire, "weights": outcome.weights, "inference_time_ms": round(outcome.inference_time_ms, 2)}

    return answer


def detect_answer(desk: Desk, route: Route) -> Answer:
    """One picture to its objects."""

    async def answer(asked: Asked) -> Json:
        picture = one_picture(asked, desk.limits)
        outcome = await ask(desk, ModelCall(route.model, picture, deadline=asked.deadline, alone=True))
        row = _row(desk, picture, outcome.result, asked)
        return {**row, "weights": outcome.weights, "inference_time_ms": round(outcome.inference_time_ms, 2)}

    return answer


def detect_batch_answer(desk: Desk, route: Route) -> Answer:
    """Several pictures, a row each; one that is no picture has its error in its row."""

    async def answer(asked: Asked) -> Json:
        pictures: list[Picture | HearthwatchError] = []
        for _, data in asked.body.pictures:
            picture = data if isinstance(data, InputError) else Picture(data, desk.limits.picture)
            pictures.append(_checked(picture))
        pixels_of((picture.size for picture in pictures if isinstance(picture, Picture)), desk.limits)
        rows = await asyncio.gather(*(_batch_row(desk, route, picture, asked) for picture in pictures))
        milliseconds = sum(row.pop("inference_time_ms", 0.0) for row in rows)
        weights = [origin for row in rows if (origin := row.pop("weights", None))]
        names = [name for name, _ in asked.body.pictures]
        results = [{"index": index, "filename": names[index], **row} for index, row in enumerate(rows)]
        time_ms = round(milliseconds, 2)
        return {"results": results, "weights": weights[0] if weights else None, "inference_time_ms": time_ms}

    return answer


def _checked(picture: Picture | HearthwatchError) -> Picture | HearthwatchError:
    """The picture with its header read, or the error of that."""
    if isinstance(picture, Picture):
        try:
            _ = picture.size
        except ImageError as error:
            return error
    return picture


async def _batch_row(desk: Desk, route: Route, picture: Picture | HearthwatchError, asked: Asked) -> Json:
    if not isinstance(picture, Picture):
        return _failed(picture)
    outcome = (await desk.runner.run(ModelCall(route.model, picture, deadline=asked.deadline, alone=True)))[0]
    note_timings(outcome.timings)
    if isinstance(outcome.error, (*_OWN_ROW, DeadlineExceeded)):
        return _failed(outcome.error)
    if outcome.error is not None:
        raise outcome.error
    row = _row(desk, picture, outcome.result, asked)
    return {**row, "weights": outcome.weights, "inference_time_ms": outcome.inference_time_ms}


def _failed(error: HearthwatchError) -> Json:
    return {"error": str(error), "code": error.code, "detections": [], "image_width": None, "image_height": None}


def _row(desk: Desk, picture: Picture, result: Detections, asked: Asked) -> Json:
    """What one picture holds, by the confidence and the classes that were asked for."""
    wanted = getattr(asked.fields, "classes", None)
    confidence: float = asked.fields.confidence  # type: ignore[attr-defined]  # both kinds of route have the field
    found = Detections(tuple(select(result, confidence, DEFAULT_CLASSES if wanted is None else wanted)))
    if desk.metrics.detections is not None:
        for detection in found.detections:
            desk.metrics.detections.labels(detection.class_name).inc()
    width, height = picture.size
    return {**found.to_wire(), "image_width": width, "image_height": height}


_KINDS: Mapping[Kind, Callable[[Desk, Route], Any]] = {
    Kind.MODEL: model_answer,
    Kind.DETECT: detect_answer,
    Kind.DETECT_BATCH: detect_batch_answer,
}
