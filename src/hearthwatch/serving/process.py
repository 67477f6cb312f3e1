"""A process that serves: one runner, one memory budget, and a desk for each service."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.types import ASGIApp

from hearthwatch.enrichment.texts import TextEmbeddings
from hearthwatch.errors import HearthwatchError
from hearthwatch.hosting import LocalRunner, ModelPriority, Observer
from hearthwatch.hosting.observer import UnloadReason
from hearthwatch.services import Loading, Service
from hearthwatch.serving.app import build_app
from hearthwatch.serving.desk import Desk
from hearthwatch.serving.guard import Access
from hearthwatch.serving.limits import Intake, RequestLimits
from hearthwatch.serving.metrics import ServiceMetrics
from hearthwatch.serving.pictures import SharedPictures
from hearthwatch.serving.server import Ports
from hearthwatch.serving.status import ProcessStatus

_log = logging.getLogger(__name__)


class HostingMetrics(Observer):
    """Counts what happens to models, in the registries of the services that have them."""

    def __init__(self) -> None:
        self._services: list[tuple[frozenset[str], ServiceMetrics]] = []

    def add(self, models: Iterable[str], metrics: ServiceMetrics) -> None:
        """Count these models in that registry as well."""
        self._services.append((frozenset(models), metrics))

    def loaded(self, model: str, seconds: float, result: str) -> None:
        for metrics in self._of(model):
            metrics.loaded(model, seconds, result)

    def unloaded(self, model: str, reason: UnloadReason, returned_bytes: int, shortfall_bytes: int) -> None:  # noqa: ARG002
        for metrics in self._of(model):
            metrics.unloaded(model, reason, shortfall_bytes)

    def evicted(self, model: str, priority: ModelPriority) -> None:
        for metrics in self._of(model):
            metrics.evicted(model, priority.name)

    def _of(self, model: str) -> list[ServiceMetrics]:
        return [metrics for models, metrics in self._services if model in models]


@dataclass(frozen=True, slots=True)
class Process:
    """What is served.

    Attributes:
        apps: application by service name.
        status: of the process.
        runner: of all services.
        on_close: called when nothing more is to be answered, before the models are given back.
        pictures: that requests are about at the same time.
    """

    apps: Mapping[str, ASGIApp]
    status: ProcessStatus
    runner: LocalRunner
    on_close: Callable[[], object] | None = None
    pictures: SharedPictures = field(default_factory=SharedPictures)

    def on_ports(self, ports: Mapping[str, int], *, close_s: float) -> Ports:
        """All services as one application.

        Args:
            ports: by service name, as they are really listened on.
            close_s: seconds that giving the models back may take.
        """
        apps = {port: self.apps[name] for name, port in ports.items()}
        return Ports(apps, lambda: self.lifespan(close_s=close_s))

    @asynccontextmanager
    async def lifespan(self, *, close_s: float = 30.0) -> AsyncIterator[None]:
        """Sampling, preloading and idle unloading while it is entered; everything is given back at its end."""
        async with self.status.sampling():
            tasks = [asyncio.create_task(self._preload()), asyncio.create_task(self.runner.manager.periodic_cleanup())]
            try:
                yield
            finally:
                self.status.draining = True
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                if self.on_close is not None:
                    self.on_close()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(close_s):
                        await self.runner.close()
                        await self.runner.manager.close()

    async def _preload(self) -> None:
        """One after the other, the most important first; one that fails is told and costs only itself."""
        for name in self.status.preload:
            try:
                await self.runner.load(name)
            except HearthwatchError as error:
                _log.warning("preload model=%s failed=%s reason=%s", name, error.code, error)


def build_process(
    services: Sequence[Service],
    runner: LocalRunner,
    hosting: HostingMetrics,
    *,
    preload: Sequence[str] = (),
    access: Access | None = None,
    limits: RequestLimits | None = None,
    on_close: Callable[[], object] | None = None,
) -> Process:
    """Put services on a runner.

    Args:
        services: rows of the page.
        runner: that offers all their models and reports to `hosting`.
        hosting: gets the services' registries.
        preload: models to load at start, beside those of a service that is alone and always loaded.
        access: who is let in.
        limits: of requests.
        on_close: as `Process`.
    """
    always = services[0].models if len(services) == 1 and services[0].loading is Loading.ALWAYS else ()
    status = ProcessStatus(runner, dict.fromkeys((*always, *preload)))
    apps: dict[str, ASGIApp] = {}
    intake = Intake()
    texts = TextEmbeddings(runner)
    pictures = SharedPictures()
    for service in services:
        metrics = ServiceMetrics(service, status)
        hosting.add(service.models, metrics)
        limits = limits or RequestLimits()
        desk = Desk(service, runner, status, metrics, limits, intake, texts, pictures=pictures)
        apps[service.name] = build_app(desk, access)
    return Process(apps, status, runner, on_close, pictures)
