"""A row of the page becomes a FastAPI application."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp

from hearthwatch import __version__
from hearthwatch.services import Loading
from hearthwatch.serving.answers import answer_of
from hearthwatch.serving.desk import Desk, endpoint
from hearthwatch.serving.documents import docs_page
from hearthwatch.serving.envelope import Envelope
from hearthwatch.serving.guard import Access, Guard
from hearthwatch.serving.openapi import route_document, shared_document
from hearthwatch.serving.probes import Probes
from hearthwatch.serving.problems import names, problem_response
from hearthwatch.settings import SWITCHES

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def build_app(desk: Desk, access: Access | None = None) -> ASGIApp:
    """One service as an ASGI application, with everything that CONTRACT.md asks of every service.

    Args:
        desk: the service at work.
        access: who is let in; everybody by default.
    """
    access = access or Access()
    service = desk.service
    app = FastAPI(
        title=f"Hearthwatch: {service.title}",
        version=__version__,
        description=f"{service.title}, port {service.port}. Pictures come as JSON, as a form or as the body itself.",
        # Ours is one page without scripts: the usual one fetches them from the Internet.
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for route in service.routes:
        handler = endpoint(desk, route, answer_of(desk, route))
        app.add_api_route(
            route.path, handler, methods=["POST"], response_model=None, operation_id=route.name.replace("/", "-"),
            **route_document(route),
        )  # fmt: skip
    for method, path, shared in _shared_routes(Probes(desk, access), on_demand=service.loading is Loading.ON_DEMAND):
        app.add_api_route(
            path, shared, methods=[method], response_model=None, operation_id=path.strip("/").replace("/", "-"),
            **shared_document(path),
        )  # fmt: skip
    _add_pages(app)
    app.add_exception_handler(HTTPException, _unknown(app, {route.path: route.model for route in service.absent}))
    return Envelope(Guard(app, access), service.name)


def _shared_routes(probes: Probes, *, on_demand: bool) -> list[tuple[str, str, Handler]]:
    routes: list[tuple[str, str, Handler]] = [
        ("GET", "/health", probes.health),
        ("GET", "/livez", probes.livez),
        ("GET", "/readyz", probes.readyz),
        ("GET", "/readiness", probes.readyz),
        ("GET", "/models", probes.models),
        ("GET", "/metrics", probes.metrics),
    ]
    if on_demand:
        routes += [
            ("GET", "/models/status", probes.models_status),
            ("GET", "/models/registry", probes.models_registry),
            ("POST", "/models/preload", probes.preload),
            ("POST", "/models/unload", probes.unload),
        ]
    return routes


def _add_pages(app: FastAPI) -> None:
    async def docs(_request: Request) -> Response:
        return HTMLResponse(
            docs_page(app.openapi()),
            headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )

    async def root(_request: Request) -> Response:
        return RedirectResponse("/docs")

    app.add_route("/docs", docs, include_in_schema=False)
    app.add_route("/", root, include_in_schema=False)


def _unknown(app: FastAPI, absent: Mapping[str, str]) -> Callable[[Request, Exception], Coroutine[Any, Any, Response]]:
    """404 and 405 of routing as the documented body.

    Args:
        app: whose routes are named.
        absent: by path, the model behind a route that somebody switched off.
    """

    async def handle(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
        path = request.url.path[:200]
        if path in absent:
            model = absent[path]
            detail = f"{path} is not here: {model} is switched off by {SWITCHES[model]}=false"
            return problem_response(error.status_code, "unknown_route", detail, model, error.headers)
        if error.status_code == 405:
            detail = f"{path} does not answer {request.method}"
        else:
            paths = sorted(app.openapi()["paths"])
            detail = f"there is no route {path!r}; the routes are {names(paths)}"
        return problem_response(error.status_code, "unknown_route", detail, headers=error.headers)

    return handle
