"""Transformers small enough to build in a test: their tensors, and the config.json that belongs to them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.networks.clip_layers import TransformerPlan  # noqa: E402
from hearthwatch.networks.depth_anything import DepthAnything, DepthPlan  # noqa: E402
from hearthwatch.networks.dinov2 import Dinov2Plan  # noqa: E402
from hearthwatch.networks.siglip import SigLIP, SigLIPPlan  # noqa: E402
from hearthwatch.networks.vitpose import PosePlan, ViTPose  # noqa: E402
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
DEPTH_CONFIG: dict[str, Any] = {
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


POSE_PLAN = PosePlan(width=16, layers=2, heads=2, inner=32, patch=16, grid=(16, 12), joints=17, classic=8)
#: Numbers of a token that are an expert's, and how many experts there are.
PART, EXPERTS = 4, 3
POSE_CONFIG: dict[str, Any] = {
    "architectures": ["VitPoseForPoseEstimation"],
    "model_type": "vitpose",
    "backbone_config": {
        "model_type": "vitpose_backbone",
        "hidden_size": 16,
        "image_size": [256, 192],
        "num_attention_heads": 2,
        "num_experts": EXPERTS,
        "out_indices": [2],
        "part_features": PART,
    },
    "id2label": {"0": "Nose", "1": "L_Eye", "2": "R_Eye", "3": "L_Ear", "4": "R_Ear", "5": "L_Shoulder",
                 "6": "R_Shoulder", "7": "L_Elbow", "8": "R_Elbow", "9": "L_Wrist", "10": "R_Wrist", "11": "L_Hip",
                 "12": "R_Hip", "13": "L_Knee", "14": "R_Knee", "15": "L_Ankle", "16": "R_Ankle"},
    "use_simple_decoder": False,
}  # fmt: skip

#: Of five kinds of weather, in pictures of 32 x 32 px.
SIGLIP_PLAN = SigLIPPlan(
    5, side=4, patch=8, transformer=TransformerPlan(16, 2, 2, 32, "gelu_pytorch_tanh", epsilon=1e-6)
)
SIGLIP_CONFIG: dict[str, Any] = {
    "architectures": ["SiglipForImageClassification"],
    "model_type": "siglip",
    "vision_config": {
        "model_type": "siglip_vision_model",
        "hidden_size": 16,
        "image_size": 32,
        "num_attention_heads": 2,
        "patch_size": 8,
    },
    "id2label": {"0": "cloudy/overcast", "1": "foggy/hazy", "2": "rain/storm", "3": "snow/frosty", "4": "sun/clear"},
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
    return changed(DEPTH_CONFIG, changes)


def pose_config(**changes: Any) -> dict[str, Any]:
    """As `depth_config`."""
    return changed(POSE_CONFIG, changes)


def pose_tensors(plan: PosePlan = POSE_PLAN, experts: int = EXPERTS) -> Arrays:
    """With as many experts as are asked for, of which the first belongs to the plain network; with 0, the plain one."""
    tensors = stirred(ViTPose(plan))
    for key in [key for key in tensors if ".mlp.fc2." in key and experts]:
        whole, (start, end) = tensors[key], key.split(".fc2.")
        tensors[key] = whole[:-PART]
        for number in range(experts):
            tensors[f"{start}.experts.{number}.{end}"] = whole[-PART:] if number == 0 else whole[-PART:] + number
    return tensors


def siglip_tensors(plan: SigLIPPlan = SIGLIP_PLAN) -> Arrays:
    """Without the pooling that classifies nothing."""
    return stirred(SigLIP(plan))


def siglip_config(**changes: Any) -> dict[str, Any]:
    """Changes of its vision tower."""
    return SIGLIP_CONFIG | {"vision_config": SIGLIP_CONFIG["vision_config"] | changes}


def changed(given: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(given)
    backbone: dict[str, Any] = config["backbone_config"]
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
