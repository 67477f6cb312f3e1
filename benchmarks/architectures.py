"""The networks whose engines are compared: real architectures, made-up weights. Needs torch, two of them transformers.

The weights come from a seed, so no file has to be there and every machine computes the same; speed does not depend on
their values, as long as these stay within what float32 holds comfortably.
"""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from hearthwatch.networks.build import Network
from hearthwatch.networks.osnet import OSNET_INPUT_SIZE, create_osnet_x0_25
from hearthwatch.networks.resnet import RESNET_INPUT_SIZE, create_resnet
from hearthwatch.networks.yolov8 import YOLO_INPUT_SIZE, YOLOv8
from hearthwatch.networks.yolov8_plan import read_plan

SEED = 20261120
#: (height, width) of both transformers, in 14 x 14 and 16 x 16 px patches.
VIT_INPUT_SIZE = (224, 224)


class OneOutput(nn.Module):  # type: ignore[misc]  # torch is not read by mypy
    """A network of transformers as one that takes a tensor and gives one.

    Args:
        network: takes `pixel_values`.
        name: of the output to give.
    """

    def __init__(self, network: Any, name: str) -> None:
        super().__init__()
        self.network = network
        self._name = name

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return getattr(self.network(pixel_values=pixel_values), self._name)


def build(name: str) -> Network:
    """One of `engines.NETWORKS` with its made-up weights, ready to infer.

    Raises:
        ModuleNotFoundError: transformers is needed and not installed.
    """
    torch.manual_seed(SEED)
    network = _MAKERS[name]()
    network.module.eval().requires_grad_(requires_grad=False)
    return network


def gflop_of(network: Network) -> float:
    """Thousands of millions of operations of one picture: two for each multiplication with its addition."""
    # On `meta` nothing is computed, and attention is one operation that the counter knows on every machine.
    module = copy.deepcopy(network.module).to("meta")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(torch.zeros(1, 3, *network.input_size, device="meta"))
    return float(counter.get_total_flops()) / 1e9


def _clip_vit_l14() -> Network:
    # The numbers of openai/clip-vit-large-patch14's vision tower.
    transformers = importlib.import_module("transformers")
    config = transformers.CLIPVisionConfig(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24,
                                           num_attention_heads=16, patch_size=14, projection_dim=768)  # fmt: skip
    return _transformer(transformers.CLIPVisionModelWithProjection(config), "image_embeds", 14)


def _vit_b16() -> Network:
    transformers = importlib.import_module("transformers")  # its defaults are those of ViT-B/16
    return _transformer(transformers.ViTForImageClassification(transformers.ViTConfig()), "logits", 16)


def _transformer(module: Any, output: str, patch: int) -> Network:
    # Of a network the exporter reads only the module; no kind of ours is this one.
    return Network(OneOutput(module, output), VIT_INPUT_SIZE, patch, "resnet", (output,))


def _resnet(depth: int) -> Network:
    module = create_resnet(depth)
    _stir(module)
    return Network(module, RESNET_INPUT_SIZE, 1, "resnet", ("logits",))


def _osnet() -> Network:
    module = create_osnet_x0_25()
    _stir(module)
    return Network(module, OSNET_INPUT_SIZE, 1, "osnet", ("embedding",))


def _yolov8n_pose() -> Network:
    module = YOLOv8(read_plan(_pose_plan(), file="yolov8n-pose"), file="yolov8n-pose")
    _stir(module)
    module.fuse()
    return Network(module, YOLO_INPUT_SIZE, module.stride, "yolov8-pose", ("output0",))


def _stir(module: Any) -> None:
    """Weights of He et al. 2015 (arXiv:1502.01852), so that signals neither die out nor grow, and norms that act."""
    for key, tensor in module.state_dict().items():
        if key.endswith("running_mean"):
            tensor.uniform_(-0.2, 0.2)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 2.0)
        elif key.endswith("weight") and tensor.ndim > 1 and ".dfl." not in key:
            tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5)


def _pose_plan() -> dict[str, Any]:
    """The stock plan of the smallest pose network: five halvings, then up twice and down twice."""
    backbone: list[Any] = [[-1, 1, "Conv", [64, 3, 2]]]
    for channels, repeats in ((128, 3), (256, 6), (512, 6), (1024, 3)):
        backbone += [[-1, 1, "Conv", [channels, 3, 2]], [-1, repeats, "C2f", [channels, True]]]
    backbone.append([-1, 1, "SPPF", [1024, 5]])
    head: list[Any] = []
    for source, channels in ((6, 512), (4, 256)):
        head += [[-1, 1, "nn.Upsample", ["None", 2, "nearest"]], [[-1, source], 1, "Concat", [1]]]
        head.append([-1, 3, "C2f", [channels]])
    for source, channels in ((12, 512), (9, 1024)):
        head += [[-1, 1, "Conv", [channels // 2, 3, 2]], [[-1, source], 1, "Concat", [1]], [-1, 3, "C2f", [channels]]]
    head.append([[15, 18, 21], 1, "Pose", ["nc", "kpt_shape"]])
    return {"nc": 1, "kpt_shape": [17, 3], "scales": {"n": [0.33, 0.25, 1024]}, "scale": "n",
            "backbone": backbone, "head": head}  # fmt: skip


_MAKERS: Mapping[str, Callable[[], Network]] = {
    "CLIP ViT-L/14": _clip_vit_l14,
    "ViT-B/16": _vit_b16,
    "ResNet-50": lambda: _resnet(50),
    "ResNet-18": lambda: _resnet(18),
    "YOLOv8n-pose": _yolov8n_pose,
    "OSNet x0.25": _osnet,
}
