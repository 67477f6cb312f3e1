"""Profiling: on where a server answers, one line in the log where none does, and nothing ever waits."""

from __future__ import annotations

import logging
import socket
import sys
from typing import Any

import pytest

from hearthwatch.observability import start_profiling
from hearthwatch.settings import Settings

TAGS = {"environment": "test"}


class Profiler:
    def __init__(self, failure: Exception | None = None) -> None:
        self.started: list[dict[str, Any]] = []
        self.failure = failure

    def __call__(self, **given: Any) -> None:
        if self.failure is not None:
            raise self.failure
        self.started.append(given)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_a_server_that_answers_gets_the_profiles() -> None:
    profiler = Profiler()
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        start_profiling(url, "ai-enrichment-light", TAGS, configure=profiler).join()
    expected = {"application_name": "ai-enrichment-light", "server_address": url, "tags": TAGS}
    assert profiler.started == [expected]


def test_a_server_that_cannot_be_reached_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    profiler = Profiler()
    start_profiling(f"http://127.0.0.1:{closed_port()}", "light", TAGS, configure=profiler).join()
    assert profiler.started == []
    assert len(caplog.records) == 1
    assert "profiling off" in caplog.text


@pytest.mark.parametrize("url", ["", "pyroscope", "http://", "http://[::1", "http://127.0.0.1:port"])
def test_an_address_that_is_none_is_one_line(caplog: pytest.LogCaptureFixture, url: str) -> None:
    start_profiling(url, "light", TAGS, configure=Profiler()).join()
    assert len(caplog.records) == 1


def test_a_profiler_that_fails_or_is_not_installed_is_one_line(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    monkeypatch.setitem(sys.modules, "pyroscope", None)  # what an import of a package that is absent meets
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        start_profiling(url, "light", TAGS, configure=Profiler(RuntimeError("no symbols"))).join()
        start_profiling(url, "light", TAGS).join()
    assert len(caplog.records) == 2
    assert "no symbols" in caplog.text
    assert "hearthwatch[observe]" in caplog.text


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"HEARTHWATCH_CONTAINER": "true"}, True),
        ({"PYROSCOPE_ENABLED": "true"}, True),
        ({"HEARTHWATCH_CONTAINER": "true", "PYROSCOPE_ENABLED": "false"}, False),
    ],
)
def test_it_is_on_in_a_container_unless_somebody_says_otherwise(
    variables: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HEARTHWATCH_CONTAINER", "PYROSCOPE_ENABLED"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Settings().profile is expected
