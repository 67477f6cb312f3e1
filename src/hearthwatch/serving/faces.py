"""What `/demographics` answers: which part of the picture is the face, and what the network says of it.

The face is what the caller says, else what the head's joints show, else what the face detector finds; where none of
them shows one, there is none, with the reason.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hearthwatch.adapter import wire
from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import BadBox, WeightsMissing
from hearthwatch.models.demographics import DemographicsResult
from hearthwatch.models.face_detector import FaceResult
from hearthwatch.models.pose_estimator import PoseResult
from hearthwatch.services import Route
from hearthwatch.serving.boxes import Meant, ask_about, rows_of, several_boxes
from hearthwatch.serving.desk import Asked, Desk, Json, ask, boxes_in, one_picture
from hearthwatch.serving.responses import row_fields
from hearthwatch.vision.boxes import Box, clamp_box
from hearthwatch.vision.faces import Face, NoFace, find_face, head_box
from hearthwatch.vision.picture import Picture

Answer = Callable[[Asked], Awaitable[Json]]
POSE, FACES = "pose_estimator", "face_detector"


def face_answer(desk: Desk, route: Route) -> Answer:
    """One picture, or a person or faces in it, to what a model says of the face."""
    nothing = dict.fromkeys(row_fields(route))

    async def answer(asked: Asked) -> Json:
        picture = one_picture(desk, asked, parts=True)
        several = several_boxes(asked, picture, desk.limits)
        if several is not None:
            return await _several(desk, ModelCall(route.model, picture, deadline=asked.deadline), several, nothing)
        question = _Question(desk, picture, asked.deadline)
        sent: Box | None = asked.fields.face_bbox  # type: ignore[attr-defined]  # the route has the field
        if sent is not None:
            face = find_face(face_bbox=clamp_box(sent, *picture.size))
        else:
            face = _inside(await question.look_for_face(boxes_in(asked, picture)), picture)
        if isinstance(face, NoFace):
            return {**_untold(face, *question.remarks), **question.about()}
        result = await question.ask(route.model, (face.bbox,))
        return {**result.to_wire(), **_place(face), **question.about()}

    return answer


async def _several(desk: Desk, call: ModelCall, boxes: Sequence[Meant], nothing: Mapping[str, None]) -> Json:
    """A row for each face that was sent; one that is too small to be looked at says so in its own."""
    faces = [None if isinstance(box, BadBox) else find_face(face_bbox=box) for box in boxes]
    looked = {index: boxes[index] for index, face in enumerate(faces) if not isinstance(face, NoFace)}
    found = dict(zip(looked, await ask_about(desk, call, list(looked.values())), strict=True))
    rows = [
        {**outcome.result.to_wire(), **_place(face)}
        for index, outcome in found.items()
        if isinstance(outcome, Outcome) and outcome.done and isinstance(face := faces[index], Face)
    ]
    told = rows_of(list(found.values()), rows, nothing, {})
    rest = iter(told["results"])
    results = [_untold(face) if isinstance(face, NoFace) else next(rest) for face in faces]
    return told | {"results": [row | {"index": index} for index, row in enumerate(results)]}


def _untold(face: NoFace, *remarks: str) -> Json:
    """What is said of a face that no network looked at."""
    nothing = DemographicsResult(None, None, None, None, None, {}, (face.reason, *remarks))
    return {**nothing.to_wire(), **_place(None)}


@dataclass(slots=True)
class _Question:
    """One picture with the models that were asked about it.

    Attributes:
        outcomes: of those that answered.
        remarks: what a person who reads that there is no face should know as well.
    """

    desk: Desk
    picture: Picture
    deadline: float
    outcomes: list[Outcome] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    async def look_for_face(self, boxes: tuple[Box, ...]) -> Face | NoFace:
        """By the joints, else by the face detector.

        Args:
            boxes: of the person; empty: the most certain person or face of the picture.

        Raises:
            HearthwatchError: one of the two failed, or the face detector has no weights.
        """
        joints = None
        try:
            person = _first(await self.ask(POSE, boxes), "persons")
            joints = person.as_array() if isinstance(person, PoseResult) else None
        except WeightsMissing:
            self.remarks.append(f"{POSE} has no weights and was not asked")
        if joints is not None and head_box(joints) is not None:
            return find_face(keypoints=joints)
        detected = _first(await self.ask(FACES, boxes), "faces")
        return find_face(keypoints=joints, detected=detected.bbox if isinstance(detected, FaceResult) else None)

    async def ask(self, model: str, boxes: tuple[Box, ...]) -> Any:
        """What a model finds.

        Raises:
            HearthwatchError: it failed.
        """
        outcome = await ask(self.desk, ModelCall(model, self.picture, boxes, deadline=self.deadline))
        self.outcomes.append(outcome)
        return outcome.result

    def about(self) -> Json:
        """Where the answer comes from, and the time of all networks that ran for it."""
        origins = [outcome.weights for outcome in self.outcomes]
        milliseconds = sum(outcome.inference_time_ms for outcome in self.outcomes)
        # A face that a sample network placed makes a sample's answer of whatever is said of it.
        weights = "sample" if "sample" in origins else origins[-1] if origins else None
        return {"weights": weights, "inference_time_ms": round(milliseconds, 2)}


def _inside(face: Face | NoFace, picture: Picture) -> Face | NoFace:
    """The part of the face that the picture has: joints may lie beyond its edge."""
    if isinstance(face, NoFace):
        return face
    try:
        return Face(clamp_box(face.bbox, *picture.size), face.source)
    except BadBox:
        return NoFace("the face lies outside the picture")


def _first(found: Any, several: str) -> Any:
    """What belongs to the box, or the most certain of a whole picture's; None where there is none."""
    rows = getattr(found, several, None)
    return found if rows is None else next(iter(rows), None)


def _place(face: Face | None) -> Json:
    if face is None:
        return {"face_bbox": None, "face_source": None}
    return {"face_bbox": wire.xywh(face.bbox), "face_source": face.source}
