"""One thing of a picture, seen with some of its surroundings at the network's own aspect: what top-down networks take.

The geometry is that of ViTPose's reference (mmpose's, without bias: Huang et al. 2020, arXiv:1911.07524): the box grows
to the aspect of the input and by a quarter, and pixels are points, so that the left edge of what is seen lies on the
first column of the input and the right edge on the last one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float, Image, UInt8

#: Times the box that the network sees of each side: what ViTPose was trained with (`padding` of its data pipeline).
PADDING = 1.25
#: OpenCV warps no picture with a longer side.
_LONGEST_SIDE = 32_766
#: Share of a pixel that counts as none: a place that went through a division ends at -1e-12 and means 0.
_SLACK = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Subject(Image):
    """An image, and the box in it that a question is about.

    Attributes:
        box: picture pixels.
    """

    box: Box

    @classmethod
    def of_image(cls, image: Image) -> Subject:
        """The image with its box; the whole of it where it has none."""
        return image if isinstance(image, Subject) else cls(image.pixels, image.region, Box(*image.region))


@dataclass(frozen=True, slots=True)
class SubjectView:
    """The map between the surroundings of a box and a network's input.

    Attributes:
        left: picture pixels, at the centre of the input's first column.
        top: at the centre of its first row.
        width: picture pixels from the first column to the last.
        height: from the first row to the last.
        size: (height, width) of the input.
    """

    left: float
    top: float
    width: float
    height: float
    size: tuple[int, int]

    @classmethod
    def fit(cls, box: Box, size: tuple[int, int]) -> SubjectView:
        """The box in the middle, with `PADDING` around and the aspect of `size`."""
        aspect = size[1] / size[0]
        width = max(box.width, box.height * aspect) * PADDING
        height = max(box.height, box.width / aspect) * PADDING
        return cls(box.x1 + (box.width - width) / 2, box.y1 + (box.height - height) / 2, width, height, size)

    def apply(self, image: Image) -> UInt8:
        """(height, width, 3) uint8 RGB: what the view shows of the image, black where that has nothing."""
        skipped = -(-max(image.pixels.shape[:2]) // _LONGEST_SIDE)
        pixels = np.ascontiguousarray(image.pixels[::skipped, ::skipped])
        (rows, columns), (x1, y1, x2, y2) = image.pixels.shape[:2], image.region
        x, step_x = _places(self.left, self.width, self.size[1], (x1, x2), columns, skipped)
        y, step_y = _places(self.top, self.height, self.size[0], (y1, y2), rows, skipped)
        matrix = np.array([[step_x, 0, x[0]], [0, step_y, y[0]]])
        # Linear without antialiasing, as the network saw persons of any size in training.
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        warped = np.asarray(cv2.warpAffine(pixels, matrix, (self.size[1], self.size[0]), flags=flags), np.uint8)
        # Between a border's pixels and the nothing beyond them there is nothing, as in transformers' processor.
        warped[:, _outside(x, pixels.shape[1])] = 0
        warped[_outside(y, pixels.shape[0])] = 0
        return warped

    def to_picture(self, points: Float, grid: tuple[int, int]) -> Float:
        """(..., 2) x, y in the cells of a (rows, columns) map over the input, to picture pixels, float32."""
        scale = np.array([self.width / max(grid[1] - 1, 1), self.height / max(grid[0] - 1, 1)])
        return np.asarray(points.astype(np.float64) * scale + [self.left, self.top], np.float32)


def _places(
    start: float, length: float, count: int, span: tuple[float, float], pixels: int, skipped: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Where `count` points along one axis are, in pixels of an image, and how far from each other.

    Args:
        start: of the points, picture pixels.
        length: from the first to the last.
        count: of them.
        span: picture pixels that the image covers.
        pixels: that it has there.
        skipped: only every so many of them count.
    """
    size = (span[1] - span[0]) / pixels
    # A pixel of a picture that was decoded at reduced size stands for several, and lies in their middle.
    first, each = span[0] + (size - 1) / 2, size * skipped
    step = length / max(count - 1, 1) / each
    return (start - first) / each + step * np.arange(count, dtype=np.float64), step


def _outside(places: npt.NDArray[np.float64], pixels: int) -> npt.NDArray[np.bool_]:
    return (places < -_SLACK) | (places > pixels - 1 + _SLACK)
