"""The benchmarks count right, and say what they counted. No test looks at how long anything took."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks import decoding, method
from benchmarks.__main__ import main, read_command_line
from benchmarks.bare import bare_calls, recording
from benchmarks.comparison import (
    MIN_PAIRS,
    MIN_PROCESSES,
    Comparison,
    Goal,
    Timing,
    interval_of,
    median_ratio,
    ratios_of,
)
from benchmarks.machine import describe, is_busy, slug
from benchmarks.pairs import Samples, interleave
from benchmarks.pictures import FULL_HD, camera_picture, five_people, without
from benchmarks.processes import MeasurementFailed, run_job, run_jobs
from benchmarks.report import Report, store, to_json, to_markdown
from benchmarks.scene import middle_first
from benchmarks.table import Row, compare
from benchmarks.whole import parts_of
from benchmarks.work import Answer, Job
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.adapter.loading import find, load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.models import get_model
from hearthwatch.runtimes.base import Engine
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.vision.decode import decode
from hearthwatch.vision.image import Image

READINGS = st.integers(1, 6).flatmap(
    lambda pairs: st.lists(st.lists(st.floats(0.1, 100), min_size=pairs, max_size=pairs), min_size=1, max_size=6)
)


def comparison(
    low: float = 1.0, goal: float | None = 1.25, processes: int = MIN_PROCESSES, pairs: int = MIN_PAIRS
) -> Comparison:
    sides = Timing("predict", 11.0, 12.0), Timing("bare", 10.0, 10.0)
    high = low + 0.1
    return Comparison("models", "osnet", *sides, low + 0.05, (low, high), (low, high), 1.2, processes, pairs, goal)


def answers(**jobs: dict[str, list[list[float]]]) -> dict[str, list[Answer]]:
    """Job to alternative to wall readings by process; the processor takes twice as long."""
    return {
        job: [
            Answer({name: Samples(taken[i], [2 * ms for ms in taken[i]]) for name, taken in alternatives.items()}, {})
            for i in range(len(next(iter(alternatives.values()))))
        ]
        for job, alternatives in jobs.items()
    }


class TestStatistics:
    def test_a_ratio_is_the_median_of_the_processes_medians(self) -> None:
        ratios = ratios_of([[2, 4, 90], [3, 3, 3], [1, 1, 1]], [[1, 2, 1], [1, 1, 1], [1, 1, 1]])
        assert median_ratio(ratios) == 2.0  # medians 2, 3 and 1: the one slow reading of 90 counts for nothing

    def test_pairs_are_divided_pair_by_pair(self) -> None:
        # the machine was ten times slower during the second pair, for both sides alike
        assert median_ratio(ratios_of([[2, 20, 2]], [[1, 10, 1]])) == 2.0

    @given(READINGS)
    def test_an_interval_lies_inside_the_readings_and_holds_the_ratio(self, readings: list[list[float]]) -> None:
        ratios = ratios_of(readings, np.ones_like(readings))
        low, high = interval_of(ratios)
        assert ratios.min() - 1e-9 <= low <= high <= ratios.max() + 1e-9
        assert low - 1e-9 <= median_ratio(ratios) <= high + 1e-9

    def test_the_same_readings_give_the_same_interval(self) -> None:
        ratios = ratios_of(np.random.default_rng(1).random((5, 9)) + 1, np.ones((5, 9)))
        assert interval_of(ratios) == interval_of(ratios)

    def test_readings_that_never_differ_have_an_interval_of_one_point(self) -> None:
        assert interval_of(ratios_of([[3.0] * 7] * 5, [[2.0] * 7] * 5)) == (1.5, 1.5)

    def test_the_luck_of_a_process_widens_the_interval(self) -> None:
        rng = np.random.default_rng(2)
        luck = np.array([0.9, 0.95, 1.0, 1.05, 1.1])[:, None]
        noise = 1 + rng.normal(0, 0.01, (5, 15))
        low, high = interval_of(ratios_of(luck * noise, np.ones((5, 15))))
        together = interval_of(ratios_of((luck * noise).reshape(1, -1), np.ones((1, 75))))
        assert high - low > 1.5 * (together[1] - together[0])

    def test_the_interval_covers_the_truth_about_as_often_as_it_says(self) -> None:
        rng = np.random.default_rng(3)
        covered = 0
        for _ in range(80):
            luck = np.exp(rng.normal(np.log(1.2), 0.05, (MIN_PROCESSES, 1)))
            low, high = interval_of(luck * np.exp(rng.normal(0, 0.05, (MIN_PROCESSES, MIN_PAIRS))))
            covered += low <= 1.2 <= high
        # 95 % are promised. Five processes keep 94 % of such cases, an interval of all pairs in one pot 68 %.
        assert covered / 80 >= 0.88

    @pytest.mark.parametrize("other", [[[1.0, 2.0]], [[1.0], [2.0]], []], ids=str)
    def test_unequal_or_missing_readings_are_refused(self, other: list[list[float]]) -> None:
        with pytest.raises(ValueError, match="processes x pairs"):
            ratios_of([[1.0, 2.0], [1.0, 2.0]] if other else [], other)


class TestVerdict:
    def test_a_goal_holds_when_the_interval_touches_it(self) -> None:
        assert comparison(low=1.25).verdict == "holds"
        assert comparison(low=0.5).verdict == "holds"

    def test_a_goal_that_is_missed_is_said_with_the_numbers(self) -> None:
        assert comparison(low=1.28).verdict == "falls short (1.33, interval 1.28..1.38, goal 1.25)"

    def test_too_few_readings_are_not_judged(self) -> None:
        assert comparison(pairs=MIN_PAIRS - 1).verdict.startswith("not judged")
        assert comparison(processes=MIN_PROCESSES - 1).verdict == "not judged (4 of 5 processes, 7 of 7 pairs)"

    def test_without_a_goal_there_is_nothing_to_say(self) -> None:
        assert comparison(goal=None).verdict == ""

    def test_a_goal_for_slow_networks_leaves_fast_ones_alone(self) -> None:
        row = Row("models", "x", ("job", "predict"), ("job", "bare"), Goal(1.15, above_ms=20.0))
        slow = compare(row, answers(job={"predict": [[42.0]], "bare": [[40.0]]}))
        fast = compare(row, answers(job={"predict": [[4.2]], "bare": [[4.0]]}))
        assert (slow.goal, fast.goal) == (1.15, None)


class TestRows:
    def test_a_row_has_medians_ratio_and_the_range_of_its_processes(self) -> None:
        row = Row("decode", "x", ("job", "ours"), ("job", "theirs"), names=("A", "B"), note="n")
        found = compare(row, answers(job={"ours": [[2, 3, 4], [6, 6, 6]], "theirs": [[2, 2, 2], [2, 2, 2]]}))
        assert found.subject == Timing("A", 4.5, 9.0)
        assert found.reference == Timing("B", 2.0, 4.0)
        assert (found.ratio, found.range, found.cpu_ratio) == (2.25, (1.5, 3.0), 2.25)
        assert (found.processes, found.pairs, found.note) == (2, 3, "n")

    def test_two_engines_are_compared_across_their_processes(self) -> None:
        row = Row("engines", "x", ("first", "bare"), ("second", "bare"))
        found = compare(row, answers(first={"bare": [[1.0], [3.0]]}, second={"bare": [[2.0], [3.0]]}))
        assert found.range == (0.5, 1.0)

    def test_parts_of_an_analysis_are_medians_over_processes(self) -> None:
        facts = [{"parts": {"decode": {"ms": ms, "infer_ms": 0.0}}} for ms in (1.0, 9.0, 2.0)]
        assert parts_of([Answer({}, fact) for fact in facts]) == {"decode": {"ms": 2.0, "infer_ms": 0.0}}


@dataclass
class FakeMachine:
    """Calls take the time they say; the log has who was called."""

    now_s: float = 0.0
    log: list[str] = field(default_factory=list)

    def clock(self) -> float:
        return self.now_s

    def cpu_clock(self) -> float:
        return 2 * self.now_s  # two threads at work

    def call(self, name: str, ms: float) -> Callable[[], None]:
        def work() -> None:
            self.log.append(name)
            self.now_s += ms / 1000

        return work

    def interleave(self, rounds: int, **calls: float) -> dict[str, Samples]:
        works = {name: self.call(name, ms) for name, ms in calls.items()}
        return interleave(works, rounds, clock=self.clock, cpu_clock=self.cpu_clock)


class TestInterleaving:
    def test_readings_are_what_a_call_takes_on_the_wall_and_on_the_processor(self) -> None:
        samples = FakeMachine().interleave(7, a=30.0, b=2.0)
        assert samples["a"].wall_ms == pytest.approx([30.0] * 7)
        assert samples["a"].cpu_ms == pytest.approx([60.0] * 7)
        assert samples["b"].wall_ms == pytest.approx([2.0] * 7)

    def test_alternatives_take_turns_and_none_is_always_first(self) -> None:
        machine = FakeMachine()
        machine.interleave(4, a=30.0, b=40.0)
        assert "".join(machine.log[6:]) == "abbaabba"  # after three calls each to warm up

    def test_a_short_call_is_repeated_until_it_can_be_read(self) -> None:
        machine = FakeMachine()
        machine.interleave(1, long=30.0, short=2.0)
        assert machine.log.count("short") == 3 + 10
        assert machine.log.count("long") == 3 + 1

    def test_a_call_that_takes_no_time_ends(self) -> None:
        machine = FakeMachine()
        assert machine.interleave(1, nothing=0.0)["nothing"].wall_ms == [0.0]
        assert len(machine.log) <= 2000


class TestProcesses:
    def test_a_job_comes_back_from_a_fresh_process_with_a_reading_a_round(self) -> None:
        answer = run_job(Job("tiny", "method", {"side": 4}), rounds=3)
        assert set(answer.samples) == {"once", "again"}
        assert all(len(taken.wall_ms) == len(taken.cpu_ms) == 3 for taken in answer.samples.values())
        assert answer.facts == {"side": 4}

    def test_a_crash_is_said_with_its_last_line(self) -> None:
        with pytest.raises(MeasurementFailed, match="negative dimensions"):
            run_job(Job("broken", "method", {"side": -1}), rounds=1)

    def test_all_jobs_run_once_before_any_runs_again(self) -> None:
        told: list[str] = []
        ran: list[str] = []

        def run(job: Job, rounds: int) -> Answer:
            ran.append(f"{job.key}{rounds}")
            return Answer({}, {})

        found, failed = run_jobs([Job("a", "x"), Job("b", "x")], 2, 9, told.append, run)
        assert ran == ["a9", "b9", "a9", "b9"]
        assert (len(found["a"]), failed) == (2, {})
        assert told[0] == "process 1 of 2, job 1 of 2: a"

    def test_a_job_that_fails_costs_only_itself(self) -> None:
        ran: list[str] = []

        def run(job: Job, rounds: int) -> Answer:
            ran.append(job.key)
            if job.key == "bad":
                raise MeasurementFailed("no such engine")
            return Answer({}, {})

        found, failed = run_jobs([Job("bad", "x"), Job("good", "x")], 2, 1, lambda _: None, run)
        assert ran == ["bad", "good", "good"]
        assert list(found) == ["good"]
        assert failed == {"bad": "no such engine"}


MACHINE = {
    "cpu": "AMD EPYC 9354 32-Core Processor", "cores": 2, "instructions": ["avx2"], "memory_gib": 24,
    "system": "Linux x86_64", "python": "3.11.7", "versions": {"openvino": "1.2"}, "commit": "abc", "load_before": 0.0,
}  # fmt: skip
REPORT = Report(
    date="2026-11-20",
    machine=MACHINE,
    processes=MIN_PROCESSES,
    rounds=MIN_PAIRS,
    comparisons=[comparison(), replace(comparison(low=1.28), name="a | b")],
    parts={
        "decode": {"ms": 8.0, "infer_ms": 0.0},
        "yolo26": {"ms": 50.0, "infer_ms": 45.0},
        "total": {"ms": 60.0, "infer_ms": 0.0},
    },
    skipped={"eager PyTorch": "PyTorch is not installed"},
    failed={"job": "FileNotFoundError: '/home/somebody/weights/x.onnx' is gone"},
)


class TestReport:
    def test_the_page_says_each_verdict_and_what_was_left_out(self) -> None:
        page = to_markdown(REPORT)
        assert "AMD EPYC 9354 32-Core Processor (avx2), 2 cores, 24 GiB, Linux x86_64" in page
        assert "| osnet | predict | 11.0 | 12.0 | bare | 10.0 | 10.0 | 1.05 | 1.00 to 1.10 |" in page
        assert "| 1.25: holds |" in page
        assert "falls short (1.33, interval 1.28..1.38, goal 1.25)" in page
        assert "* eager PyTorch: PyTorch is not installed" in page
        assert "| yolo26 | 50.0 | 45.0 | 5.00 |" in page
        assert "| total less the parts | 2.00 |" in page

    def test_every_row_of_a_table_has_as_many_cells_as_its_head(self) -> None:
        tables = [block.splitlines() for block in to_markdown(REPORT).split("\n\n") if block.startswith("|")]
        assert tables
        for table in tables:
            assert {row.count("|") for row in table} == {table[0].count("|")}

    def test_the_data_have_everything_and_read_back(self) -> None:
        data = orjson.loads(to_json(REPORT))
        assert [row["verdict"] for row in data["comparisons"]] == [row.verdict for row in REPORT.comparisons]
        assert data["comparisons"][0]["interval"] == [1.0, 1.1]
        assert data["machine"] == MACHINE
        assert data["method"]["pairs"] == MIN_PAIRS

    def test_no_folder_of_the_machine_is_published(self) -> None:
        for text in (to_json(REPORT).decode(), to_markdown(REPORT)):
            assert "somebody" not in text
            assert "x.onnx' is gone" in text

    def test_results_are_named_by_date_and_processor(self, tmp_path: Path) -> None:
        page = store(REPORT, tmp_path / "results")
        assert page.name == "2026-11-20-amd-epyc-9354.md"
        assert orjson.loads(page.with_suffix(".json").read_bytes())["date"] == "2026-11-20"

    @pytest.mark.parametrize(
        ("cpu", "expected"),
        [
            ("Intel(R) Xeon(R) Processor @ 2.50GHz", "intel-xeon-2-50ghz"),
            ("13th Gen Intel(R) Core(TM) i7-1370P", "13th-gen-intel-core-i7-1370p"),
            ("AMD Ryzen 9 7950X 16-Core Processor", "amd-ryzen-9-7950x"),
            ("../../x", "x"),
            ("(R)", "unknown"),
        ],
    )
    def test_a_processor_is_a_safe_file_name(self, cpu: str, expected: str) -> None:
        assert slug(cpu) == expected

    def test_the_machine_is_described_without_its_name(self) -> None:
        machine = describe()
        assert machine["cores"] >= 1
        assert {"openvino", "onnxruntime"} <= machine["versions"].keys()
        assert platform.node() not in {str(value) for value in machine.values()}

    def test_a_machine_that_others_use_is_noticed(self) -> None:
        assert is_busy(MACHINE | {"load_before": 0.3})
        assert not is_busy(MACHINE | {"load_before": 0.1})


class TestPictures:
    def test_a_camera_picture_is_the_same_every_time(self) -> None:
        first = camera_picture((320, 180))
        assert first == camera_picture((320, 180))
        assert decode(first).pixels.shape == (180, 320, 3)

    def test_five_people_fill_a_whole_frame(self) -> None:
        assert decode(five_people()).pixels.shape == (FULL_HD[1], FULL_HD[0], 3)

    @pytest.mark.parametrize("box", [(10, 5, 20, 30), (-3, -3, 4, 4), (90, 40, 200, 200)], ids=str)
    def test_painting_over_changes_the_box_and_nothing_else(self, box: tuple[float, float, float, float]) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8)
        painted = without(pixels, box)
        changed = np.argwhere((painted != pixels).any(axis=2))
        assert len(changed) > 0
        assert (changed >= [max(0, box[1]), max(0, box[0])]).all()
        assert (changed < [min(60, box[3]), min(100, box[2])]).all()

    @pytest.mark.parametrize(("sides", "expected"), [([7], [7]), ([9, 1], [1, 9]), ([5, 9, 1, 3, 7], [5, 1, 3, 7, 9])])
    def test_the_crop_of_middle_size_comes_first(self, sides: list[int], expected: list[int]) -> None:
        crops = [Image.of(np.zeros((side, 10, 3), np.uint8)) for side in sides]
        assert [crop.pixels.shape[0] for crop in middle_first(crops)] == expected

    @pytest.mark.parametrize("reduced", [False, True])
    def test_the_decoders_that_are_compared_give_the_same_pixels(self, reduced: bool) -> None:
        work = decoding.work(1280, 720, reduced=reduced)  # refuses decoders that differ
        assert list(work.alternatives) == ["ours", *decoding.OTHERS]
        assert work.facts()["pixels"] == ([640, 360] if reduced else [1280, 720])

    def test_every_decoder_and_size_has_its_row(self) -> None:
        keys = {job.key for job in decoding.jobs()}
        rows = decoding.rows()
        assert len(rows) == len(keys) * len(decoding.OTHERS)
        assert {row.subject[0] for row in rows} == keys


class TestCommand:
    def test_a_whole_run_is_stored_and_a_part_of_it_is_not(self, tmp_path: Path) -> None:
        assert read_command_line([]).out is not None
        assert read_command_line(["--quick"]).out is None
        assert read_command_line(["--only", "decode"]).out is None
        assert read_command_line(["--quick", "--out", str(tmp_path)]).out == tmp_path

    def test_a_whole_run_can_be_judged_and_a_quick_one_says_that_it_cannot(self) -> None:
        asked, quick = read_command_line([]), read_command_line(["--quick"])
        assert asked.processes >= MIN_PROCESSES
        assert asked.pairs >= MIN_PAIRS
        assert quick.processes < MIN_PROCESSES

    @pytest.mark.parametrize("arguments", [["--only", "lunch"], ["--pairs", "0"], ["--processes", "many"]], ids=str)
    def test_a_wrong_argument_is_wrong_usage(
        self, arguments: Sequence[str], capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as stopped:
            read_command_line(arguments)
        assert stopped.value.code == 2
        assert "usage" in capsys.readouterr().err

    def test_a_small_run_prints_its_table_and_stores_it(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["--only", method.GROUP, "--processes", "1", "--pairs", "2", "--out", str(tmp_path)]) == 0
        printed = capsys.readouterr()
        assert "a matrix product against itself" in printed.out
        assert "process 1 of 1, job 1 of 1: method" in printed.err
        assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".json"}


@pytest.mark.weights
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_bare_engine_answers_what_the_model_is_answered(engine: Engine, assets: Path) -> None:
    adapter = get_model("person_reid")
    options = LoadOptions(assets / "weights", engines=[engine])
    loaded = load(adapter, options)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 300, 120, 3), dtype=np.uint8)
    with recording(loaded) as asked:
        loaded.predict([Image.of(crop) for crop in pixels])
    [call] = bare_calls(loaded.info, find(adapter, options).path, asked)
    [expected] = loaded.runtime.run(asked[0]).values()
    answer: Any = call()  # OpenVINO gives outputs by port and keeps the inputs alive, ONNX Runtime gives a list
    [found] = answer[0].values() if isinstance(answer, tuple) else answer
    assert found.shape == expected.shape == (3, 512)
    # the model asks for batches of 4 and 1, the bare engine for one of 3: other kernels, which round otherwise
    np.testing.assert_allclose(found, np.asarray(expected, np.float32), atol=1e-3)
    loaded.close()
