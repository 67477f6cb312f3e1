"""What `/enrich` knows about one detection, as typed results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from hearthwatch.client.failures import named
from hearthwatch.enrichment import EnrichmentStatus
from hearthwatch.enrichment import readers as read
from hearthwatch.enrichment.parts import heard
from hearthwatch.errors import HearthwatchError
from hearthwatch.models.action_recognizer import ActionResult
from hearthwatch.models.clothing import ClothingClassificationResult
from hearthwatch.models.demographics import DemographicsResult
from hearthwatch.models.depth_estimator import DepthResult, ObjectDistance
from hearthwatch.models.person_reid import ReIDResult
from hearthwatch.models.pet_classifier import PetClassificationResult
from hearthwatch.models.pose_estimator import Poses
from hearthwatch.models.threat_detector import ThreatResult
from hearthwatch.models.vehicle_classifier import VehicleClassificationResult


@dataclass(frozen=True, slots=True)
class Enriched:
    """One detection; what is None was not asked, found nothing or failed, and `skipped` and `errors` say which.

    Attributes:
        status: full, partial, failed or skipped.
        models_loaded: the models that looked.
        skipped: models that were not asked, with the reason.
        errors: models that failed, with the sentence.
        depth: how far the detection is.
        depth_map: of the whole picture, where it was asked for.
        reid_embedding: numbers of an appearance; their `space` is empty where the service is older than `reid_space`.
        id: of a batch's row; empty of a single answer.
        error: why a row of a batch could not be meant at all; None where it could.
    """

    status: EnrichmentStatus
    models_loaded: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)
    clothing: ClothingClassificationResult | None = None
    vehicle: VehicleClassificationResult | None = None
    pet: PetClassificationResult | None = None
    depth: ObjectDistance | None = None
    depth_map: DepthResult | None = None
    pose: Poses | None = None
    threat: ThreatResult | None = None
    demographics: DemographicsResult | None = None
    reid_embedding: ReIDResult | None = None
    action: ActionResult | None = None
    id: str = ""
    error: HearthwatchError | None = None

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/enrich`, or a row of `/enrich/batch`.

        Raises:
            ImageError: its depth map is no picture.
            KeyError, TypeError, ValueError: it is no such answer.
        """
        depth, sentence = told.get("depth") or {}, told.get("error")
        return cls(
            status=EnrichmentStatus(told["status"]),
            models_loaded=tuple(told["models_loaded"]),
            skipped=dict(told["skipped"]),
            errors=dict(told["errors"]),
            depth_map=read.depth(depth) if depth.get("depth_map_base64") else None,
            id=str(told.get("id", "")),
            error=None if sentence is None else named(told.get("code"), str(sentence)),
            **heard(told),
        )
