"""NVIDIA's two providers: what is missing is named, and what runs is read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fake_onnxruntime import FakeONNXRuntime, build, cuda, graph_request, machine, some, tensorrt
from fakes import FakeEngine
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Engine
from hearthwatch.runtimes.nvidia import CUDA, TENSORRT, CUDAEngine
from hearthwatch.runtimes.select import ALL_ENGINES, fastest_precision, load_graph, resolve_device
from hearthwatch.runtimes.tensorrt import TensorRTEngine


class TestReasons:
    @pytest.mark.parametrize("engine", [TensorRTEngine(), CUDAEngine()], ids=lambda engine: engine.name)
    @pytest.mark.parametrize("device", ["cpu", "gpu", "npu", "cuda:0", "cuda:31"])
    def test_on_this_machine_the_reason_names_the_device(self, engine: Engine, device: str) -> None:
        reason = engine.unavailable(device)
        if reason is None:
            pytest.skip("this machine has it")
        assert device in reason or "ONNX Runtime" in reason

    def test_a_build_without_the_provider_names_the_extra(self, ort: FakeONNXRuntime) -> None:
        ort.providers = ("AzureExecutionProvider", "CPUExecutionProvider")
        for engine, provider in ((cuda(ort), CUDA), (tensorrt(ort), TENSORRT)):
            reason = str(engine.unavailable("cuda:0"))
            assert reason.startswith(f"ONNX Runtime 1.31.1 is installed without its {provider}; ")
            assert 'pip install "hearthwatch[gpu]"' in reason

    def test_a_missing_library_is_named_with_its_provider(self, ort: FakeONNXRuntime) -> None:
        lost = {"libonnxruntime_providers_tensorrt.so": "libnvinfer.so.10 is not installed"}
        engine = TensorRTEngine(parts=machine(ort, missing=lost))
        assert engine.unavailable("cuda:0") == (
            "a library of the TensorrtExecutionProvider is missing: libnvinfer.so.10 is not installed"
        )
        assert CUDAEngine(parts=machine(ort, missing=lost)).unavailable("cuda:0") is None

    def test_tensorrt_needs_cuda_too(self, ort: FakeONNXRuntime) -> None:
        lost = {"libonnxruntime_providers_cuda.so": "libcublas.so.13 is not installed"}
        assert "CUDAExecutionProvider" in str(TensorRTEngine(parts=machine(ort, missing=lost)).unavailable("cuda:0"))

    def test_a_provider_that_ends_on_the_cpu_in_silence_is_an_error(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        ort.starts = ()
        with pytest.raises(LoadFailed, match="CUDAExecutionProvider did not start; ONNX Runtime would run on CPU"):
            cuda(ort).load(graph_request(tmp_path))

    def test_tensorrt_that_takes_nothing_is_an_error(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        ort.taken = 0
        with pytest.raises(LoadFailed, match="took no part"):
            build(tensorrt(ort), graph_request(tmp_path))


class TestSelection:
    def test_auto_is_the_first_gpu_where_cuda_runs_and_the_cpu_elsewhere(self, ort: FakeONNXRuntime) -> None:
        assert resolve_device("auto", [tensorrt(ort), cuda(ort)]) == "cuda:0"
        assert resolve_device("auto", [FakeEngine("openvino")]) == "cpu"
        ort.providers = ("CPUExecutionProvider",)
        assert resolve_device("auto", [tensorrt(ort), cuda(ort)]) == "cpu"
        assert resolve_device("cuda:3", [cuda(ort)]) == "cuda:3"

    def test_the_order_is_the_documented_one(self) -> None:
        names = [engine.name for engine in ALL_ENGINES]
        assert names == ["tensorrt", "cuda", "openvino", "onnxruntime", "pytorch"]

    def test_engines_of_a_gpu_are_not_passed_over_on_a_cpu(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        request = graph_request(tmp_path, device="cpu")
        selection = load_graph(request, [tensorrt(ort), cuda(ort), FakeEngine("openvino")])
        assert selection.passed_over == ()

    def test_without_an_engine_on_disk_cuda_serves_and_the_reason_is_given(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        selection = load_graph(graph_request(tmp_path), [tensorrt(ort), cuda(ort), FakeEngine("openvino")])
        assert selection.runtime.info.engine == "cuda"
        assert selection.passed_over == (("tensorrt", "no engine is built yet"),)
        assert ort.builds == 0

    def test_a_gpu_that_fails_falls_back_to_the_cpu_where_that_is_allowed(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        ort.starts = ()

        class CPUOnly(FakeEngine):
            def unavailable(self, device: str) -> str | None:
                return None if device == "cpu" else f"not on {device}"

        engines: list[Engine] = [tensorrt(ort), cuda(ort), CPUOnly("openvino", native=("bf16", "f32"))]
        request = graph_request(tmp_path, fallback_device="cpu")
        selection = load_graph(request, engines)
        assert (selection.runtime.info.engine, selection.runtime.info.device) == ("openvino", "cpu")
        assert [name for name, _ in selection.passed_over] == ["tensorrt", "cuda"]
        assert fastest_precision(request, engines[2:])[0] == "bf16"
        with pytest.raises(LoadFailed, match="not on cuda:0"):
            load_graph(replace(request, fallback_device=None), engines)


class TestCUDA:
    def test_it_answers_any_batch_and_says_what_runs(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        runtime = cuda(ort).load(graph_request(tmp_path))
        info = runtime.info
        assert (info.engine, info.device, info.precision, info.version) == ("cuda", "cuda:0", "f32", "1.31.1")
        for batch in (1, 5, 40):
            np.testing.assert_array_equal(runtime.run(some(batch))["y"], some(batch)["x"] * 2)

    def test_a_static_batch_is_put_together(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        ort.shape = (4, 3, 4, 4)
        runtime = cuda(ort).load(graph_request(tmp_path))
        np.testing.assert_array_equal(runtime.run(some(6))["y"], some(6)["x"] * 2)

    def test_float32_is_float32(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        cuda(ort).load(graph_request(tmp_path))
        assert ort.sessions[0][CUDA]["use_tf32"] == "0"

    def test_closed_it_does_not_run(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        runtime = cuda(ort).load(graph_request(tmp_path))
        runtime.close()
        runtime.close()
        with pytest.raises(RuntimeError, match="closed"):
            runtime.run(some(1))
