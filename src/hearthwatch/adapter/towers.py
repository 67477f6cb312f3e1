"""What a checkpoint of CLIP or X-CLIP says beside its tensors: its name, how sharp its softmax is, its vocabulary.

A folder in Hugging Face's layout holds two networks. Each becomes a graph of its own, and both carry these facts, so
that their embeddings are known to belong together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.artifacts.checkpoint import Checkpoint
from hearthwatch.artifacts.preprocessor import PREPROCESSOR_FILE, read_preprocessor
from hearthwatch.artifacts.tokens import (
    MERGES_FILE,
    MERGES_KEY,
    VOCABULARY_FILE,
    VOCABULARY_KEY,
    parse_vocabulary,
    read_vocabulary,
)
from hearthwatch.errors import WeightsInvalid

#: Width and layers of a vision tower to the name of its size (table 20 of the paper; OpenCLIP's for the larger).
_SIZES: Mapping[tuple[int, int], str] = {
    (768, 12): "base",
    (1024, 24): "large",
    (1280, 32): "huge",
    (1664, 48): "bigg",
}
_CLASS = "vision_model.embeddings.class_embedding"
_PATCHES = "vision_model.embeddings.patch_embedding.weight"
_POSITIONS = "vision_model.embeddings.position_embedding.weight"
_FRAMES = "mit.position_embedding"
_TOKENS = "text_model.embeddings.token_embedding.weight"
#: The input that the networks' names leave unsaid.
_USUAL_SIDE, _USUAL_FRAMES = 224, 8


def folder_of(checkpoint: Checkpoint) -> Path:
    """Where what comes beside the weights lies."""
    return checkpoint.path if checkpoint.path.is_dir() else checkpoint.path.parent


def tower_facts(checkpoint: Checkpoint) -> dict[str, Any]:
    """Facts of a card: `network` and `logit_scale`, where the checkpoint has them."""
    facts: dict[str, Any] = {}
    if (name := _name(checkpoint)) is not None:
        facts["network"] = name
    logarithm = checkpoint.tensors.get("logit_scale")
    if logarithm is not None and logarithm.size == 1 and math.isfinite(float(np.asarray(logarithm).reshape(-1)[0])):
        facts["logit_scale"] = math.exp(float(np.asarray(logarithm).reshape(-1)[0]))
    return facts


def preprocessing_beside(checkpoint: Checkpoint) -> dict[str, Any]:
    """What the preprocessor file of a folder in Hugging Face's layout says; nothing for other checkpoints."""
    return read_preprocessor(folder_of(checkpoint) / PREPROCESSOR_FILE) if checkpoint.kind == "hugging_face" else {}


def vocabulary_of(checkpoint: Checkpoint) -> dict[str, str]:
    """The vocabulary as metadata of the text tower's graph.

    Raises:
        WeightsInvalid: it is not beside the weights, is none, or has numbers that the network has no row for.
    """
    folder = folder_of(checkpoint)
    texts = read_vocabulary(folder)
    if texts is None:
        raise WeightsInvalid(
            f"{folder} has no vocabulary: {VOCABULARY_FILE} and {MERGES_FILE} belong beside the weights"
        )
    highest = max(parse_vocabulary(*texts, folder).tokens.values())
    rows = len(checkpoint.tensors[_TOKENS])
    if highest >= rows:
        raise WeightsInvalid(f"{folder}: its vocabulary goes up to {highest}, and its network has {rows} tokens")
    return dict(zip((VOCABULARY_KEY, MERGES_KEY), texts, strict=True))


def _name(checkpoint: Checkpoint) -> str | None:
    """`clip-vit-large-patch14`, `xclip-base-patch16-32-frames` and the like, from the shapes."""
    patches, positions = checkpoint.tensors.get(_PATCHES), checkpoint.tensors.get(_POSITIONS)
    # Without a class token it is a SigLIP, whose other names are the same.
    if patches is None or patches.ndim != 4 or positions is None or _CLASS not in checkpoint.tensors:
        return None
    width, patch = int(patches.shape[0]), int(patches.shape[-1])
    start = "vision_model.encoder.layers."
    layers = len({key.removeprefix(start).partition(".")[0] for key in checkpoint.tensors if key.startswith(start)})
    side = round((len(positions) - 1) ** 0.5) * patch
    size = _SIZES.get((width, layers), f"{width}x{layers}")
    unusual = "" if side == _USUAL_SIDE else f"-{side}"
    places = checkpoint.tensors.get(_FRAMES)
    if places is None or places.ndim != 3:
        return f"clip-vit-{size}-patch{patch}{unusual}"
    frames = "" if places.shape[1] == _USUAL_FRAMES else f"-{places.shape[1]}-frames"
    return f"xclip-{size}-patch{patch}{unusual}{frames}"
