"""A finished network, opened as the services open it: what is measured has gone through the model's own adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loading import LoadedModel, LoadOptions, load


@contextmanager
def opened(adapter: type[Adapter[Any]], path: Path | None = None) -> Iterator[LoadedModel]:
    """The model with these weights, in float32 on the CPU.

    Args:
        adapter: of the model.
        path: the ONNX file; None for a model that brings its own weights.
    """
    folder = Path() if path is None else path.parent
    paths = {} if path is None else {adapter.SPEC.name: path}
    loaded = load(adapter, LoadOptions(models_dir=folder, device="cpu", precision="f32", paths=paths))
    try:
        yield loaded
    finally:
        loaded.close()
