"""Services that listen: what `serve` and `demo --serve` share, from settings to ports, models and a server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from hearthwatch import __version__
from hearthwatch.adapter.facade import options_from
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.cli.ports import Ports, check_exposure, port_numbers, url
from hearthwatch.cli.terminal import say
from hearthwatch.errors import SettingsError
from hearthwatch.hosting import LocalRunner, Memory, OnDemandModelManager
from hearthwatch.hosting.local import FREE_SHARE, memory_of
from hearthwatch.hosting.probe import probe_in
from hearthwatch.hosting.spec import MIB
from hearthwatch.models import get_model
from hearthwatch.observability import start_profiling
from hearthwatch.services import ASSIGNED, Loading, Service, assign, get_service, models_of, without
from hearthwatch.serving.guard import Access
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.process import HostingMetrics, Process, build_process
from hearthwatch.serving.server import Server, fast_loop, listen
from hearthwatch.settings import Settings, TensorRTSettings

#: Calls at the same time where nobody says: one for each core, as the benchmarks measured best.
_MAX_WORKERS = 8

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listening:
    """Services whose ports are taken and that are about to be served.

    Attributes:
        services: rows of the page.
        settings: of the environment.
        process: with all their models on one runner.
        address: that they listen on.
        sockets: by service name.
    """

    services: tuple[Service, ...]
    settings: Settings
    process: Process
    address: str
    sockets: Mapping[str, socket.socket]

    @property
    def ports(self) -> dict[str, int]:
        """By service name, as they are really listened on."""
        return {name: listening.getsockname()[1] for name, listening in self.sockets.items()}

    def run(
        self,
        started: Callable[[], None],
        *,
        beside: Callable[[], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        """Serve until a signal says stop; returns when all is given back.

        Args:
            started: called once everything answers.
            beside: runs on the same event loop from then on; cancelled where it still does when the stop begins.
        """
        if self.settings.profile:
            name = self.services[0].container if len(self.services) == 1 else "hearthwatch"
            tags = {"environment": self.settings.environment}
            start_profiling(self.settings.pyroscope_url, self.settings.service_name or name, tags)
        with asyncio.Runner(loop_factory=fast_loop()) as loop:
            loop.run(self._serve(started, beside))

    async def _serve(self, started: Callable[[], None], beside: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        tasks: list[asyncio.Task[None]] = []

        def start() -> None:
            started()
            if beside is not None:
                tasks.append(asyncio.create_task(beside()))

        def drain() -> None:
            self.process.status.draining = True
            say(Console(stderr=True), "stopping: finishing what has been taken (again: stop at once)")
            for task in tasks:
                task.cancel()

        drain_s = self.settings.drain_seconds
        app = self.process.on_ports(self.ports, close_s=max(1.0, drain_s))
        server = Server(app, drain_s=drain_s, on_start=start, on_stop=drain)
        # What was imported stays for good. A collection after an unload that looks through all of it holds up every
        # answer: p99 of /health while models come and go was 55 ms, and is 8 ms without.
        gc.collect()
        gc.freeze()
        await server.serve(list(self.sockets.values()))
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


@contextmanager
def listening_services(
    chosen: Sequence[Service],
    settings: Settings,
    options: LoadOptions,
    ports: Ports,
    *,
    beside: Sequence[str] = (),
) -> Iterator[Listening]:
    """Take the ports and put the models on a runner; nothing is loaded yet. The ports are given back at the end.

    Args:
        chosen: what is to be served.
        settings: of the environment.
        options: of loading, as `serving_options` gives them.
        ports: where.
        beside: further models that the runner offers, which no route here has.

    Raises:
        SettingsError: a port that is taken or does not exist, an address that others can reach without a key, or
            settings that contradict each other.
    """
    address = ports.host or settings.host
    check_exposure(address, settings)
    homes = _homes(settings)
    chosen = without(assign(chosen, homes), settings.switched_off)
    numbers = port_numbers(chosen, ports.port if ports.port is not None else settings.port, ports.offset)
    with ExitStack() as held:
        sockets = {}
        for service in chosen:
            sockets[service.name] = held.enter_context(listen(address, numbers[service.name]))
        process = _process(chosen, settings, options, beside, homes)
        yield Listening(chosen, settings, process, address, sockets)


def serving_options(chosen: Sequence[Service], settings: Settings, device: str | None = None) -> LoadOptions:
    """What the environment says about loading; in a served process TensorRT is on unless it says otherwise.

    Raises:
        SettingsError: services that want different devices.
    """
    specs = [get_model(name).SPEC for name in models_of(chosen)]
    options = options_from(settings, *specs)
    devices = {device or settings.service_device(service.name) for service in chosen}
    if len(devices) > 1:
        raise SettingsError(f"one process has one device; asked for are {', '.join(sorted(devices))}")
    tensorrt = {name: replace(given, use=given.use is not False) for name, given in options.tensorrt.items()}
    tensorrt |= {spec.name: TensorRTSettings(use=True) for spec in specs if spec.tensorrt and spec.name not in tensorrt}
    return replace(options, device=devices.pop(), tensorrt=tensorrt)


def say_where(console: Console, listening: Listening) -> None:
    """What is served, and where."""
    say(console, f"hearthwatch {__version__} serves")
    for name, port in listening.ports.items():
        say(console, f"  {name:<8} {url(listening.address, port)}  (routes: /docs, state: /health)")


def leave(code: int = 0) -> None:
    """End now where a thread of a load or a call cannot be stopped: all that was promised is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(
        thread.is_alive() and not thread.daemon and thread is not threading.main_thread()
        for thread in threading.enumerate()
    ):
        os._exit(code)


