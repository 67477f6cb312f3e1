"""A network that needs no weights: the mean colour of a crop, as a real ONNX file, its adapter, and an engine for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.adapter.base import Adapter, ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Scope
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec

SIDE = 8
#: Names that the catalog has; nothing else of these models is used.
FIRST, SECOND, THIRD = "yolo26", "pose_estimator", "person_reid"


def write_network(path: Path) -> Path:
    """An ONNX file: (N, 3, 8, 8) float32 to the mean of each channel, (N, 3)."""
    import onnx
    from onnx import TensorProto, helper

    mean = helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"])
    flat = helper.make_node("Flatten", ["pooled"], ["mean"])
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    output = helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph([mean, flat], "mean colour", [pixels], [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    return path


class MeanColor(ImageNetwork[tuple[int, int, int]]):
    """The mean colour of each crop, 0..255."""

    SPEC = replace(get_model(FIRST).SPEC, scope=Scope.CROP, input=InputSpec("pixels", (SIDE, SIDE)))

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[tuple[int, int, int]]:
        means = np.rint(np.asarray(outputs["mean"], np.float32)).astype(int).tolist()
        return [(red, green, blue) for red, green, blue in means]


def mean_color(name: str, **methods: Any) -> type[Adapter[Any]]:
    """The toy model under another model's name, with some of its methods replaced."""
    methods["SPEC"] = replace(MeanColor.SPEC, name=name, variables=get_model(name).SPEC.variables)
    return type("MeanColor", (MeanColor,), methods)


class ColorMeter(Model[tuple[int, int, int]]):
    """The toy model as a documented class would have it."""

    ADAPTER = MeanColor

    def measure(self, image: PictureLike) -> tuple[int, int, int]:
        return self._predict([image])[0]


class FakeRuntime:
    """Computes what the network would, and knows whether it was closed."""

    info = RuntimeInfo("onnxruntime", "cpu", "f32", "made up", 0.0)

    def __init__(self) -> None:
        self.closed = 0
        self.threads: list[str] = []

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self.closed:
            raise RuntimeError("this network is closed")
        self.threads.append(threading.current_thread().name)
        return {"mean": np.asarray(inputs["pixels"], np.float32).mean(axis=(2, 3))}

    def close(self) -> None:
        self.closed += 1


@dataclass
class FakeEngine:
    """Loads any file, counts how often, and is slow or fails where told to.

    Attributes:
        before: called with the file's stem before a load is done; it may wait or raise.
        loads: the stems of the files that were asked for, in order.
        runtimes: what was loaded, by stem.
    """

    before: Callable[[str], None] = lambda _stem: None
    name: EngineName = "onnxruntime"
    loads: list[str] = field(default_factory=list)
    runtimes: dict[str, list[FakeRuntime]] = field(default_factory=dict)

    def unavailable(self, device: str) -> str | None:
        return None if device == "cpu" else f"there is no {device}"

    def precisions(self, device: str) -> tuple[Precision, ...]:
        return ("f32",)

    def load(self, request: LoadRequest) -> FakeRuntime:
        self.loads.append(request.path.stem)
        self.before(request.path.stem)
        runtime = FakeRuntime()
        self.runtimes.setdefault(request.path.stem, []).append(runtime)
        return runtime


@dataclass
class Gates:
    """Holds the loads of some files until their gate is opened; `arrived` is set when a load waits."""

    closed: Mapping[str, threading.Event]
    arrived: threading.Event = field(default_factory=threading.Event)

    def __call__(self, stem: str) -> None:
        if stem in self.closed:
            self.arrived.set()
            # A test that never opens it ends all the same.
            self.closed[stem].wait(timeout=60)
