"""One kept connection to a service, and requests as forms."""

from __future__ import annotations

import http.client
import time
from collections.abc import Sequence
from typing import Any

import orjson

from benchmarks.processes import MeasurementFailed
from benchmarks.serving.http_load import HOST
from benchmarks.serving.servers import START_S

_MULTIPART = "hearthwatch"


class Client:
    """One kept connection.

    Args:
        port: of the service, on this machine.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection(HOST, port, timeout=START_S)

    def wait(self) -> None:
        """Until the models that load at start are there.

        Raises:
            MeasurementFailed: they take too long.
        """
        until = time.perf_counter() + START_S
        while self._request("GET", "/readyz")[0] != 200:
            if time.perf_counter() > until:
                raise MeasurementFailed("the models did not load in time")
            time.sleep(0.1)

    def get(self, path: str) -> Any:
        """The parsed answer.

        Raises:
            MeasurementFailed: it is not 200.
        """
        return self._parsed(path, *self._request("GET", path))

    def post(self, path: str, body: bytes, content_type: str) -> Any:
        """Likewise."""
        return self._parsed(path, *self._request("POST", path, body, content_type))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _parsed(self, path: str, status: int, content: bytes) -> Any:
        if status != 200:
            raise MeasurementFailed(f"{path} answered {status}: {content[:200]!r}")
        return orjson.loads(content)

    def _request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Content-Type": kind} if kind else {})
        answer = self._connection.getresponse()
        return answer.status, answer.read()


def form(picture: bytes, fields: Sequence[tuple[str, str]]) -> tuple[bytes, str]:
    """A picture and fields as a form, and its media type."""
    parts = [b'Content-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n' + picture]
    parts += [f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'.encode() for name, value in fields]
    mark = f"--{_MULTIPART}".encode()
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return body, f"multipart/form-data; boundary={_MULTIPART}"
