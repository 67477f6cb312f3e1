"""Documented Python names that no other test touches, by what they are and do; tests/documented.yaml lists all."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from tools.wired import DOCUMENTED

from hearthwatch import models
from hearthwatch.client import increment_enrichment_retry, metrics, observe_ai_request_duration, record_pipeline_error
from hearthwatch.models import PersonReID
from hearthwatch.serving.schemas import EnrichRequest, EnrichResponse, HealthResponse
from served import serve

#: Not in this version, and said to be so.
LATER = {name for names in DOCUMENTED["later"].values() for name in names}
NAMES = [(module, name) for module, names in DOCUMENTED["names"].items() for name in names if name not in LATER]


@pytest.mark.parametrize(("module", "name"), NAMES)
def test_a_documented_name_can_be_imported_and_is_public(module: str, name: str) -> None:
    there = importlib.import_module(module)
    assert getattr(there, name) is not None
    assert name in getattr(there, "__all__", [name])


@pytest.mark.parametrize("name", ["hearthwatch.pipeline", "hearthwatch.gallery"])
def test_every_documented_name_of_the_pipeline_and_the_gallery_is_there(name: str) -> None:
    assert not set(DOCUMENTED["names"][name]) & LATER


def test_the_documented_constants_of_re_identification() -> None:
    assert (models.OSNET_INPUT_HEIGHT, models.OSNET_INPUT_WIDTH, models.EMBEDDING_DIMENSION) == (256, 128, 512)
    assert models.DEFAULT_SIMILARITY_THRESHOLD == 0.7
    near = [0.7, 0.51**0.5]  # a cosine of 0.7 and a little more, and of a little less, to the first axis
    assert PersonReID.is_same_person([1.0, 0.0], [near[0] + 0.001, near[1]])
    assert not PersonReID.is_same_person([1.0, 0.0], [near[0] - 0.001, near[1]])


def test_the_services_publish_the_documented_types_by_their_names(tmp_path: Path) -> None:
    with serve(tmp_path, "enrichment", with_weights=()) as served:
        page = served.client.get("/openapi.json").json()
    for schema in (EnrichResponse, HealthResponse):
        assert schema.__name__ in page["components"]["schemas"]
    body = page["paths"]["/enrich"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["title"] == EnrichRequest.__name__


def test_an_application_can_count_what_the_client_counts() -> None:
    def read(line: str) -> float:
        found = [row.split()[-1] for row in metrics.page().decode().splitlines() if row.startswith(line)]
        return float(found[0]) if found else 0.0

    lines = [
        'hearthwatch_ai_request_duration_seconds_sum{model="enrichment_vehicle"}',
        'hearthwatch_enrichment_retries_total{endpoint="vehicle-classify"}',
        'hearthwatch_pipeline_errors_total{kind="enrichment_vehicle_timeout"}',
    ]
    before = [read(line) for line in lines]
    observe_ai_request_duration("enrichment_vehicle", 2.0)
    increment_enrichment_retry("vehicle-classify")
    record_pipeline_error("enrichment_vehicle_timeout")
    assert [read(line) - was for line, was in zip(lines, before, strict=True)] == [2.0, 1.0, 1.0]
