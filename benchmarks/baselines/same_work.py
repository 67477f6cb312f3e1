"""The work of a route without a server: our decoder, our arithmetic, and the engine called by its own API.

Each call runs in one thread of the engine, so as many calls run side by side as there are threads that call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.adapter.base import Array, Run, Tensors
from hearthwatch.adapter.loading import find
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.description import Description, describe
from hearthwatch.enrichment.runner import ModelCall
from hearthwatch.hosting.answer import reduced_side
from hearthwatch.models import get_picture_model
from hearthwatch.runtimes.quiet import import_onnxruntime, import_openvino
from hearthwatch.vision.picture import Picture


@dataclass(frozen=True, slots=True)
class Subject:
    """What is run, and by what: the same engine and precision as our service says that it uses.

    Attributes:
        model: canonical name.
        models_dir: where its weights are.
        engine: openvino or onnxruntime.
        precision: f32 or bf16.
        calls: at the same time, each in one thread.
    """

    model: str
    models_dir: str
    engine: str
    precision: str
    calls: int = 1

    def to_arguments(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)


def prepare(subject: Subject) -> Callable[[bytes], Any]:
    """An encoded picture to the model's result; may be called from `calls` threads at once."""
    adapter_class = get_picture_model(subject.model)
    found = find(adapter_class, LoadOptions(models_dir=Path(subject.models_dir), device="cpu"))
    description = describe(found.path, adapter_class.SPEC.pixels)
    adapter = adapter_class(description)
    run = _SESSIONS[subject.engine](found.path, description, subject)

    def answer(data: bytes) -> Any:
        picture = Picture(data)
        # As many pixels as the service decodes for a picture that one model looks at.
        side = reduced_side(ModelCall(subject.model, picture, alone=True), adapter)
        return adapter.predict([picture.image(side)], run)[0]

    return answer


def _openvino(path: Path, description: Description, subject: Subject) -> Run:
    """One stream for each call, compiled for one picture."""
    openvino = import_openvino()
    core = openvino.Core()
    graph = core.read_model(path)
    graph.reshape({port: [1, *list(port.partial_shape)[1:]] for port in graph.inputs})
    config = {
        "PERFORMANCE_HINT": "THROUGHPUT",
        "NUM_STREAMS": subject.calls,
        "INFERENCE_NUM_THREADS": subject.calls,
        "INFERENCE_PRECISION_HINT": subject.precision,
    }
    compiled = core.compile_model(graph, "CPU", config)
    names = [tensor.name for tensor in description.graph.outputs]
    requests = threading.local()

    def run(inputs: Tensors) -> Mapping[str, Array]:
        if not hasattr(requests, "own"):
            requests.own = compiled.create_infer_request()
        arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
        requests.own.infer(arrays, share_inputs=True, share_outputs=True)
        ports = compiled.outputs
        return {_name(port, names): requests.own.get_tensor(port).data for port in ports}

    return run


def _name(port: Any, names: list[str]) -> str:
    """A port carries every name that the tensor had on its way; the graph's own is the one that counts."""
    return next((name for name in names if name in port.get_names()), None) or str(port.get_any_name())


def _onnxruntime(path: Path, description: Description, subject: Subject) -> Run:  # noqa: ARG001 - as the other
    """One session of one thread, shared: its calls do not wait for each other."""
    ort = import_onnxruntime()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(inputs: Tensors) -> Mapping[str, Array]:
        return dict(zip(names, session.run(names, dict(inputs)), strict=True))

    return run


_SESSIONS: Mapping[str, Callable[[Path, Description, Subject], Run]] = {
    "openvino": _openvino,
    "onnxruntime": _onnxruntime,
}
