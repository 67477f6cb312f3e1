"""An ONNX file beside the torch module that it was made from: what passes, and what does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.agreement import Agreement  # noqa: E402
from hearthwatch.adapter.parity import compare  # noqa: E402
from hearthwatch.adapter.samples import verification_pictures  # noqa: E402
from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine  # noqa: E402
from toy import MeanColor, write_network  # noqa: E402


def judged(measure: Callable[[Any, Any], float | None]) -> type[MeanColor]:
    """The toy model with another agreement."""

    class Judged(MeanColor):
        SPEC = replace(MeanColor.SPEC, agreement=Agreement("closeness", 0.9, measure))

    return Judged


def run(tmp_path: Path, measure: Callable[[Any, Any], float | None], factor: float = 1.0) -> tuple[float, float | None]:
    network = SimpleNamespace(module=lambda pixels: pixels.mean(dim=(2, 3)) * factor)
    path = write_network(tmp_path / "net.onnx")
    return compare(network, path, judged(measure), verification_pictures(), [ONNXRuntimeEngine()])


def test_the_same_answers_pass_with_both_measures(tmp_path: Path) -> None:
    raw, agreement = run(tmp_path, lambda a, b: float(a == b))
    assert raw < 1e-5
    assert agreement == 1.0


def test_pictures_that_show_nothing_leave_the_raw_outputs_to_judge(tmp_path: Path) -> None:
    assert run(tmp_path, lambda _a, _b: None)[1] is None
    with pytest.raises(WeightsInvalid, match=r"differs from PyTorch by 0\.0"):
        run(tmp_path, lambda _a, _b: None, factor=1.02)


@pytest.mark.parametrize("value", [0.89, math.nan])
def test_results_that_do_not_agree_or_cannot_be_compared_are_refused(value: float, tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match=r"does not agree with PyTorch: closeness .*at least 0\.9 needed"):
        run(tmp_path, lambda _a, _b: value)
