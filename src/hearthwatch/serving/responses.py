"""The answers of routes as pydantic models: about one question, and about several boxes with a row for each."""

from __future__ import annotations

import functools
from typing import Any

from pydantic import BaseModel, Field, create_model

from hearthwatch.adapter.base import PictureAdapter
from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.models import get_model
from hearthwatch.services import Route
from hearthwatch.serving import schemas
from hearthwatch.serving.fields import class_name, several_field

_TIME = "Preprocessing, network and postprocessing, in ms; neither queueing nor decoding."
#: Fields of an answer about one box that an answer about several has once.
_ONCE = frozenset({"weights", "inference_time_ms"})


@functools.cache
def response_model(route: Route) -> type[BaseModel]:
    """The whole answer of a route to one question: the model's own fields and the time."""
    named: type[BaseModel] | None = getattr(schemas, f"{class_name(route)}Response", None)
    return named or create_model(
        f"{class_name(route)}Response",
        __base__=get_model(route.model).RESPONSE,
        weights=(WeightsOrigin, Field(description=schemas.WEIGHTS)),
        inference_time_ms=(float, Field(description=_TIME)),
    )


@functools.cache
def rows_model(route: Route) -> type[BaseModel] | None:
    """Its answer about several boxes; None where it cannot be asked about several."""
    if several_field(route) is None:
        return None
    shared, fields = shared_fields(route), response_model(route).model_fields
    row = create_model(
        f"{class_name(route)}Row",
        index=(int, Field(description="The box's place in the request, from 0.")),
        **{name: _nullable(fields[name]) for name in row_fields(route)},
        error=(str | None, Field(default=None, description="Why there is no answer for this box.")),
        code=(str | None, Field(default=None, description="The stable word of it.")),
    )
    return create_model(
        f"{class_name(route)}RowsResponse",
        **{name: _nullable(fields[name], default=None) for name in fields if name in shared},
        results=(list[row], Field(description="One row for each box, in their order.")),  # type: ignore[valid-type]
        weights=(WeightsOrigin | None, Field(description=f"{schemas.WEIGHTS} Null where no box was answered.")),
        inference_time_ms=(float, Field(description=_TIME)),
    )


@functools.cache
def row_fields(route: Route) -> tuple[str, ...]:
    """The fields of a row: those of the answer to one question, without what is told once for all."""
    without = shared_fields(route) | _ONCE
    return tuple(name for name in response_model(route).model_fields if name not in without)


def shared_fields(route: Route) -> frozenset[str]:
    """What is the same for all boxes of a picture."""
    model = get_model(route.model)
    shared = model.SHARED if issubclass(model, PictureAdapter) else None
    own = response_model(route).model_fields.keys()
    return frozenset() if shared is None else frozenset(shared.model_fields.keys() & own)


def _nullable(field: Any, default: Any = ...) -> Any:
    return (field.annotation | None, Field(default=default, description=field.description))
