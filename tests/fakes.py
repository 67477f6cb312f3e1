"""Parts that behave: tiny ONNX graphs, a runtime and an engine that answer without a network."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo, Tensors

ELEMENTS = {
    "float32": TensorProto.FLOAT,
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}
Shape = Sequence[int | str | None]


def value(name: str, shape: Shape, dtype: str = "float32") -> Any:
    """One input or output of a graph; a side that is a word or None is dynamic."""
    return helper.make_tensor_value_info(name, ELEMENTS[dtype], list(shape))


def constant(name: str, array: Array) -> Any:
    return numpy_helper.from_array(array, name)


def save_graph(
    path: Path,
    nodes: Sequence[Any],
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    *,
    constants: Sequence[Any] = (),
    functions: Sequence[Any] = (),
    metadata: Mapping[str, str] | None = None,
    domains: Sequence[str] = (),
) -> Path:
    """Write an ONNX file; nothing is checked, so that a test can write what must be refused."""
    graph = helper.make_graph(list(nodes), "graph", list(inputs), list(outputs), list(constants))
    # Versions that every engine we pin reads.
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    model = helper.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=8)
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    path.write_bytes(model.SerializeToString())
    return path


def image_graph(
    path: Path,
    *,
    name: str = "images",
    shape: Shape = ("N", 3, 8, 8),
    dtype: str = "float32",
    output: str = "output0",
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """A graph whose output is its image input as float32."""
    nodes = [helper.make_node("Cast", [name], [output], to=TensorProto.FLOAT)]
    return save_graph(path, nodes, [value(name, shape, dtype)], [value(output, shape)], metadata=metadata)


def external_graph(path: Path, location: str | Sequence[str], weights: Array | None = None) -> Path:
    """y = x + w, with w kept in the file(s) `location`; nothing is written there where `weights` is None."""
    tensor = constant("w", np.zeros(4, np.float32) if weights is None else weights)
    if weights is not None:
        (path.parent / str(location)).write_bytes(tensor.raw_data)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for name in [location] if isinstance(location, str) else location:
        tensor.external_data.add(key="location", value=name)
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    return save_graph(path, nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], constants=[tensor])


def edit_graph(path: Path, edit: Callable[[Any], None]) -> Path:
    """Change a written graph in place."""
    model = onnx.load_model(path, load_external_data=False)
    edit(model)
    path.write_bytes(model.SerializeToString())
    return path


Answer = Callable[[Tensors], dict[str, Array]]


def echo(inputs: Tensors) -> dict[str, Array]:
    """The inputs as they came."""
    return {name: array.copy() for name, array in inputs.items()}


@dataclass
class FakeRuntime:
    """A loaded graph that answers by a function; closed, it refuses."""

    info: RuntimeInfo
    answer: Answer = echo
    closed: bool = False

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self.closed:
            raise RuntimeError("this network is closed")
        return self.answer(inputs)

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeEngine:
    """An engine that loads everything, unless told otherwise, and remembers what it loaded.

    Attributes:
        name: one of the names that engines have.
        native: the precisions of its hardware, fastest first.
        reason: why it cannot run here; None where it can.
        failure: raised by `load`.
        answers: what a network loaded in a precision answers; `echo` where nothing is said.
        computes: the precision it really computes in; None: the one that was asked for.
    """

    name: EngineName = "openvino"
    native: tuple[Precision, ...] = ("f32",)
    reason: str | None = None
    failure: Exception | None = None
    answers: dict[Precision, Answer] = field(default_factory=dict)
    computes: Precision | None = None
    loads: list[LoadRequest] = field(default_factory=list)
    runtimes: list[FakeRuntime] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def unavailable(self, device: str) -> str | None:
        return self.reason

    def precisions(self, device: str) -> tuple[Precision, ...]:
        return self.native

    def load(self, request: LoadRequest) -> FakeRuntime:
        if self.failure is not None:
            raise self.failure
        precision = self.computes or request.precision
        info = RuntimeInfo(self.name, request.device, precision, "1.0", load_ms=1.0)
        runtime = FakeRuntime(info, self.answers.get(precision, echo))
        with self.lock:
            self.loads.append(request)
            self.runtimes.append(runtime)
        return runtime
