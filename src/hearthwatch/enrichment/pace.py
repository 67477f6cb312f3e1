"""What models take, as it was measured, so that a deadline is spent on what matters most.

Nothing is guessed: a model that was never measured is asked, whatever the deadline. Models run at the same time, so
what several take together is less than the sum of what each takes, by a factor that is measured as well.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from hearthwatch.adapter.spec import Priority, Scope
from hearthwatch.enrichment.runner import CallTimings
from hearthwatch.models import MODELS

#: The weight of the newest measurement in a running mean; as the queue's.
_NEWEST = 0.2
#: A call that waited longer than this share of the whole for its model to load says nothing about the next one.
_LOADED_SHARE = 0.1


class Pace:
    """Running means of what models take. One event loop at a time may use it."""

    def __init__(self) -> None:
        self._ms: dict[str, float] = {}
        self._overlap = 1.0
        self._rounds = 0

    def knows(self, model: str) -> bool:
        """Whether it was measured."""
        return model in self._ms

    def expected_ms(self, questions: Mapping[str, int]) -> float:
        """What models are expected to take together; those that were never measured count nothing.

        Args:
            questions: boxes that each is asked about.
        """
        each = [self._ms[model] * _looks(model, boxes) for model, boxes in questions.items() if model in self._ms]
        return max(*each, self._overlap * sum(each)) if each else 0.0

    def too_slow(self, questions: Mapping[str, int], left_ms: float) -> list[str]:
        """The models to leave out so that the others are ready in time: those of the least value first.

        Args:
            questions: boxes that each is asked about, the most valuable model first.
            left_ms: until the deadline.

        Returns:
            None of CRITICAL priority, and none that was never measured.
        """
        kept, left_out = dict(questions), []
        while self.expected_ms(kept) > left_ms:
            model = next((name for name in reversed(kept) if self._may_go(name)), None)
            if model is None:
                break
            del kept[model]
            left_out.append(model)
        return left_out

    def note(self, model: str, boxes: int, milliseconds: float) -> None:
        """One call's preprocessing, network and postprocessing."""
        each = milliseconds / _looks(model, boxes)
        self._ms[model] = each if model not in self._ms else self._ms[model] + _NEWEST * (each - self._ms[model])

    def note_together(self, calls: Collection[CallTimings], wall_ms: float) -> None:
        """What the calls of one picture took from the first question to the last answer."""
        spent = sum(call.inference_time_ms for call in calls)
        waited = max((call.load_ms for call in calls), default=0.0)
        if spent <= 0 or waited > _LOADED_SHARE * wall_ms:
            return
        ratio = wall_ms / spent
        self._overlap = ratio if not self._rounds else self._overlap + _NEWEST * (ratio - self._overlap)
        self._rounds += 1

    def _may_go(self, model: str) -> bool:
        return model in self._ms and priority_of(model) is not Priority.CRITICAL


def priority_of(model: str) -> Priority:
    """Of a model by name; LOW of one that this version does not have."""
    spec = _SPECS.get(model)
    return Priority.LOW if spec is None else spec.priority


def by_value(models: Sequence[str]) -> list[str]:
    """The most valuable first: by priority, and of equals in the order that they have."""
    return sorted(models, key=priority_of)


def _looks(model: str, boxes: int) -> int:
    """How often a network runs for so many boxes."""
    spec = _SPECS.get(model)
    return 1 if spec is not None and spec.scope is Scope.FRAME else max(1, boxes)


_SPECS = {model.SPEC.name: model.SPEC for model in MODELS}
