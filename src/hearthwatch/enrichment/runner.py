"""`Runner`: where models run. This process, a service over HTTP and a Ray handle all satisfy it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from hearthwatch.errors import HearthwatchError
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture


@dataclass(frozen=True, slots=True, eq=False)
class ModelCall:
    """One question to one model: all boxes of one picture at once, or some texts.

    Attributes:
        model: the canonical name.
        picture: kept encoded until somebody decodes it; HTTP sends the bytes as they came. None with `texts`.
        boxes: picture pixels; empty asks about the picture as a whole.
        frames: further pictures in time order, for models that watch a clip: it is the picture and these, or these
            alone where the picture is one of them.
        options: what the model's documentation lists, by name: `labels`, the texts that a clip is compared with.
        deadline: seconds of `time.monotonic`; nobody waits longer. None waits.
        alone: this model is the only one that looks at the picture, so it may be decoded at reduced size.
        texts: for models that read texts and look at no picture.
    """

    model: str
    picture: Picture | None = None
    boxes: tuple[Box, ...] = ()
    frames: tuple[Picture, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    deadline: float | None = None
    alone: bool = False
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.picture is None) is not bool(self.texts):
            raise ValueError(f"{self.model} is asked about a picture or about texts, and not about both or neither")

    @property
    def questions(self) -> int:
        """How many answers it gets: one per text, one per box, or one about the picture as a whole."""
        return len(self.texts) or max(1, len(self.boxes))


@dataclass(frozen=True, slots=True)
class CallTimings:
    """Where the time of one call went, in milliseconds; all its boxes share it.

    Attributes:
        decode_ms: from bytes to pixels; 0 where somebody decoded the picture before.
        queue_ms: waiting for a free worker.
        load_ms: waiting for the model to be in memory.
        preprocess_ms: from pixels to the network's input.
        infer_ms: inside the engine. Calls that were answered as one batch each have the batch's time.
        postprocess_ms: from the network's output to results.
    """

    decode_ms: float = 0.0
    queue_ms: float = 0.0
    load_ms: float = 0.0
    preprocess_ms: float = 0.0
    infer_ms: float = 0.0
    postprocess_ms: float = 0.0

    @property
    def inference_time_ms(self) -> float:
        """Preprocessing, network and postprocessing, as CONTRACT.md defines it."""
        return self.preprocess_ms + self.infer_ms + self.postprocess_ms


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """One answer: done (`error` is None), or failed.

    Attributes:
        model: who answered.
        result: what the model found; None where it found nothing for this box, or failed.
        error: why it failed.
        weights: real, sample or custom; empty where it failed before loading.
        timings: of the whole call, shared by all its boxes; of a failed call, as far as it came.
    """

    model: str
    result: Any = None
    error: HearthwatchError | None = None
    weights: str = ""
    timings: CallTimings = CallTimings()

    @property
    def inference_time_ms(self) -> float:
        """Preprocessing, network and postprocessing."""
        return self.timings.inference_time_ms

    @property
    def infer_ms(self) -> float:
        """The part of it inside the engine."""
        return self.timings.infer_ms

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
