"""What the routes about embeddings answer: a picture against another's embedding, against labels and against texts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.enrichment.texts import Texts
from hearthwatch.errors import InputError, LoadFailed
from hearthwatch.models import get_picture_model
from hearthwatch.models.clip import SURVEILLANCE_TEMPLATES, CLIPResult, anomaly_score, class_scores
from hearthwatch.services import Route
from hearthwatch.serving.batches import each_picture
from hearthwatch.serving.desk import Asked, Desk, Json, ask, boxes_in, note_timings, one_picture
from hearthwatch.serving.problems import Refused
from hearthwatch.vision.embeddings import cosine_similarity
from hearthwatch.vision.image import Float
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]
#: Decimals of cosines and scores: more than bfloat16 has, so that equal pictures stay equal and others differ.
DECIMALS = 6


@dataclass(frozen=True, slots=True, eq=False)
class _Embedded:
    """A picture's embedding, the origin of the weights that made it, and the milliseconds that it took."""

    result: CLIPResult
    weights: str
    milliseconds: float


def anomaly_answer(desk: Desk, route: Route) -> Answer:
    """How far a picture is from a baseline."""

    async def answer(asked: Asked) -> Json:
        embedded = await _embed(desk, route, asked)
        baseline: list[float] = asked.fields.baseline_embedding  # type: ignore[attr-defined]  # the route has the field
        numbers = len(embedded.result.embedding)
        if len(baseline) != numbers:
            raise InputError(f"baseline_embedding has {len(baseline)} numbers; the network's embeddings have {numbers}")
        similarity = cosine_similarity(embedded.result.embedding, baseline)
        return {
            "anomaly_score": round(anomaly_score(similarity), DECIMALS),
            "similarity_to_baseline": round(similarity, DECIMALS),
            **_about(embedded),
        }

    return answer


def classify_answer(desk: Desk, route: Route) -> Answer:
    """A probability for each label; sum 1."""

    async def answer(asked: Asked) -> Json:
        given: list[str] = asked.fields.labels  # type: ignore[attr-defined]  # the route has the field
        ensemble: bool = asked.fields.use_ensemble  # type: ignore[attr-defined]
        check_count(given, desk.limits.max_labels, "labels")
        labels = list(dict.fromkeys(given))
        embedded = await _embed(desk, route, asked)
        texts = await _read(desk, labels, asked, embedded.result, SURVEILLANCE_TEMPLATES if ensemble else ())
        scores = class_scores(embedded.result.embedding, texts.embeddings, embedded.result.logit_scale)
        return {
            "scores": dict(zip(labels, map(float, scores), strict=True)),
            "top_label": labels[int(np.argmax(scores))],
            "use_ensemble": ensemble,
            "truncated": [index for index, label in enumerate(given) if labels.index(label) in texts.truncated],
            **_about(embedded, texts),
        }

    return answer


def similarity_answer(desk: Desk, route: Route) -> Answer:
    """The cosine of a picture and a text."""

    async def answer(asked: Asked) -> Json:
        text: str = asked.fields.text  # type: ignore[attr-defined]  # the route has the field
        embedded = await _embed(desk, route, asked)
        texts = await _read(desk, [text], asked, embedded.result)
        similarity = _cosines(embedded.result.embedding, texts.embeddings)[0]
        return {"similarity": similarity, "truncated": bool(texts.truncated), **_about(embedded, texts)}

    return answer


def batch_similarity_answer(desk: Desk, route: Route) -> Answer:
    """The cosines of a picture and several texts."""

    async def answer(asked: Asked) -> Json:
        given: list[str] = asked.fields.texts  # type: ignore[attr-defined]  # the route has the field
        check_count(given, desk.limits.max_texts, "texts")
        embedded = await _embed(desk, route, asked)
        texts = await _read(desk, given, asked, embedded.result)
        cosines = _cosines(embedded.result.embedding, texts.embeddings)
        return {
            "similarities": dict(zip(given, cosines, strict=True)),
            "truncated": list(texts.truncated),
            **_about(embedded, texts),
        }

    return answer


def embed_batch_answer(desk: Desk, route: Route) -> Answer:
    """An embedding for each picture."""

    def row(_picture: Picture, result: CLIPResult) -> Json:
        return result.to_wire()

    async def answer(asked: Asked) -> Json:
        nothing = dict.fromkeys(("embedding", "logit_scale", "space", "metadata"))
        return await each_picture(desk, route, asked, row, nothing)

    return answer


def embed_text_answer(desk: Desk, _route: Route) -> Answer:
    """An embedding for each text."""

    async def answer(asked: Asked) -> Json:
        given: list[str] = asked.fields.texts  # type: ignore[attr-defined]  # the route has the field
        check_count(given, desk.limits.max_texts, "texts")
        texts = await _read(desk, given, asked)
        return {
            "embeddings": texts.embeddings,
            "embedding_dimension": int(texts.embeddings.shape[1]),
            "truncated": list(texts.truncated),
            "space": texts.space,
            "metadata": {"model": texts.network, "digest": texts.digest},
            "weights": texts.weights,
            "inference_time_ms": round(texts.timings.inference_time_ms, 2),
        }

    return answer


async def _embed(desk: Desk, route: Route, asked: Asked) -> _Embedded:
    picture = one_picture(desk, asked)
    boxes = boxes_in(asked, picture)
    outcome = await ask(desk, ModelCall(route.model, picture, boxes, deadline=asked.deadline, alone=True))
    result = get_picture_model(route.model).for_one_box(outcome.result) if boxes else outcome.result
    return _Embedded(result, outcome.weights, outcome.inference_time_ms)


async def _read(
    desk: Desk, texts: Sequence[str], asked: Asked, picture: CLIPResult | None = None, templates: Sequence[str] = ()
) -> Texts:
    """Embeddings of texts, of the same weights as the picture's.

    Raises:
        LoadFailed: the text tower's weights are others.
        HearthwatchError: the text tower failed.
    """
    if desk.texts is None:
        raise LoadFailed("this process reads no texts")
    digest = None if picture is None else picture.digest
    found = await desk.texts.embed(texts, templates=templates, digest=digest, deadline=asked.deadline)
    note_timings(found.timings)
    desk.metrics.read_texts(found.read, found.kept)
    if picture is not None and (found.digest, found.embeddings.shape[1]) != (digest, len(picture.embedding)):
        raise LoadFailed(
            f"pictures are embedded by {picture.network} ({picture.digest}) and texts by {found.network} "
            f"({found.digest}): only towers of one checkpoint can be compared; cards with the same `space` say that "
            "they are"
        )
    return found


def check_count(given: Sequence[str], most: int, what: str) -> None:
    """Refuse too many texts with both numbers.

    Raises:
        Refused: more than are allowed.
    """
    if len(given) > most:
        raise Refused(422, "too_many_texts", f"{len(given)} {what} were sent; at most {most} are allowed")


def _cosines(picture: Float, texts: Float) -> list[float]:
    cosines = np.clip(texts.astype(np.float64) @ picture.astype(np.float64), -1.0, 1.0)
    return [round(float(cosine), DECIMALS) for cosine in cosines]


def _about(embedded: _Embedded, texts: Texts | None = None) -> Json:
    """The metadata of an answer, and the time of all networks that ran for it."""
    milliseconds = embedded.milliseconds + (0.0 if texts is None else texts.timings.inference_time_ms)
    about = embedded.result.metadata()
    return {**about, "weights": embedded.weights, "inference_time_ms": round(milliseconds, 2)}
