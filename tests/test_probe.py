"""What a model costs, measured in children: which engine is believed, which is rejected, and what is remembered."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from onnx import helper

from fakes import constant, save_graph, value
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.enrichment import ModelCall
from hearthwatch.errors import LoadFailed, OutOfMemory, WeightsMissing
from hearthwatch.hosting import LocalRunner, ModelState, OnDemandModelManager
from hearthwatch.hosting.costs import REJECTED_S, Costs
from hearthwatch.hosting.probe import Probe, probe_in
from hearthwatch.hosting.probe_child import probe
from hearthwatch.hosting.probe_job import ProbeJob, Report
from hearthwatch.hosting.spec import MIB
from hearthwatch.models import get_model
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.settings import child_environment
from hearthwatch.vision.picture import Picture
from scene import photo
from toy import Clock, EndlessMemory

REID = get_model("person_reid")
#: A child that notes which engine it was asked about, and answers, or does not, as `answers` says.
CHILD = """
import json, os, sys, time
log, answers = sys.argv[1], json.loads(sys.argv[2])
engine = json.loads(sys.stdin.readline())["engines"][0]
with open(log, "a") as file:
    file.write(engine + "\\n")
answer = answers[engine]
if answer == "crash":
    sys.stderr.write("free(): invalid pointer\\n"); sys.stderr.flush(); os.abort()
if answer == "hang":
    time.sleep(600)
if answer == "silent":
    sys.exit(4)
print(json.dumps(answer) if isinstance(answer, dict) else answer)
"""
MEASURED = {"outcome": "measured", "resident_bytes": 5 * MIB, "peak_bytes": 7 * MIB, "engine": "openvino",
            "precision": "bf16", "device": "cpu", "steps": [["loaded", 4 * MIB]]}  # fmt: skip


def embedding_network(path: Path, factor: float = 1.0) -> Path:
    """(n, 3, 256, 128) to 512 numbers: the mean of each channel, mixed."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["mean"]),
        helper.make_node("MatMul", ["mean", "w"], ["embedding"]),
    ]
    weights = np.full((3, 512), factor, np.float32)
    inputs, outputs = [value("input", ["n", 3, 256, 128])], [value("embedding", ["n", 512])]
    return save_graph(path, nodes, inputs, outputs, constants=[constant("w", weights)])


@dataclass
class Children:
    """A probe whose children do as they are told."""

    folder: Path
    answers: Mapping[str, Any] = field(default_factory=lambda: {"openvino": MEASURED, "onnxruntime": MEASURED})
    timeout_s: float = 60.0
    wall: Callable[[], float] = time.time

    @property
    def options(self) -> LoadOptions:
        path = self.folder / "net.onnx"
        if not path.exists():
            embedding_network(path)
        return LoadOptions(
            Path("/nowhere"),
            self.folder / "cache",
            paths={"person_reid": path},
            engines=(OpenVINOEngine(), ONNXRuntimeEngine()),
        )

    @property
    def asked(self) -> list[str]:
        """The engines whose child was started, in order."""
        log = self.folder / "log"
        return log.read_text().split() if log.exists() else []

    def probe(self) -> Probe:
        command = (sys.executable, "-c", CHILD, str(self.folder / "log"), orjson.dumps(self.answers).decode())
        costs = Costs(self.folder / "cache", clock=self.wall)
        return Probe(costs, command=command, timeout_s=self.timeout_s)


@pytest.fixture
def children(tmp_path: Path) -> Children:
    return Children(tmp_path)


def test_the_first_engine_s_figures_are_the_cost_and_are_measured_once(children: Children) -> None:
    for measured in (children.probe(), children.probe()):
        cost = measured.measure(REID, children.options)
        assert (cost.resident_bytes, cost.peak_bytes, cost.measured) == (5 * MIB, 7 * MIB, True)
        assert (cost.engine, cost.precision, cost.device) == ("openvino", "bf16", "cpu")
        assert measured.rejected("person_reid") == {}
    assert children.asked == ["openvino"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("crash", "it crashed (Aborted): free(): invalid pointer"),
        ("silent", "it ended with code 4 and no answer: it said nothing"),
        ("no JSON", "it ended with code 0 and no answer: it said nothing"),
        ({"outcome": "measured", "resident_bytes": -1}, "it ended with code 0 and no answer: it said nothing"),
        ({"outcome": "rejected", "reason": "its output x is not finite"}, "its output x is not finite"),
    ],
    ids=str,
)
def test_an_engine_that_breaks_its_child_is_rejected_and_remembered_and_the_next_one_is_measured(
    answer: Any, reason: str, children: Children
) -> None:
    children.answers = {"openvino": answer, "onnxruntime": MEASURED | {"engine": "onnxruntime"}}
    for measured in (children.probe(), children.probe()):
        assert measured.measure(REID, children.options).engine == "onnxruntime"
        assert measured.rejected("person_reid") == {"openvino": reason}
    assert children.asked == ["openvino", "onnxruntime"]


