"""Detections by the picture that their boxes refer to; what fits to none is lost with a reason, and alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike

from hearthwatch.errors import HearthwatchError, ImageError, InputError, NotAnImage
from hearthwatch.pipeline.detection import DetectionInput
from hearthwatch.vision.boxes import clamp_box, parse_box
from hearthwatch.vision.decode import PictureLike, read_picture
from hearthwatch.vision.picture import Picture

#: By detection id; under None the whole frame, for all others.
Images = Mapping[str | None, Picture | PictureLike]


@dataclass(slots=True)
class View:
    """One picture of a batch with its detections.

    Attributes:
        picture: kept encoded until somebody decodes it.
        subjects: the detections, with boxes in its pixels and inside it.
        is_frame: it shows all that a camera saw; the picture of a detection may be a crop where there is a whole frame.
        camera: that took it; None where nobody said.
        time: when; None where nobody said.
    """

    picture: Picture
    subjects: list[DetectionInput]
    is_frame: bool = True
    camera: str | None = None
    time: datetime | None = None


@dataclass(slots=True)
class Grouped:
    """A batch by pictures.

    Attributes:
        views: in the order of their first detection; the whole frame comes first where no detection refers to it.
        lost: why a detection cannot be used; under None why the whole frame cannot, where no detection refers to it.
    """

    views: list[View] = field(default_factory=list)
    lost: dict[str | None, HearthwatchError] = field(default_factory=dict)


def group(subjects: Sequence[DetectionInput], images: Images, camera: str | None) -> Grouped:
    """Detections by their picture. The whole frame is there where no detection refers to it, too.

    Args:
        subjects: with ids that differ.
        images: pictures in any form; one under several ids is one picture.
        camera: that took pictures whose detections name none.
    """
    grouped, pictures, views = Grouped(), dict[str | None, Picture | ImageError](), dict[int, View]()

    def view_of(key: str | None) -> View:
        if key not in pictures:
            pictures[key] = open_picture(images[key])
        picture = pictures[key]
        if isinstance(picture, ImageError):
            raise picture
        _ = picture.size  # its header is read: what is no picture has no view
        view = views.setdefault(id(picture), View(picture, [], None not in images, camera))
        view.is_frame = view.is_frame or key is None
        return view

    if None in images and all(subject.id in images for subject in subjects):
        try:
            view_of(None)
        except ImageError as error:
            grouped.lost[None] = error
    for subject in subjects:
        key = subject.id if subject.id in images else None
        try:
            if key not in images:
                raise InputError(f"detection {subject.id} has no picture")
            view = view_of(key)
            view.subjects.append(inside(subject, *view.picture.size))
        except InputError as error:
            grouped.lost[subject.id] = error
            continue
        view.camera = view.camera or subject.camera
        view.time = view.time or subject.time
    grouped.views = list(views.values())
    return grouped


def inside(subject: DetectionInput, width: int, height: int) -> DetectionInput:
    """The detection with its boxes in picture pixels, the first clamped; a box of a caller's making is checked first.

    Raises:
        BadBox: it is none, or lies outside the picture.
    """
    moved = replace(subject, bbox=parse_box([float(side) for side in subject.bbox])).in_picture(width, height)
    return replace(moved, bbox=clamp_box(moved.bbox, width, height))


def open_picture(value: Picture | PictureLike) -> Picture | ImageError:
    """A picture in any form as one that is decoded when somebody looks at it, or why it is none. Reads files."""
    try:
        if isinstance(value, Picture):
            return value
        if isinstance(value, bytes):
            return Picture(value)
        if isinstance(value, (str, PathLike)):
            return Picture(read_picture(value))
        return Picture.of(value)
    except ImageError as error:
        return error
    except ValueError as error:  # an `Image` that is a crop
        return NotAnImage(str(error))
