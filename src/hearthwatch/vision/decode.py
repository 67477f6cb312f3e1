"""Encoded bytes, PIL images, arrays and paths to an upright RGB `Image`.

Decoders, measured on one core with 1080p frames of a camera (fastest of 25 runs, ms):

    JPEG   simplejpeg 7      OpenCV 9      Pillow 11
    PNG    OpenCV 53         Pillow 67     and Pillow shows a picture whose compressed rows stop half-way
    WebP   OpenCV 25         Pillow 49     but OpenCV accepts some corrupt files and prints about the others

So simplejpeg decodes JPEG in strict mode (any complaint of libjpeg is an error), OpenCV PNG, Pillow the rest.

What is not RGB becomes RGB as `vision.rgb` says. Of an animation the first frame counts.
"""

from __future__ import annotations

import os
import stat
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import simplejpeg
from PIL import BmpImagePlugin, GifImagePlugin, WebPImagePlugin
from PIL import Image as PILImage

from hearthwatch.errors import ImageError, ImageTruncated, NotAnImage, UnsupportedImage
from hearthwatch.vision.containers import PNG_MAGIC, Layout, corrupt, exif_orientation, png_chunks
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits, header_of, locate
from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.rgb import bgr_to_rgb, cmyk_to_rgb, pil_to_rgb, to_8_bits, upright

#: What the documented classes take for a picture.
PictureLike = Image | PILImage.Image | npt.NDArray[np.uint8] | bytes | str | os.PathLike[str]

#: Opened by class: `PIL.Image.open` would add a pixel limit and a warning of its own to ours.
_PILLOW: dict[str, Callable[[BytesIO], PILImage.Image]] = {
    "BMP": BmpImagePlugin.BmpImageFile,
    "GIF": GifImagePlugin.GifImageFile,
    "WEBP": WebPImagePlugin.WebPImageFile,
}
#: What Pillow raises on corrupt bytes.
_PILLOW_ERRORS = (
    PILImage.DecompressionBombError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
)


