"""What can go wrong between us and a service, as our errors; and what that means for repeats and circuits.

    happened                                    error                 repeated   counted by the circuit
    nobody listens                              ServiceRefused        yes        yes
    no way there, or the connection broke       ServiceUnreachable    yes        yes
    no answer in time, 504                      ServiceTimedOut       yes        yes
    500, 503 and other 5xx                      ServiceFailed         yes        yes
    429                                         ServiceOverloaded     where it says when      no
    503 weights_missing, 507, 4xx               as in the service     no         no
    no answer that can be read                  BadAnswer             no         no
    the circuit is open                         CircuitOpen           no         no

What the service says of the caller's mistake, of its weights and of its memory has the same type as in the service's
own process: whoever catches `NotAnImage` or `WeightsMissing` catches it here too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import orjson
from pydantic import ValidationError

from hearthwatch.client.capabilities import Capability
from hearthwatch.errors import (
    BadAnswer,
    BadBox,
    BadCalibration,
    BudgetTooSmall,
    CircuitOpen,
    EnrichmentUnavailableError,
    HearthwatchError,
    ImageError,
    ImageTooLarge,
    ImageTruncated,
    InputError,
    NotAnImage,
    ServiceFailed,
    ServiceOverloaded,
    ServiceRefused,
    ServiceTimedOut,
    ServiceUnreachable,
    TooManyFrames,
    TooManyTexts,
    UnknownDetectionType,
    UnknownModel,
    UnsupportedImage,
    WeightsMissing,
    is_transient,
)

#: What a circuit counts: each of them says that the service is not well.
_UNWELL = (ServiceRefused, ServiceUnreachable, ServiceTimedOut, ServiceFailed)
#: Errors of a service that mean the same wherever they are raised, by their code.
_SAME: Mapping[str, type[HearthwatchError]] = {
    kind.code: kind
    for kind in (
        NotAnImage,
        ImageTruncated,
        ImageTooLarge,
        UnsupportedImage,
        BadBox,
        BadCalibration,
        TooManyFrames,
        TooManyTexts,
        UnknownDetectionType,
        UnknownModel,
        BudgetTooSmall,
    )
}
#: What reading an answer raises that is not what it should be.
UNREADABLE = (AttributeError, ImageError, KeyError, TypeError, ValueError)
#: Characters of a foreign answer that an error repeats.
_SHOWN = 1000


def is_failure(error: BaseException) -> bool:
    """Whether it says that the service is not well."""
    return isinstance(error, _UNWELL)


def may_pass(error: BaseException) -> bool:
    """Whether a call is repeated: what is transient, but for a circuit, which is open so that nobody asks."""
    return isinstance(error, EnrichmentUnavailableError) and is_transient(error) and not isinstance(error, CircuitOpen)


def kind_of(error: EnrichmentUnavailableError, capability: Capability) -> str:
    """The documented word for it in the metrics."""
    if isinstance(error, CircuitOpen):
        return f"{capability.family}_circuit_open"
    if isinstance(error, ServiceTimedOut):
        return f"{capability.name}_timeout"
    return f"{capability.family}_unexpected_error"


def broken(error: httpx.HTTPError, where: str) -> EnrichmentUnavailableError:
    """Why there is no answer at all.

    Args:
        error: what httpx raised.
        where: the address that was asked.
    """
    if isinstance(error, httpx.TimeoutException):
        return ServiceTimedOut(f"{where} did not answer in time ({type(error).__name__})")
    if isinstance(error, httpx.DecodingError):
        return BadAnswer(f"{where} answered with something that cannot be unpacked: {error}")
    if isinstance(error, httpx.ConnectError) and any(
        isinstance(cause, ConnectionRefusedError) for cause in _causes(error)
    ):
        return ServiceRefused(f"{where} refuses connections: nobody listens there")
    return ServiceUnreachable(f"{where} cannot be reached, or hung up: {str(error) or type(error).__name__}")


def unreadable(error: Exception, where: str) -> BadAnswer:
    """An answer that is JSON and not what the route documents.

    Args:
        error: what reading it raised.
        where: the address that was asked.
    """
    if isinstance(error, ValidationError):
        rows = error.errors(include_url=False, include_input=False, include_context=False)
        wrong = "; ".join(f"{'.'.join(map(str, row['loc']))}: {row['msg']}" for row in rows)
    else:
        wrong = f"{type(error).__name__}: {error}"
    return BadAnswer(f"{where} answered with something else than is documented: {wrong[:_SHOWN]}")


def refused(status: int, headers: Mapping[str, str], body: bytes, where: str, now: float) -> HearthwatchError:
    """What an answer with an error's status means.

    Args:
        status: of HTTP.
        headers: of the answer.
        body: the documented error body, or whatever came instead.
        where: the address that was asked.
        now: seconds since 1970, for a `Retry-After` that is a date.
    """
    told = _told(body)
    detail, code, model = told.get("detail"), str(told.get("code")), told.get("model")
    sentence = f"{where} answered {status} {_sentence(detail, body)}"
    if code == WeightsMissing.code:
        return WeightsMissing.told(str(model), sentence)
    if status == httpx.codes.INSUFFICIENT_STORAGE:
        return BudgetTooSmall(sentence)
    error = _by_status(status, code)(sentence)
    error.retry_after_s = retry_after_s(headers.get("retry-after"), now)
    return error


def named(code: str | None, sentence: str) -> HearthwatchError:
    """The error that a row of an answer tells, by its code."""
    return _SAME.get(str(code), InputError)(sentence)


def retry_after_s(value: str | None, now: float) -> float | None:
    """Seconds that a `Retry-After` asks to wait, as a number or as a date; None where it asks for nothing.

    Args:
        value: of the header.
        now: seconds since 1970.
    """
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - now
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _by_status(status: int, code: str) -> type[HearthwatchError]:
    if status == httpx.codes.TOO_MANY_REQUESTS:
        return ServiceOverloaded
    if status == httpx.codes.GATEWAY_TIMEOUT:
        return ServiceTimedOut
    if status >= 500:
        return ServiceFailed
    if status >= 400:
        return _SAME.get(code, InputError)
    return BadAnswer


def _told(body: bytes) -> dict[str, Any]:
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _sentence(detail: Any, body: bytes) -> str:
    if isinstance(detail, list):  # pydantic's
        rows = [row for row in detail if isinstance(row, dict)]
        detail = "; ".join(f"{'.'.join(map(str, row.get('loc', ())))}: {row.get('msg')}" for row in rows)
    return str(detail or body[:_SHOWN].decode("utf-8", "replace"))[:_SHOWN]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and everything that led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                yield from _causes(inner)
        error = error.__cause__ or error.__context__
