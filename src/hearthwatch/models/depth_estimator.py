"""Depth estimator: which parts of a picture are near and which are far.

Network  Depth Anything V2 small (Yang et al. 2024, arXiv:2406.09414); any depth network whose card says which end of
         its output is near.
Weights  onnx-community/depth-anything-v2-small, Apache-2.0 (Base and Large are CC-BY-NC).
Input    the whole picture with its aspect, multiples of 14, the long side at most 518, bicubic, ImageNet mean and std.
         The reference processor makes the *short* side 518, which is three times the work on 16:9.
Output   (N, h, w), inverse depth: large is near. What is emitted is 0 = nearest to 1 = farthest, scaled per picture.
Limits   Order, not metres: distances come from a table and are marked as not calibrated (record "proximity-1").
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import pybase64
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement
from hearthwatch.adapter.base import ImageNetwork, Run, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import BadBox, InferenceFailed, WeightsInvalid
from hearthwatch.vision.boxes import Box, parse_box
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from hearthwatch.vision.png import encode_grey_png

Method = Literal["center", "mean", "median", "min"]
METHODS: tuple[Method, ...] = get_args(Method)

PROXIMITY_VERSION = "proximity-1"
#: The upper end of each word's share of the picture's depth.
PROXIMITY: tuple[tuple[float, str], ...] = (
    (0.15, "very close"),
    (0.35, "close"),
    (0.6, "moderate"),
    (0.8, "far"),
    (1.0, "very far"),
)
#: Metres that the nearest and the farthest point of a picture are taken for where nothing is calibrated: the ground
#: below a camera on a house wall, and the other side of a street.
NEAREST_M, FARTHEST_M = 2.0, 30.0
#: Share of a picture's points at either end that do not stretch its scale: networks leave a few wild values at the
#: edges (PyDNet's highest are ten times its 99th percentile), and everything else would be called very close.
OUTLIERS = 0.01
#: Points a side at which two maps are compared.
COMPARED_SIDE = 48


@dataclass(frozen=True, slots=True)
class ObjectDistance:
    """How far one thing is.

    Attributes:
        relative_depth: 0 = the nearest of the picture, 1 = the farthest.
        estimated_distance_m: metres, an estimate unless `calibrated`.
        proximity_label: a word of `PROXIMITY`.
        calibrated: whether the metres rest on anything but a table.
    """

    relative_depth: float
    estimated_distance_m: float
    proximity_label: str
    calibrated: bool = False

    def to_context_string(self) -> str:
        """One line."""
        doubt = "" if self.calibrated else ", not calibrated"
        return f"Distance: {self.proximity_label} (about {self.estimated_distance_m:.0f} m{doubt})"

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/object-distance`."""
        return {
            "estimated_distance_m": wire.finite(self.estimated_distance_m),
            "relative_depth": wire.finite(self.relative_depth),
            "proximity_label": self.proximity_label,
            "calibrated": self.calibrated,
        }


