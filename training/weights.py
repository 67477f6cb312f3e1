"""A sample network answers through its model's own adapter, so that what is measured is what users get."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loading import LoadOptions, load
from hearthwatch.vision.image import Image

R = TypeVar("R")
#: Images in one call of the network.
BATCH = 16


def predict(adapter: type[Adapter[R]], onnx: Path, images: Sequence[Image]) -> list[R]:
    """N images to N results, in float32 on the CPU."""
    name = adapter.SPEC.name
    options = LoadOptions(models_dir=onnx.parent, device="cpu", precision="f32", paths={name: onnx})
    loaded = load(adapter, options)
    try:
        results: list[Any] = []
        for first in range(0, len(images), BATCH):
            results += loaded.predict(images[first : first + BATCH])[0]
        return results
    finally:
        loaded.close()
