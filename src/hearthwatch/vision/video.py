"""Frames of a short clip, decoded in a child process: FFmpeg can crash over a damaged clip, which no Python catches.

The child writes a line of JSON for each frame, then its pixels; where the clip is refused, a line that says why. It
waits while nobody takes what it wrote, so no clip is in memory as a whole, and it ends with whoever started it.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import orjson

from hearthwatch.child import crash_of, end, end_with_parent, last_words, tell
from hearthwatch.errors import ImageError, ImageTooLarge, ImageTruncated, NotAnImage
from hearthwatch.settings import child_environment
from hearthwatch.vision.clip import VideoFrame, decoded_frames
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits
from hearthwatch.vision.image import Image

#: Runs `main` with this interpreter. Starting it takes about half a second.
CHILD = (sys.executable, "-m", "hearthwatch.vision.video")
_ERRORS = {kind.__name__: kind for kind in (ImageError, NotAnImage, ImageTruncated, ImageTooLarge)}


def sample_frames(
    path: Path, count: int, *, limits: Limits = DEFAULT_LIMITS, command: Sequence[str] = CHILD
) -> Generator[VideoFrame]:
    """Take the middle frame of each of `count` equal parts of a clip.

    Args:
        path: a file; its content must be of a kind that `clip.is_video` knows.
        count: frames to give, from 1; of a clip with fewer frames each is given once.
        limits: `max_pixels` holds for a frame, by what the container says before anything is decoded. A clip may have
            any number of bytes.
        command: that runs the child.

    Yields:
        Frames in the order of the clip, turned as its metadata says.

    Raises:
        ImageError: no clip, one that is cut off or empty, or frames over the limit; before the first frame,
            unless the file changes meanwhile or the stream its size. Also where the decoder crashes.
    """
    if count < 1:
        raise ValueError(f"at least one frame must be asked for; got {count}")
    job = orjson.dumps({"path": os.fsencode(path.absolute()).hex(), "count": count, **dataclasses.asdict(limits)})
    # A file and no pipe: a child that says much must not wait for us to read it.
    with tempfile.TemporaryFile() as words:
        # A session of its own, so that all of it can be ended, and that Ctrl-C at a terminal is ours to handle.
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=child_environment(),
            start_new_session=True,
        )
        out = cast("BufferedReader", child.stdout)
        try:
            tell(child, job)
            yield from _frames(out)
            child.wait()
        finally:
            end(child)
            out.close()
        if child.returncode < 0:
            raise NotAnImage(f"{path.name} cannot be decoded: the decoder crashed ({crash_of(child.returncode)})")
        if child.returncode > 0:
            raise ImageError(f"{path.name} cannot be decoded: {last_words(words)}")


def main() -> int:
    """The child: reads a job from stdin and writes frames to stdout. The end of stdin is the end of the parent."""
    # Libraries print to stdout what they like: the frames have a descriptor of their own.
    with os.fdopen(os.dup(sys.stdout.fileno()), "wb") as out:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        job: dict[str, Any] = orjson.loads(sys.stdin.buffer.readline())
        end_with_parent(sys.stdin.fileno())
        limits = Limits(max_bytes=job["max_bytes"], max_pixels=job["max_pixels"])
        try:
            for frame in decoded_frames(Path(os.fsdecode(bytes.fromhex(job["path"]))), job["count"], limits):
                _say(out, {"time_s": frame.time_s, "shape": frame.image.pixels.shape})
                out.write(np.ascontiguousarray(frame.image.pixels).data)
                out.flush()
        except ImageError as error:
            _say(out, {"error": type(error).__name__, "message": str(error)})
    return 0


def _frames(out: BufferedReader) -> Generator[VideoFrame]:
    """What a child writes, until its end; a frame that it did not finish is none."""
    while (line := out.readline()).endswith(b"\n"):
        told: dict[str, Any] = orjson.loads(line)
        if "error" in told:
            raise _ERRORS.get(told["error"], ImageError)(told["message"])
        pixels = np.empty(told["shape"], np.uint8)
        if out.readinto(pixels.data.cast("B")) < pixels.nbytes:
            return
        yield VideoFrame(told["time_s"], Image.of(pixels))


def _say(out: IO[bytes], told: dict[str, Any]) -> None:
    out.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
    out.flush()


if __name__ == "__main__":
    sys.exit(main())
