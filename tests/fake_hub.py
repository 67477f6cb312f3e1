"""A model hub on loopback: speaks the hub's protocol over real sockets, and misbehaves on request."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def is_download(self) -> bool:
        return self.method == "GET" and "/resolve/" in self.path


@dataclass
class FakeHub:
    """What the hub holds and how it behaves; `url` is its address while it runs.

    Attributes:
        files: (repository, path) to bytes.
        revisions: (repository, path, revision) to bytes, for revisions that differ from `files`.
        licences: repository to licence; a repository that is missing here has no card.
        gated: repositories that want a login.
        cut_after: for each of the next downloads, the bytes after which the connection breaks; None breaks nothing.
        statuses: for each of the next downloads, a status to answer instead.
        ranges: whether it can continue a download.
        states_sha256: whether it states the digest before the download, as it does for large files.
        is_hub: False leaves out what only a hub answers (a captive portal).
        redirects: sends downloads to another host name, as a content network does.
        commit: what `main` points at.
        stall_after: bytes after which every download waits for `released`.
    """

    files: dict[tuple[str, str], bytes] = field(default_factory=dict)
    revisions: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    licences: dict[str, str] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    cut_after: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    ranges: bool = True
    states_sha256: bool = False
    is_hub: bool = True
    redirects: bool = False
    commit: str = COMMIT
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    requests: list[Request] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def downloads(self) -> list[Request]:
        return [request for request in self.requests if request.is_download]

    def content(self, repository: str, path: str, revision: str) -> bytes | None:
        return self.revisions.get((repository, path, revision), self.files.get((repository, path)))

    @contextmanager
    def running(self) -> Iterator[FakeHub]:
        handler = type("Handler", (_Handler,), {"hub": self})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: ClassVar[FakeHub]
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Requests are recorded, not printed."""

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.hub.lock:
            self.hub.requests.append(Request(self.command, self.path, headers))
        if self.path.startswith("/api/models/"):
            self._card(self.path.removeprefix("/api/models/").partition("/revision/")[0])
        elif "/resolve/" in self.path:
            repository, _, rest = self.path.removeprefix("/cdn").strip("/").partition("/resolve/")
            revision, _, path = rest.partition("/")
            self._file(repository, path, revision)
        else:
            self._send(404, {}, b"")

    def _card(self, repository: str) -> None:
        if repository not in self.hub.licences:
            return self._send(404, {}, b"{}")
        licence = self.hub.licences[repository]
        card = {"id": repository, "sha": COMMIT, "tags": [f"license:{licence}"], "siblings": []}
        return self._send(200, {"Content-Type": "application/json"}, json.dumps(card).encode())

    def _file(self, repository: str, path: str, revision: str) -> None:
        hub = self.hub
        if repository in hub.gated:
            return self._send(401, {"X-Error-Code": "GatedRepo"}, b"")
        if not any(name == repository for name, _ in hub.files):
            return self._send(401, {"X-Error-Code": "RepoNotFound"}, b"")
        body = hub.content(repository, path, revision)
        if body is None:
            return self._send(404, {"X-Error-Code": "EntryNotFound"}, b"")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"ETag": f'"{digest if hub.states_sha256 else digest[:40]}"'}
        if hub.is_hub:
            headers["X-Repo-Commit"] = revision if len(revision) == 40 else hub.commit
        if hub.redirects and not self.path.startswith("/cdn"):
            headers |= {"X-Linked-Etag": headers["ETag"], "X-Linked-Size": str(len(body))}
            headers["Location"] = f"http://localhost:{hub.port}/cdn{self.path}"
            return self._send(302, headers, b"")
        if self.command == "HEAD":
            return self._send(200, headers, body)
        return self._download(headers, body)

    def _download(self, headers: dict[str, str], body: bytes) -> None:
        with self.hub.lock:
            status = self.hub.statuses.pop(0) if self.hub.statuses else 200
            cut = self.hub.cut_after.pop(0) if self.hub.cut_after else None
        if status != 200:
            return self._send(status, {}, b"")
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start and self.hub.ranges:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            status, body = 206, body[start:]
        if self.hub.stall_after is not None:
            return self._stall(headers, body, self.hub.stall_after)
        return self._send(status, headers, body, cut)

    def _stall(self, headers: dict[str, str], body: bytes, after: int) -> None:
        self._send(200, {**headers, "Content-Length": str(len(body))}, body[:after])
        self.wfile.flush()
        self.hub.stalled.set()
        self.hub.released.wait()
        self.close_connection = True

    def _send(self, status: int, headers: Mapping[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
