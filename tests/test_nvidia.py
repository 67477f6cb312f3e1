"""NVIDIA's two providers: what is missing is named, what runs is read back, and no foreign or stale engine is used."""

from __future__ import annotations

import json
import os
import shutil
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_onnxruntime import GPU, FakeONNXRuntime, cuda, graph_request, machine, some, tensorrt
from fakes import FakeEngine
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import Engine, LoadRequest
from hearthwatch.runtimes.build_times import BuildTimes
from hearthwatch.runtimes.cuda_device import CUDA_LIBRARY, CUDADevice, find_cuda_device
from hearthwatch.runtimes.engine_cache import EngineCache, StoredEngine
from hearthwatch.runtimes.engine_key import EngineKey
from hearthwatch.runtimes.libraries import missing_library, needed_libraries
from hearthwatch.runtimes.nvidia import CUDA, TENSORRT, CUDAEngine
from hearthwatch.runtimes.select import ALL_ENGINES, fastest_precision, load_graph, resolve_device
from hearthwatch.runtimes.tensorrt import TensorRTEngine, batches

KEY = EngineKey("d" * 64, GPU.name, GPU.uuid, GPU.driver, "101303", "1.31.1", "f16", "x:1x4 to x:8x4", 3)
OTHER: dict[str, Any] = {
    "weights": "e" * 64,
    "gpu": "NVIDIA Other",
    "gpu_uuid": "00000000-0000-0000-0000-000000000001",
    "driver": "590.1",
    "tensorrt": "101400",
    "onnxruntime": "1.32.0",
    "precision": "f32",
    "shapes": "x:1x4 to x:4x4",
    "level": 5,
}


@pytest.fixture
def ort(tmp_path: Path) -> FakeONNXRuntime:
    return FakeONNXRuntime(tmp_path)


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
    engine.cache(request).judged(found.place, None)
    return found


class TestDevice:
    """The driver's libraries, with Python functions in the place of theirs."""

    class Driver:
        def __init__(self, count: int = 2, start: int = 0, version: int = 0) -> None:
            self.count, self.start, self.version = count, start, version

        def __call__(self, name: str) -> Any:
            return self

        def cuInit(self, flags: int) -> int:  # noqa: N802
            return self.start

        def cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
            count._obj.value = self.count
            return 0

        def cuDeviceGet(self, handle: Any, index: int) -> int:  # noqa: N802
            handle._obj.value = 40 + index
            return 0

        def cuDeviceGetName(self, name: Any, size: int, handle: Any) -> int:  # noqa: N802
            name.value = f"NVIDIA Number {handle.value}".encode()
            return 0

        def cuDeviceGetUuid_v2(self, identity: Any, handle: Any) -> int:  # noqa: N802
            identity[:] = bytes([handle.value] * 16)
            return 0

        def nvmlInit_v2(self) -> int:  # noqa: N802
            return self.version

        def nvmlSystemGetDriverVersion(self, version: Any, size: int) -> int:  # noqa: N802
            version.value = b"580.95.05"
            return 0

        def nvmlShutdown(self) -> int:  # noqa: N802
            return 0

    def test_a_gpu_is_described_by_the_number_that_cuda_gives_it(self) -> None:
        found = find_cuda_device("cuda:1", self.Driver())
        assert found == CUDADevice(1, "NVIDIA Number 41", "29292929-2929-2929-2929-292929292929", "580.95.05")
        assert find_cuda_device("cuda", self.Driver()).index == 0

    def test_without_nvml_the_driver_is_unknown_and_the_gpu_is_known(self) -> None:
        assert find_cuda_device("cuda:0", self.Driver(version=9)).driver == "unknown"

        def no_nvml(name: str) -> Any:
            if name != CUDA_LIBRARY:
                raise OSError(name)
            return self.Driver()

        assert find_cuda_device("cuda:0", no_nvml).driver == "unknown"

    @pytest.mark.parametrize(
        ("device", "driver", "reason"),
        [
            ("cpu", Driver(), "NVIDIA devices .* not on cpu"),
            ("cuda:2", Driver(), "there is no cuda:2 here; the NVIDIA driver finds 2 devices"),
            ("cuda:0", Driver(count=0), "there is no cuda:0 here; the NVIDIA driver finds 0 devices"),
            ("cuda:0", Driver(count=0, start=100), "finds 0 devices"),
            ("cuda:0", Driver(start=804), r"does not start for cuda:0 \(CUDA error 804\)"),
        ],
    )
    def test_a_device_that_is_not_there_is_a_reason(self, device: str, driver: Driver, reason: str) -> None:
        with pytest.raises(LoadFailed, match=reason):
            find_cuda_device(device, driver)

    def test_a_machine_without_the_driver_says_so(self) -> None:
        def none(name: str) -> Any:
            raise OSError(f"{name}: cannot open shared object file: No such file or directory")

        with pytest.raises(LoadFailed, match=r"no NVIDIA driver for cuda:0 here \(libcuda\.so\.1"):
            find_cuda_device("cuda:0", none)


