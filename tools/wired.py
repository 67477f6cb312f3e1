"""Writes docs/wired.md: what is documented, what it is wired to, and which tests touch it: python tools/wired.py.

`tests/documented.yaml` has what the pages document. What a row is wired to comes from the code itself: the routes from
each service's published OpenAPI, the metrics from its registry, the variables from the settings and the models, the
commands from the command line, the names by importing them. Tests are those whose text has the name; loops over the
contract count for its routes.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
import yaml
from starlette.testclient import TestClient

from hearthwatch.cli import app
from hearthwatch.client import metrics as client_metrics
from hearthwatch.models import MODELS
from hearthwatch.services import ASSIGNED, SERVICES, Service
from hearthwatch.serving.app import build_app
from hearthwatch.serving.desk import Desk
from hearthwatch.serving.metrics import Readings, ServiceMetrics
from hearthwatch.settings import Settings

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/wired.md"
DOCUMENTED: Mapping[str, Any] = yaml.safe_load((ROOT / "tests/documented.yaml").read_text(encoding="utf-8"))
CONTRACT: Mapping[str, Any] = yaml.safe_load((ROOT / "tests/contract.yaml").read_text(encoding="utf-8"))
#: Stands for all of them.
EVERY = "every service"
#: Owns what whoever asks services counts.
CLIENT = "client"
#: The looping tests of the contract, by what they loop over.
ROUTES_LOOP, METRICS_LOOP = "test_contract.py", "test_contract_service.py"
#: The test that sets each documented variable.
VARIABLES_LOOP = "test_wired.py"
#: Tests that are named of each row.
SHOWN = 3
_OUR_OWN = {"test_wired.py"}
_HEAD = """\
# Documented, wired, tested

Made by `python tools/wired.py` from `tests/documented.yaml` (what the pages document), the code and the tests.
Tests are those that loop over the contract, and those with the name in their text, three of them at most.
Do not edit: a test of its own fails where a cell is empty, and where this page does not say what the code does.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One documented thing.

    Attributes:
        group: the heading that it stands under.
        owner: the service it belongs to; empty where it belongs to none.
        name: as documented.
        wired: what it is wired to; empty where that is nothing.
        tested: names of test files, those that loop first.
        later: what it comes with, where it is not in this version; else empty.
    """

    group: str
    owner: str
    name: str
    wired: str
    tested: tuple[str, ...]
    later: str


def rows() -> list[Row]:
    """Every documented thing, in the order of the data file."""
    found = [*_route_rows(), *_metric_rows()]
    variables = variables_read()
    for name in DOCUMENTED["variables"]:
        loop = [VARIABLES_LOOP] if name in variables else []
        found.append(_row("variables", "", name, variables.get(name, ""), [*loop, *_tests(rf"\b{name}\b")]))
    commands: dict[str, str] = dict(_commands(typer.main.get_command(app)))
    found += [
        _row("commands", "", name, commands.get(name, ""), _tests_of_command(name, commands.get(name, "")))
        for name in DOCUMENTED["commands"]
    ]
    return found + [
        _row("names", module, name, _defined(module, name), _tests(rf"\b{name}\b"))
        for module, names in DOCUMENTED["names"].items()
        for name in names
    ]


def page(found: list[Row]) -> str:
    """The rows as Markdown."""
    parts = [_HEAD.rstrip()]
    for group in dict.fromkeys(row.group for row in found):
        own = [row for row in found if row.group == group]
        owned = any(row.owner for row in own)
        parts.append(f"\n## {group.capitalize()}\n")
        owner = "module" if group == "names" else "service"
        parts.append(f"| {owner} | documented | wired | tested |" if owned else "| documented | wired | tested |")
        parts.append("|---|---|---|---|" if owned else "|---|---|---|")
        parts += [_line(row, owned=owned, tests=row.tested[:SHOWN]) for row in own]
    return "\n".join(parts) + "\n"


def untrue(text: str, found: list[Row]) -> list[str]:
    """Lines of a page that are missing or say something else than the rows; tests may be more than it names."""
    lines = text.splitlines()
    wrong = []
    for row in found:
        start = _line(row, owned=bool(row.owner), tests=()).removesuffix(" |")
        line = next((line for line in lines if line.startswith(start)), None)
        if line is None or not set(re.findall(r"`(test_\w+\.py)`", line)) <= set(row.tested):
            wrong.append(f"{row.owner} {row.name}".strip())
    return wrong


def empty_cells(found: list[Row]) -> list[str]:
    """What is wrong with the rows, as sentences; none where every cell has something true in it."""
    wrong = []
    for row in found:
        title = f"{row.owner} {row.name}".strip()
        if row.later and row.wired:
            wrong.append(f"{title} is wired: take it off `later` in tests/documented.yaml")
        elif not row.later and not row.wired:
            wrong.append(f"{title} is documented and wired to nothing")
        elif not row.later and not row.tested:
            wrong.append(f"{title} is touched by no test")
    return wrong


def variables_read() -> dict[str, str]:
    """Each variable that something reads, with what for."""
    read = {str(field.validation_alias): f"settings: `{name}`" for name, field in Settings.model_fields.items()}
    for spec in (model.SPEC for model in MODELS):
        for variable in spec.path_variables:
            read[variable] = f"{read[variable]}, `{spec.name}`" if variable in read else f"weights of `{spec.name}`"
        if spec.tensorrt:
            ends = ("USE_TENSORRT", "DETECTOR_USE_TENSORRT", "TENSORRT_FP16", "TENSORRT_ENGINE_PATH", "ENGINE_PATH")
            read |= {f"{spec.tensorrt}_{end}": f"TensorRT of `{spec.name}`" for end in ends}
    read |= {
        f"ENRICHMENT_{word}_SERVICE": f"who has `{model}`: reports it, is asked for it"
        for word, model in ASSIGNED.items()
    }
    read |= {f"{service.name.upper()}_DEVICE": f"device of `{service.name}`" for service in SERVICES}
    return read


def _route_rows() -> Iterator[Row]:
    published = {service.name: _published(service) for service in SERVICES}
    for owner, routes in DOCUMENTED["routes"].items():
        for route in routes:
            if owner == EVERY:
                there = [own.get(route, "") for own in published.values()]
                wired = there[0] if all(there) else ""
            else:
                wired = published.get(owner, {}).get(route, "")
            path = route.partition(" ")[2]
            looped = [ROUTES_LOOP] if path in _looped(owner) else []
            yield _row("routes", owner, route, wired, [*looped, *_tests(rf'"{re.escape(path)}[?"]')])


def _looped(owner: str) -> set[str]:
    """The paths that the contract's tests loop over."""
    if owner == EVERY:
        return {*CONTRACT["every"]["probes"], *CONTRACT["every"]["pages"]}
    return set(CONTRACT["services"].get(owner, {}).get("routes", {}))


