"""Grey maps as PNG."""

from __future__ import annotations

import cv2
import numpy as np

from hearthwatch.vision.image import Float


def encode_grey_png(values: Float) -> bytes:
    """(h, w) of 0..1 to an 8-bit grey PNG: 0 is black, 1 is white; values outside are clipped."""
    grey = np.rint(np.clip(values, 0.0, 1.0) * 255).astype(np.uint8)
    encoded, data = cv2.imencode(".png", grey)
    if not encoded:
        raise ValueError(f"a map of {grey.shape} cannot be encoded")
    return data.tobytes()
