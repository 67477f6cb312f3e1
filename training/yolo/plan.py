"""A small network of the YOLOv8 layout, freshly initialised.

The layout is the stock one (five halvings, then up twice and down twice, heads at strides 8, 16 and 32) at a quarter of
its channels, as in the smallest stock network, but with no more in the deep layers than in those before: these have two
thirds of the stock network's weights, and there is less to know about drawn scenes. Narrower does not pay: eight
channels fill half a vector register, and half as many were measured to train 1.6 times as fast, not four times. The
branches of the heads are narrower as well: 64 channels for a box's distances are worth it with 80 classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hearthwatch.networks.yolov8 import YOLOv8
from hearthwatch.networks.yolov8_heads import Detect, HeadWidths, Pose
from hearthwatch.networks.yolov8_plan import BINS, read_plan

#: Before anything is learned an anchor says "nothing here" with this certainty (RetinaNet, Lin et al. 2017,
#: arXiv:1708.02002, section 4.1): else the first steps go into silencing thousands of empty anchors.
PRIOR = 0.01
#: How fast the first guess of a side's distance falls off, in bins: its mean is about 2.5 cells. With all distances
#: equally likely the first boxes are 15 cells wide, overlap nothing well and teach nothing.
FIRST_DISTANCE = 3.0


@dataclass(frozen=True, slots=True)
class Layout:
    """A network's shape.

    Attributes:
        classes: how many.
        keypoints: points per object; 0 for a plain detector.
        width: multiplier of the stock channels.
        most: stock channels that no layer exceeds, before they are multiplied.
        depth: multiplier of the stock repeats.
        branches: channels inside the heads' branches.
    """

    classes: int
    keypoints: int = 0
    width: float = 0.25
    most: int = 384
    depth: float = 0.33
    branches: HeadWidths = HeadWidths(box=32, classes=32, extra=64)  # noqa: RUF009 - frozen

    def plan(self) -> dict[str, Any]:
        """As a checkpoint would carry it."""
        body: list[Any] = [[-1, 1, "Conv", [64, 3, 2]]]
        for channels, repeats in ((128, 3), (256, 6), (512, 6), (1024, 3)):
            body += [[-1, 1, "Conv", [channels, 3, 2]], [-1, repeats, "C2f", [channels, True]]]
        body.append([-1, 1, "SPPF", [1024, 5]])
        head: list[Any] = []
        for other, channels in ((6, 512), (4, 256)):
            head += [[-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, other], 1, "Concat", [1]]]
            head.append([-1, 3, "C2f", [channels]])
        for other, channels in ((12, 256), (9, 512)):
            head += [[-1, 1, "Conv", [channels, 3, 2]], [[-1, other], 1, "Concat", [1]]]
            head.append([-1, 3, "C2f", [2 * channels]])
        last = ["Pose", ["nc", "kpt_shape"]] if self.keypoints else ["Detect", ["nc"]]
        head.append([[15, 18, 21], 1, *last])
        return {
            "nc": self.classes,
            "kpt_shape": [self.keypoints, 3],
            "depth_multiple": self.depth,
            "width_multiple": self.width,
            "max_channels": self.most,
            "backbone": body,
            "head": head,
        }


def fresh(layout: Layout, seed: int) -> YOLOv8:
    """A network with random weights; the same seed gives the same ones."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = YOLOv8(read_plan(layout.plan(), file="recipe"), file="recipe", widths=layout.branches)
    head = network.model[-1]
    assert isinstance(head, Detect)  # noqa: S101 - the layout ends with one
    head.dfl.conv.weight.requires_grad_(False)  # the distances themselves, which are no weights
    falling = -torch.arange(BINS) / FIRST_DISTANCE
    for box, names in zip(head.cv2, head.cv3, strict=True):
        _set(box[-1].bias, falling.repeat(4))
        _set(names[-1].bias, torch.tensor(math.log(PRIOR / (1 - PRIOR))))
    if isinstance(head, Pose):
        for points in head.cv4:
            # The middle of the cell, seen or not as likely.
            _set(points[-1].bias, torch.tensor([0.25, 0.25, 0.0]).repeat(head.shape[0]))
            nn.init.normal_(points[-1].weight, std=0.01)
    return network


def family(layouts: Sequence[Layout], seed: int) -> nn.ModuleList:
    """Networks that share all but their heads: the first one whole, and the heads of the others.

    Args:
        layouts: of the same body.
        seed: as of `fresh`.
    """
    return nn.ModuleList([fresh(layouts[0], seed), *(fresh(layout, seed).model[-1] for layout in layouts[1:])])


def member(tensors: Mapping[str, torch.Tensor], layouts: Sequence[Layout], place: int) -> YOLOv8:
    """One of a family, whole.

    Args:
        tensors: of the family.
        layouts: of the family.
        place: which.
    """
    network = fresh(layouts[place], 0)
    head = f"model.{len(network.model) - 1}."
    own = {key: tensors[f"0.{key}"] for key in network.state_dict() if not key.startswith(head)}
    prefix = f"0.{head}" if place == 0 else f"{place}."
    own |= {key: tensors[prefix + key.removeprefix(head)] for key in network.state_dict() if key.startswith(head)}
    network.load_state_dict(own)
    return network.eval().requires_grad_(requires_grad=False)


def _set(parameter: torch.Tensor, value: torch.Tensor) -> None:
    with torch.no_grad():
        parameter.copy_(value)
