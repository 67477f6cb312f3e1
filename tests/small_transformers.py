"""Transformers small enough to build in a test: their tensors, and the config.json that belongs to them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.networks.depth_anything import DepthAnything, DepthPlan  # noqa: E402
from hearthwatch.networks.dinov2 import Dinov2Plan  # noqa: E402
from torch_by_hand import save_safetensors  # noqa: E402

Arrays = dict[str, Any]

DEPTH_PLAN = DepthPlan(
    Dinov2Plan(width=16, layers=4, heads=2, inner=32, patch=8, side=5, chosen=(1, 2, 3, 4), epsilon=1e-6),
    channels=(4, 6, 8, 8),
    factors=(4.0, 2.0, 1.0, 0.5),
    fused=8,
    last=4,
    kind="relative",
    most=1.0,
)
DEPTH_CONFIG = {
    "architectures": ["DepthAnythingForDepthEstimation"],
    "model_type": "depth_anything",
    "backbone_config": {
        "model_type": "dinov2",
        "image_size": 40,
        "num_attention_heads": 2,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
        "out_indices": [1, 2, 3, 4],
        "reshape_hidden_states": False,
    },
    "depth_estimation_type": "relative",
    "max_depth": None,
}


def stirred(module: Any, seed: int = 7) -> Arrays:
    """Its tensors, so that everything in it does something and nothing overflows."""
    random = np.random.default_rng(seed)
    tensors: Arrays = {}
    for key, slot in module.state_dict().items():
        shape = tuple(slot.shape)
        if key.endswith("num_batches_tracked"):
            continue
        if key.endswith("running_var") or (slot.ndim == 1 and key.endswith(("weight", "lambda1"))):
            values = random.uniform(0.5, 1.5, shape)
        elif slot.ndim > 1 and key.endswith("weight"):
            values = random.normal(0, (1 / np.prod(shape[1:])) ** 0.5, shape)
        else:
            values = random.normal(0, 0.2, shape)
        tensors[key] = np.asarray(values, np.float32)
    return tensors


def depth_tensors(plan: DepthPlan = DEPTH_PLAN) -> Arrays:
    """Of a network whose map is above 0 and not the same everywhere."""
    tensors = stirred(DepthAnything(plan))
    tensors["head.conv3.bias"] = np.full(1, 2.0, np.float32)
    return tensors


def depth_config(**changes: Any) -> dict[str, Any]:
    """Changes of the whole, or of its backbone where they are named backbone__..."""
    config = copy.deepcopy(DEPTH_CONFIG)
    backbone: dict[str, Any] = config["backbone_config"]  # type: ignore[assignment]
    for name, value in changes.items():
        place, key = (backbone, name.removeprefix("backbone__")) if name.startswith("backbone__") else (config, name)
        place[key] = value
    return config


def save_folder(folder: Path, tensors: Arrays, config: dict[str, Any]) -> Path:
    """A Hugging Face folder."""
    folder.mkdir(parents=True)
    save_safetensors(folder / "model.safetensors", tensors)
    (folder / "config.json").write_text(json.dumps(config))
    return folder
