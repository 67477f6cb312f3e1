"""`Runner`: where models run. This process, a service over HTTP and a Ray handle all satisfy it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hearthwatch.errors import HearthwatchError
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture


@dataclass(frozen=True, slots=True, eq=False)
class ModelCall:
    """One question to one model: all boxes of one picture at once.

    Attributes:
        model: the canonical name.
        picture: kept encoded until somebody decodes it; HTTP sends the bytes as they came.
        boxes: picture pixels; empty asks about the picture as a whole.
        frames: further pictures in time order, for models that look at several.
        options: what the model's documentation lists, by name.
        deadline: seconds of `time.monotonic`; nobody waits longer. None waits.
    """

    model: str
    picture: Picture
    boxes: tuple[Box, ...] = ()
    frames: tuple[Picture, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    deadline: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One answer: done (`error` is None), or failed.

    Attributes:
        model: who answered.
        result: what the model found; None where it found nothing for this box, or failed.
        error: why it failed.
        weights: real, sample or custom; empty where it failed before loading.
        inference_time_ms: of the whole call, shared by all its boxes.
        infer_ms: the part of it inside the engine.
    """

    model: str
    result: Any = None
    error: HearthwatchError | None = None
    weights: str = ""
    inference_time_ms: float = 0.0
    infer_ms: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the model answered."""
        return self.error is None


class Runner(Protocol):
    """Runs models."""

    async def run(self, call: ModelCall) -> list[Outcome]:
        """One outcome per box, or one for the whole picture. A failure is an outcome, not an exception."""
        ...

    def offers(self, model: str) -> bool:
        """Whether this runner knows a model of that name at all."""
        ...
