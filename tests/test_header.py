"""What the bytes say before a pixel is decoded; what is no single whole picture of an allowed size is refused."""

from __future__ import annotations

import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage

from hearthwatch.errors import ImageError, ImageTooLarge, ImageTruncated, NotAnImage, UnsupportedImage
from hearthwatch.vision.header import DEFAULT_LIMITS, Header, Limits, read_header
from pictures import HEIGHT, SAMPLES, WIDTH, bmp_of, encode, exif, jpeg, png_header, png_of, png_rows, scene

OTHER_FILE = {
    "a ZIP archive": b"PK\x03\x04" + bytes(26) + b"payload",
    "a script": b"<script>alert(1)</script>",
    "an archive of Java": b"PK\x03\x04META-INF/MANIFEST.MF",
    "another picture": SAMPLES["png"],
    "one byte": b"x",
}
NAMES = {"jpeg": "JPEG", "mpo": "MPO", "png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP"}


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_content_tells_format_and_size(sample: str) -> None:
    header = read_header(SAMPLES[sample])
    turned = header.orientation >= 5
    assert header.format == NAMES[sample.partition(",")[0]]
    assert (header.width, header.height) == ((HEIGHT, WIDTH) if turned else (WIDTH, HEIGHT))
    assert header.frames == (3 if "animated" in sample or sample == "mpo" else 1)


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_is_read_in_both_byte_orders_and_turns_the_size(orientation: int, order: str) -> None:
    mark = b"II*\0" if order == "<" else b"MM\0*"
    block = mark + struct.pack(f"{order}IHHHIHH", 8, 1, 0x0112, 3, 1, orientation, 0)
    header = read_header(jpeg(exif=b"Exif\0\0" + block))
    size = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    assert (header.width, header.height, header.orientation) == (*size, orientation)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_each_format_with_exif_gives_its_orientation(name: str) -> None:
    data = encode(PILImage.fromarray(scene()), name, exif=exif(7))
    assert read_header(data).orientation == 7


