"""THE PAGE: every service, its port, memory budget and routes, as data.

A service is a few rows, not a folder. `serving` turns a row into routes, the command line starts services by the names
here, and the contract tests loop over them. Which fields a route takes is said by name; `serving.fields` knows each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from hearthwatch.errors import SettingsError


class Kind(StrEnum):
    """What stands behind a route."""

    MODEL = "model"  #: one picture to one model's answer
    DETECT = "detect"  #: one picture to objects, filtered by class
    DETECT_BATCH = "detect_batch"  #: several pictures, a row each
    ANOMALY = "anomaly"  #: one picture against the embedding of another
    CLASSIFY = "classify"  #: one picture to a probability for each label
    SIMILARITY = "similarity"  #: one picture against one text
    BATCH_SIMILARITY = "batch_similarity"  #: one picture against several texts
    EMBED_BATCH = "embed_batch"  #: several pictures to embeddings, a row each
    EMBED_TEXT = "embed_text"  #: texts to embeddings, without a picture
    DISTANCE = "distance"  #: one picture to how far a thing in it is
    FACE = "face"  #: one picture, or a person in it, to what a model says of the face
    FRAMES = "frames"  #: several pictures in the order of time to one answer
    ENRICH = "enrich"  #: one detection of a picture to everything that the service's models know about it
    ENRICH_BATCH = "enrich_batch"  #: several detections of one picture, a row each

    @property
    def many(self) -> bool:
        """Whether it takes several pictures."""
        return self in {Kind.DETECT_BATCH, Kind.EMBED_BATCH, Kind.FRAMES}

    @property
    def pictureless(self) -> bool:
        """Whether it takes no picture at all."""
        return self is Kind.EMBED_TEXT

    @property
    def with_frames(self) -> bool:
        """Whether further pictures may come beside the one that is asked about."""
        return self in {Kind.ENRICH, Kind.ENRICH_BATCH}


class Loading(StrEnum):
    """When a service's models are in memory."""

    ALWAYS = "always"  #: loaded at start in the background, never unloaded in a process of its own
    ON_DEMAND = "on demand"  #: loaded on the first request, unloaded when idle or when others need the room


class HealthForm(StrEnum):
    """What `GET /health` answers; see CONTRACT."""

    SINGLE = "single"  #: one model: loaded or not
    MODELS = "models"  #: a map of models
    EMBEDDING = "embedding"  #: one model that embeds, with the length of its embeddings


@dataclass(frozen=True, slots=True)
class Route:
    """One way to ask.

    Attributes:
        path: of a POST.
        model: canonical name of the model that answers; empty where all of the service's may.
        summary: one line for people.
        fields: what it takes beside the picture, by the names of `serving.fields`.
        kind: what stands behind it.
        optional: those of its fields that other routes insist on and this one does not.
        beside: further models that it asks where it has to.
    """

    path: str
    model: str
    summary: str
    fields: tuple[str, ...] = ()
    kind: Kind = Kind.MODEL
    optional: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path as metrics and logs write it: `pose-analyze`, `detect/batch`."""
        return self.path.removeprefix("/")


@dataclass(frozen=True, slots=True)
class MetricNames:
    """The documented metric names of one service.

    Attributes:
        requests: counter by endpoint and status.
        latency: histogram by endpoint, in seconds.
        documented: further families that the service's page names (see `serving.metrics`).
    """

    requests: str
    latency: str
    documented: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One service.

    Attributes:
        name: what `hearthwatch serve` calls it.
        aliases: other accepted names.
        container: the documented container name; also the default of SERVICE_NAME.
        port: the documented port.
        budget_mb: memory for its models, in MiB, where nobody sets another.
        loading: when its models are in memory.
        routes: in the order of its page.
        metrics: its documented names.
        health: the form of its health answer.
        title: one line for people.
        elsewhere: models that another service preloads and reports; asked here, they answer all the same.
        absent: routes whose model somebody switched off: they answer that it is.
    """

    name: str
    aliases: tuple[str, ...]
    container: str
    port: int
    budget_mb: int
    loading: Loading
    routes: tuple[Route, ...]
    metrics: MetricNames
    health: HealthForm
    title: str
    elsewhere: frozenset[str] = frozenset()
    absent: tuple[Route, ...] = ()

    @property
    def models(self) -> tuple[str, ...]:
        """The models behind its routes, each once, in the order of the page; those that are asked beside come last."""
        beside = (model for route in self.routes for model in route.beside)
        return tuple(dict.fromkeys((*(route.model for route in self.routes if route.model), *beside)))

    @property
    def reported(self) -> tuple[str, ...]:
        """The models that its health answers for."""
        return tuple(model for model in self.models if model not in self.elsewhere)


