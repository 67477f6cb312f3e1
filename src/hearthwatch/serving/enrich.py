"""What `/enrich` and `/enrich/batch` answer: all that a service's models know about detections of one picture."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hearthwatch.enrichment import PIPELINE, DetectionEnrichment, PictureEnrichment, enrich_picture
from hearthwatch.enrichment.frames import SEVERAL
from hearthwatch.enrichment.parts import PARTS, Wishes, became_of, parts_of
from hearthwatch.enrichment.plan import ACTION, DEMOGRAPHICS, SUSPICIOUS_SCORE, is_person, is_suspicious, shows_face
from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import (
    BadBox,
    DeadlineExceeded,
    Draining,
    HearthwatchError,
    InputError,
    QueueFull,
    StillLoading,
    UnknownDetectionType,
)
from hearthwatch.hosting import LocalRunner
from hearthwatch.selection import class_of
from hearthwatch.services import Route
from hearthwatch.serving.desk import Asked, Desk, Json, note_timings, one_picture
from hearthwatch.serving.fields import EnrichDetection, EnrichOptions
from hearthwatch.serving.limits import RequestLimits, pixels_of
from hearthwatch.serving.problems import Refused
from hearthwatch.vision.boxes import Box, clamp_box
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]
ABSENT = "not part of this service"
#: Nothing was answered and asking again may help: where every model failed so, the request did.
_PASSING = (DeadlineExceeded, StillLoading, QueueFull, Draining)


@dataclass(frozen=True, slots=True)
class Subject:
    """One detection of a request, its boxes inside the picture."""

    id: str
    class_name: str
    bbox: Box
    face_visible: bool
    face_bbox: Box | None
    suspicious_score: float


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked about one picture.

    Attributes:
        picture: its header read.
        frames: further ones, or why one is none.
        labels: actions to choose from; none: the documented ones.
        wishes: about the answer.
        deadline: seconds of `time.monotonic`.
    """

    picture: Picture
    frames: Sequence[Picture | InputError]
    labels: tuple[str, ...]
    wishes: Wishes
    deadline: float


class OwnModels:
    """A process's runner as one service shows it: with the models of its own page.

    Args:
        runner: of the process.
        models: of the service.
    """

    def __init__(self, runner: LocalRunner, models: Sequence[str]) -> None:
        self._runner = runner
        self._models = frozenset(models)

    def offers(self, model: str) -> bool:
        return model in self._models and self._runner.offers(model)

    async def run(self, call: ModelCall) -> list[Outcome]:
        return await self._runner.run(call)


def enrich_answer(desk: Desk, _route: Route) -> Answer:
    """One detection."""

    async def answer(asked: Asked) -> Json:
        request = _request(desk, asked)
        subject = subject_of(asked.fields, request.picture, "0")
        enrichment = await _enrich(desk, request, [subject])
        _raise_where_nothing_was_answered(enrichment)
        return await _told(desk, request, subject, enrichment) | _about(enrichment)

    return answer


def enrich_batch_answer(desk: Desk, _route: Route) -> Answer:
    """Several detections of one picture, a row each; one that cannot be meant costs its own row."""

    async def answer(asked: Asked) -> Json:
        rows: list[EnrichDetection] = asked.fields.detections  # type: ignore[attr-defined]  # the route has the field
        request = _request(desk, asked)
        keys = _keys(rows, desk.limits)
        subjects: dict[str, Subject | HearthwatchError] = {}
        for key, row in zip(keys, rows, strict=True):
            try:
                subjects[key] = subject_of(row, request.picture, key)
            except (BadBox, UnknownDetectionType) as error:
                subjects[key] = error
        meant = [subject for subject in subjects.values() if isinstance(subject, Subject)]
        enrichment = await _enrich(desk, request, meant)
        _raise_where_nothing_was_answered(enrichment)
        results = [
            {"id": row.id if row.id is not None else key, **await _row(desk, request, subjects[key], enrichment)}
            for key, row in zip(keys, rows, strict=True)
        ]
        return {"results": results} | _about(enrichment)

    return answer


def subject_of(fields: Any, picture: Picture, key: str) -> Subject:
    """A detection as it was sent; without a box, it is the whole picture.

    Raises:
        UnknownDetectionType: no type that models are selected by.
        BadBox: a box outside the picture.
    """
    width, height = picture.size
    box = Box(0.0, 0.0, float(width), float(height)) if fields.bbox is None else clamp_box(fields.bbox, width, height)
    face = None if fields.face_bbox is None else clamp_box(fields.face_bbox, width, height)
    kind = class_of(fields.detection_type)
    return Subject(key, kind, box, fields.face_visible, face, fields.suspicious_score)


def _request(desk: Desk, asked: Asked) -> _Request:
    limits = desk.limits
    options: EnrichOptions = asked.fields.options or EnrichOptions()  # type: ignore[attr-defined]
    if len(options.labels) > limits.max_labels:
        detail = f"{len(options.labels)} labels were sent; at most {limits.max_labels} are allowed"
        raise Refused(422, "too_many_texts", detail)
    picture = one_picture(desk, asked, parts=True)
    frames = [data if isinstance(data, InputError) else Picture(data, limits.picture) for data in asked.body.frames]
    pixels_of([picture.size, *filter(None, map(_size, frames))], limits)
    wishes = Wishes(options.depth_map, options.distance_method)
    return _Request(picture, frames, tuple(options.labels), wishes, asked.deadline)


