"""What is known about one picture's detections, and where each model's answer is filed.

Every model that a detection deserves ends in exactly one of `results`, `nothing`, `skipped` and `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearthwatch.enrichment.runner import CallTimings, Outcome
from hearthwatch.errors import HearthwatchError, ImageError, WeightsMissing

#: Who failed when it was no model: the picture or the detection itself could not be used.
PIPELINE = "pipeline"
#: A detection's id, or None for the picture as a whole.
Key = str | None


@dataclass(slots=True)
class DetectionEnrichment:
    """What is known about one detection, by model.

    Attributes:
        results: what models found.
        nothing: models that answered and found nothing here.
        skipped: models that were not asked, with the reason.
        errors: models that failed; `PIPELINE` where the picture could not be decoded, which is no model's failure.
    """

    results: dict[str, Any] = field(default_factory=dict)
    nothing: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    errors: dict[str, HearthwatchError] = field(default_factory=dict)

    @property
    def answered(self) -> set[str]:
        """The models that looked, whether they found something or not."""
        return {*self.results, *self.nothing}


@dataclass(slots=True)
class PictureEnrichment:
    """What is known about one picture and its detections.

    Attributes:
        detections: by detection id.
        whole: what is known about the picture as a whole.
        succeeded: models that answered for all that they were asked about, in order of name.
        failed: the first error of each model that failed.
        late: models that were left out because there was no time for them.
        weights: real, sample or custom by model.
        timings: of each model's call.
    """

    detections: dict[str, DetectionEnrichment] = field(default_factory=dict)
    whole: DetectionEnrichment = field(default_factory=DetectionEnrichment)
    succeeded: list[str] = field(default_factory=list)
    failed: dict[str, HearthwatchError] = field(default_factory=dict)
    late: set[str] = field(default_factory=set)
    weights: dict[str, str] = field(default_factory=dict)
    timings: dict[str, CallTimings] = field(default_factory=dict)

    @property
    def timings_ms(self) -> dict[str, float]:
        """Preprocessing, network and postprocessing by model."""
        return {model: timings.inference_time_ms for model, timings in self.timings.items()}

    @property
    def infer_ms(self) -> dict[str, float]:
        """The part of it inside the engines, by model; nothing of who has no network."""
        return {model: timings.infer_ms for model, timings in self.timings.items() if model in self.weights}

    def about(self, key: Key) -> DetectionEnrichment:
        """What is known about one detection, or about the whole picture."""
        return self.whole if key is None else self.detections[key]

    def skip(self, model: str, keys: Sequence[Key], reason: str) -> None:
        """Write down that a model was not asked about these detections."""
        for key in keys:
            self.about(key).skipped[model] = reason

    def fail(self, model: str, keys: Sequence[Key], error: HearthwatchError) -> None:
        """Write down that a model failed for these detections."""
        for key in keys:
            self.about(key).errors[model] = error
            self.failed.setdefault(model, error)

    def file(self, model: str, outcomes: Mapping[Key, Outcome]) -> dict[Key, Any]:
        """Put each outcome under its detection.

        Returns:
            What was found, by detection.
        """
        found: dict[Key, Any] = {}
        for key, outcome in outcomes.items():
            detection = self.about(key)
            if isinstance(outcome.error, WeightsMissing) and not outcome.error.named:
                # Nobody installed it: an absent enrichment, not a failure of this picture. A wrong path is a failure.
                detection.skipped[model] = "no sample weights exist" if outcome.error.sample else "no weights installed"
            elif isinstance(outcome.error, ImageError):
                detection.errors[PIPELINE] = outcome.error
            elif outcome.error is not None:
                self.fail(model, [key], outcome.error)
            elif outcome.result is None:
                detection.nothing.append(model)
            else:
                detection.results[model] = found[key] = outcome.result
        self._account(model, list(outcomes.values()))
        return found

    def add_whole(self, told: PictureEnrichment) -> None:
        """Add what others found out about the picture as a whole."""
        self.whole.results |= told.whole.results
        self.whole.errors |= told.whole.errors
        self.failed |= told.failed
        self.weights |= told.weights
        self.timings |= told.timings

    def close(self) -> None:
        """Every model has answered: say which of them for all that they were asked about."""
        self.succeeded = sorted(set(self.weights) - set(self.failed))

    def _account(self, model: str, outcomes: Sequence[Outcome]) -> None:
        # All boxes of one call share its time, so one outcome speaks for the call.
        answered = next((outcome for outcome in outcomes if outcome.done), None)
        if answered is not None:
            self.weights[model] = answered.weights
            self.timings[model] = answered.timings
