"""`hearthwatch serve`: services on their documented ports, in one process, with one memory budget."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hearthwatch import __version__
from hearthwatch.adapter.facade import options_from
from hearthwatch.adapter.loading import LoadOptions, find
from hearthwatch.cli.terminal import say
from hearthwatch.errors import SettingsError, WeightsError
from hearthwatch.hosting import LocalRunner, Memory, OnDemandModelManager
from hearthwatch.hosting.local import FREE_SHARE, memory_of
from hearthwatch.hosting.probe import probe_in
from hearthwatch.hosting.spec import MIB
from hearthwatch.models import get_model
from hearthwatch.observability import start_profiling
from hearthwatch.services import Loading, Service, get_services, models_of
from hearthwatch.serving.guard import Access
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.process import HostingMetrics, Process, build_process
from hearthwatch.serving.server import Server, fast_loop, listen
from hearthwatch.settings import Settings, TensorRTSettings, read_settings

EXAMPLES = """Examples:

  hearthwatch serve                          all services, each on its documented port

  hearthwatch serve light                    pose, weapons, re-identification, pets and depth on 8096

  hearthwatch serve light detector --port-offset 1000

  curl --data-binary @porch.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8096/pose-analyze

Each service shows its routes at /docs and its state at /health. Models load on their first request. Ctrl-C or SIGTERM
finishes what has been taken and stops.
"""
#: Calls at the same time where nobody says: one for each core, as the benchmarks measured best.
_MAX_WORKERS = 8

_log = logging.getLogger(__name__)


def serve(
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE...]", help="light, detector; all where none is named.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; else HOST, else this machine only.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port of a single service; else PORT, else its documented one.")
    ] = None,
    port_offset: Annotated[int, typer.Option(help="Added to every documented port.")] = 0,
    device: Annotated[str | None, typer.Option(help="auto, cpu, gpu, npu or cuda:N.")] = None,
) -> None:
    """Serve models over HTTP, on this machine unless told otherwise."""
    settings = read_settings()
    chosen = get_services(services or ())
    address = host or settings.host
    _check_exposure(address, settings)
    ports = _ports(chosen, port if port is not None else settings.port, port_offset)
    logging.getLogger("hearthwatch").setLevel(min(logging.getLogger().level, logging.WARNING))
    sockets = {service.name: listen(address, ports[service.name]) for service in chosen}
    options = _options(chosen, settings, device)
    process = _process(chosen, settings, options)
    if settings.profile:
        tags = {"environment": settings.environment}
        start_profiling(settings.pyroscope_url, settings.service_name or _name_of(chosen), tags)
    try:
        serving = _serve(process, sockets, settings, lambda bound: _tell(process, options, bound, address))
        with asyncio.Runner(loop_factory=fast_loop()) as loop:
            loop.run(serving)
    finally:
        for listening in sockets.values():
            listening.close()
    _leave()


serve.__doc__ = f"{serve.__doc__}\n\n{EXAMPLES}"


async def _serve(
    process: Process,
    sockets: Mapping[str, socket.socket],
    settings: Settings,
    tell: Callable[[Mapping[str, int]], None],
) -> None:
    bound = {name: listening.getsockname()[1] for name, listening in sockets.items()}

    def draining() -> None:
        process.status.draining = True
        say(Console(stderr=True), "stopping: finishing what has been taken (again: stop at once)")

    server = Server(
        process.on_ports(bound, close_s=max(1.0, settings.drain_seconds)),
        drain_s=settings.drain_seconds,
        on_start=lambda: tell(bound),
        on_stop=draining,
    )
    # What was imported stays for good. A collection after an unload that looks through all of it holds up every answer:
    # p99 of /health while models come and go was 55 ms, and is 8 ms without.
    gc.collect()
    gc.freeze()
    await server.serve(list(sockets.values()))


def _process(chosen: Sequence[Service], settings: Settings, options: LoadOptions) -> Process:
    hosting = HostingMetrics()
    names = models_of(chosen)
    threads = settings.workers or min(os.cpu_count() or 1, _MAX_WORKERS)
    always = names if len(chosen) == 1 and chosen[0].loading is Loading.ALWAYS else ()
    memory, probe = memory_of(options), probe_in(options.cache_dir) if settings.probe else None
    manager = OnDemandModelManager(
        _budget_mb(chosen, settings, memory),
        memory=memory,
        idle_seconds=settings.idle_seconds,
        observer=hosting,
    )
    runner = LocalRunner(
        options,
        [get_model(name) for name in names],
        threads=threads,
        manager=manager,
        queue_limit=settings.queue_limit,
        max_batch=settings.max_batch,
        probe=probe,
        always=always,
        idle_seconds={name: seconds for name in names if (seconds := settings.idle_seconds_of(name)) is not None},
    )
    key = settings.api_key.get_secret_value() if settings.api_key else None
    return build_process(
        chosen,
        runner,
        hosting,
        preload=_preload(settings, names),
        access=Access(key, settings.hosts, settings.open_metrics),
        limits=RequestLimits(timeout_s=settings.request_timeout_s),
        on_close=None if probe is None else probe.close,
    )


def _name_of(chosen: Sequence[Service]) -> str:
    """The container's name of a service that is alone."""
    return chosen[0].container if len(chosen) == 1 else "hearthwatch"


