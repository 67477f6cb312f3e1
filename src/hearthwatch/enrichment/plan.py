"""Which models are asked about which detections of a picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from hearthwatch.enrichment.collected import Key
from hearthwatch.enrichment.pace import by_value
from hearthwatch.selection import get_models_for_detection_type, models_beside, models_of_picture
from hearthwatch.vision.boxes import Box

#: A detection whose score is above it is suspicious (DESIGN.md).
SUSPICIOUS_SCORE = 50.0
POSE, DEMOGRAPHICS, ACTION = "pose_estimator", "demographics", "action_recognizer"


class Subject(Protocol):
    """What enrichment needs to know of a detection."""

    @property
    def id(self) -> str: ...
    @property
    def class_name(self) -> str: ...
    @property
    def bbox(self) -> Box: ...
    @property
    def face_visible(self) -> bool: ...
    @property
    def face_bbox(self) -> Box | None: ...
    @property
    def suspicious_score(self) -> float: ...


#: By model; no subject: the picture as a whole.
Wanted = dict[str, list[Subject]]


def plan(subjects: Sequence[Subject], *, several_frames: bool, beside: bool, whole: bool = True) -> Wanted:
    """Each model with the detections that deserve it by what is known beforehand, the most valuable model first.

    Args:
        subjects: the detections.
        several_frames: there are frames for the action model.
        beside: ask the pipeline's own models (faces, plates, weather …) as well.
        whole: the picture is all that a camera saw.
    """
    wanted: Wanted = {}
    if beside and whole:
        wanted |= {model: [] for model in models_of_picture(subject.class_name for subject in subjects)}
    for subject in subjects:
        models = get_models_for_detection_type(subject.class_name, is_suspicious(subject), several_frames)
        models += models_beside(subject.class_name) if beside else []
        models += [DEMOGRAPHICS] if is_person(subject) and shows_face(subject) else []
        for model in models:
            wanted.setdefault(model, []).append(subject)
    return {model: wanted[model] for model in by_value(list(wanted))}


def keys_of(about: Iterable[Subject]) -> list[Key]:
    """Where the answers about these are filed; about none, under the picture as a whole."""
    return [subject.id for subject in about] or [None]


def is_person(subject: Subject) -> bool:
    """Whether it is somebody, by equality."""
    return subject.class_name.lower() == "person"


def is_suspicious(subject: Subject) -> bool:
    """By the caller's score; what models find on the way is another reason."""
    return subject.suspicious_score > SUSPICIOUS_SCORE


def shows_face(subject: Subject) -> bool:
    """Whether the caller says so; who says where a face is says that there is one."""
    return subject.face_visible or subject.face_bbox is not None


def persons(subjects: Iterable[Subject]) -> list[Subject]:
    """Those that are people."""
    return [subject for subject in subjects if is_person(subject)]
