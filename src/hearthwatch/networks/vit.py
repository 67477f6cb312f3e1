"""ViT: image classifiers.

Paper      Dosovitskiy et al.: An Image is Worth 16x16 Words, ICLR 2021 (arXiv:2010.11929); table 1, equations 1 to 4.
Reference  transformers' `ViTForImageClassification` (Apache-2.0), whose published key names these modules have. The
           layer norm stands before the attention and before the MLP; the class is read from the first token.
Input      (N, 3, side, side) float32 RGB; the side is fixed, because each patch has a learned position.
Output     (N, classes) float32 logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.weights import Tensors, fill, rows

#: A name that only this layout has.
VIT_KEY = "vit.embeddings.patch_embeddings.projection.weight"
#: Width to attention heads where no configuration says it (table 1 of the paper; Tiny and Small: arXiv:2012.12877).
VIT_HEADS: Mapping[int, int] = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16}
#: transformers' default.
LAYER_NORM_EPS = 1e-12
_NAME = "ViT"
_POSITIONS = "vit.embeddings.position_embeddings"
_LAYER = "vit.encoder.layer."
#: Parts that some files carry and that classify nothing.
_IDLE = ("vit.pooler.", "vit.embeddings.mask_token")
_ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu": functional.gelu,
    "gelu_new": lambda values: functional.gelu(values, approximate="tanh"),
    "gelu_pytorch_tanh": lambda values: functional.gelu(values, approximate="tanh"),
    "relu": functional.relu,
}


@dataclass(frozen=True, slots=True)
class ViTPlan:
    """The sizes of one network; the defaults are those of ViT-B/16 at 224 px.

    Attributes:
        classes: logits.
        width: numbers of a token.
        layers: of the encoder.
        heads: of each attention; they divide the width.
        inner: width inside the MLP.
        grid: (rows, columns) of patches.
        patch: side of a patch in pixels.
        bias: whether queries, keys and values have one.
        activation: of the MLP, by transformers' name.
        eps: of the layer norms.
    """

    classes: int
    width: int = 768
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    grid: tuple[int, int] = (14, 14)
    patch: int = 16
    bias: bool = True
    activation: str = "gelu"
    eps: float = LAYER_NORM_EPS

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the input in pixels."""
        return self.grid[0] * self.patch, self.grid[1] * self.patch