def test_an_engine_that_hangs_is_ended_and_rejected(children: Children) -> None:
    children.answers = {"openvino": "hang", "onnxruntime": MEASURED}
    children.timeout_s = 0.2
    only = replace(children.options, engines=(OpenVINOEngine(),))
    with pytest.raises(LoadFailed, match=r"person_reid could not be loaded on cpu: openvino: it hung: no answer after"):
        children.probe().measure(REID, only)
    children.timeout_s = 60.0
    measured = children.probe()
    assert measured.measure(REID, children.options).measured
    assert "it hung" in measured.rejected("person_reid")["openvino"]
    assert children.asked[-1] == "onnxruntime"


def test_where_every_engine_is_rejected_the_load_fails_with_each_reason(children: Children) -> None:
    children.answers = {"openvino": "silent", "onnxruntime": "crash"}
    with pytest.raises(LoadFailed, match=r"openvino: it ended with code 4 .*; onnxruntime: it crashed \(Aborted\)"):
        children.probe().measure(REID, children.options)


def test_an_engine_that_says_that_it_cannot_is_passed_by_and_none_leaves_the_declared_cost(children: Children) -> None:
    children.answers = {name: {"outcome": "refused", "reason": "no"} for name in ("openvino", "onnxruntime")}
    measured = children.probe()
    cost = measured.measure(REID, children.options)
    assert (cost.resident_bytes, cost.measured) == (REID.SPEC.declared_mb * MIB, False)
    assert measured.rejected("person_reid") == {}


def test_a_child_without_room_is_no_fault_of_the_engine_s_and_is_not_remembered(children: Children) -> None:
    children.answers = {"openvino": {"outcome": "no_room", "reason": "std::bad_alloc"}}
    for _ in range(2):
        with pytest.raises(OutOfMemory, match="person_reid has no room on cpu: std::bad_alloc"):
            children.probe().measure(REID, children.options)
    assert children.asked == ["openvino"] * 2


def test_missing_weights_are_found_out_before_any_child_is_started(children: Children) -> None:
    options = replace(children.options, paths={"person_reid": children.folder / "none.onnx"})
    with pytest.raises(WeightsMissing):
        children.probe().measure(REID, options)
    assert children.asked == []


def test_other_weights_and_other_settings_are_measured_anew(children: Children) -> None:
    options = children.options
    children.probe().measure(REID, options)
    embedding_network(options.paths["person_reid"], factor=2.0)
    children.probe().measure(REID, options)
    children.probe().measure(REID, replace(options, precision="f32"))
    children.probe().measure(REID, replace(options, concurrency=2))
    assert children.asked == ["openvino"] * 4


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"at": 1, "report": {"outcome": "measured", "steps": 3}}'])
def test_a_damaged_figure_is_measured_again(damage: bytes, children: Children) -> None:
    children.probe().measure(REID, children.options)
    (kept,) = (children.folder / "cache" / "costs").glob("*.json")
    kept.write_bytes(damage)
    assert children.probe().measure(REID, children.options).resident_bytes == 5 * MIB
    assert children.asked == ["openvino"] * 2


def test_a_rejected_engine_is_tried_again_after_a_day_and_a_figure_holds(children: Children) -> None:
    clock = Clock()
    children.wall, children.answers = clock, {"openvino": "silent", "onnxruntime": MEASURED}
    children.probe().measure(REID, children.options)
    clock.now += REJECTED_S
    children.probe().measure(REID, children.options)
    assert children.asked == ["openvino", "onnxruntime", "openvino"]


def test_many_who_ask_at_once_start_one_child(children: Children) -> None:
    options = children.options
    with ThreadPoolExecutor(4) as pool:
        costs = list(pool.map(lambda _: children.probe().measure(REID, options), range(4)))
    assert {cost.resident_bytes for cost in costs} == {5 * MIB}
    assert children.asked == ["openvino"]


def test_closing_ends_a_child_that_runs(children: Children) -> None:
    children.answers = {"openvino": "hang"}
    measured, options = children.probe(), children.options
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(measured.measure, REID, options)
        while not children.asked and not asked.done():
            threading.Event().wait(0.01)
        measured.close()
        with pytest.raises(LoadFailed, match="the process is stopping"):
            asked.result()
    assert not list((children.folder / "cache" / "costs").glob("*.json"))


