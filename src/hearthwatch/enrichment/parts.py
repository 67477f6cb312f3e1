"""The parts of `/enrich`: each model's answer under the name that the documents give it.

A part is the answer of the model's own route, with the keys that formatters of prompts read. A model that appears needs
no more than its row here. What one process tells by these rows, another hears by them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from hearthwatch.enrichment import readers as read
from hearthwatch.enrichment.collected import DetectionEnrichment, PictureEnrichment
from hearthwatch.enrichment.pace import by_value
from hearthwatch.enrichment.status import status_of
from hearthwatch.errors import UnknownModel
from hearthwatch.models import get_picture_model
from hearthwatch.models.depth_estimator import DepthResult, Method
from hearthwatch.models.person_reid import ReIDResult

Json = dict[str, Any]
MS_DECIMALS = 2


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a caller chose about the answer.

    Attributes:
        depth_map: the depth part has the map of the whole picture as well.
        distance_method: which depth of the box is its distance.
    """

    depth_map: bool = False
    distance_method: Method = "center"


@dataclass(frozen=True, slots=True)
class Part:
    """One field of the answer.

    Attributes:
        name: of the field.
        hear: what stands there to the result that it was.
        tell: a result to what stands there; None: as the model's own route tells it.
        space: the field beside it that says which space an embedding is of: plain numbers do not.
    """

    name: str
    hear: Callable[[Any], Any]
    tell: Callable[[Any, Wishes], Any] | None = None
    space: str | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the answer that it fills."""
        return (self.name,) if self.space is None else (self.name, self.space)


def parts_of(found: DetectionEnrichment, of: PictureEnrichment, wishes: Wishes) -> Json:
    """Every part of one detection's answer; null where its model found nothing, was not asked or failed.

    Args:
        found: what is known about the detection.
        of: the picture's enrichment that it belongs to.
        wishes: of the caller.
    """
    told: Json = {}
    for model, part in PARTS.items():
        told[part.name] = _part(model, part, found, of, wishes)
        if part.space is not None:
            told[part.space] = getattr(found.results.get(model), "space", None)
    return told


def heard(told: Mapping[str, Any]) -> dict[str, Any]:
    """Each part of an answer as the result that it was told of, by the name of its field; None for null.

    Raises:
        KeyError, TypeError, ValueError: it is no such answer.
    """
    return {part.name: _heard(part, told) for part in PARTS.values()}


def became_of(found: DetectionEnrichment, of: PictureEnrichment) -> Json:
    """What one detection's models did: `models_loaded`, `skipped` and `errors` with reasons, and `status`.

    Args:
        found: what is known about the detection.
        of: the picture's enrichment that it belongs to.
    """
    late = bool(of.late & found.skipped.keys())
    return {
        "models_loaded": by_value(sorted(found.answered)),  # a set has an order of its own in each process
        "skipped": dict(found.skipped),
        "errors": {model: str(error) for model, error in found.errors.items()},
        "status": status_of(answered=bool(found.answered), failed=bool(found.errors), late=late).value,
    }


def _heard(part: Part, told: Mapping[str, Any]) -> Any:
    if told.get(part.name) is None:
        return None
    result = part.hear(told[part.name])
    if part.space is None:
        return result
    space = told.get(part.space)
    if not isinstance(space, str | None):
        raise TypeError(f"{part.space} is {space!r}, which names no space")
    # A service of an earlier version does not say it: such an embedding is of no known space.
    return replace(result, space=space or "")


def _part(model: str, part: Part, found: DetectionEnrichment, of: PictureEnrichment, wishes: Wishes) -> Any:
    if model not in found.answered:
        return None
    result = _as_the_route_has_it(model, found.results.get(model))
    if result is None:
        return None
    told = result.to_wire() if part.tell is None else part.tell(result, wishes)
    if not isinstance(told, dict):
        return told
    time_ms = round(of.timings[model].inference_time_ms, MS_DECIMALS)
    return {**told, "weights": of.weights[model], "inference_time_ms": time_ms}


def _as_the_route_has_it(model: str, result: Any) -> Any:
    """A box's result in the form of a whole picture's, where the two differ."""
    try:
        return get_picture_model(model).for_one_box(result)
    except UnknownModel:
        return result


def _depth(result: DepthResult, wishes: Wishes) -> Json:
    """How far it is, as the whole picture's depth has it; with the map where it was wished for."""
    told = result.distance(wishes.distance_method).to_wire()
    return told | result.to_wire() if wishes.depth_map else told


def _pose(result: Any, _wishes: Wishes) -> Json:
    """Also `poses`, as the documented `estimate()` answers."""
    told: Json = result.to_wire()
    return told | {"poses": [_estimated(person) for person in told["persons"]]}


def _estimated(person: Json) -> Json:
    posture = "arms_raised" if "arms_raised" in person["alerts"] else person["posture"]
    return {"keypoints": person["keypoints"], "confidence": person["confidence"], "posture": posture}


def _embedding(result: Any, _wishes: Wishes) -> Any:
    """The plain numbers."""
    return result.embedding


def _numbers(told: Any) -> ReIDResult:
    return ReIDResult(np.asarray(told, np.float32))


#: The field of each model, in the order of the page.
PARTS: Mapping[str, Part] = MappingProxyType(
    {
        "fashion_clip": Part("clothing", read.clothing),
        "vehicle_classifier": Part("vehicle", read.vehicle),
        "pet_classifier": Part("pet", read.pet),
        "depth_estimator": Part("depth", read.distance, _depth),
        "pose_estimator": Part("pose", read.poses, _pose),
        "threat_detector": Part("threat", read.threats),
        "demographics": Part("demographics", read.demographics),
        "person_reid": Part("reid_embedding", _numbers, _embedding, "reid_space"),
        "action_recognizer": Part("action", read.action),
    }
)
