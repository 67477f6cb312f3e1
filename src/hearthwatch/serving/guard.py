"""Who may ask at all: the `Host`, the page that a browser comes from, the key.

A service on a home machine is reachable by every web page that its owner opens. A page of another site is refused by
what browsers say of themselves (`Sec-Fetch-Site`, `Origin`), and one that hides behind a name of its own that leads to
this machine (DNS rebinding) by the `Host` it was reached under.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from hearthwatch.serving.problems import Refused, problem

#: Answered without a key: what supervisors ask.
PROBES = frozenset({"/livez", "/readyz", "/readiness", "/health"})
METRICS = "/metrics"
#: Names that nobody on the Internet can own: they never lead a foreign page here.
_LOCAL_SUFFIXES = (".localhost", ".local", ".internal", ".home.arpa", ".lan")


@dataclass(frozen=True, slots=True)
class Access:
    """Who is let in.

    Attributes:
        api_key: asked for on every route but the probes; None asks for none.
        hosts: names with dots that the service may be reached under, beside local ones and addresses.
        open_metrics: `/metrics` needs no key.
    """

    api_key: str | None = None
    hosts: frozenset[str] = frozenset()
    open_metrics: bool = False

    def opens(self, headers: dict[bytes, bytes]) -> bool:
        """Whether a request carries the key, compared in constant time; always, where none is asked for."""
        if self.api_key is None:
            return True
        bearer = headers.get(b"authorization", b"")
        given = headers.get(b"x-api-key") or (bearer[7:] if bearer[:7].lower() == b"bearer " else b"")
        return hmac.compare_digest(given.strip(), self.api_key.encode())


class Guard:
    """Refuses before anything is read.

    Args:
        app: the service.
        access: who is let in.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            refusal = self._refusal(scope["path"], headers)
            if refusal is not None:
                await problem(refusal)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refusal(self, path: str, headers: dict[bytes, bytes]) -> Refused | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not is_allowed_host(host, self._access.hosts):
            return Refused(
                403, "cross_site", f"the host {host[:200]!r} is not served; HEARTHWATCH_ALLOWED_HOSTS adds one"
            )
        if (reason := foreign_page(headers, host)) is not None:
            return Refused(403, "cross_site", reason)
        if path in PROBES or (path == METRICS and self._access.open_metrics):
            return None
        if not self._access.opens(headers):
            detail = "a key is required: X-API-Key or Authorization: Bearer"
            return Refused(401, "unauthorized", detail, {"WWW-Authenticate": "Bearer"})
        return None


def is_allowed_host(host: str, more: Collection[str] = ()) -> bool:
    """Whether a `Host` is an address, a name without dots, a local name or one of `more`."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    if not name:
        return False
    if "." not in name or name.endswith(_LOCAL_SUFFIXES) or name in more:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def foreign_page(headers: dict[bytes, bytes], host: str) -> str | None:
    """Why a request comes from a web page of another site; None where it does not, or from no browser."""
    if headers.get(b"sec-fetch-site", b"").lower() == b"cross-site":
        return "requests from web pages of other sites are refused"
    origin = headers.get(b"origin")
    if origin is None:
        return None
    try:
        same = urlsplit(origin.decode("latin-1")).netloc.lower() == host.lower()
    except ValueError:
        same = False
    return None if same else "requests from web pages of other origins are refused"
