"""The routes about a service itself: health, readiness, metrics, its models."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from hearthwatch.adapter.spec import Spec
from hearthwatch.artifacts.samples import notice
from hearthwatch.errors import HearthwatchError, InputError, UnknownModel
from hearthwatch.hosting import ModelRow
from hearthwatch.models import get_model
from hearthwatch.models.clip import EMBEDDING_DIMENSION
from hearthwatch.services import HealthForm
from hearthwatch.serving.desk import Desk, Json, json_response
from hearthwatch.serving.guard import Access
from hearthwatch.serving.metrics import CONTENT_TYPE
from hearthwatch.serving.problems import Refused, names, problem
from hearthwatch.serving.status import SERVING

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
#: A request that names a model and nothing else.
_MAX_BODY_BYTES = 64 * 1024


class Probes:
    """The handlers of one service.

    Args:
        desk: the service.
        access: who is let in; unloading asks for more than reading does.
    """

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    async def livez(self, _request: Request) -> Response:
        """The event loop answers."""
        return json_response({"status": "alive"})

    async def readyz(self, _request: Request) -> Response:
        """200 where it can take work, else 503 with the reasons."""
        reasons = self._desk.status.unready()
        return json_response({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def health(self, _request: Request) -> Response:
        """Fast at all times: nothing is asked, only remembered."""
        status, service = self._desk.status, self._desk.service
        rows = self._rows()
        failed = [row.name for row in rows if row.state == "failed"]
        word = "draining" if status.draining else "degraded" if failed else "healthy"
        forms = {
            HealthForm.SINGLE: self._single,
            HealthForm.MODELS: self._several,
            HealthForm.EMBEDDING: self._embedding,
        }
        models = {row.name: _brief(row) for row in rows}
        return json_response({"status": word, **forms[service.health](rows), **_weights(rows), "models": models})

    async def metrics(self, _request: Request) -> Response:
        """Prometheus text."""
        return Response(self._desk.metrics.page(), media_type=CONTENT_TYPE)

    async def models(self, _request: Request) -> Response:
        """Each model's state."""
        rows = self._rows()
        return json_response({**_weights(rows), "models": [_row(row) for row in rows]})

    async def models_status(self, _request: Request) -> Response:
        """Budget, use, and each model's state."""
        status, rows = self._desk.status, self._rows()
        used = {"used_declared_mb": 0.0, "used_measured_mb": 0.0}
        for row in rows:
            if row.state in SERVING:
                used["used_declared_mb"] += row.declared_mb
                used["used_measured_mb"] += row.measured_mb or 0.0
        facts = {"budget_mb": _mb(status.budget_bytes()), "used_mb": _mb(status.used_bytes()), **used}
        return json_response({**facts, **_weights(rows), "models": [_row(row) for row in rows]})

    async def models_registry(self, _request: Request) -> Response:
        """What there is, loaded or not."""
        return json_response({"models": [_registered(get_model(name).SPEC) for name in self._desk.service.models]})

    async def preload(self, request: Request) -> Response:
        """Load a model now; answers when it is loaded."""

        async def load(name: str) -> Json:
            await self._desk.runner.load(name)
            return {"model_name": name, "state": self._desk.runner.model_state(name).state}

        return await self._managed(request, load)

    async def unload(self, request: Request) -> Response:
        """Unload a model; answers the bytes that came back."""

        async def unload(name: str) -> Json:
            returned = await self._desk.runner.manager.unload_model(name)
            return {"model_name": name, "bytes_returned": returned, "state": self._desk.runner.model_state(name).state}

        return await self._managed(request, unload)

    async def _managed(self, request: Request, act: Callable[[str], Coroutine[Any, Any, Json]]) -> Response:
        try:
            self._check_may_manage(request)
            return json_response(await act(await self._model_name(request)))
        except HearthwatchError as error:
            return problem(error)

    def _check_may_manage(self, request: Request) -> None:
        """With the key, or from this machine."""
        if self._access.api_key is None and not _is_loopback(request):
            raise Refused(401, "unauthorized", "models are loaded and unloaded with a key, or from the same machine")

    async def _model_name(self, request: Request) -> str:
        given = request.query_params.get("model_name")
        if given is None:
            body = b""
            async for chunk in request.stream():
                body += chunk
                if len(body) > _MAX_BODY_BYTES:
                    raise Refused(413, "request_too_large", f"at most {_MAX_BODY_BYTES:,} bytes are allowed here")
            given = _name_in(body)
        known = self._desk.service.models
        name = next((name for name in known if given in (name, *get_model(name).SPEC.aliases)), None)
        if name is None:
            raise UnknownModel(f"there is no model {given[:100]!r} here; the models are {names(known)}")
        return name

    def _rows(self) -> list[ModelRow]:
        return [self._desk.runner.model_state(name) for name in self._desk.service.models]

    def _single(self, rows: list[ModelRow]) -> Json:
        row, status = rows[0], self._desk.status
        return {
            "model_loaded": row.state in SERVING,
            "device": row.device or status.device,
            "cuda_available": status.gpu_available,
            "model_name": row.weights.file if row.weights else row.name,
            "vram_used_gb": round(status.gpu_memory_gb(), 2),
            "uptime_seconds": round(status.uptime_seconds, 1),
        }

    def _embedding(self, rows: list[ModelRow]) -> Json:
        row, single = rows[0], self._single(rows)
        name = single.pop("model_name")
        return {
            "model": row.network or name,
            **single,
            "embedding_dimension": row.embedding_dimension or EMBEDDING_DIMENSION,
            "backend": row.engine or None,
        }

    def _several(self, rows: list[ModelRow]) -> Json:
        status, reported = self._desk.status, self._desk.service.reported
        return {
            "models_loaded": {row.name: row.state in SERVING for row in rows if row.name in reported},
            "gpu_available": status.gpu_available,
            "gpu_memory_used_gb": round(status.gpu_memory_gb(), 2),
            "uptime_seconds": round(status.uptime_seconds, 1),
        }


