"""What the environment says to a client, and what is said by hand."""

from __future__ import annotations

import asyncio
import os

import pytest

from hearthwatch.client import BreakerLimits, ClientConfig, EnrichmentClient, RetryPolicy
from hearthwatch.client import capabilities as ask
from hearthwatch.errors import SettingsError
from hearthwatch.services import ASSIGNED

DEFAULT = ClientConfig(
    urls={
        "enrichment": "http://ai-enrichment:8094",
        "light": "http://ai-enrichment-light:8096",
        "clip": "http://ai-clip:8093",
        "yolo26": "http://ai-yolo26:8090",
    },
    homes=dict.fromkeys(ASSIGNED.values(), "light"),
)


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("ENRICHMENT_", "CLIP_", "YOLO26_", "AI_", "HEARTHWATCH_")):
            monkeypatch.delenv(name)


def test_the_documented_defaults() -> None:
    assert ClientConfig.from_environment() == DEFAULT
    assert (DEFAULT.connect_timeout_s, DEFAULT.read_timeout_s) == (10.0, 60.0)
    assert DEFAULT.retries == RetryPolicy(attempts=3)
    assert DEFAULT.breaker == BreakerLimits(5, 60.0, 3, probe_timeout_s=70.0)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("ENRICHMENT_URL", "https://porch/heavy", lambda config: config.urls["enrichment"] == "https://porch/heavy"),
        ("ENRICHMENT_LIGHT_URL", "http://[::1]:1", lambda config: config.urls["light"] == "http://[::1]:1"),
        ("CLIP_URL", "http://porch:8093/", lambda config: config.urls["clip"] == "http://porch:8093/"),
        ("YOLO26_URL", "http://porch:8090", lambda config: config.urls["yolo26"] == "http://porch:8090"),
        ("AI_CONNECT_TIMEOUT", "2.5", lambda config: config.connect_timeout_s == 2.5),
        ("ENRICHMENT_READ_TIMEOUT", "30", lambda config: config.attempt_s == config.breaker.probe_timeout_s == 40),
        ("ENRICHMENT_MAX_RETRIES", "1", lambda config: config.retries.attempts == 1),
        ("ENRICHMENT_CB_FAILURE_THRESHOLD", "7", lambda config: config.breaker.failure_threshold == 7),
        ("ENRICHMENT_CB_RECOVERY_TIMEOUT", "5", lambda config: config.breaker.recovery_timeout_s == 5),
        ("ENRICHMENT_CB_HALF_OPEN_MAX_CALLS", "2", lambda config: config.breaker.half_open_max_calls == 2),
        ("HEARTHWATCH_API_KEY", "secret", lambda config: config.api_key == "secret"),
        *((f"ENRICHMENT_{word}_SERVICE", "heavy", lambda config, model=model: config.homes[model] == "enrichment")
          for word, model in ASSIGNED.items()),
    ],
)  # fmt: skip
def test_each_variable_is_heard(name: str, value: str, read: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    config = ClientConfig.from_environment()
    assert config != DEFAULT
    assert callable(read)
    assert read(config)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENRICHMENT_URL", "porch:8094"),
        ("ENRICHMENT_URL", "file:///etc/passwd"),
        ("CLIP_URL", "http://porch:8093?key=1"),
        ("CLIP_URL", "http://user:word@porch:8093"),
        ("AI_CONNECT_TIMEOUT", "0"),
        ("ENRICHMENT_READ_TIMEOUT", "soon"),
        ("ENRICHMENT_MAX_RETRIES", "0"),
        ("ENRICHMENT_CB_FAILURE_THRESHOLD", "-1"),
        ("ENRICHMENT_POSE_SERVICE", "medium"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        EnrichmentClient()


def test_a_client_without_arguments_asks_where_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENRICHMENT_LIGHT_URL", "http://porch:8096")

    async def run() -> None:
        async with EnrichmentClient() as client:
            assert client.config.urls["light"] == "http://porch:8096"
            assert client.service(ask.PET.service) is client.service("light")

    asyncio.run(run())


def test_a_key_is_not_shown() -> None:
    assert "secret" not in repr(ClientConfig({}, api_key="secret"))


def test_a_service_without_an_address_cannot_be_asked() -> None:
    async def run() -> None:
        async with EnrichmentClient(ClientConfig({})) as client:
            with pytest.raises(SettingsError, match="no address of the service light"):
                client.service("light")

    asyncio.run(run())
