"""DINOv2: a Vision Transformer whose layers describe each patch of a picture; the backbone of Depth Anything.

Paper      Oquab et al.: DINOv2: Learning Robust Visual Features without Supervision, TMLR 2024 (arXiv:2304.07193).
           Layer scale is from Touvron et al. 2021 (arXiv:2103.17239), section 3.
Reference  transformers' `Dinov2Backbone` (Apache-2.0), whose key names in published files these modules have.
Input      (N, 3, H, W) float32 RGB, ImageNet mean and std; H and W any multiples of the patch.
Output     of each chosen layer (N, L, width) float32, normalised, one row per patch and none for the class token.
Limits     Without register tokens, and without SwiGLU, which only the giant size has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.networks.vit_layers import Attention, TwoLayers


@dataclass(frozen=True, slots=True)
class Dinov2Plan:
    """A backbone's sizes.

    Attributes:
        width: numbers of a token.
        layers: how many there are.
        heads: of each attention; they divide the width.
        inner: width inside a block's two layers.
        patch: pixels of a patch's side.
        side: patches of a side of the picture that the position embeddings were learned for.
        chosen: the layers whose tokens are given, from 1 on, in rising order.
        epsilon: of the layer norms.
    """

    width: int
    layers: int
    heads: int
    inner: int
    patch: int
    side: int
    chosen: tuple[int, ...]
    epsilon: float


class Dinov2(nn.Module):
    """A picture to the tokens of several layers."""

    def __init__(self, plan: Dinov2Plan) -> None:
        super().__init__()
        self.chosen = plan.chosen
        self.embeddings = _Embeddings(plan)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Block(plan) for _ in range(plan.layers))})
        self.layernorm = nn.LayerNorm(plan.width, eps=plan.epsilon)

    def forward(self, pixel_values: torch.Tensor) -> Sequence[torch.Tensor]:
        """(N, 3, H, W) to (N, H/patch x W/patch, width) of each chosen layer."""
        tokens = self.embeddings(pixel_values)
        found = []
        for number, layer in enumerate(self.encoder["layer"], start=1):
            tokens = layer(tokens)
            if number in self.chosen:
                found.append(self.layernorm(tokens)[:, 1:])
        return found


class _Embeddings(nn.Module):
    """Patches as tokens behind the class token, each with what tells its place."""

    def __init__(self, plan: Dinov2Plan) -> None:
        super().__init__()
        self.side = plan.side
        self.cls_token = nn.Parameter(torch.zeros(1, 1, plan.width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, plan.side**2 + 1, plan.width))
        projection = nn.Conv2d(3, plan.width, plan.patch, stride=plan.patch)
        self.patch_embeddings = nn.ModuleDict({"projection": projection})

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings["projection"](pixel_values)
        places = self._places(patches.shape[2], patches.shape[3])
        whole = self.cls_token + self.position_embeddings[:, :1]
        return torch.cat([whole.expand(patches.shape[0], -1, -1), (patches + places).flatten(2).transpose(1, 2)], dim=1)

    def _places(self, rows: int, columns: int) -> torch.Tensor:
        """(1, width, rows, columns): the learned grid, stretched over the picture as the reference stretches it."""
        grid = self.position_embeddings[:, 1:].transpose(1, 2).unflatten(2, (self.side, self.side))
        return functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)


class _Block(nn.Module):
    """Attention and two layers, each behind a norm, scaled per number, and beside a shortcut."""

    def __init__(self, plan: Dinov2Plan) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.attention = Attention(plan.width, plan.heads)
        self.layer_scale1 = _LayerScale(plan.width)
        self.norm2 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.mlp = TwoLayers(plan.width, plan.inner)
        self.layer_scale2 = _LayerScale(plan.width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.layer_scale1(self.attention(self.norm1(tokens)))
        return tokens + self.layer_scale2(self.mlp(self.norm2(tokens)))


class _LayerScale(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.lambda1 = nn.Parameter(torch.ones(width))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens * self.lambda1