def _metric_rows() -> Iterator[Row]:
    exported = {service.name: _exported(service) for service in SERVICES} | {CLIENT: _families(client_metrics.page())}
    for owner, names in DOCUMENTED["metrics"].items():
        for name in names:
            looped = [METRICS_LOOP] if name in CONTRACT["services"].get(owner, {}).get("metrics", {}) else []
            wired = exported.get(owner, {}).get(name, "")
            yield _row("metrics", owner, name, wired, [*looped, *_tests(rf"\b{name}")])


def _row(group: str, owner: str, name: str, wired: str, tested: list[str]) -> Row:
    later = next((what for what, names in DOCUMENTED["later"].items() if _is_among(owner, name, names)), "")
    return Row(group, owner, name, wired, tuple(dict.fromkeys(tested)), later)


def _is_among(owner: str, name: str, names: list[str]) -> bool:
    """By its own name, with or without its service, or by that of the whole service or command."""
    return any(entry in {name, owner, f"{owner} {name}", name.partition(" ")[0]} for entry in names)


def _published(service: Service) -> dict[str, str]:
    """The routes that a service really has, by method and path, with what answers."""
    nothing: Any = None  # no request is answered here, but those about the service's own pages
    desk = Desk(service, nothing, nothing, ServiceMetrics(service, Readings()))
    with TestClient(build_app(desk), base_url="http://127.0.0.1") as client:
        paths = client.get("/openapi.json").json()["paths"]
        pages = [path for path in ("/docs", "/openapi.json") if client.get(path).status_code == 200]
    models = {route.path: f"`{route.model}` ({route.kind.value})" for route in service.routes}
    found = {
        f"{method.upper()} {path}": models.get(path, operation["summary"])
        for path, operations in paths.items()
        for method, operation in operations.items()
    }
    return found | {f"GET {path}": "a page of each service" for path in pages}


def _exported(service: Service) -> dict[str, str]:
    """The metrics that a service really has, with their type."""
    return _families(ServiceMetrics(service, Readings()).page())


def _families(page: bytes) -> dict[str, str]:
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", page.decode(), re.MULTILINE))


def _commands(command: Any, names: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    """The commands below one, each with the module that it is in."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, (*names, name))
    if not hasattr(command, "commands"):
        yield " ".join(names), f"`{command.callback.__module__}`"


def _tests_of_command(command: str, wired: str) -> list[str]:
    """Test files that write it as arguments, or import its module (or the command line) and name its last word."""
    words = command.split()
    found = _tests(r'"' + r'(?:",\s*"| )'.join(map(re.escape, words)) + r'[" ]')
    module = re.escape(wired.strip("`")) or "-"
    near = set(_tests(rf"from (?:hearthwatch\.cli|{module}) import")) & set(_tests(rf'"{re.escape(words[-1])}"'))
    return found + sorted(near)


def _defined(module: str, name: str) -> str:
    """Where a public name of a module comes from; empty where the module has none of that name."""
    there = importlib.import_module(module)
    if not hasattr(there, name) or name not in getattr(there, "__all__", [name]):
        return ""
    return f"`{getattr(getattr(there, name), '__module__', module)}`"


def _tests(pattern: str) -> list[str]:
    """Test files whose text has it."""
    return [name for name, text in _TEXTS.items() if re.search(pattern, text)]


_TEXTS = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "tests").glob("test_*.py"))
    if path.name not in _OUR_OWN
}


def _line(row: Row, *, owned: bool, tests: tuple[str, ...]) -> str:
    wired, tested = row.wired, ", ".join(f"`{name}`" for name in tests)
    if row.later:
        wired = tested = f"not in this version: {row.later}"
    cells = [f"`{row.name}`", wired, tested]
    return f"| {' | '.join([row.owner, *cells] if owned else cells)} |"


if __name__ == "__main__":
    found = rows()
    PAGE.write_text(page(found), encoding="utf-8")
    sys.exit("\n".join(empty_cells(found)) or 0)
