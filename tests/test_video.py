"""Frames of a clip: the right ones, upright and within the limits, or a sentence about what is wrong with the file."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builds import is_running, needs_proc
from hearthwatch.errors import ImageError, ImageTooLarge, ImageTruncated, NotAnImage
from hearthwatch.vision.clip import is_video
from hearthwatch.vision.header import Limits
from hearthwatch.vision.video import sample_frames
from pictures import SAMPLES

WIDTH, HEIGHT, FRAMES, RATE = 64, 48, 20, 10
CODECS = {"mp4": "mp4v", "mov": "mp4v", "webm": "VP80", "mkv": "MJPG", "avi": "MJPG"}


def level(index: int) -> int:
    """How bright frame `index` of a clip is."""
    return 10 + 12 * index


def make_clip(path: Path, frames: int = FRAMES) -> bytes:
    """A clip whose frames get brighter, with a red mark in the upper left corner."""
    codec = cv2.VideoWriter.fourcc(*CODECS[path.suffix[1:]])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, codec, RATE, (WIDTH, HEIGHT))
    assert writer.isOpened()
    for index in range(frames):
        frame = np.full((HEIGHT, WIDTH, 3), level(index), np.uint8)
        frame[:16, :16] = (0, 0, 255)
        writer.write(frame)
    writer.release()
    return path.read_bytes()


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Container to a clip of FRAMES frames."""
    folder = tmp_path_factory.mktemp("clips")
    paths = {kind: folder / f"clip.{kind}" for kind in CODECS}
    for path in paths.values():
        make_clip(path)
    return paths


def brightness(path: Path, count: int) -> list[int]:
    """Which frames were taken, by how bright they are."""
    values = [float(np.median(frame.image.pixels)) for frame in sample_frames(path, count)]
    return [round((value - 10) / 12) for value in values]


@pytest.mark.parametrize("kind", CODECS)
def test_every_container_is_known_by_its_content(clips: dict[str, Path], kind: str) -> None:
    assert is_video(clips[kind].read_bytes()[:12])


@pytest.mark.parametrize("sample", SAMPLES)
def test_no_picture_is_a_video(sample: str) -> None:
    assert not is_video(SAMPLES[sample])


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\0\0\0\x18ftypheic",
        b"\0\0\0\x18ftypavif",
        b"\0\0\0\x18ftypmif1",
        b"#EXTM3U\n#EXTINF",
        b"RIFF\0\0\0\0WAVE",
    ],
    ids=repr,
)
def test_pictures_sounds_and_playlists_in_like_clothes_are_no_video(head: bytes) -> None:
    assert not is_video(head)


@pytest.mark.parametrize("kind", CODECS)
def test_the_middle_of_each_part_is_taken_with_its_time(clips: dict[str, Path], kind: str) -> None:
    frames = list(sample_frames(clips[kind], 4))
    assert brightness(clips[kind], 4) == [2, 7, 12, 17]
    assert [frame.time_s for frame in frames] == pytest.approx([0.2, 0.7, 1.2, 1.7])
    for frame in frames:
        assert frame.image.pixels.shape == (HEIGHT, WIDTH, 3)
        # the mark is red and still in its corner: RGB, upright
        red, green, blue = frame.image.pixels[4, 4].astype(int)
        assert red > 180
        assert max(green, blue) < 90


@pytest.mark.parametrize(
    ("count", "taken"),
    [(1, [10]), (2, [5, 15]), (3, [3, 10, 16]), (20, list(range(20))), (500, list(range(20)))],
)
def test_any_number_of_frames_is_spread_evenly(clips: dict[str, Path], count: int, taken: list[int]) -> None:
    assert brightness(clips["mp4"], count) == taken


def test_a_clip_of_one_frame_gives_it(tmp_path: Path) -> None:
    make_clip(tmp_path / "one.mp4", frames=1)
    assert brightness(tmp_path / "one.mp4", 3) == [0]


def test_the_name_of_a_file_means_nothing(clips: dict[str, Path], tmp_path: Path) -> None:
    for name in ("%03d.jpg", "list.m3u8", "concat:a|b", "-i"):
        path = tmp_path / name
        path.write_bytes(clips["mp4"].read_bytes())
        assert brightness(path, 1) == [10]


