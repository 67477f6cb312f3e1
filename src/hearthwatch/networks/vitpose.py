"""ViTPose: where each joint of one person is, as a map of probabilities per joint.

Paper      Xu et al.: ViTPose, NeurIPS 2022 (arXiv:2204.12484), and ViTPose++, TPAMI 2023 (arXiv:2212.04246), whose
           networks share their layers between data sets but for a part of each block's last layer: the experts.
Reference  transformers' `VitPoseForPoseEstimation` (Apache-2.0), whose key names and config.json these modules have.
           Of the experts, only COCO's is taken (`dataset_index` 0): it becomes part of the layer beside it, so that a
           network with six experts costs what one without any does.
Input      (N, 3, 256, 192) float32 RGB, ImageNet mean and std: one person and a quarter around.
Output     (N, 17, 64, 48) float32, one map per joint in COCO's order, about 1 where the joint is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.configuration import Configuration, configuration_of
from hearthwatch.networks.vit_layers import Attention, TwoLayers
from hearthwatch.networks.weights import Tensors, fill, rows

#: (height, width) of every published network.
VITPOSE_INPUT_SIZE = (256, 192)
#: Names that only this layout has together.
VITPOSE_KEYS = frozenset({"backbone.encoder.layer.0.layernorm_before.weight", "head.conv.weight"})
_NAME = "ViTPose"
#: How many pixels the first layer sees around the picture, so that patches overlap: the reference's.
_PADDING = 2
#: The expert of COCO, and how its names end.
_EXPERT = re.compile(r"(backbone\.encoder\.layer\.\d+\.mlp)\.experts\.(\d+)\.(weight|bias)")
_COCO = 0
_LAYER = re.compile(r"backbone\.encoder\.layer\.(\d+)\.")
#: Where the config does not say: the defaults of the reference's configuration.
_EPSILON, _HEADS, _ENLARGED = 1e-12, 12, 4
#: Only the classic head has it.
_CLASSIC_KEY = "head.deconv1.weight"


@dataclass(frozen=True, slots=True)
class PosePlan:
    """A network's sizes.

    Attributes:
        width: numbers of a token.
        layers: how many there are.
        heads: of each attention; they divide the width.
        inner: width inside a block's two layers.
        patch: pixels of a patch's side.
        grid: (rows, columns) of patches.
        joints: maps.
        classic: channels of the two layers that enlarge the maps; 0 for the simple head, which stretches them.
        enlarged: times that the simple head stretches its maps.
        epsilon: of the layer norms.
    """

    width: int
    layers: int
    heads: int
    inner: int
    patch: int
    grid: tuple[int, int]
    joints: int
    classic: int = 256
    enlarged: int = _ENLARGED
    epsilon: float = _EPSILON

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the input."""
        return self.grid[0] * self.patch, self.grid[1] * self.patch


class ViTPose(nn.Module):
    """A person to one map per joint."""

    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.plan = plan
        self.backbone = _Backbone(plan)
        self.head = _ClassicHead(plan) if plan.classic else _SimpleHead(plan)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, joints, 4 x rows, 4 x columns)."""
        return self.head(self.backbone(pixel_values))


def vitpose_from_state_dict(
    tensors: Tensors, config: Mapping[str, Any] | None, *, file: str = "the checkpoint"
) -> ViTPose:
    """The network whose tensors these are, filled and ready to infer; batch norms are folded into their layers.

    Args:
        tensors: by the reference's key names, with experts or without.
        config: config.json, which says how large the input is and how many heads the attention has.
        file: for messages.

    Raises:
        WeightsInvalid: no config, one that does not hold, or tensors that do not fit.
    """
    plain = _with_one_expert(tensors, file)
    plan = _plan(plain, configuration_of(config, file=file, network=_NAME), file)
    with torch.device("meta"):
        network = ViTPose(plan)
    fill(network, plain, file=file, network=_NAME)
    if isinstance(network.head, _ClassicHead):
        network.head.fuse()
    return network


def _with_one_expert(tensors: Tensors, file: str) -> Tensors:
    """The same network without experts: COCO's is put under the layer that all of them share."""
    plain = {key: array for key, array in tensors.items() if _EXPERT.fullmatch(key) is None}
    for key, array in tensors.items():
        match = _EXPERT.fullmatch(key)
        if match is None or int(match[2]) != _COCO:
            continue
        shared = f"{match[1]}.fc2.{match[3]}"
        if shared not in plain or plain[shared].ndim != array.ndim or plain[shared].shape[1:] != array.shape[1:]:
            raise WeightsInvalid(f"{file} is no {_NAME}: its expert {key} fits no layer")
        plain[shared] = np.concatenate([plain[shared], array])
    return plain


