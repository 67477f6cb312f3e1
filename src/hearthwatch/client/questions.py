"""How each model that has a route is asked by a runner, and how its answer is read: a row for each model.

A test compares the rows with the page of services, so that a model that gets a route gets its row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from hearthwatch.client import capabilities as ask
from hearthwatch.client.capabilities import Capability
from hearthwatch.client.failures import named
from hearthwatch.client.transport import Json
from hearthwatch.enrichment import readers
from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.errors import HearthwatchError
from hearthwatch.models.pose_estimator import PoseResult, Poses
from hearthwatch.models.yolo26 import EVERY_CLASS, MIN_CONFIDENCE

#: A part of an answer to the result that it was told of.
Read = Callable[[Mapping[str, Any]], Any]
#: A result, or why there is none.
Answers = list[Any | HearthwatchError]


@dataclass(frozen=True, slots=True)
class Question:
    """One model's way over HTTP.

    Attributes:
        capability: the route, with its circuit.
        read: an answer about the whole picture.
        rows: an answer about several boxes to what reads its rows; None: rows are read as whole answers are.
        of_box: such an answer about one box in the form that a runner gives for a box; None: the same form.
        boxes: the field that several boxes are sent in; empty where the model's answer is the picture's, whatever
            box is meant.
        fields: what is always sent beside the picture.
        about: what it is asked about: a picture, the frames of a clip, or texts.
        whole: whether the route is about the whole picture where no box is sent; else that is sent as a box.
    """

    capability: Capability
    read: Read
    rows: Callable[[Mapping[str, Any]], Read] | None = None
    of_box: Callable[[Any], Any] | None = None
    boxes: str = "boxes"
    fields: Mapping[str, Any] = field(default_factory=dict)
    about: Literal["picture", "frames", "texts"] = "picture"
    whole: bool = True

    def answers(self, call: ModelCall, told: Json) -> Answers:
        """What was told, an answer for each question of the call.

        Raises:
            KeyError, TypeError, ValueError: it is no such answer, or one to other questions.
        """
        if call.texts:
            return _texts(told, len(call.texts), self.read)
        if not self.boxes or (self.whole and not call.boxes):
            return [self.read(told)] * call.questions
        rows = told["results"]
        if [row["index"] for row in rows] != list(range(call.questions)):
            raise ValueError(f"{call.questions} boxes were sent, and {len(rows)} rows came back, or in another order")
        if all(row.get("error") is not None for row in rows):
            return [_error(row) for row in rows]
        read = self.read if self.rows is None else self.rows(told)
        return [self._of_box(read(row)) if row.get("error") is None else _error(row) for row in rows]

    def _of_box(self, result: Any) -> Any:
        return result if self.of_box is None else self.of_box(result)


def _error(row: Mapping[str, Any]) -> HearthwatchError:
    return named(row.get("code"), str(row["error"]))


def _texts(told: Json, count: int, read: Read) -> Answers:
    """Each text's embedding, with what the answer says of all of them."""
    embeddings, truncated, space = told["embeddings"], set(told["truncated"]), told["space"]
    if len(embeddings) != count:
        raise ValueError(f"{count} texts were sent, and {len(embeddings)} embeddings came back")
    return [
        read({"embedding": embedding, "truncated": index in truncated, "space": space})
        for index, embedding in enumerate(embeddings)
    ]


def _person(poses: Poses) -> PoseResult | None:
    """The person at a box; None where nobody is."""
    return poses.persons[0] if poses.persons else None


#: By the canonical name of the model.
QUESTIONS: Mapping[str, Question] = MappingProxyType(
    {
        # Everything that the detector decodes, as it answers in one process: who asks chooses from it.
        "yolo26": Question(
            ask.DETECT,
            readers.detections,
            boxes="",
            fields={"confidence": MIN_CONFIDENCE, "classes": [EVERY_CLASS]},
        ),
        "threat_detector": Question(ask.THREAT, readers.threats),
        "pose_estimator": Question(ask.POSE, readers.poses, of_box=_person),
        "person_reid": Question(ask.REID, readers.reid),
        "pet_classifier": Question(ask.PET, readers.pet),
        "depth_estimator": Question(ask.DEPTH, readers.depth, rows=readers.depth_rows),
        "vehicle_classifier": Question(ask.VEHICLE, readers.vehicle),
        "demographics": Question(ask.DEMOGRAPHICS, readers.demographics, boxes="face_boxes", whole=False),
        "fashion_clip": Question(ask.CLOTHING, readers.clothing),
        "action_recognizer": Question(ask.ACTION, readers.action, about="frames"),
        "clip": Question(ask.EMBED, readers.embedding),
        "clip_text": Question(ask.EMBED_TEXT, readers.text, about="texts"),
    }
)
