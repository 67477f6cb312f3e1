"""Read the plan of a YOLO network: the yaml mapping that its checkpoint carries.

A plan lists layers as [from, repeats, module, arguments], in two lists, `backbone` and `head`, whose widths and
repeats are those of the largest network and are scaled by `width_multiple` and `depth_multiple`, or by a row of
`scales`. It comes out of an untrusted file, so every value is checked before a module is made from it.

The meaning of the fields is that of the public documentation on model configuration files.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hearthwatch.errors import WeightsInvalid

#: What only YOLO11 has, of the two generations that are built.
YOLO11_MODULES = frozenset({"C3k2", "C2PSA"})
#: What they consist of.
BODY_MODULES = frozenset({"Conv", "C2f", "SPPF", "nn.Upsample", "Concat"}) | YOLO11_MODULES
HEAD_MODULES = frozenset({"Detect", "Pose", "Segment"})

#: Stock networks have 23 layers (29 with a fourth level) of up to 6 repeats and 1280 channels: far more is no network.
_MAX_LAYERS = 200
_MAX_REPEATS = 100
#: Of all layers together; YOLOv8x has 52. Ten thousand take 10 s to build, before a tensor is looked at.
_MAX_BLOCKS = 1000
MAX_NUMBER = 65536
#: Channels are rounded up to a multiple of this.
_CHANNEL_STEP = 8
_RGB = 3
#: Distances that a side of a box chooses among, in every YOLOv8 file.
BINS = 16
#: How a plan may write the activation that YOLOv8 has anyway.
_SILU = ("SiLU", "nn.SiLU()", "torch.nn.SiLU()")


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer, its numbers scaled.

    Attributes:
        index: its place, which its tensors' names begin with.
        sources: the layers it reads, as places; -1 is the picture.
        repeats: of the blocks inside it.
        module: its name.
        args: as in the plan, with names such as "nc" replaced by their values.
    """

    index: int
    sources: tuple[int, ...]
    repeats: int
    module: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole network.

    Attributes:
        layers: in order; the last one is the head, and no other is one.
        width: multiplier of channels.
        max_channels: limit of a layer's channels before scaling.
    """

    layers: tuple[PlannedLayer, ...]
    width: float
    max_channels: float

    @property
    def generation(self) -> str:
        """yolov8 or yolo11."""
        return "yolo11" if any(layer.module in YOLO11_MODULES for layer in self.layers) else "yolov8"

    def channels(self, declared: int) -> int:
        """A declared number of channels, scaled."""
        scaled = min(declared, self.max_channels) * self.width
        return max(1, math.ceil(scaled / _CHANNEL_STEP)) * _CHANNEL_STEP


def read_plan(yaml: Mapping[str, Any], *, file: str) -> Plan:
    """Check a plan and scale it.

    Raises:
        WeightsInvalid: a network that is neither YOLOv8 nor YOLO11, with the module that is not known and the command
            that exports it; or a plan that is malformed.
    """
    rows = [*_list(yaml, "backbone", file), *_list(yaml, "head", file)]
    if not 0 < len(rows) <= _MAX_LAYERS:
        raise WeightsInvalid(f"{file}: its plan has {len(rows)} layers; 1 to {_MAX_LAYERS} are allowed")
    _refuse_other_networks(yaml, rows, file)
    depth, width, max_channels = _scale(yaml, file)
    names = {"nc": _whole(yaml.get("nc"), "number of classes", file), "kpt_shape": yaml.get("kpt_shape")}
    layers = tuple(_layer(index, row, depth, names, file) for index, row in enumerate(rows))
    blocks = sum(layer.repeats for layer in layers)
    if blocks > _MAX_BLOCKS:
        raise WeightsInvalid(f"{file}: its plan has {blocks} blocks in all; {_MAX_BLOCKS} are allowed")
    return Plan(layers, width, max_channels)


def show(value: object) -> str:
    """A value out of the file, without control characters and at a length that a line can hold."""
    try:
        text = reprlib.repr(value)
    except ValueError:  # Python writes no whole number of more than 4300 digits
        text = "a huge number"
    return "".join(c if c.isprintable() else "?" for c in text[:60])


def exportable(file: str, why: str) -> WeightsInvalid:
    """What to say of a network that is not built here but can be exported by those who made it."""
    return WeightsInvalid(
        f"{file} is no YOLOv8 or YOLO11 network that is built here: {why}; where Ultralytics is installed, "
        f"`yolo export model={file} format=onnx` writes an ONNX file that can be used instead"
    )


def _refuse_other_networks(yaml: Mapping[str, Any], rows: Sequence[Any], file: str) -> None:
    """Say so where this is a network of another generation, before anything else can be wrong with it."""
    modules = [_module(row) for row in rows]
    other = next((name for name in modules if name not in BODY_MODULES | HEAD_MODULES), None)
    if any(isinstance(arg, str) and arg == "anchors" for row in rows for arg in _arguments(row)):
        raise WeightsInvalid(
            f"{file} is a YOLOv5 network with anchors (module {show(other or modules[-1])}), which is neither built "
            "nor decoded here; take a YOLOv8 or later one, for instance `yolo export model=yolov8n.pt format=onnx`"
        )
    if other is not None:
        raise exportable(file, f"its module {show(other)} is not known")
    if [name in HEAD_MODULES for name in modules] != [False] * (len(modules) - 1) + [True]:
        raise exportable(file, f"its last layer is {show(modules[-1])}, or it has several heads")
    activation = yaml.get("activation")
    if activation is not None and not (isinstance(activation, str) and activation in _SILU):
        raise exportable(file, f"its activation is {show(activation)}")
    if yaml.get("end2end") or yaml.get("reg_max", BINS) != BINS:
        raise exportable(file, "its head is that of a later generation (end2end or reg_max)")
    channels = yaml.get("channels", yaml.get("ch", _RGB))
    if channels != _RGB:
        raise WeightsInvalid(f"{file}: its network reads {show(channels)} channels; pictures here have {_RGB}")


def _scale(yaml: Mapping[str, Any], file: str) -> tuple[float, float, float]:
    """(depth, width, most channels)."""
    scales = yaml.get("scales")
    if isinstance(scales, Mapping) and scales:
        name = yaml.get("scale") or next(iter(scales))
        row = scales.get(name) if isinstance(name, str) else None
        if not isinstance(row, (list, tuple)) or len(row) != 3:
            raise WeightsInvalid(f"{file}: its plan has no scale {show(name)} of three numbers")
        values = list(row)
    else:
        values = [yaml.get("depth_multiple", 1), yaml.get("width_multiple", 1), yaml.get("max_channels", MAX_NUMBER)]
    for value in values:
        if type(value) not in {int, float} or not 0 < value <= MAX_NUMBER:
            raise WeightsInvalid(f"{file}: its plan is scaled by {show(value)}; above 0 to {MAX_NUMBER} is allowed")
    return float(values[0]), float(values[1]), float(values[2])


def _layer(index: int, row: Any, depth: float, names: Mapping[str, Any], file: str) -> PlannedLayer:
    sources = row[0] if isinstance(row[0], (list, tuple)) else [row[0]]
    absolute = [index + s if type(s) is int and s < 0 else s for s in sources]
    first = -1 if index == 0 else 0
    if not absolute or any(type(s) is not int or not first <= s < index for s in absolute):
        raise WeightsInvalid(f"{file}: layer {index} of its plan reads {show(row[0])}, which is not before it")
    declared = _whole(row[1], f"repeats of layer {index}", file)
    repeats = max(round(declared * depth), 1) if declared > 1 else 1
    if repeats > _MAX_REPEATS:
        raise WeightsInvalid(f"{file}: layer {index} of its plan repeats {repeats} times; {_MAX_REPEATS} are allowed")
    args = tuple(names.get(a, a) if isinstance(a, str) else a for a in _arguments(row))
    return PlannedLayer(index, tuple(absolute), repeats, _module(row), args)


def _module(row: Any) -> str:
    """The module's name; "?" where the row is malformed, which no network knows."""
    well_formed = isinstance(row, (list, tuple)) and len(row) == 4 and isinstance(row[3], (list, tuple))
    return row[2] if well_formed and isinstance(row[2], str) else "?"


def _arguments(row: Any) -> Sequence[Any]:
    return () if _module(row) == "?" else list(row[3])


def _list(yaml: Mapping[str, Any], key: str, file: str) -> list[Any]:
    value = yaml.get(key)
    if not isinstance(value, (list, tuple)):
        raise WeightsInvalid(f"{file}: its plan has no list {key!r}, so no network can be built from it")
    return list(value)


def _whole(value: Any, what: str, file: str) -> int:
    if type(value) is not int or not 0 < value <= MAX_NUMBER:
        raise WeightsInvalid(f"{file}: the {what} is {show(value)}; 1 to {MAX_NUMBER} is allowed")
    return value
