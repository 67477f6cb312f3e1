"""The fields that routes take beside the picture, by name: type, default, and how each stands in a form or a query.

`services` names the fields of a route; from these rows come the check of a request, its OpenAPI and its example.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, create_model

from hearthwatch.models.depth_estimator import Method
from hearthwatch.models.yolo26 import DEFAULT_CLASSES, DEFAULT_CONFIDENCE, EVERY_CLASS
from hearthwatch.selection import DETECTION_TYPES
from hearthwatch.services import Route
from hearthwatch.serving.values import (
    MAX_CLASSES,
    USUAL_BOXES,
    USUAL_DETECTIONS,
    USUAL_TEXTS,
    Boxes,
    BoxField,
    CalibrationField,
    Embedding,
    Name,
    Score,
    Share,
    Switch,
    Text,
    Texts,
)

#: Fields that hold several boxes of the picture, and all that hold any.
SEVERAL_BOXES = ("boxes", "face_boxes")
BOXES_OF_A_PICTURE = ("bbox", "face_bbox", *SEVERAL_BOXES)
_BBOX = (
    "The detection that is meant, in pixels of the picture sent: [x1, y1, x2, y2], or an object with x1, y1, x2, y2 or "
    "x, y, width, height. In a form or a query: x1,y1,x2,y2. Absent: the whole picture."
)
_BOXES = (
    f"Several boxes in one request, up to {USUAL_BOXES}, each in a form of bbox. The answer is then `results`, a row "
    "for each in their order; a bad box has `error` and `code` in its own row. In a form or a query: x1,y1,x2,y2, as a "
    "repeated key."
)
_BOXES_EXAMPLE = [[4.0, 4.0, 28.0, 28.0], {"x": 2.0, "y": 2.0, "width": 12.0, "height": 12.0}]
_TYPE = f"What it is: {', '.join(DETECTION_TYPES)}. It says which models are asked."
_FACE_VISIBLE = "Whether a face is to be seen: asks for apparent age and gender."
_FACE_BBOX = "Where the face is, in the forms of bbox. Absent: where the head's joints or a face detector say."
_SUSPICIOUS = "0 to 100; above 50 it is suspicious, and frames are asked for the action."


class EnrichOptions(BaseModel):
    """What can be chosen about the answer of `/enrich`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    depth_map: Switch = Field(
        default=False, description="Whether the depth part has the map of the whole picture as well."
    )
    labels: list[Text] = Field(
        default=[],
        description="Actions to choose from, up to 100; empty: the documented ones.",
        json_schema_extra={"maxItems": USUAL_TEXTS},
    )
    distance_method: Method = Field(
        default="center", description="Which depth of the box is its distance: of its middle, mean, median or nearest."
    )