def _weights(rows: list[ModelRow]) -> Json:
    """Whether sample weights answer for all models, for some, or for none, with a sentence where they do."""
    own = [row for row in rows if not get_model(row.name).SPEC.bundled]
    sampled = [row.name for row in own if row.notice]
    others = [row.name for row in own if not row.notice]
    word = "real" if not sampled else "mixed" if others else "sample"
    return {"weights": word, "notice": notice(sampled, others)}


def _registered(spec: Spec) -> Json:
    return {
        "name": spec.name,
        "title": spec.title,
        "aliases": list(spec.aliases),
        "scope": spec.scope.value,
        "priority": spec.priority.name,
        "triggers": list(spec.triggers),
        "declared_mb": spec.declared_mb,
    }


def _row(row: ModelRow) -> Json:
    """All that is known about a model; orjson writes times and nested rows."""
    progress = None if row.progress is None else asdict(row.progress)
    passed_over = [{"engine": name, "reason": reason} for name, reason in row.passed_over]
    fields = {name: getattr(row, name) for name in ModelRow.__dataclass_fields__}
    sizes = {name: _rounded(fields[name]) for name in ("declared_mb", "measured_mb", "charged_mb", "retry_after_s")}
    return fields | sizes | {"priority": row.priority.name, "progress": progress, "passed_over": passed_over}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _brief(row: ModelRow) -> Json:
    """What a health answer says of a model: which engine serves it, and why not a better one."""
    return {
        "state": row.state,
        "backend": row.engine,
        "device": row.device,
        "precision": row.precision,
        "weights": row.weights.origin if row.weights else None,
        "reason": row.reason,
        "passed_over": [{"backend": name, "reason": reason} for name, reason in row.passed_over],
    }


def _is_loopback(request: Request) -> bool:
    try:
        return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False


def _name_in(body: bytes) -> str:
    try:
        content = orjson.loads(body or b"null")
    except orjson.JSONDecodeError as error:
        raise InputError(f"the body is not JSON: {error}") from error
    name = content.get("model_name") if isinstance(content, dict) else None
    if not isinstance(name, str):
        raise InputError("name the model: model_name, in the query or in a JSON object")
    return name


def _mb(size: float) -> float:
    return round(size / (1 << 20), 1)
