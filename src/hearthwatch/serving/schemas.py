"""Names of the wire in OpenAPI: what is no model's own answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from hearthwatch.adapter import wire
from hearthwatch.artifacts.description import WeightsOrigin
from hearthwatch.models.clip import CLIPAnswer, InSpace, SpaceMetadata
from hearthwatch.models.demographics import DemographicsAnswer
from hearthwatch.models.depth_estimator import DistanceAnswer
from hearthwatch.models.yolo26 import DetectionsAnswer
from hearthwatch.serving import enrich_schemas
from hearthwatch.serving.values import USUAL_TEXTS, Boxes, BoxField, Embedding, Switch, Text, Texts
from hearthwatch.vision.faces import Source

EnrichRequest = enrich_schemas.EnrichRequest
EnrichResponse = enrich_schemas.EnrichResponse
EnrichBatchResponse = enrich_schemas.EnrichBatchResponse

_TIME: Any = Field(description="Preprocessing, network and postprocessing, in ms; neither queueing nor decoding.")

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


class PictureRequest(BaseModel):
    """A request about one picture, as JSON."""

    model_config = ConfigDict(extra="ignore")

    image: str | None = Field(default=None, description="The picture as standard base64.")
    image_base64: str | None = Field(default=None, description="The same under its other name.")
    bbox: BoxField = Field(default=None, description="The detection that is meant, in pixels of the picture.")

    @model_validator(mode="after")
    def _has_a_picture(self) -> Self:
        if self.image is None and self.image_base64 is None:
            raise ValueError("no picture: send image or image_base64")
        return self


class EmbedRequest(PictureRequest):
    """A picture to embed, or several boxes of it."""

    boxes: Boxes = Field(default=None, description="Several boxes: the answer is then a row for each.")


class EmbedResponse(CLIPAnswer):
    """A picture as an embedding."""

    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class AnomalyScoreRequest(PictureRequest):
    """A picture and the embedding of usual ones."""

    baseline_embedding: Embedding


class AnomalyScoreResponse(InSpace):
    """How far a picture is from a baseline."""

    anomaly_score: float = Field(description="0 = as the baseline, 1 = completely different; above 0.5 is a change.")
    similarity_to_baseline: float = Field(description="Cosine, -1 to 1.")
    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class ClassifyRequest(PictureRequest):
    """A picture and labels to choose from."""

    labels: Texts = Field(max_length=USUAL_TEXTS)
    use_ensemble: Switch = True


class ClassifyResponse(InSpace):
    """A probability for each label."""

    scores: dict[str, float] = Field(description="By label; their sum is 1.")
    top_label: str = Field(description="The likeliest.")
    use_ensemble: bool = Field(description="Whether each label was read in several sentences.")
    truncated: list[int] = Field(description="Indices of labels whose end the network did not read.")
    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class SimilarityRequest(PictureRequest):
    """A picture and a text."""

    text: Text


class SimilarityResponse(InSpace):
    """How well a text fits a picture."""

    similarity: float = Field(description="Cosine, -1 to 1; of a fitting text about 0.3.")
    truncated: bool = Field(description="Whether the network did not read the end of the text.")
    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class BatchSimilarityRequest(PictureRequest):
    """A picture and several texts."""

    texts: Texts = Field(max_length=USUAL_TEXTS)


class BatchSimilarityResponse(InSpace):
    """How well each text fits a picture."""

    similarities: dict[str, float] = Field(description="Cosines by text.")
    truncated: list[int] = Field(description="Indices of texts whose end the network did not read.")
    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class EmbedBatchRow(BaseModel):
    """One picture of a batch: its embedding, or its error."""

    index: int
    filename: str | None
    embedding: list[float] | None
    logit_scale: float | None
    space: str | None
    metadata: SpaceMetadata | None
    error: str | None = None
    code: str | None = None


class EmbedBatchResponse(BaseModel):
    """One row for each picture, in the order in which they were sent."""

    results: list[EmbedBatchRow]
    weights: WeightsOrigin | None = Field(description=f"{WEIGHTS} Null where no picture was answered.")
    inference_time_ms: float


class EmbedTextRequest(BaseModel):
    """Texts to embed."""

    texts: Texts = Field(max_length=USUAL_TEXTS)


class EmbedTextResponse(BaseModel):
    """Texts as embeddings."""

    embeddings: list[list[float]] = Field(description="One for each text, each of length 1.")
    embedding_dimension: int = Field(description="Numbers of an embedding.")
    truncated: list[int] = Field(description="Indices of texts whose end the network did not read.")
    space: str = Field(description="Pictures with the same model and digest can be compared with them.")
    metadata: dict[str, str] = Field(description="The same in its parts: model and digest.")
    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class ObjectDistanceResponse(DistanceAnswer):
    """How far a thing is."""

    weights: WeightsOrigin = Field(description=WEIGHTS)
    inference_time_ms: float = _TIME


class DemographicsResponse(DemographicsAnswer):
    """What one face looks like: an estimate; all null where no face was found."""

    face_bbox: wire.BoxAnswer | None = Field(description="The face that was looked at; null where there is none.")
    face_source: Source | None = Field(description="Who said where it is.")
    weights: WeightsOrigin | None = Field(description=f"{WEIGHTS} Null where the face that was sent is too small.")
    inference_time_ms: float = _TIME


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
