"""Which models a detection deserves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from hearthwatch.errors import UnknownDetectionType

VEHICLE_CLASSES = ("car", "truck", "bus", "motorcycle", "bicycle")
ANIMAL_CLASSES = ("cat", "dog", "bird")

#: Words for several classes, and one of them: its models are theirs.
GENERAL_TYPES: Mapping[str, str] = MappingProxyType({"vehicle": "car", "animal": "dog"})
#: What `/enrich` can be told that something is.
DETECTION_TYPES = ("person", *GENERAL_TYPES, *VEHICLE_CLASSES, *ANIMAL_CLASSES)

_VEHICLE_MODELS = ("vehicle_classifier", "depth_estimator")
_DOCUMENTED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # The weapon detector is first: it is CRITICAL and must not wait.
        "person": ("threat_detector", "fashion_clip", "pose_estimator", "person_reid", "depth_estimator"),
        **dict.fromkeys(VEHICLE_CLASSES, _VEHICLE_MODELS),
        "cat": ("pet_classifier", "depth_estimator"),
        "dog": ("pet_classifier", "depth_estimator"),
        # An animal, but no pet: depth only.
        "bird": ("depth_estimator",),
    }
)
#: The pipeline's own models, selected beside the documented lists.
_BESIDE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "person": ("face_detector",),
        # A bicycle has no plate, and no network knows its damages.
        **dict.fromkeys(("car", "truck", "bus", "motorcycle"), ("license_plate_detector", "vehicle_damage")),
    }
)
#: Those of them that look at a picture as a whole, and how many people must be in it.
_OF_PICTURES: Mapping[str, int] = MappingProxyType({"violence_detector": 2, "weather_classifier": 0, "scene_text": 0})
#: A model whose findings are another model's boxes.
FOLLOW_UPS: Mapping[str, str] = MappingProxyType({"license_plate_detector": "plate_ocr"})


def get_models_for_detection_type(
    detection_type: str, is_suspicious: bool = False, has_multiple_frames: bool = False
) -> list[str]:
    """The documented models of a detection class, in the documented order.

    Args:
        detection_type: a class name, compared by equality and without regard to case; never by substring.
        is_suspicious: a flag of the detection, never a type.
        has_multiple_frames: whether there are frames that the action model could look at.

    Returns:
        Canonical names; empty for a class that no model is meant for.
    """
    kind = detection_type.lower()
    models = list(_DOCUMENTED.get(kind, ()))
    if kind == "person" and is_suspicious and has_multiple_frames:
        models.append("action_recognizer")
    return models


def class_of(detection_type: str) -> str:
    """The class whose models a detection type gets: itself, or one of those that the word means.

    Args:
        detection_type: one of `DETECTION_TYPES`, without regard to case.

    Raises:
        UnknownDetectionType: it is none; the message lists them.
    """
    kind = detection_type.lower()
    if kind not in DETECTION_TYPES:
        known = ", ".join(DETECTION_TYPES)
        raise UnknownDetectionType(f"there is no detection type {detection_type[:100]!r}; the types are {known}")
    return GENERAL_TYPES.get(kind, kind)


def models_beside(detection_type: str) -> list[str]:
    """The pipeline's own models for a detection class, which the documented lists do not have."""
    return list(_BESIDE.get(detection_type.lower(), ()))


def models_of_picture(detection_types: Iterable[str]) -> list[str]:
    """The pipeline's own models for a picture as a whole.

    Args:
        detection_types: of everything that was detected in it. Violence needs two people.
    """
    people = sum(kind.lower() == "person" for kind in detection_types)
    return [model for model, least in _OF_PICTURES.items() if people >= least]