def test_without_a_cache_nothing_is_measured() -> None:
    assert probe_in(None) is None


def test_a_child_gets_no_keys_and_no_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HEARTHWATCH_API_KEY", "HF_TOKEN", "HEARTHWATCH_DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "http_proxy"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    given = child_environment()
    assert "secret" not in given.values()
    assert given["CUDA_VISIBLE_DEVICES"] == "1"
    assert "PATH" in given


def test_the_child_imports_nothing_of_serving() -> None:
    forbidden = ("hearthwatch.serving", "fastapi", "uvicorn")
    code = f"import hearthwatch.hosting.probe_child, sys; print([m for m in sys.modules if m in {forbidden}])"
    told = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True, timeout=120)
    assert told.stdout.strip() == "[]"


# ------------------------------------------------------------------------------------------------ the real measurement


@dataclass
class Scripted(EndlessMemory):
    """Memory that takes these values, one per reading, then keeps the last."""

    values: list[int] = field(default_factory=list)

    def used_bytes(self) -> int:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


def test_what_stays_from_before_the_load_is_not_the_model_s(children: Children) -> None:
    job = ProbeJob.of(REID, replace(children.options, engines=[ONNXRuntimeEngine()]), batch=4)
    report = probe(job, Scripted(values=[100 * MIB, 140 * MIB]))
    assert report.outcome == "measured"
    assert (report.resident_bytes, report.peak_bytes) == (40 * MIB, 40 * MIB)
    assert [name for name, _ in report.steps] == ["loaded", "batch of 1", "batch of 4", "closed"]
    assert (report.engine, report.device) == ("onnxruntime", "cpu")


def test_a_network_that_answers_with_no_numbers_is_rejected(children: Children) -> None:
    embedding_network(children.folder / "net.onnx", factor=float("nan"))
    job = ProbeJob.of(REID, replace(children.options, engines=[ONNXRuntimeEngine()]), batch=1)
    report = probe(job)
    assert (report.outcome, report.reason) == ("rejected", "its output embedding is not finite")


def test_a_model_that_cannot_be_loaded_is_refused_with_its_reason(children: Children) -> None:
    options = children.options
    options.paths["person_reid"].write_bytes(b"no network")
    report = probe(ProbeJob.of(REID, options, batch=1))
    assert report.outcome == "refused"
    assert "net.onnx" in report.reason


def test_jobs_and_reports_survive_the_way_to_the_child_and_back(children: Children) -> None:
    given: dict[str, Any] = {"variables": {"x": ("X_PATH", "y")}, "weights": "sample", "samples_dir": Path("/samples")}
    job = ProbeJob.of(REID, replace(children.options, concurrency=2, **given), batch=8)
    told = ProbeJob.from_json(job.to_json())
    assert told.adapter_class() is REID
    assert [engine.name for engine in told.options.engines] == ["openvino", "onnxruntime"]
    assert replace(told.options, engines=()) == replace(job.options, engines=())
    report = Report("measured", "", 3, 4, "openvino", "bf16", "cpu", (("loaded", 2),))
    assert Report.from_json(report.to_json()) == report


def test_a_real_child_measures_a_real_network_and_the_host_says_so(children: Children) -> None:
    options = replace(children.options, engines=(ONNXRuntimeEngine(),))
    runner = LocalRunner(
        options, [REID], manager=OnDemandModelManager(10_000, memory=EndlessMemory()), probe=probe_in(options.cache_dir)
    )

    async def scenario() -> Any:
        async with runner:
            (outcome,) = await runner.run(ModelCall("person_reid", Picture(photo())))
            assert outcome.done, outcome.error
            return runner.model_state("person_reid")

    row = asyncio.run(scenario())
    assert (row.state, row.cost_source) == (ModelState.READY, "measured")
    assert row.measured_mb is not None


def test_an_engine_that_was_rejected_does_not_load_and_the_row_says_why(children: Children) -> None:
    children.answers = {"openvino": "crash", "onnxruntime": MEASURED}
    runner = LocalRunner(
        children.options,
        [REID],
        manager=OnDemandModelManager(10_000, memory=EndlessMemory()),
        probe=children.probe(),
    )

    async def scenario() -> Any:
        async with runner:
            (outcome,) = await runner.run(ModelCall("person_reid", Picture(photo())))
            assert outcome.done, outcome.error
            return runner.model_state("person_reid")

    row = asyncio.run(scenario())
    assert (row.state, row.engine) == (ModelState.DEGRADED, "onnxruntime")
    assert row.passed_over == (("openvino", "it crashed (Aborted): free(): invalid pointer"),)
