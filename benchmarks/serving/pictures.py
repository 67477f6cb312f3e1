"""The picture that every server is asked about, as the bodies of requests."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from benchmarks.pictures import FULL_HD, camera_picture
from benchmarks.serving.servers import JPEG, JSON


@dataclass(frozen=True, slots=True)
class Transport:
    """One way to send a picture.

    Attributes:
        name: what it is called.
        file: its body, in the run's folder.
        content_type: of the body.
    """

    name: str
    file: str
    content_type: str

    def order(self, folder: Path) -> dict[str, Any]:
        """Its part of the load generator's order."""
        return {"body": str(folder / self.file), "content_type": self.content_type}


RAW = Transport("raw JPEG", "picture.jpg", JPEG)
BASE64 = Transport("base64 JSON", "picture.json", JSON)
TRANSPORTS: Sequence[Transport] = (RAW, BASE64)


def write_bodies(frames: Sequence[Path], folder: Path) -> dict[str, Any]:
    """Write both bodies: of the first frame, or of a made picture of the same size and weight.

    Returns:
        What the picture is, and how many bytes it has either way.
    """
    source, data = (frames[0].name, frames[0].read_bytes()) if frames else ("made", camera_picture(FULL_HD))
    body = orjson.dumps({"image": base64.b64encode(data).decode("ascii")})
    (folder / RAW.file).write_bytes(data)
    (folder / BASE64.file).write_bytes(body)
    return {"picture": source, "jpeg_bytes": len(data), "json_bytes": len(body)}
