"""Who is let in: hosts, pages of other sites, keys."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from hearthwatch.serving.guard import PROBES, Access, Guard, foreign_page, is_allowed_host

HOST = (b"host", b"127.0.0.1:8096")


async def welcome(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b'{"code": "welcome"}'})


def ask(access: Access, path: str, *headers: tuple[bytes, bytes]) -> tuple[int, dict[str, Any], dict[bytes, bytes]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "headers": list(headers), "query_string": b""}
    asyncio.run(Guard(welcome, access)(scope, receive, send))
    return sent[0]["status"], orjson.loads(sent[1]["body"]), dict(sent[0]["headers"])


@pytest.mark.parametrize(
    "host",
    ["localhost:8096", "127.0.0.1", "[::1]:8096", "192.168.1.20:8096", "[fe80::1]:80", "ai-enrichment-light:8096",
     "nas.local", "hearthwatch.lan:1", "LOCALHOST"],
)  # fmt: skip
def test_names_that_no_stranger_can_own_are_served(host: str) -> None:
    assert is_allowed_host(host)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "a.b:8096", "localhost.evil.example", "[::1"]
)
def test_a_name_of_the_internet_is_not_served(host: str) -> None:
    assert not is_allowed_host(host)


def test_a_name_that_was_allowed_is_served() -> None:
    assert is_allowed_host("watch.example.org:443", {"watch.example.org"})


@pytest.mark.parametrize(
    "headers",
    [{b"sec-fetch-site": b"cross-site"}, {b"origin": b"https://evil.example"}, {b"origin": b"null"},
     {b"origin": b"http://127.0.0.1:9000"}, {b"origin": b"http://[::1"}],
)  # fmt: skip
def test_a_page_of_another_site_is_told_apart(headers: dict[bytes, bytes]) -> None:
    assert foreign_page(headers, "127.0.0.1:8096")


@pytest.mark.parametrize(
    "headers",
    [{}, {b"sec-fetch-site": b"same-origin", b"origin": b"http://127.0.0.1:8096"}, {b"sec-fetch-site": b"none"}],
)
def test_programs_and_the_services_own_page_are_not_foreign(headers: dict[bytes, bytes]) -> None:
    assert foreign_page(headers, "127.0.0.1:8096") is None


def test_without_a_key_everybody_on_this_machine_is_let_in() -> None:
    assert (ask(Access(), "/pose-analyze", HOST))[0] == 200


@pytest.mark.parametrize(
    "header", [(b"x-api-key", b"secret"), (b"authorization", b"Bearer secret"), (b"authorization", b"bearer  secret")]
)
def test_the_key_opens_in_either_header(header: tuple[bytes, bytes]) -> None:
    assert (ask(Access("secret"), "/pose-analyze", HOST, header))[0] == 200


@pytest.mark.parametrize(
    "header",
    [
        (b"x-api-key", b"secre"),
        (b"x-api-key", b""),
        (b"x-api-key", "sécret".encode()),
        (b"authorization", b"Basic secret"),
        (b"x-none", b""),
    ],
)
def test_a_wrong_or_missing_key_is_told(header: tuple[bytes, bytes]) -> None:
    status, body, headers = ask(Access("secret"), "/pose-analyze", HOST, header)
    assert (status, body["code"]) == (401, "unauthorized")
    assert headers[b"www-authenticate"] == b"Bearer"
    assert "secret" not in body["detail"]


@pytest.mark.parametrize("path", sorted(PROBES))
def test_probes_need_no_key(path: str) -> None:
    assert (ask(Access("secret"), path, HOST))[0] == 200


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/openapi.json", "/models", "/models/unload", "/metrics", "/health/", "/nothing", "//health"]
)
def test_everything_else_needs_one(path: str) -> None:
    assert (ask(Access("secret"), path, HOST))[0] == 401


def test_metrics_have_a_switch_of_their_own() -> None:
    assert (ask(Access("secret", open_metrics=True), "/metrics", HOST))[0] == 200


@pytest.mark.parametrize("path", ["/pose-analyze", "/health"])
def test_a_foreign_page_is_refused_with_the_right_key_too(path: str) -> None:
    status, body, _ = ask(Access("secret"), path, HOST, (b"x-api-key", b"secret"), (b"sec-fetch-site", b"cross-site"))
    assert (status, body["code"]) == (403, "cross_site")


def test_another_host_is_refused_and_the_message_says_how_to_allow_it() -> None:
    status, body, _ = ask(Access(), "/health", (b"host", b"rebound.example:8096"))
    assert (status, body["code"]) == (403, "cross_site")
    assert "rebound.example" in body["detail"]
    assert "HEARTHWATCH_ALLOWED_HOSTS" in body["detail"]
