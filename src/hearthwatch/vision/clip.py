"""Decoding a short clip in this process: frames, evenly spread, through OpenCV's FFmpeg. Damage can end the process.

FFmpeg is given the bytes of one file and never a name, so no playlist, pattern or address can make it open another.
The clip is decoded from its start, twice: once to learn how many frames it really gives, once to take the wanted ones.
Measured on a 1280 x 720 H.264 clip of 341 frames: 0.7 s for each pass, where 16 seeks take 2.7 s, and what a container
says of its length or a seek of its position is only exact for some of them (edit lists, WebM, variable frame rates).
The cost grows with the length of the clip, about 2 ms a frame at this size.

What is cut off is refused before a frame is given. Damage inside a whole file is hidden by the video codecs themselves
and cannot be seen from here, except when half of the frames or more are lost.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import cv2
import numpy as np

from hearthwatch.errors import ImageError, ImageTruncated, NotAnImage
from hearthwatch.vision.containers import STILL_BRANDS
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits
from hearthwatch.vision.image import Image
from hearthwatch.vision.rgb import bgr_to_rgb

#: Boxes that start an MP4 or MOV; the last three only in files older than `ftyp`.
_ISO_STARTS = (b"ftyp", b"moov", b"mdat", b"wide")
_EBML = b"\x1a\x45\xdf\xa3"
_EBML_SEGMENT = b"\x18\x53\x80\x67"


@dataclass(frozen=True, slots=True)
class VideoFrame:
    """One frame of a clip.

    Attributes:
        time_s: when it is shown, in seconds from the first frame.
        image: upright RGB.
    """

    time_s: float
    image: Image


def is_video(data_head: bytes) -> bool:
    """Whether a file that starts with these bytes (12 or more) is an MP4, MOV, Matroska, WebM or AVI."""
    return _is_iso(data_head) or _is_avi(data_head) or data_head.startswith(_EBML)


def decoded_frames(path: Path, count: int, limits: Limits = DEFAULT_LIMITS) -> Generator[VideoFrame]:
    """Take the middle frame of each of `count` equal parts of a clip.

    Args:
        path: a file; its content must be of a kind that `is_video` knows.
        count: frames to give, from 1; of a clip with fewer frames each is given once.
        limits: `max_pixels` holds for a frame, by what the container says before anything is decoded. A clip may have
            any number of bytes.

    Yields:
        Frames in the order of the clip, turned as its metadata says.

    Raises:
        ImageError: no clip, one that is cut off or empty, or frames over the limit; before the first frame,
            unless the file changes meanwhile or the stream its size.
    """
    total = _count_frames(path, limits)
    wanted = {(2 * part + 1) * total // (2 * count) for part in range(count)}
    with _open_clip(path, limits) as capture:
        for index in range(max(wanted) + 1):
            if not capture.grab():
                raise ImageTruncated(f"{path.name} ends after {index} of {total} frames")
            if index in wanted:
                yield VideoFrame(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000, _retrieve(capture, path, limits))


def _count_frames(path: Path, limits: Limits) -> int:
    """Decode a clip to its end; refuse one that gives no frame, or fewer than half of those that it declares."""
    total = 0
    with _open_clip(path, limits) as capture:
        declared = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        while capture.grab():
            total += 1
    if total == 0:
        raise NotAnImage(f"{path.name} holds no frame that can be decoded")
    if 2 * total < declared and _counts_frames(path):
        raise NotAnImage(f"{path.name} is corrupt: only {total} of its {declared} frames can be decoded")
    return total


def _counts_frames(path: Path) -> bool:
    """Whether a container counts its frames; others give a length and a rate, which may be that of a clock."""
    with path.open("rb") as file:
        return _is_iso(file.read(12))


def _retrieve(capture: cv2.VideoCapture, path: Path, limits: Limits) -> Image:
    """Copy the frame that was grabbed last."""
    done, pixels = capture.retrieve()
    if not done:
        raise NotAnImage(f"a frame of {path.name} cannot be decoded")
    # the container's size was checked; a stream can change its size on the way
    limits.check_size(pixels.shape[1], pixels.shape[0])
    return Image.of(bgr_to_rgb(np.asarray(pixels, dtype=np.uint8)))


@contextmanager
def _open_clip(path: Path, limits: Limits) -> Iterator[cv2.VideoCapture]:
    """Open a whole clip of an allowed size at its first frame."""
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    with file:
        _check_whole(file, path)
        file.seek(0)
        capture = _capture(file)
        try:
            width, height = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if not capture.isOpened() or width < 1 or height < 1:
                raise NotAnImage(f"no video can be read from {path.name}")
            limits.check_size(width, height)
            yield capture
        finally:
            capture.release()


def _capture(file: BinaryIO) -> cv2.VideoCapture:
    """Give the bytes of a file to FFmpeg, which turns the frames as the metadata says."""
    # OpenCV's stub does not say that any seekable binary file will do
    capture = cv2.VideoCapture(cast("cv2.IStreamReader", file), cv2.CAP_FFMPEG, [])
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture


def _check_whole(file: BinaryIO, path: Path) -> None:
    """Refuse a file that is no video or shorter than its own structure says."""
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(f"{path} is not a regular file")
    head = file.read(64)
    if not is_video(head):
        what = "is empty" if not head else "is no video: MP4, MOV, Matroska, WebM and AVI are accepted"
        raise NotAnImage(f"{path.name} {what}")
    if _is_iso(head):
        end = _iso_end(file, status.st_size, path)
    else:
        end = 8 + int.from_bytes(head[4:8], "little") if _is_avi(head) else _matroska_end(head)
    if end > status.st_size:
        raise ImageTruncated(f"{path.name} is cut off: it has {status.st_size:,} of {end:,} bytes")


def _is_iso(head: bytes) -> bool:
    return head[4:8] in _ISO_STARTS and not head[4:].startswith(STILL_BRANDS)


def _is_avi(head: bytes) -> bool:
    return head.startswith(b"RIFF") and head[8:12] == b"AVI "


def _iso_end(file: BinaryIO, size: int, path: Path) -> int:
    """Index where the last box of an MP4 or MOV ends, by its own length."""
    at, has_index = 0, False
    while at + 8 <= size:
        file.seek(at)
        box = file.read(16)
        length, kind = int.from_bytes(box[:4], "big"), box[4:8]
        has_index = has_index or kind == b"moov"
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8:
            raise NotAnImage(f"{path.name} is corrupt: a box of {length} bytes at byte {at:,}")
        at += length
    if at <= size and not has_index:
        raise ImageTruncated(f"{path.name} has no index: the recording was not finished")
    return at


def _matroska_end(head: bytes) -> int:
    """Index where the one segment of a Matroska or WebM ends; 0 where a live recording left it open."""
    header_size, at = _vint(head, 4)
    at += header_size
    if head[at : at + 4] != _EBML_SEGMENT:
        return 0
    size, start = _vint(head, at + 4)
    return start + size


def _vint(data: bytes, at: int) -> tuple[int, int]:
    """(value, index after it) of EBML's variable-length number; all ones, the unknown length, count as 0."""
    length = 9 - data[at].bit_length() if at < len(data) and data[at] else 8
    bits = (1 << 7 * length) - 1
    value = int.from_bytes(data[at : at + length], "big") & bits
    return (0 if value == bits else value), at + length
