"""ONNX Runtime on the CPU: runs everywhere, loads fast; the fallback of OpenVINO."""

from __future__ import annotations

import time
from typing import Any

from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo, Tensors, split_run
from hearthwatch.runtimes.memory import release_memory
from hearthwatch.runtimes.quiet import import_onnxruntime

#: Errors only: the warnings are about initialisers that a graph carries unused.
LOG_ERRORS = 3


class ONNXRuntimeEngine:
    """Loads ONNX graphs with ONNX Runtime's CPU provider."""

    name: EngineName = "onnxruntime"

    def unavailable(self, device: str) -> str | None:
        if device != "cpu":
            return f"ONNX Runtime here has no provider for {device}"
        try:
            import_onnxruntime()
        except ImportError as error:
            return f"ONNX Runtime cannot be imported: {error}"
        return None

    def precisions(self, device: str) -> tuple[Precision, ...]:  # noqa: ARG002 - the CPU provider computes in float32
        return ("f32",)

    def load(self, request: LoadRequest) -> SessionRuntime:
        started = time.perf_counter()
        ort = import_onnxruntime()
        options = ort.SessionOptions()
        # The arena keeps what the largest call took: 1930 MB against 1448 MB peak on ViT-L/14, for no speed.
        options.enable_cpu_mem_arena = False
        options.log_severity_level = LOG_ERRORS
        if request.threads is not None:
            options.intra_op_num_threads = request.threads
        elif request.side_by_side > 1:
            options.intra_op_num_threads = 1
        session = ort.InferenceSession(str(request.path), options, providers=["CPUExecutionProvider"])
        load_ms = (time.perf_counter() - started) * 1000
        info = RuntimeInfo("onnxruntime", "cpu", "f32", version=str(ort.__version__), load_ms=load_ms,
                           streams=request.side_by_side)  # fmt: skip
        return SessionRuntime(session, info, exported_batch(session))


class SessionRuntime:
    """One session of ONNX Runtime, on any provider. `run` of a session is safe from several threads.

    Args:
        session: of ONNX Runtime.
        info: what runs.
        sizes: the batches that it takes, others are put together from them; None takes any.
    """

    def __init__(self, session: Any, info: RuntimeInfo, sizes: tuple[int, ...] | None) -> None:
        self._session = session
        self._info = info
        self._sizes = sizes
        self._outputs = [output.name for output in session.get_outputs()]

    @property
    def info(self) -> RuntimeInfo:
        return self._info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self._sizes is None:
            return self._run_part(inputs)
        return split_run(inputs, self._sizes, self._run_part)

    def close(self) -> None:
        self._session = None
        release_memory()

    def _run_part(self, inputs: Tensors) -> dict[str, Array]:
        session = self._session
        if session is None:
            raise RuntimeError("this network is closed")
        return dict(zip(self._outputs, session.run(self._outputs, dict(inputs)), strict=True))


def exported_batch(session: Any) -> tuple[int, ...] | None:
    """The one batch size that a graph was exported for; None where it takes any."""
    batch = session.get_inputs()[0].shape[0]
    return (batch,) if isinstance(batch, int) else None
