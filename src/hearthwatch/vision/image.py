"""`Image`: decoded pixels, and which part of which picture they show.

Every coordinate in Hearthwatch is in *picture pixels*: pixels of the upright picture that the caller sent. An `Image`
carries the region of that picture that its pixels show, so a crop knows where it was cut, and a picture that was
decoded at reduced size still speaks in the coordinates of the full one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

UInt8 = npt.NDArray[np.uint8]
Float = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """RGB pixels of one region of one picture.

    Attributes:
        pixels: (h, w, 3) uint8, RGB, upright, C-contiguous. h and w differ from the region's size after a reduced-size
            decode.
        region: (x1, y1, x2, y2) in picture pixels; the whole picture is (0, 0, width, height).
    """

    pixels: UInt8
    region: tuple[float, float, float, float]

    def __post_init__(self) -> None:
        shape, dtype = self.pixels.shape, self.pixels.dtype
        if self.pixels.ndim != 3 or shape[2] != 3 or 0 in shape or dtype != np.uint8:
            raise ValueError(f"pixels must be (h, w, 3) uint8 and not empty; got {shape} {dtype}")

    @classmethod
    def of(cls, pixels: UInt8) -> Image:
        """A whole picture: the region is the array's own size."""
        height, width = pixels.shape[:2]
        return cls(np.ascontiguousarray(pixels), (0.0, 0.0, float(width), float(height)))

    @property
    def width(self) -> float:
        """Width of the region in picture pixels."""
        return self.region[2] - self.region[0]

    @property
    def height(self) -> float:
        """Height of the region in picture pixels."""
        return self.region[3] - self.region[1]
