"""The tree of errors: which of them may pass, by one definition that the client's repeats follow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hearthwatch import errors
from hearthwatch.client.failures import is_failure, may_pass
from hearthwatch.errors import HearthwatchError, WeightsMissing, is_transient

#: Whether asking again may help, of every class; "told": where the error says when.
EXPECTED: dict[str, bool | str] = {
    "HearthwatchError": False,
    "InputError": False,
    "ImageError": False,
    "NotAnImage": False,
    "ImageTruncated": False,
    "ImageTooLarge": False,
    "UnsupportedImage": False,
    "BadBox": False,
    "BadCalibration": False,
    "TooManyFrames": False,
    "TooManyTexts": False,
    "UnknownDetectionType": False,
    "UnknownModel": False,
    "SettingsError": False,
    "WeightsError": False,
    "WeightsMissing": False,
    "WeightsAmbiguous": False,
    "WeightsInvalid": False,
    "PullError": False,
    "LoadFailed": "told",
    "OutOfMemory": True,
    "BudgetTooSmall": False,
    "InferenceFailed": False,
    "QueueFull": True,
    "StillLoading": True,
    "Draining": True,
    "DeadlineExceeded": True,
    "EnrichmentUnavailableError": False,
    "ServiceRefused": True,
    "ServiceUnreachable": True,
    "ServiceTimedOut": True,
    "ServiceOverloaded": "told",
    "ServiceFailed": True,
    "BadAnswer": False,
    "CircuitOpen": True,
}


def tree(kind: type[HearthwatchError] = HearthwatchError) -> Iterator[type[HearthwatchError]]:
    """Every class that `errors.py` has."""
    if kind.__module__ == errors.__name__:
        yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


EVERY = sorted({*tree()}, key=lambda kind: kind.__name__)


def made(kind: type[HearthwatchError], retry_after_s: float | None) -> HearthwatchError:
    """One with that hint, where None leaves the class's own."""
    error = WeightsMissing("pose_estimator", ["here"], "") if kind is WeightsMissing else kind("it went wrong")
    if retry_after_s is not None:
        error.retry_after_s = retry_after_s
    return error


def test_every_class_has_a_row() -> None:
    assert {kind.__name__ for kind in EVERY} == set(EXPECTED)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
def test_an_error_may_pass_by_its_class_or_where_it_says_when(kind: type[HearthwatchError]) -> None:
    expected = EXPECTED[kind.__name__]
    assert is_transient(made(kind, None)) is (expected is True)
    # A hint alone moves nothing: a proxy may write `Retry-After` on the refusal of a picture.
    assert is_transient(made(kind, 3.0)) is (expected is not False)


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("retry_after_s", [None, 0.0, 3.0])
def test_the_client_repeats_only_what_may_pass(kind: type[HearthwatchError], retry_after_s: float | None) -> None:
    error = made(kind, retry_after_s)
    assert is_transient(error) or not may_pass(error)
    assert may_pass(error) or not is_failure(error)
    told = kind.__name__ == "ServiceOverloaded" and retry_after_s is not None
    # An open circuit passes too, and is there so that nobody asks meanwhile.
    assert may_pass(error) is (is_failure(error) or told)


@pytest.mark.parametrize("error", [ValueError("x"), OSError("x"), KeyboardInterrupt()], ids=repr)
def test_what_was_not_raised_on_purpose_promises_nothing(error: BaseException) -> None:
    assert not is_transient(error)
    assert not may_pass(error)
