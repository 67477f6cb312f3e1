"""Weights stored in half precision: half the file, and the same answers from every engine that runs graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from training.half import LEAST, store_in_half

from fakes import constant, save_graph, value
from hearthwatch.artifacts.graph import read_graph
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.vision.image import Float

WEIGHTS = np.random.default_rng(3).normal(size=(64, 32)).astype(np.float32)
BIAS = np.full(32, 1 / 3, np.float32)


def network(folder: Path, weights: Float = WEIGHTS) -> Path:
    return save_graph(
        folder / "net.onnx",
        (helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Add", ["product", "b"], ["y"])),
        [value("x", ("N", 64))],
        [value("y", ("N", 32))],
        constants=[constant("w", weights), constant("b", BIAS)],
    )


def answers(path: Path, engine: ONNXRuntimeEngine | OpenVINOEngine, inputs: Float) -> Float:
    graph = read_graph(path)
    runtime = engine.load(LoadRequest(path, graph.digest, graph.bytes, ("y",), threads=1))
    try:
        return np.array(runtime.run({"x": inputs})["y"])
    finally:
        runtime.close()


@pytest.mark.parametrize("engine", [ONNXRuntimeEngine(), OpenVINOEngine()], ids=lambda engine: engine.name)
def test_it_answers_with_the_rounded_weights(tmp_path: Path, engine: ONNXRuntimeEngine | OpenVINOEngine) -> None:
    path = network(tmp_path)
    assert store_in_half(path) == 1
    inputs = np.random.default_rng(4).normal(size=(3, 64)).astype(np.float32)
    expected = inputs @ WEIGHTS.astype(np.float16).astype(np.float32) + BIAS
    np.testing.assert_allclose(answers(path, engine, inputs), expected, rtol=1e-4, atol=1e-5)


def test_the_file_is_half_as_large_and_small_constants_stay_exact(tmp_path: Path) -> None:
    before = network(tmp_path).stat().st_size
    store_in_half(tmp_path / "net.onnx")
    assert (tmp_path / "net.onnx").stat().st_size < 0.6 * before
    kept = {tensor.name: tensor for tensor in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert BIAS.size < LEAST
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(kept["b"]), BIAS)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    path = network(tmp_path)
    store_in_half(path)
    once = path.read_bytes()
    assert store_in_half(path) == 0
    assert path.read_bytes() == once


@pytest.mark.parametrize("number", [70_000.0, -np.inf, np.nan])
def test_what_half_precision_cannot_hold_stays(tmp_path: Path, number: float) -> None:
    weights = WEIGHTS.copy()
    weights[0, 0] = number
    path = network(tmp_path, weights)
    assert store_in_half(path) == 0
