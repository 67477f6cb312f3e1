"""A demo of made-up networks: a picture, what is said to be drawn in it, and samples that find just that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

import made_up
from served import picture

FACES = "face_detector"
#: What the made-up detector finds everywhere, apart from a dog, which nobody drew.
DRAWN: dict[str, Any] = {
    "caption": "a person and a car.",
    "time": "2026-11-20T21:40",
    "camera": "drive",
    "things": [{"kind": "person", "box": [60, 80, 180, 380]}, {"kind": "car", "box": [420, 80, 540, 380]}],
    "plate": None,
}


def write_scene(folder: Path, **drawn: Any) -> Path:
    """The picture and what was drawn in it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evening.jpg").write_bytes(picture(640, 480, kind=".jpg"))
    (folder / "evening.json").write_bytes(orjson.dumps(DRAWN | drawn))
    return folder


def write_samples(folder: Path, **drawn: Any) -> Path:
    """The same with sample networks beside it, but for faces: the demo has to say what is left out."""
    return made_up.write_samples(write_scene(folder, **drawn), [name for name in made_up.OUTPUTS if name != FACES])
