"""A device, its models, threads and a clock that a test moves by hand: nothing waits, nothing runs by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from hearthwatch.errors import OutOfMemory
from hearthwatch.hosting.manager import OnDemandModelManager
from hearthwatch.hosting.observer import UnloadReason, Unobserved
from hearthwatch.hosting.spec import MIB, Cost, ModelPriority, ModelSpec


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that goes on when it is told to, with a clock that a test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def step(self) -> None:
        """Run what is ready, and nothing that becomes ready by it."""
        self.call_soon(self.stop)
        self.run_forever()

    def settle(self) -> None:
        """Run everything that can run at this moment."""
        for _turn in range(10_000):
            self.step()
            if not self._ready and self._next() > self.now:  # type: ignore[attr-defined]
                return
        raise AssertionError("it never comes to rest")

    def advance(self, seconds: float) -> None:
        """Let time pass, with every timer in its turn."""
        end = self.now + seconds
        self.settle()
        while (when := self._next()) <= end:
            self.now = max(self.now, when)
            self.settle()
        self.now = end
        self.settle()

    def _next(self) -> float:
        timers = [timer.when() for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        return min(timers, default=float("inf"))


class SimulatedMemory:
    """A device of a known size.

    Attributes:
        capacity: bytes.
        taken: bytes by model, while it loads and while it is loaded.
        elsewhere: bytes that other processes hold, or that were never given back.
        late: bytes that were given back and are not free yet, as a driver may do.
        error: raised by each reading.
    """

    device = "simulated"

    def __init__(self, capacity_mb: float, *, is_gpu: bool = True) -> None:
        self.is_gpu = is_gpu
        self.capacity = round(capacity_mb * MIB)
        self.taken: dict[str, int] = {}
        self.elsewhere = 0
        self.late = 0
        self.error: Exception | None = None

    def used_bytes(self) -> int:
        if self.error is not None:
            raise self.error
        return sum(self.taken.values()) + self.elsewhere + self.late

    def free_bytes(self) -> int:
        return self.capacity - self.used_bytes()


@dataclass(eq=False)
class SimulatedModel:
    """What loads and unloads one model on a simulated device.

    Attributes:
        failures: raised by the next loads, one each; None: that load succeeds.
        leak_mb: that an unload keeps.
        late_mb: that an unload gives back later.
        alive: loaded and not unloaded yet; more than one is a double load.
        had_no_room: the last load ran out of memory.
        slow_to_take: a load takes its memory only at its end.
    """

    name: str
    memory: SimulatedMemory
    resident_mb: float
    peak_mb: float
    failures: list[BaseException | None] = field(default_factory=list)
    leak_mb: float = 0.0
    late_mb: float = 0.0
    loads: int = 0
    measures: int = 0
    alive: int = 0
    had_no_room: bool = False
    slow_to_take: bool = False
    measure_error: BaseException | None = None
    unload_error: BaseException | None = None

    def began(self, kind: str) -> None:
        """A thread took up the work."""
        if kind in {"load", "smaller"} and not self.slow_to_take:
            self.memory.taken[self.name] = round(self.peak_mb * MIB)

    def load(self) -> Loaded:
        self.loads += 1
        failure = self.failures.pop(0) if self.failures else None
        self.had_no_room = isinstance(failure, OutOfMemory)
        if failure is not None:
            self.memory.taken.pop(self.name, None)
            raise failure
        return self._loaded("load")

    def smaller(self) -> Loaded:
        self.loads += 1
        return self._loaded("smaller")

    def measure(self) -> Cost:
        self.measures += 1
        if self.measure_error is not None:
            raise self.measure_error
        return Cost(round(self.resident_mb * MIB), round(self.peak_mb * MIB), "openvino", "bf16", "cpu")

    def unload(self, model: Loaded) -> None:
        self.alive -= 1
        model.closed = True
        self.memory.elsewhere += round(self.leak_mb * MIB)
        self.memory.late += round(self.late_mb * MIB)
        del self.memory.taken[self.name]
        if self.unload_error is not None:
            raise self.unload_error

    def _loaded(self, how: str) -> Loaded:
        self.alive += 1
        self.memory.taken[self.name] = round(self.resident_mb * MIB)
        return Loaded(self.name, how)


@dataclass(eq=False)
class Loaded:
    """A loaded model."""

    name: str
    how: str = "load"
    closed: bool = False
    size = 640

    def predict(self, value: int) -> str:
        assert not self.closed
        return f"{self.name} {value}"

    async def predict_later(self, value: int) -> str:
        await asyncio.sleep(1)
        return self.predict(value)

    def __call__(self, value: int) -> int:
        return 2 * value


@dataclass(eq=False)
class Job:
    """Work that a thread has taken up and that ends when a test says so."""

    name: str
    kind: str
    future: Future[Any]
    call: Callable[[], Any]

    def finish(self) -> None:
        try:
            self.future.set_result(self.call())
        except BaseException as error:  # noqa: BLE001 - as an executor does
            self.future.set_exception(error)


class SimulatedThreads(Executor):
    """Does work of simulated models: at once, or where it is held, when a test says so.

    Attributes:
        held: (model, "load", "smaller", "unload" or "measure"); with `hold_all` everything is.
        jobs: that were taken up and have not ended.
    """

    def __init__(self) -> None:
        self.held: set[tuple[str, str]] = set()
        self.hold_all = False
        self.jobs: list[Job] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        work = next(argument for argument in args if isinstance(getattr(argument, "__self__", None), SimulatedModel))
        model, kind = work.__self__, work.__name__
        job = Job(model.name, kind, Future(), lambda: fn(*args, **kwargs))
        model.began(kind)
        if self.hold_all or (job.name, job.kind) in self.held:
            self.jobs.append(job)
        else:
            job.finish()
        return job.future


@dataclass(eq=False)
class Caller:
    """Somebody who asked for a model, and keeps it until told to leave."""

    name: str
    manager: OnDemandModelManager
    loop: SimulatedLoop
    deadline: float | None
    model: Loaded | None = None
    error: BaseException | None = None

    def __post_init__(self) -> None:
        self._leave = self.loop.create_future()
        self.task = self.loop.create_task(self._run())

    @property
    def waits(self) -> bool:
        return self.model is None and not self.task.done()

    @property
    def holds(self) -> bool:
        return self.model is not None

    def leave(self) -> None:
        """End the lease."""
        self._leave.set_result(None)
        self.loop.settle()
        assert self.task.done()

    def cancel(self) -> None:
        """The client is gone."""
        self.task.cancel()
        self.loop.settle()
        assert self.task.done()

    async def _run(self) -> None:
        try:
            async with self.manager.lease(self.name, self.deadline) as model:
                self.model = model
                await self._leave
        except Exception as error:  # noqa: BLE001 - for the test to look at
            self.error = error
        finally:
            self.model = None


class Log(Unobserved):
    """Remembers what the manager told."""

    def __init__(self) -> None:
        self.loads: list[tuple[str, str]] = []
        self.unloads: list[tuple[str, UnloadReason]] = []
        self.returned: list[tuple[str, float, float]] = []
        self.evictions: list[tuple[str, ModelPriority]] = []

    def loaded(self, model: str, seconds: float, result: str) -> None:
        self.loads.append((model, result))

    def unloaded(self, model: str, reason: UnloadReason, returned_bytes: int, shortfall_bytes: int) -> None:
        self.unloads.append((model, reason))
        self.returned.append((model, returned_bytes / MIB, shortfall_bytes / MIB))

    def evicted(self, model: str, priority: ModelPriority) -> None:
        self.evictions.append((model, priority))


class World:
    """A manager on a simulated device, loop and threads.

    Args:
        budget_mb: of the manager.
        capacity_mb: of the device; None: as large as the budget.
        is_gpu: whether it may give memory back late.
    """

    def __init__(
        self, budget_mb: float = 1000, capacity_mb: float | None = None, *, is_gpu: bool = True, **options: Any
    ) -> None:
        self.loop = SimulatedLoop()
        self.memory = SimulatedMemory(budget_mb if capacity_mb is None else capacity_mb, is_gpu=is_gpu)
        self.threads = SimulatedThreads()
        self.log = Log()
        self.models: dict[str, SimulatedModel] = {}
        self.manager = OnDemandModelManager(
            budget_mb,
            memory=self.memory,
            clock=self.loop.time,
            observer=self.log,
            executor=self.threads,
            trim=lambda: None,
            **options,
        )

    def add(self, name: str, mb: float = 100, priority: int = 3, **options: Any) -> SimulatedModel:
        """A model of a size, that is known by its declared MiB unless `measured=True`.

        Args:
            name: of the model.
            mb: declared, and resident and at the peak where nothing else is said.
            priority: 1 to 4.
            options: `resident_mb` and `peak_mb` of the device, `measured`, `smaller`, and fields of ModelSpec.
        """
        model = SimulatedModel(name, self.memory, options.pop("resident_mb", mb), options.pop("peak_mb", mb))
        if options.pop("measured", False):
            options["measure"] = model.measure
        if options.pop("smaller", False):
            options["smaller"] = model.smaller
        self.models[name] = model
        self.manager.register_model(ModelSpec(name, mb, ModelPriority(priority), model.load, model.unload, **options))
        return model

    def hold(self, name: str, kind: str = "load") -> None:
        """From now on this work ends when `finish` says so."""
        self.threads.held.add((name, kind))

    def finish(self, name: str, kind: str = "load") -> None:
        """End held work that a thread has taken up."""
        (job,) = [job for job in self.threads.jobs if (job.name, job.kind) == (name, kind)]
        self.threads.jobs.remove(job)
        job.finish()
        self.loop.settle()

    def at_work(self, kind: str = "load") -> list[str]:
        """Models whose work of that kind threads have taken up."""
        return [job.name for job in self.threads.jobs if job.kind == kind]

    def ask(self, name: str, within: float | None = None) -> Caller:
        """Somebody asks for a model, and would wait `within` seconds."""
        deadline = None if within is None else self.loop.now + within
        caller = Caller(name, self.manager, self.loop, deadline)
        self.loop.settle()
        return caller

    def use(self, *names: str) -> None:
        """Ask for each in turn, and leave it; a second passes after each."""
        for name in names:
            caller = self.ask(name)
            assert caller.holds, (name, caller.error)
            caller.leave()
            self.loop.advance(1)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """The result of something that need not wait for anything held."""
        task = self.loop.create_task(work)
        self.loop.settle()
        assert task.done(), "it waits"
        return task.result()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin something that may wait."""
        task = self.loop.create_task(work)
        self.loop.settle()
        return task

    def states(self) -> dict[str, str]:
        return {name: str(state) for name, state in self.manager.states.items()}

    def loaded(self) -> set[str]:
        return set(self.manager.loaded_models)

    def end(self) -> None:
        """Drop everything."""
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.settle()
        self.loop.close()


NewWorld = Callable[..., World]
