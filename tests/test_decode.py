"""Every format becomes the same upright RGB pixels, or an error that says what is wrong; nothing in between."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import simplejpeg
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image as PILImage
from PIL import ImageOps

from hearthwatch.errors import ImageError, ImageTooLarge, ImageTruncated, NotAnImage, UnsupportedImage
from hearthwatch.vision.decode import decode, read_picture, to_image
from hearthwatch.vision.header import Limits, read_header
from hearthwatch.vision.image import Image
from pictures import HEIGHT, SAMPLES, WIDTH, UInt8, bmp_of, encode, exif, jpeg, png_header, png_of, png_rows, scene

END = (b"IEND", b"")
#: Mean difference per channel that a format may make to the scene: what it loses, and what its colours lose.
TOLERANCE = {
    "jpeg": 1.5,
    "jpeg, progressive": 1.5,
    "jpeg, restarts": 1.5,
    "jpeg, subsampled": 4.0,
    "jpeg, cmyk": 2.5,
    "mpo": 3.0,
    "webp": 4.0,
    "webp, animated": 4.0,
    "gif": 3.0,
    "gif, animated": 3.0,
    "png, palette": 6.0,
    "bmp, palette": 6.0,
}
EXACT = ("png", "png, animated", "webp, lossless", "bmp", "bmp, alpha")


def whole(width: int, height: int) -> tuple[float, float, float, float]:
    return 0.0, 0.0, float(width), float(height)


def difference(image: Image, expected: npt.NDArray[Any]) -> float:
    """Mean absolute difference; the shapes must be the same."""
    assert image.pixels.shape == expected.shape
    return float(np.abs(image.pixels.astype(np.int64) - expected).mean())


@pytest.mark.parametrize("sample", [*TOLERANCE, *EXACT])
def test_every_format_gives_the_same_picture_back(sample: str) -> None:
    image = decode(SAMPLES[sample])
    assert image.region == whole(WIDTH, HEIGHT)
    assert difference(image, scene()) <= TOLERANCE.get(sample, 0)


@pytest.mark.parametrize("sample", SAMPLES)
def test_pixels_are_upright_rgb_in_one_piece_and_may_be_written(sample: str) -> None:
    image, header = decode(SAMPLES[sample]), read_header(SAMPLES[sample])
    assert image.pixels.shape == (header.height, header.width, 3)
    assert image.pixels.dtype == np.uint8
    assert image.pixels.flags.c_contiguous
    # torch warns about arrays that are read-only
    assert image.pixels.flags.writeable


@pytest.mark.parametrize("sample", ["jpeg, grey", "png, grey", "bmp, grey"])
def test_grey_is_repeated_in_every_channel(sample: str) -> None:
    grey = np.asarray(PILImage.fromarray(scene()).convert("L"))
    assert difference(decode(SAMPLES[sample]), np.repeat(grey[..., None], 3, axis=2)) <= 1


@pytest.mark.parametrize("sample", ["png, one bit", "bmp, one bit"])
def test_one_bit_becomes_black_and_white(sample: str) -> None:
    bits = np.asarray(PILImage.fromarray(scene()).convert("1").convert("RGB"))
    assert np.array_equal(decode(SAMPLES[sample]).pixels, bits)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    deep = np.arange(WIDTH * HEIGHT, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 234
    expected = np.rint(deep / 257)
    assert expected.max() > 250
    assert difference(decode(SAMPLES["png, 16 bit"]), np.repeat(expected[..., None], 3, axis=2)) <= 0.5


def test_sixteen_bits_of_color_are_scaled_too() -> None:
    deep = scene().astype(np.uint16) * 257
    data = png_of(png_header(WIDTH, HEIGHT, 16, 2), png_rows(deep.astype(">u2")), END)
    assert np.array_equal(decode(data).pixels, scene())


@pytest.mark.parametrize("inverted", [True, False], ids=["by Adobe", "plain"])
def test_cmyk_is_multiplied_out_whichever_way_it_is_stored(inverted: bool) -> None:
    ink = np.dstack([255 - scene(), np.full((HEIGHT, WIDTH), 51, np.uint8)])
    data = encode(_cmyk(ink), "JPEG", quality=95)
    assert b"Adobe" in data
    if not inverted:
        # the same numbers without Adobe's mark mean the opposite
        at = data.index(b"\xff\xee")
        data = data[:at] + data[at + 16 :]
        ink = 255 - ink
    expected = (255 - ink[..., :3].astype(int)) * (255 - ink[..., 3:].astype(int)) / 255
    assert difference(decode(data), expected) <= 2.5


def _cmyk(ink: UInt8) -> PILImage.Image:
    return PILImage.merge("CMYK", [PILImage.fromarray(np.ascontiguousarray(ink[..., i])) for i in range(4)])


@pytest.mark.parametrize("sample", ["png, alpha", "png, grey alpha", "webp, alpha"])
def test_transparent_pixels_are_white_and_half_of_them_half(sample: str) -> None:
    image = decode(SAMPLES[sample])
    pixels = np.rot90(image.pixels, -1) if "webp" in sample else image.pixels
    color = np.asarray(PILImage.fromarray(scene()).convert("L").convert("RGB")) if "grey" in sample else scene()
    alpha = (np.arange(WIDTH) * 13)[None, :, None] / 255
    assert (pixels[:, 0] == 255).all()
    assert np.abs(pixels - (color * alpha + 255 * (1 - alpha))).mean() <= (4 if "webp" in sample else 0.6)


@pytest.mark.parametrize(
    ("depth", "color", "samples", "key"),
    [
        (8, 0, [[10, 200, 30]], [200]),
        (16, 0, [[2570, 51400, 7710]], [51400]),
        (4, 0, [[0x1C, 0x30]], [12]),
        (8, 2, [[10, 10, 10, 1, 2, 200, 30, 30, 30]], [1, 2, 200]),
        (16, 2, [[2570, 2570, 2570, 257, 514, 51400, 7710, 7710, 7710]], [257, 514, 51400]),
    ],
    ids=["grey", "16 bit grey", "4 bit grey", "colour", "16 bit colour"],
)
def test_the_one_transparent_color_of_a_png_is_white(depth: int, color: int, samples: Any, key: list[int]) -> None:
    rows = np.array(samples, ">u2" if depth == 16 else np.uint8)
    transparent = struct.pack(f">{len(key)}H", *key)
    pixels = decode(png_of(png_header(3, 1, depth, color), (b"tRNS", transparent), png_rows(rows), END)).pixels
    kept = (17, 51) if depth == 4 else (10, 30)
    assert pixels.tolist() == [[[kept[0]] * 3, [255] * 3, [kept[1]] * 3]]


def test_a_transparent_entry_of_a_palette_is_white() -> None:
    picture = PILImage.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    for name in ("PNG", "GIF"):
        pixels = decode(encode(picture, name, transparency=1)).pixels
        assert pixels.tolist() == [[[255, 0, 0], [255, 255, 255]]]


RED, BLUE = [255, 0, 0], [0, 0, 255]
PALETTE = b"\0\0\xff\0" + b"\xff\0\0\0"
#: Two rows of one run each: red above blue, from the bottom up.
RUNS = b"\x03\x01\0\0" + b"\x03\0\0\0" + b"\0\x01"
BITMAPS = {
    "bottom up": bmp_of((1, 2), 24, b"\xff\0\0\0" + b"\0\0\xff\0"),
    "top down": bmp_of((1, -2), 24, b"\0\0\xff\0" + b"\xff\0\0\0"),
    "32 bits, the fourth byte unused": bmp_of((1, 2), 32, b"\xff\0\0\0" + b"\0\0\xff\0"),
    "16 bits with masks": bmp_of(
        (1, 2), 16, b"\x1f\0\0\0" + b"\0\xf8\0\0", packing=3, between=struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    ),
    "runs": bmp_of((3, 2), 8, RUNS, packing=1, packed=len(RUNS), between=PALETTE),
    "runs of no stated size": bmp_of((3, 2), 8, RUNS, packing=1, between=PALETTE),
    "OS/2": b"BM" + struct.pack("<IIIIHHHH", 34, 0, 26, 12, 1, 2, 1, 24) + b"\xff\0\0\0" + b"\0\0\xff\0",
}


@pytest.mark.parametrize("case", BITMAPS)
def test_every_way_to_lay_out_a_bitmap_gives_red_above_blue(case: str) -> None:
    pixels = decode(BITMAPS[case]).pixels.tolist()
    assert pixels == [[color] * len(pixels[0]) for color in (RED, BLUE)]
    for length in range(len(BITMAPS[case])):
        with pytest.raises(ImageError):
            decode(BITMAPS[case][:length])


def stored(orientation: int) -> UInt8:
    """The scene as a camera that is held like that stores it, from EXIF's own words."""
    upright = scene()
    first_row_is = {1: "top", 2: "top", 3: "bottom", 4: "bottom", 5: "left", 6: "right", 7: "right", 8: "left"}
    first_column_is = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
    row, column = first_row_is[orientation], first_column_is[orientation]
    if row in {"left", "right"}:
        upright = upright.swapaxes(0, 1)
    pixels = upright[:: -1 if row in {"bottom", "right"} else 1, :: -1 if column in {"bottom", "right"} else 1]
    return np.ascontiguousarray(pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_comes_out_upright(name: str, orientation: int) -> None:
    options: dict[str, object] = {"lossless": True} if name == "WEBP" else {"quality": 95, "subsampling": 0}
    data = encode(PILImage.fromarray(stored(orientation)), name, exif=exif(orientation), **options)
    image = decode(data)
    assert image.region == whole(WIDTH, HEIGHT)
    assert difference(image, scene()) <= (1.5 if name == "JPEG" else 0)
    assert difference(to_image(PILImage.open(BytesIO(data))), scene()) <= (1.5 if name == "JPEG" else 0)


def test_a_gif_whose_frame_is_larger_than_its_screen_has_the_size_of_both() -> None:
    data = bytearray(SAMPLES["gif"])
    data[6:10] = struct.pack("<HH", 3, HEIGHT + 5)
    image = decode(bytes(data))
    assert (image.width, image.height) == (WIDTH, HEIGHT + 5)
    assert np.abs(image.pixels[:HEIGHT].astype(int) - scene()).mean() <= TOLERANCE["gif"]


def test_a_picture_above_pillows_own_limit_is_ours_to_allow() -> None:
    side = 9500
    assert PILImage.MAX_IMAGE_PIXELS is not None
    assert side * side > PILImage.MAX_IMAGE_PIXELS
    data = encode(PILImage.new("L", (side, side), 7), "GIF")
    # a screen smaller than the frame makes Pillow measure it once more
    data = data[:6] + struct.pack("<HH", 1, 1) + data[10:]
    with pytest.raises(ImageTooLarge, match="64 megapixels"):
        decode(data)
    assert decode(data, limits=Limits(max_pixels=side * side)).width == side


PROGRESSIVE = SAMPLES["jpeg, progressive"]
DAMAGED = {
    "jpeg, its scan cut short": SAMPLES["jpeg"][: SAMPLES["jpeg"].index(b"\xff\xda") + 40] + b"\xff\xd9",
    "jpeg, its last scan missing": PROGRESSIVE[: PROGRESSIVE.rindex(b"\xff\xda") + 12] + b"\xff\xd9",
    "jpeg, its tables wrong": SAMPLES["jpeg"].replace(b"\xff\xc4\0\x1f\0\0", b"\xff\xc4\0\x1f\0\xff"),
    "png, half of its rows": png_of(png_header(1, 4, 8, 0), png_rows(np.zeros((2, 1), np.uint8)), END),
    "png, no check sum in its stream": png_of(
        png_header(1, 1, 8, 0), (b"IDAT", png_rows(np.zeros((1, 1), np.uint8))[1][:-4]), END
    ),
    "png, a wrong check sum": SAMPLES["png"][:-16] + b"\0\0\0\0" + SAMPLES["png"][-12:],
    "png, a depth that is none": png_of(png_header(1, 1, 3, 0), png_rows(np.zeros((1, 1), np.uint8)), END),
    "gif, its codes end early": SAMPLES["gif"][:-40] + b"\0;",
    "webp, frames that are none": SAMPLES["webp, animated"].replace(b"ANMF", b"ANMX"),
    "bmp, more palette than there is": SAMPLES["bmp, palette"][:46]
    + b"\xff\xff\xff\x7f"
    + SAMPLES["bmp, palette"][50:],
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_picture_is_an_error_and_never_half_a_picture(case: str) -> None:
    with pytest.raises((NotAnImage, ImageTruncated)):
        decode(DAMAGED[case])


def test_a_wrong_check_sum_is_named_with_its_place() -> None:
    with pytest.raises(NotAnImage, match=r"check sum of its part IDAT at byte \d+"):
        decode(DAMAGED["png, a wrong check sum"])


def test_a_scan_that_ends_early_is_called_cut_off() -> None:
    with pytest.raises(ImageTruncated, match="compressed pixels end before"):
        decode(DAMAGED["jpeg, its scan cut short"])


def test_a_jpeg_with_odd_subsampling_is_refused() -> None:
    at = SAMPLES["jpeg"].index(b"\xff\xc0") + 11
    with pytest.raises(NotAnImage, match="sampled as no camera does"):
        decode(SAMPLES["jpeg"][:at] + b"\x31" + SAMPLES["jpeg"][at + 1 :])


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_one_wrong_byte_gives_a_picture_of_the_right_size_or_an_image_error(sample: str, draw: st.DataObject) -> None:
    data = bytearray(SAMPLES[sample])
    data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        image = decode(bytes(data))
    except ImageError:
        return
    header = read_header(bytes(data))
    assert (image.width, image.height) == image.pixels.shape[1::-1] == (header.width, header.height)


@settings(deadline=None)
@given(st.sampled_from(sorted(SAMPLES)), st.data())
def test_a_cut_and_a_paste_give_a_picture_or_an_image_error(sample: str, draw: st.DataObject) -> None:
    data = SAMPLES[sample]
    at, size = draw.draw(st.integers(0, len(data))), draw.draw(st.integers(0, 40))
    try:
        decode(data[:at] + draw.draw(st.binary(max_size=40)) + data[at + size :])
    except ImageError:
        return


@settings(deadline=None)
@example(60, 1, 24, 0)
@given(st.integers(1, 400), st.integers(1, 400), st.integers(1, 500), st.sampled_from([0, 2]))
def test_a_reduced_jpeg_keeps_the_pixels_that_were_asked_for(
    width: int, height: int, at_least: int, subsampling: int
) -> None:
    image = decode(jpeg(scene(width, height), subsampling=subsampling), at_least=at_least)
    longer = max(image.pixels.shape[:2])
    assert image.region == whole(width, height)
    assert longer >= min(at_least, max(width, height))
    # the next smaller size would have been too small
    assert longer == -(-max(width, height) // 8) or -(-longer // 2) < at_least


@pytest.mark.parametrize(("at_least", "size"), [(640, (640, 360)), (641, (1280, 720)), (100, (160, 90))])
def test_the_smallest_of_four_sizes_is_chosen(at_least: int, size: tuple[int, int]) -> None:
    image = decode(jpeg(scene(1280, 720)), at_least=at_least)
    assert image.pixels.shape[1::-1] == size
    assert (image.width, image.height) == (1280, 720)


def test_a_reduced_jpeg_is_the_full_one_made_smaller(assets: Path) -> None:
    for path in sorted((assets / "data" / "photos").glob("*.jpg")):
        data = path.read_bytes()
        full = PILImage.fromarray(decode(data).pixels)
        for factor in (2, 4, 8):
            reduced = decode(data, at_least=-(-max(full.size) // factor))
            # worst measured: 1.6
            assert difference(reduced, np.asarray(full.reduce(factor))) < 2, path.name


@pytest.mark.parametrize("sample", ["jpeg, exif", "jpeg, cmyk", "mpo", "png", "webp"])
def test_any_picture_takes_a_wish_for_fewer_pixels(sample: str) -> None:
    full, image = decode(SAMPLES[sample]), decode(SAMPLES[sample], at_least=10)
    assert image.region == full.region
    factor = 1 if sample in {"png", "webp"} else 2
    assert image.pixels.shape[:2] == (full.pixels.shape[0] // factor, full.pixels.shape[1] // factor)


def test_a_wish_for_no_pixels_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="at_least"):
        decode(SAMPLES["jpeg"], at_least=0)


def test_every_real_photo_decodes_as_pillow_does(assets: Path) -> None:
    paths = sorted((assets / "data").rglob("*.jpg"))
    assert len(paths) > 400
    for path in paths:
        with PILImage.open(path) as picture:
            expected = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        assert difference(to_image(path), expected) < 0.5, path.name


def test_libjpeg_is_asked_to_be_strict() -> None:
    """Pillow, and simplejpeg itself when it is lenient, show a grey lower half: the reason for our choice."""
    data = DAMAGED["jpeg, its scan cut short"]
    assert simplejpeg.decode_jpeg(data, strict=False).shape == (HEIGHT, WIDTH, 3)
    with PILImage.open(BytesIO(data)) as picture:
        assert picture.convert("RGB").size == (WIDTH, HEIGHT)


# --- what the documented classes take


def _with_alpha(pixels: UInt8) -> PILImage.Image:
    picture = PILImage.fromarray(pixels)
    picture.putalpha(255)
    return picture


@pytest.mark.parametrize(
    "make",
    [
        PILImage.fromarray,
        lambda pixels: PILImage.fromarray(pixels).convert("CMYK"),
        _with_alpha,
        lambda pixels: pixels,
        np.asfortranarray,
        lambda pixels: encode(PILImage.fromarray(pixels), "PNG"),
        lambda pixels: bytearray(encode(PILImage.fromarray(pixels), "PNG")),
        Image.of,
    ],
    ids=["pil", "pil cmyk", "pil alpha", "array", "array in another order", "bytes", "bytearray", "image"],
)
def test_whatever_holds_the_picture_gives_the_same_image(make: Callable[[UInt8], Any]) -> None:
    image = to_image(make(scene()))
    assert image.region == whole(WIDTH, HEIGHT)
    assert difference(image, scene()) <= 1
    assert image.pixels.flags.c_contiguous


@pytest.mark.parametrize("as_path", [str, Path], ids=["str", "Path"])
def test_a_path_is_read_and_decoded(tmp_path: Path, as_path: Callable[[Path], str | Path]) -> None:
    path = tmp_path / "wrong-name.txt"
    path.write_bytes(SAMPLES["png"])
    assert np.array_equal(to_image(as_path(path)).pixels, scene())


def test_grey_arrays_and_deep_pil_images_become_rgb() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(to_image(grey).pixels, np.stack([grey] * 3, axis=2))
    deep = PILImage.fromarray(grey.astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    assert np.array_equal(to_image(deep).pixels, np.stack([grey] * 3, axis=2))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 3), np.float32),
        np.zeros((3, 4, 4), np.uint8),
        np.zeros((3, 4, 1), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(3, np.uint8),
        np.zeros((3, 4), bool),
    ],
    ids=lambda array: f"{array.dtype} {array.shape}",
)
def test_an_array_of_another_kind_is_refused_with_what_it_is(array: npt.NDArray[Any]) -> None:
    with pytest.raises(UnsupportedImage, match=str(array.dtype)):
        to_image(array)


@pytest.mark.parametrize("mode", ["F", "I"])
def test_pixels_without_a_range_are_refused(mode: str) -> None:
    with pytest.raises(UnsupportedImage, match=f"mode {mode}"):
        to_image(PILImage.new(mode, (3, 3)))


def test_the_pixel_limit_holds_for_images_and_arrays() -> None:
    limits = Limits(max_pixels=WIDTH * HEIGHT - 1)
    for picture in (scene(), PILImage.fromarray(scene()), SAMPLES["png"]):
        with pytest.raises(ImageTooLarge):
            to_image(picture, limits=limits)


def test_a_pil_image_whose_file_is_cut_off_is_an_image_error() -> None:
    with pytest.raises(ImageError, match="truncated"):
        to_image(PILImage.open(BytesIO(SAMPLES["jpeg"][:-80])))


def test_a_file_over_the_byte_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(ImageTooLarge, match=f"{2**40:,} bytes"):
        read_picture(path)


def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path, reason in (
        (tmp_path / "absent.jpg", "No such file"),
        (tmp_path, "not a regular file"),
        (fifo, "not a regular file"),
        ("a\0b", "cannot be read"),
    ):
        with pytest.raises(ImageError, match=reason):
            to_image(path)


def test_an_object_that_is_no_picture_is_named() -> None:
    with pytest.raises(NotAnImage, match="got int"):
        to_image(5)  # type: ignore[arg-type]