def _plan(tensors: Tensors, config: Configuration, file: str) -> PosePlan:
    """The sizes: as the tensors have them, and the config tells the rest."""
    backbone = config.section("backbone_config")
    width = _rows(tensors, "backbone.layernorm.weight", file)
    heads = backbone.whole("num_attention_heads", _HEADS)
    if width % heads:
        raise WeightsInvalid(f"{file}: its config.json has {heads} heads, which do not divide its width of {width}")
    backbone.word("hidden_act", "gelu", ("gelu",))
    layers = len({match[1] for key in tensors if (match := _LAYER.match(key))})
    if (chosen := backbone.wholes("out_indices")) not in {(), (layers,), (-1,)}:
        raise WeightsInvalid(f"{file}: its config.json reads the layers {list(chosen)} of {layers}; known is the last")
    patches = tensors.get("backbone.embeddings.patch_embeddings.projection.weight")
    patch = int(patches.shape[-1]) if patches is not None and patches.ndim == 4 else 0
    sides = backbone.wholes("image_size") or VITPOSE_INPUT_SIZE
    if len(sides) != 2 or min(sides) < 1:
        raise WeightsInvalid(f"{file}: its config.json has the image_size {list(sides)}; allowed: height and width")
    height, columns = sides
    positions = tensors.get("backbone.embeddings.position_embeddings")
    found = positions.shape[1] if positions is not None and positions.ndim == 3 else 0
    if patch < 1 or height % patch or columns % patch or (height // patch) * (columns // patch) + 1 != found:
        raise WeightsInvalid(
            f"{file} is no {_NAME} of {height} x {columns} px: its patches of {patch} px and its {found} positions do "
            "not fit"
        )
    return PosePlan(
        width,
        layers,
        heads,
        _rows(tensors, "backbone.encoder.layer.0.mlp.fc1.weight", file),
        patch,
        (height // patch, columns // patch),
        _rows(tensors, "head.conv.weight", file),
        classic=int(tensors[_CLASSIC_KEY].shape[1])
        if _CLASSIC_KEY in tensors and tensors[_CLASSIC_KEY].ndim > 1
        else 0,
        enlarged=config.whole("scale_factor", _ENLARGED),
        epsilon=backbone.number("layer_norm_eps", _EPSILON),
    )


def _rows(tensors: Tensors, key: str, file: str) -> int:
    return rows(tensors, key, file=file, network=_NAME)


class _Backbone(nn.Module):
    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.grid = plan.grid
        self.embeddings = _Embeddings(plan)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Block(plan) for _ in range(plan.layers))})
        self.layernorm = nn.LayerNorm(plan.width, eps=plan.epsilon)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, width, rows, columns)."""
        tokens = self.embeddings(pixel_values)
        for layer in self.encoder["layer"]:
            tokens = layer(tokens)
        return self.layernorm(tokens).transpose(1, 2).unflatten(2, self.grid)


class _Embeddings(nn.Module):
    """Patches as tokens; each gets its own place and that of a class token which is not there."""

    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.position_embeddings = nn.Parameter(torch.zeros(1, plan.grid[0] * plan.grid[1] + 1, plan.width))
        projection = nn.Conv2d(3, plan.width, plan.patch, stride=plan.patch, padding=_PADDING)
        self.patch_embeddings = nn.ModuleDict({"projection": projection})

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings["projection"](pixel_values).flatten(2).transpose(1, 2)
        return patches + self.position_embeddings[:, 1:] + self.position_embeddings[:, :1]


class _Block(nn.Module):
    """Attention and two layers, each behind a norm and beside a shortcut."""

    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.layernorm_before = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.attention = Attention(plan.width, plan.heads)
        self.layernorm_after = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.mlp = TwoLayers(plan.width, plan.inner)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.attention(self.layernorm_before(tokens))
        return tokens + self.mlp(self.layernorm_after(tokens))


class _ClassicHead(nn.Module):
    """Two layers that each double the map, then one map per joint (equation 2 of the first paper)."""

    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.deconv1 = nn.ConvTranspose2d(plan.width, plan.classic, 4, stride=2, padding=1, bias=False)
        self.batchnorm1: nn.Module = nn.BatchNorm2d(plan.classic)
        self.deconv2 = nn.ConvTranspose2d(plan.classic, plan.classic, 4, stride=2, padding=1, bias=False)
        self.batchnorm2: nn.Module = nn.BatchNorm2d(plan.classic)
        self.conv = nn.Conv2d(plan.classic, plan.joints, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        maps = functional.relu(self.batchnorm1(self.deconv1(maps)))
        return self.conv(functional.relu(self.batchnorm2(self.deconv2(maps))))

    def fuse(self) -> None:
        """Fold the batch norms into the layers before them; their answers stay the same but for rounding."""
        self.deconv1 = fuse_conv_bn_eval(self.deconv1, self.batchnorm1, transpose=True)
        self.deconv2 = fuse_conv_bn_eval(self.deconv2, self.batchnorm2, transpose=True)
        self.batchnorm1, self.batchnorm2 = nn.Identity(), nn.Identity()
        self.requires_grad_(requires_grad=False)


class _SimpleHead(nn.Module):
    """The map stretched, then one map per joint (equation 3 of the first paper)."""

    def __init__(self, plan: PosePlan) -> None:
        super().__init__()
        self.enlarged = plan.enlarged
        self.conv = nn.Conv2d(plan.width, plan.joints, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        size = (maps.shape[2] * self.enlarged, maps.shape[3] * self.enlarged)
        return self.conv(functional.interpolate(functional.relu(maps), size=size, mode="bilinear", align_corners=False))