def _size(frame: Picture | InputError) -> tuple[int, int] | None:
    """Of a frame that is a picture; who looks at the frames says what is wrong with one that is none."""
    try:
        return None if isinstance(frame, InputError) else frame.size
    except InputError:
        return None


def _keys(rows: Sequence[EnrichDetection], limits: RequestLimits) -> list[str]:
    """What tells the rows apart.

    Raises:
        Refused: too many rows.
        InputError: two of one id.
    """
    if len(rows) > limits.max_detections:
        detail = f"{len(rows)} detections were sent; at most {limits.max_detections} are allowed"
        raise Refused(422, "too_many_items", detail)
    keys = [str(index if row.id is None else row.id) for index, row in enumerate(rows)]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise InputError(f"two detections have the id {twice[:100]!r}")
    return keys


async def _enrich(desk: Desk, request: _Request, subjects: Sequence[Subject]) -> PictureEnrichment:
    enrichment = await enrich_picture(
        OwnModels(desk.runner, desk.service.models),
        request.picture,
        subjects,
        frames=request.frames,
        labels=request.labels,
        deadline=request.deadline,
        pace=desk.pace,
        beside=False,
        absent=ABSENT,
    )
    decode_ms = request.picture.decode_ms
    for timings in enrichment.timings.values():
        # Each model that waited for the one decoding counted it.
        note_timings(replace(timings, decode_ms=decode_ms))
        decode_ms = 0.0
    return enrichment


def _raise_where_nothing_was_answered(enrichment: PictureEnrichment) -> None:
    """The picture's own error, or what kept every model from answering for now.

    Raises:
        HearthwatchError: one of these.
    """
    for found in enrichment.detections.values():
        if PIPELINE in found.errors:
            raise found.errors[PIPELINE]
    errors = list(enrichment.failed.values())
    if errors and not enrichment.weights and all(isinstance(error, _PASSING) for error in errors):
        raise errors[0]


async def _row(
    desk: Desk, request: _Request, subject: Subject | HearthwatchError, enrichment: PictureEnrichment
) -> Json:
    if isinstance(subject, Subject):
        return await _told(desk, request, subject, enrichment)
    parts = dict.fromkeys(_fields(desk))
    none: Json = {"models_loaded": [], "skipped": {}, "errors": {}, "status": "failed"}
    return {"error": str(subject), "code": subject.code, **parts, **none}


async def _told(desk: Desk, request: _Request, subject: Subject, enrichment: PictureEnrichment) -> Json:
    """One detection's answer."""
    found = enrichment.detections[subject.id]
    if request.wishes.depth_map:
        # A depth map is compressed to a PNG here: too long for the event loop.
        parts = await asyncio.to_thread(parts_of, found, enrichment, request.wishes)
    else:
        parts = parts_of(found, enrichment, request.wishes)
    told = {name: parts[name] for name in _fields(desk)} | became_of(found, enrichment)
    return told | {"skipped": _skipped(desk, request, subject, found)}


def _fields(desk: Desk) -> list[str]:
    """The parts, without those of models that somebody switched off."""
    off = desk.runner.switched_off
    return [field for model, part in PARTS.items() if model not in off for field in part.fields]


def _skipped(desk: Desk, request: _Request, subject: Subject, found: DetectionEnrichment) -> Json:
    """Why models were not asked, those included that somebody who reads this answer would look for."""
    skipped = dict(found.skipped)
    if subject.class_name == "bird":
        skipped.setdefault("pet_classifier", "a bird is neither a cat nor a dog")
    asked = found.answered | skipped.keys() | found.errors.keys()
    if is_person(subject) and ACTION not in asked and (is_suspicious(subject) or request.frames):
        skipped[ACTION] = _no_action(subject, len(request.frames))
    if is_person(subject) and shows_face(subject) and DEMOGRAPHICS not in asked | desk.runner.switched_off:
        skipped[DEMOGRAPHICS] = ABSENT
    return skipped


def _no_action(subject: Subject, frames: int) -> str:
    if frames < SEVERAL:
        return f"{frames or 'no'} frame{'s' if frames != 1 else ''} came, and a movement needs {SEVERAL} or more"
    score = f"a suspicious_score of {subject.suspicious_score:g} (above {SUSPICIOUS_SCORE:g} is suspicious)"
    return f"nobody suspicious: {score}, no weapon and no suspicious posture"


def _about(enrichment: PictureEnrichment) -> Json:
    """Whose answers they are, and how long all models took together."""
    origins = set(enrichment.weights.values())
    time_ms = sum(enrichment.timings_ms.values())
    weights = None if not origins else origins.pop() if len(origins) == 1 else "mixed"
    return {"weights": weights, "inference_time_ms": round(time_ms, 2)}
