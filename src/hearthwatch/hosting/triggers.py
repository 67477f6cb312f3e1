"""Which models a detection asks for, by their triggers."""

from __future__ import annotations

from collections.abc import Iterable

from hearthwatch.hosting.spec import ModelSpec
from hearthwatch.selection import ANIMAL_CLASSES, VEHICLE_CLASSES

#: Accepted words that mean several classes.
GENERAL = {"vehicle": VEHICLE_CLASSES, "animal": ANIMAL_CLASSES}
#: Words that are conditions of a detection, not types.
FACE, SUSPICIOUS = "face", "suspicious"


def triggered(
    specs: Iterable[ModelSpec], detection_type: str, *, face_visible: bool, suspicious: bool
) -> list[ModelSpec]:
    """The models for a detection, CRITICAL first, otherwise in the order of registration.

    Types are compared by equality. "vehicle" and "animal" mean their classes, on either side. The words "face" and
    "suspicious" are conditions: all that a model names must hold; one that names nothing else is about a person.
    """
    kind = detection_type.lower()
    types = {kind, *GENERAL.get(kind, ()), *(word for word, classes in GENERAL.items() if kind in classes)}
    holds = {FACE: face_visible or kind == FACE, SUSPICIOUS: suspicious or kind == SUSPICIOUS}
    chosen = [spec for spec in specs if spec.triggers and _fits(set(spec.triggers), types, holds)]
    return sorted(chosen, key=lambda spec: spec.priority)


def _fits(triggers: set[str], types: set[str], holds: dict[str, bool]) -> bool:
    conditions = triggers & holds.keys()
    if not all(holds[word] for word in conditions):
        return False
    about = triggers - holds.keys() or {"person"}
    # A detection whose type is the condition itself needs no other type.
    return bool(about & types) or bool(conditions & types)