DETECTOR = Service(
    name="yolo26",
    aliases=("detector", "ai-yolo26"),
    container="ai-yolo26",
    port=8090,
    budget_mb=650,
    loading=Loading.ALWAYS,
    routes=(
        Route("/detect", "yolo26", "People, vehicles and animals in a picture", ("confidence", "classes"), Kind.DETECT),
        Route(
            "/detect/batch",
            "yolo26",
            "The same for several pictures; a bad one fails alone",
            ("confidence", "classes"),
            Kind.DETECT_BATCH,
        ),
    ),
    metrics=MetricNames("yolo26_requests_total", "yolo26_inference_duration_seconds", ("yolo26_detections_total",)),
    health=HealthForm.SINGLE,
    title="Object detector",
)

#: One detection of the picture, or several in one request.
_BOXES = ("bbox", "boxes")
_CERTAIN = (*_BOXES, "min_confidence")
_POSE = Route("/pose-analyze", "pose_estimator", "Key points and posture of people", _CERTAIN)
_THREAT = Route("/threat-detect", "threat_detector", "Weapons and other dangerous things", _CERTAIN)
_REID = Route("/person-reid", "person_reid", "512 numbers that tell a person's appearance", _BOXES)
_PET = Route("/pet-classify", "pet_classifier", "Cat or dog", _BOXES)
_DEPTH = Route("/depth-estimate", "depth_estimator", "How near each part of the picture is", _BOXES)
#: Everything about one detection, and about several of one picture: on each service for its own models.
ENRICH = Route(
    "/enrich",
    "",
    "Everything about one detection in one call",
    ("detection_type", "bbox", "face_visible", "face_bbox", "suspicious_score", "options"),
    Kind.ENRICH,
)
ENRICH_BATCH = Route(
    "/enrich/batch",
    "",
    "The same about several detections of one picture, a row each",
    ("detections", "options"),
    Kind.ENRICH_BATCH,
)

LIGHT = Service(
    name="light",
    aliases=("enrichment-light", "ai-enrichment-light"),
    container="ai-enrichment-light",
    port=8096,
    budget_mb=1200,
    loading=Loading.ON_DEMAND,
    routes=(_POSE, _THREAT, _REID, _PET, _DEPTH, ENRICH, ENRICH_BATCH),
    metrics=MetricNames(
        "enrichment_light_inference_requests_total",
        "enrichment_light_inference_latency_seconds",
        ("enrichment_light_gpu_memory_used_gb", "enrichment_light_model_loaded"),
    ),
    health=HealthForm.MODELS,
    title="Light enrichment",
)

HEAVY = Service(
    name="enrichment",
    aliases=("heavy", "ai-enrichment"),
    container="ai-enrichment",
    port=8094,
    budget_mb=6800,
    loading=Loading.ON_DEMAND,
    routes=(
        Route("/vehicle-classify", "vehicle_classifier", "Which kind of vehicle, and its colour", _BOXES),
        _PET,
        Route("/clothing-classify", "fashion_clip", "What a person wears and carries", _BOXES),
        _POSE,
        _DEPTH,
        _THREAT,
        _REID,
        Route(
            "/demographics",
            "demographics",
            "Apparent age and gender of a face: an estimate",
            ("face_bbox", "bbox", "face_boxes"),
            Kind.FACE,
            beside=("pose_estimator", "face_detector"),
        ),
        Route(
            "/object-distance",
            "depth_estimator",
            "How far a thing is, or the whole picture",
            (*_BOXES, "method", "calibration"),
            Kind.DISTANCE,
        ),
        Route(
            "/action-classify",
            "action_recognizer",
            "What somebody does over some moments",
            ("labels", *_BOXES),
            Kind.FRAMES,
            optional=("labels",),
        ),
        ENRICH,
        ENRICH_BATCH,
    ),
    metrics=MetricNames("enrichment_inference_requests_total", "enrichment_inference_latency_seconds"),
    health=HealthForm.MODELS,
    title="Heavy enrichment",
    elsewhere=frozenset(LIGHT.models),
)

