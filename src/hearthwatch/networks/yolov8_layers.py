"""One planned layer to one module: what flows between the layers is followed in channels and strides."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from torch import nn

from hearthwatch.errors import WeightsInvalid
from hearthwatch.networks.yolo11_blocks import C2PSA, HEAD_CHANNELS, C3k2
from hearthwatch.networks.yolov8_blocks import SPPF, C2f, Concat, Conv
from hearthwatch.networks.yolov8_heads import Detect, HeadWidths, Pose, Segment
from hearthwatch.networks.yolov8_plan import MAX_NUMBER, Plan, PlannedLayer, show

#: Sides of a kernel that keeps the size of a map; stock networks have 1, 3 and 5.
_KERNELS = frozenset(range(1, 15, 2))
#: Stock networks have 1 and 2.
_STRIDES = frozenset({1, 2})
#: Stock networks have 17 key points, of hands 21, of faces up to a few hundred.
_MAX_POINTS = 1000


class LayerMaker:
    """Makes the layers of a plan in their order.

    Args:
        plan: the network's.
        file: for messages.
        widths: channels inside the head's branches, where known.
        fused: as in `Conv`.
        keys: names of the tensors, where they are known.
    """

    def __init__(
        self, plan: Plan, *, file: str, widths: HeadWidths, fused: bool, keys: Collection[str] = frozenset()
    ) -> None:
        self._plan, self._file, self._widths, self._fused, self._keys = plan, file, widths, fused, keys
        #: By place: (channels, stride) of the map; the picture is at -1.
        self._flow: dict[int, tuple[int, int]] = {-1: (3, 1)}
        self._makers: dict[str, Callable[[PlannedLayer], nn.Module]] = {
            "Conv": self._conv,
            "C2f": self._c2f,
            "C3k2": self._c3k2,
            "C2PSA": self._c2psa,
            "SPPF": self._sppf,
            "nn.Upsample": self._upsample,
            "Concat": self._concat,
            "Detect": self._detect,
            "Pose": self._pose,
            "Segment": self._segment,
        }

    @property
    def stride(self) -> int:
        """Input pixels per cell of the coarsest map made so far."""
        return max(stride for _, stride in self._flow.values())

    def make(self, layer: PlannedLayer) -> nn.Module:
        """The next layer.

        Raises:
            WeightsInvalid: arguments that make no layer.
        """
        if len(layer.sources) > 1 and layer.module not in {"Concat", "Detect", "Pose", "Segment"}:
            raise self._wrong(layer, f"reads {len(layer.sources)} maps")
        if layer.repeats > 1 and layer.module not in {"C2f", "C3k2", "C2PSA"}:
            raise self._wrong(layer, f"is repeated {layer.repeats} times")
        return self._makers[layer.module](layer)

    def _conv(self, layer: PlannedLayer) -> nn.Module:
        declared, kernel, stride = self._numbers(layer, (1, 1), most=3)
        inputs, before = self._flow[layer.sources[0]]
        if kernel not in _KERNELS or stride not in _STRIDES or before * stride > MAX_NUMBER:
            raise self._wrong(layer, f"has a kernel of {kernel} and a stride of {stride}")
        outputs = self._pass(layer, declared, before * stride)
        return Conv(inputs, outputs, kernel, stride, fused=self._fused)

    def _c2f(self, layer: PlannedLayer) -> nn.Module:
        shortcut = layer.args[1] if len(layer.args) > 1 else False
        if len(layer.args) > 2 or not isinstance(shortcut, bool):
            raise self._wrong(layer, f"has the arguments {show(layer.args)}")
        inputs, stride = self._flow[layer.sources[0]]
        outputs = self._pass(layer, self._whole(layer, layer.args[:1]), stride)
        return C2f(inputs, outputs, repeats=layer.repeats, shortcut=shortcut, fused=self._fused)

    def _c3k2(self, layer: PlannedLayer) -> nn.Module:
        nested, part = (*layer.args[1:], *(False, 0.5)[max(len(layer.args) - 1, 0) :])[:2]
        if len(layer.args) > 3 or not isinstance(nested, bool) or type(part) is not float or not 0 < part <= 1:
            raise self._wrong(layer, f"has the arguments {show(layer.args)}")
        inputs, stride = self._flow[layer.sources[0]]
        outputs = self._pass(layer, self._whole(layer, layer.args[:1]), stride)
        # The three larger networks nest in every layer, whatever their plan says: their tensors' names show it.
        nested = nested or f"model.{layer.index}.m.0.m.0.cv1.conv.weight" in self._keys
        if (hidden := int(outputs * part)) < 2:
            raise self._wrong(layer, f"has parts of {hidden} channels")
        return C3k2(inputs, outputs, hidden=hidden, repeats=layer.repeats, nested=nested, fused=self._fused)

    def _c2psa(self, layer: PlannedLayer) -> nn.Module:
        (declared,) = self._numbers(layer, (), most=1)
        inputs, stride = self._flow[layer.sources[0]]
        outputs = self._pass(layer, declared, stride)
        half = outputs // 2
        if inputs != outputs or half < HEAD_CHANNELS or half % (half // HEAD_CHANNELS):
            raise self._wrong(layer, f"makes {outputs} channels of {inputs}")
        return C2PSA(outputs, repeats=layer.repeats, fused=self._fused)

    def _sppf(self, layer: PlannedLayer) -> nn.Module:
        declared, kernel = self._numbers(layer, (5,), most=2)
        inputs, stride = self._flow[layer.sources[0]]
        if kernel not in _KERNELS:
            raise self._wrong(layer, f"has a kernel of {kernel}")
        return SPPF(inputs, self._pass(layer, declared, stride), kernel=kernel, fused=self._fused)

    def _upsample(self, layer: PlannedLayer) -> nn.Module:
        channels, stride = self._flow[layer.sources[0]]
        # The checkpoint holds yaml's None as the word.
        if (
            len(layer.args) != 3
            or layer.args[0] not in (None, "None")
            or layer.args[1:] != (2, "nearest")
            or stride % 2
        ):
            raise self._wrong(layer, f"has the arguments {show(layer.args)}")
        self._flow[layer.index] = (channels, stride // 2)
        return nn.Upsample(scale_factor=2.0, mode="nearest")

    def _concat(self, layer: PlannedLayer) -> nn.Module:
        channels, strides = zip(*(self._flow[source] for source in layer.sources), strict=True)
        if layer.args != (1,) or len(set(strides)) > 1:
            raise self._wrong(layer, f"joins maps of strides {strides} along {show(layer.args)}")
        self._flow[layer.index] = (self._allowed(layer, sum(channels)), strides[0])
        return Concat()

    def _detect(self, layer: PlannedLayer) -> nn.Module:
        (classes,) = self._numbers(layer, (), most=1)
        channels, strides = self._levels(layer)
        return Detect(classes, channels, strides, self._branches(channels, classes), fused=self._fused)

    def _pose(self, layer: PlannedLayer) -> nn.Module:
        shape = layer.args[1] if len(layer.args) == 2 else None
        if not isinstance(shape, (list, tuple)) or len(shape) != 2 or shape[1] not in (2, 3):
            raise self._wrong(layer, f"has key points of shape {show(shape)}")
        points, numbers = self._whole(layer, shape[:1], _MAX_POINTS), self._whole(layer, shape[1:])
        classes = self._whole(layer, layer.args[:1])
        channels, strides = self._levels(layer)
        widths = self._branches(channels, classes, points * numbers)
        return Pose(classes, points, numbers, channels, strides, widths, fused=self._fused)

    def _segment(self, layer: PlannedLayer) -> nn.Module:
        classes, masks, declared = self._numbers(layer, (32, 256), most=3)
        channels, strides = self._levels(layer)
        widths = self._branches(channels, classes, masks, self._scaled(layer, declared))
        return Segment(classes, masks, channels, strides, widths, fused=self._fused)

    def _levels(self, layer: PlannedLayer) -> tuple[tuple[int, ...], tuple[int, ...]]:
        levels = [self._flow[source] for source in layer.sources]
        return tuple(channels for channels, _ in levels), tuple(stride for _, stride in levels)

    def _branches(self, channels: tuple[int, ...], classes: int, extra: int = 0, prototypes: int = 0) -> HeadWidths:
        light = self._plan.generation == "yolo11"
        usual = HeadWidths.usual(channels[0], classes=classes, extra=extra, prototypes=prototypes, light=light)
        return self._widths.over(usual)

    def _pass(self, layer: PlannedLayer, declared: int, stride: int) -> int:
        """The scaled channels of a layer, noted with its stride."""
        outputs = self._scaled(layer, declared)
        self._flow[layer.index] = (outputs, stride)
        return outputs

    def _scaled(self, layer: PlannedLayer, declared: int) -> int:
        return self._allowed(layer, self._plan.channels(declared))

    def _allowed(self, layer: PlannedLayer, channels: int) -> int:
        if channels > MAX_NUMBER:
            raise self._wrong(layer, f"has {channels} channels; {MAX_NUMBER} are allowed")
        return channels

    def _numbers(self, layer: PlannedLayer, defaults: tuple[int, ...], *, most: int) -> list[int]:
        """The arguments, which are all numbers; the last ones may be left to their defaults."""
        if not most - len(defaults) <= len(layer.args) <= most:
            raise self._wrong(layer, f"has {len(layer.args)} arguments")
        missing = most - len(layer.args)
        given = [self._whole(layer, (value,)) for value in layer.args]
        return given + list(defaults[len(defaults) - missing :] if missing else ())

    def _whole(self, layer: PlannedLayer, values: Any, most: int = MAX_NUMBER) -> int:
        value = values[0] if values else None
        if type(value) is not int or not 0 < value <= most:
            raise self._wrong(layer, f"has the argument {show(value)}, where 1 to {most} is allowed")
        return value

    def _wrong(self, layer: PlannedLayer, what: str) -> WeightsInvalid:
        return WeightsInvalid(f"{self._file}: layer {layer.index} of its plan, a {layer.module}, {what}")
