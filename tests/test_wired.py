"""What the pages document is wired and tested, row by row; and the page that says so is true."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tools.wired import CONTRACT, DOCUMENTED, EVERY, PAGE, Row, empty_cells, page, rows, untrue, variables_read

from hearthwatch.models import MODELS
from hearthwatch.services import ASSIGNED, SERVICES
from hearthwatch.settings import read_settings

FOUND = rows()
READ = [name for name in DOCUMENTED["variables"] if name in variables_read()]


def test_no_cell_is_empty() -> None:
    assert empty_cells(FOUND) == []


def test_the_page_says_what_the_code_does() -> None:
    """Else: `python tools/wired.py`."""
    assert untrue(PAGE.read_text(encoding="utf-8"), FOUND) == []


def test_each_kind_of_thing_is_documented_wired_and_tested() -> None:
    there = [row.group for row in FOUND if row.wired and row.tested]
    assert set(there) == {"routes", "metrics", "variables", "commands", "names"}
    assert {row.owner for row in FOUND if row.wired} >= {EVERY, *(service.name for service in SERVICES)}


def test_the_contract_and_this_list_know_the_same_routes() -> None:
    for service, row in CONTRACT["services"].items():
        here = {name.partition(" ")[2] for name in DOCUMENTED["routes"][service]}
        assert set(row["routes"]) <= here


def made_up(wired: str = "", later: str = "", tested: tuple[str, ...] = ()) -> Row:
    return Row("routes", "porch", "GET /bell", wired, tested, later)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (made_up(), "wired to nothing"),
        (made_up("a bell"), "touched by no test"),
        (made_up("a bell", "doors"), "take it off `later`"),
    ],
)
def test_what_is_wrong_is_a_sentence(row: Row, told: str) -> None:
    (sentence,) = empty_cells([row])
    assert sentence.startswith("porch GET /bell")
    assert told in sentence


def test_a_page_that_says_something_else_is_not_true() -> None:
    row = made_up("a bell", tested=("test_bell.py", "test_door.py"))
    assert untrue(page([row]), [row]) == []
    assert untrue(page([row]), [made_up("a door", tested=row.tested)]) == ["porch GET /bell"]
    assert untrue(page([row]), [made_up("a bell", tested=("test_door.py",))]) == ["porch GET /bell"]
    assert untrue(page([row]), [made_up(later="doors")]) == ["porch GET /bell"]
    # A further test leaves the page true.
    assert untrue(page([row]), [made_up("a bell", tested=(*row.tested, "test_gate.py"))]) == []


def read() -> list[Any]:
    """Everything that the environment decides."""
    settings = read_settings()
    prefixes = sorted({model.SPEC.tensorrt for model in MODELS} - {""})
    return [
        settings,
        [settings.model_path(model.SPEC.path_variables) for model in MODELS],
        [settings.tensorrt(prefix) for prefix in prefixes],
        [settings.model_service(word) for word in ASSIGNED],
        [settings.service_device(service.name) for service in SERVICES],
    ]


@pytest.mark.parametrize("name", READ)
def test_a_documented_variable_changes_what_is_read(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in DOCUMENTED["variables"]:
        if variable in os.environ:
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)
    before = read()
    monkeypatch.setenv(name, DOCUMENTED["variables"][name])
    assert read() != before
