"""`HttpRunner`: the services as a `Runner`, so that whoever enriches pictures does not know where models run.

All boxes of a picture go in one request, beside the bytes of the picture as they came. Whatever goes wrong is an
outcome with the error that it has elsewhere; retries and circuits are those of the clients, one circuit for each
capability.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from hearthwatch.adapter.frames import labels_or
from hearthwatch.client.bodies import body_of
from hearthwatch.client.client import ServiceClient
from hearthwatch.client.configuration import ClientConfig
from hearthwatch.client.pictures import Outgoing
from hearthwatch.client.questions import QUESTIONS, Question
from hearthwatch.client.transport import Surroundings, Told
from hearthwatch.enrichment.runner import CallTimings, ModelCall, Outcome
from hearthwatch.errors import HearthwatchError, ImageError, InferenceFailed, InputError, UnknownModel
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture

#: The stages of `Server-Timing`, by the fields of `CallTimings`.
_STAGES = ("decode", "queue", "load", "preprocess", "infer", "postprocess")


class HttpRunner(ServiceClient):
    """Runs models in the services: those of the page that have a route, where the configuration has an address.

    Made, configured and closed as the clients: `async with HttpRunner() as runner`. Deadlines of calls are seconds of
    `Surroundings.clock`. A face of less than 20 pixels is no face to the service, as `/demographics` says.
    """

    def __init__(
        self,
        config: ClientConfig | None = None,
        *,
        max_side: int | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        surroundings: Surroundings | None = None,
    ) -> None:
        super().__init__(config, max_side=max_side, transport=transport, surroundings=surroundings)
        self._encodings: WeakKeyDictionary[Picture, asyncio.Future[list[Outgoing]]] = WeakKeyDictionary()

    def offers(self, model: str) -> bool:
        """Whether a service that we have an address of answers for that model, and nobody switched it off."""
        question = QUESTIONS.get(model)
        if question is None or model in self.config.switched_off:
            return False
        return self.config.homes.get(model, question.capability.service) in self.config.urls

    async def run(self, call: ModelCall) -> list[Outcome]:
        """One outcome per box or text, or one about the whole picture; every failure is an outcome.

        A box that the service cannot use fails alone. Errors: UnknownModel, DeadlineExceeded, ImageError, InputError,
        WeightsMissing, BudgetTooSmall, and the leaves of EnrichmentUnavailableError.
        """
        try:
            return await self._run(call)
        except HearthwatchError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a failure is an outcome, not an exception
            failure = InferenceFailed(f"{call.model} could not be asked over HTTP: {type(error).__name__}: {error}")
        return [Outcome(call.model, error=failure)] * call.questions

    async def _run(self, call: ModelCall) -> list[Outcome]:
        if not self.offers(call.model):
            known = ", ".join(filter(self.offers, QUESTIONS)) or "none"
            raise UnknownModel(f"there is no model {call.model!r} in the services; the models are {known}")
        question = QUESTIONS[call.model]
        body, sent = await self._body(question, call)

        def read(told: Told) -> list[Outcome]:
            answers = question.answers(call, told.body if sent is None else sent.outward(told.body))
            weights, timings = str(told.body.get("weights") or ""), _timings(told)
            return [_outcome(call.model, answer, weights, timings) for answer in answers]

        return await self._home(question.capability).ask(question.capability, body, read, call.deadline)

    async def _body(self, question: Question, call: ModelCall) -> tuple[dict[str, Any], Outgoing | None]:
        """What is sent, and the picture that boxes and answers refer to; None where it is about texts."""
        if (call.picture is None) is not (question.about == "texts"):
            given = "texts" if call.picture is None else "a picture"
            raise InputError(f"{call.model} is asked about {question.about}, and was asked about {given}")
        if call.picture is None:
            return {"json": {"texts": list(call.texts)}}, None
        clip = question.about == "frames"
        pictures = _clip(call.picture, call.frames) if clip else [call.picture]
        sent, *frames = [await self._encoded(picture) for picture in pictures]
        fields = {**question.fields, **_labels(call)}
        asked = call.boxes if call.boxes or question.whole else (_whole(call.picture),)
        if asked and question.boxes:
            boxes = _in_first(asked, call.picture, pictures[0])
            fields[question.boxes] = [sent.inward(box) for box in boxes]
        if clip:
            return body_of(fields, None, [sent, *frames]), sent
        return body_of(fields, sent, raw=question.capability.raw), sent

    async def _encoded(self, picture: Picture) -> Outgoing:
        """What is sent of a picture: encoded once where it has to be, however many models are asked about it."""
        if picture.data is not None and self._max_side is None:
            return (await self._outgoing([picture]))[0]
        encoding = self._encodings.get(picture)
        if encoding is None:
            encoding = asyncio.ensure_future(self._outgoing([picture]))
            self._encodings[picture] = encoding
        try:
            return (await asyncio.shield(encoding))[0]
        except ImageError:
            # Its traceback holds the picture, which would never leave then.
            self._encodings.pop(picture, None)
            raise


def _outcome(model: str, answer: Any, weights: str, timings: CallTimings) -> Outcome:
    if isinstance(answer, HearthwatchError):
        return Outcome(model, error=answer, timings=timings)
    return Outcome(model, answer, weights=weights, timings=timings)


def _timings(told: Told) -> CallTimings:
    """By the header where a proxy has not taken it away, else what the answer itself says."""
    if told.stages_ms:
        return CallTimings(**{f"{stage}_ms": told.stages_ms.get(stage, 0.0) for stage in _STAGES})
    return CallTimings(infer_ms=float(told.body.get("inference_time_ms") or 0.0))


def _labels(call: ModelCall) -> Mapping[str, Any]:
    """What a clip is compared with, where somebody chose it.

    Raises:
        InputError: as in one process, where they are none.
    """
    labels = labels_or(dict(call.options).get("labels"), ())
    return {"labels": list(labels)} if labels else {}


def _whole(picture: Picture) -> Box:
    width, height = picture.size
    return Box(0.0, 0.0, float(width), float(height))


def _clip(picture: Picture, frames: Sequence[Picture]) -> list[Picture]:
    """The pictures of a clip: the picture and its frames, or these alone where it is one of them."""
    there = any(frame is picture or (frame.data is not None and frame.data == picture.data) for frame in frames)
    return list(frames) if there else [picture, *frames]


def _in_first(boxes: Sequence[Box], picture: Picture, first: Picture) -> list[Box]:
    """Boxes of the picture in pixels of the first one that is sent, which shows the same view at its own size."""
    if first is picture:
        return list(boxes)
    (width, height), (columns, rows) = picture.size, first.size
    x, y = columns / width, rows / height
    return [Box(box.x1 * x, box.y1 * y, box.x2 * x, box.y2 * y) for box in boxes]
