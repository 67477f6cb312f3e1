"""Names of the wire in OpenAPI: what is no model's own answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.models.yolo26 import DetectionsAnswer

WeightsWord = Literal["real", "sample", "mixed"]
WEIGHTS_WORD = "Whether sample weights, trained on drawn scenes, answer for none, all or some of the models."
NOTICE = "A sentence for people where sample weights answer; else null."
WEIGHTS = "What the answer comes from: real weights, sample weights (trained on drawn scenes) or a file of yours."


class ProblemResponse(BaseModel):
    """Every error."""

    detail: str | list[dict[str, Any]] = Field(
        description="A sentence for a person, or the list of fields that do not fit."
    )
    code: str = Field(description="A stable word.", examples=["not_an_image"])
    model: str | None = Field(default=None, description="The model that is concerned.")


class _Detections(DetectionsAnswer):
    image_width: int | None = Field(description="Pixels of the upright picture.")
    image_height: int | None


class DetectResponse(_Detections):
    """The objects of one picture."""

    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float


class DetectBatchRow(_Detections):
    """One picture of a batch: its objects, or its error."""

    index: int
    filename: str | None
    error: str | None = None
    code: str | None = None


class DetectBatchResponse(BaseModel):
    """One row for each picture, in the order in which they were sent."""

    results: list[DetectBatchRow]
    weights: WeightsOrigin | None = Field(description=f"{WEIGHTS} Null where no picture was answered.")
    inference_time_ms: float


class ModelBrief(BaseModel):
    """A model in a health answer."""

    model_config = ConfigDict(extra="allow")

    state: str
    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    weights: str | None = None
    reason: str | None = None


class HealthResponse(BaseModel):
    """How a service is. Which fields there are depends on the service's page."""

    model_config = ConfigDict(extra="allow")

    status: str = Field(description="healthy, degraded (a model cannot be loaded) or draining.")
    weights: WeightsWord = Field(description=WEIGHTS_WORD)
    notice: str | None = Field(description=NOTICE)
    models: dict[str, ModelBrief]


class ReadyResponse(BaseModel):
    """Whether a service takes work."""

    ready: bool
    reasons: list[str]


class LiveResponse(BaseModel):
    """The event loop answers."""

    status: str


class ModelsResponse(BaseModel):
    """Each model's state."""

    model_config = ConfigDict(extra="allow")

    weights: WeightsWord = Field(description=WEIGHTS_WORD)
    notice: str | None = Field(description=NOTICE)
    models: list[dict[str, Any]]


class RegistryResponse(BaseModel):
    """The models that there are."""

    models: list[dict[str, Any]]


class ModelName(BaseModel):
    """Which model is meant; also as `?model_name=`."""

    model_name: str


class ManagedResponse(BaseModel):
    """What became of a model."""

    model_name: str
    state: str
    bytes_returned: int | None = None


#: The routes about a service itself: summary, and the answer's form.
SHARED: Mapping[str, tuple[str, type[BaseModel] | None]] = {
    "/health": ("How the service is; fast at all times", HealthResponse),
    "/livez": ("Whether the process answers", LiveResponse),
    "/readyz": ("Whether the service takes work", ReadyResponse),
    "/readiness": ("The same as /readyz", ReadyResponse),
    "/models": ("Each model's state, engine and memory", ModelsResponse),
    "/metrics": ("Prometheus metrics", None),
    "/models/status": ("Memory budget, use, and each model's state", ModelsResponse),
    "/models/registry": ("The models that there are", RegistryResponse),
    "/models/preload": ("Load a model now", ManagedResponse),
    "/models/unload": ("Unload a model; answers the bytes that came back", ManagedResponse),
}