def elf(path: Path, needed: Sequence[str]) -> Path:
    """A shared library of the least: one segment, and a table of the names that it needs."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    offsets = [1 + sum(len(name) + 1 for name in needed[:index]) for index in range(len(needed))]
    table = 64 + 2 * 56
    dynamic = table + len(names)
    base = 0x1000  # addresses are not offsets
    tags = [(5, base + table), *((1, offset) for offset in offsets), (0, 0)]
    body = names + b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = table + len(body)
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    )
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, base, base, size, size, 4096)
    pointer = struct.pack("<IIQQQQQQ", 2, 4, dynamic, base + dynamic, base + dynamic, 16 * len(tags), 16 * len(tags), 8)
    path.write_bytes(header + load + pointer + body)
    return path


class TestLibraries:
    """A loader that knows some libraries, each with what it lacks until that is opened."""

    class Loader:
        def __init__(self, lacks: dict[str, str]) -> None:
            self.lacks, self.opened = lacks, []  # type: tuple[dict[str, str], list[str]]

        def __call__(self, name: str) -> object:
            short = Path(name).name
            if short not in self.lacks or (
                name == short and short not in self.opened and self.lacks[short] == "folder"
            ):
                raise OSError(f"{short}: cannot open shared object file: No such file or directory")
            lacking = self.lacks[short]
            if lacking not in {"", "folder", *self.opened}:
                raise OSError(f"{lacking}: cannot open shared object file: No such file or directory")
            self.opened.append(short)
            return object()

    @given(names=st.lists(st.text("abcdef.so0123456789", min_size=1, max_size=30), max_size=8))
    def test_the_names_are_read_as_they_were_written(
        self, names: list[str], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        assert needed_libraries(elf(tmp_path_factory.mktemp("elf") / "lib.so", names)) == tuple(names)

    @given(size=st.integers(0, 250))
    def test_a_cut_file_is_a_reason_and_no_crash(self, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
        path = elf(tmp_path_factory.mktemp("elf") / "lib.so", ["liba.so.1"])
        path.write_bytes(path.read_bytes()[:size])
        reason = missing_library(path, self.Loader({"liba.so.1": ""}), [])
        assert reason is None or "lib.so cannot be read" in reason or "is not installed" in reason

    def test_the_python_module_of_the_installed_onnx_runtime_has_all_that_it_needs(self) -> None:
        import onnxruntime

        [module] = (Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*.so")
        assert "libc.so.6" in needed_libraries(module)
        assert missing_library(module) is None

    def test_the_missing_library_is_named(self, tmp_path: Path) -> None:
        path = elf(tmp_path / "provider.so", ["libc.so.6", "libnvinfer.so.10"])
        assert missing_library(path, self.Loader({"libc.so.6": ""}), []) == "libnvinfer.so.10 is not installed"
        assert missing_library(path) == "libnvinfer.so.10 is not installed"  # the real loader says it so too

    def test_a_library_that_is_opened_on_first_use_is_looked_for_too(self, tmp_path: Path) -> None:
        path, loader = elf(tmp_path / "provider.so", ["libc.so.6"]), self.Loader({"libc.so.6": ""})
        assert missing_library(path, loader, []) is None
        assert missing_library(path, loader, [], also=["libcudnn.so.9"]) == "libcudnn.so.9 is not installed"

    def test_a_library_in_a_package_is_opened_with_what_it_lacks_first(self, tmp_path: Path) -> None:
        folder = tmp_path / "nvidia" / "cu13" / "lib"
        folder.mkdir(parents=True)
        for name in ("libcublas.so.13", "libcublasLt.so.13"):
            (folder / name).touch()
        loader = self.Loader({"libcublas.so.13": "libcublasLt.so.13", "libcublasLt.so.13": "folder"})
        path = elf(tmp_path / "provider.so", ["libcublas.so.13"])
        assert missing_library(path, loader, [folder]) is None
        assert loader.opened == ["libcublasLt.so.13", "libcublas.so.13"]
        (folder / "libcublasLt.so.13").unlink()
        alone = self.Loader({"libcublas.so.13": "libcublasLt.so.13"})
        assert missing_library(path, alone, [folder]) == "libcublasLt.so.13 is not installed"

    def test_a_library_that_cannot_be_opened_for_another_reason_gives_it(self, tmp_path: Path) -> None:
        def broken(name: str) -> object:
            raise OSError(f"{name}: file too short")

        reason = missing_library(elf(tmp_path / "provider.so", ["liba.so.1"]), broken, [])
        assert reason == "liba.so.1 cannot be opened (liba.so.1: file too short)"

    def test_two_libraries_that_lack_each_other_end_in_a_reason(self, tmp_path: Path) -> None:
        loader = self.Loader({"liba.so.1": "libb.so.1", "libb.so.1": "liba.so.1"})
        assert missing_library(elf(tmp_path / "p.so", ["liba.so.1"]), loader, []) is not None


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
        assert fastest_precision(request, engines[2:]) == "bf16"
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


class TestTensorRT:
    def test_built_and_accepted_it_is_loaded_without_building(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        accept(engine, request)
        assert ort.builds == 1
        runtime = engine.load(request)
        assert ort.builds == 1
        info = runtime.info
        assert (info.engine, info.device, info.precision, info.cached) == ("tensorrt", "cuda:0", "f16", True)
        for batch in (1, 8, 9, 30):
            np.testing.assert_array_equal(runtime.run(some(batch))["y"], some(batch)["x"] * 2)

    def test_a_graph_that_it_takes_in_parts_is_found_in_the_engine_cache(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        ort.whole, ort.taken = False, 7
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = accept(engine, request)
        assert found.context is None
        info = engine.load(request).info
        assert ort.builds == 1
        assert info.cached is True
        assert info.notes == ("3 of 10 operators run on CUDAExecutionProvider",)

    def test_an_engine_that_onnx_runtime_builds_again_is_told(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        ort.whole = False
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = accept(engine, request)
        stale = next(file for file in found.files if file.suffix == ".engine")
        ort.during_build = lambda: os.utime(stale, ns=(1, 1))
        stale.write_text(json.dumps({"profile": "another"}), encoding="utf-8")
        info = engine.load_stored(request, found).info
        assert info.cached is False
        assert any("built another" in note for note in info.notes)

    def test_the_effective_precision_is_the_session_s(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        for precision in ("f32", "f16", "bf16"):
            engine, request = tensorrt(ort), graph_request(tmp_path, precision=precision)
            accept(engine, request)
            assert engine.load(request).info.precision == precision

    def test_the_profile_holds_every_batch_up_to_the_largest(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        request = graph_request(tmp_path, inputs=("x", "ids"), shapes=((None, 3, 4, 4), (None, 7)), max_batch=16)
        cache = tensorrt(ort).cache(request)
        tensorrt(ort).build_here(request, cache.stage(cache.place_to_build()[0]), "engine", cache.timing_folder)
        given = ort.sessions[0][TENSORRT]
        assert given["trt_profile_min_shapes"] == "x:1x3x4x4,ids:1x7"
        assert given["trt_profile_opt_shapes"] == "x:1x3x4x4,ids:1x7"
        assert given["trt_profile_max_shapes"] == "x:16x3x4x4,ids:16x7"

    def test_a_static_batch_has_no_profile_and_is_put_together(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        ort.shape = (2, 3, 4, 4)
        engine, request = tensorrt(ort), graph_request(tmp_path, shapes=((2, 3, 4, 4),))
        accept(engine, request)
        assert not any("profile" in name for name in ort.sessions[0][TENSORRT])
        np.testing.assert_array_equal(engine.load(request).run(some(3))["y"], some(3)["x"] * 2)

    @pytest.mark.parametrize(
        ("fields", "reason"),
        [
            ({"shapes": ()}, "the request has none"),
            ({"shapes": ((None, 3, None, None),)}, r"input x is \? x 3 x \? x \?; only a batch may vary"),
            ({"shapes": ((),)}, "no side"),
            ({"inputs": ("x", "z"), "shapes": ((None, 3), (1, 3))}, "differ in it"),
        ],
    )
    def test_shapes_that_it_cannot_be_told_are_a_reason(
        self, ort: FakeONNXRuntime, tmp_path: Path, fields: dict[str, Any], reason: str
    ) -> None:
        request = graph_request(tmp_path, **fields)
        with pytest.raises(LoadFailed, match=reason):
            batches(request)
        selection = load_graph(request, [tensorrt(ort), cuda(ort)])
        assert selection.runtime.info.engine == "cuda"

    def test_measured_kernels_are_kept_for_other_networks_on_the_same_machine(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        engine = tensorrt(ort)
        for digest in ("a" * 64, "b" * 64):
            build(engine, replace(graph_request(tmp_path), digest=digest))
        folders = {session[TENSORRT]["trt_timing_cache_path"] for session in ort.sessions}
        assert len(folders) == 1
        other = tensorrt(ort, version="101400").cache(graph_request(tmp_path)).timing_folder
        assert str(other) not in folders

    def test_what_no_one_compared_is_not_loaded(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = build(engine, request)
        with pytest.raises(LoadFailed, match="not compared yet"):
            engine.load(request)
        engine.cache(request).judged(found.place, "cosine 0.5, at least 0.99 needed")
        with pytest.raises(LoadFailed, match=r"refused: cosine 0\.5, at least 0\.99 needed"):
            engine.load(request)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "changed": lambda file: file.write_bytes(bytes(len(file.read_bytes()))),
    "gone": lambda file: file.unlink(),
    "a link": lambda file: file.symlink_to(shutil.move(file, file.with_suffix(".moved"))),
}


class TestCache:
    @pytest.mark.parametrize("field", OTHER)
    def test_every_part_of_the_key_makes_another_engine_with_its_reason(
        self, ort: FakeONNXRuntime, tmp_path: Path, field: str
    ) -> None:
        wanted = replace(KEY, **{field: OTHER[field]})
        documented = tmp_path / "net.engine"
        cache = EngineCache(KEY, documented, None)
        place, _ = cache.place_to_build()
        (cache.stage(place) / "net_1.engine").write_bytes(b"engine")
        cache.commit(place)
        assert isinstance(cache.find(), StoredEngine)
        reason = EngineCache(wanted, documented, None).find()
        assert isinstance(reason, str)
        assert f"the engine in {tmp_path} is not used: " in reason
        assert str(getattr(KEY, field))[:12] in reason
        assert str(OTHER[field])[:12] in reason

    def test_every_part_of_the_key_has_a_wrong_value_here(self) -> None:
        assert OTHER.keys() == set(KEY.__slots__)

    def test_a_new_driver_replaces_the_engine_in_its_folder(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        request = graph_request(tmp_path)
        old = accept(tensorrt(ort), request)
        newer = tensorrt(ort, gpu=replace(GPU, driver="999.9"))
        reason = newer.cache(request).find()
        assert isinstance(reason, str)
        assert "it is of driver 580.95.05 (here is 999.9)" in reason
        new = accept(newer, request)
        assert new.place == old.place
        assert newer.load(request).info.cached is True
        assert isinstance(tensorrt(ort).cache(request).find(), str)

    def test_two_gpus_of_one_name_have_each_their_own(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        request, twin = graph_request(tmp_path), replace(GPU, uuid="00000000-0000-0000-0000-00000000000a")
        places = {accept(tensorrt(ort, gpu=gpu), request).place for gpu in (GPU, twin)}
        assert len(places) == 2
        assert isinstance(tensorrt(ort).cache(request).find(), StoredEngine)

    def test_the_documented_path_is_the_stem_of_engine_and_context(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        folder = tmp_path / "models" / "clip-vit-l"
        folder.mkdir(parents=True)
        request = graph_request(tmp_path, engine_path=folder / "vision_encoder_fp16.engine")
        found = accept(tensorrt(ort), request)
        names = sorted(file.name for file in folder.iterdir() if not file.name.startswith("."))
        assert all(name.startswith("vision_encoder_fp16") for name in names)
        assert "vision_encoder_fp16_ctx.onnx" in names
        assert any(name.endswith(".engine") for name in names)
        assert (found.notes, tensorrt(ort).load(request).info.notes) == ((), ())

    def test_where_the_folder_cannot_be_written_the_engine_goes_to_the_cache_and_says_so(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()  # a folder that cannot be made, also for root
        request = graph_request(tmp_path, engine_path=tmp_path / "file" / "net.engine")
        found = accept(tensorrt(ort), request)
        assert found.place.folder.is_relative_to(tmp_path / "cache" / "tensorrt")
        [note] = tensorrt(ort).load(request).info.notes
        assert f"{tmp_path / 'file'} cannot be written" in note
        assert str(found.place.folder) in note
        with pytest.raises(LoadFailed, match=r"there is no folder for the engine: .*cannot be written"):
            tensorrt(ort).cache(replace(request, cache_dir=None)).place_to_build()

    def test_the_engine_of_another_gpu_at_the_documented_path_is_left_to_it(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        request = graph_request(tmp_path, engine_path=tmp_path / "net.engine")
        theirs = tensorrt(ort, gpu=replace(GPU, uuid="11111111-1111-1111-1111-111111111111", name="NVIDIA Other"))
        accept(theirs, request)
        ours = accept(tensorrt(ort), request)
        assert ours.place.folder != tmp_path
        assert "is kept for the GPU NVIDIA Other" in ours.notes[0]
        assert theirs.load(request).info.cached is True

    def test_a_file_of_somebody_else_is_not_used_and_not_touched(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        documented = tmp_path / "net.engine"
        documented.write_bytes(b"built by another tool")
        request = graph_request(tmp_path, engine_path=documented)
        assert tensorrt(ort).cache(request).find() == f"{documented} was not built by this installation"
        accept(tensorrt(ort), request)
        assert documented.read_bytes() == b"built by another tool"

    @pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
    def test_a_damaged_file_is_not_loaded(
        self, ort: FakeONNXRuntime, tmp_path: Path, damage: Callable[[Path], object]
    ) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        for file in accept(engine, request).files:
            damage(file)
            with pytest.raises(LoadFailed, match=r"is not used: .*(changed|missing)"):
                engine.load(request)
            accept(engine, request)
        assert engine.load(request).info.cached is True

    @pytest.mark.parametrize(
        "text",
        [b"", b"{", b"[]", b"{}", b'{"version": 2}', b'{"version": 1, "key": {}, "files": {}, "notes": []}', b"\xff",
         b'{"version": 1, "key": null, "files": {"../../net.onnx": {}}, "notes": [], "verdict": null}'],
    )  # fmt: skip
    def test_a_broken_manifest_is_no_engine(self, ort: FakeONNXRuntime, tmp_path: Path, text: bytes) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = accept(engine, request)
        found.place.manifest.write_bytes(text)
        with pytest.raises(LoadFailed, match="no engine is built yet"):
            engine.load(request)
        accept(engine, request)
        assert (tmp_path / "net.onnx").exists()
        assert engine.load(request).info.cached is True

    def test_a_build_that_left_nothing_keeps_no_engine(self, tmp_path: Path) -> None:
        cache = EngineCache(KEY, None, tmp_path)
        place, _ = cache.place_to_build()
        cache.stage(place)
        with pytest.raises(LoadFailed, match="ended without an engine"):
            cache.commit(place)

    def test_what_a_killed_build_left_is_removed_by_the_next(self, tmp_path: Path) -> None:
        cache = EngineCache(KEY, None, tmp_path)
        place, _ = cache.place_to_build()
        (cache.stage(place) / "half.engine").write_bytes(b"half")
        assert cache.find() == "no engine is built yet"
        assert list(cache.stage(place).iterdir()) == []
        cache.discard(place)
        assert not place.staging.exists()

    def test_a_verdict_of_another_version_of_ours_is_none(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        accept(engine, request)
        found = EngineCache(engine.cache(request).key, None, request.cache_dir, version="another").find()
        assert isinstance(found, StoredEngine)
        assert found.accepted is None

    @pytest.mark.parametrize("name", ["net.onnx", "../net.onnx", "engine_../../x.engine", "engine_secret.txt", ""])
    def test_a_manifest_that_names_other_files_is_not_used_and_removes_none(self, tmp_path: Path, name: str) -> None:
        cache = EngineCache(KEY, tmp_path / "cache" / "engine.engine", None)
        place, _ = cache.place_to_build()
        for rebuilt in (False, True):
            (cache.stage(place) / "engine_1.engine").write_bytes(b"engine")
            cache.commit(place)
            assert isinstance(cache.find(), StoredEngine)
            manifest = json.loads(place.manifest.read_bytes())
            manifest["files"][name] = {"bytes": 0, "sha256": ""}
            place.manifest.write_text(json.dumps(manifest), encoding="utf-8")
            others = [tmp_path / "net.onnx", place.folder / "net.onnx", place.folder / "engine_secret.txt"]
            for other in others:
                assert other.exists() == rebuilt
                other.touch()
            assert f"{name!r} is none of an engine's files" in str(cache.find())

    def test_one_builder_at_a_time_has_a_place_and_a_waiting_one_can_be_cancelled(self, tmp_path: Path) -> None:
        cache, cancelled = EngineCache(KEY, None, tmp_path), threading.Event()
        place, _ = cache.place_to_build()
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == 3:
                cancelled.set()

        with (
            cache.locked(place, threading.Event()),
            pytest.raises(LoadFailed, match="cancelled"),
            cache.locked(place, cancelled, wait),
        ):
            pass
        assert len(waits) == 3
        with cache.locked(place, threading.Event()):
            pass


class TestBuildTimes:
    def test_nothing_is_known_before_the_first_build_of_the_kind(self, tmp_path: Path) -> None:
        times = BuildTimes(tmp_path / "times")
        assert times.expected_s(("net", "f16")) is None
        times.add(("net", "f16"), 60.0)
        assert times.expected_s(("net", "f16")) == 60.0
        assert times.expected_s(("net", "f32")) is None

    @given(seconds=st.lists(st.floats(0.1, 1e5), min_size=1, max_size=20))
    def test_it_is_the_median_of_the_last_builds(
        self, seconds: list[float], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        times = BuildTimes(tmp_path_factory.mktemp("times"))
        for each in seconds:
            times.add(("net",), each)
        kept = sorted(seconds[-BuildTimes.KEPT :])
        assert times.expected_s(("net",)) == kept[len(kept) // 2]

    @pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'["a", -1, null]'])
    def test_a_damaged_file_is_nothing_known(self, tmp_path: Path, text: bytes) -> None:
        times = BuildTimes(tmp_path)
        times.add(("net",), 5.0)
        [file] = tmp_path.iterdir()
        file.write_bytes(text)
        assert times.expected_s(("net",)) is None
        times.add(("net",), 7.0)
        assert times.expected_s(("net",)) == 7.0

    def test_a_folder_that_cannot_be_written_costs_nothing_but_the_estimate(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        times = BuildTimes(tmp_path / "file" / "times")
        times.add(("net",), 5.0)
        assert times.expected_s(("net",)) is None
