"""Where services are to listen: ports, addresses, and who could reach them there."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from hearthwatch.errors import SettingsError
from hearthwatch.services import Service
from hearthwatch.settings import Settings


@dataclass(frozen=True, slots=True)
class Ports:
    """Where services are to listen.

    Attributes:
        host: address; None: HOST, else this machine only.
        port: of a single service; None: PORT, else its documented one.
        offset: added to every documented port.
    """

    host: str | None = None
    port: int | None = None
    offset: int = 0


def port_numbers(chosen: Sequence[Service], port: int | None, offset: int) -> dict[str, int]:
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


def check_exposure(address: str, settings: Settings) -> None:
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


def url(address: str, port: int) -> str:
    """The address as a browser takes it."""
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
