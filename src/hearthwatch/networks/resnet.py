"""ResNet-18 and ResNet-50: image classifiers.

Paper      He, Zhang, Ren, Sun: Deep Residual Learning for Image Recognition, CVPR 2016 (arXiv:1512.03385); table 1.
Reference  torchvision (BSD-3-Clause): `resnet18`, `resnet50`, whose key names these modules have. As there, a
           bottleneck halves the picture in its 3 x 3 convolution ("v1.5") where the paper does so in the first 1 x 1.
           transformers' `ResNetForImageClassification` is the same network under other names.
Input      (N, 3, H, W) float32 RGB, ImageNet mean and std; trained at 224 x 224.
Output     (N, classes) float32 logits.
"""

from __future__ import annotations

import re

import torch
from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.weights import Tensors, fill, rows

#: Depth to the number of blocks in each of the four stages (table 1 of the paper).
RESNET_BLOCKS: dict[int, tuple[int, int, int, int]] = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}
#: Depths whose blocks are bottlenecks.
_BOTTLENECKS = frozenset({50})
#: Channels of the first layer; each of the four stages after the first doubles what its blocks have inside, and a
#: bottleneck gives four times as many.
RESNET_STEM = 64
_STAGES = 4
_EXPANSION = 4
#: (height, width) of the reference's evaluation crop.
RESNET_INPUT_SIZE = (224, 224)
IMAGENET_CLASSES = 1000
#: A name that only transformers' layout has.
HUGGING_FACE_KEY = "resnet.embedder.embedder.convolution.weight"
_HUGGING_FACE_BLOCK = re.compile(
    r"resnet\.encoder\.stages\.(\d+)\.layers\.(\d+)\.(layer\.(\d+)|shortcut)\.(convolution|normalization)\.(\w+)"
)
_HUGGING_FACE_ENDS = {
    "resnet.embedder.embedder.convolution.": "conv1.",
    "resnet.embedder.embedder.normalization.": "bn1.",
    "classifier.1.": "fc.",
}


class ResNet(nn.Module):
    """A picture to one logit per class.

    Args:
        depth: 18 or 50.
        classes: number of logits.
        stem: channels of the first layer; the published networks have `RESNET_STEM`.
    """

    def __init__(self, depth: int, classes: int = IMAGENET_CLASSES, stem: int = RESNET_STEM) -> None:
        super().__init__()
        bottleneck = depth in _BOTTLENECKS
        expansion = _EXPANSION if bottleneck else 1
        first, second, third, fourth = RESNET_BLOCKS[depth]
        self.conv1 = nn.Conv2d(3, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(stem, stem, first, stride=1, bottleneck=bottleneck)
        self.layer2 = _stage(stem * expansion, 2 * stem, second, stride=2, bottleneck=bottleneck)
        self.layer3 = _stage(2 * stem * expansion, 4 * stem, third, stride=2, bottleneck=bottleneck)
        self.layer4 = _stage(4 * stem * expansion, 8 * stem, fourth, stride=2, bottleneck=bottleneck)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * stem * expansion, classes)

    def forward(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """(N, 3, H, W) to (N, classes)."""
        maps = self.maxpool(self.relu(self.bn1(self.conv1(pixel_values))))
        maps = self.layer4(self.layer3(self.layer2(self.layer1(maps))))
        return self.fc(self.avgpool(maps).flatten(1))


def create_resnet(depth: int, classes: int = IMAGENET_CLASSES, *, stem: int = RESNET_STEM) -> ResNet:
    """A ResNet of 18 or 50 layers with fresh weights, of the published width or another one.

    Raises:
        ValueError: another depth, no class, or no channels.
    """
    if depth not in RESNET_BLOCKS or min(classes, stem) < 1:
        raise ValueError(f"ResNet comes in {_depths()} layers with 1 class or more; not {depth} with {classes}")
    return ResNet(depth, classes, stem)


def resnet_from_state_dict(tensors: Tensors, *, file: str = "the checkpoint") -> ResNet:
    """The network whose tensors these are, with as many classes as `fc` has, filled and ready to infer.

    Raises:
        WeightsInvalid: another depth, or tensors that do not fit.
    """
    blocks = tuple(_count(tensors, stage) for stage in range(1, _STAGES + 1))
    bottleneck = "layer1.0.conv3.weight" in tensors
    depth = next(
        (d for d, known in RESNET_BLOCKS.items() if known == blocks and (d in _BOTTLENECKS) == bottleneck), None
    )
    if depth is None:
        kind = "bottleneck" if bottleneck else "basic"
        raise WeightsInvalid(f"{file} is a ResNet of {blocks} {kind} blocks; known are those of {_depths()} layers")
    classes = rows(tensors, "fc.weight", file=file, network=f"ResNet-{depth}")
    with torch.device("meta"):
        network = create_resnet(depth, classes)
    fill(network, tensors, file=file, network=f"ResNet-{depth}")
    return network


def torchvision_names(tensors: Tensors) -> Tensors:
    """Tensors of transformers' `ResNetForImageClassification` by the names that torchvision has for them.

    A name that the network does not have stays as it is, so that the check of the names finds it.
    """
    return {_torchvision_name(key): array for key, array in tensors.items()}


def _torchvision_name(key: str) -> str:
    for start, ours in _HUGGING_FACE_ENDS.items():
        if key.startswith(start):
            return ours + key.removeprefix(start)
    match = _HUGGING_FACE_BLOCK.fullmatch(key)
    if match is None:
        return key
    stage, block, _, layer, kind, tensor = match.groups()
    is_convolution = kind == "convolution"
    if layer is None:
        part = f"downsample.{0 if is_convolution else 1}"
    else:
        part = f"{'conv' if is_convolution else 'bn'}{int(layer) + 1}"
    return f"layer{int(stage) + 1}.{block}.{part}.{tensor}"


class _BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut (figure 5 of the paper, left)."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, channels, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.relu(self.bn1(self.conv1(maps)))
        changed = self.bn2(self.conv2(changed))
        return self.relu(changed + self.downsample(maps))


class _Bottleneck(nn.Module):
    """1 x 1, 3 x 3 and 1 x 1 convolutions beside a shortcut (figure 5 of the paper, right)."""

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, channels * _EXPANSION, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels * _EXPANSION)
        self.relu = nn.ReLU()
        self.downsample = _shortcut(inputs, channels * _EXPANSION, stride)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        changed = self.relu(self.bn1(self.conv1(maps)))
        changed = self.relu(self.bn2(self.conv2(changed)))
        changed = self.bn3(self.conv3(changed))
        return self.relu(changed + self.downsample(maps))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    """The identity, or a projection where the shape changes (option B of the paper)."""
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))


def _stage(inputs: int, channels: int, blocks: int, *, stride: int, bottleneck: bool) -> nn.Sequential:
    block, outputs = (_Bottleneck, channels * _EXPANSION) if bottleneck else (_BasicBlock, channels)
    rest = [block(outputs, channels, 1) for _ in range(blocks - 1)]
    return nn.Sequential(block(inputs, channels, stride), *rest)


def _count(tensors: Tensors, stage: int) -> int:
    return len({key.split(".")[1] for key in tensors if key.startswith(f"layer{stage}.") and key.count(".") > 1})


def _depths() -> str:
    return " or ".join(str(depth) for depth in RESNET_BLOCKS)
