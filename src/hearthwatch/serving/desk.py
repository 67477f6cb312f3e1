"""What the routes of one service share, and the way every one of them goes: read, ask, count, answer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
from pydantic import ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.enrichment.texts import TextEmbeddings
from hearthwatch.errors import DeadlineExceeded, Draining, HearthwatchError, InputError
from hearthwatch.hosting import LocalRunner
from hearthwatch.services import Kind, Route, Service
from hearthwatch.serving.bodies import BATCH, FRAMES, Body, read_body
from hearthwatch.serving.envelope import exchange
from hearthwatch.serving.fields import BOXES_OF_A_PICTURE, RequestFields, fields_model, takes_raw
from hearthwatch.serving.limits import Intake, RequestLimits, pixels_of
from hearthwatch.serving.metrics import ServiceMetrics
from hearthwatch.serving.pictures import SharedPictures
from hearthwatch.serving.problems import problem
from hearthwatch.serving.status import ProcessStatus
from hearthwatch.vision.boxes import Box, clamp_box
from hearthwatch.vision.picture import Picture

T = TypeVar("T")
Json = dict[str, Any]
#: The client has gone; nobody reads what is answered, but the log and the metrics tell it from the others.
CLIENT_GONE = 499
#: Longest deadline that a header may state: an hour, in milliseconds.
MAX_DEADLINE_MS = 3_600_000

_log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client closed the connection before its answer."""


@dataclass(frozen=True, slots=True)
class Desk:
    """One service at work.

    Attributes:
        service: its row of the page.
        runner: where its models run.
        status: of the process.
        metrics: of this service.
        limits: of its requests.
        intake: what the process holds of them at the same time.
        texts: embeddings of texts, kept for all services of the process; None where nobody reads any.
        pace: what its models take, for deadlines that are too short for all of them.
        pictures: that requests of the process are about at the same time.
    """

    service: Service
    runner: LocalRunner
    status: ProcessStatus
    metrics: ServiceMetrics
    limits: RequestLimits = field(default_factory=RequestLimits)
    intake: Intake = field(default_factory=Intake)
    texts: TextEmbeddings | None = None
    pace: Pace = field(default_factory=Pace)
    pictures: SharedPictures = field(default_factory=SharedPictures)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was read and checked.

    Attributes:
        body: its pictures as they came.
        fields: the other values.
        deadline: seconds of `time.monotonic`.
    """

    body: Body
    fields: RequestFields
    deadline: float


def endpoint(
    desk: Desk, route: Route, answer: Callable[[Asked], Awaitable[Json]]
) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    """A route's handler around what makes its answer: each error becomes the documented body, everything is counted."""

    async def handle(request: Request) -> Response:
        started = time.perf_counter()
        try:
            if desk.status.draining:
                raise Draining(f"{desk.service.name} is stopping and takes no new work")
            with desk.intake.request() as take:
                asked = await _read(request, route, desk.limits, take)
                response = json_response(await _until_gone(request, answer(asked)))
        except (ClientGone, ClientDisconnect):
            response = Response(status_code=CLIENT_GONE)
        except (HearthwatchError, ValidationError) as error:
            response = problem(error, model=route.model or None)
        except Exception as error:  # noqa: BLE001 - one request fails, with the reason in the log and not on the wire
            _log.exception("failed service=%s path=%s request=%s", desk.service.name, route.path,
                           exchange().request_id)  # fmt: skip
            response = problem(error, model=route.model or None)
        success = response.status_code < 400
        desk.metrics.answered(
            route.name, time.perf_counter() - started, success=success, stages_ms=exchange().stages_ms
        )
        return response

    return handle


async def ask(desk: Desk, call: ModelCall) -> Outcome:
    """One question with one answer.

    Raises:
        HearthwatchError: the model failed.
    """
    return (await ask_all(desk, call))[0]


