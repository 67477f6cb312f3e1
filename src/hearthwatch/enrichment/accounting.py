"""`Accounting`: a runner that writes down who answered, for those that ask beside the plan."""

from __future__ import annotations

from hearthwatch.enrichment.answers import answers_of
from hearthwatch.enrichment.collected import PictureEnrichment
from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner


class Accounting:
    """Asks another runner, and keeps the origin of the weights and the time of each model that answered.

    Args:
        runner: who is asked.
        told: where it is written down. A failure is not: who asks beside the plan can do without.
    """

    def __init__(self, runner: Runner, told: PictureEnrichment) -> None:
        self._runner = runner
        self._told = told

    def offers(self, model: str) -> bool:
        """Whether the other runner does."""
        return self._runner.offers(model)

    async def run(self, call: ModelCall) -> list[Outcome]:
        """What the other runner answers; whatever it does, an outcome for each question."""
        outcomes = await answers_of(self._runner, call)
        answered = next((outcome for outcome in outcomes if outcome.done), None)
        if answered is not None:
            self._told.weights[call.model] = answered.weights
            self._told.timings[call.model] = answered.timings
        return outcomes
