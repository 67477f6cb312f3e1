"""`LocalRunner`: models in this process, loaded on the first question and kept.

Inference runs in threads, off the event loop. Loading is single-flight per model: a second question waits for the first
one's load and never starts its own; a question to a loaded model waits for nobody's load.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Self

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loading import LoadedModel, LoadOptions, load
from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import DeadlineExceeded, HearthwatchError, InferenceFailed, UnknownModel
from hearthwatch.models import MODELS


class LocalRunner:
    """Runs models in this process.

    Args:
        options: where weights are and what may run them.
        models: the adapters that it offers.
        threads: calls that run at the same time. An engine's call uses all cores, so more than one at a time only hides
            the arithmetic before and after it: measured in `benchmarks/`, see docs/decisions.
    """

    def __init__(
        self, options: LoadOptions, models: Iterable[type[Adapter[Any]]] = MODELS, *, threads: int = 1
    ) -> None:
        self._options = options
        self._models = {model.SPEC.name: model for model in models}
        self._loads: dict[str, asyncio.Task[LoadedModel]] = {}
        self._loader = ThreadPoolExecutor(max_workers=2, thread_name_prefix="load")
        self._workers = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="infer")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def offers(self, model: str) -> bool:
        return model in self._models

    async def run(self, call: ModelCall) -> list[Outcome]:
        left = None if call.deadline is None else call.deadline - time.monotonic()
        failure: HearthwatchError
        if left is not None and left <= 0:
            failure = DeadlineExceeded(f"the deadline passed before {call.model} began")
            return [Outcome(call.model, error=failure)] * _questions(call)
        try:
            async with asyncio.timeout(left) as limit:
                loaded = await self.load(call.model)
                return await asyncio.get_running_loop().run_in_executor(self._workers, _answer, loaded, call)
        except HearthwatchError as error:
            failure = error
        except Exception as error:  # noqa: BLE001 - a failure is an outcome, not an exception
            # What a thread has begun it finishes; only the waiting ends.
            failure = (
                DeadlineExceeded(f"the deadline passed before {call.model} answered")
                if limit.expired()
                else InferenceFailed(f"{call.model} failed: {type(error).__name__}: {error}")
            )
        return [Outcome(call.model, error=failure)] * _questions(call)

    async def load(self, name: str) -> LoadedModel:
        """The loaded model; loads it where it is not yet.

        Raises:
            UnknownModel: this runner does not offer it.
            WeightsError, LoadFailed, SettingsError: it cannot be loaded; the next question tries again.
        """
        if name not in self._models:
            raise UnknownModel(f"there is no model {name!r}; the models are {', '.join(self._models)}")
        task = self._loads.get(name)
        if task is None or (task.done() and (task.cancelled() or task.exception() is not None)):
            task = self._loads[name] = asyncio.create_task(self._load(name))
        # Shielded: who leaves must not cancel the load that others wait for.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Finish what runs, give all models back."""
        done = await asyncio.gather(*self._loads.values(), return_exceptions=True)
        self._loads.clear()
        await asyncio.to_thread(self._workers.shutdown)
        self._loader.shutdown()
        for model in done:
            if isinstance(model, LoadedModel):
                model.close()

    async def _load(self, name: str) -> LoadedModel:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._loader, load, self._models[name], self._options)


def _answer(loaded: LoadedModel, call: ModelCall) -> list[Outcome]:
    name, weights = call.model, loaded.weights
    image = call.picture.image()
    if call.boxes:
        results, timings = loaded.for_boxes(image, call.boxes)
    else:
        results, timings = loaded.predict([image])
    if len(results) != _questions(call):
        raise InferenceFailed(f"{name} gave {len(results)} answers to {_questions(call)} questions")
    return [
        Outcome(name, result, weights=weights, inference_time_ms=timings.inference_time_ms, infer_ms=timings.infer_ms)
        for result in results
    ]


def _questions(call: ModelCall) -> int:
    """One per box, or one about the picture as a whole."""
    return max(1, len(call.boxes))
