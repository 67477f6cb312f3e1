"""`/docs`: a service's routes on one page, made from its OpenAPI. No script, no font, nothing from the Internet."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import jinja2

#: Longer texts (a picture in base64) are cut on the page; the document has them whole.
_LONGEST = 60

_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string("""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{{ title }}</title><style>
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
details { border: 1px solid var(--line); border-radius: .4rem; margin: .5rem 0; }
summary { padding: .5rem .8rem; cursor: pointer; } details[open] > summary { border-bottom: 1px solid var(--line); }
details > div { padding: .2rem .8rem .8rem; } code, pre { font: 13px ui-monospace, monospace; }
pre { background: var(--soft); padding: .6rem; overflow-x: auto; border-radius: .3rem; }
table { border-collapse: collapse; width: 100%; }
td { border-top: 1px solid var(--line); padding: .25rem .5rem; vertical-align: top; }
b.m { display: inline-block; min-width: 3.2rem; font: 600 13px ui-monospace, monospace; }
</style></head><body>
<h1>{{ title }}</h1><p>{{ description }} Version {{ version }} · <a href="/openapi.json">openapi.json</a></p>
{% for route in routes %}
<details><summary><b class="m">{{ route.method }}</b> <code>{{ route.path }}</code> — {{ route.summary }}</summary><div>
{% if route.command %}<p>With a photo as it is:</p><pre>{{ route.command }}</pre>{% endif %}
{% for title, example in route.examples %}<p>{{ title }}:</p><pre>{{ example }}</pre>{% endfor %}
{% if route.takes %}<p>Takes</p><table>{% for name, text in route.takes %}
<tr><td><code>{{ name }}</code></td><td>{{ text }}</td></tr>{% endfor %}</table>{% endif %}
{% if route.gives %}<p>Answers</p><table>{% for name, text in route.gives %}
<tr><td><code>{{ name }}</code></td><td>{{ text }}</td></tr>{% endfor %}</table>{% endif %}
{% if route.errors %}<p>Else</p><table>{% for name, text in route.errors %}
<tr><td><code>{{ name }}</code></td><td>{{ text }}</td></tr>{% endfor %}</table>{% endif %}
</div></details>
{% endfor %}
</body></html>
""")


@dataclass(frozen=True, slots=True)
class _Row:
    method: str
    path: str
    summary: str
    command: str
    examples: list[tuple[str, str]]
    takes: list[tuple[str, str]]
    gives: list[tuple[str, str]]
    errors: list[tuple[str, str]]


def docs_page(document: dict[str, Any]) -> str:
    """An OpenAPI document as one HTML page."""
    info = document["info"]
    return _PAGE.render(
        title=info["title"], description=info.get("description", ""), version=info["version"],
        routes=list(_rows(document)),
    )  # fmt: skip


def _rows(document: dict[str, Any]) -> Iterator[_Row]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {})
            raw = "image/jpeg" in content
            command = (
                f"curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' http://HOST:PORT{path}" if raw else ""
            )
            yield _Row(
                method.upper(), path, operation.get("summary", ""), command,
                [(title, json.dumps(_shortened(value), indent=2)) for title, value in _examples(body)],
                _fields(document, body.get("schema", {})), _fields(document, _answer(operation)),
                [(status, row["description"]) for status, row in operation["responses"].items() if status != "200"],
            )  # fmt: skip


def _examples(body: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Titles and values of a body's examples."""
    if "example" in body:
        yield "As JSON", body["example"]
    for row in body.get("examples", {}).values():
        yield f"As JSON: {row['summary'].lower()}", row["value"]


def _answer(operation: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = operation["responses"].get("200", {}).get("content", {}).get("application/json", {})
    schema: dict[str, Any] = content.get("schema", {})
    return schema


def _fields(document: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str]]:
    if "properties" not in schema and "anyOf" in schema:  # an answer in one of several forms
        told: dict[str, str] = {}
        for form in schema["anyOf"]:
            told = dict(_fields(document, form)) | told
        return list(told.items())
    reference = schema.get("$ref", "")
    if reference:
        schema = document["components"]["schemas"][reference.rpartition("/")[2]]
    return [
        (name, row.get("description") or row.get("title") or "") for name, row in schema.get("properties", {}).items()
    ]


def _shortened(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _LONGEST:
        return f"{value[:_LONGEST]}…"
    if isinstance(value, dict):
        return {key: _shortened(inner) for key, inner in value.items()}
    return [_shortened(inner) for inner in value] if isinstance(value, list) else value
