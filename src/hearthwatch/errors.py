"""Every error that Hearthwatch raises on purpose, as one tree.

    HearthwatchError
    ├── InputError                what the caller sent
    │   ├── ImageError
    │   │   ├── NotAnImage
    │   │   ├── ImageTruncated
    │   │   ├── ImageTooLarge
    │   │   └── UnsupportedImage
    │   ├── BadBox
    │   ├── BadCalibration
    │   ├── TooManyFrames
    │   ├── TooManyTexts
    │   └── UnknownDetectionType
    ├── UnknownModel
    ├── SettingsError             an environment variable or option that cannot hold
    ├── WeightsError              what is on disk
    │   ├── WeightsMissing
    │   ├── WeightsAmbiguous
    │   └── WeightsInvalid        a graph, a checkpoint or a card that we do not load
    ├── PullError                 a download that could not be completed
    ├── LoadFailed                no engine could load the network
    │   └── OutOfMemory           the device had no room for it, to load or to run
    ├── BudgetTooSmall            the network is larger than the whole memory budget
    ├── InferenceFailed           a loaded network did not answer
    ├── QueueFull                 more wait for the model than may wait
    ├── StillLoading              the deadline passed while the model was loading
    ├── Draining                  the process takes no new work
    ├── DeadlineExceeded
    └── EnrichmentUnavailableError  a service that was asked over HTTP gave no answer
        ├── ServiceRefused        nobody listens at its address
        ├── ServiceUnreachable    no connection, or one that broke
        ├── ServiceTimedOut
        ├── ServiceOverloaded     it has more to do than it takes on
        ├── ServiceFailed         it said that something went wrong on its side
        ├── BadAnswer             what came back is no answer
        └── CircuitOpen           it failed so often that it is left alone for a while

`code` is the stable word of an error on the wire and in reports; the message is a sentence for a person; `is_transient`
says whether asking again may help.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self


class HearthwatchError(Exception):
    """Base of every error raised on purpose.

    Attributes:
        retry_after_s: seconds until asking again may help; None where nobody said.
        passes: whether what stands in the way goes away by itself; None: only where `retry_after_s` says so.
    """

    code = "internal"
    retry_after_s: float | None = None
    passes: ClassVar[bool | None] = False


class InputError(HearthwatchError):
    """The caller sent something that cannot be used."""

    code = "bad_input"


class ImageError(InputError):
    """The bytes are not a picture that we accept."""

    code = "not_an_image"


class NotAnImage(ImageError):
    """The bytes are no picture of a known format, or are corrupt."""


class ImageTruncated(ImageError):
    """The picture ends before its data does."""

    code = "image_truncated"


class ImageTooLarge(ImageError):
    """Over the byte or pixel limit; the message has the limit and the actual value."""

    code = "image_too_large"


class UnsupportedImage(ImageError):
    """A picture, but of a format or kind that is not accepted."""

    code = "unsupported_media_type"


class BadBox(InputError):
    """A box that is not finite, inverted, empty or outside its picture; the message shows it."""

    code = "bad_box"


class BadCalibration(InputError):
    """Known distances, or a calibration made of them, that cannot give metres; the message says which one and why."""

    code = "bad_calibration"


class TooManyFrames(InputError):
    """More frames than a clip may have; the message has both numbers."""

    code = "too_many_frames"


class TooManyTexts(InputError):
    """More labels or texts than may be asked about at once; the message has both numbers."""

    code = "too_many_texts"


class UnknownDetectionType(InputError):
    """A detection type that no model is selected for; the message lists the known ones."""

    code = "unknown_detection_type"


class UnknownModel(HearthwatchError, ValueError):
    """No model of that name; the message lists the names."""

    code = "unknown_model"


class SettingsError(HearthwatchError):
    """An environment variable or an option whose value cannot be used."""

    code = "bad_settings"


class WeightsError(HearthwatchError):
    """Weights that are absent or that we refuse."""

    code = "load_failed"


class WeightsMissing(WeightsError):
    """No weights for a model.

    Args:
        model: the canonical name.
        looked_at: every place that was tried, in order.
        remedy: the command or the step that puts the weights in place.
        named: somebody named the path that leads nowhere; else nobody installed the model.
        sample: the run uses sample weights, and this model has none.
    """

    code = "weights_missing"

    def __init__(
        self, model: str, looked_at: Sequence[str], remedy: str, *, named: bool = False, sample: bool = False
    ) -> None:
        self.model = model
        self.named = named
        self.sample = sample
        self.looked_at = tuple(looked_at)
        self.remedy = remedy
        places = "; ".join(self.looked_at) or "nowhere (no path and no models directory)"
        what = "no sample weights exist for" if sample else "no weights for"
        super().__init__(f"{what} {model}. Looked at: {places}. {remedy}")

    @classmethod
    def told(cls, model: str, sentence: str) -> Self:
        """The error of another process, in its own words: its places are not ours."""
        error = cls(model, (), sentence)
        error.args = (sentence,)
        return error


class WeightsAmbiguous(WeightsError):
    """Two files claim the same model, and nothing says which one is meant."""


class WeightsInvalid(WeightsError):
    """A weight file or its card is malformed, unsafe, or contradicts itself."""


class PullError(HearthwatchError):
    """A download was refused or could not be completed; what was there before is untouched."""

    code = "pull_failed"


class LoadFailed(HearthwatchError):
    """No allowed engine could load the network; the message has each engine's reason."""

    code = "load_failed"
    passes: ClassVar[bool | None] = None  # who loads says when it tries again


