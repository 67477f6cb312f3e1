"""The demo's picture: an evening scene that somebody drew, and what was drawn in it.

Beside `evening.jpg` lies `evening.json`:

    {"caption": "a person crouches …", "time": "2026-11-20T21:40", "camera": "drive", "plate": "AB123CD",
     "things": [{"kind": "person", "box": [437, 407, 577, 644], "posture": "crouching", "holds": "crowbar"},
                {"kind": "van", "box": [693, 204, 1073, 549]}, {"kind": "cat", "box": [332, 405, 401, 453]}]}

Other keys of a thing (its distance) are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from hearthwatch.artifacts.samples import SAMPLES_DIR
from hearthwatch.errors import InputError
from hearthwatch.vision.boxes import Box

PICTURE, TOLD = "evening.jpg", "evening.json"
#: The detector's word where it is not the drawing's: COCO has no vans.
DETECTED_AS: Mapping[str, str] = MappingProxyType({"van": "truck"})


@dataclass(frozen=True, slots=True)
class Drawn:
    """One thing in the picture.

    Attributes:
        kind: person, car, van, truck, bus, bicycle, cat or dog.
        box: around what can be seen of it, xyxy in picture pixels.
        posture: of a person.
        holds: a person's weapon.
    """

    kind: str
    box: Box
    posture: str | None = None
    holds: str | None = None

    @property
    def class_name(self) -> str:
        """What the detector calls it."""
        return DETECTED_AS.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Evening:
    """The picture with what is true of it.

    Attributes:
        path: of the picture.
        caption: what it shows, in words.
        camera: its name.
        when: local time.
        things: in the picture, but for the plate.
        plate: the text of the plate that can be read; None where there is none.
    """

    path: Path
    caption: str
    camera: str
    when: datetime
    things: tuple[Drawn, ...]
    plate: str | None


def read_evening(folder: Path) -> Evening:
    """The demo's picture.

    Args:
        folder: with the sample networks; where they are somebody's own and without a picture, ours is taken.

    Raises:
        InputError: it is not there, or what lies beside it does not say what was drawn.
    """
    folder = folder if (folder / PICTURE).is_file() else SAMPLES_DIR
    path = folder / PICTURE
    try:
        told: dict[str, Any] = orjson.loads((folder / TOLD).read_bytes())
        if not path.is_file():
            raise FileNotFoundError(2, "No such file", str(path))
        return Evening(
            path=path,
            caption=str(told["caption"]),
            camera=str(told["camera"]),
            when=datetime.fromisoformat(told["time"]),
            things=tuple(_thing(row) for row in told["things"]),
            plate=told.get("plate"),
        )
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"the demo's picture is not part of this installation ({folder}: {reason})") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"{folder / TOLD} does not say what was drawn: {type(error).__name__}: {error}") from error


def _thing(row: Mapping[str, Any]) -> Drawn:
    return Drawn(str(row["kind"]), Box(*map(float, row["box"])), row.get("posture"), row.get("holds"))
