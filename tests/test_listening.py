"""What the environment makes of the services that a process serves: who preloads, who reports, what is not there."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hearthwatch.cli.listening import Listening, listening_services, serving_options
from hearthwatch.cli.ports import Ports
from hearthwatch.errors import SettingsError
from hearthwatch.models import get_model
from hearthwatch.services import ASSIGNED, HEAVY, LIGHT, SERVICES, get_services, models_of
from hearthwatch.settings import HOMES, SWITCHES, read_settings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As on a machine where nobody set anything."""
    for name in list(os.environ):
        if name.startswith(("HEARTHWATCH_", "ENRICHMENT_", "ONDEMAND_", "VRAM_", "DEMOGRAPHICS_", "HOST", "PORT")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HEARTHWATCH_MODELS_DIR", str(tmp_path))
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HEARTHWATCH_PROBE", "false")


@contextmanager
def listening(*names: str) -> Iterator[Listening]:
    """What `serve NAMES` would serve; nothing is loaded."""
    settings, chosen = read_settings(), get_services(names)
    options = serving_options(chosen, settings, "cpu")
    with listening_services(chosen, settings, options, Ports(port=0 if len(chosen) == 1 else None, offset=31000)) as it:
        yield it


def preloaded(*names: str) -> list[str]:
    with listening(*names) as served:
        return list(served.process.status.preload)


def reported(*names: str) -> dict[str, set[str]]:
    with listening(*names) as served:
        return {service.name: set(service.reported) for service in served.services}


def with_readers(models: Sequence[str]) -> tuple[str, ...]:
    """The models, and the text towers that some of them ask."""
    return (*models, *(reader for model in models if (reader := get_model(model).SPEC.reader)))


def test_every_name_and_alias_serves_the_heavy_service() -> None:
    for name in ("enrichment", *HEAVY.aliases):
        with listening(name) as served:
            assert [service.name for service in served.services] == ["enrichment"]
            assert served.process.runner.offered == with_readers(HEAVY.models)


def test_all_services_are_served_where_none_is_named() -> None:
    with listening() as served:
        assert set(served.ports) == {service.name for service in SERVICES}
        assert set(served.process.runner.offered) == set(with_readers(models_of(SERVICES)))


@pytest.mark.parametrize("word", list(ASSIGNED))
def test_a_variable_says_which_service_preloads_and_reports_a_model(
    word: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = ASSIGNED[word]
    monkeypatch.setenv("ENRICHMENT_PRELOAD_MODELS", model)
    # Where nobody says, light reports it, and whoever is told to preload it does.
    assert (model in reported("light")["light"], model in reported("heavy")["enrichment"]) == (True, False)
    assert preloaded("light") == preloaded("heavy") == [model]
    for home in HOMES:
        monkeypatch.setenv(f"ENRICHMENT_{word}_SERVICE", home)
        told = reported("light", "heavy")
        assert (model in told["light"], model in told["enrichment"]) == (home == "light", home == "heavy")
        assert preloaded(home) == [model]
        assert preloaded("light", "heavy") == [model]
        other = HOMES[1 - HOMES.index(home)]
        with caplog.at_level(logging.WARNING, "hearthwatch"):
            assert preloaded(other) == []
        assert f"{model} left to the service {home}" in caplog.text
        with listening(other) as served:
            assert model in served.process.runner.offered  # both always answer
    monkeypatch.setenv(f"ENRICHMENT_{word}_SERVICE", "both")
    with pytest.raises(SettingsError, match=rf"ENRICHMENT_{word}_SERVICE='both'.*light or heavy"):
        preloaded("light")


def test_the_names_of_models_that_two_services_answer_are_those_of_the_page() -> None:
    assert set(ASSIGNED.values()) == set(LIGHT.models) == set(LIGHT.models) & set(HEAVY.models)


@pytest.mark.parametrize("model", list(SWITCHES))
def test_a_model_that_is_switched_off_is_neither_offered_nor_routed(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SWITCHES[model], "false")
    with listening("heavy") as served:
        (service,) = served.services
        assert model not in service.models
        assert [route.model for route in service.absent] == [model]
        assert not served.process.runner.offers(model)
    monkeypatch.setenv("ENRICHMENT_PRELOAD_MODELS", model)
    with pytest.raises(SettingsError, match=model):
        preloaded("heavy")


@pytest.mark.parametrize(
    ("variable", "value", "budget_mb"), [("ONDEMAND_VRAM_BUDGET_MB", "5000", 5000), ("VRAM_BUDGET_GB", "2", 2048)]
)
def test_the_budget_is_what_a_variable_says(
    variable: str, value: str, budget_mb: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening("heavy") as served:
        assert served.process.runner.manager.vram_budget_mb <= HEAVY.budget_mb == 6800
    monkeypatch.setenv(variable, value)
    with listening("heavy") as served:
        assert served.process.runner.manager.vram_budget_mb == budget_mb


def test_a_preload_list_takes_aliases_and_refuses_strangers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENRICHMENT_PRELOAD_MODELS", "vehicle, threat")
    assert preloaded("heavy") == ["vehicle_classifier", "threat_detector"]
    with pytest.raises(SettingsError, match="pose_estimator"):
        preloaded("light")
    assert get_model("vehicle").SPEC.name == "vehicle_classifier"
