"""Which engine runs a graph, and why not the ones before it."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from hearthwatch.errors import LoadFailed, OutOfMemory, SettingsError
from hearthwatch.runtimes.base import Engine, EngineName, LoadRequest, Precision, Runtime
from hearthwatch.runtimes.memory import is_out_of_memory
from hearthwatch.runtimes.nvidia import CUDAEngine
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.pytorch import PyTorchEngine
from hearthwatch.runtimes.tensorrt import TensorRTEngine

#: Those of the base install, which run a graph on any machine.
ENGINES: tuple[Engine, ...] = (OpenVINOEngine(), ONNXRuntimeEngine())
#: All, in the order in which they are tried.
ALL_ENGINES: tuple[Engine, ...] = (TensorRTEngine(), CUDAEngine(), *ENGINES, PyTorchEngine())

#: Engines of one kind of device. They are not passed over on another kind: nobody expects them there.
_ONLY_CUDA: frozenset[EngineName] = frozenset({"tensorrt", "cuda"})

_DEVICE = re.compile(r"auto|cpu|gpu|npu|cuda(:\d+)?")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Selection:
    """A loaded graph and the reason for each engine that was passed over, in order."""

    runtime: Runtime
    passed_over: tuple[tuple[str, str], ...]


def resolve_device(device: str, engines: Sequence[Engine] = ALL_ENGINES) -> str:
    """`auto` to the best device here; the others as they are.

    A GPU of NVIDIA is taken where ONNX Runtime has its provider and the provider's libraries are there. An Intel GPU is
    taken only when asked for, as it shares the memory.

    Raises:
        SettingsError: not auto, cpu, gpu, npu or cuda:N.
    """
    if not _DEVICE.fullmatch(device):
        raise SettingsError(f"device {device!r} is none of auto, cpu, gpu (Intel), npu (Intel), cuda:N")
    if device != "auto":
        return device
    cuda = next((engine for engine in engines if engine.name == "cuda"), None)
    return "cuda:0" if cuda is not None and cuda.unavailable("cuda:0") is None else "cpu"


def load_graph(request: LoadRequest, engines: Sequence[Engine] = ENGINES) -> Selection:
    """Load with the first engine that can, on the request's device or on its fallback device.

    Raises:
        OutOfMemory: an engine had no room for it, and the request lets no other try, or no other could.
        LoadFailed: none could; the message has each engine's reason.
    """
    passed_over: list[tuple[str, str]] = []
    no_room = False
    for engine in engines:
        if engine.name in _ONLY_CUDA and not request.device.startswith("cuda"):
            continue
        device, reason = _place(engine, request)
        if reason is None:
            try:
                runtime = engine.load(replace(request, device=device))
            except Exception as error:
                words = str(error).strip() or "no reason given"
                reason = words if isinstance(error, LoadFailed) else f"{type(error).__name__}: {words}"
                no_room = no_room or is_out_of_memory(error)
                if no_room and not request.allow_slower:
                    # The next engine would take as much and run slower; the host can make room for this one.
                    raise OutOfMemory(
                        f"{request.path.name} has no room on {device}: {engine.name}: {reason}"
                    ) from error
            else:
                _report(request, passed_over, runtime)
                return Selection(runtime, tuple(passed_over))
        passed_over.append((engine.name, reason))
    reasons = "; ".join(f"{name}: {reason}" for name, reason in passed_over) or "there is no engine"
    failure = OutOfMemory if no_room else LoadFailed
    raise failure(f"{request.path.name} could not be loaded on {request.device}: {reasons}")


def fastest_precision(request: LoadRequest, engines: Sequence[Engine] = ENGINES) -> tuple[Precision, EngineName | None]:
    """The fastest arithmetic that the first available engine has natively on that device, and that engine."""
    for engine in engines:
        device, reason = _place(engine, request)
        if reason is None:
            return engine.precisions(device)[0], engine.name
    return "f32", None


def with_precision(request: LoadRequest, precision: Precision) -> LoadRequest:
    """The same request in another arithmetic."""
    return replace(request, precision=precision)


def _place(engine: Engine, request: LoadRequest) -> tuple[str, str | None]:
    """Where that engine loads, and why it cannot."""
    reason = engine.unavailable(request.device)
    fallback = request.fallback_device
    if reason is not None and fallback is not None and engine.unavailable(fallback) is None:
        return fallback, None
    return request.device, reason


def _report(request: LoadRequest, passed_over: Sequence[tuple[str, str]], runtime: Runtime) -> None:
    info = runtime.info
    for name, reason in passed_over:
        _log.warning("fallback file=%s from=%s to=%s reason=%s", request.path.name, name, info.engine, reason)
    _log.info("loaded file=%s engine=%s device=%s precision=%s ms=%.0f", request.path.name, info.engine, info.device,
              info.precision, info.load_ms)  # fmt: skip
