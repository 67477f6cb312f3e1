"""TensorRT through ONNX Runtime's provider.

ONNX Runtime builds a TensorRT engine inside the creation of a session, which takes minutes and cannot be stopped. So
`TensorRTEngine.load` never builds: it loads an engine that is complete, of the right key, and whose results were found
to agree. `build_here` builds; `build_child` runs it in another process.

Option names and values are those that the libraries of onnxruntime-gpu 1.31.1 parse: booleans are `True` and `False`
here, where the CUDA provider takes `1` and `0`. That version needs TensorRT 10 (libnvinfer.so.10).

Not run, for want of an NVIDIA GPU: building, loading and running an engine, the context model, the timing cache, and
reading TensorRT's version. Run: the reasons for what is missing, with onnxruntime-gpu 1.31.1 on a machine without a
GPU; everything else with a stand-in for ONNX Runtime that keeps files as its sources say it does.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo
from hearthwatch.runtimes.engine_cache import EngineCache
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.engine_key import EngineKey
from hearthwatch.runtimes.libraries import needed_libraries
from hearthwatch.runtimes.nvidia import CUDA, TENSORRT, NvidiaParts, cuda_options, ms_since, open_session
from hearthwatch.runtimes.onnxruntime import SessionRuntime

#: ONNX Runtime's own default; lower builds faster and runs slower, 5 searches longest.
OPTIMIZATION_LEVEL = 3
#: The batch that TensorRT tunes for. Most calls bring one picture; other values were not measured.
TUNED_BATCH = 1
#: Sides of an input of texts: how many there are, and their tokens. Both may be free.
TOKEN_SIDES = 2
#: A batch, and tokens of a row.
Free = tuple[int, int]

#: NumPy's types by ONNX Runtime's names of them.
_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8,
           "tensor(int32)": np.int32, "tensor(int64)": np.int64, "tensor(bool)": np.bool_}  # fmt: skip


def _tensorrt_version(provider: Path) -> str:
    """TensorRT's own number, such as 101303 for 10.13.3; its library is open by now."""
    name = next(name for name in needed_libraries(provider) if name.startswith("libnvinfer.so"))
    return str(ctypes.CDLL(name).getInferLibVersion())


@dataclass(frozen=True, slots=True)
class TensorRTEngine:
    """Loads TensorRT engines that were built before and whose results agree.

    Attributes:
        level: the builder's optimisation level, 0 to 5.
        parts: what it asks of the machine.
        version: TensorRT's version, from the file of its provider.
    """

    name: EngineName = "tensorrt"
    level: int = OPTIMIZATION_LEVEL
    parts: NvidiaParts = field(default_factory=NvidiaParts)
    version: Callable[[Path], str] = _tensorrt_version

    def unavailable(self, device: str) -> str | None:
        # CUDA too: it takes the operators that TensorRT leaves.
        return self.parts.unavailable(TENSORRT, device) or self.parts.unavailable(CUDA, device)

    def precisions(self, device: str) -> tuple[Precision, ...]:  # noqa: ARG002 - every GPU that TensorRT 10 runs on
        return ("f16", "f32")

    def load(self, request: LoadRequest) -> SessionRuntime:
        """Load the engine of this request.

        Raises:
            LoadFailed: none is built, none of this key, or its results were refused or not compared yet.
        """
        found = self.cache(request).find()
        if isinstance(found, str):
            raise LoadFailed(found)
        if found.accepted is None:
            raise LoadFailed("the engine is built, and its results were not compared yet")
        if not found.accepted:
            raise LoadFailed(f"the engine's results were refused: {found.reason}")
        return self.load_accepted(request, found)

    def load_accepted(self, request: LoadRequest, found: StoredEngine) -> SessionRuntime:
        """Load the engine that was compared, or none.

        Raises:
            LoadFailed: ONNX Runtime did not take it, or another process replaced it meanwhile; what `load_stored` says.
        """
        runtime = self.load_stored(request, found)
        if not runtime.info.cached:
            runtime.close()
            raise LoadFailed("ONNX Runtime did not take the kept engine and built another one, which nobody compared")
        return runtime

    def load_stored(self, request: LoadRequest, found: StoredEngine) -> SessionRuntime:
        """Load an engine from disk whatever was found of its results: for comparing them.

        Raises:
            LoadFailed: TensorRT took no part of the graph, or the provider did not start.
        """
        started = time.perf_counter()
        ort, index = self.parts.onnxruntime(), self.parts.device(request.device).index
        options = precision_options(index, request.precision)
        if found.context is None:  # the graph itself, and the same options, by which ONNX Runtime finds the engine
            options |= build_options(request, self.level, found.place.stem, self.cache(request).timing_folder)
            options["trt_engine_cache_path"] = str(found.place.folder)
        session, notes = open_session(
            ort, found.context or request.path, [(TENSORRT, options), (CUDA, cuda_options(index))]
        )
        # ONNX Runtime builds and writes a new engine where it does not like the one it finds.
        rebuilt = found.changed()
        if rebuilt:
            notes = (*notes, "ONNX Runtime did not take the kept engine and built another one")
        # The session's own word, where it gives one, and else what was asked for.
        given = session.get_provider_options().get(TENSORRT, {})
        precision = request.precision if _is_on(given, options, request.precision) else "f32"
        info = RuntimeInfo("tensorrt", f"cuda:{index}", precision, str(ort.__version__), ms_since(started),
                           cached=not rebuilt, notes=(*found.notes, *notes))  # fmt: skip
        return SessionRuntime(session, info, batches(request))

    def build_here(self, request: LoadRequest, folder: Path, stem: str, timing_folder: Path | None) -> None:
        """Build an engine into a folder, in this process: minutes, and a crash of TensorRT ends the process.

        Raises:
            Exception: whatever ONNX Runtime raises.
        """
        ort, index = self.parts.onnxruntime(), self.parts.device(request.device).index
        if timing_folder is not None:
            timing_folder.mkdir(parents=True, exist_ok=True)
        options = precision_options(index, request.precision)
        options |= build_options(request, self.level, stem, timing_folder)
        # The engine goes into the context model's folder, and is named in it by a relative path.
        options |= {"trt_dump_ep_context_model": "True", "trt_ep_context_embed_mode": "0",
                    "trt_ep_context_file_path": str(folder / f"{stem}_ctx.onnx")}  # fmt: skip
        session, _ = open_session(ort, request.path, [(TENSORRT, options), (CUDA, cuda_options(index))])
        for free in dict.fromkeys((smallest(request), largest(request))):
            session.run(None, {given.name: _zeros(given, free) for given in session.get_inputs()})

    def cache(self, request: LoadRequest) -> EngineCache:
        """Where the engine of this request is kept.

        Raises:
            LoadFailed: no such GPU, or a graph whose shapes TensorRT cannot be told.
        """
        device = self.parts.device(request.device)
        key = EngineKey(
            weights=request.digest,
            gpu=device.name,
            gpu_uuid=device.uuid,
            driver=device.driver,
            tensorrt=self.version(self.parts.library(TENSORRT)),
            onnxruntime=str(self.parts.onnxruntime().__version__),
            precision=request.precision,
            shapes=f"{profile(request, smallest(request))} to {profile(request, largest(request))}",
            level=self.level,
        )
        return EngineCache(key, request.engine_path, request.cache_dir)


