"""`/enrich` in OpenAPI: what is asked, and an answer whose parts are those of the models' own routes."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from hearthwatch.adapter import wire
from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.enrichment.parts import PARTS
from hearthwatch.errors import UnknownModel
from hearthwatch.models import get_model
from hearthwatch.models.depth_estimator import DistanceAnswer, Method
from hearthwatch.models.pose_estimator import KeypointAnswer, PosesAnswer
from hearthwatch.serving.fields import EnrichOptions
from hearthwatch.serving.values import BoxField, Name, Score, Switch

Status = Literal["full", "partial", "failed", "skipped"]
_TIME = "Of the model's call, in ms; all rows of a batch share it."
_ALL = "Preprocessing, network and postprocessing of all models together, in ms; neither queueing nor decoding."
_ORIGIN = "real, sample or custom; mixed where the models' differ, and null where none answered."


class EstimatedPose(BaseModel):
    """A person's pose as formatters of prompts read it."""

    keypoints: list[KeypointAnswer]
    confidence: float | None
    posture: str


class _Pose(PosesAnswer):
    poses: list[EstimatedPose] = Field(description="The same persons; posture `arms_raised` where both arms are.")


class _Depth(DistanceAnswer):
    """With `depth_map`, also the map of the whole picture and its statistics."""

    depth_map_base64: str | None = Field(default=None, description="An 8-bit grey PNG; black = nearest.")
    min_depth: float | None = None
    max_depth: float | None = None
    mean_depth: float | None = None
    distances: dict[Method, DistanceAnswer] | None = Field(default=None, description="By each method.")
    raw_min: float | None = None
    raw_max: float | None = None
    region: list[float] | None = Field(default=None, description="The picture pixels that the map covers.")
    bbox: wire.BoxAnswer | None = None
    inverse: bool | None = None
    space: str | None = None


_OWN: dict[str, type[BaseModel]] = {"depth_estimator": _Depth, "pose_estimator": _Pose}


def _answer(model: str) -> Any:
    """The type of a part."""
    if PARTS[model].name == "reid_embedding":
        return list[float]
    try:
        base = _OWN.get(model) or get_model(model).RESPONSE
    except UnknownModel:  # described once this version has it
        return dict[str, Any]
    return create_model(
        f"{PARTS[model].name.capitalize()}Part",
        __base__=base,
        weights=(WeightsOrigin, Field(description="Of this model.")),
        inference_time_ms=(float, Field(description=_TIME)),
    )


_PARTS: dict[str, Any] = {
    part.name: (_answer(model) | None, Field(default=None, description=f"Of {model}; null with a reason."))
    for model, part in PARTS.items()
} | {
    part.space: (str | None, Field(default=None, description=f"Which space `{part.name}` is of; null where it is."))
    for part in PARTS.values()
    if part.space is not None
}


class Enriched(BaseModel):
    """How the models of one detection fared."""

    models_loaded: list[str] = Field(description="The models that looked, the most valuable first.")
    skipped: dict[str, str] = Field(description="Models that were not asked, with the reason.")
    errors: dict[str, str] = Field(description="Models that failed, with the sentence.")
    status: Status = Field(description="full, partial (some failed or there was no time for them), failed or skipped.")


class EnrichRequest(BaseModel):
    """One detection of a picture, as JSON."""

    model_config = ConfigDict(extra="ignore")

    image: str | None = Field(default=None, description="The picture as standard base64.")
    image_base64: str | None = Field(default=None, description="The same under its other name.")
    detection_type: Name
    bbox: BoxField = None
    face_visible: Switch = False
    face_bbox: BoxField = None
    suspicious_score: Score = 0.0
    frames_buffer: list[str] | None = Field(default=None, description="Further pictures in the order of time.")
    frames: list[str] | None = Field(default=None, description="The same under its other name.")
    options: EnrichOptions | None = None


EnrichResponse = create_model(
    "EnrichResponse",
    __base__=Enriched,
    __doc__="Everything that the service's models know about one detection.",
    **_PARTS,
    weights=(str | None, Field(description=_ORIGIN)),
    inference_time_ms=(float, Field(description=_ALL)),
)
EnrichBatchRow = create_model(
    "EnrichBatchRow",
    __base__=Enriched,
    __doc__="One detection of a batch: what is known about it, or why it cannot be meant.",
    **_PARTS,
    id=(str | int, ...),
    error=(str | None, None),
    code=(str | None, None),
)


class EnrichBatchResponse(BaseModel):
    """One row for each detection, in the order in which they were sent."""

    results: list[EnrichBatchRow]  # type: ignore[valid-type]  # it is made from the table of parts
    weights: str | None = Field(description=_ORIGIN)
    inference_time_ms: float = Field(description=_ALL)
