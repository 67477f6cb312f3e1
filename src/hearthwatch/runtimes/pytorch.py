"""PyTorch: the reference that other engines are compared with, and the last fallback.

An ONNX file holds no torch module, so this engine runs the module that a request brings (`LoadRequest.module`) and
refuses a request without one.

float32 means float32: TF32, which cuDNN's convolutions use by default, is switched off for the whole process. In bf16
and f16 the weights of matrix products and convolutions are kept in that type and autocast chooses the type of each
operation, so that norms, softmax and the coordinates of detection heads stay in float32. Inputs and outputs are float32
in every precision.

Run: everything on a CPU, torch 2.13. Not run, for want of an NVIDIA GPU: any line under `cuda` here, that is CUDA
graphs, f16 and bf16 on a GPU, TF32, and what `close` gives back there.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.metadata
import importlib.util
import platform
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo, Tensors
from hearthwatch.runtimes.memory import release_memory

#: A CUDA graph holds the memory of its shapes; a caller with more shapes than this runs the others eagerly.
MAX_CUDA_GRAPHS = 8
#: Calls before a capture, in which libraries choose their kernels; PyTorch's own documentation takes three.
WARM_UP_CALLS = 3

_CPU_INFO = Path("/proc/cpuinfo")
_MISSING = 'PyTorch is not installed; `pip install "hearthwatch[torch]"` adds it'


@dataclass(frozen=True, slots=True)
class PyTorchEngine:
    """Runs the torch module of a request.

    Attributes:
        compile: let `torch.compile` generate kernels: minutes on the first call, faster afterwards. Needs a C++
            compiler on a CPU.
        cuda_graphs: replay a recorded graph per input shape on CUDA, which saves the launches of small networks.
    """

    compile: bool = False
    cuda_graphs: bool = False
    name: EngineName = "pytorch"

    def unavailable(self, device: str) -> str | None:
        kind, _, number = device.partition(":")
        if kind not in {"cpu", "cuda"}:
            return f"PyTorch here runs on cpu and cuda, not on {device}"
        if importlib.util.find_spec("torch") is None:
            return _MISSING
        if kind == "cpu":
            return None  # without importing it: that takes seconds, and the engine may never be used
        count = _torch().cuda.device_count()
        if int(number or 0) < count:
            return None
        return f"PyTorch finds {count} NVIDIA devices, so not {device}"

    def precisions(self, device: str) -> tuple[Precision, ...]:
        if device.startswith("cuda"):
            # f16 before bf16: equally fast, and closer to float32 where its range suffices, which the agreement tells.
            has_bf16 = _torch().cuda.is_bf16_supported(including_emulation=False)
            return ("f16", "bf16", "f32") if has_bf16 else ("f16", "f32")
        return ("bf16", "f32") if _cpu_has_bf16() else ("f32",)

    def load(self, request: LoadRequest) -> PyTorchRuntime:
        if request.module is None:
            raise LoadFailed("PyTorch runs a checkpoint's own module, and this file brings none")
        if not request.outputs:
            raise LoadFailed("PyTorch needs the names of the outputs, and the request has none")
        return PyTorchRuntime(request, request.module, compile_=self.compile, cuda_graphs=self.cuda_graphs)


class PyTorchRuntime:
    """One module on one device. Calls take turns: a module may keep state, such as the anchors of a picture's size."""

    def __init__(
        self, request: LoadRequest, make: Callable[[], Any], *, compile_: bool = False, cuda_graphs: bool = False
    ) -> None:
        started = time.perf_counter()
        torch = _torch()
        if request.threads is not None:
            torch.set_num_threads(request.threads)  # of the process: PyTorch has no number per call
        module = make().eval().requires_grad_(requires_grad=False)
        _check_module(module, request)
        self._torch = torch
        self._request = request
        self._device = torch.device(request.device)
        self._dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[request.precision]
        if self._device.type == "cuda":
            _disable_tf32(torch)
        module = module.to(self._device)
        precision: Precision = request.precision if _cast_products(torch, module, self._dtype) else "f32"
        self._module: Any = torch.compile(module) if compile_ else module
        self._graphs: dict[tuple[Any, ...], _CUDAGraph] | None = None
        if cuda_graphs and self._device.type == "cuda":
            self._graphs = {}
        self._lock = threading.Lock()
        self._info = RuntimeInfo(
            engine="pytorch",
            device=_device_of(module) or str(self._device),
            precision=precision,
            version=importlib.metadata.version("torch"),
            load_ms=(time.perf_counter() - started) * 1000,
            notes=("compiled by torch.compile on the first call of each shape",) if compile_ else (),
        )

    @property
    def info(self) -> RuntimeInfo:
        return self._info

    def run(self, inputs: Tensors) -> dict[str, Array]:
        names = self._request.inputs or tuple(inputs)
        if set(names) != set(inputs):
            raise ValueError(f"the network takes {', '.join(names)}; given are {', '.join(inputs)}")
        if len(next(iter(inputs.values()))) < 1:
            raise ValueError("a batch of 0 has no answer")
        with self._lock, self._torch.inference_mode():
            if self._module is None:
                raise RuntimeError("this network is closed")
            tensors = [self._to_device(inputs[name]) for name in names]
            answers = self._replay(tensors) if self._graphs is not None else self._forward(tensors)
            return self._named(answers)

    def close(self) -> None:
        with self._lock:  # a call in flight is answered first
            if self._module is None:
                return
            self._module = None
            self._graphs = None
        if self._device.type == "cuda":
            gc.collect()
            self._torch.cuda.empty_cache()
        release_memory()

    def _to_device(self, array: Array) -> Any:
        # Copied: the module may write into its input, and PyTorch takes neither reversed nor read-only arrays.
        return self._torch.from_numpy(np.array(array, order="C")).to(self._device)

    def _forward(self, tensors: Sequence[Any], *, cache_casts: bool = True) -> tuple[Any, ...]:
        with self._autocast(cache_casts):
            answers = self._module(*tensors)
        return tuple(answers) if isinstance(answers, (tuple, list)) else (answers,)

    def _autocast(self, cache_casts: bool) -> Any:
        if self._dtype is self._torch.float32:
            return contextlib.nullcontext()
        return self._torch.autocast(self._device.type, self._dtype, cache_enabled=cache_casts)

    def _replay(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        graphs = self._graphs
        key = tuple((tensor.shape, tensor.dtype) for tensor in tensors)
        if graphs is None or (key not in graphs and len(graphs) >= MAX_CUDA_GRAPHS):
            return self._forward(tensors)
        if key not in graphs:
            # A cast that autocast caches would be freed after the capture, and the replay would read freed memory.
            graphs[key] = _CUDAGraph(self._torch, tensors, lambda given: self._forward(given, cache_casts=False))
        return graphs[key].run(tensors)

    def _named(self, answers: tuple[Any, ...]) -> dict[str, Array]:
        if len(answers) != len(self._request.outputs):
            raise ValueError(f"the module gave {len(answers)} outputs, and the graph has {len(self._request.outputs)}")
        return {name: self._to_numpy(tensor) for name, tensor in zip(self._request.outputs, answers, strict=True)}

    def _to_numpy(self, tensor: Any) -> Array:
        if tensor.is_floating_point():
            tensor = tensor.to(self._torch.float32)
        # Copied: the module may have answered with an input or with a tensor that it keeps.
        array: Array = np.array(tensor.cpu().numpy(), order="C")
        return array


class _CUDAGraph:
    """The kernels of one call, recorded once and launched together: fixed shapes, fixed addresses."""

    def __init__(self, torch: Any, tensors: Sequence[Any], forward: Callable[[Sequence[Any]], tuple[Any, ...]]) -> None:
        self._inputs = [tensor.clone() for tensor in tensors]
        self._on_device: Callable[[], Any] = lambda: torch.cuda.device(self._inputs[0].device)
        with self._on_device():
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP_CALLS):
                    forward(self._inputs)
            torch.cuda.current_stream().wait_stream(stream)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._outputs = forward(self._inputs)

    def run(self, tensors: Sequence[Any]) -> tuple[Any, ...]:
        """The answers; they are overwritten by the next call."""
        with self._on_device():
            for kept, given in zip(self._inputs, tensors, strict=True):
                kept.copy_(given)
            self._graph.replay()
        return self._outputs


