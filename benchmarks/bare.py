"""Engines called by their own API: what a network costs when nothing of ours is around it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.pairs import Call
from hearthwatch.adapter.base import Array, Tensors
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.runtimes.base import Precision, Runtime, RuntimeInfo
from hearthwatch.runtimes.quiet import import_onnxruntime, import_openvino
from hearthwatch.runtimes.rapidocr import DETECTION_LIMIT_PX


class Recorder:
    """A runtime that passes on what it is asked, and keeps a copy of it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.asked: list[Tensors] = []

    @property
    def info(self) -> RuntimeInfo:
        return self._runtime.info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        self.asked.append({name: np.array(array, order="C") for name, array in inputs.items()})
        return self._runtime.run(inputs)

    def close(self) -> None:
        self._runtime.close()


@contextmanager
def recording(loaded: LoadedModel) -> Iterator[list[Tensors]]:
    """What a model asks its engine for inside the block, call by call."""
    runtime = loaded.runtime
    loaded.runtime = recorder = Recorder(runtime)
    try:
        yield recorder.asked
    finally:
        loaded.runtime = runtime


def bare_calls(info: RuntimeInfo, path: Path | None, asked: Sequence[Tensors]) -> list[Call]:
    """Calls that give the same engine the same inputs, in the same precision, threads and batches.

    Args:
        info: the engine to call and its precision.
        path: the graph; None for an engine that brings its own.
        asked: the inputs of each call.
    """
    return _ENGINES[info.engine](path, info.precision, asked)


def _openvino(path: Path | None, precision: Precision, asked: Sequence[Tensors]) -> list[Call]:
    """Compiled for exactly the batch that is asked for; neither inputs nor outputs are copied."""
    openvino = import_openvino()
    core = openvino.Core()
    graph = core.read_model(path)
    compiled: dict[int, Any] = {}
    calls: list[Call] = []
    for inputs in asked:
        size = len(next(iter(inputs.values())))
        if size not in compiled:
            fixed = graph.clone()
            fixed.reshape({port: [size, *list(port.partial_shape)[1:]] for port in fixed.inputs})
            config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
            compiled[size] = core.compile_model(fixed, "CPU", config)
        request = compiled[size].create_infer_request()
        for name, array in inputs.items():
            request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
        calls.append(_openvino_call(request, inputs))
    return calls


def _openvino_call(request: Any, kept: Tensors) -> Call:
    def call(inputs: Tensors = kept) -> object:  # the engine reads these arrays: they must live as long as the call
        return request.infer(share_outputs=True), inputs

    return call


def _onnxruntime(path: Path | None, precision: Precision, asked: Sequence[Tensors]) -> list[Call]:
    """A session with the engine's own defaults."""
    if precision != "f32":
        raise ValueError(f"ONNX Runtime's CPU provider computes in f32, not {precision}")
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def call_with(inputs: Tensors) -> Call:
        given = dict(inputs)
        return lambda: session.run(None, given)

    return [call_with(inputs) for inputs in asked]


def _rapidocr(path: Path | None, precision: Precision, asked: Sequence[Tensors]) -> list[Call]:  # noqa: ARG001
    """The package's own call, as its documentation has it, on BGR pixels."""
    import_onnxruntime()  # before RapidOCR imports it, so that its telemetry is off
    import rapidocr

    ocr = rapidocr.RapidOCR(
        params={"Global.log_level": "error", "Det.limit_type": "max", "Det.limit_side_len": DETECTION_LIMIT_PX}
    )

    def call_with(pixels: Array) -> Call:
        return lambda: ocr(pixels, use_det=True, use_cls=False, use_rec=True)

    return [call_with(np.ascontiguousarray(inputs["pixels"][..., ::-1])) for inputs in asked]


_ENGINES: Mapping[str, Callable[[Path | None, Precision, Sequence[Tensors]], list[Call]]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
    "rapidocr": _rapidocr,
}
