"""The benchmark that loads and unloads: it counts what it says, and judges by the goal."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmarks.cycles import GOAL, Cycles, measure, page

from test_probe import embedding_network

ROW = Cycles("person_reid", "openvino", 200, taken=30.0, returned=29.5, settled=75.0, last=75.3, highest=76.0)


def test_growth_is_the_end_beside_the_settled_process() -> None:
    assert ROW.growth == pytest.approx(1.004)
    assert "| person_reid | openvino | 200 | 30.0 | 29.5 | 75.0 | 75.3 | 76.0 | +0.4 % |" in page([ROW])


def test_a_model_that_grew_beyond_the_goal_is_named() -> None:
    assert "(goal missed)" in page([replace(ROW, last=75.0 * (GOAL + 0.001))])
    assert "(goal missed)" not in page([replace(ROW, last=75.0 * GOAL)])


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_cycles_of_a_real_load_are_measured(tmp_path: Path) -> None:
    embedding_network(tmp_path / "osnet_x0_25_msmt17.onnx")
    found = measure("person_reid", tmp_path, tmp_path / "cache", cycles=2)
    assert (found.model, found.cycles) == ("person_reid", 2)
    assert 0 < found.last <= found.highest