@dataclass(frozen=True, slots=True, eq=False)
class DepthResult:
    """The depth of one picture, and the part of it that a question is about.

    Attributes:
        depth: (h, w) float32, 0 = nearest, 1 = farthest, at the network's own resolution, the outermost `OUTLIERS`
            clipped; all 0 where the network gave one value everywhere, which says nothing about order.
        region: (x1, y1, x2, y2) of picture pixels that the map covers.
        raw_min: the network's own lowest value.
        raw_max: and its highest.
        inverse: the network's values fall with distance as 1 / distance does.
        box: picture pixels that the statistics are about; None: the whole map.
    """

    depth: Float = field(repr=False)
    region: tuple[float, float, float, float]
    raw_min: float
    raw_max: float
    inverse: bool = True
    box: Box | None = None

    @property
    def cells(self) -> Float:
        """The map inside `box`, at least one cell."""
        if self.box is None:
            return self.depth
        (left, right), (top, bottom) = self._columns(self.box.x1, self.box.x2), self._rows(self.box.y1, self.box.y2)
        return self.depth[top:bottom, left:right]

    @property
    def min_depth(self) -> float:
        return float(self.cells.min())

    @property
    def max_depth(self) -> float:
        return float(self.cells.max())

    @property
    def mean_depth(self) -> float:
        return float(self.cells.mean(dtype=np.float64))

    def inside(self, box: Box) -> DepthResult:
        """The same map, with the statistics of a box in picture pixels.

        Raises:
            BadBox: the box lies outside the map.
        """
        x1, y1, x2, y2 = self.region
        if min(box.x2, x2) <= max(box.x1, x1) or min(box.y2, y2) <= max(box.y1, y1):
            raise BadBox(f"box {list(box)} lies outside the picture, of which {list(self.region)} is here")
        return replace(self, box=box)

    def distance(self, method: Method = "center") -> ObjectDistance:
        """How far the box (or the whole picture) is.

        Args:
            method: of its cells, the one in the middle, the mean, the median, or the nearest.
        """
        relative = _REDUCTIONS[method](self.cells)
        return ObjectDistance(relative, estimated_metres(relative, inverse=self.inverse), proximity_label(relative))

    def to_context_string(self) -> str:
        """One line."""
        return self.distance("median").to_context_string()

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/depth-estimate`: the whole map, the statistics of the box where there is one."""
        return {
            "depth_map_base64": pybase64.b64encode(encode_grey_png(self.depth)).decode("ascii"),
            "min_depth": wire.finite(self.min_depth),
            "max_depth": wire.finite(self.max_depth),
            "mean_depth": wire.finite(self.mean_depth),
            "raw_min": wire.finite(self.raw_min),
            "raw_max": wire.finite(self.raw_max),
        }

    def _columns(self, low: float, high: float) -> tuple[int, int]:
        return _covering(low, high, self.region[0], self.region[2], self.depth.shape[1])

    def _rows(self, low: float, high: float) -> tuple[int, int]:
        return _covering(low, high, self.region[1], self.region[3], self.depth.shape[0])


class DepthAnswer(wire.Answer):
    """The depth of a picture; 0 = nearest, 1 = farthest, scaled per picture."""

    depth_map_base64: str = Field(description="An 8-bit grey PNG of the whole picture; black = nearest.")
    min_depth: float | None = Field(description="Of the box where one was sent, else 0 by construction.")
    max_depth: float | None = Field(description="Of the box where one was sent, else 1 by construction.")
    mean_depth: float | None = Field(description="Of the box where one was sent.")
    raw_min: float | None = Field(description="The network's own lowest value in the picture.")
    raw_max: float | None = Field(description="The network's own highest value in the picture.")


class DistanceAnswer(wire.Answer):
    """How far one thing is."""

    estimated_distance_m: float | None = Field(description="Metres; an estimate unless `calibrated`.")
    relative_depth: float | None = Field(description="0 = the nearest of the picture, 1 = the farthest.")
    proximity_label: str = Field(description=f"One of {', '.join(word for _, word in PROXIMITY)}.")
    calibrated: bool = Field(description="Whether the metres rest on a calibration or a metric network.")


#: How the cells of a box become one value.
_REDUCTIONS: Mapping[str, Callable[[Float], float]] = {
    "center": lambda cells: float(cells[cells.shape[0] // 2, cells.shape[1] // 2]),
    "mean": lambda cells: float(cells.mean(dtype=np.float64)),
    "median": lambda cells: float(np.median(cells)),
    "min": lambda cells: float(cells.min()),
}


def proximity_label(relative_depth: float) -> str:
    """The word for 0..1."""
    return next((word for end, word in PROXIMITY if relative_depth <= end), PROXIMITY[-1][1])


def estimated_metres(relative_depth: float, *, inverse: bool) -> float:
    """Metres for 0..1, between `NEAREST_M` and `FARTHEST_M`.

    Args:
        relative_depth: 0..1.
        inverse: the scale is linear in 1 / distance, as that of a network of inverse depth; else in the distance.
    """
    if inverse:
        return 1.0 / ((1.0 - relative_depth) / NEAREST_M + relative_depth / FARTHEST_M)
    return NEAREST_M + relative_depth * (FARTHEST_M - NEAREST_M)


def _rank_order(reference: DepthResult, candidate: DepthResult) -> float | None:
    """Spearman's rank correlation on a grid; None where one of them has no order, 0 for maps of different shapes."""
    if reference.depth.shape != candidate.depth.shape:
        return 0.0
    rows, columns = (np.linspace(0, n - 1, min(n, COMPARED_SIDE)).astype(int) for n in reference.depth.shape)
    ranks = [np.argsort(np.argsort(r.depth[np.ix_(rows, columns)], axis=None)) for r in (reference, candidate)]
    if ranks[0].size < 2 or reference.raw_min == reference.raw_max or candidate.raw_min == candidate.raw_max:
        return None
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


SPEC = Spec(
    name="depth_estimator",
    title="Depth estimator",
    scope=Scope.FRAME,
    priority=Priority.LOW,
    triggers=("person", "car", "truck", "bus", "motorcycle", "bicycle", "dog", "cat", "bird"),
    declared_mb=150,
    input=InputSpec(
        "pixel_values",
        (518, 518),
        scale=1 / 255,
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
        resize="aspect",
        interpolation="bicubic",
        multiple=14,
    ),
    agreement=Agreement("rank correlation", 0.99, _rank_order),
    aliases=("depth",),
    variables=("DEPTH_MODEL_PATH",),
)


class DepthAdapter(ImageNetwork[DepthResult]):
    """Any network of one depth map per picture."""

    SPEC = SPEC
    RESPONSE = DepthAnswer
    HEAVY_WIRE = True
    #: Of `/object-distance`.
    DISTANCE_RESPONSE: ClassVar[type[wire.Answer]] = DistanceAnswer

    def __init__(self, description: Description) -> None:
        super().__init__(description)
        file, card, outputs = description.graph.path.name, description.card, description.graph.outputs
        self.output = card.outputs["depth"].name if "depth" in card.outputs else (outputs[0].name if outputs else "")
        tensor = next((t for t in outputs if t.name == self.output), None)
        if tensor is None or len(tensor.shape) not in (3, 4):
            found = "absent" if tensor is None else f"of {len(tensor.shape)} axes"
            raise WeightsInvalid(f"{file} is no depth network: the output {self.output!r} is {found}; a map has 3 or 4")
        if self.input.resize == "letterbox":
            raise WeightsInvalid(f"{file}: a depth map cannot have padding in it; resize is squash or aspect")
        # Depth Anything, the documented network, gives inverse depth.
        self.near_is_large = (card.near or "large") == "large"

    def predict(self, images: Sequence[Image], run: Run) -> list[DepthResult]:
        """N images to N maps; one by one where each has an input of its own size."""
        if self.input.resize != "aspect":
            return super().predict(images, run)
        return [self.postprocess(run(self.preprocess([image])), [image])[0] for image in images]

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[DepthResult]:
        """(N, h, w), also with a channel of one, to the depth of N pictures."""
        raw = np.asarray(outputs[self.output], np.float32)
        if raw.ndim == 4 and 1 in (raw.shape[1], raw.shape[3]):
            raw = raw[:, 0] if raw.shape[1] == 1 else raw[..., 0]
        if raw.ndim != 3 or len(raw) != len(images) or 0 in raw.shape:
            raise InferenceFailed(f"{len(images)} pictures went in, and an output of {raw.shape} is no map for each")
        return [self._scaled(values, image) for values, image in zip(raw, images, strict=True)]

    def associate(self, result: DepthResult, boxes: Sequence[Box]) -> Sequence[DepthResult]:
        """The same map for every box, with the box's own statistics.

        Raises:
            BadBox: a box outside the picture.
        """
        return [result.inside(box) for box in boxes]

    def _scaled(self, raw: Float, image: Image) -> DepthResult:
        low, high = float(raw.min()), float(raw.max())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InferenceFailed("the depth map has values that are no numbers")
        if low == high:
            far = np.zeros(raw.shape, np.float32)
        else:
            # In double precision, where the difference of two large numbers is one too.
            values = raw.astype(np.float64)
            start, end = np.quantile(values, [OUTLIERS, 1 - OUTLIERS])
            if start == end:  # nothing but outliers differs
                start, end = low, high
            far = np.clip((values - start) / (end - start), 0.0, 1.0).astype(np.float32)
            far = 1 - far if self.near_is_large else far
        return DepthResult(far, image.region, low, high, inverse=self.near_is_large)


def _covering(low: float, high: float, start: float, end: float, cells: int) -> tuple[int, int]:
    """First cell and the one behind the last that a span of picture pixels touches: at least one."""
    per_pixel = cells / (end - start)
    first = math.floor(min(max((low - start) * per_pixel, 0.0), cells - 1))
    return first, max(math.ceil(min((high - start) * per_pixel, cells)), first + 1)


class DepthEstimator(Model[DepthResult]):
    """Estimate depth: `DepthEstimator("depth.onnx").estimate("photo.jpg").mean_depth`."""

    ADAPTER = DepthAdapter

    def estimate(self, image: PictureLike) -> DepthResult:
        """The depth of a picture."""
        return self._predict([image])[0]

    def estimate_object_distance(
        self,
        image: PictureLike,
        bbox: Sequence[float] | Mapping[str, float] | None = None,
        method: Method = "center",
    ) -> dict[str, Any]:
        """`{estimated_distance_m, relative_depth, proximity_label, calibrated}` of a box, or of the whole picture.

        Args:
            image: the whole picture, not a crop of the thing: depth is relative to what else is there.
            bbox: picture pixels; None: the whole picture.
            method: how the box's cells become one value.

        Raises:
            BadBox: no box, or one outside the picture.
            ValueError: another method.
        """
        if method not in METHODS:
            raise ValueError(f"there is no method {method!r}; the methods are {', '.join(METHODS)}")
        depth = self.estimate(image)
        return (depth if bbox is None else depth.inside(parse_box(bbox))).distance(method).to_wire()
