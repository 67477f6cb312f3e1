"""Masks of a YOLO segmentation head: prototypes and coefficients to the pixels that each thing covers.

After YOLACT (Bolya et al. 2019, arXiv:1904.02689, section 3.3): a mask is the sigmoid of a sum of prototypes, which all
things of a picture share, weighted by the thing's own coefficients. It is cut at the thing's box, brought to the size
of the network's input, and counts from 0.5 on. Prototypes are maps over the whole input, in its own orientation; a cell
of theirs is a square of pixels, 4 x 4 in the stock networks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Float

#: The least sigmoid of a pixel that is covered: YOLACT's.
MIN_SHARE = 0.5
#: Corners of an outline at most: what a drawing needs, and a bound on what an answer can grow to.
MAX_CORNERS = 64
#: How far an outline may leave the edge of its mask, in input pixels: half of a stock network's cell.
FIRST_TOLERANCE_PX = 2.0
#: The sigmoid of a larger logit is 1 to float32's last digit, and exp of a much larger one is infinite.
_LARGEST_LOGIT = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """Which pixels of a network's input one thing covers.

    Attributes:
        left: the first column, in input pixels.
        top: the first row.
        pixels: (h, w) bool, the part of the input that the thing's box holds; h or w may be 0.
    """

    left: int
    top: int
    pixels: npt.NDArray[np.bool_]

    def area_in(self, box: Box) -> int:
        """How many covered pixels have their centre in a box of the input."""
        rows, columns = self.pixels.shape
        x1, x2 = _span(box.x1 - self.left, box.x2 - self.left, columns)
        y1, y2 = _span(box.y1 - self.top, box.y2 - self.top, rows)
        return int(np.count_nonzero(self.pixels[y1:y2, x1:x2]))

    def outline(self) -> Float:
        """(K, 2) x, y in input pixels: the corners of the largest piece's outer edge, at most `MAX_CORNERS`.

        They lie on the centres of its outermost pixels. None where nothing is covered.
        """
        edges, _ = cv2.findContours(self.pixels.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        if not edges:
            return np.empty((0, 2), np.float32)
        # A piece one pixel wide has no area inside its centres: then the longest is the largest.
        largest = max(edges, key=lambda edge: (cv2.contourArea(edge), len(edge)))
        tolerance = FIRST_TOLERANCE_PX
        corners = cv2.approxPolyDP(largest, tolerance, closed=True)
        while len(corners) > MAX_CORNERS:
            tolerance *= 2
            corners = cv2.approxPolyDP(largest, tolerance, closed=True)
        return np.asarray(corners.reshape(-1, 2) + np.array([self.left + 0.5, self.top + 0.5]), np.float32)


def decode_masks(prototypes: Float, coefficients: Float, boxes: Float, size: tuple[int, int]) -> list[Mask]:
    """The masks of one picture's things.

    Args:
        prototypes: (M, h, w) over the network's input.
        coefficients: (N, M).
        boxes: (N, 4) xyxy in input pixels; what of them is outside the input covers nothing.
        size: (height, width) of the input, the same whole multiple of h and w.
    """
    cell_px = size[0] // prototypes.shape[1]
    return [_mask(prototypes, own, Box(*box), size, cell_px)
            for own, box in zip(coefficients, boxes.tolist(), strict=True)]  # fmt: skip


def _mask(prototypes: Float, coefficients: Float, box: Box, size: tuple[int, int], cell_px: int) -> Mask:
    left, right = _span(box.x1, box.x2, size[1])
    top, bottom = _span(box.y1, box.y2, size[0])
    if right <= left or bottom <= top:
        return Mask(left, top, np.zeros((max(bottom - top, 0), max(right - left, 0)), np.bool_))
    # The cells under the box and one more on every side: all that interpolation looks at.
    rows = slice(max(top // cell_px - 1, 0), (bottom - 1) // cell_px + 2)
    columns = slice(max(left // cell_px - 1, 0), (right - 1) // cell_px + 2)
    logits = np.tensordot(coefficients, prototypes[:, rows, columns], axes=1)
    shares = 1 / (1 + np.exp(-np.clip(logits, -_LARGEST_LOGIT, _LARGEST_LOGIT)))
    grown = (shares.shape[1] * cell_px, shares.shape[0] * cell_px)
    fine = cv2.resize(np.asarray(shares, np.float32), grown, interpolation=cv2.INTER_LINEAR)
    y, x = top - rows.start * cell_px, left - columns.start * cell_px
    return Mask(left, top, np.asarray(fine[y : y + bottom - top, x : x + right - left] >= MIN_SHARE))


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """The first pixel whose centre lies between low and high, and the one behind the last, of `size` pixels."""
    first, stop = (min(max(math.ceil(side - 0.5), 0), size) for side in (low, high))
    return first, stop
