"""Where a language model is: on this machine or its private network, or elsewhere.

What is asked about an event tells who lives in a house and when. Its words leave the private network only where
somebody said so. A name is not asked twice: the addresses that were looked at are those that are connected to.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from hearthwatch.errors import ServiceUnreachable

#: A host's name and a port to addresses, in the order in which they are tried.
Resolve = Callable[[str, int], Awaitable[list[str]]]
#: Loopback, private (RFC 1918), link-local (RFC 3927), and the same of IPv6 (RFC 4291, 4193). Shared address space
#: (RFC 6598) is a provider's, and a name for "this host" (0.0.0.0) is no place: neither is on the list.
NEAR = tuple(
    map(
        ip_network,
        ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "::1/128", "fc00::/7",
         "fe80::/10"),
    )
)  # fmt: skip
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Place:
    """A server's addresses at one moment.

    Attributes:
        addresses: at least one, in the order in which they are tried.
        is_near: all of them are of this machine or its private network.
    """

    addresses: tuple[str, ...]
    is_near: bool


@dataclass(frozen=True, slots=True)
class Url:
    """An address as somebody wrote it, in its parts.

    Args:
        scheme: http or https.
        host: a name or an address, without brackets.
        path: as requests have it.
    """

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def of(cls, text: str, path: str) -> Url:
        """The parts of an address that `settings.URL` allows, with another path.

        Raises:
            ValueError: no host, or a port that is none.
        """
        parts = urlsplit(text)
        if not parts.hostname:
            raise ValueError(f"{text!r} names no host")
        return cls(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme], path)

    @property
    def authority(self) -> str:
        """Host and port, as the `Host` header has them."""
        return f"{_bracketed(self.host)}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"

    def at(self, address: str) -> str:
        """The same at one address."""
        return f"{self.scheme}://{_bracketed(address)}:{self.port}{self.path}"


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, by the system.

    Raises:
        OSError: it has none.
    """
    rows = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in rows))


async def place_of(url: Url, ask: Resolve = resolve) -> Place:
    """Where that is now.

    Raises:
        ServiceUnreachable: the name has no address.
    """
    try:
        addresses = await ask(url.host, url.port)
    except OSError as error:
        raise ServiceUnreachable(f"{url}: the name {url.host} cannot be resolved: {error}") from error
    if not addresses:
        raise ServiceUnreachable(f"{url}: the name {url.host} has no address")
    return Place(tuple(addresses), all(map(is_near, addresses)))


def is_near(address: str) -> bool:
    """Whether an address is of this machine or its private network.

    Raises:
        ValueError: no address.
    """
    found: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in network for network in NEAR if network.version == found.version)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