class EnrichDetection(BaseModel):
    """One detection of `/enrich/batch`."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    id: str | int | None = Field(default=None, description="Names its row; absent: its place in the list, from 0.")
    detection_type: Name = Field(description=_TYPE)
    bbox: BoxField = Field(default=None, description=_BBOX)
    face_visible: Switch = Field(default=False, description=_FACE_VISIBLE)
    face_bbox: BoxField = Field(default=None, description=_FACE_BBOX)
    suspicious_score: Score = Field(default=0.0, description=_SUSPICIOUS)


Options = Annotated[
    EnrichOptions | None, WithJsonSchema({"anyOf": [EnrichOptions.model_json_schema(), {"type": "null"}]})
]
_ROWS_SCHEMA = {"type": "array", "items": EnrichDetection.model_json_schema(), "maxItems": USUAL_DETECTIONS}
Rows = Annotated[list[EnrichDetection], WithJsonSchema(_ROWS_SCHEMA)]


@dataclass(frozen=True, slots=True)
class InputField:
    """One field.

    Attributes:
        annotation: what pydantic checks.
        default: where it is absent; `...` where it must not be.
        description: for OpenAPI.
        example: a value that works with the example picture.
        form: `one` value, `many` (a repeated key), or `json` text, in a form; `json` fields cannot stand in a query.
    """

    annotation: Any
    default: Any
    description: str
    example: Any
    form: Literal["one", "many", "json"] = "one"


FIELDS: Mapping[str, InputField] = MappingProxyType(
    {
        "bbox": InputField(
            BoxField,
            None,
            _BBOX,
            [4.0, 4.0, 28.0, 28.0],
        ),
        "boxes": InputField(Boxes, None, _BOXES, _BOXES_EXAMPLE, form="many"),
        "method": InputField(
            Method,
            "center",
            "How the depth of the box becomes one value: that of its middle, the mean, the median, or the nearest.",
            "median",
        ),
        "calibration": InputField(
            CalibrationField,
            None,
            "Of the camera, as `DepthEstimator.calibrate(…).to_plain()` gives it. Absent: metres are an estimate, "
            "unless the network is a metric one. In a form: JSON.",
            None,
            form="json",
        ),
        "min_confidence": InputField(Share | None, None, "Leave out what is less certain than this, 0 to 1.", 0.5),
        "confidence": InputField(
            Share, DEFAULT_CONFIDENCE, "Leave out objects that are less certain than this, 0 to 1.", DEFAULT_CONFIDENCE
        ),
        "classes": InputField(
            Annotated[list[Name], Field(max_length=MAX_CLASSES)] | None,
            None,
            f"Class names to keep, {EVERY_CLASS} for all; absent: {', '.join(DEFAULT_CLASSES)}.",
            ["person", "dog"],
            form="many",
        ),
        "labels": InputField(
            Texts,
            ...,
            "Descriptions to choose from, up to 100; the same one twice counts once. Where they may be absent: the "
            "documented ones.",
            ["a person with a box", "an empty porch"],
            form="many",
        ),
        "use_ensemble": InputField(
            Switch, True, "Read each label in five sentences about surveillance pictures and average them.", True
        ),
        "text": InputField(Text, ..., "A description.", "a person with a box"),
        "texts": InputField(
            Texts, ..., "Descriptions, up to 100.", ["a person with a box", "an empty porch"], form="many"
        ),
        "detection_type": InputField(Name, ..., _TYPE, "person"),
        "face_visible": InputField(Switch, False, _FACE_VISIBLE, False),
        "face_bbox": InputField(BoxField, None, _FACE_BBOX, [4.0, 4.0, 28.0, 28.0]),
        "face_boxes": InputField(Boxes, None, f"Where faces are. {_BOXES}", _BOXES_EXAMPLE, form="many"),
        "suspicious_score": InputField(Score, 0.0, _SUSPICIOUS, 20.0),
        "options": InputField(
            Options, None, "depth_map, labels, distance_method. In a form: JSON.", {"distance_method": "median"}, "json"
        ),
        "detections": InputField(
            Rows,
            ...,
            "Up to 100 detections of the picture. In a form: JSON.",
            [
                {"id": "a", "detection_type": "person", "bbox": [4.0, 4.0, 28.0, 28.0]},
                {"id": "b", "detection_type": "dog", "bbox": {"x": 2.0, "y": 2.0, "width": 12.0, "height": 12.0}},
            ],
            "json",
        ),
        "baseline_embedding": InputField(
            Embedding,
            ...,
            "The embedding to compare with, such as the mean of usual pictures of the scene: as many "
            "numbers as the network gives, 768 of CLIP ViT-L/14. In a form: JSON.",
            [1.0] + [0.0] * 767,
            form="json",
        ),
    }
)


class RequestFields(BaseModel):
    """The fields of one request, checked. Keys that a route does not know are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


@functools.cache
def fields_model(route: Route) -> type[RequestFields]:
    """What a route takes beside the picture, as a pydantic model."""
    rows: dict[str, Any] = {}
    for name in route.fields:
        row, may_be_absent = FIELDS[name], name in route.optional
        annotation = row.annotation | None if may_be_absent else row.annotation
        default = None if may_be_absent else row.default
        rows[name] = (annotation, Field(default=default, description=row.description))
    return create_model(f"{class_name(route)}Fields", __base__=RequestFields, **rows)


def several_field(route: Route) -> str | None:
    """The field by which a route is asked about several boxes; None where it answers one question at a time."""
    return next((name for name in route.fields if name in SEVERAL_BOXES), None)


def takes_raw(route: Route) -> bool:
    """Whether a picture may be the body itself, with the other fields in the query."""
    structured = any(FIELDS[name].form == "json" and FIELDS[name].default is ... for name in route.fields)
    return not (route.kind.many or route.kind.pictureless or route.kind.with_frames or structured)


def class_name(route: Route) -> str:
    """`/pose-analyze` to `PoseAnalyze`: the stem of a route's names in OpenAPI."""
    return "".join(word.capitalize() for word in route.name.replace("/", "-").split("-"))
