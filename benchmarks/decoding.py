"""Decoding a JPEG to RGB: ours beside OpenCV and Pillow, in full and at reduced size."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import cv2
import numpy as np
import PIL.Image

from benchmarks.pairs import Call
from benchmarks.pictures import FOUR_K, FULL_HD, camera_picture
from benchmarks.table import Row
from benchmarks.work import Job, Work
from hearthwatch.vision.decode import decode

GROUP = "decode"
SIZES = {"1080p": FULL_HD, "4K": FOUR_K}
#: Pixels of the longer side that every network of 640 x 640 is content with.
AT_LEAST = 640
OTHERS = ("OpenCV", "Pillow")
#: OpenCV's flags for 1/2 and 1/4 of the size. Its own name for them says grey; the colour is the second flag.
_REDUCED = {2: cv2.IMREAD_REDUCED_GRAYSCALE_2, 4: cv2.IMREAD_REDUCED_GRAYSCALE_4}


def jobs() -> list[Job]:
    """Each size, in full and reduced."""
    return [
        Job(_key(name, reduced), "decode", {"width": width, "height": height, "reduced": reduced})
        for name, (width, height) in SIZES.items()
        for reduced in (False, True)
    ]


def rows() -> Sequence[Row]:
    """Ours against each other decoder; reported, without a goal."""
    return [
        Row(GROUP, _title(name, reduced), (_key(name, reduced), "ours"), (_key(name, reduced), other))
        for name in SIZES
        for reduced in (False, True)
        for other in OTHERS
    ]


def work(width: int, height: int, *, reduced: bool) -> Work:
    """The three decoders on one picture. All three give the same pixels, or the comparison would be none."""
    data = camera_picture((width, height))
    calls = _reduced(data, width, height) if reduced else _full(data)
    ours, *others = (np.asarray(call()) for call in calls.values())
    if not all(np.array_equal(ours, other) for other in others):
        raise ValueError("the decoders do not give the same pixels")
    return Work(calls, lambda: {"bytes": len(data), "pixels": list(ours.shape[1::-1])})


def _full(data: bytes) -> dict[str, Call]:
    return {
        "ours": lambda: decode(data).pixels,
        "OpenCV": lambda: cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB),
        "Pillow": lambda: np.array(PIL.Image.open(BytesIO(data)).convert("RGB")),
    }


def _reduced(data: bytes, width: int, height: int) -> dict[str, Call]:
    factor = max(factor for factor in _REDUCED if width // factor >= AT_LEAST)

    def pillow() -> object:
        picture = PIL.Image.open(BytesIO(data))
        picture.draft("RGB", (width // factor, height // factor))
        return np.array(picture.convert("RGB"))

    return {
        "ours": lambda: decode(data, at_least=AT_LEAST).pixels,
        "OpenCV": lambda: cv2.imdecode(np.frombuffer(data, np.uint8), _REDUCED[factor] | cv2.IMREAD_COLOR_RGB),
        "Pillow": pillow,
    }


def _key(name: str, reduced: bool) -> str:
    return f"decode {name}{' reduced' if reduced else ''}"


def _title(name: str, reduced: bool) -> str:
    return f"{name} JPEG, {f'at least {AT_LEAST} px' if reduced else 'all pixels'}"
