"""What a picture is, from its bytes alone: format, upright size and orientation, before a pixel is decoded.

The content decides, never a name or a declared type. What is over the limits, cut off, or followed by the bytes of
another file is refused here, so a decoder only ever sees one whole picture of an allowed size.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from dataclasses import dataclass

from hearthwatch.errors import ImageTooLarge, NotAnImage, UnsupportedImage
from hearthwatch.vision.containers import (
    PNG_MAGIC,
    Allow,
    Format,
    Layout,
    walk_bmp,
    walk_gif,
    walk_png,
    walk_webp,
)
from hearthwatch.vision.jpeg import walk_jpeg

#: Picture formats that are known and not accepted: index of the mark, the mark, what to call it.
_UNSUPPORTED = (
    (0, b"II*\0", "a TIFF picture"),
    (0, b"MM\0*", "a TIFF picture"),
    (0, b"II+\0", "a TIFF picture"),
    (0, b"MM\0+", "a TIFF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftypavis", "an AVIF picture"),
    (4, b"ftyphei", "a HEIC picture"),
    (4, b"ftyphev", "a HEIC picture"),
    (4, b"ftypmif1", "a HEIC picture"),
    (4, b"ftypmsf1", "a HEIC picture"),
    (4, b"ftypcrx ", "a raw photo"),
    (0, b"8BPS", "a Photoshop document"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture"),
    (0, b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (0, b"\0\0\x01\0", "an icon"),
    (0, b"v/1\x01", "an OpenEXR picture"),
    (0, b"qoif", "a QOI picture"),
    (0, b"\x8aMNG\r\n\x1a\n", "an MNG animation"),
)
#: Other files that people send by mistake.
_OTHER = (
    (4, b"ftyp", "a video (MP4 or MOV)"),
    (0, b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)"),
    (8, b"AVI ", "a video (AVI)"),
    (8, b"WAVE", "a sound"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"\x7fELF", "a program"),
    (0, b"MZ", "a program"),
    (0, b"data:", "a data URL; send what follows the comma, decoded from base64"),
    (0, b"/9j/", "base64 text of a JPEG; decode it first"),
    (0, b"iVBORw0KGgo", "base64 text of a PNG; decode it first"),
)
#: Bytes that cameras and programs leave behind a picture: zeros, 0xFF fill, line ends.
_PADDING = b"\0\xff\r\n"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a picture may cost. The defaults are those of the wire contract.

    Attributes:
        max_bytes: encoded size, in bytes (10 MiB).
        max_pixels: width times height of the picture (64 megapixels of 1,000,000).
    """

    max_bytes: int = 10 * 1024 * 1024
    max_pixels: int = 64_000_000

    def check_bytes(self, size: int) -> None:
        """Raise ImageTooLarge for an encoded picture of more than `max_bytes`."""
        if size > self.max_bytes:
            raise ImageTooLarge(f"the picture has {size:,} bytes; at most {self.max_bytes:,} bytes are allowed")

    def check_size(self, width: int, height: int) -> None:
        """Raise ImageTooLarge above `max_pixels`, NotAnImage for a picture without pixels."""
        if width < 1 or height < 1:
            raise NotAnImage(f"the picture says that it is {width} x {height} px")
        if width * height > self.max_pixels:
            actual, allowed = width * height / 1e6, self.max_pixels / 1e6
            raise ImageTooLarge(
                f"the picture is {width} x {height} px ({actual:.6g} megapixels); "
                f"at most {allowed:.6g} megapixels are allowed"
            )


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture before it is decoded.

    Attributes:
        format: by content.
        width: in pixels, upright: after the orientation is applied.
        height: likewise.
        orientation: EXIF's 1 to 8, already in width and height.
        frames: pictures in the file; the first one is used.
    """

    format: Format
    width: int
    height: int
    orientation: int = 1
    frames: int = 1


def read_header(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read the header of one whole picture within the limits.

    Raises:
        ImageTooLarge: over the byte or pixel limit.
        ImageTruncated: the file ends before its picture does.
        NotAnImage: no picture, a corrupt one, or one with another file appended.
        UnsupportedImage: a picture of a kind that is not accepted.
    """
    return header_of(locate(data, limits))


def header_of(layout: Layout) -> Header:
    """Turn a file's layout upright: orientations 5 to 8 swap the sides."""
    width, height = layout.width, layout.height
    if layout.orientation >= 5:
        width, height = height, width
    return Header(layout.format, width, height, layout.orientation, layout.frames)


def locate(data: bytes, limits: Limits) -> Layout:
    """Find the structure of one whole picture, as `read_header`, with sizes as they are stored."""
    limits.check_bytes(len(data))
    layout = _walker(data)(data, limits.check_size)
    rest = data[layout.end :]
    if rest.strip(_PADDING):
        raise NotAnImage(
            f"{len(rest):,} bytes that belong to no picture follow the end of the {layout.format}; "
            "a file with another one appended is refused"
        )
    return layout


def _walker(data: bytes) -> Callable[[bytes, Allow], Layout]:
    if data.startswith(b"\xff\xd8\xff"):
        return walk_jpeg
    if data.startswith(PNG_MAGIC):
        return walk_png
    if data.startswith((b"GIF87a", b"GIF89a")):
        return walk_gif
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return walk_webp
    if data.startswith(b"BM"):
        return walk_bmp
    raise _refusal(data)


def _refusal(data: bytes) -> NotAnImage | UnsupportedImage:
    """Build the error that names what the bytes look like."""
    accepted = "JPEG, PNG, WebP, BMP, GIF and MPO are accepted"
    if not data:
        return NotAnImage("there are no bytes")
    for at, mark, name in _UNSUPPORTED:
        if data.startswith(mark, at):
            return UnsupportedImage(f"this is {name}; {accepted}")
    for at, mark, name in _OTHER:
        if data.startswith(mark, at):
            return NotAnImage(f"this is {name}; {accepted}")
    head = data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in head:
        return UnsupportedImage(f"this is an SVG drawing; {accepted}")
    if head.startswith((b"<!doctype html", b"<html")):
        return NotAnImage(f"this is an HTML page; {accepted}")
    if _is_text(head):
        return NotAnImage(f"this looks like text; {accepted}")
    return NotAnImage(f"this is no picture of a known format ({len(data):,} bytes); {accepted}")


def _is_text(head: bytes) -> bool:
    """Whether bytes are printable UTF-8; they may end inside a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