async def ask_all(desk: Desk, call: ModelCall) -> list[Outcome]:
    """One question with an answer for each of its boxes.

    Raises:
        HearthwatchError: the model failed for all of them.
    """
    outcomes = await desk.runner.run(call)
    note_timings(outcomes[0].timings)
    if outcomes[0].error is not None and not any(outcome.done for outcome in outcomes):
        raise outcomes[0].error
    return outcomes


def note_timings(timings: CallTimings) -> None:
    """Add a call's stages to those of the exchange."""
    stages = exchange().stages_ms
    for name, value in (
        ("decode", timings.decode_ms),
        ("queue", timings.queue_ms),
        ("load", timings.load_ms),
        ("preprocess", timings.preprocess_ms),
        ("infer", timings.infer_ms),
        ("postprocess", timings.postprocess_ms),
    ):
        stages[name] = stages.get(name, 0.0) + value


def one_picture(desk: Desk, asked: Asked, *, parts: bool = False) -> Picture:
    """The picture of a request, its header checked.

    Where the request is about parts of it, other requests about the same picture share it. About the whole of it they
    do not: it may be decoded at reduced size then, and the answer must not depend on who else asks.

    Args:
        desk: the service.
        asked: the request.
        parts: it is about parts, whatever its fields are.

    Raises:
        ImageError: no picture, or over a limit.
    """
    data, limits = asked.body.pictures[0][1], desk.limits
    if isinstance(data, InputError):
        raise data
    parts = parts or any(getattr(asked.fields, name, None) is not None for name in BOXES_OF_A_PICTURE)
    picture = desk.pictures.of(data, limits.picture) if parts else Picture(data, limits.picture)
    pixels_of([picture.size], limits)
    return picture


def boxes_in(asked: Asked, picture: Picture) -> tuple[Box, ...]:
    """The box of a request, clamped to its picture; empty where it is about the whole picture.

    Raises:
        BadBox: it lies outside the picture.
    """
    box: Box | None = getattr(asked.fields, "bbox", None)
    return () if box is None else (clamp_box(box, *picture.size),)


def json_response(content: Any, status: int = 200) -> Response:
    """JSON, with numpy's arrays as lists."""
    return Response(orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY), status, media_type="application/json")


async def _read(request: Request, route: Route, limits: RequestLimits, take: Callable[[int], None]) -> Asked:
    seconds = _deadline_s(request, limits)
    now = time.monotonic()
    loop_deadline = asyncio.get_running_loop().time() + seconds
    body = await read_body(
        request,
        limits,
        take,
        deadline=loop_deadline,
        several=None if not route.kind.many else FRAMES if route.kind is Kind.FRAMES else BATCH,
        none=route.kind.pictureless,
        raw=takes_raw(route),
        frames=route.kind.with_frames,
    )
    return Asked(body, fields_model(route).model_validate(dict(body.fields)), now + seconds)


def _deadline_s(request: Request, limits: RequestLimits) -> float:
    """Seconds that the caller waits.

    Raises:
        InputError: the header is no number of milliseconds.
        DeadlineExceeded: it is already over.
    """
    text = request.headers.get("x-deadline-ms")
    if text is None:
        return limits.timeout_s
    try:
        milliseconds = float(text)
        if not -MAX_DEADLINE_MS <= milliseconds <= MAX_DEADLINE_MS:
            raise ValueError
    except ValueError as error:
        detail = f"X-Deadline-Ms is {text[:50]!r}; milliseconds of at most {MAX_DEADLINE_MS:,} are expected"
        raise InputError(detail) from error
    if milliseconds <= 0:
        raise DeadlineExceeded("the deadline passed before the request was read")
    return milliseconds / 1000


async def _until_gone(request: Request, work: Awaitable[T]) -> T:
    """What the work gives; it is cancelled when the client leaves.

    Raises:
        ClientGone: the client left first.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise ClientGone
    finally:
        for pending in (task, watcher):
            pending.cancel()
        # The work is left to end by itself, so that what it holds is given back before anything else happens.
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        continue
