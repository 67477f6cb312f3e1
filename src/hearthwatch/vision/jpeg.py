"""Where a JPEG file ends, how large its picture is and how it is turned.

Segments are walked one by one: the thumbnail inside EXIF has an end marker of its own, and a progressive picture has
several scans. Behind the end a camera may leave what belongs to the picture, and this much is accepted:

* further JPEGs, when a multi-picture segment (MPF) announces them: 3D cameras, gain maps of phones;
* Samsung's trailer, when its directory accounts for every byte: every photo of these phones has one;
* the clip of a motion photo, when the picture's XMP announces it and its boxes fill the rest exactly.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from hearthwatch.errors import UnsupportedImage
from hearthwatch.vision.containers import Allow, Layout, corrupt, ends_early, exif_orientation, parts, unpack

_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APP1, _APP2, _APP14 = 0xE1, 0xE2, 0xEE
#: Frame headers: SOF0 to SOF15 without the tables (DHT, JPG, DAC) that share their range.
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Baseline, extended and progressive Huffman coding. Lossless, hierarchical and arithmetic coding exist on paper.
_DECODABLE = frozenset({0xC0, 0xC1, 0xC2})
#: Markers that stand alone and have no place between segments: stuffing, TEM, restarts, a second start.
_OUT_OF_PLACE = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
#: In the compressed data of a scan 0xFF is followed by 0x00, by fill or by a restart; anything else ends the scan.
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL)
#: A usual progressive picture has 10 scans. Each scan of a few bytes costs a pass over all pixels, so a small file
#: with thousands of them would keep the decoder busy for minutes.
_MAX_SCANS = 64
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MOTION = (b"MotionPhoto", b"MicroVideo")
#: Some phones put a short label between the picture and its clip; 24 bytes are the longest one described.
_CLIP_GAP = 64


def walk_jpeg(data: bytes, allow: Allow) -> Layout:
    """JPEG or MPO; the pictures that follow the first in an MPO only have to be whole."""
    width = height = scans = 0
    orientation, inverted, announces_more, moves = 1, False, False, False
    end = 0
    for marker, start, stop in _segments(data, 0):
        end = stop
        if marker in _FRAME_HEADERS:
            width, height = _frame_size(data, marker, start)
            allow(width, height)
        elif marker == _SOS:
            scans += 1
        elif marker == _APP1 and data.startswith(b"Exif\0\0", start):
            orientation = exif_orientation(data[start:stop])
        elif marker == _APP1 and data.startswith(_XMP, start):
            moves = moves or any(word in data[start:stop] for word in _MOTION)
        elif marker == _APP2:
            announces_more = announces_more or data.startswith(b"MPF\0", start)
        elif marker == _APP14:
            inverted = inverted or data.startswith(b"Adobe", start)
        if scans > _MAX_SCANS:
            raise UnsupportedImage(f"a JPEG with more than {_MAX_SCANS} scans is not accepted")
    if not width or not scans:
        raise corrupt("JPEG", "it holds no picture")
    end, frames = _further_pictures(data, end) if announces_more else (end, 1)
    trailer = _samsung_start(data)
    end = _skip_clip(data, end, trailer) if moves else end
    end = end if data[end:trailer].strip(b"\0") else len(data)
    return Layout("MPO" if frames > 1 else "JPEG", width, height, end, orientation, frames, inverted)


def _segments(data: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """(marker, start of its body, end of its body) from the start marker at `at` up to and with the end marker."""
    at += 2
    for _ in parts("JPEG"):
        marker_at = at
        while data[at : at + 1] == b"\xff":
            at += 1
        if at >= len(data):
            raise ends_early("JPEG", data)
        marker = data[at]
        if at == marker_at or marker in _OUT_OF_PLACE:
            raise corrupt("JPEG", f"no segment starts at byte {marker_at:,}")
        at += 1
        if marker == _EOI:
            yield marker, at, at
            return
        start, at = at + 2, at + unpack("JPEG", ">H", data, at)[0]
        if at > len(data):
            raise ends_early("JPEG", data)
        if at < start:
            raise corrupt("JPEG", f"a segment at byte {start:,} has a length below 2")
        yield marker, start, at
        if marker == _SOS:
            if (scan_end := _SCAN_END.search(data, at)) is None:
                raise ends_early("JPEG", data)
            at = scan_end.start()


def _frame_size(data: bytes, marker: int, start: int) -> tuple[int, int]:
    """(width, height) of a frame header that can be decoded."""
    precision, height, width, components = unpack("JPEG", ">BHHB", data, start)
    if marker not in _DECODABLE or precision != 8 or components not in {1, 3, 4}:
        kind = f"coding process {marker - 0xC0}, {precision} bits and {components} channels"
        raise UnsupportedImage(f"a JPEG with {kind} is not accepted")
    return width, height


def _further_pictures(data: bytes, end: int) -> tuple[int, int]:
    """(index after the last picture, number of pictures) of a multi-picture file whose first one ends at `end`.

    A picture that is announced and absent is no error: programs that copy a photo often keep the segment and drop the
    pictures, and the first one is whole.
    """
    frames = 1
    while (at := _skip_zeros(data, end)) < len(data) and data.startswith(b"\xff\xd8\xff", at):
        for _, _, stop in _segments(data, at):
            end = stop
        frames += 1
    return end, frames


def _skip_zeros(data: bytes, at: int) -> int:
    """Index of the first byte from `at` on that is not zero."""
    return len(data) - len(data[at:].lstrip(b"\0"))


def _skip_clip(data: bytes, end: int, stop: int) -> int:
    """Index after an MP4 that starts at `end` and fills the bytes up to `stop`; `end` where there is none."""
    at = data.find(b"ftyp", end, end + _CLIP_GAP) - 4
    if at < end:
        return end
    while at + 8 <= stop:
        size = int.from_bytes(data[at : at + 4], "big")
        if size < 8:
            return end
        at += size
    return at if at == stop else end


def _samsung_start(data: bytes) -> int:
    """Index where Samsung's trailer starts; the length of the data where there is none.

    From the end: "SEFT", the length of the directory before it, which starts with "SEFH", a version and a count. Each
    entry has a type, how far before the directory its block starts, and the block's size.
    """
    nothing = len(data)
    if not data.endswith(b"SEFT") or nothing < 20:
        return nothing
    directory = nothing - 8 - int.from_bytes(data[-8:-4], "little")
    if directory < 0 or not data.startswith(b"SEFH", directory):
        return nothing
    (count,) = struct.unpack_from("<I", data, directory + 8)
    if directory + 12 + 12 * count != nothing - 8:
        return nothing
    furthest = 0
    for entry in range(directory + 12, nothing - 8, 12):
        back, size = struct.unpack_from("<II", data, entry + 4)
        if size > back:
            return nothing
        furthest = max(furthest, back)
    return directory - furthest
