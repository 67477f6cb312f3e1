"""The state of the process that serves: since when, draining or not, and its memory, sampled so that nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from hearthwatch.hosting import LocalRunner, ModelState
from hearthwatch.hosting.memory import ProcessMemory
from hearthwatch.hosting.spec import MIB
from hearthwatch.serving.metrics import Readings

#: Between two looks at the device's memory: a driver may take its time, and a health answer may not.
SAMPLE_S = 2.0
GIB = 1 << 30
#: States in which a model answers, in which it is in memory, and in which it may yet come.
SERVING = frozenset({ModelState.READY, ModelState.DEGRADED, ModelState.BUILDING_ENGINE})
IN_MEMORY = SERVING | {ModelState.DRAINING}
ON_THE_WAY = frozenset({ModelState.COLD, ModelState.LOADING})

_log = logging.getLogger(__name__)


class ProcessStatus(Readings):
    """What health, readiness and gauges say.

    Args:
        runner: whose models and memory these are.
        preload: names of models that have to be in memory before the process says that it is ready.
    """

    def __init__(self, runner: LocalRunner, preload: Iterable[str] = ()) -> None:
        self._runner = runner
        self._started = time.monotonic()
        self._device_used = 0
        self._main_memory = ProcessMemory()
        self.preload = tuple(preload)
        self.draining = False

    @property
    def uptime_seconds(self) -> float:
        """Since the process began to serve."""
        return time.monotonic() - self._started

    @property
    def gpu_available(self) -> bool:
        """Whether models run on a GPU."""
        return self._runner.manager.memory.is_gpu

    @property
    def device(self) -> str:
        """Where models run."""
        return self._runner.manager.memory.device

    def gpu_memory_gb(self) -> float:
        return self._device_used / GIB if self.gpu_available else 0.0

    def used_bytes(self) -> float:
        return float(self._runner.manager.get_current_vram_usage() * MIB)

    def budget_bytes(self) -> float:
        return float(self._runner.manager.vram_budget_mb * MIB)

    def anonymous_bytes(self) -> float:
        return float(self._main_memory.used_bytes())

    def is_loaded(self, model: str) -> bool:
        return self._runner.manager.status(model).state in IN_MEMORY

    def waiting(self, model: str) -> float:
        return float(self._runner.waiting(model))

    def unready(self) -> list[str]:
        """Why the process can take no work, as sentences; empty where it can."""
        if self.draining:
            return ["the service is stopping"]
        reasons = []
        for name in self.preload:
            status = self._runner.manager.status(name)
            if status.state in ON_THE_WAY:
                reasons.append(f"{name} is to be loaded first and is {status.state}")
        return reasons

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Look at the device's memory again and again while this is entered."""
        task = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _sample(self) -> None:
        while True:
            try:
                self._device_used = await asyncio.to_thread(self._runner.manager.memory.used_bytes)
            except Exception:  # noqa: BLE001 - the next look may succeed
                _log.exception("the memory of the device cannot be read")
            await asyncio.sleep(SAMPLE_S)
