"""The benchmark of the engines counts right, and the page says what was measured. No test looks at a time."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks import ceiling, engine_works, engines, engines_page, memory
from benchmarks.__main__ import USUAL, read_command_line
from benchmarks.pairs import Samples, interleave
from benchmarks.processes import MeasurementFailed, run_job, run_jobs
from benchmarks.report import Report, store, to_json, to_markdown
from benchmarks.work import Answer, Job

from hearthwatch.runtimes.base import Array, EngineName, LoadRequest, Precision, RuntimeInfo, Tensors

FACTS = {"size": [64, 32], "outputs": ["y"], "bytes": 1 << 20, "gflop": 4.0, "digest": "d", "code": []}
PAIR: list[tuple[str, Precision]] = [("pytorch", "f32"), ("openvino", "f32")]


def timed(batches: Mapping[int, list[float]], **facts: Any) -> Answer:
    samples = {engine_works.batch_key(batch): Samples(ms, [2 * value for value in ms]) for batch, ms in batches.items()}
    return Answer(samples, {"precision": "f32", "agreement": 1.0, **facts})


def a_cycle(load_ms: float, taken: float, left: float, *, cached: bool | None = None) -> dict[str, Any]:
    loaded, closed = ({"anonymous": mib, "resident": 2 * mib} for mib in (taken, left))
    return {"load_ms": load_ms, "first_run_ms": 5.0, "cached": cached, "loaded": loaded, "closed": closed}


def loading(*cycles: dict[str, Any]) -> Answer:
    return Answer({}, {"import_ms": 100.0, "base": {"anonymous": 50.0, "resident": 90.0}, "cycles": list(cycles)})


def a_ceiling(*, ms: float, threads: int = 2) -> Answer:
    keys = [f"{loop} x{count}" for loop in ("AVX2", "AVX-512") for count in (1, threads)]
    operations = {key: (1e9 if "512" in key else 5e8) * int(key[-1]) for key in keys}
    return Answer({key: Samples([ms, 2 * ms], [ms, ms]) for key in keys},
                  {"operations": operations, "threads": [1, threads]})  # fmt: skip


def small_result() -> dict[str, Any]:
    plan = engines.Plan([], {"ResNet-18": FACTS}, PAIR, {})
    eager, other = "ResNet-18 on pytorch f32", "ResNet-18 on openvino f32"
    answers = {
        ceiling.KEY: [a_ceiling(ms=5.0), a_ceiling(ms=8.0)],
        eager: [timed({1: [30.0, 60.0], 8: [300.0, 300.0]})] * 2,
        other: [timed({1: [10.0, 20.0], 8: [150.0, 150.0]}), timed({1: [15.0, 30.0], 8: [150.0, 150.0]})],
        memory.key_of(eager, cached=False): [loading(*[a_cycle(40.0, 80.0, 3.0)] * 3)],
        memory.key_of(other, cached=False): [loading(a_cycle(200.0, 60.0, 4.0), *[a_cycle(150.0, 60.0, 6.0)] * 2)],
        memory.key_of(other, cached=True): [loading(*[a_cycle(20.0, 30.0, 2.0, cached=True)] * 3)],
    }
    return engines.summary(plan, answers, ["avx512f"])


class TestCeiling:
    def test_the_fastest_loop_and_its_fastest_reading_count(self) -> None:
        found = ceiling.summary([a_ceiling(ms=8.0), a_ceiling(ms=5.0)], {})
        assert set(found) == {"f32"}
        assert found["f32"]["loop"] == "AVX-512"
        assert found["f32"]["gflops"] == pytest.approx(2e9 / 5e-3 / 1e9)
        assert found["f32"]["slowest_process"] == pytest.approx(2e9 / 8e-3 / 1e9)
        assert found["f32"]["one_thread"] == pytest.approx(1e9 / 5e-3 / 1e9)

    def test_a_vector_loop_is_no_ceiling_where_there_are_matrix_units(self) -> None:
        assert set(ceiling.unmeasured(["avx512f", "amx_bf16", "amx_int8"])) == {"bf16", "int8"}
        assert ceiling.unmeasured(["avx512f", "avx512_bf16"]) == {}

    def test_the_loops_are_built_and_say_how_much_they_did(self, tmp_path: Path) -> None:
        library, reason = ceiling.compile_loops(tmp_path)
        if library is None:
            assert "compiler" in reason
            pytest.skip(reason)
        built = ctypes.CDLL(str(library))
        built.ceiling_run.restype = ctypes.c_double
        built.ceiling_run.argtypes = [ctypes.c_int, ctypes.c_long]
        for number, _ in ceiling.LOOPS.values():
            done = [built.ceiling_run(number, rounds) for rounds in (1, 10)]
            assert done[1] == 10 * done[0]
            assert bool(done[0]) == bool(built.ceiling_runs(number))
        assert built.ceiling_run(len(ceiling.LOOPS), 10) == 0
        assert built.ceiling_run(0, 1) == 12 * 4 * 2

    def test_every_loop_that_runs_here_is_read_on_one_thread_and_on_all(self, tmp_path: Path) -> None:
        library, reason = ceiling.compile_loops(tmp_path)
        if library is None:
            pytest.skip(reason)
        answer = run_job(ceiling.job(library), rounds=1)
        assert "portable x1" in answer.samples
        assert ceiling.summary([answer], {})["f32"]["gflops"] > 0

    def test_without_a_compiler_there_is_a_reason(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        assert ceiling.compile_loops(tmp_path) == (None, "there is no C compiler (cc, gcc, clang)")

    def test_a_compiler_that_refuses_is_quoted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        refusing = tmp_path / "cc"
        refusing.write_text("#!/bin/sh\necho 'ceiling.c:1: error: no such thing' >&2\nexit 1\n")
        refusing.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        library, reason = ceiling.compile_loops(tmp_path)
        assert library is None
        assert "no such thing" in reason


class FakeRuntime:
    """Gives back what it is given."""

    info = RuntimeInfo("onnxruntime", "cpu", "f32", "1", 1.0)

    def __init__(self, log: list[str]) -> None:
        self.log = log

    def run(self, inputs: Tensors) -> dict[str, Array]:
        self.log.append("run")
        return {"y": np.array(inputs[engine_works.INPUT])}

    def close(self) -> None:
        self.log.append("close")


class FakeEngine:
    name: EngineName = "onnxruntime"

    def __init__(self, refusal: str | None = None) -> None:
        self.log: list[str] = []
        self.refusal = refusal

    def unavailable(self, device: str) -> str | None:
        return self.refusal

    def precisions(self, device: str) -> tuple[Precision, ...]:
        return ("f32",)

    def load(self, request: LoadRequest) -> FakeRuntime:
        self.log.append("load")
        return FakeRuntime(self.log)


@pytest.mark.skipif(memory.unavailable() is not None, reason=memory.unavailable() or "")
class TestMemory:
    def test_a_network_is_loaded_run_and_closed_in_each_cycle(self) -> None:
        engine = FakeEngine()
        request = LoadRequest(Path("x.onnx"), "d", inputs=(engine_works.INPUT,))
        work = memory.work(engine, request, np.zeros((1, 3, 4, 4), np.float32))
        assert engine.log == ["load", "run", "close"] * memory.CYCLES
        assert len(work.facts()["cycles"]) == memory.CYCLES
        assert not work.alternatives

    def test_an_engine_that_does_not_run_here_is_said(self) -> None:
        with pytest.raises(RuntimeError, match="no such device"):
            memory.work(FakeEngine("no such device"), LoadRequest(Path("x"), "d"), np.zeros(1, np.float32))

    def test_memory_that_is_taken_is_seen_and_so_is_that_it_was_given_back(self) -> None:
        before = memory.read_memory()["anonymous"]
        # Straight from the system: the heap may still have as much of an earlier test.
        held = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for _ in range(64):
            held.write(bytes(1 << 20))  # not all at once: the heap would keep what was copied from
        grown = memory.read_memory()["anonymous"] - before
        held.close()
        assert 56 < grown < 96
        assert memory.read_memory()["anonymous"] - before < 32


class TestLoads:
    def test_a_load_is_cold_in_a_fresh_process_and_warm_with_the_cache(self) -> None:
        cold = [loading(a_cycle(200.0, 60.0, 4.0), a_cycle(120.0, 60.0, 5.0), a_cycle(100.0, 60.0, 9.0))]
        warm = [loading(*[a_cycle(20.0, 30.0, 2.0, cached=True)] * 3)]
        found = memory.summary(cold, warm)
        assert (found["cold_ms"], found["warm_ms"], found["again_ms"]) == (200.0, 20.0, 110.0)
        assert found["warm_from_cache"]
        assert (found["taken_mib"], found["left_mib"], found["left_at_last_mib"]) == (60.0, 4.0, 9.0)
        assert (found["warm_taken_mib"], found["warm_resident_mib"]) == (30.0, 60.0)

    def test_a_warm_load_that_found_no_cache_is_not_called_warm(self) -> None:
        found = memory.summary([loading(*[a_cycle(9.0, 1.0, 1.0)] * 3)],
                               [loading(*[a_cycle(9.0, 1.0, 1.0, cached=False)] * 3)])  # fmt: skip
        assert not found["warm_from_cache"]


class TestRows:
    def test_a_speed_up_is_eager_time_over_the_engines_pair_by_pair(self) -> None:
        rows = {(row["engine"], row["batch"]): row for row in small_result()["rows"]}
        assert rows["pytorch f32", 1]["speed_up"] == 1.0
        assert rows["openvino f32", 1]["speed_up"] == 2.5  # 3 in the one process, 2 in the other
        assert rows["openvino f32", 8]["speed_up"] == 2.0
        assert rows["openvino f32", 1]["ms_of_processes"] == [15.0, 22.5]
        assert rows["openvino f32", 1]["cpu_ms"] == 2 * rows["openvino f32", 1]["ms"]

    def test_the_percent_is_of_the_ceiling_in_the_same_precision(self) -> None:
        row = next(row for row in small_result()["rows"] if row["engine"] == "openvino f32" and row["batch"] == 8)
        assert row["gflop"] == 32.0
        assert row["floor_ms"] == pytest.approx(32.0 / 400 * 1000)  # the ceiling is 400 GFLOP/s
        assert row["percent_of_ceiling"] == pytest.approx(100 * 80 / 150)

    def test_without_a_ceiling_there_is_no_percent(self) -> None:
        plan = engines.Plan([], {"ResNet-18": FACTS}, PAIR[:1], {})
        answers = {"ResNet-18 on pytorch f32": [timed({1: [1.0], 8: [8.0]})]}
        assert [row["percent_of_ceiling"] for row in engines.summary(plan, answers, [])["rows"]] == [None, None]

    def test_an_engine_that_failed_leaves_the_others_their_rows(self) -> None:
        plan = engines.Plan([], {"ResNet-18": FACTS}, PAIR, {})
        answers = {"ResNet-18 on pytorch f32": [timed({1: [1.0], 8: [8.0]})]}
        assert {row["engine"] for row in engines.summary(plan, answers, [])["rows"]} == {"pytorch f32"}


class TestPlan:
    @pytest.fixture(autouse=True)
    def _torch(self) -> None:
        for package in ("torch", "onnxscript"):
            pytest.importorskip(package, reason="the extra torch is not installed")

    def plan(self, folder: Path, *, quick: bool, broken: str = "") -> engines.Plan:
        def run(job: Job, rounds: int) -> Answer:
            if job.key == broken:
                raise MeasurementFailed("no such operator")
            return Answer({}, FACTS)

        return engines.plan(folder, [], lambda _: None, quick=quick, run=run)

    def test_every_network_is_measured_on_every_engine_eager_first(self, tmp_path: Path) -> None:
        found = self.plan(tmp_path, quick=False)
        assert found.engines[0] == ("pytorch", "f32")
        measured = {job.key for job in found.jobs}
        for name in found.networks:
            assert {f"{name} on {' '.join(engine)}" for engine in found.engines} <= measured
        assert {subject.name for subject in engines.NETWORKS} == set(found.networks) | (
            set(found.skipped) & {subject.name for subject in engines.NETWORKS}
        )

    def test_a_warm_load_follows_the_job_that_fills_its_cache(self, tmp_path: Path) -> None:
        jobs = {job.key: (place, job) for place, job in enumerate(self.plan(tmp_path, quick=True).jobs)}
        place, warm = jobs["load YOLOv8n-pose on openvino f32, warm"]
        before, timing = jobs["YOLOv8n-pose on openvino f32"]
        assert before < place
        assert timing.arguments["cache"] == warm.arguments["cache"]
        assert "load YOLOv8n-pose on pytorch f32, warm" not in jobs  # it has no cache

    def test_a_quick_run_leaves_the_large_networks_out(self, tmp_path: Path) -> None:
        assert set(self.plan(tmp_path, quick=True).networks) == {"ResNet-18", "YOLOv8n-pose", "OSNet x0.25"}

    def test_a_network_that_cannot_be_exported_is_said_and_left_out(self, tmp_path: Path) -> None:
        found = self.plan(tmp_path, quick=True, broken="ResNet-18")
        assert "ResNet-18" not in found.networks
        assert found.skipped["ResNet-18"] == "no graph could be exported: no such operator"

    def test_calls_of_seconds_are_read_less_often(self) -> None:
        ran: list[int] = []

        def run(job: Job, rounds: int) -> Answer:
            ran.append(rounds)
            return Answer({}, {})

        run_jobs([Job("long", "x", most_rounds=3), Job("short", "x")], 1, 15, lambda _: None, run)
        assert ran == [3, 15]

    def test_a_call_of_seconds_is_warmed_up_once(self) -> None:
        now = [0.0]
        calls: list[float] = []

        def call() -> None:
            calls.append(now[0])
            now[0] += 5.0

        interleave({"long": call}, 2, clock=lambda: now[0], cpu_clock=lambda: now[0])
        assert len(calls) == 1 + 2


@pytest.mark.slow
def test_a_small_network_goes_all_the_way_on_every_engine(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="the extra torch is not installed")
    pytest.importorskip("onnxscript", reason="the extra torch is not installed")
    folder = tmp_path / "network"
    facts = run_job(Job("export", "export", {"name": "OSNet x0.25", "folder": str(folder)}), rounds=0).facts
    assert facts["gflop"] == pytest.approx(0.165, abs=0.01)  # 82.5 M multiplications of OSNet x0.25 at 256 x 128
    found, _ = engines.available_engines()
    for engine, precision in found:
        given = {"engine": engine, "precision": precision, "network": facts, "folder": str(folder),
                 "cache": str(tmp_path / "cache" / precision)}  # fmt: skip
        answer = run_job(Job(engine, "engine", given), rounds=1)
        assert set(answer.samples) == {"batch 1", "batch 8"}
        assert answer.facts["agreement"] >= engine_works.AGREEMENT[precision]
    np.save(folder / "answer.npy", -np.load(folder / "answer.npy"))
    with pytest.raises(MeasurementFailed, match=r"cosine of -1\.0"):
        run_job(Job("wrong", "engine", given), rounds=1)


class TestPage:
    def report(self, found: Mapping[str, Any]) -> Report:
        versions = {f"package-{number}": "1.2.3" for number in range(9)}
        machine = {"cpu": "Some CPU @ 2 GHz", "cores": 2, "instructions": ["avx512f"], "memory_gib": 8,
                   "system": "Linux x86_64", "python": "3.11", "versions": versions, "commit": "abc",
                   "load_before": 0.0}  # fmt: skip
        skipped = {"ViT-B/16": "transformers is not installed"}
        return Report("2026-11-20", machine, 5, 7, [], engines=found, skipped=skipped)

    def page(self) -> str:
        return engines_page.page_of(
            orjson.loads(to_json(self.report(small_result()))), "2026-11-20-some-cpu-with-a-long-name-engines.json"
        )

    def test_the_page_names_the_machine_the_numbers_and_what_is_missing(self) -> None:
        page = self.page()
        assert "Some CPU @ 2 GHz (avx512f), 2 cores" in page
        assert "| f32 | AVX-512 | 200 | 400 | 2 | 250 |" in page
        assert "| ResNet-18 | 8 | openvino f32 | 150.0 | 150.0 to 150.0 | 300.0 | 2.00 | 2.00 to 2.00 | 53 |" in page
        assert "| ResNet-18 | openvino f32 | 2.5 | 3.0 | 1.9 | 1.1 |" in page
        assert "| ResNet-18 | openvino f32 | 100.0 | 200.0 | 20.0 | 150.0 | 5.00 |" in page
        assert "| ResNet-18 | openvino f32, warm | 1 | 30 | 60 | 2 | 2 |" in page
        assert "* ViT-B/16: transformers is not installed" in page

    def test_every_row_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        tables = [block.splitlines() for block in self.page().split("\n\n") if block.startswith("|")]
        assert len(tables) == 5
        for table in tables:
            assert {row.count("|") for row in table} == {table[0].count("|")}

    def test_lines_are_as_long_as_others_are(self) -> None:
        assert all(len(line) <= 120 or line.startswith("|") for line in self.page().splitlines())

    def test_a_run_of_the_engines_alone_is_stored_beside_that_of_the_others(self, tmp_path: Path) -> None:
        page = store(self.report(small_result()), tmp_path)
        assert page.name == "2026-11-20-some-2-ghz-engines.md"
        assert engines_page.newest(tmp_path) == page.with_suffix(".json")
        assert "## Engines beside eager PyTorch" in page.read_text(encoding="utf-8")

    def test_a_run_without_engines_says_nothing_of_them(self) -> None:
        assert "Ceiling" not in to_markdown(self.report({}))

    def test_the_committed_page_is_that_of_the_newest_stored_result(self) -> None:
        source = engines_page.newest()
        if source is None:
            pytest.skip("no result of the engines is stored; `python -m benchmarks --only engines` stores one")
        expected = engines_page.page_of(orjson.loads(source.read_bytes()), source.name)
        assert engines_page.PAGE.read_text(encoding="utf-8") == expected


class TestCommand:
    def test_the_engines_are_a_run_of_their_own_which_is_stored(self) -> None:
        assert engines.GROUP not in USUAL
        assert read_command_line([]).groups == USUAL
        whole = read_command_line(["--only", "engines"])
        assert whole.out is not None
        assert not whole.quick
        assert read_command_line(["--only", "engines", "--quick"]).out is None
        assert read_command_line(["--only", "engines,decode"]).out is None
