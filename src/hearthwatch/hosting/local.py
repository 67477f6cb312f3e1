"""`LocalRunner`: models in this process, loaded when somebody asks, within a memory budget.

A call takes its place in the queue, waits until its model is in memory (`OnDemandModelManager`), and is answered by a
worker thread. The model is leased from then on until no thread works with it any more, also when the caller left.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.frames import FramesAdapter
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.spec import Priority
from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import (
    DeadlineExceeded,
    HearthwatchError,
    InferenceFailed,
    LoadFailed,
    OutOfMemory,
    SettingsError,
    UnknownModel,
)
from hearthwatch.hosting.answer import Task, answer, failed
from hearthwatch.hosting.manager import OnDemandModelManager
from hearthwatch.hosting.memory import Memory, memory_for
from hearthwatch.hosting.probe import Probe
from hearthwatch.hosting.queue import QUEUE_LIMIT, Work, WorkQueue
from hearthwatch.hosting.rows import ModelRow, row_of
from hearthwatch.hosting.spec import MIB, ModelSpec
from hearthwatch.hosting.watching import Readers, with_readers
from hearthwatch.hosting.workers import Workers
from hearthwatch.models import MODELS
from hearthwatch.runtimes.select import resolve_device

#: Of the memory that is free when the process starts, where nobody gave a budget.
FREE_SHARE = 0.6
#: Calls of one model that are answered as one batch on a GPU. On a CPU a batch only delays the first of them.
CUDA_BATCH = 8


class LocalRunner:
    """Runs models in this process. One event loop at a time may use it.

    Args:
        options: where weights are and what may run them.
        models: the adapters that it offers; the text tower that one of them needs comes by itself.
        threads: workers. A small network runs in as many of them as there are, each call in one thread; a large one
            uses all cores for one call at a time.
        manager: keeps the models in memory, and is closed by who made it; None makes one.
        budget_mb: of the manager that it makes, in MiB; None takes a share of the memory that is free now.
        queue_limit: calls of one model that may wait.
        max_batch: calls of one model that a worker may answer together; None: 1 on a CPU, 8 on an NVIDIA GPU.
        probe: measures what models cost before their first load; None believes what they declare.
        always: models that stay in memory once they are there.
        idle_seconds: by model, after which it leaves when it is not used (0: never), where not as the manager says.
        clock: seconds, monotonic: of deadlines and of the manager.
        wall: seconds since the epoch, for moments that people read.
    """

    def __init__(
        self,
        options: LoadOptions,
        models: Iterable[type[Adapter[Any]]] = MODELS,
        *,
        threads: int = 1,
        manager: OnDemandModelManager | None = None,
        budget_mb: int | None = None,
        queue_limit: int = QUEUE_LIMIT,
        max_batch: int | None = None,
        probe: Probe | None = None,
        always: Collection[str] = (),
        idle_seconds: Mapping[str, float] | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        wanted = [model for model in models if model.SPEC.name not in options.switched_off]
        offered, options = with_readers(wanted, options)
        self._options = replace(options, concurrency=threads) if threads > 1 else options
        self._models = {model.SPEC.name: model for model in offered}
        self._readers = Readers(self)
        self._max_batch = max_batch
        self._probe = probe
        self._always = frozenset(always)
        self._idle_seconds = dict(idle_seconds or {})
        self._clock = clock
        self._wall = wall
        self._loaded: dict[str, LoadedModel] = {}
        self._queue: WorkQueue[Task] = WorkQueue(queue_limit, clock=clock)
        self._workers = Workers(self._queue, functools.partial(answer, clock=clock), threads)
        self._calls: set[asyncio.Future[Any]] = set()
        self._owns_manager = manager is None
        self.manager = manager or _manager(options, budget_mb, clock)
        for model in self._models.values():
            self.manager.register_model(self._spec(model))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def offers(self, model: str) -> bool:
        return model in self._models

    @property
    def switched_off(self) -> frozenset[str]:
        """The models that the settings of this installation remove."""
        return frozenset(self._options.switched_off)

    @property
    def offered(self) -> tuple[str, ...]:
        """The models, in the order in which they were given."""
        return tuple(self._models)

    async def run(self, call: ModelCall) -> list[Outcome]:
        """One outcome per box, or one about the whole picture; every failure is an outcome.

        Errors: UnknownModel, Draining, QueueFull, DeadlineExceeded, StillLoading (the deadline passed during a load,
        which goes on), what the load raised, ImageError, BadBox, OutOfMemory, InferenceFailed.
        """
        ended = asyncio.get_running_loop().create_future()
        self._calls.add(ended)
        try:
            return await self._run(call)
        except HearthwatchError as error:
            return failed(call, error)
        except Exception as error:  # noqa: BLE001 - a failure is an outcome, not an exception
            return failed(call, InferenceFailed(f"{call.model} failed: {type(error).__name__}: {error}"))
        finally:
            self._calls.discard(ended)
            ended.set_result(None)

    async def load(self, name: str) -> LoadedModel:
        """The loaded model; loads it where it is not yet. Nothing keeps it in memory after this: `run` leases.

        Raises:
            UnknownModel: this runner does not offer it.
            WeightsError, LoadFailed, SettingsError, BudgetTooSmall: it cannot be loaded.
        """
        self._adapter(name)
        async with self.manager.lease(name) as model:
            loaded: LoadedModel = model
            return loaded

    def model_state(self, name: str) -> ModelRow:
        """How one model is, from what is in memory: nothing is read or measured for it, and nothing waits.

        Raises:
            UnknownModel: this runner does not offer it.
        """
        adapter = self._adapter(name)
        return row_of(
            self.manager.status(name),
            self._loaded.get(name),
            sample=self._options.uses_sample(adapter.SPEC),
            waiting=self.waiting(name),
            now=self._clock(),
            wall=self._wall(),
        )

    def model_states(self) -> list[ModelRow]:
        """All models in the order in which they were given."""
        return [self.model_state(name) for name in self._models]

    def waiting(self, name: str) -> int:
        """Calls of a model that wait, for its load or for a worker."""
        return self._queue.waiting(name)

    async def drain(self) -> None:
        """Take no new calls, and wait until those that are here are answered."""
        self._queue.drain()
        while self._calls:
            await asyncio.wait(set(self._calls))

    async def close(self) -> None:
        """Finish what runs, give all models back."""
        await self.drain()
        if self._probe is not None:
            self._probe.close()  # what still loads, loads for nobody
        if self._owns_manager:
            await self.manager.close()
        self._queue.close()
        await asyncio.to_thread(self._workers.join)

    async def _run(self, call: ModelCall) -> list[Outcome]:
        adapter = self._adapter(call.model)
        if call.deadline is not None and call.deadline <= self._clock():
            raise DeadlineExceeded(f"the deadline passed before {call.model} began")
        read = await self._readers.read(call, adapter, self._digest(call.model))
        work = self._enter(call, adapter)
        try:
            async with AsyncExitStack() as held:
                started = self._clock()
                loaded = await held.enter_async_context(self.manager.lease(call.model, call.deadline))
                load_ms = (self._clock() - started) * 1000
                if read is not None and read.sentences.digest != self._digest(call.model):
                    # Other weights were put in place since: what was kept belongs to those of before.
                    read = await self._readers.read(call, adapter, self._digest(call.model))
                task = Task(call, loaded, load_ms, read)
                outcomes = await self._answered(held, work, task)
                if not _ran_out(outcomes):
                    return outcomes
                return await self._with_less(held, adapter, task)
        finally:
            self._queue.leave(work)

    async def _with_less(self, held: AsyncExitStack, adapter: type[Adapter[Any]], task: Task) -> list[Outcome]:
        """A call that found no memory, once more with the others out of its way, then in the smallest parts."""
        await self.manager.relieve(task.call.model)
        again = self._enter(task.call, adapter, again=True)
        outcomes = await self._answered(held, again, replace(task))
        if _ran_out(outcomes):
            parts = self._enter(task.call, adapter, again=True)
            outcomes = await self._answered(held, parts, replace(task, one_by_one=True))
        return outcomes

    def _enter(self, call: ModelCall, adapter: type[Adapter[Any]], *, again: bool = False) -> Work[Task]:
        """A place in the queue."""
        alike = adapter.batches() and not (call.options or call.frames or call.texts or again)
        urgent = adapter.SPEC.priority is Priority.CRITICAL
        return self._queue.enter(
            call.model, urgent=urgent, deadline=call.deadline, batch="alike" if alike else None, again=again
        )

    async def _answered(self, held: AsyncExitStack, work: Work[Task], task: Task) -> list[Outcome]:
        """Wait for a worker's answer. `held` is emptied where a thread still needs what it holds."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[list[Outcome]] = loop.create_future()
        task.deliver = functools.partial(_deliver, loop, answered)
        self._workers.start()
        self._queue.ready(work, task, slots=self._slots(task.loaded), max_batch=self._batch(task.loaded))
        try:
            async with asyncio.timeout(None if work.deadline is None else work.deadline - self._clock()):
                # Shielded: the worker's end must be noticed also when nobody waits for the answer.
                return await asyncio.shield(answered)
        except TimeoutError:
            raise DeadlineExceeded(f"the deadline passed before {work.model} answered") from None
        finally:
            if not self._queue.leave(work) and not answered.done():
                self._keep(held.pop_all(), answered)

    def _keep(self, held: AsyncExitStack, answered: asyncio.Future[list[Outcome]]) -> None:
        """Hold the lease until the worker is done; `close` waits for it."""

        async def until_answered() -> None:
            async with held:
                await answered

        task = asyncio.create_task(until_answered())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _digest(self, name: str) -> str | None:
        """Of the weights that watch clips; None for other models, and where they are not in memory."""
        loaded = self._loaded.get(name)
        return loaded.adapter.digest if loaded is not None and isinstance(loaded.adapter, FramesAdapter) else None

    def _slots(self, loaded: LoadedModel) -> int:
        # A GPU is kept busy by calls that decode and preprocess meanwhile; the engine puts them in order.
        return self._workers.count if loaded.info.device.startswith("cuda") else loaded.info.streams

    def _batch(self, loaded: LoadedModel) -> int:
        if self._max_batch is not None:
            return self._max_batch
        return CUDA_BATCH if loaded.info.device.startswith("cuda") else 1

    def _adapter(self, name: str) -> type[Adapter[Any]]:
        if name not in self._models:
            raise UnknownModel(f"there is no model {name!r}; the models are {', '.join(self._models)}")
        return self._models[name]

    def _spec(self, adapter: type[Adapter[Any]]) -> ModelSpec:
        spec = adapter.SPEC
        return ModelSpec(
            spec.name,
            spec.declared_mb,
            spec.priority,
            functools.partial(self._load, adapter, self._options),
            functools.partial(self._unload, spec.name),
            spec.triggers,
            self._idle_seconds.get(spec.name),
            spec.name in self._always,
            smaller=functools.partial(self._load, adapter, replace(self._options, allow_slower=True)),
            measure=None if self._probe is None else functools.partial(self._probe.measure, adapter, self._options),
        )

    def _load(self, adapter: type[Adapter[Any]], options: LoadOptions) -> LoadedModel:
        """In a thread: load and answer once, so that the first caller does not pay for the engine's first call."""
        if self._probe is not None:
            options = replace(options, rejected=self._probe.rejected(adapter.SPEC.name))
        loaded = load(adapter, options)
        try:
            loaded.warm_up()
        except Exception as error:
            loaded.close()
            if isinstance(error, LoadFailed):
                raise
            raise LoadFailed(f"{adapter.SPEC.name} was loaded and cannot answer: {error}") from error
        self._loaded[adapter.SPEC.name] = loaded
        return loaded

    def _unload(self, name: str, loaded: LoadedModel) -> None:
        self._loaded.pop(name, None)
        loaded.close()


def memory_of(options: LoadOptions) -> Memory:
    """The memory of the device that models are loaded on."""
    device = "cpu"
    with contextlib.suppress(SettingsError):  # a device that does not exist is told by each load
        device = resolve_device(options.device, options.engines)
    return memory_for(device)


def _manager(options: LoadOptions, budget_mb: int | None, clock: Callable[[], float]) -> OnDemandModelManager:
    """A manager for this process: without a budget, models leave only when memory is really short."""
    memory = memory_of(options)
    budget = int(memory.free_bytes() * FREE_SHARE / MIB) if budget_mb is None else budget_mb
    return OnDemandModelManager(budget, memory=memory, clock=clock)


def _deliver(loop: asyncio.AbstractEventLoop, answered: asyncio.Future[list[Outcome]], outcomes: list[Outcome]) -> None:
    """From a worker's thread; the first outcomes count."""

    def settle() -> None:
        if not answered.done():
            answered.set_result(outcomes)

    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(settle)


def _ran_out(outcomes: list[Outcome]) -> bool:
    return isinstance(outcomes[0].error, OutOfMemory)
