"""Letterbox: a picture scaled into a fixed size with its aspect kept, and the exact way back.

The geometry is that of Ultralytics' exporter, which the YOLO weights were trained with: one ratio for both axes, the
scaled size rounded to whole pixels, the rest padded with grey 114 on both sides. The way back uses the *rounded* scaled
size per axis, so that the picture's corners come back exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from hearthwatch.vision.image import Float, Image, UInt8

#: The grey that YOLO networks see around a picture in training.
PAD_GREY = 114


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The map between a region of a picture and a network's input of (height, width) `size`.

    Attributes:
        region: (x1, y1, x2, y2) in picture pixels.
        size: (height, width) of the network's input.
        scaled: (height, width) of the region inside the input, whole pixels.
        offset: (top, left) padding, whole pixels.
    """

    region: tuple[float, float, float, float]
    size: tuple[int, int]
    scaled: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def fit(cls, region: tuple[float, float, float, float], size: tuple[int, int]) -> Letterbox:
        """Centre the region in `size`, as large as it goes."""
        width, height = region[2] - region[0], region[3] - region[1]
        ratio = min(size[0] / height, size[1] / width)
        # At least one pixel: a 20000 x 1 picture is still a picture.
        scaled = (max(1, round(height * ratio)), max(1, round(width * ratio)))
        return cls(region, size, scaled, ((size[0] - scaled[0]) // 2, (size[1] - scaled[1]) // 2))

    def scale(self, image: Image) -> UInt8:
        """(height, width, 3) uint8 RGB: the image at its size inside the input, without the padding."""
        height, width = self.scaled
        if image.pixels.shape[:2] == self.scaled:
            return image.pixels
        # Linear without antialiasing, as the exporter of these weights does it; AREA moves scores on small objects.
        return np.asarray(cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)

    def apply(self, image: Image) -> UInt8:
        """(height, width, 3) uint8 RGB: the image scaled and padded."""
        canvas = np.full((*self.size, 3), PAD_GREY, dtype=np.uint8)
        (height, width), (top, left) = self.scaled, self.offset
        canvas[top : top + height, left : left + width] = self.scale(image)
        return canvas

    def to_picture(self, points: Float) -> Float:
        """(..., 2) x, y of the network's input to picture pixels, float32."""
        height, width = self.scaled
        top, left = self.offset
        x1, y1, x2, y2 = self.region
        scale = np.array([(x2 - x1) / width, (y2 - y1) / height], dtype=np.float64)
        moved = (points.astype(np.float64) - [left, top]) * scale + [x1, y1]
        return np.asarray(moved, dtype=np.float32)

    def to_input(self, points: Float) -> Float:
        """(..., 2) x, y in picture pixels to the network's input, float32: the inverse of `to_picture`."""
        height, width = self.scaled
        top, left = self.offset
        x1, y1, x2, y2 = self.region
        scale = np.array([width / (x2 - x1), height / (y2 - y1)], dtype=np.float64)
        moved = (points.astype(np.float64) - [x1, y1]) * scale + [left, top]
        return np.asarray(moved, dtype=np.float32)

    def boxes_to_picture(self, boxes: Float) -> Float:
        """(N, 4) xyxy of the network's input to picture pixels, clipped to the region."""
        corners = self.to_picture(boxes.reshape(-1, 2, 2))
        x1, y1, x2, y2 = self.region
        low, high = np.array([x1, y1], dtype=np.float32), np.array([x2, y2], dtype=np.float32)
        return np.clip(corners, low, high).reshape(-1, 4)