def test_a_playlist_is_no_clip(clips: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "playlist.mp4"
    path.write_text(f"#EXTM3U\n#EXTINF:2,\n{clips['mp4']}\n#EXT-X-ENDLIST\n", encoding="utf-8")
    with pytest.raises(NotAnImage, match="is no video"):
        list(sample_frames(path, 1))


IDENTITY = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
QUARTER = struct.pack(">9i", 0, 0x10000, 0, -0x10000, 0, 0, HEIGHT << 16, 0, 0x40000000)


def test_a_clip_that_was_filmed_sideways_comes_out_upright(clips: dict[str, Path], tmp_path: Path) -> None:
    data = clips["mp4"].read_bytes()
    track = data.index(b"tkhd")
    at = data.index(IDENTITY, track)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data[:at] + QUARTER + data[at + len(IDENTITY) :])
    (frame,) = sample_frames(path, 1)
    assert frame.image.pixels.shape == (WIDTH, HEIGHT, 3)
    # turned clockwise, the upper left corner is the upper right one
    assert frame.image.pixels[4, -4, 0] > 180
    assert frame.image.pixels[4, 4, 0] < 180


def without_pixels(clip: bytes) -> bytes:
    """An AVI whose frames are all zeros: its header is all that can be read."""
    data, at = bytearray(clip), clip.index(b"movi") + 4
    while data[at : at + 4] == b"00dc":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        data[at + 8 : at + 8 + size] = bytes(size)
        at += 8 + size + size % 2
    return bytes(data)


