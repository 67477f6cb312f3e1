"""YOLOv8 and YOLO11: detection, pose and segmentation, from the plan that a checkpoint carries.

Network    YOLOv8 (Jocher et al. 2023) and YOLO11 (2024), documented at docs.ultralytics.com; there are no papers of
           theirs. Written from that documentation, from the papers named in `yolov8_blocks`, `yolo11_blocks` and
           `yolov8_heads`, and from the names and shapes of the tensors of checkpoints and of exported graphs. No source
           of the reference was read.
Input      (N, 3, H, W) float32 RGB in 0..1, H and W multiples of `YOLOv8.stride`.
Output     As the reference's exporter gives it: detect (N, 4 + classes, A) with cx, cy, w, h in input pixels and
           probabilities; pose adds key points of x, y and visibility; segment adds mask coefficients, and a second
           output (N, masks, H / 4, W / 4) of prototypes.
Limits     Other generations are other networks and are refused with the module that is not known.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from hearthwatch.networks.weights import Tensors, fill
from hearthwatch.networks.yolov8_blocks import Concat, Conv
from hearthwatch.networks.yolov8_heads import Detect, HeadWidths
from hearthwatch.networks.yolov8_layers import LayerMaker
from hearthwatch.networks.yolov8_plan import Plan, exportable, read_plan, show

#: (height, width) of the stock networks; a checkpoint's own training size is in its `train_args`.
YOLO_INPUT_SIZE = (640, 640)
#: Activations of a convolution by the classes that a file names.
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "torch.nn.modules.activation.SiLU": nn.SiLU,
    "torch.nn.modules.linear.Identity": nn.Identity,
}
#: A plan's generation for people.
NAMES = {"yolov8": "YOLOv8", "yolo11": "YOLO11"}
#: The head that a plan ends with, and what it is for.
TASKS = {"Detect": "detect", "Pose": "pose", "Segment": "segment"}


class YOLOv8(nn.Module):
    """A network as its plan says, with fresh weights.

    Args:
        plan: as read.
        file: for messages.
        widths: channels inside the head's branches; where unknown, those of the stock files.
        fused: every batch norm is folded into its convolution.
        keys: names of the tensors that will fill it, which say more than the plan; none where there are none yet.

    Attributes:
        task: detect, pose or segment.
        generation: yolov8 or yolo11.
        stride: H and W of the input are multiples of it.

    Raises:
        WeightsInvalid: arguments of a layer that make no network.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        file: str,
        widths: HeadWidths | None = None,
        fused: bool = False,
        keys: Collection[str] = frozenset(),
    ) -> None:
        super().__init__()
        maker = LayerMaker(plan, file=file, widths=widths or HeadWidths(), fused=fused, keys=keys)
        self.model = nn.ModuleList(maker.make(layer) for layer in plan.layers)
        self.task = TASKS[plan.layers[-1].module]
        self.generation = plan.generation
        self.stride = maker.stride
        self._sources = tuple(layer.sources for layer in plan.layers)
        # Read by a layer that does not follow directly; all others are given free as soon as the next layer has run.
        self._kept = frozenset(s for i, sources in enumerate(self._sources) for s in sources if s != i - 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        """(N, 3, H, W) to what the head gives."""
        return self.model[-1](self.levels(images))

    def levels(self, images: torch.Tensor) -> list[torch.Tensor]:
        """The maps that the head reads, finest first."""
        kept: dict[int, torch.Tensor] = {}
        inputs, last = [images], images
        for index, (layer, sources) in enumerate(zip(self.model, self._sources, strict=True)):
            inputs = [last if source == index - 1 else kept[source] for source in sources]
            if isinstance(layer, Detect):  # the last one, as every plan ends
                break
            last = layer(inputs if isinstance(layer, Concat) else inputs[0])
            if index in self._kept:
                kept[index] = last
        return inputs

    def follow(self, classes: Mapping[str, str], *, file: str) -> None:
        """Activate as the file does, which neither plan nor tensors say.

        What SPPF pools has an activation in older files, and none in the exported graph of a later one.

        Args:
            classes: of the file's modules by their paths; where one is not there, it is taken for the usual one.
            file: for messages.

        Raises:
            WeightsInvalid: an activation that is not built here.
        """
        for path, module in self.named_modules():
            name = classes.get(f"{path}.act") if isinstance(module, Conv) else None
            if name is None:
                continue
            kind = ACTIVATIONS.get(name)
            if kind is None:
                raise exportable(file, f"its activation {path}.act is {show(name)}")
            if not isinstance(module.act, kind):
                module.act = kind()

    def fuse(self) -> None:
        """Fold every batch norm into its convolution; the answers stay the same but for rounding."""
        for module in self.modules():
            if isinstance(module, Conv):
                module.fuse()


def yolov8_from_state_dict(
    tensors: Tensors,
    yaml: Mapping[str, Any],
    *,
    file: str = "the checkpoint",
    fuse: bool = True,
    modules: Mapping[str, str] | None = None,
) -> YOLOv8:
    """The network whose tensors and plan these are, filled and ready to infer.

    Args:
        tensors: by the checkpoint's key names, with batch norms or with these folded already.
        yaml: the plan that the checkpoint carries.
        file: for messages.
        fuse: fold the batch norms.
        modules: classes of the file's modules by their paths, where it tells them.

    Raises:
        WeightsInvalid: another network, or tensors that do not fit the plan.
    """
    plan = read_plan(yaml, file=file)
    head = f"model.{plan.layers[-1].index}"
    with torch.device("meta"):
        network = YOLOv8(
            plan,
            file=file,
            widths=HeadWidths.of(tensors, head),
            fused=not any(key.endswith(".bn.weight") for key in tensors),
            keys=tensors.keys(),
        )
    network.follow(modules or {}, file=file)
    fill(network, tensors, file=file, network=f"{NAMES[plan.generation]} of the plan it carries ({network.task})")
    if fuse:
        network.fuse()
    return network
