"""`Picture`: one encoded picture that is decoded once, whoever asks and however many ask."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image as PILImage

from hearthwatch.errors import ImageError
from hearthwatch.vision.decode import decode, to_image
from hearthwatch.vision.header import DEFAULT_LIMITS, Header, Limits, read_header
from hearthwatch.vision.image import Image


class Picture:
    """Encoded bytes and, once somebody needs them, their pixels. Safe to share between threads.

    Nothing is looked at when it is made; the first property or call that needs the bytes raises ImageError when they
    are no good, and so does every later one, without decoding again.
    """

    def __init__(
        self, data: bytes, limits: Limits = DEFAULT_LIMITS, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Keep the bytes.

        Args:
            data: an encoded picture.
            limits: checked before any pixel is decoded.
            clock: seconds; measures the decoding.
        """
        self._encoded = data
        self._came_decoded = False
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._header: Header | None = None
        self._image: Image | None = None
        self._error: ImageError | None = None
        self._decodes = 0
        self._decode_ms = 0.0

    @classmethod
    def of(cls, picture: Image | PILImage.Image | npt.NDArray[np.uint8], limits: Limits = DEFAULT_LIMITS) -> Picture:
        """Wrap pixels that are there already; `data` and `header` are None.

        Args:
            picture: a whole picture, as `to_image` takes it.
            limits: for the pixels.

        Raises:
            ImageError: as `to_image`.
            ValueError: an `Image` that is a crop: its coordinates are those of another picture.
        """
        image = to_image(picture, limits=limits)
        if image.region[:2] != (0.0, 0.0):
            raise ValueError(f"a crop is no picture; its region is {image.region}")
        made = cls(b"", limits)
        made._came_decoded = True
        made._image = image
        return made

    @property
    def data(self) -> bytes | None:
        """The encoded bytes as they came; None for a picture that came as pixels."""
        return None if self._came_decoded else self._encoded

    @property
    def header(self) -> Header | None:
        """Format and upright size, read without decoding; None for a picture that came as pixels.

        It takes no lock, so it never waits for a decode in another thread; two threads may both read it, to the same
        end.
        """
        if self._came_decoded:
            return None
        if self._header is None:
            self._raise_again()
            try:
                self._header = read_header(self._encoded, self._limits)
            except ImageError as error:
                self._error = error
                raise
        return self._header

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) upright, in full-size pixels, without decoding."""
        header = self.header
        if header is not None:
            return header.width, header.height
        image = self.image()
        return round(image.width), round(image.height)

    @property
    def decode_ms(self) -> float:
        """Milliseconds spent decoding so far."""
        return self._decode_ms

    @property
    def decodes(self) -> int:
        """How often the bytes were decoded, failures included."""
        return self._decodes

    def image(self, at_least: int | None = None, *, keep: bool = True) -> Image:
        """Decode, or give what was decoded before.

        Args:
            at_least: pixels of the longer side that are enough (see `decode`); None for all of them. A full image
                serves every later call, a reduced one those that ask for no more than it has.
            keep: for the calls that come; False where one reader needs each of many pictures for a moment.

        Raises:
            ImageError: as `decode`.
        """
        with self._lock:
            if self._image is not None and (self._came_decoded or _serves(self._image, at_least)):
                return self._image
            image = self._decode(at_least)
            if keep:
                self._image = image
            return image

    def _decode(self, at_least: int | None) -> Image:
        """Decode under the lock, on the clock."""
        self._raise_again()
        start = self._clock()
        self._decodes += 1
        try:
            return decode(self._encoded, limits=self._limits, at_least=at_least)
        except ImageError as error:
            self._error = error
            raise
        finally:
            self._decode_ms += (self._clock() - start) * 1000

    def _raise_again(self) -> None:
        """Raise the error of an earlier try: a new one each time, for each raise lengthens an error's traceback."""
        if self._error is not None:
            raise type(self._error)(*self._error.args) from self._error


def _serves(image: Image, at_least: int | None) -> bool:
    """Whether an image has the pixels that are asked for: all of the picture's, or enough on the longer side."""
    height, width = image.pixels.shape[:2]
    if (width, height) == (round(image.width), round(image.height)):
        return True
    return at_least is not None and max(width, height) >= at_least
