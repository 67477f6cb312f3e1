"""`ComposedRunner`: several runners as one, such as services for the models that have a route and this process for the
rest.
"""

from __future__ import annotations

from hearthwatch.enrichment.runner import ModelCall, Outcome, Runner
from hearthwatch.errors import UnknownModel


class ComposedRunner:
    """Runs each model where it is offered first. Whoever made the runners closes them.

    Args:
        runners: asked in this order; who comes first has a model that several offer. What fails there is not tried at
            the next one: a failure is an outcome, and other weights would give another answer.
    """

    def __init__(self, *runners: Runner) -> None:
        self._runners = runners

    def offers(self, model: str) -> bool:
        """Whether any of them does."""
        return self._of(model) is not None

    async def run(self, call: ModelCall) -> list[Outcome]:
        """What the first runner that offers the model answers; UnknownModel where none does."""
        runner = self._of(call.model)
        if runner is None:
            error = UnknownModel(f"none of the {len(self._runners)} runners here has a model {call.model!r}")
            return [Outcome(call.model, error=error)] * call.questions
        return await runner.run(call)

    def _of(self, model: str) -> Runner | None:
        return next((runner for runner in self._runners if runner.offers(model)), None)
