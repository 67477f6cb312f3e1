"""What OpenAPI says of each route: the three ways to send a picture, answers, every error, and examples that work."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from starlette.responses import PlainTextResponse

from hearthwatch.services import Kind, Route
from hearthwatch.serving import schemas
from hearthwatch.serving.bodies import BATCH, FORM, FRAME_KEYS, FRAMES, JSON, PICTURE_KEYS, RAW
from hearthwatch.serving.fields import (
    BOXES_OF_A_PICTURE,
    FIELDS,
    SEVERAL_BOXES,
    class_name,
    fields_model,
    several_field,
    takes_raw,
)
from hearthwatch.serving.limits import RequestLimits
from hearthwatch.serving.responses import response_model, rows_model
from hearthwatch.serving.values import USUAL_BOXES

_BINARY = {"type": "string", "format": "binary"}
_BASE64 = {
    "type": "string",
    "format": "byte",
    "description": "The picture as standard base64; a data: prefix is allowed.",
}
MAX_FRAMES = RequestLimits().max_frames
_FRAMES = {
    "anyOf": [{"type": "array", "items": _BASE64, "maxItems": MAX_FRAMES}, {"type": "null"}],
    "description": f"Up to {MAX_FRAMES} further pictures of the camera in the order of time, for the action of "
    "suspicious people; under one of the two names.",
}
#: Statuses beside 200 that a route with a picture may answer, and when.
ERRORS: Mapping[int, str] = {
    400: "Not a picture, a damaged one, or no base64",
    401: "A key is required",
    403: "A web page of another site, or a host that is not served",
    413: "Over the limit of bytes or pixels",
    415: "A media type or picture format that is not taken",
    422: "The fields do not fit",
    429: "Too many calls wait for the model",
    500: "Something went wrong inside",
    503: "The model cannot answer now",
    504: "The deadline passed first",
    507: "The model is larger than the memory budget",
}
_HEADERS = [
    {
        "name": "X-Deadline-Ms",
        "in": "header",
        "required": False,
        "description": "Milliseconds after which nobody waits for the answer.",
        "schema": {"type": "number", "minimum": 1, "maximum": 3_600_000},
    }
]


@functools.cache
def example_picture() -> str:
    """A 32 x 32 PNG as base64: two colours and an edge, so that every decoder has something to do."""
    pixels = np.full((32, 32, 3), 90, np.uint8)
    pixels[8:24, 8:24] = (40, 120, 200)
    return base64.b64encode(cv2.imencode(".png", pixels)[1].tobytes()).decode()


def route_document(route: Route) -> dict[str, Any]:
    """Keyword arguments of `add_api_route` that describe a route."""
    return {
        "summary": route.summary,
        "tags": ["models"],
        "responses": {200: {"model": _answer(route), "description": "The answer"}, **_problems(ERRORS)},
        "openapi_extra": {"requestBody": _request_body(route), "parameters": [*_query(route), *_HEADERS]},
    }


def shared_document(path: str) -> dict[str, Any]:
    """The same for the routes about the service itself."""
    summary, model = schemas.SHARED[path]
    answer: dict[str, Any] = {"description": summary}
    if model is not None:
        answer["model"] = model
    errors = {401: ERRORS[401], 403: ERRORS[403]}
    if path in {"/readyz", "/readiness"}:
        errors = {403: ERRORS[403], 503: "Not ready, with the reasons"}
    document: dict[str, Any] = {"summary": summary, "tags": ["service"]}
    if path in {"/models/preload", "/models/unload"}:
        errors |= {404: "No such model", 422: ERRORS[422], 413: ERRORS[413], 503: ERRORS[503], 507: ERRORS[507]}
        named = {"schema": schemas.ModelName.model_json_schema(), "example": {"model_name": "pose_estimator"}}
        document["openapi_extra"] = {"requestBody": {"required": True, "content": {JSON: named}}}
    if model is None:
        document["response_class"] = PlainTextResponse
    return {**document, "responses": {200: answer, **_problems(errors)}}


def _answer(route: Route) -> Any:
    """What a route answers: in one form, or in another one about several boxes."""
    one, several = response_model(route), rows_model(route)
    return one if several is None else one | several


def _examples(route: Route, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Requests that work: about one thing, and about several where the route takes several."""
    fields, several = {name: FIELDS[name].example for name in route.fields}, several_field(route)
    one = {name: value for name, value in fields.items() if name != several}
    if several is None:
        return {"example": {**shown, **one}}
    many = {name: value for name, value in fields.items() if name not in BOXES_OF_A_PICTURE or name == several}
    return {
        "examples": {
            "one": {"summary": "About one part of the picture", "value": {**shown, **one}},
            "several": {"summary": "About several, a row each", "value": {**shown, **many}},
        }
    }