class ViT(nn.Module):
    """A picture to one logit per class."""

    def __init__(self, plan: ViTPlan) -> None:
        super().__init__()
        self.plan = plan
        self.vit = _Encoder(plan)
        self.classifier = nn.Linear(plan.width, plan.classes)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, classes).

        Raises:
            ValueError: another size than the positions were learned for.
        """
        given, wanted = tuple(pixel_values.shape[2:]), self.plan.input_size
        if given != wanted:
            raise ValueError(f"the network takes {wanted[0]} x {wanted[1]} px and no other size")
        return self.classifier(self.vit(pixel_values)[:, 0])


def vit_from_state_dict(tensors: Tensors, config: Mapping[str, Any] | None, *, file: str = "the checkpoint") -> ViT:
    """The network whose tensors these are, filled and ready to infer.

    Args:
        tensors: by transformers' published names.
        config: config.json; of it, the heads, the activation and the epsilon are needed, the rest is in the tensors.
        file: for messages.

    Raises:
        WeightsInvalid: tensors that do not fit, or a configuration that is not of such a network.
    """
    needed = {key: array for key, array in tensors.items() if not key.startswith(_IDLE)}
    plan = _plan(needed, config or {}, file)
    with torch.device("meta"):
        network = ViT(plan)
    fill(network, needed, file=file, network=_NAME)
    return network


class _Encoder(nn.Module):
    """Patches to tokens, all of them through every layer."""

    def __init__(self, plan: ViTPlan) -> None:
        super().__init__()
        self.embeddings = _Embeddings(plan)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(_Layer(plan) for _ in range(plan.layers))})
        self.layernorm = nn.LayerNorm(plan.width, eps=plan.eps)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        tokens = self.embeddings(pixel_values)
        for layer in self.encoder["layer"]:
            tokens = layer(tokens)
        return self.layernorm(tokens)


class _Embeddings(nn.Module):
    """One token per patch, and the class token before them (equation 1)."""

    def __init__(self, plan: ViTPlan) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, plan.width))
        self.position_embeddings = nn.Parameter(torch.zeros(1, 1 + plan.grid[0] * plan.grid[1], plan.width))
        projection = nn.Conv2d(3, plan.width, plan.patch, stride=plan.patch)
        self.patch_embeddings = nn.ModuleDict({"projection": projection})

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embeddings["projection"](pixel_values).flatten(2).transpose(1, 2)
        first = self.cls_token.expand(pixel_values.shape[0], -1, -1)
        return torch.cat([first, patches], dim=1) + self.position_embeddings


class _Layer(nn.Module):
    """Attention and MLP, each beside a shortcut (equations 2 and 3)."""

    def __init__(self, plan: ViTPlan) -> None:
        super().__init__()
        self.attention = nn.ModuleDict({"attention": _Attention(plan), "output": _dense(plan.width, plan.width)})
        self.intermediate = _dense(plan.width, plan.inner)
        self.output = _dense(plan.inner, plan.width)
        self.layernorm_before = nn.LayerNorm(plan.width, eps=plan.eps)
        self.layernorm_after = nn.LayerNorm(plan.width, eps=plan.eps)
        self._activation = _ACTIVATIONS[plan.activation]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        looked = self.attention["attention"](self.layernorm_before(tokens))
        tokens = tokens + self.attention["output"]["dense"](looked)
        inner = self._activation(self.intermediate["dense"](self.layernorm_after(tokens)))
        return tokens + self.output["dense"](inner)


class _Attention(nn.Module):
    """What every token takes from the others, before the last projection (appendix A of the paper)."""

    def __init__(self, plan: ViTPlan) -> None:
        super().__init__()
        self.heads = plan.heads
        self.query = nn.Linear(plan.width, plan.width, bias=plan.bias)
        self.key = nn.Linear(plan.width, plan.width, bias=plan.bias)
        self.value = nn.Linear(plan.width, plan.width, bias=plan.bias)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._parted(part(tokens)) for part in (self.query, self.key, self.value))
        taken = functional.scaled_dot_product_attention(query, key, value)
        return taken.transpose(1, 2).flatten(2)

    def _parted(self, values: torch.Tensor) -> torch.Tensor:
        """(N, tokens, width) to (N, heads, tokens, width of a head)."""
        return values.unflatten(2, (self.heads, -1)).transpose(1, 2)


def _dense(inputs: int, outputs: int) -> nn.ModuleDict:
    return nn.ModuleDict({"dense": nn.Linear(inputs, outputs)})


def _plan(tensors: Tensors, config: Mapping[str, Any], file: str) -> ViTPlan:
    """The sizes that the tensors have; whether they fit each other, `fill` will say."""
    shape = tensors[VIT_KEY].shape
    if len(shape) != 4 or shape[2] != shape[3] or 0 in shape:
        raise WeightsInvalid(f"{file} is no {_NAME}: its tensor {VIT_KEY} is {shape}, not (width, 3, patch, patch)")
    width, patch = int(shape[0]), int(shape[2])
    layers = len({key.removeprefix(_LAYER).partition(".")[0] for key in tensors if key.startswith(_LAYER)})
    return ViTPlan(
        classes=rows(tensors, "classifier.weight", file=file, network=_NAME),
        width=width,
        layers=layers,
        heads=_heads(config, width, file),
        inner=rows(tensors, f"{_LAYER}0.intermediate.dense.weight", file=file, network=_NAME),
        grid=_grid(tensors, config, patch, file),
        patch=patch,
        bias=f"{_LAYER}0.attention.attention.query.bias" in tensors,
        activation=_activation(config, file),
        eps=_eps(config, file),
    )


def _heads(config: Mapping[str, Any], width: int, file: str) -> int:
    heads = config.get("num_attention_heads", VIT_HEADS.get(width))
    if heads is None:
        raise WeightsInvalid(f"{file} does not say how many heads a {_NAME} of width {width} has: config.json does")
    if type(heads) is not int or heads < 1 or width % heads:
        raise WeightsInvalid(f"{file} says that its {_NAME} of width {width} has {str(heads)[:20]} heads: impossible")
    return heads


def _grid(tensors: Tensors, config: Mapping[str, Any], patch: int, file: str) -> tuple[int, int]:
    """Rows and columns of patches: a square, or the picture that the configuration names."""
    positions = tensors[_POSITIONS].shape if _POSITIONS in tensors else ()
    patches = int(positions[1]) - 1 if len(positions) == 3 else 0
    size = config.get("image_size")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int and side > 0 for side in size):
        grid = size[0] // patch, size[1] // patch
    else:
        grid = (math.isqrt(max(patches, 0)),) * 2
    if patches < 1 or grid[0] * grid[1] != patches:
        raise WeightsInvalid(f"{file} is no {_NAME}: it has {positions} positions for {grid[0]} x {grid[1]} patches")
    return grid


def _activation(config: Mapping[str, Any], file: str) -> str:
    name = config.get("hidden_act", "gelu")
    if not isinstance(name, str) or name not in _ACTIVATIONS:
        raise WeightsInvalid(f"{file} uses the activation {str(name)[:40]!r}; known are {', '.join(_ACTIVATIONS)}")
    return name


def _eps(config: Mapping[str, Any], file: str) -> float:
    eps = config.get("layer_norm_eps", LAYER_NORM_EPS)
    if type(eps) not in {int, float} or not 0 <= eps < 1:
        raise WeightsInvalid(f"{file} has the layer_norm_eps {str(eps)[:40]}; allowed are numbers from 0 to below 1")
    return float(eps)
