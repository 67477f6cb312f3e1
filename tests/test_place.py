"""What counts as this machine or its private network, and that nothing else is taken for it."""

from __future__ import annotations

import asyncio

import pytest

from hearthwatch.errors import ServiceUnreachable
from hearthwatch.risk.dialects import CHAT, COMPLETION, dialect_of
from hearthwatch.risk.place import Url, is_near, place_of


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.20", "169.254.3.4", "::1",
     "fd00::1", "fe80::1", "fe80::1%eth0", "::ffff:192.168.1.20"],
)  # fmt: skip
def test_this_machine_and_its_network_are_near(address: str) -> None:
    assert is_near(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "172.15.0.1", "172.32.0.1", "192.169.0.1", "100.64.0.1", "0.0.0.1", "192.0.2.1", "224.0.0.1",
     "2001:4860:4860::8888", "::ffff:8.8.8.8", "::", "64:ff9b::7f00:1", "2002:7f00:1::", "ff02::1"],
)  # fmt: skip
def test_everything_else_is_elsewhere(address: str) -> None:
    assert not is_near(address)


@pytest.mark.parametrize(
    ("addresses", "near"),
    [(["127.0.0.1"], True), (["::1", "127.0.0.1"], True), (["192.168.1.2", "8.8.8.8"], False), (["8.8.8.8"], False)],
)
def test_one_address_elsewhere_is_enough(addresses: list[str], near: bool) -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        return addresses

    place = asyncio.run(place_of(Url.of("http://llm.home", "/"), resolver))
    assert (place.addresses, place.is_near) == (tuple(addresses), near)


@pytest.mark.parametrize("given", [OSError("no such name"), []], ids=["unknown", "without addresses"])
def test_a_name_without_addresses_is_unreachable(given: OSError | list[str]) -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        if isinstance(given, OSError):
            raise given
        return given

    with pytest.raises(ServiceUnreachable, match=r"llm\.home"):
        asyncio.run(place_of(Url.of("http://llm.home", "/"), resolver))


def test_the_system_knows_where_this_machine_is() -> None:
    assert asyncio.run(place_of(Url.of("http://localhost:8091", "/"))).is_near


@pytest.mark.parametrize(
    ("text", "whole", "at"),
    [
        ("http://ai-llm:8091", "http://ai-llm:8091/x", "http://10.1.1.1:8091/x"),
        ("https://llm.example", "https://llm.example:443/x", "https://10.1.1.1:443/x"),
        ("http://[::1]:80", "http://[::1]:80/x", "http://10.1.1.1:80/x"),
    ],
)
def test_an_address_keeps_its_parts(text: str, whole: str, at: str) -> None:
    url = Url.of(text, "/x")
    assert (str(url), url.at("10.1.1.1")) == (whole, at)
    assert url.at("::1").startswith(f"{url.scheme}://[::1]:")


@pytest.mark.parametrize("text", ["http://", "http://:80", "http://a:99999"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"host|[Pp]ort"):
        Url.of(text, "/")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://h:1", (CHAT, "/v1/chat/completions")), ("http://h:1/", (CHAT, "/v1/chat/completions")),
        ("http://h:1/v1", (CHAT, "/v1/chat/completions")), ("http://h:1/v1/", (CHAT, "/v1/chat/completions")),
        ("http://h:1/api/v1", (CHAT, "/api/v1/chat/completions")),
        ("http://h:1/openai/chat/completions", (CHAT, "/openai/chat/completions")),
        ("http://h:1/completion", (COMPLETION, "/completion")),
        ("http://h:1/a/completion/", (COMPLETION, "/a/completion")),
    ],
)  # fmt: skip
def test_an_address_says_how_it_is_asked(url: str, expected: object) -> None:
    assert dialect_of(url) == expected