def _torch() -> Any:
    # Not at the top: an extra, and its import takes seconds and 200 MB that only this engine needs.
    import torch

    return torch


def _check_module(module: Any, request: LoadRequest) -> None:
    """A module with a tensor that has no memory is half made, and would fail on the first call."""
    unmade = [name for name, tensor in module.named_parameters() if tensor.is_meta]
    if unmade:
        raise LoadFailed(f"the module of {request.path.name} has no values for {unmade[0]}")


def _device_of(module: Any) -> str | None:
    """Where its weights are; None where it has none."""
    return next((str(tensor.device) for tensor in (*module.parameters(), *module.buffers())), None)


def _cast_products(torch: Any, module: Any, dtype: Any) -> bool:
    """Keep the weights of products in `dtype`; False where the module has none, and so computes as before."""
    nn = torch.nn
    kinds = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    products = [layer for layer in module.modules() if isinstance(layer, kinds)]
    for layer in products:
        layer.to(dtype)
    return bool(products)


def _disable_tf32(torch: Any) -> None:
    """float32 with 10 bits of mantissa is no reference."""
    if hasattr(torch.backends.cudnn, "conv"):  # since 2.9, which warns about the older names
        torch.backends.cuda.matmul.fp32_precision = "ieee"
        torch.backends.cudnn.conv.fp32_precision = "ieee"
    else:
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


def _cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 by itself; PyTorch also computes in it where it must convert, which is slow."""
    try:
        flags = set(_CPU_INFO.read_text(encoding="ascii", errors="replace").split())
    except OSError:
        return False
    return bool(flags & ({"bf16"} if platform.machine() == "aarch64" else {"avx512_bf16", "amx_bf16"}))
