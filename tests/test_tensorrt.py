"""TensorRT's engines: built, loaded, and never built where one is only to be loaded."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_onnxruntime import FakeONNXRuntime, accept, build, cuda, graph_request, some, tensorrt
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.nvidia import TENSORRT
from hearthwatch.runtimes.select import load_graph
from hearthwatch.runtimes.tensorrt import batches


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

    def test_an_engine_that_was_built_again_while_it_was_loaded_does_not_serve(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        """It was accepted, and what runs is another one that nobody compared."""
        ort.whole = False
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = accept(engine, request)
        stale = next(file for file in found.files if file.suffix == ".engine")
        stale.write_text(json.dumps({"profile": "another"}), encoding="utf-8")
        with pytest.raises(LoadFailed, match="built another one, which nobody compared"):
            engine.load_accepted(request, found)

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

    def test_texts_of_any_length_have_a_profile_from_the_shortest_row_to_the_longest(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        ort.shape = (None, None)
        request = graph_request(tmp_path, inputs=("ids",), shapes=((None, None),), tokens=(16, 77), max_batch=4)
        cache = tensorrt(ort).cache(request)
        tensorrt(ort).build_here(request, cache.stage(cache.place_to_build()[0]), "engine", cache.timing_folder)
        given = ort.sessions[0][TENSORRT]
        profiles = [given[f"trt_profile_{word}_shapes"] for word in ("min", "opt", "max")]
        assert profiles == ["ids:1x16", "ids:1x16", "ids:4x77"]
        assert cache.key.shapes == "ids:1x16 to ids:4x77"
        with pytest.raises(LoadFailed, match=r"ids is \? x \?; only a batch may vary"):
            batches(replace(request, tokens=None))

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
        engine.cache(request).judged(found, "cosine 0.5, at least 0.99 needed")
        with pytest.raises(LoadFailed, match=r"refused: cosine 0\.5, at least 0\.99 needed"):
            engine.load(request)
