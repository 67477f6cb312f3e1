"""Images to one network input, exactly as an `InputSpec` says."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt
import PIL.Image

from hearthwatch.vision.image import Image, UInt8
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.letterbox import Letterbox

Array = npt.NDArray[np.generic]


def to_batch(images: Sequence[Image], spec: InputSpec) -> Array:
    """N images to (N, 3, H, W) or (N, H, W, 3), of the type, colour order and scaling of `spec`.

    N may be 0.
    """
    height, width = spec.size
    resized = np.empty((len(images), height, width, 3), dtype=np.uint8)
    for row, image in zip(resized, images, strict=True):
        row[:] = _resize(image, spec)
    return normalise(resized, spec)


def normalise(pixels: UInt8, spec: InputSpec) -> Array:
    """(N, H, W, 3) RGB uint8 to the layout, colour order, type and scaling of `spec`."""
    if spec.color == "BGR":
        pixels = pixels[..., ::-1]
    if spec.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    if spec.dtype == "uint8":
        return np.ascontiguousarray(pixels)
    # One multiply and one subtract per value: (p * scale - mean) / std = p * (scale / std) - mean / std.
    shape = (1, 3, 1, 1) if spec.layout == "NCHW" else (1, 1, 1, 3)
    factor = np.array([spec.scale / s for s in spec.std], dtype=np.float32).reshape(shape)
    shift = np.array([m / s for m, s in zip(spec.mean, spec.std, strict=True)], dtype=np.float32).reshape(shape)
    batch = np.multiply(pixels, factor, dtype=np.float32, order="C")
    if shift.any():
        batch -= shift
    return batch


def _resize(image: Image, spec: InputSpec) -> UInt8:
    height, width = spec.size
    if spec.resize == "letterbox":
        return Letterbox.fit(image.region, spec.size).apply(image)
    rows, columns = image.pixels.shape[:2]
    if spec.interpolation == "antialias" and (rows > height or columns > width):
        shrunk = PIL.Image.fromarray(image.pixels).resize((width, height), PIL.Image.Resampling.BILINEAR)
        return np.asarray(shrunk, dtype=np.uint8)
    # Where nothing shrinks, both filters are the same and OpenCV's is several times faster.
    return np.asarray(cv2.resize(image.pixels, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
