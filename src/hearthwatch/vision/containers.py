"""Where a picture file ends, how large its picture is and how it is turned: PNG, GIF, WebP and BMP.

A walker goes through the structure of one file from its first byte to its last, without decoding a pixel. So what is
too large is refused before it is unpacked, what is cut off is noticed, and bytes of another file behind the end cannot
hide. `vision.jpeg` has the walker for JPEG; `vision.header` chooses among them.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from hearthwatch.errors import ImageTruncated, NotAnImage, UnsupportedImage

Format = Literal["JPEG", "MPO", "PNG", "GIF", "WEBP", "BMP"]

#: Called with (width, height) as soon as they are known; raises when such a picture is not allowed.
Allow = Callable[[int, int], None]

#: Boxes that start a file as an MP4 starts, with the brands of pictures: AVIF, HEIC, Canon's raw photos.
STILL_BRANDS = tuple(
    b"ftyp" + brand for brand in (b"avif", b"avis", b"hei", b"hev", b"mif1", b"msf1", b"miaf", b"crx ")
)
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
#: The critical chunks of the PNG specification, section 11.2. A decoder must refuse a file with another one.
PNG_CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
#: Sizes of the information headers that are in use, from BITMAPCOREHEADER to BITMAPV5HEADER.
_BMP_HEADERS = frozenset({12, 40, 52, 56, 64, 108, 124})
_BMP_RLE = (1, 2)
_BMP_UNPACKED = (0, 3)
_ORIENTATION_TAG = 0x0112
#: Chunks, blocks or segments of one file. A file of 10 MiB made of nothing but empty ones would take seconds to walk;
#: a real one of that size has a few thousand.
_MAX_PARTS = 100_000


@dataclass(frozen=True, slots=True)
class Layout:
    """The structure of one picture file.

    Attributes:
        format: what the bytes are, whatever the file is called.
        width: in pixels as stored, before the orientation is applied.
        height: likewise.
        end: index after the last byte of the file that the format accounts for.
        orientation: EXIF's 1 to 8; 1 where nothing is said or it cannot be read.
        frames: pictures in the file; only the first is decoded.
        inverted: a JPEG by Adobe, whose CMYK is stored with 0 for full ink.
    """

    format: Format
    width: int
    height: int
    end: int
    orientation: int = 1
    frames: int = 1
    inverted: bool = False


def ends_early(kind: str, data: bytes) -> ImageTruncated:
    """Build the error for a file whose bytes stop before its structure does."""
    return ImageTruncated(f"the {kind} is cut off: it ends after {len(data):,} bytes, before its picture does")


def corrupt(kind: str, what: str) -> NotAnImage:
    """Build the error for a file that contradicts its format."""
    return NotAnImage(f"the {kind} is corrupt: {what}")


def parts(kind: str) -> Iterator[int]:
    """Count the parts of a file from 0, for a loop that breaks at its end; refuse one with far too many."""
    yield from range(_MAX_PARTS)
    raise corrupt(kind, f"it has more than {_MAX_PARTS:,} parts")


def unpack(kind: str, fields: str, data: bytes, at: int) -> tuple[int, ...]:
    """`struct.unpack_from` that says `ImageTruncated` when the bytes do not reach."""
    try:
        return struct.unpack_from(fields, data, at)
    except struct.error as error:
        raise ends_early(kind, data) from error


def exif_orientation(block: bytes) -> int:
    """Read the orientation, 1 to 8, of an EXIF block (its `Exif` prefix may be there); 1 when that fails."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (at,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, at)
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            tag, _, _, value = struct.unpack_from(f"{order}HHIH", tiff, entry)
            if tag == _ORIENTATION_TAG:
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk of a PNG as (type, start of its body, end of its body), up to and with IEND."""
    at = len(PNG_MAGIC)
    for _ in parts("PNG"):
        size, kind_number = unpack("PNG", ">II", data, at)
        kind, start = kind_number.to_bytes(4, "big"), at + 8
        if start + size + 4 > len(data):
            raise ends_early("PNG", data)
        yield kind, start, start + size
        if kind == b"IEND":
            return
        at = start + size + 4


def walk_png(data: bytes, allow: Allow) -> Layout:
    """Take an animated PNG for its default image: what a viewer without animation shows."""
    width, height = unpack("PNG", ">II", data, 16)
    if data[8:16] != b"\0\0\0\rIHDR":
        raise corrupt("PNG", "it does not start with its header chunk")
    allow(width, height)
    orientation, frames, end, has_pixels = 1, 0, 0, False
    for kind, start, stop in png_chunks(data):
        end = stop + 4
        if not kind.isalpha():
            raise corrupt("PNG", f"there is no chunk of type {kind!r}")
        if kind == b"IDAT":
            has_pixels = True
        elif kind == b"eXIf":
            orientation = exif_orientation(data[start:stop])
        elif kind == b"fcTL":
            frames += 1
        elif kind[:1].isupper() and kind not in PNG_CRITICAL:
            raise UnsupportedImage(f"the PNG needs an extension that is not in the standard ({kind.decode()})")
    if not has_pixels:
        raise corrupt("PNG", "it holds no pixels")
    return Layout("PNG", width, height, end, orientation, max(frames, 1))


def walk_gif(data: bytes, allow: Allow) -> Layout:
    """Take for the canvas the screen, grown to hold the first frame, as Pillow and browsers do."""
    width, height, flags = unpack("GIF", "<HHB", data, 6)
    at = 13 + _color_table(flags)
    frames = 0
    for _ in parts("GIF"):
        (introducer,) = unpack("GIF", "B", data, at)
        if introducer == 0x3B:
            break
        if introducer == 0x21:
            at = _gif_blocks(data, at + 2)
        elif introducer == 0x2C:
            left, top, wide, high, flags = unpack("GIF", "<4HB", data, at + 1)
            if not frames:
                width, height = max(width, left + wide), max(height, top + high)
                allow(width, height)
            frames += 1
            at = _gif_blocks(data, at + 11 + _color_table(flags))
        else:
            raise corrupt("GIF", f"a block of type {introducer} at byte {at}")
    if not frames:
        raise corrupt("GIF", "it holds no picture")
    return Layout("GIF", width, height, at + 1, frames=frames)


def walk_webp(data: bytes, allow: Allow) -> Layout:
    """Still or animated; the canvas of the extended header rules where there is one."""
    end = 8 + unpack("WebP", "<I", data, 4)[0]
    size, orientation, frames, stills = (0, 0), 1, 0, 0
    at = 12
    for _ in parts("WebP"):
        if at >= end:
            break
        kind, length = data[at : at + 4], unpack("WebP", "<I", data, at + 4)[0]
        if not size[0]:
            size = _webp_size(kind, data, at + 8)
            allow(*size)
        if kind == b"EXIF":
            orientation = exif_orientation(data[at + 8 : at + 8 + length])
        frames += kind == b"ANMF"
        stills += kind in {b"VP8 ", b"VP8L"}
        at += 8 + length + length % 2
        if at > len(data):
            raise ends_early("WebP", data)
    if at != end or not (frames or stills == 1):
        raise corrupt("WebP", "its parts do not add up to one picture")
    return Layout("WEBP", *size, end, orientation, max(frames, 1))


def walk_bmp(data: bytes, allow: Allow) -> Layout:
    """Windows and OS/2 bitmaps; rows from the bottom up or from the top down."""
    file_size, offset, header = unpack("BMP", "<I4xII", data, 2)
    if header not in _BMP_HEADERS:
        raise corrupt("BMP", f"there is no header of {header} bytes")
    if header == 12:
        width, height, _, bits = unpack("BMP", "<HHHH", data, 18)
        packing = packed_size = 0
    else:
        width, height, _, bits, packing, packed_size = unpack("BMP", "<iiHHII", data, 18)
        height = abs(height)
    if packing not in (*_BMP_RLE, *_BMP_UNPACKED) or bits not in {1, 4, 8, 16, 24, 32}:
        raise UnsupportedImage(f"a BMP with {bits} bits a pixel and compression {packing} is not accepted")
    allow(width, height)
    if offset < 14 + header:
        raise corrupt("BMP", f"its pixels start at byte {offset}, inside its header")
    pixel_bytes = (width * bits + 31) // 32 * 4 * height if packing in _BMP_UNPACKED else packed_size
    end = max(offset + pixel_bytes, _bmp_profile_end(data) if header == 124 else 0)
    if packing in _BMP_RLE and not packed_size:
        end = max(end, file_size)
    if max(end, file_size) > len(data):
        raise ends_early("BMP", data)
    return Layout("BMP", width, height, end)


def _color_table(flags: int) -> int:
    """Bytes of a GIF colour table; 0 where the flags say there is none."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _gif_blocks(data: bytes, at: int) -> int:
    """Index after a run of sub-blocks, whose last is empty."""
    try:
        while data[at]:
            at += data[at] + 1
    except IndexError as error:
        raise ends_early("GIF", data) from error
    return at + 1


def _webp_size(kind: bytes, data: bytes, at: int) -> tuple[int, int]:
    """(width, height) from the first chunk of a WebP: extended, lossy or lossless."""
    if kind == b"VP8X":
        low = unpack("WebP", "<4x6B", data, at)
        return 1 + low[0] + (low[1] << 8) + (low[2] << 16), 1 + low[3] + (low[4] << 8) + (low[5] << 16)
    if kind == b"VP8L":
        signature, bits = unpack("WebP", "<BI", data, at)
        if signature == 0x2F:
            return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 ":
        first, second, third, width, height = unpack("WebP", "<3x3BHH", data, at)
        if (first, second, third) == (0x9D, 0x01, 0x2A):
            return width & 0x3FFF, height & 0x3FFF
    raise corrupt("WebP", "its first part is no picture")


def _bmp_profile_end(data: bytes) -> int:
    """Index after the colour profile of a version 5 header; 0 where it is empty."""
    start, size = unpack("BMP", "<II", data, 14 + 112)
    return 14 + start + size if size else 0
