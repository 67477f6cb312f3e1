"""What YOLO11's body has and YOLOv8's has not: C3k2 blocks and attention over the cells of a map.

Written from the names and shapes of checkpoints' tensors, from an exported graph of the same blocks (which convolution
reads what, how the attention's numbers are divided, and by what they are scaled), from the overview of Khanam and
Hussain 2024 (arXiv:2410.17725), and from the papers that the blocks go back to: CSP (Wang et al. 2019,
arXiv:1911.11929), attention (Vaswani et al. 2017, arXiv:1706.03762), partial self-attention (Wang et al. 2024,
arXiv:2405.14458). Attribute names are those of the checkpoints' keys.
"""

from __future__ import annotations

import torch
from torch import nn

from hearthwatch.networks.yolov8_blocks import Bottleneck, Conv

#: Channels of one attention head, which decides how many there are.
HEAD_CHANNELS = 64


class C3k(nn.Module):
    """Two halves beside each other, one of them through two bottlenecks; as many channels come out as go in."""

    def __init__(self, channels: int, *, fused: bool) -> None:
        super().__init__()
        half = channels // 2
        self.cv1 = Conv(channels, half, fused=fused)
        self.cv2 = Conv(channels, half, fused=fused)
        self.cv3 = Conv(2 * half, channels, fused=fused)
        self.m = nn.Sequential(*(Bottleneck(half, shortcut=True, fused=fused) for _ in range(2)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.cv3(torch.cat([self.m(self.cv1(maps)), self.cv2(maps)], dim=1))


class C3k2(nn.Module):
    """As C2f, with links that are C3k blocks or bottlenecks of half their width.

    Args:
        inputs: channels.
        outputs: channels.
        hidden: channels of each part.
        repeats: links of the chain.
        nested: whether they are C3k blocks.
        fused: as in `Conv`.
    """

    def __init__(self, inputs: int, outputs: int, *, hidden: int, repeats: int, nested: bool, fused: bool) -> None:
        super().__init__()
        self.cv1 = Conv(inputs, 2 * hidden, fused=fused)
        self.cv2 = Conv((2 + repeats) * hidden, outputs, fused=fused)
        self.m = nn.ModuleList(
            C3k(hidden, fused=fused) if nested else Bottleneck(hidden, hidden=hidden // 2, shortcut=True, fused=fused)
            for _ in range(repeats)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        parts = list(self.cv1(maps).chunk(2, dim=1))
        for link in self.m:
            parts.append(link(parts[-1]))
        return self.cv2(torch.cat(parts, dim=1))


class Attention(nn.Module):
    """Every cell asks all cells. Keys and queries have half the channels of the values.

    Where a value came from would be lost, so a convolution over the values' own places is added (`pe`).
    """

    def __init__(self, channels: int, *, fused: bool) -> None:
        super().__init__()
        self.heads = channels // HEAD_CHANNELS
        self.value = channels // self.heads
        self.key = self.value // 2
        self.qkv = Conv(channels, self.heads * (2 * self.key + self.value), silu=False, fused=fused)
        self.proj = Conv(channels, channels, silu=False, fused=fused)
        self.pe = Conv(channels, channels, 3, groups=channels, silu=False, fused=fused)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        height, width = maps.shape[2:]
        queries, keys, values = (
            self.qkv(maps)
            .flatten(2)
            .unflatten(1, (self.heads, 2 * self.key + self.value))
            .split([self.key, self.key, self.value], dim=2)
        )
        weights = (queries.transpose(2, 3) @ keys * self.key**-0.5).softmax(dim=3)
        seen = (values @ weights.transpose(2, 3)).flatten(1, 2).unflatten(2, (height, width))
        return self.proj(seen + self.pe(values.flatten(1, 2).unflatten(2, (height, width))))


class PSABlock(nn.Module):
    """Attention and two 1 x 1 convolutions, each beside a shortcut."""

    def __init__(self, channels: int, *, fused: bool) -> None:
        super().__init__()
        self.attn = Attention(channels, fused=fused)
        self.ffn = nn.Sequential(
            Conv(channels, 2 * channels, fused=fused), Conv(2 * channels, channels, silu=False, fused=fused)
        )

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        asked = maps + self.attn(maps)
        return asked + self.ffn(asked)


class C2PSA(nn.Module):
    """Half the channels pass by, half go through a row of attention blocks; as many come out as go in."""

    def __init__(self, channels: int, *, repeats: int, fused: bool) -> None:
        super().__init__()
        half = channels // 2
        self.cv1 = Conv(channels, 2 * half, fused=fused)
        self.cv2 = Conv(2 * half, channels, fused=fused)
        self.m = nn.Sequential(*(PSABlock(half, fused=fused) for _ in range(repeats)))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        passed, asked = self.cv1(maps).chunk(2, dim=1)
        return self.cv2(torch.cat([passed, self.m(asked)], dim=1))
