"""SigLIP: image classifiers on its vision tower.

Paper      Zhai et al.: Sigmoid Loss for Language Image Pre-Training, ICCV 2023 (arXiv:2303.15343). The tower is a
           Vision Transformer (Dosovitskiy et al. 2021, arXiv:2010.11929) without a class token; SigLIP 2 (Tschannen et
           al. 2025, arXiv:2502.14786) has the same one.
Reference  transformers' `SiglipForImageClassification` (Apache-2.0), whose published key names these modules have: the
           tokens behind the last layer norm are averaged, and one layer tells the classes. The pooling by attention
           that the tower was trained with (`vision_model.head`) has no part in it.
Input      (N, 3, side, side) float32 RGB, mean and std 0.5; the side is fixed, because each patch has a learned place.
Output     (N, classes) float32 logits.
Limits     Squares of one size; SigLIP 2's variant for any aspect (NaFlex) is another network.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.clip_layers import ACTIVATIONS, Transformer, TransformerPlan
from hearthwatch.networks.configuration import Configuration, configuration_of
from hearthwatch.networks.weights import Tensors, fill, rows

#: A name that only this layout has: the patches of CLIP, whose names are the same else, have no bias.
SIGLIP_KEY = "vision_model.embeddings.patch_embedding.bias"
_NAME = "SigLIP classifier"
_PATCHES = "vision_model.embeddings.patch_embedding.weight"
_POSITIONS = "vision_model.embeddings.position_embedding.weight"
_LAYERS = "vision_model.encoder.layers."
#: Carried by every file, and without a part in the classes.
_IDLE = "vision_model.head."
#: transformers' defaults, which are those of the paper's ViT-B.
_HEADS, _ACTIVATION, _EPSILON = 12, "gelu_pytorch_tanh", 1e-6


@dataclass(frozen=True, slots=True)
class SigLIPPlan:
    """The sizes of one network.

    Attributes:
        classes: logits.
        side: patches of a side of the picture.
        patch: pixels of a side of a patch.
        transformer: of the tower.
    """

    classes: int
    side: int
    patch: int
    transformer: TransformerPlan

    @property
    def input_size(self) -> tuple[int, int]:
        """(height, width) of the input in pixels."""
        return self.side * self.patch, self.side * self.patch


class SigLIP(nn.Module):
    """A picture to one logit per class."""

    def __init__(self, plan: SigLIPPlan) -> None:
        super().__init__()
        self.plan = plan
        self.vision_model = _Tower(plan)
        self.classifier = nn.Linear(plan.transformer.width, plan.classes)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, classes).

        Raises:
            ValueError: another size than the positions were learned for.
        """
        given, wanted = tuple(pixel_values.shape[2:]), self.plan.input_size
        if given != wanted:
            raise ValueError(f"the network takes {wanted[0]} x {wanted[1]} px and no other size")
        return self.classifier(self.vision_model(pixel_values).mean(dim=1))


def siglip_from_state_dict(
    tensors: Tensors, config: Mapping[str, Any] | None, *, file: str = "the checkpoint"
) -> SigLIP:
    """The network whose tensors these are, filled and ready to infer.

    Args:
        tensors: by transformers' published names.
        config: config.json; of its `vision_config`, the heads, the activation and the epsilon are needed, the rest is
            in the tensors.
        file: for messages.

    Raises:
        WeightsInvalid: tensors that do not fit, among them those of a SigLIP that compares pictures with texts; or a
            configuration that is missing or not of such a network.
    """
    needed = {key: array for key, array in tensors.items() if not key.startswith(_IDLE)}
    plan = _plan(needed, configuration_of(config, file=file, network=_NAME).section("vision_config"), file)
    with torch.device("meta"):
        network = SigLIP(plan)
    fill(network, needed, file=file, network=_NAME)
    return network


class _Tower(nn.Module):
    """Patches to tokens, all of them through every block."""

    def __init__(self, plan: SigLIPPlan) -> None:
        super().__init__()
        self.embeddings = _Patches(plan)
        self.encoder = Transformer(plan.transformer, causal=False)
        self.post_layernorm = nn.LayerNorm(plan.transformer.width, eps=plan.transformer.epsilon)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.post_layernorm(self.encoder(self.embeddings(pixel_values)))


class _Patches(nn.Module):
    """One token per patch, with what tells its place."""

    def __init__(self, plan: SigLIPPlan) -> None:
        super().__init__()
        self.patch_embedding = nn.Conv2d(3, plan.transformer.width, plan.patch, stride=plan.patch)
        self.position_embedding = nn.Embedding(plan.side**2, plan.transformer.width)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        return self.patch_embedding(pixel_values).flatten(2).transpose(1, 2) + self.position_embedding.weight


def _plan(tensors: Tensors, vision: Configuration, file: str) -> SigLIPPlan:
    """The sizes that the tensors have; whether they fit each other, `fill` will say."""
    shape = tensors[_PATCHES].shape if _PATCHES in tensors else ()
    if len(shape) != 4 or shape[2] != shape[3] or 0 in shape:
        raise WeightsInvalid(f"{file} is no {_NAME}: its tensor {_PATCHES} is {shape}, not (width, 3, patch, patch)")
    width = int(shape[0])
    return SigLIPPlan(
        classes=rows(tensors, "classifier.weight", file=file, network=_NAME),
        side=_side(tensors, file),
        patch=int(shape[2]),
        transformer=TransformerPlan(
            width=width,
            layers=len({key.removeprefix(_LAYERS).partition(".")[0] for key in tensors if key.startswith(_LAYERS)}),
            heads=_heads(vision, width, file),
            inner=rows(tensors, f"{_LAYERS}0.mlp.fc1.weight", file=file, network=_NAME),
            activation=vision.word("hidden_act", _ACTIVATION, tuple(ACTIVATIONS)),
            epsilon=vision.number("layer_norm_eps", _EPSILON),
        ),
    )


def _side(tensors: Tensors, file: str) -> int:
    positions = rows(tensors, _POSITIONS, file=file, network=_NAME)
    side = math.isqrt(positions)
    if side**2 != positions:
        raise WeightsInvalid(f"{file} is no {_NAME}: its {positions} positions are no square of patches")
    return side


def _heads(vision: Configuration, width: int, file: str) -> int:
    heads = vision.whole("num_attention_heads", _HEADS)
    if width % heads:
        raise WeightsInvalid(f"{file} says that its {_NAME} of width {width} has {heads} heads: impossible")
    return heads
