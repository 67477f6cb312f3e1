"""What a camera usually shows, as a small grey picture that follows slowly, and how like it a new picture is.

What detections cover is neither compared nor learned: a person who waits and a parked car are not the scene. Where the
baseline was never seen without them, it is not known, and nothing is compared there either.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from hearthwatch.vision.boxes import Box, expand_box
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.light import reduced
from hearthwatch.vision.ssim import MARGIN, WINDOW, informative, ssim_map

Mask = npt.NDArray[np.bool_]

#: Longer side of the copy. The authors of SSIM bring a picture to about 256 px before they compare it at the distance
#: from which it is looked at; leaves and noise are averaged there too.
BASELINE_SIDE = 256
#: The weight of the newest picture, once there are 20 (before, all count alike): light that changes over a dozen
#: pictures is followed, and what is left lying is half learned after 14.
NEWEST = 0.05
#: The same of a picture that shows a changed scene: at `NEWEST` a turned camera would be believed after four pictures,
#: and a hand before the lens would spoil the baseline. A baseline of so few pictures may itself be the exception.
NEWEST_CHANGED, YOUNG = 0.01, 5
#: The one gain for the whole picture that brings it to the baseline's brightness is at most so much, either way:
#: clouds and a camera's own exposure. A lens that is covered is much darker, or has no structure.
MOST_GAIN = 2.0
#: Share of the picture in which one of the two must show something: of a bare wall, or a night without lamps, nothing
#: can be said.
LEAST_SHOWN = 0.02
#: Around each detection, as a share of its box: shadows, and what a detector's tight box leaves out.
AROUND = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A picture as it is compared.

    Attributes:
        grey: (h, w) float32, 0..255; the longer side has 256 px at most.
        free: (h, w) where no detection is.
    """

    grey: Float
    free: Mask

    @classmethod
    def of(cls, image: Image, boxes: Sequence[Box]) -> View:
        """A picture of at least 1 x 1 px with the boxes of its detections, in picture pixels."""
        pixels = reduced(image, BASELINE_SIDE)
        grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), np.float32)
        return cls(grey, _free(grey.shape, image, boxes))


@dataclass(slots=True, eq=False)
class Baseline:
    """One camera's usual view in one light, made from its first picture.

    Attributes:
        grey: (h, w) float32, 0..255: a running mean; 0 where it is not known.
        known: (h, w) where something else than detections was seen.
        pictures: it was made of.
    """

    grey: Float
    known: Mask
    pictures: int = 0

    @classmethod
    def like(cls, view: View) -> Baseline:
        """An empty one of a view's shape."""
        return cls(np.zeros_like(view.grey), np.zeros_like(view.free))

    def compare(self, view: View) -> tuple[float | None, float]:
        """(Similarity, share of the picture that was compared): -1..1, 0..1.

        The similarity is the mean SSIM of the windows in which one of the two shows something; None where those are
        less than `LEAST_SHOWN` of the picture.

        Raises:
            ValueError: a view of another shape.
        """
        both = self.known & view.free
        if min(both.shape) < WINDOW or not both.any():
            return None, 0.0
        # A window counts where all of it may be compared.
        whole = cv2.erode(both.astype(np.uint8), np.ones((WINDOW, WINDOW), np.uint8)).astype(np.bool_)
        compared = whole[MARGIN:-MARGIN, MARGIN:-MARGIN]
        gain = float(self.grey[both].mean() + 1) / float(view.grey[both].mean() + 1)
        adjusted = np.clip(view.grey * min(MOST_GAIN, max(1 / MOST_GAIN, gain)), 0, 255)
        shown = informative(self.grey, adjusted) & compared
        share = float(compared.mean())
        if float(shown.mean()) < LEAST_SHOWN:
            return None, share
        return float(ssim_map(self.grey, adjusted)[shown].mean()), share

    def learn(self, view: View, *, changed: bool = False) -> None:
        """Move towards a view of the same shape; hardly at all where that is of a changed scene."""
        self.pictures += 1
        slow = changed and self.pictures > YOUNG
        rate = np.float32(NEWEST_CHANGED if slow else max(NEWEST, 1 / self.pictures))
        weight = np.where(view.free, np.where(self.known, rate, np.float32(1)), np.float32(0))
        self.grey += weight * (view.grey - self.grey)
        self.known |= view.free


def _free(shape: tuple[int, ...], image: Image, boxes: Sequence[Box]) -> Mask:
    rows, columns = shape
    free = np.ones((rows, columns), np.bool_)
    x0, y0 = image.region[:2]
    sx, sy = columns / image.width, rows / image.height
    for box in boxes:
        wide = expand_box(box, AROUND)
        left, right = _within((wide.x1 - x0) * sx, (wide.x2 - x0) * sx, columns)
        top, bottom = _within((wide.y1 - y0) * sy, (wide.y2 - y0) * sy, rows)
        free[top:bottom, left:right] = False
    return free


def _within(low: float, high: float, size: int) -> tuple[int, int]:
    """First pixel and the one behind the last that lie in low to high; none where that is outside."""
    return math.floor(min(max(low, 0), size)), math.ceil(min(max(high, 0), size))