def precision_options(index: int, precision: Precision) -> dict[str, str]:
    """Options of TensorRT's provider that every session has."""
    return {
        "device_id": str(index),
        "trt_fp16_enable": str(precision == "f16"),
        "trt_bf16_enable": str(precision == "bf16"),
    }


def build_options(request: LoadRequest, level: int, stem: str, timing_folder: Path | None) -> dict[str, str]:
    """Options that decide what is built, and under which name it is found again."""
    options = {
        "trt_builder_optimization_level": str(level),
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_prefix": stem,
    }
    if timing_folder is not None:
        options |= {"trt_timing_cache_enable": "True", "trt_timing_cache_path": str(timing_folder)}
    low, high = smallest(request), largest(request)
    if low != high:
        sizes = {"min": low, "opt": (TUNED_BATCH, low[1]), "max": high}
        options |= {f"trt_profile_{word}_shapes": profile(request, free) for word, free in sizes.items()}
    return options


def smallest(request: LoadRequest) -> Free:
    """The smallest batch, and the shortest row of tokens; 0 where no side but the batch is free."""
    return min(batches(request)), request.tokens[0] if request.tokens else 0


def largest(request: LoadRequest) -> Free:
    """As `smallest`."""
    return max(batches(request)), request.tokens[1] if request.tokens else 0


def profile(request: LoadRequest, free: Free) -> str:
    """The inputs' shapes as the provider reads them: `images:1x3x640x640,other:1x4`."""
    shapes = ["x".join(str(side or free[place > 0]) for place, side in enumerate(shape)) for shape in request.shapes]
    return ",".join(f"{name}:{shape}" for name, shape in zip(request.inputs, shapes, strict=True))


def batches(request: LoadRequest) -> tuple[int, ...]:
    """The batches that an engine takes: all up to the largest, or the one that the graph was exported for.

    Raises:
        LoadFailed: shapes that are unknown, or dynamic in more than the batch and the tokens of texts.
    """
    if not request.shapes or len(request.shapes) != len(request.inputs):
        raise LoadFailed("TensorRT needs the shapes of the inputs, and the request has none")
    for name, shape in zip(request.inputs, request.shapes, strict=True):
        of_tokens = request.tokens is not None and len(shape) == TOKEN_SIDES
        if (None in shape[1:] and not of_tokens) or not shape:
            words = " x ".join("?" if side is None else str(side) for side in shape) or "no side"
            raise LoadFailed(f"TensorRT needs fixed sizes, and the input {name} is {words}; only a batch may vary")
    size, *others = {shape[0] for shape in request.shapes}
    if others:
        raise LoadFailed("TensorRT needs one batch for all inputs, and this graph's inputs differ in it")
    return tuple(range(1, request.max_batch + 1)) if size is None else (size,)


def _is_on(given: Mapping[str, str], asked: Mapping[str, str], precision: Precision) -> bool:
    name = {"f16": "trt_fp16_enable", "bf16": "trt_bf16_enable"}.get(precision)
    return name is not None and str(given.get(name, asked[name])).lower() in {"1", "true"}


def _zeros(given: Any, free: Free) -> Array:
    shape = [side if isinstance(side, int) else free[1] for side in given.shape[1:]]
    return np.zeros([free[0], *shape], _DTYPES[given.type])
