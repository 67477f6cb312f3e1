"""A tiny CLIP with seeded weights, and the real sizes of ViT-L/14 and ViT-B/32."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import orjson
from benchmarks.clip_checkpoint import VIT_B_32, VIT_L_14, Array, Size, Tower, byte_vocabulary, config, tensors
from benchmarks.clip_checkpoint import write_checkpoint as write

__all__ = ["TINY", "VIT_B_32", "VIT_L_14", "Array", "Size", "config", "tensors", "write_checkpoint"]

#: The tokeniser of single bytes.
BYTES = len(orjson.loads(byte_vocabulary()[0]))
TINY = Size(Tower(48, 2, 4, 96), Tower(32, 2, 4, 64), 32, 8, 24, BYTES)


def write_checkpoint(
    folder: Path,
    size: Size = TINY,
    weights: Mapping[str, Array] | None = None,
    *,
    files: tuple[str, str] | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """A folder in Hugging Face's layout, with a tokeniser of single bytes where none is given."""
    return write(folder, size, weights, files=files or byte_vocabulary(), without=without)
