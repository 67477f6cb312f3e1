"""What each kind of route answers: a checked request to the fields of CONTRACT.md."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.models import get_picture_model
from hearthwatch.models.depth_estimator import DepthResult, Method
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, EVERY_CLASS, Detections, select
from hearthwatch.services import Kind, Route
from hearthwatch.serving.batches import each_picture
from hearthwatch.serving.boxes import answered, ask_about, rows_of, several_boxes
from hearthwatch.serving.desk import Asked, Desk, Json, ask, boxes_in, one_picture
from hearthwatch.serving.embeddings import (
    anomaly_answer,
    batch_similarity_answer,
    classify_answer,
    embed_batch_answer,
    embed_text_answer,
    similarity_answer,
)
from hearthwatch.serving.enrich import enrich_answer, enrich_batch_answer
from hearthwatch.serving.faces import face_answer
from hearthwatch.serving.frames import frames_answer
from hearthwatch.serving.responses import row_fields, shared_fields
from hearthwatch.vision.calibration import DepthCalibration
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]


def answer_of(desk: Desk, route: Route) -> Answer:
    """What makes the answer of a route."""
    make: Callable[[Desk, Route], Answer] = _KINDS[route.kind]
    return make(desk, route)


def model_answer(desk: Desk, route: Route) -> Answer:
    """One picture, or detections in it, to one model's answer."""
    adapter, nothing = get_picture_model(route.model), dict.fromkeys(row_fields(route))

    def result_of(outcome: Outcome, asked: Asked, *, of_box: bool) -> Any:
        result = adapter.for_one_box(outcome.result) if of_box else outcome.result
        least = getattr(asked.fields, "min_confidence", None)
        return result if least is None else result.at_least(least)

    async def answer(asked: Asked) -> Json:
        picture = one_picture(desk, asked)
        boxes, several = boxes_in(asked, picture), several_boxes(asked, picture, desk.limits)
        call = ModelCall(route.model, picture, boxes, deadline=asked.deadline, alone=True)
        if several is not None:
            found = await ask_about(desk, call, several)
            results = [result_of(outcome, asked, of_box=True) for outcome in answered(found)]
            told = functools.partial(adapter.rows_to_wire, results)
            shared, rows = await asyncio.to_thread(told) if adapter.HEAVY_WIRE else told()
            return rows_of(found, rows, nothing, dict.fromkeys(shared_fields(route)) | shared)
        outcome = await ask(desk, call)
        result = result_of(outcome, asked, of_box=bool(boxes))
        # A depth map is compressed to a PNG here: too long for the event loop.
        wire = await asyncio.to_thread(result.to_wire) if adapter.HEAVY_WIRE else result.to_wire()
        return {**wire, "weights": outcome.weights, "inference_time_ms": round(outcome.inference_time_ms, 2)}

    return answer


def distance_answer(desk: Desk, route: Route) -> Answer:
    """How far things in one picture are, or the picture as a whole."""
    nothing = dict.fromkeys(row_fields(route))

    def tell(depths: Sequence[DepthResult], asked: Asked) -> list[Json]:
        method: Method = asked.fields.method  # type: ignore[attr-defined]  # the route has the field
        calibration: DepthCalibration | None = asked.fields.calibration  # type: ignore[attr-defined]
        return [depth.distance(method, calibration).to_wire() for depth in depths]

    async def answer(asked: Asked) -> Json:
        picture = one_picture(desk, asked)
        several = several_boxes(asked, picture, desk.limits)
        call = ModelCall(route.model, picture, boxes_in(asked, picture), deadline=asked.deadline, alone=True)
        found = [await ask(desk, call)] if several is None else await ask_about(desk, call, several)
        # The median of a whole map takes milliseconds: too long for the event loop.
        rows = await asyncio.to_thread(tell, [outcome.result for outcome in answered(found)], asked)
        if several is not None:
            return rows_of(found, rows, nothing, {})
        outcome = answered(found)[0]
        milliseconds = round(outcome.inference_time_ms, 2)
        return {**rows[0], "weights": outcome.weights, "inference_time_ms": milliseconds}

    return answer


def detect_answer(desk: Desk, route: Route) -> Answer:
    """One picture to its objects."""

    async def answer(asked: Asked) -> Json:
        picture = one_picture(desk, asked)
        outcome = await ask(desk, ModelCall(route.model, picture, deadline=asked.deadline, alone=True))
        row = _row(desk, picture, outcome.result, asked)
        return {**row, "weights": outcome.weights, "inference_time_ms": round(outcome.inference_time_ms, 2)}

    return answer


def detect_batch_answer(desk: Desk, route: Route) -> Answer:
    """Several pictures, a row each; one that is no picture has its error in its row."""

    async def answer(asked: Asked) -> Json:
        nothing: Json = {"detections": [], "image_width": None, "image_height": None}
        return await each_picture(
            desk, route, asked, lambda picture, result: _row(desk, picture, result, asked), nothing
        )

    return answer


def _row(desk: Desk, picture: Picture, result: Detections, asked: Asked) -> Json:
    """What one picture holds, by the confidence and the classes that were asked for."""
    wanted = getattr(asked.fields, "classes", None)
    confidence: float = asked.fields.confidence  # type: ignore[attr-defined]  # both kinds of route have the field
    kept = DEFAULT_CLASSES if wanted is None else None if EVERY_CLASS in wanted else wanted
    found = Detections(tuple(select(result, confidence, kept)))
    if desk.metrics.detections is not None:
        for detection in found.detections:
            desk.metrics.detections.labels(detection.class_name).inc()
    width, height = picture.size
    return {**found.to_wire(), "image_width": width, "image_height": height}


_KINDS: Mapping[Kind, Callable[[Desk, Route], Any]] = {
    Kind.MODEL: model_answer,
    Kind.DETECT: detect_answer,
    Kind.DETECT_BATCH: detect_batch_answer,
    Kind.ANOMALY: anomaly_answer,
    Kind.CLASSIFY: classify_answer,
    Kind.SIMILARITY: similarity_answer,
    Kind.BATCH_SIMILARITY: batch_similarity_answer,
    Kind.EMBED_BATCH: embed_batch_answer,
    Kind.EMBED_TEXT: embed_text_answer,
    Kind.DISTANCE: distance_answer,
    Kind.FACE: face_answer,
    Kind.FRAMES: frames_answer,
    Kind.ENRICH: enrich_answer,
    Kind.ENRICH_BATCH: enrich_batch_answer,
}
