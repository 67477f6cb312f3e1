"""NVIDIA GPUs through ONNX Runtime: what its two providers share, and the CUDA provider.

Where a provider cannot start, ONNX Runtime goes on with the CPU and says so on stderr or stdout only. Here that is an
error: what is missing is looked for first, its own fallback is switched off, and what runs is read back.

Option names and values are those that the libraries of onnxruntime-gpu 1.31.1 parse.

Not run, for want of an NVIDIA GPU: a session with the CUDA provider. Run: the reasons for a missing provider and for
missing libraries, with the CPU build and with onnxruntime-gpu 1.31.1 on a machine without a GPU; everything else with a
stand-in for ONNX Runtime.
"""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import EngineName, LoadRequest, Precision, RuntimeInfo
from hearthwatch.runtimes.cuda_device import CUDADevice, find_cuda_device
from hearthwatch.runtimes.libraries import missing_library
from hearthwatch.runtimes.onnxruntime import LOG_ERRORS, SessionRuntime, exported_batch
from hearthwatch.runtimes.quiet import import_onnxruntime

CUDA, TENSORRT = "CUDAExecutionProvider", "TensorrtExecutionProvider"
#: The CUDA provider of 1.31 opens it on first use and says nothing where it is missing, until a convolution fails.
CUDNN = "libcudnn.so.9"

Providers = Sequence[tuple[str, dict[str, str]]]


@functools.cache
def _missing_once(path: Path) -> str | None:
    return missing_library(path, also=(CUDNN,))


@dataclass(frozen=True, slots=True)
class NvidiaParts:
    """What the engines ask of the machine; a test puts its own in.

    Attributes:
        onnxruntime: imports the module.
        device: describes a GPU, or raises LoadFailed with the reason.
        missing: opens what a provider's library needs; the reason where something is missing.
    """

    onnxruntime: Callable[[], Any] = import_onnxruntime
    device: Callable[[str], CUDADevice] = find_cuda_device
    missing: Callable[[Path], str | None] = _missing_once

    def library(self, provider: str) -> Path:
        """The file of a provider."""
        name = {CUDA: "cuda", TENSORRT: "tensorrt"}[provider]
        return Path(self.onnxruntime().__file__).parent / "capi" / f"libonnxruntime_providers_{name}.so"

    def unavailable(self, provider: str, device: str) -> str | None:
        """Why that provider cannot run on that device, in words."""
        try:
            self.device(device)
            ort = self.onnxruntime()
        except LoadFailed as error:
            return str(error)
        except ImportError as error:
            return f"ONNX Runtime cannot be imported for {device}: {error}"
        if provider not in ort.get_available_providers():
            return (
                f"ONNX Runtime {ort.__version__} is installed without its {provider}; "
                f'`pip install "hearthwatch[gpu]"` brings the build that has it'
            )
        reason = self.missing(self.library(provider))
        return f"a library of the {provider} is missing: {reason}" if reason else None


@dataclass(frozen=True, slots=True)
class CUDAEngine:
    """Loads ONNX graphs with ONNX Runtime's CUDA provider."""

    name: EngineName = "cuda"
    parts: NvidiaParts = field(default_factory=NvidiaParts)

    def unavailable(self, device: str) -> str | None:
        return self.parts.unavailable(CUDA, device)

    def precisions(self, device: str) -> tuple[Precision, ...]:  # noqa: ARG002 - it computes in the graph's own type
        return ("f32",)

    def load(self, request: LoadRequest) -> SessionRuntime:
        started = time.perf_counter()
        ort, index = self.parts.onnxruntime(), self.parts.device(request.device).index
        session, notes = open_session(ort, request.path, [(CUDA, cuda_options(index))])
        info = RuntimeInfo("cuda", f"cuda:{index}", "f32", str(ort.__version__), ms_since(started), notes=notes)
        return SessionRuntime(session, info, exported_batch(session))


def open_session(ort: Any, path: Path, providers: Providers) -> tuple[Any, tuple[str, ...]]:
    """A session that runs on the first of these providers, and what it leaves to the others.

    Raises:
        LoadFailed: the session runs elsewhere.
    """
    options = ort.SessionOptions()
    options.log_severity_level = LOG_ERRORS
    options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
    # Without its fallback, which prints to stdout and takes the CPU.
    session = ort.InferenceSession(str(path), options, providers=list(providers), enable_fallback=0)
    wanted = providers[0][0]
    running = session.get_providers()
    if not running or running[0] != wanted:
        raise LoadFailed(f"the {wanted} did not start; ONNX Runtime would run on {', '.join(running) or 'nothing'}")
    nodes = _nodes_by_provider(session)
    if nodes and not nodes[wanted]:
        raise LoadFailed(f"the {wanted} took no part of the graph")
    left = sum(nodes.values()) - nodes[wanted]
    others = ", ".join(sorted(name for name, count in nodes.items() if count and name != wanted))
    return session, (f"{left} of {sum(nodes.values())} operators run on {others}",) if left else ()


def cuda_options(index: int) -> dict[str, str]:
    """Options of the CUDA provider."""
    return {
        "device_id": str(index),
        # The other strategy doubles the arena at each growth.
        "arena_extend_strategy": "kSameAsRequested",
        # EXHAUSTIVE, the default, times every algorithm again for each batch size.
        "cudnn_conv_algo_search": "HEURISTIC",
        # float32 is the reference that other precisions are compared with; TF32 has 10 bits of mantissa.
        "use_tf32": "0",
    }


def ms_since(started: float) -> float:
    """Milliseconds since a reading of `time.perf_counter`."""
    return (time.perf_counter() - started) * 1000


def _nodes_by_provider(session: Any) -> Counter[str]:
    """How many operators each provider runs; nothing where this version of ONNX Runtime does not say."""
    told = getattr(session, "get_provider_graph_assignment_info", None)
    nodes: Counter[str] = Counter()
    for part in told() if told is not None else ():
        nodes[part.ep_name] += len(part.get_nodes())
    return nodes
