"""What every answer carries: an id, the caller's trace, the stages; and a 500 that tells nothing of the inside."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import orjson
import pytest
from starlette.types import Message, Receive, Scope, Send

from hearthwatch.serving.envelope import STAGES, Envelope, exchange

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


async def timed(_scope: Scope, _receive: Receive, send: Send) -> None:
    exchange().stages_ms.update(decode=1.25, infer=10.0)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-own", b"1")]})
    await send({"type": "http.response.body", "body": b""})


def ask(app: Any, *headers: tuple[bytes, bytes]) -> tuple[list[Message], dict[str, str]]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/x", "headers": list(headers)}
    asyncio.run(Envelope(app, "light")(scope, receive, send))
    return sent, {name.decode(): value.decode() for name, value in sent[0]["headers"]}


def test_every_stage_is_told_in_milliseconds() -> None:
    _, headers = ask(timed)
    stages = dict(part.split(";dur=") for part in headers["server-timing"].split(", "))
    assert list(stages) == list(STAGES)
    assert stages["decode"] == "1.25"
    assert stages["queue"] == "0.00"
    assert headers["x-own"] == "1"


def test_the_callers_id_comes_back() -> None:
    assert ask(timed, (b"x-request-id", b"cam-7/42"))[1]["x-request-id"] == "cam-7/42"


@pytest.mark.parametrize("given", [b"", b"two words", b"x" * 129, "caf\u00e9".encode(), b"a\tb"])
def test_an_id_that_does_not_belong_into_a_header_is_replaced(given: bytes) -> None:
    assert re.fullmatch("[0-9a-f]{16}", ask(timed, (b"x-request-id", given))[1]["x-request-id"])


def test_the_trace_of_the_caller_goes_on_with_a_step_of_our_own() -> None:
    version, trace, parent, flags = ask(timed, (b"traceparent", PARENT))[1]["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert parent != "b7ad6b7169203331"


@pytest.mark.parametrize(
    "given", [b"", b"00-" + b"0" * 32 + b"-b7ad6b7169203331-01", PARENT.upper(), b"ff" + PARENT[2:], PARENT[:-1]]
)
def test_a_trace_that_is_none_begins_anew(given: bytes) -> None:
    trace = ask(timed, (b"traceparent", given))[1]["traceparent"].split("-")[1]
    assert trace != TRACE
    assert re.fullmatch("[0-9a-f]{32}", trace)


def test_two_requests_do_not_share_their_stages() -> None:
    async def quiet(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    ask(timed)
    assert "infer;dur=0.00" in ask(quiet)[1]["server-timing"]


def test_what_nobody_foresaw_is_a_500_without_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise RuntimeError("the password is swordfish")

    sent, headers = ask(broken)
    assert sent[0]["status"] == 500
    body = orjson.loads(sent[1]["body"])
    assert body["code"] == "internal"
    assert "swordfish" not in sent[1]["body"].decode()
    assert "server-timing" in headers
    assert "swordfish" in caplog.text


def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    sent: list[Message] = []

    async def half(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request"}

    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/x", "headers": []}
    with pytest.raises(RuntimeError):
        asyncio.run(Envelope(half, "light")(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start"]


def test_what_is_not_http_passes_through() -> None:
    seen: list[str] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(_message: Message) -> None:
        return

    asyncio.run(Envelope(app, "light")({"type": "lifespan"}, receive, send))
    assert seen == ["lifespan"]
