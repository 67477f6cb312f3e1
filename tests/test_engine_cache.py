"""Engines on disk: no foreign, stale or damaged one is used, and nothing of others is touched."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_onnxruntime import GPU, FakeONNXRuntime, accept, build, graph_request, tensorrt
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.build_times import BuildTimes
from hearthwatch.runtimes.engine_cache import EngineCache
from hearthwatch.runtimes.engine_files import StoredEngine
from hearthwatch.runtimes.engine_key import EngineKey

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

    def test_what_was_replaced_since_it_was_found_is_told(self, ort: FakeONNXRuntime, tmp_path: Path) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = accept(engine, request)
        assert not found.changed()
        again = build(engine, request)
        assert found.changed()
        assert not again.changed()

    def test_a_verdict_on_an_engine_that_was_replaced_meanwhile_is_not_kept(
        self, ort: FakeONNXRuntime, tmp_path: Path
    ) -> None:
        engine, request = tensorrt(ort), graph_request(tmp_path)
        found = build(engine, request)
        build(engine, request)  # by another process, while the first one is compared
        engine.cache(request).judged(found, None)
        left = engine.cache(request).find()
        assert isinstance(left, StoredEngine)
        assert left.accepted is None

    def test_what_a_kill_in_the_middle_of_a_commit_left_goes_with_the_next_engine(self, tmp_path: Path) -> None:
        cache = EngineCache(KEY, None, tmp_path)
        place, _ = cache.place_to_build()
        (cache.stage(place) / "engine_1.engine").write_bytes(b"engine")
        cache.commit(place)
        place.manifest.unlink()
        (cache.stage(place) / "engine_2.engine").write_bytes(b"engine")
        cache.commit(place)
        assert sorted(file.name for file in place.folder.iterdir()) == ["engine.key.json", "engine_2.engine"]

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

    @settings(deadline=None)  # files are written, beside whatever else the machine does
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
