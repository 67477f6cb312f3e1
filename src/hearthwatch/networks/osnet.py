"""OSNet: omni-scale features for person re-identification.

Paper      Zhou, Yang, Cavallaro, Xiang: Omni-Scale Feature Learning for Person Re-Identification, ICCV 2019
           (arXiv:1905.00953); sections 3.1 to 3.4 and table 1.
Reference  torchreid (KaiyangZhou/deep-person-reid, MIT): `osnet_x1_0`, `osnet_x0_75`, `osnet_x0_5`, `osnet_x0_25`,
           whose key names these modules have.
Input      (N, 3, H, W) float32 RGB, ImageNet mean and std; trained at 256 x 128.
Output     (N, 512) float32, all 0 or more, not scaled to length 1: what the reference gives in evaluation mode.
Limits     The classifier over the training identities is left out, so `classifier.*` of a checkpoint is ignored. The
           variants with instance normalisation (IBN, AIN) are other networks and are refused.
"""

from __future__ import annotations

import torch
from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.weights import Tensors, fill, rows

#: Width multiplier to the channels of conv1 and of the three stages (table 1 of the paper, and the reference's family).
OSNET_CHANNELS: dict[float, tuple[int, int, int, int]] = {
    1.0: (64, 256, 384, 512),
    0.75: (48, 192, 288, 384),
    0.5: (32, 128, 192, 256),
    0.25: (16, 64, 96, 128),
}
OSNET_FEATURES = 512
#: (height, width) that the family is trained at.
OSNET_INPUT_SIZE = (256, 128)

#: A block works on a quarter of its output's channels, and its gate on a sixteenth of those (section 3.4).
_BOTTLENECK = 4
_GATE_REDUCTION = 16
#: The streams of a block stack 1, 2, 3 and 4 light convolutions: receptive fields of 3, 5, 7 and 9 (section 3.2).
_STREAMS = "abcd"
_CLASSIFIER = "classifier."


class OSNet(nn.Module):
    """A picture of one person to a feature vector.

    Args:
        channels: of conv1 and of the three stages.
        features: length of the feature vector.
    """

    def __init__(self, channels: tuple[int, int, int, int], features: int = OSNET_FEATURES) -> None:
        super().__init__()
        self.conv1 = _Conv(3, channels[0], 7, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.conv2 = _stage(channels[0], channels[1], shrink=True)
        self.conv3 = _stage(channels[1], channels[2], shrink=True)
        self.conv4 = _stage(channels[2], channels[3], shrink=False)
        self.conv5 = _Conv(channels[3], channels[3], 1)
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(channels[3], features), nn.BatchNorm1d(features), nn.ReLU())

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, features)."""
        maps = self.maxpool(self.conv1(pixel_values))
        maps = self.conv5(self.conv4(self.conv3(self.conv2(maps))))
        return self.fc(self.global_avgpool(maps).flatten(1))


def create_osnet(width: float) -> OSNet:
    """One of the family with fresh weights: 1.0, 0.75, 0.5 or 0.25.

    Raises:
        ValueError: another width.
    """
    if width not in OSNET_CHANNELS:
        raise ValueError(f"OSNet comes in widths {', '.join(f'x{known}' for known in OSNET_CHANNELS)}; not x{width}")
    return OSNet(OSNET_CHANNELS[width])


def create_osnet_x0_25() -> OSNet:
    """The smallest of the family, with fresh weights."""
    return create_osnet(0.25)


def osnet_from_state_dict(tensors: Tensors, *, file: str = "the checkpoint") -> OSNet:
    """The network whose tensors these are, of any width of the family, filled and ready to infer.

    Raises:
        WeightsInvalid: a variant with instance normalisation, another width, or tensors that do not fit.
    """
    kept = {key: array for key, array in tensors.items() if not key.startswith(_CLASSIFIER)}
    if any(".IN." in key for key in kept):
        raise WeightsInvalid(f"{file} is an OSNet with instance normalisation (IBN or AIN), which is not built here")
    first = rows(kept, "conv1.conv.weight", file=file, network="OSNet")
    stages = [rows(kept, f"conv{n}.0.conv3.conv.weight", file=file, network="OSNet") for n in (2, 3, 4)]
    channels = (first, stages[0], stages[1], stages[2])
    width = next((width for width, known in OSNET_CHANNELS.items() if known == channels), None)
    if width is None:
        known = "; ".join(f"x{width} {known}" for width, known in OSNET_CHANNELS.items())
        raise WeightsInvalid(f"{file} is an OSNet of {channels} channels; known are {known}")
    with torch.device("meta"):
        network = create_osnet(width)
    fill(network, kept, file=file, network=f"OSNet x{width}")
    return network


class _Conv(nn.Module):
    """Convolution, batch norm and, unless the block adds its shortcut first, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU() if relu else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.conv(maps)))


class _LightConv(nn.Module):
    """A 3 x 3 convolution as a pointwise one and then a depthwise one, with nothing between (section 3.1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn(self.conv2(self.conv1(maps))))


class _Gate(nn.Module):
    """The unified aggregation gate: how much of each channel a stream contributes, one gate for all streams."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.global_avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, channels // _GATE_REDUCTION, 1)
        self.relu = nn.ReLU()
        self.fc2 = nn.Conv2d(channels // _GATE_REDUCTION, channels, 1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps * torch.sigmoid(self.fc2(self.relu(self.fc1(self.global_avgpool(maps)))))


class _OmniScaleBlock(nn.Module):
    """The residual block of four streams (figure 3b of the paper)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        middle = outputs // _BOTTLENECK
        self.conv1 = _Conv(inputs, middle, 1)
        # The reference holds the first stream bare and the others as sequences; so do the key names.
        self.conv2a = _LightConv(middle)
        self.conv2b, self.conv2c, self.conv2d = (
            nn.Sequential(*(_LightConv(middle) for _ in range(depth))) for depth in range(2, len(_STREAMS) + 1)
        )
        self.gate = _Gate(middle)
        self.conv3 = _Conv(middle, outputs, 1, relu=False)
        self.downsample = _Conv(inputs, outputs, 1, relu=False) if inputs != outputs else nn.Identity()

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        narrow = self.conv1(maps)
        streams = [self.gate(stream(narrow)) for stream in (self.conv2a, self.conv2b, self.conv2c, self.conv2d)]
        fused = self.conv3(streams[0] + streams[1] + streams[2] + streams[3])
        return torch.relu(fused + self.downsample(maps))


def _stage(inputs: int, outputs: int, *, shrink: bool) -> nn.Sequential:
    layers: list[nn.Module] = [_OmniScaleBlock(inputs, outputs), _OmniScaleBlock(outputs, outputs)]
    if shrink:
        layers.append(nn.Sequential(_Conv(outputs, outputs, 1), nn.AvgPool2d(2, stride=2)))
    return nn.Sequential(*layers)
