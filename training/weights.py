"""A sample network answers through its model's own adapter, so that what is measured is what users get."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.vision.image import Image

R = TypeVar("R")
#: Images in one call of the network.
BATCH = 16


@contextmanager
def opened(adapter: type[Adapter[Any]], onnx: Path | None = None) -> Iterator[LoadedModel]:
    """The model with these weights, in float32 on the CPU.

    Args:
        adapter: of the model.
        onnx: None for a model that brings its own weights.
    """
    paths = {} if onnx is None else {adapter.SPEC.name: onnx}
    folder = Path() if onnx is None else onnx.parent
    loaded = load(adapter, LoadOptions(models_dir=folder, device="cpu", precision="f32", paths=paths))
    try:
        yield loaded
    finally:
        loaded.close()


def predict(adapter: type[Adapter[R]], onnx: Path, images: Sequence[Image]) -> list[R]:
    """N images to N results, in float32 on the CPU."""
    results: list[Any] = []
    with opened(adapter, onnx) as model:
        for first in range(0, len(images), BATCH):
            results += model.predict(images[first : first + BATCH])[0]
    return results
