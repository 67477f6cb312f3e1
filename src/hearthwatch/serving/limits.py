"""What requests may cost: one by itself, and all that the process holds at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hearthwatch.errors import ImageTooLarge, QueueFull
from hearthwatch.vision.header import DEFAULT_LIMITS, Limits


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one request may cost; the defaults are CONTRACT.md's.

    Attributes:
        picture: bytes and pixels of each picture.
        max_bytes: of the whole request.
        max_pixels: of all its pictures together.
        max_pictures: of a batch.
        max_texts: of one question.
        max_labels: likewise.
        max_frames: pictures in the order of time.
        max_detections: of one picture.
        max_boxes: likewise, of a question to one model.
        timeout_s: for a request that states no deadline, reading its body included.
    """

    picture: Limits = DEFAULT_LIMITS
    max_bytes: int = 32 * 1024 * 1024
    max_pixels: int = 128_000_000
    max_pictures: int = 32
    max_frames: int = 64
    max_texts: int = 100
    max_labels: int = 100
    max_detections: int = 100
    max_boxes: int = 100
    timeout_s: float = 120.0


class Intake:
    """The bytes of requests that the process holds at the same time, over all its services.

    Many small clients and a few that send megabytes slowly must not fill the memory: what does not fit is turned away.

    Args:
        max_bytes: held at the same time.
    """

    def __init__(self, max_bytes: int = 256 * 1024 * 1024) -> None:
        self._max_bytes = max_bytes
        self.held_bytes = 0

    @contextmanager
    def request(self) -> Iterator[Callable[[int], None]]:
        """Gives what a request calls for each part that it has read; all is let go at the end."""
        held = 0

        def take(size: int) -> None:
            nonlocal held
            if self.held_bytes + size > self._max_bytes:
                raise QueueFull(f"requests of {self.held_bytes:,} bytes are being answered; "
                                f"at most {self._max_bytes:,} bytes are held at the same time")  # fmt: skip
            self.held_bytes += size
            held += size

        try:
            yield take
        finally:
            self.held_bytes -= held


def pixels_of(sizes: Iterable[tuple[int, int]], limits: RequestLimits) -> int:
    """The pixels of a request's pictures together.

    Raises:
        ImageTooLarge: more than a request may have.
    """
    total = sum(width * height for width, height in sizes)
    if total > limits.max_pixels:
        raise ImageTooLarge(
            f"the pictures of the request have {total / 1e6:.6g} megapixels together; "
            f"at most {limits.max_pixels / 1e6:.6g} are allowed"
        )
    return total
