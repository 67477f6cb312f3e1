"""The services against what they publish of themselves: requests made from the OpenAPI, valid ones and broken ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.result import Ok

from hearthwatch.services import SERVICES
from loopback import on_loopback
from served import serve

#: 400 and 413 are documented answers to well-formed requests whose picture is none, so that acceptance cannot be asked;
#: 503 and 504 are documented as well, and only 500 is nobody's fault but ours.
EXCLUDED = ("positive_data_acceptance", "not_a_server_error")
EXAMPLES = 40
NO_HTTP = "Invalid HTTP request received."


@pytest.fixture(scope="module", params=[service.name for service in SERVICES])
def address(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A service on a real port."""
    with serve(tmp_path_factory.mktemp("models"), request.param) as served, on_loopback(served) as address:
        yield address


def operations(address: str) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(httpx.get(f"{address}/openapi.json").json())
    found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    return {operation.label: operation for operation in found}


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_route_keeps_what_it_publishes(address: str, mode: GenerationMode) -> None:
    load_all_checks()
    excluded: list[Any] = [check for check in CHECKS.get_all() if check.__name__ in EXCLUDED]
    assert len(excluded) == len(EXCLUDED)
    rejection: list[Any] = [check for check in CHECKS.get_all() if check.__name__ == "negative_data_rejection"]
    assert rejection
    asked = operations(address)
    assert asked
    for operation in asked.values():
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # it takes nothing that could be wrong

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=(Phase.explicit, Phase.generate),
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: schemathesis.Case[Any]) -> None:
            answer = case.call(base_url=address, timeout=60)
            if answer.text == NO_HTTP:
                return  # headers that are none never reach a route
            # A form has only texts: an object where a text belongs is sent as one, and cannot be told from it.
            form = case.media_type == "multipart/form-data"
            case.validate_response(answer, excluded_checks=[*excluded, *(rejection if form else ())])
            assert answer.status_code != 500

        ask()


def test_the_document_says_the_same_as_the_page(address: str, tmp_path: Path) -> None:
    labels = set(operations(address))
    service = next(service for service in SERVICES if f"POST {service.routes[0].path}" in labels)
    assert {f"POST {route.path}" for route in service.routes} <= labels
