"""`OnDemandModelManager`: models that load when they are asked for, inside one memory budget.

One event loop owns all state; loaders and unloaders run in threads. A model in use is leased and cannot leave.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from hearthwatch.errors import HearthwatchError
from hearthwatch.hosting.entry import Entry
from hearthwatch.hosting.leases import Leases
from hearthwatch.hosting.ledger import Ledger
from hearthwatch.hosting.loads import Loads
from hearthwatch.hosting.memory import Memory, memory_for
from hearthwatch.hosting.meter import Meter
from hearthwatch.hosting.observer import Observer, Unobserved
from hearthwatch.hosting.proxy import ModelProxy
from hearthwatch.hosting.room import Room
from hearthwatch.hosting.spec import MIB, ModelSpec
from hearthwatch.hosting.status import ModelState, ModelStatus
from hearthwatch.hosting.triggers import triggered
from hearthwatch.hosting.unloads import Unloads
from hearthwatch.runtimes.memory import release_memory

#: Seconds at most between two looks for idle models.
_LOOK_S = 30.0


class OnDemandModelManager:
    """Loads models on demand, within a budget. Everything but a proxy belongs to one event loop.

    Args:
        vram_budget_mb: MiB for all models together; main memory where the device has none of its own.
        device: auto (None), cpu, gpu, npu or cuda:N, for `memory`.
        memory: what the device has free and in use; None reads that of `device`.
        clock: seconds; deadlines are on it.
        idle_seconds: a model that is unused for so long is unloaded by `cleanup_idle_models`; 0: never.
        observer: told of loads and unloads.
        load_threads: loads that may run at the same time.
        executor: where loaders and unloaders run; None makes threads. It is the caller's to shut down.
        trim: gives back what this process keeps of memory that an unloader has freed; runs where that ran.
    """

    def __init__(
        self,
        vram_budget_mb: float = 3500,
        device: str | None = None,
        *,
        memory: Memory | None = None,
        clock: Callable[[], float] = time.monotonic,
        idle_seconds: float = 300.0,
        observer: Observer | None = None,
        load_threads: int = 2,
        executor: Executor | None = None,
        trim: Callable[[], None] = release_memory,
    ) -> None:
        self.memory = memory or memory_for(device)
        self.vram_budget_mb = vram_budget_mb
        self.idle_seconds = idle_seconds
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._own_threads = executor is None
        # Measuring beside loading, and always one that can unload.
        threads = executor or ThreadPoolExecutor(2 * load_threads + 1, thread_name_prefix="load")
        self._executor = threads
        self._ledger = ledger = Ledger(round(vram_budget_mb * MIB))
        meter, told = Meter(self.memory, trim), observer or Unobserved()
        self._unloads = Unloads(ledger, meter, threads, told, clock, self._ended)
        self._room = Room(ledger, self.memory, self._entries, self._evict, clock, load_threads)
        self._loads = Loads(ledger, self._room, meter, threads, told, clock, load_threads, self._ended)
        self._leases = Leases(self._entries, self._room, self._loads, clock, self._ended)
        self._news = asyncio.Event()

    def register_model(self, spec: ModelSpec) -> None:
        """Make a model known; nothing is loaded. A cold one of the same name is replaced.

        Raises:
            ValueError: one of that name is loaded or loading.
        """
        known = self._entries.get(spec.name)
        if known is not None and (known.load is not None or spec.name in self._ledger.charges):
            raise ValueError(f"{spec.name} is {known.state}; unload it before it is registered again")
        self._entries[spec.name] = Entry(spec)

    @property
    def model_specs(self) -> dict[str, ModelSpec]:
        """What was registered, by name."""
        return {name: entry.spec for name, entry in self._entries.items()}

    @asynccontextmanager
    async def lease(self, name: str, deadline: float | None = None) -> AsyncIterator[Any]:
        """The loaded model, for as long as the block lasts; loads it where it is not. A ready one is given at once.

        Do not unload a model, nor wait for a second one, inside its own block: both may wait for the block to end.

        Args:
            name: the canonical name.
            deadline: on the manager's clock (`time.monotonic`); None waits.

        Raises:
            UnknownModel: a ValueError.
            BudgetTooSmall: a RuntimeError; it cannot fit, even alone.
            WeightsMissing, LoadFailed, OutOfMemory and what else its loader raised: now, or a short time ago;
                `retry_after_s` says when it is tried again.
            StillLoading: the deadline passed; a load that has begun goes on.
            DeadlineExceeded: it had passed before.
            Draining: the manager takes no new work.
        """
        model = await self._leases.acquire(name, deadline)
        try:
            yield model
        finally:
            del model
            self._leases.release(name)

    async def get_model(self, name: str) -> Any:
        """A proxy of the model, which is loaded; it takes a lease for the length of each call, from any thread.

        Raises what `lease` does.
        """
        async with self.lease(name):
            return ModelProxy(self._leases, asyncio.get_running_loop(), name)

    async def get_models_for_detection(
        self, detection_type: str, face_visible: bool = False, suspicious: bool = False
    ) -> dict[str, Any]:
        """Proxies of the models for a detection, CRITICAL first.

        Args:
            detection_type: a class, or person, vehicle, animal.
            face_visible: models that need a face are for detections that show one.
            suspicious: likewise.

        Returns:
            By name. What fits the budget together is loaded; the rest loads when it is called. A model that could not
            be loaded is absent, and `status(name)` has the reason.
        """
        specs = triggered(self.model_specs.values(), detection_type, face_visible=face_visible, suspicious=suspicious)
        can = [self._entries[spec.name] for spec in specs]
        can = [entry for entry in can if entry.model is not None or self._leases.refusal(entry) is None]
        together: list[str] = []
        left = self._ledger.budget
        for entry in can:
            if entry.expected.peak_bytes <= left:
                together.append(entry.name)
                left -= entry.expected.resident_bytes
        # Nobody keeps one while waiting for the next: two that do so would wait for each other.
        failed = {name for name, error in (await self.preload(together)).items() if error is not None}
        loop = asyncio.get_running_loop()
        return {entry.name: ModelProxy(self._leases, loop, entry.name) for entry in can if entry.name not in failed}

    async def preload(self, names: Iterable[str]) -> dict[str, HearthwatchError | None]:
        """Load models without using them, CRITICAL first.

        Returns:
            By name: None where it was loaded, else why not.

        Raises:
            UnknownModel: one of them is; nothing is loaded.
        """
        entries = sorted(map(self._leases.entry, names), key=lambda entry: entry.spec.priority)
        errors = await asyncio.gather(*(self._leases.attempt(entry.name) for entry in entries))
        return {entry.name: error for entry, error in zip(entries, errors, strict=True)}

    async def relieve(self, name: str) -> int:
        """A model in use ran out of memory: make idle others leave and wait until that is measured.

        Returns:
            Bytes that came back. The caller, who holds a lease, tries again.
        """
        cost = self._leases.entry(name).expected
        return await self._room.relieve(self._entries[name], cost.peak_bytes - cost.resident_bytes)

    async def unload_model(self, name: str) -> int:
        """Unload a model as soon as nobody uses it; who asks for it meanwhile waits and gets it loaded again.

        Returns:
            Bytes that came back, as measured; 0 where it was not loaded.
        """
        return await asyncio.shield(self._unloads.ask(self._leases.entry(name), "asked"))

    async def unload_all(self) -> int:
        """Unload every model as `unload_model` does; the bytes that came back."""
        return sum(await asyncio.gather(*map(self.unload_model, self._entries)))

    async def cleanup_idle_models(self, idle_seconds: float | None = None) -> list[str]:
        """Unload what was not used for `idle_seconds`.

        Args:
            idle_seconds: for models that have no time of their own; None: the manager's, where 0 is never. An explicit
                0 unloads all that is idle now.

        Returns:
            Names of those that were unloaded.
        """
        default = idle_seconds if idle_seconds is not None else self.idle_seconds or None
        now = self._clock()
        due = [entry for entry in self._entries.values() if entry.is_due(default, now)]
        await asyncio.gather(*(asyncio.shield(self._unloads.ask(entry, "idle")) for entry in due))
        return [entry.name for entry in due]

    async def periodic_cleanup(self, idle_seconds: float | None = None) -> None:
        """Do so again and again, until it is cancelled. Here 0 is never, as in a setting."""
        default = self.idle_seconds if idle_seconds is None else idle_seconds
        while True:
            times = [default, *(entry.spec.idle_seconds or 0.0 for entry in self._entries.values())]
            await asyncio.sleep(min([_LOOK_S, *(seconds / 4 for seconds in times if seconds > 0)]))
            await self.cleanup_idle_models(default or float("inf"))

    async def drain(self) -> None:
        """Give out no more leases; wait until those who have one, or wait for one, are done."""
        self._leases.closed = True
        while self._leases.any:
            self._news.clear()
            await self._news.wait()

    async def close(self) -> None:
        """Give out nothing more, refuse loads that have not begun, unload all when nobody uses it. Harmless twice."""
        self._leases.closed = True
        await asyncio.gather(*self._loads.close(list(self._entries.values())))
        await self.unload_all()
        if self._own_threads:
            self._executor.shutdown()

    def get_current_vram_usage(self) -> int:
        """MiB that loaded and loading models hold of the budget."""
        return round(self._ledger.charged / MIB)

    @property
    def loaded_models(self) -> dict[str, ModelStatus]:
        """Models in memory, least recently used first."""
        loaded = [entry for entry in self._entries.values() if entry.model is not None]
        return {entry.name: self.status(entry.name) for entry in sorted(loaded, key=lambda entry: entry.last_used or 0)}

    @property
    def states(self) -> dict[str, ModelState]:
        """Where each model is."""
        return {name: entry.state for name, entry in self._entries.items()}

    def status(self, name: str) -> ModelStatus:
        """One model at this moment.

        Raises:
            UnknownModel: nobody registered it.
        """
        entry = self._leases.entry(name)
        too_large = self._room.too_large(entry) if entry.state is ModelState.COLD else None
        return entry.status(self._clock(), self._ledger.charges.get(name, 0), too_large)

    def get_status(self) -> dict[str, Any]:
        """The budget, what is used of it, and each model."""
        return {
            "device": self.memory.device,
            "is_gpu": self.memory.is_gpu,
            "vram_budget_mb": self.vram_budget_mb,
            "vram_used_mb": self.get_current_vram_usage(),
            "device_used_mb": round(self.memory.used_bytes() / MIB),
            "device_free_mb": round(self.memory.free_bytes() / MIB),
            "loaded_models": list(self.loaded_models),
            "models": {name: self.status(name) for name in self._entries},
        }

    def _evict(self, entry: Entry) -> asyncio.Future[int]:
        return self._unloads.ask(entry, "evicted")

    def _ended(self, entry: Entry) -> None:
        """A lease, a wait, a load or an unload of this model ended."""
        self._unloads.proceed(entry)
        self._leases.resume(entry)
        self._room.wake()
        self._news.set()
