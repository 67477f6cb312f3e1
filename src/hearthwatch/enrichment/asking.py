"""One picture's questions: each goes to one model, and whatever comes of it is filed and costs nobody else anything."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearthwatch.enrichment.answers import answers_of
from hearthwatch.enrichment.collected import Key, PictureEnrichment
from hearthwatch.enrichment.frames import blamed
from hearthwatch.enrichment.pace import Pace
from hearthwatch.enrichment.plan import DEMOGRAPHICS, Wanted, keys_of
from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.picture import Picture

NOT_IN_THIS_VERSION = "not part of this version"
#: Nothing is said of it where it is not offered: who switches it off does not want to read of it.
_UNSPOKEN = frozenset({DEMOGRAPHICS})
#: By detection; under None what was found in the picture as a whole.
Found = Mapping[Any, Any]
#: What a model found, once it has answered; nothing of one that is not asked.
FoundBy = Callable[[str], Awaitable[Found]]


@dataclass(slots=True)
class Asking:
    """What is asked about one picture.

    Attributes:
        runner: where the models run.
        picture: that all boxes refer to.
        enrichment: where answers are filed.
        deadline: seconds of `time.monotonic`; None waits.
        pace: what models take.
        absent: the reason of a model that the runner does not offer.
    """

    runner: Runner
    picture: Picture
    enrichment: PictureEnrichment
    deadline: float | None = None
    pace: Pace = field(default_factory=Pace)
    absent: str = NOT_IN_THIS_VERSION

    def offers(self, model: str, keys: Sequence[Key]) -> bool:
        """Whether a model can be asked; where it cannot, that is written down."""
        if self.runner.offers(model):
            return True
        if model not in _UNSPOKEN:
            self.enrichment.skip(model, keys, self.absent)
        return False

    def in_time(self, wanted: Wanted) -> Wanted:
        """What there is time for; the rest, of the least value, is written down as skipped."""
        if self.deadline is None:
            return wanted
        questions = {model: len(subjects) for model, subjects in wanted.items()}
        left_ms = self._left_ms(self.deadline)
        late = self.pace.too_slow(questions, left_ms)
        if late:
            self._leave_out({model: keys_of(wanted[model]) for model in late}, questions, left_ms)
        return {model: subjects for model, subjects in wanted.items() if model not in late}

    async def ask(
        self,
        model: str,
        boxes: Mapping[str, Box],
        *,
        frames: Sequence[Picture] = (),
        options: tuple[tuple[str, Any], ...] = (),
    ) -> Found:
        """One model about all these detections.

        Args:
            model: that the runner offers.
            boxes: by detection; none asks nobody.
            frames: for a model that looks at several.
            options: as `ModelCall`.

        Returns:
            What was found, by detection.
        """
        if not boxes:
            return {}
        call = ModelCall(model, self.picture, tuple(boxes.values()), tuple(frames), options, self.deadline)
        outcomes = await answers_of(self.runner, call)
        if frames:
            outcomes = await asyncio.to_thread(blamed, outcomes, frames)
        return self.file(model, dict(zip(boxes, outcomes, strict=True)))

    async def ask_later(
        self,
        model: str,
        boxes: Mapping[str, Box],
        *,
        frames: Sequence[Picture] = (),
        options: tuple[tuple[str, Any], ...] = (),
    ) -> Found:
        """As `ask`, of a model whose turn comes when others have answered: it may be too late for it by then."""
        if boxes and self.deadline is not None and self.pace.knows(model):
            left_ms = self._left_ms(self.deadline)
            if self.pace.too_slow({model: len(boxes)}, left_ms):
                self._leave_out({model: list(boxes)}, {model: len(boxes)}, left_ms)
                return {}
        return await self.ask(model, boxes, frames=frames, options=options)

    async def ask_whole(self, model: str) -> Found:
        """One model about the picture as a whole; what it found is under None."""
        outcomes = await answers_of(self.runner, ModelCall(model, self.picture, deadline=self.deadline))
        return self.file(model, {None: outcomes[0]})

    def file(self, model: str, outcomes: Mapping[Any, Outcome]) -> Found:
        """Write down what a model said, and how long it took."""
        found = self.enrichment.file(model, outcomes)
        if model in self.enrichment.timings:
            self.pace.note(model, len(outcomes), self.enrichment.timings[model].inference_time_ms)
        return found

    def _leave_out(self, late: Mapping[str, Sequence[Key]], questions: Mapping[str, int], left_ms: float) -> None:
        needed = self.pace.expected_ms(questions)
        reason = f"no time: {max(left_ms, 0.0):.0f} ms were left, and {needed:.0f} ms were expected to be needed"
        for model, keys in late.items():
            self.enrichment.skip(model, keys, reason)
            self.enrichment.late.add(model)

    @staticmethod
    def _left_ms(deadline: float) -> float:
        return (deadline - time.monotonic()) * 1000
