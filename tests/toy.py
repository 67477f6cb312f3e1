"""A network that needs no weights: the mean colour of a crop as a real ONNX file, with its adapter and an engine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import helper

from fakes import FakeEngine, FakeRuntime, save_graph, value
from hearthwatch.adapter.base import Adapter, ImageNetwork, Tensors
from hearthwatch.adapter.facade import Model
from hearthwatch.adapter.spec import Scope
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import Array, LoadRequest
from hearthwatch.vision.decode import PictureLike
from hearthwatch.vision.image import Image
from hearthwatch.vision.inputs import InputSpec

SIDE = 8
#: Names that the catalog has; nothing else of these models is used.
FIRST, SECOND, THIRD = "yolo26", "pose_estimator", "person_reid"


def write_network(path: Path) -> Path:
    """An ONNX file: (N, 3, 8, 8) float32 to the mean of each channel, (N, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
    ]
    return save_graph(path, nodes, [value("pixels", ["n", 3, SIDE, SIDE])], [value("mean", ["n", 3])])


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


def mean(inputs: Tensors) -> dict[str, Array]:
    """What the network computes."""
    return {"mean": np.asarray(inputs["pixels"], np.float32).mean(axis=(2, 3))}


@dataclass
class ToyEngine(FakeEngine):
    """Computes what the network would, counts its loads, and is slow or fails where told to.

    Attributes:
        before: called with the file's stem before it is loaded; it may wait or raise.
        asked: the stems of the files that were asked for, in order.
        threads: names of the threads that ran a network.
    """

    before: Callable[[str], object] = lambda _stem: None
    asked: list[str] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)

    def load(self, request: LoadRequest) -> FakeRuntime:
        self.asked.append(request.path.stem)
        self.before(request.path.stem)
        runtime = super().load(request)
        runtime.answer = self._answer
        return runtime

    def _answer(self, inputs: Tensors) -> dict[str, Array]:
        self.threads.append(threading.current_thread().name)
        return mean(inputs)


@dataclass
class Clock:
    """Time that stands still until it is moved, in seconds."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class EndlessMemory:
    """A device that no network of these tests can fill, and that nothing else uses."""

    device: str = "cpu"
    is_gpu: bool = False

    def used_bytes(self) -> int:
        return 0

    def free_bytes(self) -> int:
        return 1 << 40

    def trim(self) -> None:
        return


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
