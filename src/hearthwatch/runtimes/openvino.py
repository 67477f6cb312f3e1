"""OpenVINO: the default on a CPU, also Intel GPUs and NPUs."""

from __future__ import annotations

import functools
import logging
import os
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo, Tensors, split_run
from hearthwatch.runtimes.memory import release_memory
from hearthwatch.runtimes.process_locale import kept_locale
from hearthwatch.runtimes.quiet import import_openvino

#: A graph with dynamic batch is compiled for these sizes, each on first use; other sizes are put together from them.
#: Each size holds the weights once more and takes its own time to compile, so there are two, and one for large
#: networks, which gain at most a third from a batch on a CPU.
STATIC_BATCHES = (1, 4)
LARGE_NETWORK_BYTES = 64 << 20

_DEVICES = {"cpu": "CPU", "gpu": "GPU", "npu": "NPU"}
_PRECISIONS: dict[str, Precision] = {"f32": "f32", "float32": "f32", "bf16": "bf16", "f16": "f16", "float16": "f16"}
_CAPABILITIES: dict[Precision, str] = {"bf16": "BF16", "f16": "FP16"}

_log = logging.getLogger(__name__)


class OpenVINOEngine:
    """Loads ONNX graphs with OpenVINO."""

    name: EngineName = "openvino"

    def unavailable(self, device: str) -> str | None:
        target = _DEVICES.get(device)
        if target is None:
            return f"OpenVINO does not run on {device}"
        try:
            available = _core().available_devices
        except (ImportError, RuntimeError) as error:  # RuntimeError: its plug-ins cannot be loaded
            return f"OpenVINO cannot be used: {error}"
        if not any(name == target or name.startswith(f"{target}.") for name in available):
            return f"OpenVINO finds no {device} here (it finds {', '.join(available).lower() or 'nothing'})"
        return None

    def precisions(self, device: str) -> tuple[Precision, ...]:
        capabilities = _core().get_property(_DEVICES[device], "OPTIMIZATION_CAPABILITIES")
        return (*(name for name, word in _CAPABILITIES.items() if word in capabilities), "f32")

    def load(self, request: LoadRequest) -> OpenVINORuntime:
        return OpenVINORuntime(request)


class OpenVINORuntime:
    """One graph, compiled for the batch sizes that were asked for so far."""

    def __init__(self, request: LoadRequest) -> None:
        started = time.perf_counter()
        self._version = str(import_openvino().__version__).split("-", maxsplit=1)[0]
        self._request = request
        self._core = _core()
        with kept_locale():
            self._model: Any = self._core.read_model(request.path)
        self._batches = _allowed_batches(self._model, request)
        self._compiled: dict[int | None, _Compiled] = {}
        self._lock = threading.Lock()
        first = self._compile(self._batches[0] if self._batches else None)
        self._info = RuntimeInfo(
            engine="openvino",
            device=request.device,
            precision=first.precision,
            version=self._version,
            load_ms=(time.perf_counter() - started) * 1000,
            cached=first.cached,
            streams=request.side_by_side,
        )

    @property
    def info(self) -> RuntimeInfo:
        return self._info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        if self._batches is None:
            return self._run_part(inputs)
        return split_run(inputs, self._batches, self._run_part)

    def close(self) -> None:
        with self._lock:
            self._compiled.clear()
            self._model = None
        release_memory()

    def _run_part(self, inputs: Tensors) -> dict[str, Array]:
        size = None if self._batches is None else len(next(iter(inputs.values())))
        with self._compile(size).request() as request:
            # OpenVINO itself would answer with what the last call left in the input.
            if len(inputs) != len(request.model_inputs):
                raise ValueError(f"the network takes {len(request.model_inputs)} inputs; given are {', '.join(inputs)}")
            # Shared: the inputs live until the call returns; the outputs are copied below, once, for the next call uses
            # this request's memory again.
            arrays = {name: np.ascontiguousarray(array) for name, array in inputs.items()}
            request.infer(arrays, share_inputs=True, share_outputs=True)
            return {self._output_name(port): request.get_tensor(port).data.copy() for port in request.model_outputs}

    def _cache_folder(self) -> Path | None:
        """Where compiled networks are kept; None where nothing can be, which costs time and not the engine."""
        if self._request.cache_dir is None:
            return None
        folder = self._request.cache_dir / "openvino" / self._version / self._request.digest
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            _log.warning("cache folder=%s unusable=%s", folder, error.strerror)
            return None
        return folder if os.access(folder, os.W_OK) else None

    def _output_name(self, port: Any) -> str:
        # A port carries every name that the graph gave the tensor on its way; only the output's own is the contract.
        names = port.get_names()
        return next((name for name in self._request.outputs if name in names), None) or str(port.get_any_name())

    def _compile(self, size: int | None) -> _Compiled:
        """For batches of this size; None: for any."""
        with self._lock:
            if self._model is None:
                raise RuntimeError("this network is closed")
            if size not in self._compiled:
                model = self._model
                if size is not None and model.inputs[0].partial_shape[0].is_dynamic:
                    model = model.clone()
                    model.reshape({port: [size, *list(port.partial_shape)[1:]] for port in model.inputs})
                device = _DEVICES[self._request.device]
                with kept_locale():
                    compiled = self._core.compile_model(model, device, self._config())
                self._compiled[size] = _Compiled(compiled)
            return self._compiled[size]

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            # Always asked for: the default of a CPU with bf16 is bf16.
            "INFERENCE_PRECISION_HINT": self._request.precision,
        }
        if self._request.threads is not None:
            config["INFERENCE_NUM_THREADS"] = self._request.threads
        elif (streams := self._request.side_by_side) > 1:
            config |= {"NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams}
        if folder := self._cache_folder():
            config["CACHE_DIR"] = str(folder)
        return config


class _Compiled:
    """One compiled network and its infer requests: as many as there were calls at the same time."""

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._idle.put(compiled.create_infer_request())
        hint = compiled.get_property("INFERENCE_PRECISION_HINT")
        self.precision: Precision = _PRECISIONS[hint.get_type_name()]
        self.cached = bool(compiled.get_property("LOADED_FROM_CACHE"))

    @contextmanager
    def request(self) -> Iterator[Any]:
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        try:
            yield request
        finally:
            self._idle.put(request)


@functools.cache
def _core() -> Any:
    """One per process: it holds the plug-ins, which take 0.2 s to load."""
    return import_openvino().Core()


def _allowed_batches(model: Any, request: LoadRequest) -> tuple[int, ...] | None:
    """The static sizes of a dynamic batch, or the one size that the graph was exported for.

    None: any size, for graphs that read texts of any length. Compiled for no shape in particular, the text
    tower of CLIP ViT-B reads eight short texts at once in 8.2 ms each, where one padded to 77 tokens takes 37.3.
    """
    batch = model.inputs[0].partial_shape[0]
    if batch.is_static:
        return (int(batch.get_length()),)
    if request.tokens is not None:
        return None
    return STATIC_BATCHES if request.bytes <= LARGE_NETWORK_BYTES else (1,)
