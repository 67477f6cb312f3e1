"""The heads of YOLOv8 and YOLO11: boxes and classes, and what pose and segmentation add to them.

Three levels of maps (strides 8, 16 and 32 in the stock networks) are read by branches of three convolutions each:
`cv2` gives the box, `cv3` the classes, `cv4` the task's own numbers. Every cell of a level is one *anchor*, its centre
half a cell from its corner. A side of a box is a distribution over 16 distances, in cells, whose mean counts
(distribution focal loss, Li et al. 2020, arXiv:2006.04388); prototypes and coefficients of a mask are YOLACT's (Bolya
et al. 2019, arXiv:1904.02689). Written from the names and shapes of checkpoints' tensors and from exported graphs,
whose constants hold the anchors and the strides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from hearthwatch.networks.weights import Tensors
from hearthwatch.networks.yolov8_blocks import Conv
from hearthwatch.networks.yolov8_plan import BINS, MAX_NUMBER


@dataclass(frozen=True, slots=True)
class HeadWidths:
    """Channels inside the branches of a head; 0 where they are not known.

    Attributes:
        box: of `cv2`.
        classes: of `cv3`.
        extra: of `cv4`, where the task has one.
        prototypes: of the mask prototypes, where the task has them.
        light: `cv3` is of pairs of a depthwise and a 1 x 1 convolution, as in YOLO11.
    """

    box: int = 0
    classes: int = 0
    extra: int = 0
    prototypes: int = 0
    light: bool = False

    @classmethod
    def usual(
        cls, finest: int, *, classes: int, extra: int = 0, prototypes: int = 0, light: bool = False
    ) -> HeadWidths:
        """Those of the stock files, from the channels of the finest level: their shapes follow this rule."""
        return cls(max(finest // 4, 4 * BINS), max(finest, classes), max(finest // 4, extra), prototypes, light)

    @classmethod
    def of(cls, tensors: Tensors, head: str) -> HeadWidths:
        """As the tensors have them.

        Args:
            tensors: of the whole checkpoint.
            head: the head's prefix, such as "model.22".
        """
        light = f"{head}.cv3.0.0.1.conv.weight" in tensors
        first = [f"{head}.cv2.0.0", f"{head}.cv3.0.0.1" if light else f"{head}.cv3.0.0", f"{head}.cv4.0.0"]
        names = [f"{name}.conv.weight" for name in (*first, f"{head}.proto.cv1")]
        shapes = [tensors[name].shape if name in tensors else (0,) for name in names]
        box, classes, extra, prototypes = (shape[0] if shape and 0 < shape[0] <= MAX_NUMBER else 0 for shape in shapes)
        return cls(box, classes, extra, prototypes, light)

    def over(self, other: HeadWidths) -> HeadWidths:
        """These, and the other's where these are not known."""
        return HeadWidths(
            self.box or other.box,
            self.classes or other.classes,
            self.extra or other.extra,
            self.prototypes or other.prototypes,
            self.light or other.light,
        )


class Raw(NamedTuple):
    """What the branches of a head say, before it is decoded: what a training compares with its targets.

    Attributes:
        boxes: (N, 4 * BINS, A), for each side in turn the logits of its distances.
        classes: (N, classes, A) logits.
        extra: (N, numbers, A) of `cv4`; no rows where the task has none.
        corners: (2, A) x, y of each anchor's cell corner, in cells.
        strides: (1, A) how many input pixels a cell is.
    """

    boxes: torch.Tensor
    classes: torch.Tensor
    extra: torch.Tensor
    corners: torch.Tensor
    strides: torch.Tensor


class Detect(nn.Module):
    """Boxes and one probability per class.

    Args:
        classes: how many.
        channels: of each level, finest first.
        strides: of each level, in input pixels.
        widths: inside the branches.
        fused: as in `Conv`.
    """

    def __init__(
        self, classes: int, channels: Sequence[int], strides: Sequence[int], widths: HeadWidths, *, fused: bool
    ) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.cv2 = _branches(channels, widths.box, 4 * BINS, fused=fused)
        branches = _light_branches if widths.light else _branches
        self.cv3 = branches(channels, widths.classes, classes, fused=fused)
        self.dfl = DFL()

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """The levels' maps to (N, 4 + classes, A): cx, cy, w, h in input pixels and probabilities in 0..1."""
        return self._detections(self.raw(levels))

    def raw(self, levels: list[torch.Tensor]) -> Raw:
        """The levels' maps to what every branch says about every anchor."""
        return self._boxes_and_classes(levels)

    def _boxes_and_classes(self, levels: list[torch.Tensor]) -> Raw:
        boxes, classes = _gather(self.cv2, levels), _gather(self.cv3, levels)
        return Raw(boxes, classes, classes[:, :0], *_cells(levels, self.strides))

    def _detections(self, raw: Raw) -> torch.Tensor:
        distances = self.dfl(raw.boxes)
        low = raw.corners + 0.5 - distances[:, :2]
        high = raw.corners + 0.5 + distances[:, 2:]
        boxes = torch.cat([(low + high) / 2, high - low], dim=1) * raw.strides
        return torch.cat([boxes, raw.classes.sigmoid()], dim=1)


