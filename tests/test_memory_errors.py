"""Running out of memory: told from other errors, and never answered with an engine that takes as much."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fakes import FakeEngine
from hearthwatch.errors import InferenceFailed, LoadFailed, OutOfMemory
from hearthwatch.runtimes.base import SMALL_NETWORK_BYTES, LoadRequest
from hearthwatch.runtimes.memory import is_out_of_memory
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.select import load_graph
from toy import write_network

REQUEST = LoadRequest(Path("/somewhere/net.onnx"), "digest", outputs=("output0",))

#: As engines word it.
SAID = [
    "std::bad_alloc",
    "Exception from src/inference/src/cpp/core.cpp:110: std::bad_alloc",
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer of size 4096",
    "CUDA failure 2: out of memory ; GPU=0 ; hostname=x",
    "CUDA error cudaErrorMemoryAllocation: out of memory",
    "CUDA_ERROR_OUT_OF_MEMORY",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED",
    "[GPU] clEnqueueNDRangeKernel, error code: -5 CL_OUT_OF_RESOURCES",
    "[GPU] CL_MEM_OBJECT_ALLOCATION_FAILURE",
    "[GPU] Exceeded max size of memory object allocation",
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
    "Cannot allocate memory",
]


@pytest.mark.parametrize("words", SAID)
def test_engines_say_in_their_own_words_that_memory_ran_out(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))


@pytest.mark.parametrize("error", [MemoryError(), OutOfMemory("x"), type("OutOfMemoryError", (RuntimeError,), {})("x")])
def test_some_errors_say_it_by_their_type(error: Exception) -> None:
    assert is_out_of_memory(error)


def test_the_reason_of_an_error_counts() -> None:
    with pytest.raises(InferenceFailed) as failed:
        raise InferenceFailed("x failed") from MemoryError()
    assert is_out_of_memory(failed.value)


@pytest.mark.parametrize("words", ["", "invalid input name: images", "no such file", "shape mismatch of memory layout"])
def test_other_errors_do_not_mean_memory(words: str) -> None:
    assert not is_out_of_memory(RuntimeError(words))


@pytest.mark.parametrize("failure", [MemoryError(), RuntimeError("std::bad_alloc"), LoadFailed("out of memory")])
def test_the_next_engine_is_not_asked_where_one_has_no_room(failure: Exception) -> None:
    second = FakeEngine("onnxruntime")
    with pytest.raises(OutOfMemory, match=r"net\.onnx has no room on cpu: openvino: "):
        load_graph(REQUEST, (FakeEngine("openvino", failure=failure), second))
    assert second.loads == []


def test_the_next_engine_is_asked_where_the_request_allows_a_slower_one() -> None:
    request = replace(REQUEST, allow_slower=True)
    selection = load_graph(request, (FakeEngine("openvino", failure=MemoryError("none")), FakeEngine("onnxruntime")))
    assert selection.runtime.info.engine == "onnxruntime"
    assert selection.passed_over == (("openvino", "MemoryError: none"),)


@pytest.mark.parametrize(
    ("fields", "calls"),
    [
        ({}, 1),
        ({"concurrency": 3}, 3),
        ({"concurrency": 3, "bytes": SMALL_NETWORK_BYTES + 1}, 1),
        ({"concurrency": 3, "bytes": 0}, 1),
        ({"concurrency": 3, "threads": 2}, 1),
        ({"concurrency": 3, "device": "gpu"}, 1),
    ],
    ids=str,
)
def test_small_networks_on_a_cpu_run_side_by_side_and_others_take_all_threads(
    fields: dict[str, int], calls: int
) -> None:
    assert replace(REQUEST, **{"bytes": 1000, **fields}).side_by_side == calls  # type: ignore[arg-type]


@pytest.mark.parametrize("engine", [OpenVINOEngine(), ONNXRuntimeEngine()], ids=lambda engine: engine.name)
def test_what_runs_side_by_side_is_told_by_the_runtime(
    engine: OpenVINOEngine | ONNXRuntimeEngine, tmp_path: Path
) -> None:
    request = LoadRequest(write_network(tmp_path / "net.onnx"), "digest", bytes=1000, concurrency=2)
    for asked, streams in ((request, 2), (replace(request, concurrency=1), 1)):
        runtime = engine.load(asked)
        assert runtime.info.streams == streams
        runtime.close()