@pytest.mark.parametrize(
    "block",
    [b"", b"II*\0", b"XX*\0\x08\0\0\0", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0\xff\xff", exif(9)[6:], exif(0)[6:]],
    ids=["empty", "no offset", "no order", "far away", "no entries", "nine", "zero"],
)
def test_an_orientation_that_cannot_be_read_leaves_the_picture_as_it_is(block: bytes) -> None:
    assert read_header(jpeg(exif=b"Exif\0\0" + block)).orientation == 1


@settings(deadline=None)
@given(st.binary(max_size=80))
def test_no_exif_block_makes_a_picture_unreadable(block: bytes) -> None:
    assert 1 <= read_header(jpeg(exif=b"Exif\0\0II*\0" + block)).orientation <= 8


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_file_that_is_cut_off_is_refused(sample: str) -> None:
    data = SAMPLES[sample]
    # the pictures of an MPO are whole by themselves, also with the first byte, a fill byte, of the next
    ends = re.finditer(rb"\xff\xd9\0*(?=\xff\xd8)", data) if sample == "mpo" else []
    whole = {length for end in ends for length in range(end.start() + 2, end.end() + 2)}
    for length in set(range(len(data))) - whole:
        with pytest.raises(ImageError if length < 12 or sample == "mpo" else ImageTruncated):
            read_header(data[:length])


@pytest.mark.parametrize("padding", [b"\0", b"\0" * 4096, b"\xff" * 7, b"\r\n", b"\n\0\xff"], ids=repr)
@pytest.mark.parametrize("sample", SAMPLES)
def test_padding_behind_the_end_is_harmless(sample: str, padding: bytes) -> None:
    assert read_header(SAMPLES[sample] + padding[:100]) == read_header(SAMPLES[sample])


@pytest.mark.parametrize("appended", OTHER_FILE.values(), ids=OTHER_FILE)
@pytest.mark.parametrize("gap", [b"", b"\0" * 16], ids=["directly", "after zeros"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_another_file_behind_the_end_is_refused(sample: str, gap: bytes, appended: bytes) -> None:
    with pytest.raises(NotAnImage, match=r"appended|parts"):
        read_header(SAMPLES[sample] + gap + appended)


def test_a_bitmap_that_lies_about_its_file_size_is_still_measured() -> None:
    pixels = bytes(WIDTH * 3 * HEIGHT)
    whole = bmp_of((WIDTH, HEIGHT), 24, pixels)
    short = bmp_of((WIDTH, HEIGHT), 24, pixels[:-4])
    assert read_header(whole[:2] + struct.pack("<I", 0) + whole[6:]) == Header("BMP", WIDTH, HEIGHT)
    for file_size in (0, len(short)):
        with pytest.raises(ImageTruncated):
            read_header(short[:2] + struct.pack("<I", file_size) + short[6:])
    with pytest.raises(ImageTruncated):
        read_header(whole[:2] + struct.pack("<I", len(whole) + 1) + whole[6:])


def test_the_color_profile_of_a_bitmap_belongs_to_it() -> None:
    head = struct.pack("<IIiiHHIIIIII", 138, 124, 1, 1, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(56 + 12)
    profile = struct.pack("<IIII", 0, 128, 7, 0)
    data = b"BM" + struct.pack("<II", 149, 0) + head + profile + b"\xff\0\0\0" + b"profile"
    assert read_header(data) == Header("BMP", 1, 1)
    with pytest.raises(ImageTruncated):
        read_header(data[:-1])
    with pytest.raises(NotAnImage, match="appended"):
        read_header(data + b"PK\x03\x04")


def test_a_second_jpeg_needs_an_announcement() -> None:
    with pytest.raises(NotAnImage, match="appended"):
        read_header(SAMPLES["jpeg"] + SAMPLES["jpeg"])


def test_a_zip_behind_the_last_picture_of_an_mpo_is_refused() -> None:
    with pytest.raises(NotAnImage, match="appended"):
        read_header(SAMPLES["mpo"] + b"PK\x03\x04")


def test_an_end_marker_inside_the_thumbnail_does_not_end_the_picture() -> None:
    thumbnail = jpeg(scene(8, 8))
    data = jpeg(exif=exif(1) + thumbnail)
    assert data.count(b"\xff\xd9") == 2
    assert read_header(data) == Header("JPEG", WIDTH, HEIGHT)
    with pytest.raises(ImageTruncated):
        read_header(data[: data.index(b"\xff\xd9") + 2])


def samsung(picture: bytes, blocks: bytes, back: int = 0, size: int = 0) -> bytes:
    """A picture with the trailer of a Samsung phone: one entry, which covers all blocks unless told otherwise."""
    entry = struct.pack("<HHII", 0, 0x0A01, back or len(blocks), size or len(blocks))
    directory = b"SEFH" + struct.pack("<II", 106, 1) + entry
    return picture + blocks + directory + struct.pack("<I", len(directory)) + b"SEFT"


def test_the_trailer_of_a_samsung_phone_is_accepted_when_it_accounts_for_every_byte() -> None:
    blocks = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000"
    assert read_header(samsung(SAMPLES["jpeg"], blocks)) == read_header(SAMPLES["jpeg"])
    for unaccounted in (
        samsung(SAMPLES["jpeg"] + b"PK\x03\x04", blocks),
        samsung(SAMPLES["jpeg"], blocks, back=5),
        samsung(SAMPLES["jpeg"], blocks, size=len(blocks) + 1),
    ):
        with pytest.raises(NotAnImage, match="appended"):
            read_header(unaccounted)


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(0, 2**32 - 1))
def test_no_trailer_that_looks_like_samsungs_is_more_than_an_error(junk: bytes, length: int) -> None:
    data = SAMPLES["jpeg"] + b"x" + b"SEFH" + junk + struct.pack("<I", length % 100) + b"SEFT"
    with pytest.raises(NotAnImage):
        read_header(data)


def motion_photo(announcement: bytes, clip: bytes) -> bytes:
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta " + announcement + b"/>"
    return b"\xff\xd8\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + SAMPLES["jpeg"][2:] + clip


CLIP = struct.pack(">I", 16) + b"ftypmp42" + bytes(4) + struct.pack(">I", 12) + b"mdat" + b"data"


def test_the_clip_of_a_motion_photo_is_accepted_when_it_is_announced_and_whole() -> None:
    announced = b'GCamera:MotionPhoto="1"'
    assert read_header(motion_photo(announced, CLIP)) == read_header(SAMPLES["jpeg"])
    for refused in (
        motion_photo(b"nothing", CLIP),
        motion_photo(announced, CLIP + b"PK\x03\x04"),
        motion_photo(announced, CLIP[:-1]),
        motion_photo(announced, CLIP + b"\0\0\0\0mdat"),
        motion_photo(announced, b"PK\x03\x04"),
    ):
        with pytest.raises(NotAnImage, match="appended"):
            read_header(refused)


@pytest.mark.parametrize(
    ("data", "error", "named"),
    [
        (b"", NotAnImage, "no bytes"),
        (b"II*\0\x08\0\0\0", UnsupportedImage, "TIFF"),
        (b"MM\0*\0\0\0\x08", UnsupportedImage, "TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1", UnsupportedImage, "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0mif1", UnsupportedImage, "AVIF"),
        (b"8BPS\0\x01" + bytes(20), UnsupportedImage, "Photoshop"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', UnsupportedImage, "SVG"),
        (b"%PDF-1.7\n%\xe2\xe3", NotAnImage, "PDF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isom", NotAnImage, "MP4"),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81", NotAnImage, "Matroska"),
        (b"RIFF\x24\0\0\0AVI LIST", NotAnImage, "AVI"),
        (b"PK\x03\x04" + bytes(20), NotAnImage, "ZIP"),
        (b"just some words", NotAnImage, "text"),
        (b"<!DOCTYPE html><html>", NotAnImage, "HTML"),
        (b"data:image/jpeg;base64,/9j/4AAQ", NotAnImage, "data URL"),
        (b"/9j/4AAQSkZJRgABAQ", NotAnImage, "base64"),
        (bytes(range(128, 200)), NotAnImage, "no picture of a known format"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_accepted_picture_is_named(data: bytes, error: type[ImageError], named: str) -> None:
    with pytest.raises(error, match=named):
        read_header(data)


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"", *{data[:n] for data in SAMPLES.values() for n in (4, 12, 30)}]))
def test_random_bytes_are_never_more_than_an_image_error(noise: bytes, start: bytes) -> None:
    with pytest.raises(ImageError):
        read_header(start + noise)


def test_the_limits_are_those_of_the_contract() -> None:
    assert Limits(10 * 2**20, 64_000_000) == DEFAULT_LIMITS


def test_a_picture_over_the_byte_limit_is_refused_with_limit_and_actual() -> None:
    data = SAMPLES["jpeg"]
    assert read_header(data, Limits(max_bytes=len(data)))
    with pytest.raises(ImageTooLarge, match=f"{len(data):,} bytes; at most {len(data) - 1:,}"):
        read_header(data, Limits(max_bytes=len(data) - 1))


@pytest.mark.parametrize("sample", SAMPLES)
def test_every_format_is_held_to_the_pixel_limit(sample: str) -> None:
    data = SAMPLES[sample]
    assert read_header(data, Limits(max_pixels=WIDTH * HEIGHT))
    with pytest.raises(ImageTooLarge, match=f"{WIDTH} x {HEIGHT} px"):
        read_header(data, Limits(max_pixels=WIDTH * HEIGHT - 1))


def gif_of(screen: tuple[int, int], frame: tuple[int, int, int, int]) -> bytes:
    start = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    return start + b"," + struct.pack("<HHHHB", *frame, 0) + b"\x02\x02\x4c\x01\0;"


BOMBS = {
    "png": png_of(png_header(60000, 60000)),
    "gif": gif_of((60000, 60000), (0, 0, 1, 1)),
    "gif, by its frame": gif_of((1, 1), (40000, 40000, 1, 1)),
    "bmp": b"BM" + struct.pack("<I4xIIiiHHIIIIII", 54, 54, 40, 60000, -60000, 1, 24, 0, 0, 0, 0, 0, 0),
    "webp": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\xff\x00\xff\xff\x00",
    "jpeg": b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 60000, 60000, 3) + bytes(9),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_bomb_is_too_large_before_it_is_anything_else(bomb: str) -> None:
    with pytest.raises(ImageTooLarge, match=r"at most 64 megapixels"):
        read_header(BOMBS[bomb])


@pytest.mark.parametrize("size", [(20000, 1), (1, 20000), (1, 1)], ids=str)
def test_any_shape_within_the_limits_is_read(size: tuple[int, int]) -> None:
    picture = PILImage.new("RGB", size, "teal")
    for name in ("JPEG", "PNG", "GIF", "BMP"):
        header = read_header(encode(picture, name))
        assert (header.width, header.height) == size


@pytest.mark.parametrize(
    "data",
    [
        png_of(png_header(0, 5), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")),
        gif_of((0, 0), (0, 0, 0, 0)),
        b"BM" + struct.pack("<I4xIIiiHHIIIIII", 54, 54, 40, 5, 0, 1, 24, 0, 0, 0, 0, 0, 0),
        b"\xff\xd8\xff\xc0" + struct.pack(">HBHHB", 17, 8, 0, 5, 3) + bytes(9) + b"\xff\xd9",
    ],
    ids=["png", "gif", "bmp", "jpeg"],
)
def test_a_picture_without_pixels_is_refused(data: bytes) -> None:
    with pytest.raises(NotAnImage, match=r"says that it is \d+ x \d+ px"):
        read_header(data)


PIXELS = png_rows(np.zeros((1, 3), np.uint8))
END = (b"IEND", b"")
CORRUPT = {
    "png that starts with pixels": png_of(PIXELS, png_header(1, 1), END),
    "png without pixels": png_of(png_header(1, 1), END),
    "png with an odd chunk": png_of(png_header(1, 1), (b"\0\0\0\0", b""), PIXELS, END),
    "gif without a frame": b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";",
    "gif with an odd block": b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b"?;",
    "webp without a picture": b"RIFF" + struct.pack("<I", 22) + b"WEBPVP8X\x0a\0\0\0" + bytes(10),
    "webp that starts with a text": b"RIFF" + struct.pack("<I", 12) + b"WEBPXMP \0\0\0\0",
    "webp whose part sticks out": b"RIFF" + struct.pack("<I", len(SAMPLES["webp"]) - 10) + SAMPLES["webp"][8:],
    "bmp with an odd header": b"BM" + struct.pack("<I4xII", 100, 54, 41) + bytes(100),
    "bmp with pixels in its header": b"BM" + struct.pack("<I4xIIiiHHI20x", 54, 20, 40, 1, 1, 1, 24, 0),
    "jpeg without a scan": SAMPLES["jpeg"][: SAMPLES["jpeg"].index(b"\xff\xda")] + b"\xff\xd9",
    "jpeg with a stray restart": b"\xff\xd8\xff\xd0" + SAMPLES["jpeg"][2:],
    "jpeg with a segment of no length": b"\xff\xd8\xff\xfe\0\0" + SAMPLES["jpeg"][2:],
    "jpeg with bytes between segments": b"\xff\xd8\xff\xfe\0\x02xx" + SAMPLES["jpeg"][2:],
    "jpeg of a hundred thousand segments": b"\xff\xd8" + b"\xff\xfe\0\x02" * 100_001 + SAMPLES["jpeg"][2:],
    "png of a hundred thousand chunks": png_of(png_header(1, 1), *[(b"tEXt", b"")] * 100_001, PIXELS, END),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_a_file_that_contradicts_its_format_is_no_picture(case: str) -> None:
    with pytest.raises(NotAnImage, match="corrupt"):
        read_header(CORRUPT[case])


FRAME = SAMPLES["jpeg"].index(b"\xff\xc0")
SCAN = SAMPLES["jpeg"][SAMPLES["jpeg"].index(b"\xff\xda") : -2]


def jpeg_frame(marker: int, precision: int, components: int) -> bytes:
    header = bytes([0xFF, marker]) + struct.pack(">HBHHB", 8 + 9, precision, HEIGHT, WIDTH, components)
    return SAMPLES["jpeg"][:FRAME] + header + SAMPLES["jpeg"][FRAME + 10 :]


@pytest.mark.parametrize(
    "data",
    [
        jpeg_frame(0xC3, 8, 3),
        jpeg_frame(0xC9, 8, 3),
        jpeg_frame(0xC1, 12, 3),
        jpeg_frame(0xC0, 8, 2),
        SAMPLES["jpeg"][:-2] + SCAN * 64 + b"\xff\xd9",
        png_of(png_header(1, 1), (b"CgBI", bytes(4)), PIXELS, END),
        b"BM" + struct.pack("<I4xIIiiHHI20x", 54, 54, 40, 1, 1, 1, 24, 4),
    ],
    ids=["lossless", "arithmetic", "12 bits", "two channels", "65 scans", "Apple's PNG", "JPEG in a BMP"],
)
def test_a_kind_of_picture_that_no_camera_makes_is_unsupported(data: bytes) -> None:
    with pytest.raises(UnsupportedImage, match="not"):
        read_header(data)