CLIP = Service(
    name="clip",
    aliases=("ai-clip",),
    container="ai-clip",
    port=8093,
    budget_mb=2400,  # the documented 800 are half precision; on a CPU the towers were measured at 1,240 and 380
    loading=Loading.ALWAYS,
    routes=(
        Route("/embed", "clip", "A picture as 768 numbers", _BOXES),
        Route(
            "/anomaly-score",
            "clip",
            "How far a picture is from the embedding of a usual one",
            ("baseline_embedding", "bbox"),
            Kind.ANOMALY,
        ),
        Route(
            "/classify",
            "clip",
            "Which of some labels fits a picture best",
            ("labels", "use_ensemble", "bbox"),
            Kind.CLASSIFY,
        ),
        Route("/similarity", "clip", "How well a text fits a picture", ("text", "bbox"), Kind.SIMILARITY),
        Route(
            "/batch-similarity",
            "clip",
            "How well each of up to 100 texts fits a picture",
            ("texts", "bbox"),
            Kind.BATCH_SIMILARITY,
        ),
        Route("/embed/batch", "clip", "Several pictures as embeddings; a bad one fails alone", (), Kind.EMBED_BATCH),
        Route("/embed-text", "clip_text", "Texts as embeddings", ("texts",), Kind.EMBED_TEXT),
    ),
    metrics=MetricNames("clip_requests_total", "clip_inference_duration_seconds", ("clip_texts_total",)),
    health=HealthForm.EMBEDDING,
    title="CLIP embeddings",
)

#: Every service that exists, in the order of their ports.
SERVICES: tuple[Service, ...] = (DETECTOR, CLIP, HEAVY, LIGHT)
#: Documented services that come later, so that asking for one gets a true sentence.
LATER = {"florence": "Florence-2 (8092)"}
#: Models that two services answer, by the word of the variable that says which of them preloads and reports it.
ASSIGNED: Mapping[str, str] = {
    "POSE": "pose_estimator",
    "THREAT": "threat_detector",
    "REID": "person_reid",
    "PET": "pet_classifier",
    "DEPTH": "depth_estimator",
}


def get_service(name: str) -> Service:
    """The service of that name or alias.

    Raises:
        SettingsError: none; the message lists the names.
    """
    for service in SERVICES:
        if name in (service.name, *service.aliases):
            return service
    known = ", ".join(f"{service.name} ({service.port})" for service in SERVICES)
    if name in LATER:
        raise SettingsError(f"the service {name}, {LATER[name]}, is not part of this version; there are {known}")
    raise SettingsError(f"there is no service {name!r}; there are {known}")


def get_services(names: Iterable[str]) -> tuple[Service, ...]:
    """The services of these names, each once, in the order of the page; all where no name is given.

    Raises:
        SettingsError: a name that no service has.
    """
    wanted = {get_service(name).name for name in names} or {service.name for service in SERVICES}
    return tuple(service for service in SERVICES if service.name in wanted)


def models_of(services: Iterable[Service]) -> tuple[str, ...]:
    """The models of several services, each once."""
    return tuple(dict.fromkeys(model for service in services for model in service.models))


def assign(services: Iterable[Service], homes: Mapping[str, str]) -> tuple[Service, ...]:
    """The services with who reports which of the models that several of them answer.

    Args:
        services: rows of the page.
        homes: name or alias of a service, by model; other models stay with whom the page has them.
    """
    named = {model: get_service(home).name for model, home in homes.items()}

    def row(service: Service) -> Service:
        here = {model for model, home in named.items() if home == service.name}
        return replace(service, elsewhere=frozenset((service.elsewhere | named.keys()) - here))

    return tuple(map(row, services))


def without(services: Iterable[Service], models: Collection[str]) -> tuple[Service, ...]:
    """The services without the routes of models that somebody does not want at all."""

    def row(service: Service) -> Service:
        kept = tuple(route for route in service.routes if route.model not in models)
        return replace(service, routes=kept, absent=tuple(route for route in service.routes if route not in kept))

    return tuple(map(row, services))
