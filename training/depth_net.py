"""A small network of one depth map per picture, and how it is trained.

Network   an encoder of five halvings with residual blocks, and a decoder that joins its levels again (Ronneberger et
          al. 2015, arXiv:1505.04597). It is told where in the picture it is: cameras hang level, and the ground's depth
          follows from the row.
Input     (N, 3, H, W), both sides multiples of 32.
Output    (N, H/2, W/2), 1 / metres: large is near.
Loss      on the logarithm: the difference without most of its mean (Eigen et al. 2014, arXiv:1406.2283), and its slopes
          at four scales, which keep the edges (MiDaS, Ranftl et al. 2020, arXiv:1907.01341).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional

from hearthwatch.vision.image import UInt8
from training.augment import normalised
from training.loop import Moment, mixed_precision, run, warm_then_cosine
from training.recipe import Workplace

#: Metres between which depths are told apart; the sky counts as the farther.
NEAREST_M, FARTHEST_M = 0.5, 80.0
#: Channels after each halving.
CHANNELS = (16, 24, 40, 64, 80)
#: Before which halving the network is told where it is; earlier, the positions would be a quarter of its file.
PLACED_AT = 2
#: Share of the mean difference that is forgiven: order matters more than metres.
FORGIVEN = 0.5
SLOPE_SCALES = 4
SLOPE_WEIGHT = 0.5


class DepthNet(nn.Module):
    """A picture to inverse depth."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS) -> None:
        super().__init__()
        inputs = [3, *channels[:-1]]
        inputs[PLACED_AT] += 2
        self.down = nn.ModuleList(
            nn.Sequential(_conv(a, b, stride=2), *([_Residual(b)] if level else []))
            for level, (a, b) in enumerate(zip(inputs, channels, strict=True))
        )
        self.context = nn.Conv2d(channels[-1], channels[-1], 1)
        widths = channels[::-1]
        self.up = nn.ModuleList(_conv(deep + skip, skip) for deep, skip in pairwise(widths))
        self.head = nn.Conv2d(channels[0], 1, 3, padding=1)

    def logarithm(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, H/2, W/2): the logarithm of 1 / metres."""
        maps = pixel_values
        levels = []
        for level, down in enumerate(self.down):
            maps = down(torch.cat([maps, _positions(maps)], dim=1) if level == PLACED_AT else maps)
            levels.append(maps)
        maps = maps + self.context(maps.mean(dim=(2, 3), keepdim=True))
        for up, skip in zip(self.up, levels[-2::-1], strict=True):
            larger = functional.interpolate(maps, size=skip.shape[2:], mode="bilinear", align_corners=False)
            maps = up(torch.cat([larger, skip], dim=1))
        return self.head(maps)[:, 0] - 2.0  # a street's mean, e^2 m, is where the weights begin

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, H/2, W/2): 1 / metres."""
        return torch.exp(self.logarithm(pixel_values).clamp(-6.0, 2.0))


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """Pictures with their depth.

    Attributes:
        pixels: (n, h, w, 3) at the network's input size.
        depth: (n, h/2, w/2) metres, at its output's.
    """

    pixels: UInt8
    depth: npt.NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class DepthPlan:
    """How it is trained.

    Attributes:
        steps: batches.
        pictures: in a batch.
        rate: of AdamW, at its highest.
        gain: of the brightness, as a factor of up to 1 + gain or down to its inverse.
    """

    steps: int
    pictures: int = 8
    rate: float = 3e-3
    gain: float = 0.25


def train_depth(network: DepthNet, views: Views, plan: DepthPlan, workplace: Workplace) -> Path:
    """Train the network; the checkpoint is its state."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=1e-2)

    def step(moment: Moment) -> float:
        for group in optimizer.param_groups:
            group["lr"] = plan.rate * warm_then_cosine(moment.share)
        pixels, target = _batch(views, plan, np.random.default_rng([3, moment.step]))
        network.train()
        with mixed_precision():
            predicted = network.logarithm(pixels.to(memory_format=torch.channels_last))
        loss = depth_loss(predicted.float(), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    parts = {"optimizer": optimizer}
    return run(workplace, title="training", steps=plan.steps, network=network, parts=parts, step=step)


def depth_loss(predicted: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """(N, h, w) logarithms of inverse depth, both."""
    difference = predicted - target
    mean = difference.mean(dim=(1, 2), keepdim=True)
    loss = (difference - FORGIVEN * mean).abs().mean()
    for scale in range(SLOPE_SCALES):
        coarse = difference[:, :: 2**scale, :: 2**scale]
        across, along = coarse.diff(dim=2).abs().mean(), coarse.diff(dim=1).abs().mean()
        loss = loss + SLOPE_WEIGHT / SLOPE_SCALES * (across + along)
    return loss


def _batch(views: Views, plan: DepthPlan, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    chosen = rng.choice(len(views.pixels), min(plan.pictures, len(views.pixels)), replace=False)
    mirror = rng.random(len(chosen)) < 0.5
    gain = np.exp(rng.uniform(-1, 1, len(chosen)) * np.log1p(plan.gain)).astype(np.float32)
    values = np.clip(views.pixels[chosen].astype(np.float32) / np.float32(255) * gain[:, None, None, None], 0, 1)
    depth = np.clip(views.depth[chosen].astype(np.float32), NEAREST_M, FARTHEST_M)
    values[mirror], depth[mirror] = values[mirror, :, ::-1], depth[mirror, :, ::-1]
    pixels = torch.from_numpy(np.ascontiguousarray(normalised(values).transpose(0, 3, 1, 2)))
    return pixels, torch.from_numpy(-np.log(depth))


def _positions(maps: torch.Tensor) -> torch.Tensor:
    """(N, 2, H, W): the column and the row of each cell, -1 to 1."""
    count, _, height, width = maps.shape
    rows = torch.linspace(-1, 1, height, dtype=maps.dtype).view(1, 1, height, 1)
    columns = torch.linspace(-1, 1, width, dtype=maps.dtype).view(1, 1, 1, width)
    return torch.cat([columns.expand(count, 1, height, width), rows.expand(count, 1, height, width)], dim=1)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class _Residual(nn.Module):
    """Two convolutions beside a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(maps + self.norm(self.second(self.first(maps))))
