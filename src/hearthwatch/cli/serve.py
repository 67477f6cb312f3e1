"""`hearthwatch serve`: services on their documented ports, in one process, with one memory budget."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.cli.listening import leave, listening_services, say_where, serving_options
from hearthwatch.cli.ports import Ports
from hearthwatch.cli.terminal import say
from hearthwatch.errors import WeightsError
from hearthwatch.models import get_model
from hearthwatch.services import get_services
from hearthwatch.settings import read_settings

EXAMPLES = """Examples:

  hearthwatch serve                          all services, each on its documented port

  hearthwatch serve light                    pose, weapons, re-identification, pets and depth on 8096

  hearthwatch serve enrichment               the heavy service: also vehicles, demographics, distances, on 8094

  hearthwatch serve light detector --port-offset 1000

  curl --data-binary @porch.jpg -H 'Content-Type: image/jpeg' http://127.0.0.1:8096/pose-analyze

Each service shows its routes at /docs and its state at /health. Models load on their first request. Ctrl-C or SIGTERM
finishes what has been taken and stops.
"""


def serve(
    services: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SERVICE...]", help="detector, clip, enrichment, light; all where none is named."),
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
    logging.getLogger("hearthwatch").setLevel(min(logging.getLogger().level, logging.WARNING))
    options = serving_options(chosen, settings, device)
    with listening_services(chosen, settings, options, Ports(host, port, port_offset)) as listening:

        def tell() -> None:
            console = Console(stderr=True)
            say_where(console, listening)
            for model in listening.process.runner.offered:
                say(console, f"  {model:<18} {_weights(options, model)}")
            for remark in options.remarks():
                say(console, remark)
            say(console, "Ctrl-C stops.")

        listening.run(tell)
    leave()


serve.__doc__ = f"{serve.__doc__}\n\n{EXAMPLES}"


def _weights(options: LoadOptions, model: str) -> str:
    try:
        found = find(get_model(model), options)
    except WeightsError as error:
        remedy = getattr(error, "remedy", "") or str(error)
        return f"no sample weights exist. {remedy}" if getattr(error, "sample", False) else f"no weights: {remedy}"
    return f"{Path(found.path).name} ({found.how})"