def decode(data: bytes, *, limits: Limits = DEFAULT_LIMITS, at_least: int | None = None) -> Image:
    """One encoded picture to upright RGB.

    Args:
        data: a JPEG, MPO, PNG, WebP, GIF or BMP file.
        limits: checked before any pixel is decoded.
        at_least: pixels that the longer side must keep. A JPEG is then decoded at 1/2, 1/4 or 1/8 of its size, the
            smallest that keeps them, which saves a quarter to a third of the time; other formats are decoded in full.

    Returns:
        An image whose region is the whole picture in full-size pixels, also when `pixels` are fewer: then the last of
        a row may stand for a part only, so positions are off by less than one of the fewer pixels, at the far edges.

    Raises:
        ImageError: as `read_header`, and NotAnImage or ImageTruncated when the compressed pixels are damaged.
    """
    if at_least is not None and at_least < 1:
        raise ValueError(f"at_least is a number of pixels from 1; got {at_least}")
    layout = locate(data, limits)
    if layout.format in {"JPEG", "MPO"}:
        factor = _jpeg_factor(layout, at_least)
        pixels = _decode_jpeg(data, layout, factor)
    else:
        factor = 1
        pixels = _decode_png(data) if layout.format == "PNG" else _decode_pillow(data, layout)
    if pixels.shape[:2] != (-(-layout.height // factor), -(-layout.width // factor)):
        raise corrupt(layout.format, "its pixels do not fill the size that it states")
    header = header_of(layout)
    region = (0.0, 0.0, float(header.width), float(header.height))
    return Image(upright(pixels, layout.orientation), region)


def to_image(picture: PictureLike, *, limits: Limits = DEFAULT_LIMITS) -> Image:
    """Whatever a caller has for a picture, as an `Image`.

    Args:
        picture: encoded bytes; a path; a PIL image (turned upright by its EXIF); an array, (h, w, 3) RGB or (h, w)
            grey, uint8, whose memory is shared where it can be; or an `Image`, which is returned as it is.
        limits: for the bytes and the pixels.

    Raises:
        ImageError: it is none of these, over the limits, or cannot be decoded.
    """
    if isinstance(picture, Image):
        return picture
    if isinstance(picture, bytes | bytearray | memoryview):
        return decode(bytes(picture), limits=limits)
    if isinstance(picture, str | os.PathLike):
        return decode(read_picture(picture, limits), limits=limits)
    if isinstance(picture, PILImage.Image):
        return _pil_to_image(picture, limits)
    if isinstance(picture, np.ndarray):
        return _array_to_image(picture, limits)
    raise NotAnImage(f"a picture is bytes, a path, a PIL image or an array; got {type(picture).__name__}")


def read_picture(path: str | os.PathLike[str], limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Read a picture file; its size is checked before it is read.

    Raises:
        ImageTooLarge: over the byte limit.
        ImageError: the path names no regular file, or it cannot be read.
    """
    path = Path(path)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{path} is not a regular file")
        limits.check_bytes(status.st_size)
        with path.open("rb") as file:
            data = file.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    limits.check_bytes(len(data))
    return data


def _jpeg_factor(layout: Layout, at_least: int | None) -> int:
    """By how much a JPEG can be divided while its longer side keeps `at_least` pixels: 8, 4, 2 or 1."""
    if at_least is None:
        return 1
    longer = max(layout.width, layout.height)
    return next((factor for factor in (8, 4, 2) if -(-longer // factor) >= at_least), 1)


def _decode_jpeg(data: bytes, layout: Layout, factor: int) -> UInt8:
    """RGB of a JPEG at 1/factor of its size, rounded up."""
    try:
        space = simplejpeg.decode_jpeg_header(data, strict=True)[2]
        # libjpeg-turbo leaves the step from CMYK to RGB to us
        four_channels = space in {"CMYK", "YCCK"}
        pixels: UInt8 = simplejpeg.decode_jpeg(
            data,
            "CMYK" if four_channels else "RGB",
            min_height=-(-layout.height // factor),
            min_width=-(-layout.width // factor),
            min_factor=factor,
            strict=True,
        )
    except ValueError as error:
        raise _jpeg_error(str(error)) from error
    return cmyk_to_rgb(pixels, inverted=layout.inverted) if four_channels else pixels


def _jpeg_error(message: str) -> ImageError:
    if "subsampling" in message:
        # simplejpeg says so whatever is wrong before the first scan
        return corrupt("JPEG", "its headers are damaged, or its colours are sampled as no camera does")
    if "remature end" in message:
        return ImageTruncated("the JPEG is cut off: its compressed pixels end before the picture does")
    return corrupt("JPEG", message)


def _decode_png(data: bytes) -> UInt8:
    """RGB of a PNG whose check sums hold."""
    bare, grey_key = _bare_png(data)
    try:
        pixels = cv2.imdecode(np.frombuffer(bare, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise corrupt("PNG", "its compressed pixels cannot be unpacked") from error
    if pixels is None:
        raise corrupt("PNG", "its compressed pixels cannot be unpacked")
    # OpenCV drops the one transparent value that a grey PNG may name
    if grey_key is not None and pixels.ndim == 2:
        pixels[pixels == grey_key] = 65535 if pixels.dtype == np.uint16 else 255
    return bgr_to_rgb(to_8_bits(pixels))


def _bare_png(data: bytes) -> tuple[bytes, int | None]:
    """Keep of a PNG what its pixels need; with it comes the grey value that is transparent, or None.

    What goes are texts and profiles that would be unpacked, frames of an animation, and what libpng warns about.
    """
    parts, grey_key = [PNG_MAGIC], None
    depth, color = data[24], data[25]
    for kind, start, stop in png_chunks(data):
        if kind not in {b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"}:
            continue
        if zlib.crc32(data[start - 4 : stop]) != int.from_bytes(data[stop : stop + 4], "big"):
            raise corrupt("PNG", f"the check sum of its part {kind.decode()} at byte {start:,} is wrong")
        if kind == b"tRNS" and color == 0:
            grey_key = int.from_bytes(data[start : start + 2], "big") * (1 if depth >= 8 else 255 // (2**depth - 1))
        parts.append(data[start - 8 : stop + 4])
    return b"".join(parts), grey_key


def _decode_pillow(data: bytes, layout: Layout) -> UInt8:
    """RGB of a BMP, or of the first frame of a GIF or WebP."""
    if layout.format == "GIF":
        # the canvas as we measured and allowed it, so that Pillow has no reason to grow (and to judge) it
        data = data[:6] + struct.pack("<HH", layout.width, layout.height) + data[10:]
    try:
        with _PILLOW[layout.format](BytesIO(data)) as picture:
            return pil_to_rgb(picture)
    except _PILLOW_ERRORS as error:
        raise corrupt(layout.format, str(error)) from error


def _pil_to_image(picture: PILImage.Image, limits: Limits) -> Image:
    limits.check_size(*picture.size)
    exif = picture.info.get("exif")
    try:
        # a PIL image may still have to read its file
        pixels = pil_to_rgb(picture)
    except _PILLOW_ERRORS as error:
        raise corrupt(picture.format or "picture", str(error)) from error
    return Image.of(upright(pixels, exif_orientation(exif) if isinstance(exif, bytes) else 1))


def _array_to_image(array: npt.NDArray[np.generic], limits: Limits) -> Image:
    grey = array.ndim == 2
    if array.dtype != np.uint8 or array.size == 0 or not (grey or (array.ndim == 3 and array.shape[2] == 3)):
        raise UnsupportedImage(
            "an array must be uint8, (height, width, 3) in RGB or (height, width) in grey, and not empty; "
            f"got {array.dtype} {array.shape}"
        )
    pixels: UInt8 = array.astype(np.uint8, copy=False)
    limits.check_size(pixels.shape[1], pixels.shape[0])
    return Image.of(np.repeat(pixels[..., None], 3, axis=2) if grey else pixels)
