"""Depth Anything: how near each pixel of a picture is, or how many metres away.

Paper      Yang et al.: Depth Anything V2, NeurIPS 2024 (arXiv:2406.09414), and Depth Anything, CVPR 2024
           (arXiv:2401.10891); the neck and the head are those of Ranftl et al.: Vision Transformers for Dense
           Prediction, ICCV 2021 (arXiv:2103.13413), section 3 and its supplement. The backbone is DINOv2.
Reference  transformers' `DepthAnythingForDepthEstimation` (Apache-2.0), whose key names and config.json these modules
           have.
Input      (N, 3, H, W) float32 RGB, ImageNet mean and std; H and W any multiples of 14, trained at 518 x 518.
Output     (N, H, W) float32. `relative`: inverse depth, 0 and more, large is near. `metric`: metres, 0 to `max_depth`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.configuration import Configuration, configuration_of
from hearthwatch.networks.dinov2 import Dinov2, Dinov2Plan
from hearthwatch.networks.weights import Tensors, fill, rows

DepthKind = Literal["relative", "metric"]

#: (height, width) of the largest picture that the network is asked about; it takes any multiples of its patch.
DEPTH_ANYTHING_INPUT_SIZE = (518, 518)
#: A name that only this layout has.
DEPTH_ANYTHING_KEY = "neck.reassemble_stage.layers.0.projection.weight"
_NAME = "Depth Anything"
#: What DINOv2 learned with hidden patches; no picture of ours has any.
_MASK = "backbone.embeddings.mask_token"
_LAYER = re.compile(r"backbone\.encoder\.layer\.(\d+)\.")
#: Of every published DINOv2, where the config does not count its heads.
_HEAD_WIDTH = 64
#: How the maps of four layers are resized: section 3.2 of the paper on dense prediction, s = 4, 8, 16, 32 of patches.
_FACTORS = (4.0, 2.0, 1.0, 0.5)
_STAGE = re.compile(r"stage(\d+)")
#: Of the layer norms, where the config does not say: Dinov2Config's default.
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class DepthPlan:
    """A network's sizes.

    Attributes:
        backbone: of DINOv2.
        channels: of the maps that are made of each chosen layer.
        factors: how much larger each becomes than its patches.
        fused: channels of the maps when they are added up.
        last: channels before the last layer.
        kind: relative or metric.
        most: what the last layer's values are multiplied by: metres, where it is metric.
    """

    backbone: Dinov2Plan
    channels: tuple[int, ...]
    factors: tuple[float, ...]
    fused: int
    last: int
    kind: DepthKind
    most: float


class DepthAnything(nn.Module):
    """A picture to one number per pixel."""

    def __init__(self, plan: DepthPlan) -> None:
        super().__init__()
        self.kind = plan.kind
        self.backbone = Dinov2(plan.backbone)
        self.neck = _Neck(plan)
        self.head = _Head(plan)
        self.patch = plan.backbone.patch

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, H, W)."""
        patches = (pixel_values.shape[2] // self.patch, pixel_values.shape[3] // self.patch)
        fused = self.neck(self.backbone(pixel_values), patches)
        return self.head(fused, (patches[0] * self.patch, patches[1] * self.patch))


def depth_anything_from_state_dict(
    tensors: Tensors, config: Mapping[str, Any] | None, *, file: str = "the checkpoint"
) -> DepthAnything:
    """The network whose tensors these are, filled and ready to infer.

    Args:
        tensors: by the names of published files.
        config: config.json, which says which layers are read and whether the output is metric.
        file: for messages.

    Raises:
        WeightsInvalid: no config, one that does not hold, or tensors that do not fit.
    """
    kept = {key: array for key, array in tensors.items() if key != _MASK}
    plan = _plan(kept, configuration_of(config, file=file, network=_NAME), file)
    with torch.device("meta"):
        network = DepthAnything(plan)
    fill(network, kept, file=file, network=_NAME)
    return network


def _plan(tensors: Tensors, config: Configuration, file: str) -> DepthPlan:
    """The sizes: as the tensors have them, and the config tells the rest."""
    backbone = _backbone(tensors, config.section("backbone_config"), file)
    stages = range(len(backbone.chosen))
    factors = config.numbers("reassemble_factors", _FACTORS)
    if len(factors) != len(stages) or not all((f if f >= 1 else 1 / f).is_integer() for f in factors):
        raise WeightsInvalid(f"{file}: its config.json reads {len(stages)} layers, and resizes them by {list(factors)}")
    if config.whole("head_in_index", -1, least=-1) != -1:
        raise WeightsInvalid(f"{file}: its config.json reads another map than the last, which is not known here")
    kind = config.word("depth_estimation_type", "relative", get_args(DepthKind))
    most = config.number("max_depth", 0.0 if kind == "metric" else 1.0)
    if not most:
        raise WeightsInvalid(f"{file}: its config.json says metric, and not up to how many metres (max_depth)")
    return DepthPlan(
        backbone,
        channels=tuple(_rows(tensors, f"neck.reassemble_stage.layers.{n}.projection.weight", file) for n in stages),
        factors=factors,
        fused=_rows(tensors, "neck.convs.0.weight", file),
        last=_rows(tensors, "head.conv2.weight", file),
        kind="metric" if kind == "metric" else "relative",
        most=most,
    )


def _backbone(tensors: Tensors, config: Configuration, file: str) -> Dinov2Plan:
    layers = len({match[1] for key in tensors if (match := _LAYER.match(key))})
    width = _rows(tensors, "backbone.layernorm.weight", file)
    heads = config.whole("num_attention_heads", max(1, width // _HEAD_WIDTH))
    if width % heads:
        raise WeightsInvalid(f"{file}: its config.json has {heads} heads, which do not divide its width of {width}")
    chosen = config.wholes("out_indices") or _stages(config)
    if not chosen or sorted(set(chosen)) != list(chosen) or not 1 <= chosen[0] <= chosen[-1] <= layers:
        raise WeightsInvalid(f"{file}: its config.json reads the layers {list(chosen)} (out_indices) of {layers}")
    config.word("hidden_act", "gelu", ("gelu",))
    if not config.switch("apply_layernorm", default=True):
        raise WeightsInvalid(f"{file}: its config.json reads layers without their norm, which is not known here")
    positions = tensors.get("backbone.embeddings.position_embeddings")
    patches = tensors.get("backbone.embeddings.patch_embeddings.projection.weight")
    if positions is None or positions.ndim != 3 or patches is None or patches.ndim != 4:
        raise WeightsInvalid(f"{file} is no {_NAME}: it has no patches with positions")
    side = math.isqrt(max(0, positions.shape[1] - 1))
    if side < 1 or side**2 + 1 != positions.shape[1] or patches.shape[-1] < 1:
        raise WeightsInvalid(f"{file} is no {_NAME}: {positions.shape[1]} positions are no square and a class token")
    inner = _rows(tensors, "backbone.encoder.layer.0.mlp.fc1.weight", file)
    epsilon = config.number("layer_norm_eps", _EPSILON)
    return Dinov2Plan(width, layers, heads, inner, int(patches.shape[-1]), side, chosen, epsilon)


def _stages(config: Configuration) -> tuple[int, ...]:
    """The chosen layers by their names, stage3 and the like, where their numbers are not stated."""
    return tuple(int(match[1]) for name in config.words("out_features") if (match := _STAGE.fullmatch(name)))


def _rows(tensors: Tensors, key: str, file: str) -> int:
    return rows(tensors, key, file=file, network=_NAME)


class _Neck(nn.Module):
    """Tokens of four layers to one map of twice the finest one's size (figure 1 of the paper on dense prediction)."""

    def __init__(self, plan: DepthPlan) -> None:
        super().__init__()
        sizes = list(zip(plan.channels, plan.factors, strict=True))
        layers = nn.ModuleList(_Reassemble(plan.backbone.width, channels, factor) for channels, factor in sizes)
        self.reassemble_stage = nn.ModuleDict({"layers": layers})
        self.convs = nn.ModuleList(nn.Conv2d(channels, plan.fused, 3, padding=1, bias=False) for channels, _ in sizes)
        self.fusion_stage = nn.ModuleDict({"layers": nn.ModuleList(_Fusion(plan.fused) for _ in sizes)})

    def forward(self, tokens: Sequence[torch.Tensor], patches: tuple[int, int]) -> torch.Tensor:
        """Per layer (N, rows x columns, width) to (N, fused, H, W)."""
        maps = []
        for layer, conv, rows_of_tokens in zip(self.reassemble_stage["layers"], self.convs, tokens, strict=True):
            maps.append(conv(layer(rows_of_tokens.transpose(1, 2).unflatten(2, patches))))
        maps.reverse()  # from the coarsest to the finest
        fused: torch.Tensor | None = None
        for place, (layer, own) in enumerate(zip(self.fusion_stage["layers"], maps, strict=True)):
            larger = maps[place + 1].shape[2:] if place + 1 < len(maps) else None
            fused = layer(own, larger) if fused is None else layer(fused, larger, own)
        return fused


class _Reassemble(nn.Module):
    """The patches of one layer as a map of their number times `factor`."""

    def __init__(self, width: int, channels: int, factor: float) -> None:
        super().__init__()
        self.projection = nn.Conv2d(width, channels, 1)
        if factor > 1:
            self.resize: nn.Module = nn.ConvTranspose2d(channels, channels, int(factor), stride=int(factor))
        elif factor == 1:
            self.resize = nn.Identity()
        else:
            self.resize = nn.Conv2d(channels, channels, 3, stride=round(1 / factor), padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.resize(self.projection(maps))


class _Fusion(nn.Module):
    """What is known so far and a finer map, added up and enlarged.

    The first of them has no finer map to add; published files have its weights for one all the same.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.projection = nn.Conv2d(channels, channels, 1)
        self.residual_layer1 = _Residual(channels)
        self.residual_layer2 = _Residual(channels)

    def forward(self, maps: torch.Tensor, size: torch.Size | None, finer: torch.Tensor | None = None) -> torch.Tensor:
        if finer is not None:
            maps = maps + self.residual_layer1(finer)
        rows_and_columns = (2 * maps.shape[2], 2 * maps.shape[3]) if size is None else size
        return self.projection(_stretched(self.residual_layer2(maps), rows_and_columns))


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.convolution2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps + self.convolution2(functional.relu(self.convolution1(functional.relu(maps))))


class _Head(nn.Module):
    """A map to one number per pixel of the picture."""

    def __init__(self, plan: DepthPlan) -> None:
        super().__init__()
        self.metric, self.most = plan.kind == "metric", plan.most
        self.conv1 = nn.Conv2d(plan.fused, plan.fused // 2, 3, padding=1)
        self.conv2 = nn.Conv2d(plan.fused // 2, plan.last, 3, padding=1)
        self.conv3 = nn.Conv2d(plan.last, 1, 1)

    def forward(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        maps = functional.relu(self.conv2(_stretched(self.conv1(maps), size)))
        depth = self.conv3(maps).squeeze(1)
        return (torch.sigmoid(depth) if self.metric else functional.relu(depth)) * self.most


def _stretched(maps: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=True)
