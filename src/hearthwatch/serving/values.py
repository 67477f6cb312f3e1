"""What values fields may have: boxes, numbers, names and texts, each checked, and described for OpenAPI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, WithJsonSchema

from hearthwatch.errors import BadBox, BadCalibration
from hearthwatch.vision.boxes import Box, parse_box
from hearthwatch.vision.calibration import DepthCalibration, calibration_from
from hearthwatch.vision.embeddings import unit

_NUMBER = {"type": "number"}
_BOX_SCHEMA = {
    "anyOf": [
        {"type": "array", "items": _NUMBER, "minItems": 4, "maxItems": 4, "title": "x1, y1, x2, y2"},
        *(
            {"type": "object", "properties": dict.fromkeys(sides, _NUMBER), "required": list(sides)}
            for sides in (("x1", "y1", "x2", "y2"), ("x", "y", "width", "height"))
        ),
        {"type": "null"},
    ]
}
_CALIBRATION_SCHEMA = {
    "anyOf": [
        {
            "type": "object",
            "properties": {
                **dict.fromkeys(("slope", "offset", "nearest_m", "farthest_m"), _NUMBER),
                "inverse": {"type": "boolean"},
                "residual": {"anyOf": [_NUMBER, {"type": "null"}]},
                "space": {"type": "string"},
            },
            "required": ["slope", "offset", "inverse", "nearest_m", "farthest_m"],
            "additionalProperties": False,
        },
        {"type": "null"},
    ]
}
#: Names of classes and the like; what is longer is no name.
MAX_NAME = 200
MAX_CLASSES = 1000
#: Characters of a text for CLIP, which reads the first fifty words or so and says when it stopped.
MAX_TEXT = 10_000
#: Texts and labels where nobody sets another limit; what is checked is `RequestLimits`, which names both numbers.
USUAL_TEXTS = 100
#: Detections of one picture, likewise, and boxes of one.
USUAL_DETECTIONS = USUAL_BOXES = 100
#: Far above the numbers of any embedding.
MAX_EMBEDDING = 65_536


def box_of(value: Any) -> Box | None:
    """A box in any of its forms; None for null.

    Raises:
        BadBox: it is none.
    """
    if value is None or isinstance(value, Box):
        return value
    if isinstance(value, str):
        value = _numbers(value)
    return parse_box(value)


def _numbers(text: str) -> list[float]:
    """`x1,y1,x2,y2` of a form or a query."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise BadBox(f"box {text[:100]!r} is not four numbers with commas between them") from error


def _calibration(value: Any) -> DepthCalibration | None:
    if value is None or isinstance(value, DepthCalibration):
        return value
    if not isinstance(value, Mapping):
        raise BadCalibration(f"a calibration is an object, as `to_plain` gives it, and no {type(value).__name__}")
    return calibration_from(value)


def _no_switch(value: Any) -> Any:
    """Pydantic takes true for 1; who writes it means something else."""
    if isinstance(value, bool):
        raise ValueError("a number is expected, not true or false")  # noqa: TRY004 - what pydantic collects
    return value


def _switch(value: Any) -> Any:
    """True or false, and their words in a form; pydantic would take 1, yes and on as well."""
    words = {"true": True, "false": False}
    if isinstance(value, str) and value.lower() in words:
        return words[value.lower()]
    if not isinstance(value, bool):
        raise ValueError("true or false is expected")  # noqa: TRY004 - what pydantic collects
    return value


def _with_direction(values: list[float]) -> list[float]:
    """A direction: what has none cannot be compared, and would give a score that means nothing."""
    try:
        unit(values)
    except ValueError as error:
        raise ValueError("a baseline that is zero or not finite has no direction to compare with") from error
    return values


CalibrationField = Annotated[Any, PlainValidator(_calibration), WithJsonSchema(_CALIBRATION_SCHEMA)]
BoxField = Annotated[Any, PlainValidator(box_of), WithJsonSchema(_BOX_SCHEMA)]
Share = Annotated[float, BeforeValidator(_no_switch), Field(ge=0.0, le=1.0, allow_inf_nan=False)]
Name = Annotated[str, Field(max_length=MAX_NAME)]
Text = Annotated[str, Field(max_length=MAX_TEXT)]
_Listed = {"minItems": 1, "maxItems": USUAL_TEXTS}
Texts = Annotated[list[Text], Field(min_length=1, json_schema_extra=dict(_Listed))]
Number = Annotated[float, BeforeValidator(_no_switch), Field(allow_inf_nan=False, strict=True)]
Switch = Annotated[bool, BeforeValidator(_switch)]
Score = Annotated[float, BeforeValidator(_no_switch), Field(ge=0.0, le=100.0, allow_inf_nan=False)]
Embedding = Annotated[list[Number], AfterValidator(_with_direction), Field(min_length=2, max_length=MAX_EMBEDDING)]
#: What is no box costs its own row, so anything may stand in the list.
_BOXES_SCHEMA = {"anyOf": [{"type": "array", "items": {}, "maxItems": USUAL_BOXES}, {"type": "null"}]}
Boxes = Annotated[list[Any] | None, WithJsonSchema(_BOXES_SCHEMA)]
