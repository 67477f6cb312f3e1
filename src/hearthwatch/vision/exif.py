"""When a picture was taken, as its camera wrote it."""

from __future__ import annotations

import io
from datetime import datetime

import PIL.Image

_EXIF_IFD = 0x8769
_DATE_TIME_ORIGINAL = 0x9003
_OFFSET_TIME_ORIGINAL = 0x9011


def taken_at(data: bytes) -> datetime | None:
    """EXIF's DateTimeOriginal, with its offset where there is one; None where the picture does not say."""
    try:
        with PIL.Image.open(io.BytesIO(data)) as picture:
            tags = picture.getexif().get_ifd(_EXIF_IFD)
        text = str(tags[_DATE_TIME_ORIGINAL]).strip("\0 ")
        offset = str(tags.get(_OFFSET_TIME_ORIGINAL, "")).strip("\0 ")
        # Naive where the camera wrote no offset: its local time is what the rules ask for.
        return datetime.strptime(text + offset, "%Y:%m:%d %H:%M:%S" + ("%z" if offset else ""))  # noqa: DTZ007
    except (OSError, SyntaxError, KeyError, ValueError, TypeError, AttributeError, PIL.Image.DecompressionBombError):
        return None  # EXIF is free text from a camera: what cannot be read is not known
