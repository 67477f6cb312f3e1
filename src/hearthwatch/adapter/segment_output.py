"""The two outputs of a network that segments: a YOLO head with mask coefficients, and the prototypes that they weigh.

Ultralytics' exporter calls them `output0` and `output1`. They are told apart by their axes and not by their names, so
that any export will do: (N, 4 + classes + masks, anchors) or (N, detections, 6 + masks), and (N, masks, h, w).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hearthwatch.artifacts.description import Description
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.image import Float
from hearthwatch.vision.yolo import YoloHead

#: Prototypes of a stock network, for a graph that leaves their number open: YOLACT's k (arXiv:1904.02689), as every
#: segmentation plan of Ultralytics' states it.
USUAL_MASKS = 32


@dataclass(frozen=True, slots=True)
class SegmentOutput:
    """Where the answers of a segmentation network are.

    Attributes:
        detections: name of the output with boxes, scores and coefficients.
        prototypes: name of the output with the prototypes.
        head: of the detections; its `extra` is the number of prototypes.
        size: (height, width) of the network's input.
    """

    detections: str
    prototypes: str
    head: YoloHead
    size: tuple[int, int]

    @classmethod
    def of(cls, description: Description) -> SegmentOutput:
        """Find both outputs by their shapes.

        Raises:
            WeightsInvalid: it is no such network, or its prototypes do not fit its input.
        """
        file, outputs, size = description.graph.path.name, description.graph.outputs, description.input.size
        flat = [tensor for tensor in outputs if len(tensor.shape) == 3]
        maps = [tensor for tensor in outputs if len(tensor.shape) == 4]
        if len(outputs) != 2 or len(flat) != 1 or len(maps) != 1:
            shown = ", ".join(" x ".join("any" if side is None else str(side) for side in t.shape) for t in outputs)
            raise WeightsInvalid(
                f"{file} gives {shown or 'nothing'}; a YOLO segmentation network gives a head of three axes and mask "
                "prototypes of four"
            )
        masks, height, width = (maps[0].shape[1] or USUAL_MASKS), *maps[0].shape[2:]
        if height is not None and width is not None and not _fits(size, (height, width)):
            raise WeightsInvalid(
                f"{file}: its mask prototypes of {height} x {width} are no whole part of its input of {size[0]} x "
                f"{size[1]} px"
            )
        head = YoloHead.of(flat[0].shape, names=len(description.class_names), extra=masks, file=file)
        return cls(flat[0].name, maps[0].name, head, size)

    def read(self, outputs: Mapping[str, npt.NDArray[np.generic]], count: int) -> list[tuple[Float, Float]]:
        """For each of `count` pictures the raw head and the prototypes (masks, h, w), float32.

        Raises:
            InferenceFailed: answers of another shape, or some that are no numbers.
        """
        raw, maps = (np.asarray(outputs[name], np.float32) for name in (self.detections, self.prototypes))
        if raw.ndim != 3 or maps.ndim != 4 or {len(raw), len(maps)} != {count} or maps.shape[1] != self.head.extra:
            raise InferenceFailed(f"{count} pictures gave {raw.shape} and prototypes of {maps.shape}")
        if not _fits(self.size, maps.shape[2:]):
            raise InferenceFailed(f"prototypes of {maps.shape[2:]} are no whole part of an input of {self.size} px")
        if not (np.isfinite(raw).all() and np.isfinite(maps).all()):
            raise InferenceFailed(f"of {count} pictures, some answers are no numbers")
        return list(zip(raw, maps, strict=True))


def _fits(size: tuple[int, int], grid: tuple[int, ...]) -> bool:
    """Whether a (rows, columns) map divides an input into squares of whole pixels."""
    if 0 in grid or size[0] % grid[0] or size[1] % grid[1]:
        return False
    return size[0] // grid[0] == size[1] // grid[1]