def test_the_pixel_limit_is_held_before_decoding(clips: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "undecodable.avi"
    path.write_bytes(without_pixels(clips["avi"].read_bytes()))
    with pytest.raises(NotAnImage, match="no frame"):
        next(sample_frames(path, 1))
    with pytest.raises(ImageTooLarge, match=f"{WIDTH} x {HEIGHT} px"):
        next(sample_frames(path, 1, limits=Limits(max_pixels=WIDTH * HEIGHT - 1)))


def test_the_pixel_limit_holds_for_a_clip_and_the_byte_limit_does_not(clips: dict[str, Path]) -> None:
    with pytest.raises(ImageTooLarge, match=f"{WIDTH} x {HEIGHT} px"):
        next(sample_frames(clips["mp4"], 1, limits=Limits(max_pixels=WIDTH * HEIGHT - 1)))
    assert next(sample_frames(clips["mp4"], 1, limits=Limits(max_bytes=1)))


@pytest.mark.parametrize("kind", ["mp4", "mov", "webm", "mkv", "avi"])
def test_a_clip_that_is_cut_off_gives_no_frame(clips: dict[str, Path], tmp_path: Path, kind: str) -> None:
    data, path = clips[kind].read_bytes(), tmp_path / f"cut.{kind}"
    for part in (0.99, 0.6, 0.3):
        path.write_bytes(data[: int(len(data) * part)])
        with pytest.raises(ImageTruncated, match=r"cut off|not finished"):
            next(sample_frames(path, 1))


@pytest.mark.parametrize("kind", CODECS)
def test_the_first_bytes_of_a_clip_are_an_image_error(clips: dict[str, Path], tmp_path: Path, kind: str) -> None:
    data, path = clips[kind].read_bytes(), tmp_path / f"head.{kind}"
    for length in (0, 1, 4, 8, 12, 20, 40, 64, 100, 200):
        path.write_bytes(data[:length])
        with pytest.raises(ImageError):
            next(sample_frames(path, 1))


def test_a_recording_without_its_index_was_not_finished(clips: dict[str, Path], tmp_path: Path) -> None:
    data, path = clips["mp4"].read_bytes(), tmp_path / "unfinished.mp4"
    path.write_bytes(data[: data.index(b"moov") - 4])
    with pytest.raises(ImageTruncated, match="not finished"):
        next(sample_frames(path, 1))


def test_a_clip_that_lost_most_of_its_frames_is_corrupt(clips: dict[str, Path], tmp_path: Path) -> None:
    data, path = clips["mp4"].read_bytes(), tmp_path / "lost.mp4"
    start, stop = data.index(b"mdat") + 4, data.index(b"moov") - 4
    for kept, reason in ((0.3, f"only . of its {FRAMES} frames"), (0, "no video")):
        size = int((stop - start) * (1 - kept))
        path.write_bytes(data[: stop - size] + b"\xff" * size + data[stop:])
        with pytest.raises(NotAnImage, match=reason):
            next(sample_frames(path, 1))


def test_a_file_that_only_looks_like_a_clip_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "fake.mp4"
    for data in (
        struct.pack(">I", 16) + b"ftypmp42" + bytes(4) + struct.pack(">I", 8) + b"moov",
        struct.pack(">I", 16) + b"ftypmp42" + bytes(4) + struct.pack(">I", 3) + b"moov",
        b"RIFF" + struct.pack("<I", 4) + b"AVI ",
        b"\x1a\x45\xdf\xa3\x80",
    ):
        path.write_bytes(data)
        with pytest.raises(NotAnImage, match=r"no video can be read|corrupt"):
            next(sample_frames(path, 1))


def test_what_cannot_be_opened_is_an_image_error(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    for path, reason in (
        (tmp_path / "absent.mp4", "No such file"),
        (tmp_path, "cannot be read"),
        (Path("/dev/null"), "not a regular file"),
        (tmp_path / "empty.mp4", "is empty"),
    ):
        with pytest.raises(ImageError, match=reason):
            next(sample_frames(path, 1))


def test_at_least_one_frame_must_be_asked_for(clips: dict[str, Path]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        next(sample_frames(clips["mp4"], 0))


@pytest.mark.parametrize("kind", CODECS)
@settings(deadline=None, max_examples=10)
@given(draw=st.data())
def test_damage_gives_frames_of_one_size_or_an_image_error(
    clips: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, kind: str, draw: st.DataObject
) -> None:
    data = bytearray(clips[kind].read_bytes())
    for _ in range(draw.draw(st.integers(1, 5))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{kind}"
    path.write_bytes(data)
    try:
        frames = list(sample_frames(path, 3, limits=Limits(max_pixels=10 * WIDTH * HEIGHT)))
    except ImageError:
        return
    assert 1 <= len(frames) <= 3


def test_the_decoder_complains_to_us_and_not_on_standard_error(clips: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(clips["avi"].read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path = tmp_path / "noisy.avi"
    path.write_bytes(data)
    program = (
        "import sys; from pathlib import Path; from hearthwatch.vision.video import sample_frames\n"
        "try: print(len(list(sample_frames(Path(sys.argv[1]), 3))))\n"
        "except Exception as error: print(type(error).__name__)"
    )
    hopeless = tmp_path / "hopeless.avi"
    hopeless.write_bytes(b"RIFF" + struct.pack("<I", 4) + b"AVI ")
    for clip in (path, hopeless, clips["mp4"]):
        done = subprocess.run(
            [sys.executable, "-c", program, str(clip)], capture_output=True, text=True, check=True, timeout=60
        )
        assert done.stdout.strip() in {"1", "2", "3", "NotAnImage"}
        assert done.stderr == ""


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_are_closed_when_nobody_wants_more_frames(clips: dict[str, Path]) -> None:
    before = open_files()
    for _ in range(3):
        frames = sample_frames(clips["mp4"], 5)
        next(frames)
        frames.close()
    assert open_files() == before


def test_the_frames_of_a_real_clip_are_those_of_a_plain_reader(assets: Path) -> None:
    path = assets / "data" / "clips" / "walking.mp4"
    taken = list(sample_frames(path, 3))
    wanted = {56: 2.24, 170: 6.8, 284: 11.36}
    assert [frame.time_s for frame in taken] == pytest.approx(list(wanted.values()))
    reader, expected = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG), []
    for index in range(max(wanted) + 1):
        done, pixels = reader.read()
        assert done
        if index in wanted:
            expected.append(pixels[..., ::-1])
    for frame, pixels in zip(taken, expected, strict=True):
        assert np.array_equal(frame.image.pixels, pixels)


#: Stands in for a decoder that a damaged clip makes crash, after its first frame or before.
CRASHES = """
import json, os, signal, sys
sys.stdin.readline()
sys.stdout.write(json.dumps({"time_s": 0.0, "shape": [2, 2, 3]}) + "\\n" + "x" * int(sys.argv[1]))
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGSEGV)
"""


@pytest.mark.parametrize(("written", "whole"), [(0, 0), (7, 0), (12, 1)])
def test_a_decoder_that_crashes_costs_the_frames_it_did_not_finish(
    clips: dict[str, Path], written: int, whole: int
) -> None:
    frames = sample_frames(clips["mp4"], 3, command=(sys.executable, "-c", CRASHES, str(written)))
    for _ in range(whole):
        next(frames)
    with pytest.raises(NotAnImage, match=r"clip\.mp4 cannot be decoded: the decoder crashed \(Segmentation fault\)"):
        next(frames)


def test_a_decoder_that_fails_says_why(clips: dict[str, Path]) -> None:
    with pytest.raises(ImageError, match=r"clip\.mp4 cannot be decoded: no room left"):
        next(sample_frames(clips["mp4"], 1, command=(sys.executable, "-c", "raise SystemExit('no room left')")))


@needs_proc
def test_no_decoder_outlives_whoever_started_it(clips: dict[str, Path]) -> None:
    program = (
        "import os, sys; from pathlib import Path; from hearthwatch.vision.video import sample_frames\n"
        "frames = sample_frames(Path(sys.argv[1]), 5); next(frames)\n"
        "print(Path(f'/proc/self/task/{os.getpid()}/children').read_text(), flush=True)\n"
        "os._exit(0)"
    )
    command = [sys.executable, "-c", program, str(clips["mp4"])]
    decoder = int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)
    until = time.monotonic() + 30
    while time.monotonic() < until and is_running(decoder):
        time.sleep(0.05)
    assert not is_running(decoder)
