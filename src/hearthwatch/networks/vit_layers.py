"""What Vision Transformers are made of, under the names that transformers gives them.

Paper  Dosovitskiy et al.: An Image is Worth 16x16 Words, ICLR 2021 (arXiv:2010.11929), section 3.1.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class Attention(nn.Module):
    """Every token looks at all of them (equations 5 to 8 of the paper, appendix A).

    Args:
        width: numbers of a token.
        heads: they divide the width.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.ModuleDict({name: nn.Linear(width, width) for name in ("query", "key", "value")})
        self.output = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to the same."""
        query, key, value = (
            self.attention[name](tokens).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self.output["dense"](seen.transpose(1, 2).flatten(2))


class TwoLayers(nn.Module):
    """A wide layer, GELU (Hendrycks and Gimpel 2016, arXiv:1606.08415) and the way back.

    Args:
        width: numbers of a token.
        inner: between the two layers.
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """(N, L, width) to the same."""
        return self.fc2(functional.gelu(self.fc1(tokens)))
