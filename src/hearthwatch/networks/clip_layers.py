"""What CLIP's transformers are made of, under the names that transformers gives them.

Papers  Radford et al. 2021 (arXiv:2103.00020), section 2.4; Dosovitskiy et al. 2020 (arXiv:2010.11929) for the patches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

DEFAULT_EPSILON = 1e-5


def _quick_gelu(values: torch.Tensor) -> torch.Tensor:
    """An approximation of GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415), with which OpenAI's CLIP was trained."""
    return values * torch.sigmoid(1.702 * values)


ACTIVATIONS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "quick_gelu": _quick_gelu,
    "gelu": functional.gelu,
    "gelu_pytorch_tanh": lambda values: functional.gelu(values, approximate="tanh"),
}


@dataclass(frozen=True, slots=True)
class TransformerPlan:
    """A transformer's sizes.

    Attributes:
        width: numbers per token.
        layers: blocks.
        heads: of each block's attention; they divide the width.
        inner: width inside a block's two-layer network.
        activation: between the two layers, by transformers' name.
        epsilon: of the layer norms.
    """

    width: int
    layers: int
    heads: int
    inner: int
    activation: str = "quick_gelu"
    epsilon: float = DEFAULT_EPSILON


class Transformer(nn.Module):
    """Blocks of attention and a two-layer network, each behind a layer norm and beside a shortcut."""

    def __init__(self, plan: TransformerPlan, *, causal: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Block(plan, causal=causal) for _ in range(plan.layers)])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to the same."""
        for layer in self.layers:
            tokens = layer(tokens)
        return tokens


class Patches(nn.Module):
    """Squares of a picture as tokens, behind one that stands for the whole: (N, 3, H, W) to (N, 1 + patches, width).

    Args:
        width: numbers of a token.
        size: pixels of a side of the picture.
        patch: pixels of a side of a square.
    """

    def __init__(self, width: int, size: int, patch: int) -> None:
        super().__init__()
        self.class_embedding = nn.Parameter(torch.zeros(width))
        self.patch_embedding = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.position_embedding = nn.Embedding((size // patch) ** 2 + 1, width)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        patches = self.patch_embedding(pixel_values).flatten(2).transpose(1, 2)
        whole = self.class_embedding.expand(patches.shape[0], 1, -1)
        return torch.cat([whole, patches], dim=1) + self.position_embedding.weight


class Block(nn.Module):
    """One layer of a `Transformer`: (N, L, width) to the same."""

    def __init__(self, plan: TransformerPlan, *, causal: bool) -> None:
        super().__init__()
        self.layer_norm1 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.self_attn = Attention(plan.width, plan.heads, causal=causal)
        self.layer_norm2 = nn.LayerNorm(plan.width, eps=plan.epsilon)
        self.mlp = TwoLayers(plan)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        tokens = tokens + self.self_attn(self.layer_norm1(tokens))
        return tokens + self.mlp(self.layer_norm2(tokens))


class Attention(nn.Module):
    """Every token looks at all of them, or where it is causal, at those before it: (N, L, width) to the same."""

    def __init__(self, width: int, heads: int, *, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.q_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._split(project(tokens)) for project in (self.q_proj, self.k_proj, self.v_proj))
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.out_proj(seen.transpose(1, 2).flatten(2))

    def _split(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return tokens.unflatten(2, (self.heads, -1)).transpose(1, 2)


class TwoLayers(nn.Module):
    """A wide layer and the way back: (..., width) to the same."""

    def __init__(self, plan: TransformerPlan) -> None:
        super().__init__()
        self.fc1 = nn.Linear(plan.width, plan.inner)
        self.fc2 = nn.Linear(plan.inner, plan.width)
        self.activation = ACTIVATIONS[plan.activation]

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.fc2(self.activation(self.fc1(tokens)))
