"""Sockets, ports and the life of a process that serves, without a process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearthwatch.errors import SettingsError
from hearthwatch.serving.server import Ports, listen


def named(name: str, seen: list[str]) -> ASGIApp:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(name)

    return app


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


def talk(ports: Ports, scope: Scope, *messages: Message) -> list[Message]:
    """What an application says to these messages."""
    given, said = list(messages), []

    async def receive() -> Message:
        return given.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    asyncio.run(ports(scope, receive, send))
    return said


class TestListening:
    def test_answers_do_not_wait_for_the_clients_acknowledgement(self) -> None:
        with listen("127.0.0.1", 0) as server, socket.create_connection(server.getsockname()):
            connection, _ = server.accept()
            with connection:
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    def test_both_kinds_of_addresses_are_listened_on(self) -> None:
        with listen("127.0.0.1", 0) as four:
            assert four.family == socket.AF_INET
        try:
            six = listen("::1", 0)
        except SettingsError:
            pytest.skip("this machine has no IPv6 loopback")
        with six:
            assert six.family == socket.AF_INET6

    def test_a_port_that_is_taken_is_named_with_a_way_out(self) -> None:
        with listen("127.0.0.1", 0) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(SettingsError, match=rf"127\.0\.0\.1:{port}.*--port-offset"):
                listen("127.0.0.1", port)

    def test_an_address_of_another_machine_is_named(self) -> None:
        with pytest.raises(SettingsError, match=r"192\.0\.2\.1"):
            listen("192.0.2.1", 0)


class TestPorts:
    def test_requests_go_to_the_application_of_their_port(self) -> None:
        seen: list[str] = []
        ports = Ports({8090: named("detector", seen), 8096: named("light", seen)}, nothing)
        for port in (8096, 8090, 8096):
            talk(ports, {"type": "http", "server": ("127.0.0.1", port)})
        assert seen == ["light", "detector", "light"]

    def test_web_sockets_are_closed(self) -> None:
        said = talk(Ports({}, nothing), {"type": "websocket", "server": ("127.0.0.1", 1)})
        assert said == [{"type": "websocket.close", "code": 1003}]

    def test_the_lifespan_is_entered_once_and_left_once(self) -> None:
        told: list[str] = []

        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            told.append("begin")
            yield
            told.append("end")

        said = talk(Ports({}, life), {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        assert told == ["begin", "end"]
        assert [message["type"] for message in said] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    def test_a_start_that_fails_is_told_to_the_server(self) -> None:
        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            for _ in range(0):
                yield  # what makes it a generator is never reached
            raise OSError("the disk is full")

        said = talk(Ports({}, life), {"type": "lifespan"}, {"type": "lifespan.startup"})
        assert said == [{"type": "lifespan.startup.failed", "message": "OSError: the disk is full"}]

    def test_an_end_that_fails_is_told_as_well(self) -> None:
        @asynccontextmanager
        async def life() -> AsyncIterator[None]:
            yield
            raise OSError("the disk is full")

        said = talk(Ports({}, life), {"type": "lifespan"}, {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
        assert said[-1] == {"type": "lifespan.shutdown.failed", "message": "OSError: the disk is full"}