class OutOfMemory(LoadFailed):
    """The device had no room to load or to run a network."""

    code = "out_of_memory"
    passes = True


class BudgetTooSmall(HearthwatchError, RuntimeError):
    """A network that cannot fit the memory budget even alone; the message has both sizes."""

    code = "budget_too_small"


class InferenceFailed(HearthwatchError):
    """A loaded network raised, or answered with something that cannot be decoded."""

    code = "internal"


class QueueFull(HearthwatchError):
    """More calls wait for a model than may wait; the message has the limit.

    Attributes:
        retry_after_s: seconds after which the queue is expected to have moved.
    """

    code = "queue_full"
    retry_after_s: float = 1.0
    passes = True


class StillLoading(HearthwatchError):
    """The deadline passed while the model was loading; the load goes on."""

    code = "loading"
    passes = True


class Draining(HearthwatchError):
    """The process is stopping and takes no new work."""

    code = "draining"
    passes = True


class DeadlineExceeded(HearthwatchError):
    """Nobody waits for the answer any more."""

    code = "deadline_exceeded"
    passes = True


class EnrichmentUnavailableError(HearthwatchError):
    """A service gave no answer: the attempts are spent, or it is not asked at all for now; its leaves say which."""

    code = "unavailable"


class ServiceRefused(EnrichmentUnavailableError):
    """Nobody listens at the service's address."""

    code = "refused"
    passes = True


class ServiceUnreachable(EnrichmentUnavailableError):
    """The service's address cannot be reached, or the connection broke before the answer was complete."""

    code = "unreachable"
    passes = True


class ServiceTimedOut(EnrichmentUnavailableError):
    """No connection, or no answer, within the time that there was."""

    code = "timed_out"
    passes = True


class ServiceOverloaded(EnrichmentUnavailableError):
    """The service's queue is full."""

    code = "overloaded"
    passes: ClassVar[bool | None] = None  # who repeats without being told to makes the queue longer


class ServiceFailed(EnrichmentUnavailableError):
    """The service cannot answer now, or something went wrong inside it; the message has its own words."""

    code = "service_failed"
    passes = True


class BadAnswer(EnrichmentUnavailableError):
    """What came back is not what the route documents: asking again would bring the same."""

    code = "bad_answer"


class CircuitOpen(EnrichmentUnavailableError):
    """The service failed so often that it is left alone for a while; nothing was sent."""

    code = "circuit_open"
    passes = True


def is_transient(error: BaseException) -> bool:
    """Whether asking the same again may help: the one definition, by `passes` of the error's class.

    Who repeats calls unasked may be more careful (`client.failures.may_pass`), never less.
    """
    if not isinstance(error, HearthwatchError):
        return False
    return error.retry_after_s is not None if error.passes is None else error.passes
