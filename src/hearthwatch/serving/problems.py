"""Errors as HTTP: one table from our error tree to statuses, and the body that CONTRACT.md documents."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from hearthwatch.errors import (
    BudgetTooSmall,
    DeadlineExceeded,
    Draining,
    HearthwatchError,
    ImageError,
    ImageTooLarge,
    InputError,
    LoadFailed,
    QueueFull,
    StillLoading,
    UnknownModel,
    UnsupportedImage,
    WeightsError,
    WeightsMissing,
)

#: The nearest class of an error decides; see CONTRACT.md's table of statuses.
_STATUSES: tuple[tuple[type[HearthwatchError], int], ...] = (
    (ImageTooLarge, 413),
    (UnsupportedImage, 415),
    (ImageError, 400),
    (UnknownModel, 404),
    (QueueFull, 429),
    (Draining, 503),
    (StillLoading, 503),
    (WeightsError, 503),
    (LoadFailed, 503),
    (DeadlineExceeded, 504),
    (BudgetTooSmall, 507),
    (InputError, 422),
)
#: Seconds after which a draining process has ended and another one may answer.
_RETRY_DRAINING_S = 5
#: While a model loads or cools down and nobody said for how long.
_RETRY_LOADING_S = 2


class Refused(HearthwatchError):
    """A request that is answered with a status before any model is asked.

    Args:
        status: of HTTP.
        code: the stable word.
        detail: a sentence for a person.
        headers: further headers of the answer.
    """

    def __init__(self, status: int, code: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


def status_of(error: BaseException) -> int:
    """The HTTP status of an error; 500 for what is nobody's mistake but ours."""
    if isinstance(error, Refused):
        return error.status
    if isinstance(error, ValidationError):
        return 422
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)


def problem(error: BaseException, *, model: str | None = None) -> Response:
    """An error as the documented body: a sentence, a stable word, the model.

    What we did not raise on purpose says nothing about its inside: the log has it.
    """
    if isinstance(error, ValidationError):
        return problem_response(422, "bad_input", _validation_detail(error), model)
    if not isinstance(error, HearthwatchError):
        return problem_response(
            500, "internal", "something went wrong inside the service; its log has the reason", model
        )
    model = getattr(error, "model", None) or model
    return problem_response(status_of(error), error.code, str(error), model, _headers(error))


def problem_response(
    status: int, code: str, detail: Any, model: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """The documented error body; `detail` is a sentence, or pydantic's list."""
    content = orjson.dumps({"detail": detail, "code": code, "model": model}, default=str)
    return Response(content, status, dict(headers or {}), "application/json")


def _headers(error: HearthwatchError) -> dict[str, str]:
    if isinstance(error, Refused):
        return error.headers
    seconds = retry_after_s(error)
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def retry_after_s(error: HearthwatchError) -> float | None:
    """Seconds after which the same request may fare better; None where waiting does not help."""
    if isinstance(error, WeightsMissing):
        return None  # until somebody puts the weights in place
    if isinstance(error, QueueFull):
        return error.retry_after_s
    if isinstance(error, LoadFailed):
        return error.retry_after_s or _RETRY_LOADING_S
    if isinstance(error, StillLoading):
        return _RETRY_LOADING_S
    return _RETRY_DRAINING_S if isinstance(error, Draining) else None


def _validation_detail(error: ValidationError) -> list[dict[str, Any]]:
    """Pydantic's list without what was sent: a picture does not belong into an error, nor a context that JSON lacks."""
    return [
        {"type": row["type"], "loc": ["body", *row["loc"]], "msg": row["msg"]}
        for row in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def names(values: Iterable[str]) -> str:
    """A list for a sentence."""
    return ", ".join(values) or "none"