def _problems(errors: Mapping[int, str]) -> dict[int, dict[str, Any]]:
    return {status: {"model": schemas.ProblemResponse, "description": text} for status, text in errors.items()}


def _request_body(route: Route) -> dict[str, Any]:
    document = fields_model(route).model_json_schema()
    fields = document.get("properties", {})
    picture: dict[str, Any] = {}
    form: dict[str, Any] = {}
    shown: dict[str, Any] = {}
    several = FRAMES if route.kind is Kind.FRAMES else BATCH
    if route.kind.many:
        most = several.most(RequestLimits())
        picture = {several.key: {"type": "array", "items": _BASE64, "minItems": 1, "maxItems": most}}
        form = {several.files[0]: {"type": "array", "items": _BINARY}}
        shown = {several.key: [example_picture()]}
    elif not route.kind.pictureless:
        picture = dict.fromkeys(PICTURE_KEYS, _BASE64)
        form, shown = {"file": _BINARY}, {"image": example_picture()}
    frames = FRAME_KEYS if route.kind.with_frames else ()
    # What may stand in the query as well cannot be asked of the body.
    in_query = {name for name in fields if _may_stand_in_query(route, name)}
    required = [name for name in document.get("required", []) if name not in in_query]
    schema: dict[str, Any] = {
        "title": f"{class_name(route)}Request",
        "type": "object",
        "properties": {**picture, **fields, **dict.fromkeys(frames, _FRAMES)},
        "required": ([several.key] if route.kind.many else []) + required,
    }
    if not (route.kind.many or route.kind.pictureless):
        schema["anyOf"] = [{"required": [key]} for key in PICTURE_KEYS]
    content: dict[str, Any] = {JSON: {"schema": schema, **_examples(route, shown)}}
    texts = {name: _as_text(name, value) for name, value in fields.items()}
    files = {key: {"type": "array", "items": _BINARY, "maxItems": MAX_FRAMES} for key in frames}
    form_schema = {"type": "object", "properties": {**form, **texts, **files}, "required": [*form, *required]}
    content[FORM] = {"schema": form_schema}
    if takes_raw(route):
        content |= {kind: {"schema": _BINARY} for kind in RAW[:5]}
    return {"required": True, "content": content}


def _as_text(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    """A field as it stands in a form or a query."""
    if name in {"bbox", "face_bbox"}:
        return {"type": "string", "description": "x1,y1,x2,y2", "example": "4,4,28,28"}
    if name in SEVERAL_BOXES:
        sides = {"type": "string", "description": "x1,y1,x2,y2", "example": "4,4,28,28"}
        return {"type": "array", "items": sides, "maxItems": USUAL_BOXES}
    if FIELDS[name].form == "json":
        return {"type": "string", "description": f"JSON. {schema.get('description', '')}"}
    return {key: value for key, value in schema.items() if key != "default"}


def _query(route: Route) -> list[dict[str, Any]]:
    """The fields beside a raw body."""
    fields = fields_model(route).model_json_schema().get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _as_text(name, schema),
         "description": f"In the query or in the body. {schema.get('description', '')}".strip()}
        for name, schema in fields.items() if _may_stand_in_query(route, name)
    ]  # fmt: skip


def _may_stand_in_query(route: Route, name: str) -> bool:
    return FIELDS[name].form != "json" and not (route.kind.many or route.kind.pictureless)
