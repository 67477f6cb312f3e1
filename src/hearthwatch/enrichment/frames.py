"""Further pictures in the order of time, and which of them is to blame where one cannot be used."""

from __future__ import annotations

from collections.abc import Sequence

from hearthwatch.enrichment.runner import Outcome
from hearthwatch.errors import ImageError, InputError
from hearthwatch.vision.picture import Picture

#: Pictures that make a movement.
SEVERAL = 2
#: A frame that came, or why it is none.
Frame = Picture | InputError


def checked(frames: Sequence[Frame]) -> list[Picture]:
    """The frames, with their headers read.

    Raises:
        InputError: one is no picture; the message has its place, from 0.
    """
    pictures: list[Picture] = []
    for index, frame in enumerate(frames):
        if isinstance(frame, InputError):
            raise _at(index, frame)
        try:
            _ = frame.size
        except ImageError as error:
            raise _at(index, error) from error
        pictures.append(frame)
    return pictures


def blamed(outcomes: Sequence[Outcome], frames: Sequence[Picture]) -> list[Outcome]:
    """Outcomes that failed for a frame that cannot be decoded say which one: the picture itself is none the worse."""
    if not any(isinstance(outcome.error, ImageError) for outcome in outcomes):
        return list(outcomes)
    for index, frame in enumerate(frames):
        try:
            frame.image()
        except ImageError as error:
            culprit = _at(index, error)
            return [Outcome(outcome.model, error=culprit, timings=outcome.timings) for outcome in outcomes]
    return list(outcomes)


def _at(index: int, error: InputError) -> InputError:
    named = InputError(f"frame {index}: {error}")
    named.code = error.code
    return named