class Pose(Detect):
    """Boxes, probabilities, and key points of `numbers` each: x, y and, where it is 3, whether it can be seen."""

    def __init__(
        self,
        classes: int,
        points: int,
        numbers: int,
        channels: Sequence[int],
        strides: Sequence[int],
        widths: HeadWidths,
        *,
        fused: bool,
    ) -> None:
        super().__init__(classes, channels, strides, widths, fused=fused)
        self.shape = (points, numbers)
        self.cv4 = _branches(channels, widths.extra, points * numbers, fused=fused)

    def forward(self, levels: list[torch.Tensor]) -> torch.Tensor:
        """(N, 4 + classes + points * numbers, A): x and y in input pixels, visibility in 0..1."""
        raw = self.raw(levels)
        points = raw.extra.unflatten(1, self.shape)
        # From the cell's corner, where a box counts from its centre: so the constants of exported graphs have it.
        places = (points[:, :, :2] * 2 + raw.corners) * raw.strides
        decoded = torch.cat([places, points[:, :, 2:].sigmoid()], dim=2).flatten(1, 2)
        return torch.cat([self._detections(raw), decoded], dim=1)

    def raw(self, levels: list[torch.Tensor]) -> Raw:
        return self._boxes_and_classes(levels)._replace(extra=_gather(self.cv4, levels))


class Segment(Detect):
    """Boxes, probabilities, and per anchor the coefficients of a sum of mask prototypes."""

    def __init__(
        self,
        classes: int,
        masks: int,
        channels: Sequence[int],
        strides: Sequence[int],
        widths: HeadWidths,
        *,
        fused: bool,
    ) -> None:
        super().__init__(classes, channels, strides, widths, fused=fused)
        self.proto = Proto(channels[0], widths.prototypes, masks, fused=fused)
        self.cv4 = _branches(channels, widths.extra, masks, fused=fused)

    def forward(self, levels: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, 4 + classes + masks, A), and the prototypes (N, masks, H, W) at half the finest level's stride."""
        raw = self.raw(levels)
        return torch.cat([self._detections(raw), raw.extra], dim=1), self.proto(levels[0])

    def raw(self, levels: list[torch.Tensor]) -> Raw:
        return self._boxes_and_classes(levels)._replace(extra=_gather(self.cv4, levels))


class DFL(nn.Module):
    """Four distributions over `BINS` distances to their means, in cells."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(BINS, 1, 1, bias=False)
        self.conv.weight = nn.Parameter(torch.arange(BINS, dtype=torch.float32).reshape(1, BINS, 1, 1))

    def forward(self, raw: torch.Tensor) -> torch.Tensor:
        """(N, 4 * BINS, A) to (N, 4, A): left, top, right, bottom."""
        # A product and a sum, not the convolution that the key's name speaks of: a runtime in bf16 computes
        # convolutions in bf16, which would round a distance of 12 cells to a sixteenth of one, 2 px at stride 32.
        shares = raw.float().unflatten(1, (4, BINS)).softmax(dim=2)
        return (shares * self.conv.weight.reshape(1, 1, BINS, 1)).sum(dim=2)


class Proto(nn.Module):
    """The finest level's maps to mask prototypes of twice its size."""

    def __init__(self, inputs: int, channels: int, masks: int, *, fused: bool) -> None:
        super().__init__()
        self.cv1 = Conv(inputs, channels, 3, fused=fused)
        self.upsample = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.cv2 = Conv(channels, channels, 3, fused=fused)
        self.cv3 = Conv(channels, masks, fused=fused)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.cv3(self.cv2(self.upsample(self.cv1(maps))))


def _branches(channels: Sequence[int], hidden: int, outputs: int, *, fused: bool) -> nn.ModuleList:
    return nn.ModuleList(
        nn.Sequential(
            Conv(level, hidden, 3, fused=fused), Conv(hidden, hidden, 3, fused=fused), nn.Conv2d(hidden, outputs, 1)
        )
        for level in channels
    )


def _light_branches(channels: Sequence[int], hidden: int, outputs: int, *, fused: bool) -> nn.ModuleList:
    def pair(inputs: int) -> nn.Sequential:
        return nn.Sequential(Conv(inputs, inputs, 3, groups=inputs, fused=fused), Conv(inputs, hidden, fused=fused))

    return nn.ModuleList(nn.Sequential(pair(level), pair(hidden), nn.Conv2d(hidden, outputs, 1)) for level in channels)


def _gather(branches: nn.ModuleList, levels: list[torch.Tensor]) -> torch.Tensor:
    """(N, outputs, A): each level through its branch, all anchors in a row."""
    rows = [branch(maps).flatten(2) for branch, maps in zip(branches, levels, strict=True)]
    return torch.cat(rows, dim=2)


def _cells(levels: list[torch.Tensor], strides: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """(2, A) x, y of each anchor's cell corner, in cells, and (1, A) how many input pixels a cell is.

    In float32 whatever the maps are in, and with them all coordinates: bf16 counts by 4 from 512 px on.
    """
    corners, sizes = [], []
    for maps, stride in zip(levels, strides, strict=True):
        height, width = maps.shape[2:]
        x = torch.arange(width, device=maps.device, dtype=torch.float32).expand(height, width)
        y = torch.arange(height, device=maps.device, dtype=torch.float32).unsqueeze(1).expand(height, width)
        corners.append(torch.stack([x.flatten(), y.flatten()]))
        sizes.append(torch.full((1, height * width), float(stride), device=maps.device, dtype=torch.float32))
    return torch.cat(corners, dim=1), torch.cat(sizes, dim=1)
