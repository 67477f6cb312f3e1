"""The building blocks of a YOLOv8 body, most of which YOLO11 has as well.

Written from the names, shapes and strides of checkpoints' tensors and from exported graphs (which convolution reads
what, and what is concatenated), and from the papers that the blocks go back to: CSP (Wang et al. 2019,
arXiv:1911.11929), spatial pyramid pooling (He et al. 2014, arXiv:1406.4729), SiLU (Elfwing et al. 2017,
arXiv:1702.03118). Attribute names are those of the checkpoints' keys.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

#: As the batch norms of the checkpoints carry it; torch's own default is 1e-5.
BATCH_NORM_EPS = 1e-3


class Conv(nn.Module):
    """Convolution that keeps the size (but for its stride), batch norm, SiLU or nothing.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: odd.
        stride: 1 or 2 in practice.
        groups: of channels that do not see each other; as many as there are makes it a depthwise one.
        silu: whether the activation follows.
        fused: the batch norm is folded into the convolution, which then has a bias.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        groups: int = 1,
        silu: bool = True,
        fused: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=fused)
        self.bn: nn.Module = nn.Identity() if fused else nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPS)
        self.act: nn.Module = nn.SiLU(inplace=True) if silu else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(maps)))

    def fuse(self) -> None:
        """Fold the batch norm into the convolution, in float64; nothing happens the second time."""
        bn = self.bn
        if not isinstance(bn, nn.BatchNorm2d) or bn.running_mean is None or bn.running_var is None:
            return
        weight, bias = fuse_conv_bn_weights(
            self.conv.weight.double(),
            None,
            bn.running_mean.double(),
            bn.running_var.double(),
            bn.eps,
            bn.weight.double(),
            bn.bias.double(),
        )
        asks = self.conv.weight.requires_grad
        self.conv.weight = nn.Parameter(weight.detach().float(), requires_grad=asks)
        self.conv.bias = nn.Parameter(bias.detach().float(), requires_grad=asks)
        self.bn = nn.Identity()


class Bottleneck(nn.Module):
    """Two 3 x 3 convolutions, beside a shortcut or not; as many channels come out as go in.

    Args:
        channels: that go in.
        hidden: channels between the two; None: as many.
        shortcut: whether what went in is added.
        fused: as in `Conv`.
    """

    def __init__(self, channels: int, *, hidden: int | None = None, shortcut: bool, fused: bool) -> None:
        super().__init__()
        between = channels if hidden is None else hidden
        self.cv1 = Conv(channels, between, 3, fused=fused)
        self.cv2 = Conv(between, channels, 3, fused=fused)
        self.shortcut = shortcut

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.cv2(self.cv1(maps))
        return maps + changed if self.shortcut else changed


class C2f(nn.Module):
    """Half the channels pass by, half go through a chain of bottlenecks; every link of the chain is concatenated."""

    def __init__(self, inputs: int, outputs: int, *, repeats: int, shortcut: bool, fused: bool) -> None:
        super().__init__()
        half = outputs // 2
        self.cv1 = Conv(inputs, 2 * half, fused=fused)
        self.cv2 = Conv((2 + repeats) * half, outputs, fused=fused)
        self.m = nn.ModuleList(Bottleneck(half, shortcut=shortcut, fused=fused) for _ in range(repeats))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        parts = list(self.cv1(maps).chunk(2, dim=1))
        for link in self.m:
            parts.append(link(parts[-1]))
        return self.cv2(torch.cat(parts, dim=1))


class SPPF(nn.Module):
    """Spatial pyramid pooling: one pooling three times over sees what three of growing size would."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, fused: bool) -> None:
        super().__init__()
        half = inputs // 2
        self.cv1 = Conv(inputs, half, fused=fused)
        self.cv2 = Conv(4 * half, outputs, fused=fused)
        self.m = nn.MaxPool2d(kernel, stride=1, padding=kernel // 2)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        first = self.cv1(maps)
        second = self.m(first)
        third = self.m(second)
        return self.cv2(torch.cat([first, second, third, self.m(third)], dim=1))


class Concat(nn.Module):
    """Several maps of one size, channel behind channel."""

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(maps, dim=1)
