"""A stand-in for ONNX Runtime's GPU build: it takes options and keeps files as the real one's sources say it does.

The network doubles its input. An engine is a file that holds what it was built for.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.cuda_device import CUDADevice
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.nvidia import CUDA, TENSORRT, CUDAEngine, NvidiaParts
from hearthwatch.runtimes.tensorrt import TensorRTEngine

GPU = CUDADevice(0, "NVIDIA Fictional 9000", "00000000-0000-0000-0000-000000000009", "580.95.05")

#: Read out of libonnxruntime_providers_tensorrt.so and _cuda.so of onnxruntime-gpu 1.31.1.
TENSORRT_BOOLEANS = {
    "trt_bf16_enable", "trt_build_heuristics_enable", "trt_context_memory_sharing_enable", "trt_cuda_graph_enable",
    "trt_detailed_build_log", "trt_dla_enable", "trt_dump_ep_context_model", "trt_dump_subgraphs",
    "trt_engine_cache_enable", "trt_engine_decryption_enable", "trt_engine_hw_compatible",
    "trt_force_sequential_engine_build", "trt_force_timing_cache", "trt_fp16_enable", "trt_int8_enable",
    "trt_int8_use_native_calibration_table", "trt_layer_norm_fp32_fallback", "trt_sparsity_enable",
    "trt_timing_cache_enable", "trt_weight_stripped_engine_enable",
}  # fmt: skip
TENSORRT_NUMBERS = {
    "device_id", "trt_auxiliary_streams", "trt_builder_optimization_level", "trt_dla_core",
    "trt_ep_context_embed_mode", "trt_max_partition_iterations", "trt_max_workspace_size", "trt_min_subgraph_size",
}  # fmt: skip
TENSORRT_WORDS = {
    "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_engine_decryption_lib_path", "trt_ep_context_file_path",
    "trt_extra_plugin_lib_paths", "trt_int8_calibration_table_name", "trt_onnx_model_folder_path",
    "trt_op_types_to_exclude", "trt_preview_features", "trt_profile_max_shapes", "trt_profile_min_shapes",
    "trt_profile_opt_shapes", "trt_tactic_sources", "trt_timing_cache_path",
}  # fmt: skip
CUDA_VALUES = {
    "device_id": None, "gpu_mem_limit": None, "sdpa_kernel": None,
    "arena_extend_strategy": {"kNextPowerOfTwo", "kSameAsRequested"},
    "cudnn_conv_algo_search": {"EXHAUSTIVE", "HEURISTIC", "DEFAULT"},
    "use_tf32": {"0", "1"}, "do_copy_in_default_stream": {"0", "1"}, "prefer_nhwc": {"0", "1"},
}  # fmt: skip


@dataclass
class FakeONNXRuntime:
    """The module, with what can be wrong with it.

    Attributes:
        folder: where it is installed.
        providers: those of the build.
        starts: providers that really start; the others end on the CPU in silence.
        taken: how many of the graph's ten operators TensorRT takes.
        whole: whether a context model is written.
        during_build: called while an engine is built; it may wait, raise or end the process.
        error: added to every answer of a TensorRT engine.
        refuses: engines that it does not take, by when they were written (st_mtime_ns).
        shape: of the input; None where it is dynamic.
        sessions: the providers' options of each session, by name.
    """

    folder: Path
    providers: Sequence[str] = (TENSORRT, CUDA, "CPUExecutionProvider")
    starts: Sequence[str] = (TENSORRT, CUDA)
    taken: int = 10
    whole: bool = True
    during_build: Callable[[], object] = lambda: None
    error: float = 0.0
    refuses: set[int] = field(default_factory=set)
    shape: tuple[int | None, ...] = (None, 3, 4, 4)
    version: str = "1.31.1"
    sessions: list[dict[str, dict[str, str]]] = field(default_factory=list)
    builds: int = 0

    @property
    def __version__(self) -> str:
        return self.version

    @property
    def __file__(self) -> str:
        return str(self.folder / "onnxruntime" / "__init__.py")

    def get_available_providers(self) -> list[str]:
        return list(self.providers)

    class SessionOptions:
        def __init__(self) -> None:
            self.log_severity_level = 2
            self.entries: dict[str, str] = {}

        def add_session_config_entry(self, name: str, value: str) -> None:
            self.entries[name] = value

    def InferenceSession(self, path: str, options: Any, **given: Any) -> FakeSession:  # noqa: N802 - its name there
        return FakeSession(self, Path(path), options, **given)


@dataclass(frozen=True)
class Value:
    name: str
    shape: list[int | str]
    type: str = "tensor(float)"


@dataclass(frozen=True)
class Assigned:
    ep_name: str
    count: int

    def get_nodes(self) -> list[int]:
        return list(range(self.count))


class FakeSession:
    """A session, built or loaded by the options of its providers."""

    def __init__(
        self,
        ort: FakeONNXRuntime,
        path: Path,
        options: Any,
        providers: Sequence[tuple[str, Mapping[str, str]]],
        enable_fallback: int = 1,
    ) -> None:
        assert enable_fallback == 0, "its own fallback prints to stdout and takes the CPU"
        self._ort = ort
        self._told = options.entries.get("session.record_ep_graph_assignment_info") == "1"
        self._options = {name: dict(given) for name, given in providers}
        ort.sessions.append(self._options)
        for name, given in self._options.items():
            check_options(name, given)
        self._running = [name for name in self._options if name in ort.starts] + ["CPUExecutionProvider"]
        self.profile: dict[str, str] | None = None
        if self._running[0] == TENSORRT:
            self.profile = self._engine(path, self._options[TENSORRT])
        elif not path.read_bytes().startswith(b"graph"):
            raise RuntimeError(f"Load model from {path} failed")

    def get_providers(self) -> list[str]:
        return self._running

    def get_provider_options(self) -> dict[str, dict[str, str]]:
        return {name: given for name, given in self._options.items() if name in self._running}

    def get_inputs(self) -> list[Value]:
        return [Value("x", ["N" if side is None else side for side in self._ort.shape])]

    def get_outputs(self) -> list[Value]:
        return [Value("y", ["N"])]

    def get_provider_graph_assignment_info(self) -> list[Assigned]:
        assert self._told, "it is only told where it was asked for"
        if self._running[0] != TENSORRT:
            return [Assigned(self._running[0], 10)]
        return [Assigned(TENSORRT, self._ort.taken), Assigned(CUDA, 10 - self._ort.taken)]

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, Any]) -> list[Any]:
        given = inputs["x"]
        if self.profile is not None and "max" in self.profile:
            largest = int(self.profile["max"].split(":")[1].split("x")[0])
            assert 1 <= len(given) <= largest, "outside the profile the real one builds a new engine"
        elif self._ort.shape[0] is not None:
            assert len(given) == self._ort.shape[0]
        return [given * np.float32(2) + np.float32(self._ort.error if self.profile is not None else 0)]

    def _engine(self, path: Path, options: Mapping[str, str]) -> dict[str, str]:
        if path.name.endswith("_ctx.onnx"):
            named = json.loads(path.read_text(encoding="utf-8"))["ep_cache_context"]
            assert Path(named).name == named, "only a path relative to the context model is taken"
            if (path.parent / named).stat().st_mtime_ns in self._ort.refuses:
                raise RuntimeError(f"TensorRT does not take {named}")
            return json.loads((path.parent / named).read_text(encoding="utf-8"))["profile"]  # type: ignore[no-any-return]
        words = ("min", "opt", "max")
        profile = {word: options[name] for word in words if (name := f"trt_profile_{word}_shapes") in options}
        dump = options.get("trt_dump_ep_context_model") == "True"
        context = Path(options["trt_ep_context_file_path"]) if dump else None
        folder = context.parent if context is not None else Path(options["trt_engine_cache_path"])
        fp16 = "_fp16" if options["trt_fp16_enable"] == "True" else ""
        engine = folder / f"{options['trt_engine_cache_prefix']}_2068723788287043730_0{fp16}_sm90.engine"
        if engine.exists() and json.loads(engine.read_text(encoding="utf-8"))["profile"] == profile:
            return profile
        self._ort.builds += 1
        self._ort.during_build()
        engine.write_text(json.dumps({"profile": profile}), encoding="utf-8")
        if profile:
            engine.with_suffix(".profile").write_text(json.dumps(profile), encoding="utf-8")
        if "trt_timing_cache_path" in options:
            folder = Path(options["trt_timing_cache_path"])
            assert folder.is_dir()
            (folder / "TensorrtExecutionProvider_cache_sm90.timing").write_bytes(b"times")
        if context is not None and self._ort.whole:
            context.write_text(json.dumps({"ep_cache_context": engine.name}), encoding="utf-8")
        return profile


def check_options(provider: str, options: Mapping[str, str]) -> None:
    """Refuse what the real parsers refuse."""
    for name, value in options.items():
        assert isinstance(value, str)
        if provider == CUDA:
            allowed = CUDA_VALUES[name]
            assert allowed is None or value in allowed, (name, value)
        elif name in TENSORRT_BOOLEANS:
            assert value in {"True", "False"}, (name, value)
        elif name in TENSORRT_NUMBERS:
            assert value.isdigit(), (name, value)
        else:
            assert name in TENSORRT_WORDS, name
            assert value, name


def machine(ort: FakeONNXRuntime, gpu: CUDADevice = GPU, missing: Mapping[str, str] | None = None) -> NvidiaParts:
    """A machine with one GPU, `cuda:0`."""

    def device(name: str) -> CUDADevice:
        if name != "cuda:0":
            raise LoadFailed(f"there is no {name} here")
        return gpu

    return NvidiaParts(lambda: ort, device, lambda path: (missing or {}).get(path.name))


def tensorrt(ort: FakeONNXRuntime, gpu: CUDADevice = GPU, version: str = "101303", level: int = 3) -> TensorRTEngine:
    return TensorRTEngine(level=level, parts=machine(ort, gpu), version=lambda _path: version)


def cuda(ort: FakeONNXRuntime) -> CUDAEngine:
    return CUDAEngine(parts=machine(ort))


def graph_request(folder: Path, **fields: Any) -> LoadRequest:
    """A request for a network on `cuda:0`, with a cache directory."""
    path = folder / "net.onnx"
    path.write_bytes(b"graph")
    given: dict[str, Any] = {
        "bytes": 5 << 20,
        "outputs": ("y",),
        "device": "cuda:0",
        "precision": "f16",
        "cache_dir": folder / "cache",
        "inputs": ("x",),
        "shapes": ((None, 3, 4, 4),),
    }
    return LoadRequest(path, "d" * 64, **given | fields)


def some(batch: int) -> dict[str, Any]:
    return {"x": np.arange(batch * 48, dtype=np.float32).reshape(batch, 3, 4, 4)}


def build(engine: TensorRTEngine, request: LoadRequest) -> StoredEngine:
    """Build and keep an engine in this process."""
    cache = engine.cache(request)
    place, notes = cache.place_to_build()
    engine.build_here(request, cache.stage(place), place.stem, cache.timing_folder)
    cache.commit(place, notes)
    found = cache.find()
    assert isinstance(found, StoredEngine)
    return found


def accept(engine: TensorRTEngine, request: LoadRequest) -> StoredEngine:
    found = build(engine, request)
    engine.cache(request).judged(found, None)
    return found


if __name__ == "__main__":
    # A child that builds with the stand-in: how it goes is its first argument.
    from hearthwatch.runtimes.build_child import main

    def crash() -> None:
        import os
        import signal

        os.kill(os.getpid(), signal.SIGSEGV)

    def fail() -> None:
        raise RuntimeError("out of GPU memory")

    ways: dict[str, Callable[[], object]] = {
        "well": lambda: None,
        "crash": crash,
        "fail": fail,
        "hang": lambda: time.sleep(600),
        "talk": lambda: sys.stdout.write("warning\n" * 500_000),
    }
    fake = FakeONNXRuntime(Path(), during_build=ways[sys.argv[1]])
    sys.exit(main(lambda level: tensorrt(fake, level=level)))
