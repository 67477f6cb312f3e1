"""Whose age and gender is asked for, and where each face is.

A face is visible where the caller says so or a face detector saw one on the way. Where it is: as the caller says, else
where the head's joints are, else where a face detector finds it; there is no fourth way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hearthwatch.enrichment.asking import Asking, Found, FoundBy
from hearthwatch.enrichment.plan import DEMOGRAPHICS, POSE, Subject, shows_face
from hearthwatch.errors import BadBox
from hearthwatch.vision.boxes import Box, clamp_box
from hearthwatch.vision.faces import Face, NoFace, find_face, head_box

FACE_DETECTOR = "face_detector"


async def tell_demographics(asking: Asking, persons: Sequence[Subject], found_by: FoundBy) -> None:
    """Ask about every visible face of a picture at once.

    Args:
        asking: of the picture.
        persons: all of it.
        found_by: what the other models find.
    """
    faces = {person.id: find_face(face_bbox=person.face_bbox) for person in persons if person.face_bbox is not None}
    rest = [person for person in persons if person.face_bbox is None]
    if rest:
        detected = await found_by(FACE_DETECTOR)
        visible = [person for person in rest if shows_face(person) or person.id in detected]
        faces |= await _search(asking, visible, detected, found_by) if visible else {}
    await asking.ask_later(DEMOGRAPHICS, _inside(asking, faces))


def _inside(asking: Asking, faces: Mapping[str, Face | NoFace]) -> dict[str, Box]:
    """The faces as boxes of the picture; who has none, or one outside of it, is written down."""
    boxes: dict[str, Box] = {}
    for key, face in faces.items():
        if isinstance(face, NoFace):
            asking.enrichment.skip(DEMOGRAPHICS, [key], face.reason)
            continue
        try:
            boxes[key] = clamp_box(face.bbox, *asking.picture.size)
        except BadBox as error:
            asking.enrichment.fail(DEMOGRAPHICS, [key], error)
    return boxes


async def _search(
    asking: Asking, persons: Sequence[Subject], detected: Found, found_by: FoundBy
) -> dict[str, Face | NoFace]:
    """Where the face of each person is, by the joints of the head or by the face detector."""
    poses = await found_by(POSE)
    keypoints = {key: pose.as_array() for key, pose in poses.items()}
    hidden = {p.id: p.bbox for p in persons if p.id not in keypoints or head_box(keypoints[p.id]) is None}
    boxes = {key: face.bbox for key, face in detected.items()}
    if hidden and asking.runner.offers(FACE_DETECTOR) and not any(_state(asking, key) for key in hidden):
        boxes |= {key: face.bbox for key, face in (await asking.ask_later(FACE_DETECTOR, hidden)).items()}
    faces: dict[str, Face | NoFace] = {}
    for person in persons:
        face = find_face(keypoints=keypoints.get(person.id), detected=boxes.get(person.id))
        if isinstance(face, NoFace) and person.id in hidden and person.id not in boxes:
            detector = _state(asking, person.id) or "there is no face detector here"
            face = NoFace(f"no face was sent, the head's joints show none, and {detector}")
        faces[person.id] = face
    return faces


def _state(asking: Asking, key: str) -> str:
    """What became of the face detector's answer about a person, as a sentence's end; empty where it was not asked."""
    detection = asking.enrichment.detections[key]
    if FACE_DETECTOR in detection.answered:
        return "the face detector found none"
    failed = FACE_DETECTOR in detection.skipped.keys() | detection.errors.keys()
    return "the face detector gave no answer" if failed else ""