def _options(chosen: Sequence[Service], settings: Settings, device: str | None) -> LoadOptions:
    """What the environment says about loading; in a served process TensorRT is on unless it says otherwise."""
    specs = [get_model(name).SPEC for name in models_of(chosen)]
    options = options_from(settings, *specs)
    devices = {device or settings.service_device(service.name) for service in chosen}
    if len(devices) > 1:
        raise SettingsError(f"one process has one device; asked for are {', '.join(sorted(devices))}")
    tensorrt = {name: replace(given, use=given.use is not False) for name, given in options.tensorrt.items()}
    tensorrt |= {spec.name: TensorRTSettings(use=True) for spec in specs if spec.tensorrt and spec.name not in tensorrt}
    return replace(options, device=devices.pop(), tensorrt=tensorrt)


def _budget_mb(chosen: Sequence[Service], settings: Settings, memory: Memory) -> float:
    """What was asked for, else what the services document, and then no more than a share of what is free."""
    documented = float(sum(service.budget_mb for service in chosen))
    return settings.memory_budget_mb or min(documented, memory.free_bytes() * FREE_SHARE / MIB)


def _preload(settings: Settings, names: Sequence[str]) -> tuple[str, ...]:
    """Canonical names of the preload list.

    Raises:
        SettingsError: a model that is not served here.
    """
    found: list[str] = []
    for given in settings.preload:
        name = next((name for name in names if given in (name, *get_model(name).SPEC.aliases)), None)
        if name is None:
            raise SettingsError(f"ENRICHMENT_PRELOAD_MODELS names {given!r}; the models here are {', '.join(names)}")
        found.append(name)
    return tuple(found)


def _ports(chosen: Sequence[Service], port: int | None, offset: int) -> dict[str, int]:
    """The port of each service.

    Raises:
        SettingsError: one port for several services, or a port that does not exist.
    """
    if port is not None:
        if len(chosen) > 1:
            raise SettingsError(f"PORT={port} cannot serve {len(chosen)} services; use --port-offset")
        return {chosen[0].name: port}
    ports = {service.name: service.port + offset for service in chosen}
    for name, number in ports.items():
        if not 1 <= number <= 65535:
            raise SettingsError(f"--port-offset {offset} gives {name} the port {number}; ports are 1 to 65535")
    return ports


def _check_exposure(address: str, settings: Settings) -> None:
    """Refuse to listen to the network without a key, unless somebody said that this is meant.

    Raises:
        SettingsError: it would be open to everybody who can reach this machine.
    """
    if settings.container or settings.api_key or settings.allow_anonymous or _is_loopback(address):
        return
    raise SettingsError(
        f"{address} can be reached by other machines: set HEARTHWATCH_API_KEY to ask them for a key, or "
        "HEARTHWATCH_ALLOW_ANONYMOUS=true to let everybody in"
    )


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


def _tell(process: Process, options: LoadOptions, bound: Mapping[str, int], address: str) -> None:
    """What is served, where, and with which weights."""
    console = Console(stderr=True)
    shown = f"[{address}]" if ":" in address else address
    say(console, f"hearthwatch {__version__} serves")
    for name, port in bound.items():
        say(console, f"  {name:<8} http://{shown}:{port}  (routes: /docs, state: /health)")
    for model in process.runner.offered:
        say(console, f"  {model:<18} {_weights(options, model)}")
    for remark in options.remarks():
        say(console, remark)
    say(console, "Ctrl-C stops.")


def _weights(options: LoadOptions, model: str) -> str:
    try:
        found = find(get_model(model), options)
    except WeightsError as error:
        remedy = getattr(error, "remedy", "") or str(error)
        return f"no sample weights exist. {remedy}" if getattr(error, "sample", False) else f"no weights: {remedy}"
    return f"{Path(found.path).name} ({found.how})"


def _leave() -> None:
    """End now where a thread of a load or a call cannot be stopped: all that was promised is done."""
    sys.stdout.flush()
    sys.stderr.flush()
    if any(
        thread.is_alive() and not thread.daemon and thread is not threading.main_thread()
        for thread in threading.enumerate()
    ):
        os._exit(0)