def _process(
    chosen: Sequence[Service],
    settings: Settings,
    options: LoadOptions,
    beside: Sequence[str],
    homes: Mapping[str, str],
) -> Process:
    hosting = HostingMetrics()
    names = models_of(chosen)
    offered = tuple(dict.fromkeys((*names, *beside)))
    threads = settings.workers or min(os.cpu_count() or 1, _MAX_WORKERS)
    always = names if len(chosen) == 1 and chosen[0].loading is Loading.ALWAYS else ()
    memory, probe = memory_of(options), probe_in(options.cache_dir) if settings.probe else None
    manager = OnDemandModelManager(
        _budget_mb(chosen, offered[len(names) :], settings, memory),
        memory=memory,
        idle_seconds=settings.idle_seconds,
        observer=hosting,
    )
    runner = LocalRunner(
        options,
        [get_model(name) for name in offered],
        threads=threads,
        manager=manager,
        queue_limit=settings.queue_limit,
        max_batch=settings.max_batch,
        probe=probe,
        always=always,
        idle_seconds={name: seconds for name in offered if (seconds := settings.idle_seconds_of(name)) is not None},
    )
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return build_process(
        chosen,
        runner,
        hosting,
        preload=_preload(settings, chosen, homes),
        access=Access(key, settings.hosts, settings.open_metrics),
        limits=RequestLimits(timeout_s=settings.request_timeout_s, max_texts=settings.clip_max_texts),
        on_close=None if probe is None else probe.close,
    )


def _budget_mb(chosen: Sequence[Service], beside: Sequence[str], settings: Settings, memory: Memory) -> float:
    """What was asked for, else what services and models document, and then no more than a share of what is free."""
    documented = float(sum(service.budget_mb for service in chosen))
    documented += sum(get_model(name).SPEC.declared_mb for name in beside)
    return settings.memory_budget_mb or min(documented, memory.free_bytes() * FREE_SHARE / MIB)


def _homes(settings: Settings) -> dict[str, str]:
    """The service that preloads and reports a model, by model, where a variable names one."""
    return {model: home for word, model in ASSIGNED.items() if (home := settings.model_service(word)) is not None}


def _preload(settings: Settings, chosen: Sequence[Service], homes: Mapping[str, str]) -> tuple[str, ...]:
    """Canonical names of the preload list, without those that a variable gives to a service of another process.

    Raises:
        SettingsError: a model that is not served here.
    """
    names, served = models_of(chosen), {service.name for service in chosen}
    found: list[str] = []
    for given in settings.preload:
        name = next((name for name in names if given in (name, *get_model(name).SPEC.aliases)), None)
        if name is None:
            raise SettingsError(f"ENRICHMENT_PRELOAD_MODELS names {given!r}; the models here are {', '.join(names)}")
        if name in homes and get_service(homes[name]).name not in served:
            _log.warning("preload model=%s left to the service %s, which is not served here", name, homes[name])
            continue
        found.append(name)
    return tuple(found)
