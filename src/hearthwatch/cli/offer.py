"""What to do next: real weights, which are offered and never forced. Nothing here asks a hub."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.analysis import DETECTOR
from hearthwatch.artifacts.catalog import CatalogEntry, default_entry
from hearthwatch.cli.listening import Listening
from hearthwatch.cli.ports import url
from hearthwatch.cli.terminal import mib, say
from hearthwatch.errors import WeightsError
from hearthwatch.models import MODELS
from hearthwatch.report.text import join
from hearthwatch.settings import Settings


def program() -> str:
    """`hearthwatch` as this person can type it."""
    beside = Path(sys.executable).parent / "hearthwatch"
    if not beside.exists():
        return "hearthwatch"
    found = shutil.which("hearthwatch")
    if found is not None and Path(found).samefile(beside):
        return "hearthwatch"
    here = Path.cwd()
    return str(beside.relative_to(here)) if beside.is_relative_to(here) else str(beside)


def say_next_steps(console: Console, settings: Settings, options: LoadOptions) -> None:
    """How to go on.

    Args:
        console: where.
        settings: of the environment.
        options: of loading; which weights they choose makes no difference.
    """
    call = program()
    absent = _without(replace(options, weights="real"))
    # Each file once: two models may come from one.
    missing = list(dict.fromkeys(entry for name in absent if (entry := default_entry(name)).pullable))
    say(console, "")
    say(console, "How to go on:")
    say(console, f"  {call} analyze your.jpg --out report")
    say(console, f"      {_with_which(missing, options)}")
    if not missing:
        return
    say(console, f"  {call} models pull")
    say(console, f"      fetches the real weights of {_described(missing)}")
    say(console, "      Each is shown with size and licence first. Nothing here needs it, and no hub was asked so far.")
    if settings.license_policy == "permissive" and (refused := [e.model for e in missing if not e.permissive]):
        say(console, f"      HEARTHWATCH_LICENSE_POLICY=permissive refuses those of {join(refused)}.")
    if settings.offline:
        say(console, "      HEARTHWATCH_OFFLINE is set, so nothing can be fetched on this machine.")
    say(console, f"      Where {settings.hf_endpoint} cannot be reached: put the files into {settings.models_dir}")


def say_how_to_ask(console: Console, listening: Listening, picture: Path, options: LoadOptions) -> None:
    """One question to each service that works as it is printed, and what stands behind it.

    Args:
        console: where.
        listening: the services.
        picture: to send.
        options: of loading, as they are served.
    """
    say(console, "")
    say(console, "Ask the services (each shows its routes at /docs and its state at /health):")
    key = """ -H "X-API-Key: $HEARTHWATCH_API_KEY\"""" if listening.settings.api_key else ""
    data = shlex.quote(f"@{picture}")
    absent = _without(options)
    for service in listening.services:
        route = next((route for route in service.routes if route.model and route.model not in absent), None)
        if route is None:
            say(console, f"  {service.name} has no weights yet")
            continue
        address = f"{url(_reachable(listening.address), listening.ports[service.name])}{route.path}"
        say(console, f"  curl --data-binary {data} -H 'Content-Type: image/jpeg'{key} {address}")
    for remark in options.remarks():
        say(console, f"They answer with {remark}.")
    if options.weights == "real" and _has_samples(options):
        say(console, "They answer with your own weights; only the scene above was analysed with the sample ones.")
    say(console, "Serving until Ctrl-C.")


def _reachable(address: str) -> str:
    """An address to ask at, also where the services listen on all of them."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104 - nothing listens here


def _with_which(missing: list[CatalogEntry], options: LoadOptions) -> str:
    """What a photo of this person's would be looked at with now."""
    if not missing:
        return "with real weights"
    if _has_samples(options):
        return "with the sample weights, until real ones are there"
    return "once there are weights: this version brings no sample networks"


def _has_samples(options: LoadOptions) -> bool:
    """Whether sample networks are there: at least the one that everything starts with."""
    return DETECTOR not in _without(replace(options, weights="sample", paths={}, variables={}))


def _described(entries: list[CatalogEntry]) -> str:
    """`8 networks, …` with what is known of sizes and licences."""
    sizes = [entry.size_bytes for entry in entries if entry.size_bytes is not None]
    unknown = len(entries) - len(sizes)
    size = mib(sum(sizes)) if not unknown else f"{mib(sum(sizes))} and {unknown} files whose size the hub tells"
    counted = Counter(entry.licence for entry in entries).most_common()
    licences = join([f"{licence} ({count})" for licence, count in counted])
    return f"{len(entries)} network{'s' if len(entries) > 1 else ''}: {size}; {licences}."


def _without(options: LoadOptions) -> list[str]:
    """Models for which no weights can be found."""
    names = []
    for model in MODELS:
        try:
            find(model, options)
        except WeightsError:
            names.append(model.SPEC.name)
    return names
