"""Small picture files of every kind, made on the spot, and parts to build files that no program would write."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

UInt8 = npt.NDArray[np.uint8]
WIDTH, HEIGHT = 20, 14
ORIENTATION = 0x0112


def scene(width: int = WIDTH, height: int = HEIGHT) -> UInt8:
    """A smooth picture without any symmetry: red grows to the right, green downwards, blue on the diagonal."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    return np.rint(np.stack([40 + 200 * x, 220 - 180 * y, 60 + 120 * x * y], axis=2)).astype(np.uint8)


def encode(picture: PILImage.Image, name: str, **options: object) -> bytes:
    file = BytesIO()
    picture.save(file, name, **options)
    return file.getvalue()


def exif(orientation: int) -> bytes:
    tags = PILImage.Exif()
    tags[ORIENTATION] = orientation
    return tags.tobytes()


def jpeg(pixels: UInt8 | None = None, **options: object) -> bytes:
    options = {"quality": 95, "subsampling": 0} | options
    return encode(PILImage.fromarray(scene() if pixels is None else pixels), "JPEG", **options)


def png_of(*chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of these chunks, each with the right check sum."""
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def png_header(width: int, height: int, depth: int = 8, color: int = 2) -> tuple[bytes, bytes]:
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)


def png_rows(rows: npt.NDArray[np.generic]) -> tuple[bytes, bytes]:
    """Rows of samples, in the byte order of a PNG, without a filter."""
    return b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))


def bmp_of(
    size: tuple[int, int], bits: int, pixels: bytes, *, packing: int = 0, packed: int = 0, between: bytes = b""
) -> bytes:
    """A BMP with the header of Windows 3; `between` is what stands before the pixels: a palette or masks."""
    offset = 54 + len(between)
    head = struct.pack("<IIiiHHIIIIII", offset, 40, *size, 1, bits, packing, packed, 0, 0, len(between) // 4, 0)
    return b"BM" + struct.pack("<II", offset + len(pixels), 0) + head + between + pixels


def _frames() -> list[PILImage.Image]:
    return [PILImage.new("RGB", (WIDTH, HEIGHT), color) for color in ("red", "blue")]


def _rgba() -> PILImage.Image:
    picture = PILImage.fromarray(scene())
    picture.putalpha(PILImage.fromarray(np.tile(np.arange(WIDTH, dtype=np.uint8) * 13, (HEIGHT, 1))))
    return picture


def _make() -> dict[str, bytes]:
    rgb, rgba = PILImage.fromarray(scene()), _rgba()
    grey, palette, bits = rgb.convert("L"), rgb.quantize(64), rgb.convert("1")
    deep = PILImage.fromarray(np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 234)
    animation = {"save_all": True, "append_images": _frames()}
    return {
        "jpeg": jpeg(),
        "jpeg, progressive": jpeg(progressive=True),
        "jpeg, restarts": jpeg(restart_marker_blocks=1),
        "jpeg, subsampled": jpeg(subsampling=2),
        "jpeg, exif": jpeg(exif=exif(6)),
        "jpeg, grey": encode(grey, "JPEG", quality=95),
        "jpeg, cmyk": encode(rgb.convert("CMYK"), "JPEG", quality=95),
        "mpo": encode(rgb, "MPO", quality=95, **animation),
        "png": encode(rgb, "PNG"),
        "png, grey": encode(grey, "PNG"),
        "png, grey alpha": encode(rgba.convert("LA"), "PNG"),
        "png, alpha": encode(rgba, "PNG"),
        "png, palette": encode(palette, "PNG"),
        "png, one bit": encode(bits, "PNG"),
        "png, 16 bit": encode(deep, "PNG"),
        "png, animated": encode(rgb, "PNG", **animation),
        "webp": encode(rgb, "WEBP", quality=95),
        "webp, lossless": encode(rgb, "WEBP", lossless=True),
        "webp, alpha": encode(rgba, "WEBP", quality=95, exif=exif(8)),
        "webp, animated": encode(rgb, "WEBP", quality=95, **animation),
        "gif": encode(rgb, "GIF"),
        "gif, animated": encode(rgb, "GIF", **animation),
        "bmp": encode(rgb, "BMP"),
        "bmp, grey": encode(grey, "BMP"),
        "bmp, palette": encode(palette, "BMP"),
        "bmp, one bit": encode(bits, "BMP"),
        "bmp, alpha": encode(rgba, "BMP"),
    }


#: Name to file; each is WIDTH x HEIGHT as stored.
SAMPLES = _make()
