"""Depth estimator: which parts of a picture are near and which are far.

Network  Depth Anything V2 small (Yang et al. 2024, arXiv:2406.09414), relative or metric; any depth network whose card
         says which end of its output is near, and whether it is in metres.
Weights  onnx-community/depth-anything-v2-small or depth-anything/Depth-Anything-V2-Small-hf, Apache-2.0 (Base and Large
         are CC-BY-NC). In metres: depth-anything/Depth-Anything-V2-Metric-Outdoor-Small-hf (to 80 m) and -Indoor- (20).
Input    the whole picture with its aspect, multiples of 14, the long side at most 518, bicubic, ImageNet mean and std.
         The reference processor makes the *short* side 518, which is three times the work on 16:9.
Output   (N, h, w), inverse depth (large is near) or metres. What is emitted is 0 = nearest to 1 = farthest, scaled per
         picture.
Limits   Order, not metres: without a metric network and without a calibration of the camera, distances come from a
         table and are marked as not calibrated (record "proximity-1"). A relative network may choose its factor and
         shift anew when the view changes, so a calibration holds for a camera that stays where it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self, get_args

import numpy as np
import pybase64
from pydantic import Field

from hearthwatch.adapter import wire
from hearthwatch.adapter.agreement import Agreement
from hearthwatch.adapter.base import ImageNetwork, Run, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.description import Description
from hearthwatch.errors import BadBox, BadCalibration, InferenceFailed, WeightsInvalid
from hearthwatch.vision.boxes import Box, parse_box
from hearthwatch.vision.calibration import DepthCalibration, calibrate
from hearthwatch.vision.decode import PictureLike, decode
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec
from hearthwatch.vision.png import encode_grey_png
from hearthwatch.vision.proximity import PROXIMITY, estimated_metres, proximity_label

Method = Literal["center", "mean", "median", "min"]
METHODS: tuple[Method, ...] = get_args(Method)

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
        estimated_distance_m: metres, an estimate unless `calibrated`; None beyond what the calibration tells.
        proximity_label: a word of `PROXIMITY`.
        calibrated: whether the metres rest on a metric network or a calibration, and not on a table.
    """

    relative_depth: float
    estimated_distance_m: float | None
    proximity_label: str
    calibrated: bool = False

    def to_context_string(self) -> str:
        """One line."""
        if self.estimated_distance_m is None:
            return f"Distance: {self.proximity_label} (beyond what the calibration tells)"
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

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/object-distance` read again."""
        metres = told["estimated_distance_m"]
        return cls(wire.number(told["relative_depth"]), metres, told["proximity_label"], told["calibrated"])


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
        raw: (h, w) the network's own values; None where they were not kept, and nothing can be calibrated.
        metric: they are metres.
        space: which network gave them.
        told: `distance` by method, as the process said that has the network's own values; empty of a map of our own.
    """

    depth: Float = field(repr=False)
    region: tuple[float, float, float, float]
    raw_min: float
    raw_max: float
    inverse: bool = True
    box: Box | None = None
    raw: Float | None = field(default=None, repr=False)
    metric: bool = False
    space: str = ""
    told: Mapping[str, ObjectDistance] = field(default_factory=dict, repr=False)

    @property
    def cells(self) -> Float:
        """The map inside `box`, at least one cell."""
        return self._inside(self.depth)

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
        return replace(self, box=box, told={})

    def distance(self, method: Method = "center", calibration: DepthCalibration | None = None) -> ObjectDistance:
        """How far the box (or the whole picture) is.

        Args:
            method: of its cells, the one in the middle, the mean, the median, or the nearest.
            calibration: of the camera; None: metres are the network's own where it is metric, else an estimate.

        Raises:
            BadCalibration: one that was made with another network.
        """
        if calibration is None and method in self.told:
            return self.told[method]
        relative = _REDUCTIONS[method](self.cells)
        if calibration is not None:
            self._check(calibration)
            metres = calibration.metres(self.value(method))
        elif self.metric:
            own = self.value(method)
            metres = own if own > 0 else None
        else:
            estimate = estimated_metres(relative, inverse=self.inverse)
            return ObjectDistance(relative, estimate, proximity_label(relative))
        return ObjectDistance(relative, metres, proximity_label(relative), calibrated=True)

    def value(self, method: Method = "center") -> float:
        """The network's own value for the box (or the whole picture), as `distance` reduces its cells.

        Raises:
            BadCalibration: the network's values were not kept.
        """
        if self.raw is None:
            raise BadCalibration("the network's own values were not kept, so nothing can be said in metres")
        cells = self._inside(self.raw)
        return -_REDUCTIONS[method](-cells) if self.inverse else _REDUCTIONS[method](cells)

    def calibrate(self, known: Sequence[tuple[Box, float]], method: Method = "median") -> DepthCalibration:
        """A calibration of the camera, from things in this picture whose distance somebody measured.

        Args:
            known: (box in picture pixels, metres) of two things or more.
            method: how each box's cells become one value; use the same for asking.

        Raises:
            BadBox: a box outside the picture.
            BadCalibration: they give no line.
        """
        rows = [(self.inside(box).value(method), metres) for box, metres in known]
        return calibrate(rows, inverse=self.inverse, space=self.space)

    def to_context_string(self) -> str:
        """One line."""
        return self.distance("median").to_context_string()

    def to_wire(self) -> dict[str, Any]:
        """The answer of `/depth-estimate`: the whole map, the statistics of the box where there is one."""
        return {**self.map_to_wire(), **self.box_to_wire()}

    def map_to_wire(self) -> dict[str, Any]:
        """What is the same for all boxes of a picture."""
        return {
            "depth_map_base64": pybase64.b64encode(encode_grey_png(self.depth)).decode("ascii"),
            "raw_min": wire.finite(self.raw_min),
            "raw_max": wire.finite(self.raw_max),
            "region": list(self.region),
            "inverse": self.inverse,
            "space": self.space,
        }

    def box_to_wire(self) -> dict[str, Any]:
        """What is about the box; the distances are not rounded to the map's 256 steps."""
        return {
            "min_depth": wire.finite(self.min_depth),
            "max_depth": wire.finite(self.max_depth),
            "mean_depth": wire.finite(self.mean_depth),
            "bbox": self.box and wire.xywh(self.box),
            "distances": {method: self.distance(method).to_wire() for method in METHODS},
        }

    @classmethod
    def from_wire(cls, told: Mapping[str, Any]) -> Self:
        """The answer of `/depth-estimate` read again.

        The map has 256 steps; distances are told beside it and are exact. The network's own values do not travel, so
        nothing can be calibrated: `/object-distance` takes a calibration.

        Raises:
            ImageError: the map is no picture.
        """
        return cls.map_from_wire(told).with_box(told)

    @classmethod
    def map_from_wire(cls, told: Mapping[str, Any]) -> Self:
        """What `map_to_wire` told."""
        left, top, right, bottom = map(float, told["region"])
        grey = decode(pybase64.b64decode(told["depth_map_base64"], validate=True)).pixels[..., 0]
        return cls(
            depth=np.divide(grey, 255, dtype=np.float32),
            region=(left, top, right, bottom),
            raw_min=wire.number(told["raw_min"]),
            raw_max=wire.number(told["raw_max"]),
            inverse=told["inverse"],
            space=told["space"],
        )

    def with_box(self, told: Mapping[str, Any]) -> Self:
        """The same map with what `box_to_wire` told."""
        distances: Mapping[str, ObjectDistance] = {
            method: ObjectDistance.from_wire(told["distances"][method]) for method in METHODS
        }
        return replace(self, box=told["bbox"] and wire.box(told["bbox"]), told=distances)

    def _check(self, calibration: DepthCalibration) -> None:
        if calibration.inverse != self.inverse or calibration.space != self.space:
            made, asked = calibration.space or "another one", self.space or "another one"
            raise BadCalibration(
                f"the calibration was made with the network {made}, and the depth comes from {asked}: "
                "the camera has to be calibrated anew"
            )

    def _inside(self, cells: Float) -> Float:
        if self.box is None:
            return cells
        (left, right), (top, bottom) = self._columns(self.box.x1, self.box.x2), self._rows(self.box.y1, self.box.y2)
        return cells[top:bottom, left:right]

    def _columns(self, low: float, high: float) -> tuple[int, int]:
        return _covering(low, high, self.region[0], self.region[2], self.depth.shape[1])

    def _rows(self, low: float, high: float) -> tuple[int, int]:
        return _covering(low, high, self.region[1], self.region[3], self.depth.shape[0])


class DistanceAnswer(wire.Answer):
    """How far one thing is."""

    estimated_distance_m: float | None = Field(
        description="Metres; an estimate unless `calibrated`, and null beyond what the calibration tells."
    )
    relative_depth: float | None = Field(description="0 = the nearest of the picture, 1 = the farthest.")
    proximity_label: str = Field(description=f"One of {', '.join(word for _, word in PROXIMITY)}.")
    calibrated: bool = Field(description="Whether the metres rest on a calibration or a metric network.")


class DepthMapAnswer(wire.Answer):
    """The depth of a picture; 0 = nearest, 1 = farthest, scaled per picture."""

    depth_map_base64: str = Field(description="An 8-bit grey PNG of the whole picture; black = nearest.")
    raw_min: float | None = Field(description="The network's own lowest value in the picture.")
    raw_max: float | None = Field(description="The network's own highest value in the picture.")
    region: list[float] = Field(
        description="x1, y1, x2, y2 of the picture pixels that the map covers.", min_length=4, max_length=4
    )
    inverse: bool = Field(description="Whether the network's values fall with distance as 1 / distance does.")
    space: str = Field(description="Which network: a camera's calibration holds for one.")


class DepthBoxAnswer(wire.Answer):
    """The depth of one box, or of the whole picture."""

    min_depth: float | None = Field(description="Of the box where one was sent, else 0 by construction.")
    max_depth: float | None = Field(description="Of the box where one was sent, else 1 by construction.")
    mean_depth: float | None = Field(description="Of the box where one was sent.")
    bbox: wire.BoxAnswer | None = Field(description="The box that was sent, clamped to the picture.")
    distances: dict[Method, DistanceAnswer] = Field(
        description="How far it is by each method of `/object-distance`, from the network's own values."
    )


class DepthAnswer(DepthBoxAnswer, DepthMapAnswer):
    """The depth of a picture, and of the box where one was sent."""


#: How the cells of a box become one value.
_REDUCTIONS: Mapping[str, Callable[[Float], float]] = {
    "center": lambda cells: float(cells[cells.shape[0] // 2, cells.shape[1] // 2]),
    "mean": lambda cells: float(cells.mean(dtype=np.float64)),
    "median": lambda cells: float(np.median(cells)),
    "min": lambda cells: float(cells.min()),
}


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
    FINDING = DepthResult
    RESPONSE = DepthAnswer
    SHARED = DepthMapAnswer
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
        scale = card.outputs["depth"].scale if "depth" in card.outputs else None
        self.scale = np.float32(1 if scale is None else scale)
        if not (np.isfinite(self.scale) and self.scale > 0):
            raise WeightsInvalid(f"{file}: its card multiplies the map by {scale}; allowed is a number above 0")
        self.metric = bool(card.metric)
        if self.metric and card.near == "large":
            raise WeightsInvalid(f"{file}: its card says that the map is in metres and that large is near")
        # Depth Anything, the documented network, gives inverse depth, and metres where it is metric.
        self.near_is_large = not self.metric and card.near != "small"
        self.space = card.space or f"sha256:{description.graph.digest[:16]}"

    def predict(self, images: Sequence[Image], run: Run) -> list[DepthResult]:
        """N images to N maps; one by one where each has an input of its own size."""
        if self.input.resize != "aspect":
            return super().predict(images, run)
        return [self.postprocess(run(self.preprocess([image])), [image])[0] for image in images]

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[DepthResult]:
        """(N, h, w), also with a channel of one, to the depth of N pictures."""
        raw = np.asarray(outputs[self.output], np.float32) * self.scale
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

    @classmethod
    def rows_to_wire(cls, results: Sequence[DepthResult]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        shared = results[0].map_to_wire() if results else {}
        return shared, [result.box_to_wire() for result in results]

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
        return DepthResult(
            far,
            image.region,
            low,
            high,
            inverse=self.near_is_large,
            raw=raw,
            metric=self.metric,
            space=self.space,
        )


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
        calibration: DepthCalibration | None = None,
    ) -> dict[str, Any]:
        """`{estimated_distance_m, relative_depth, proximity_label, calibrated}` of a box, or of the whole picture.

        Args:
            image: the whole picture, not a crop of the thing: depth is relative to what else is there.
            bbox: picture pixels; None: the whole picture.
            method: how the box's cells become one value.
            calibration: of the camera, from `calibrate`.

        Raises:
            BadBox: no box, or one outside the picture.
            BadCalibration: one that was made with another network.
            ValueError: another method.
        """
        _check_method(method)
        depth = self.estimate(image)
        return (depth if bbox is None else depth.inside(parse_box(bbox))).distance(method, calibration).to_wire()

    def calibrate(
        self,
        image: PictureLike,
        known: Sequence[tuple[Sequence[float] | Mapping[str, float], float]],
        method: Method = "median",
    ) -> DepthCalibration:
        """A calibration of the camera that took this picture.

        Args:
            image: the whole picture.
            known: (box in picture pixels, metres) of two things or more whose distance was measured.
            method: how each box's cells become one value; use the same for asking.

        Raises:
            BadBox: no box, or one outside the picture.
            BadCalibration: too few things, too close together, or none that agree.
            ValueError: another method.
        """
        _check_method(method)
        return self.estimate(image).calibrate([(parse_box(bbox), metres) for bbox, metres in known], method)


def _check_method(method: str) -> None:
    if method not in METHODS:
        raise ValueError(f"there is no method {method!r}; the methods are {', '.join(METHODS)}")
