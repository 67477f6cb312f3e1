"""PyTorch as an engine: it answers what NumPy answers, in the precision that it says, and keeps nothing afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import FakeEngine
from hearthwatch.errors import LoadFailed
from hearthwatch.runtimes.base import LoadRequest, Precision, Tensors
from hearthwatch.runtimes.pytorch import PyTorchEngine
from hearthwatch.runtimes.select import ALL_ENGINES, load_graph

torch: Any = pytest.importorskip("torch", reason="the extra `torch` is not installed")
nn: Any = torch.nn

WEIGHT = np.random.default_rng(5).standard_normal((6, 8)).astype(np.float32)
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16", "f16")


class Dense(nn.Module):  # type: ignore[misc]
    """Two inputs by position, two outputs: a @ W.T - b, and twice a."""

    def __init__(self) -> None:
        super().__init__()
        self.product = nn.Linear(8, 6, bias=False)
        self.product.weight.data = torch.from_numpy(WEIGHT.copy())
        self.dropout = nn.Dropout(0.5)
        self.calls = 0
        self.busy = threading.Lock()

    def forward(self, a: Any, b: Any) -> tuple[Any, Any]:
        assert self.busy.acquire(blocking=False), "two calls at once in a module that keeps state"
        try:
            self.calls += 1
            return self.dropout(self.product(a)) - b, a * 2
        finally:
            self.busy.release()


def request(make: Callable[[], Any] | None = Dense, **fields: Any) -> LoadRequest:
    given = {"inputs": ("a", "b"), "outputs": ("y", "twice")} | fields
    return LoadRequest(Path("net.onnx"), "digest", module=make, **given)


def some(batch: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {
        "a": rng.standard_normal((batch, 8)).astype(np.float32),
        "b": rng.standard_normal((batch, 6)).astype(np.float32),
    }


def reference(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"y": inputs["a"] @ WEIGHT.T - inputs["b"], "twice": inputs["a"] * 2}


def agree(answer: Tensors, expected: dict[str, Any]) -> None:
    assert answer.keys() == expected.keys()
    for name, array in expected.items():
        assert answer[name].dtype == array.dtype
        assert answer[name] == pytest.approx(array, rel=1e-5, abs=1e-5)


def single(layer: Callable[[], Any], **fields: Any) -> LoadRequest:
    return request(layer, inputs=("x",), outputs=("y",), **fields)


class Layer(nn.Module):  # type: ignore[misc]
    """One function as a module."""

    def __init__(self, function: Callable[[Any], Any], **tensors: Any) -> None:
        super().__init__()
        self.function = function
        for name, tensor in tensors.items():
            self.register_buffer(name, tensor)

    def forward(self, x: Any) -> Any:
        return self.function(x)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_every_batch_is_answered_as_numpy_answers_it(batch: int) -> None:
    runtime = PyTorchEngine().load(request())
    agree(runtime.run(some(batch)), reference(some(batch)))


def test_inputs_go_by_name_whatever_their_order() -> None:
    inputs = some(3)
    runtime = PyTorchEngine().load(request())
    np.testing.assert_array_equal(runtime.run(dict(reversed(inputs.items())))["y"], runtime.run(inputs)["y"])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_precision_is_of_the_products_and_the_border_is_float32(precision: Precision) -> None:
    runtime = PyTorchEngine().load(request(precision=precision))
    answer: dict[str, Any] = runtime.run(some(64))
    expected = reference(some(64))
    assert runtime.info.precision == precision
    assert {array.dtype for array in answer.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(answer["twice"], expected["twice"])  # not a product: it stays in float32
    error = np.abs(answer["y"] - expected["y"]).max()
    low, high = {"f32": (0, 1e-5), "f16": (1e-5, 1e-2), "bf16": (1e-3, 1e-1)}[precision]
    assert low <= error <= high


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_weights_of_products_are_cast_once_and_not_on_every_call(precision: Precision) -> None:
    made = Dense()
    PyTorchEngine().load(request(lambda: made, precision=precision))
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[precision]
    assert made.product.weight.dtype == dtype


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_network_without_products_computes_in_float32_and_says_so(precision: Precision) -> None:
    runtime = PyTorchEngine().load(single(lambda: Layer(lambda x: x / 3), precision=precision))
    assert runtime.info.precision == "f32"
    np.testing.assert_array_equal(runtime.run({"x": np.ones((1, 4), np.float32)})["y"], np.float32(1) / np.float32(3))


def test_what_runs_is_read_back() -> None:
    info = PyTorchEngine().load(request()).info
    assert (info.engine, info.device, info.precision, info.cached) == ("pytorch", "cpu", "f32", None)
    assert torch.__version__.startswith(info.version.split("+")[0])
    assert info.load_ms > 0


def test_the_fastest_precision_of_a_cpu_is_one_that_it_computes_in_by_itself() -> None:
    assert PyTorchEngine().precisions("cpu") in (("f32",), ("bf16", "f32"))


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8, np.bool_])
def test_integers_stay_integers(dtype: Any) -> None:
    given = np.array([[1, 0, 1]], dtype)
    answer = PyTorchEngine().load(single(lambda: Layer(lambda x: x), precision="f16")).run({"x": given})["y"]
    assert answer.dtype == dtype
    np.testing.assert_array_equal(answer, given)


def test_training_mode_and_gradients_are_switched_off() -> None:
    made: list[Any] = []
    PyTorchEngine().load(request(lambda: made.append(Dense().train()) or made[0]))  # type: ignore[func-returns-value]
    assert not made[0].training
    assert not any(tensor.requires_grad for tensor in made[0].parameters())


def test_calls_at_the_same_time_get_each_their_own_answer_and_take_turns() -> None:
    runtime = PyTorchEngine().load(request())

    def call(seed: int) -> None:
        inputs = some(1 + seed % 3, seed)
        agree(runtime.run(inputs), reference(inputs))

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(call, range(64)))) == 64


KEEPERS: dict[str, Callable[[], Any]] = {
    "its input": lambda: Layer(lambda x: x),
    "a view of its input": lambda: Layer(lambda x: x[:, ::1]),
    "its input, written to": lambda: Layer(lambda x: x.mul_(2)),
}


@pytest.mark.parametrize("make", KEEPERS.values(), ids=KEEPERS.keys())
def test_inputs_are_left_as_they_are_and_answers_are_the_caller_s_own(make: Callable[[], Any]) -> None:
    runtime = PyTorchEngine().load(single(make))
    given = np.arange(6, dtype=np.float32).reshape(2, 3)
    answer = runtime.run({"x": given})["y"]
    answer[:] = 77
    np.testing.assert_array_equal(given, np.arange(6, dtype=np.float32).reshape(2, 3))


def test_an_answer_that_the_module_keeps_is_copied() -> None:
    kept = torch.zeros(2, 3)
    runtime = PyTorchEngine().load(single(lambda: Layer(lambda _x: kept)))
    runtime.run({"x": np.zeros((2, 3), np.float32)})["y"][:] = 5
    assert not runtime.run({"x": np.zeros((2, 3), np.float32)})["y"].any()


def test_arrays_that_are_views_or_read_only_are_read_as_they_look() -> None:
    inputs = some(10)
    views = {name: array[::-2] for name, array in inputs.items()}
    for array in views.values():
        array.flags.writeable = False
    agree(PyTorchEngine().load(request()).run(views), reference(views))


@pytest.mark.parametrize("wrong", ["name", "missing", "shape", "empty"])
def test_an_input_that_does_not_fit_raises_and_the_next_call_is_answered(wrong: str) -> None:
    runtime, inputs = PyTorchEngine().load(request()), some(2)
    broken = {
        "name": inputs | {"c": inputs["a"]},
        "missing": {"a": inputs["a"]},
        "shape": inputs | {"a": np.zeros((2, 5), np.float32)},
        "empty": {name: array[:0] for name, array in inputs.items()},
    }[wrong]
    with pytest.raises((ValueError, RuntimeError), match=r"."):
        runtime.run(broken)
    agree(runtime.run(inputs), reference(inputs))


def test_another_number_of_outputs_than_the_graph_has_raises() -> None:
    runtime = PyTorchEngine().load(request(outputs=("y",)))
    with pytest.raises(ValueError, match="the module gave 2 outputs, and the graph has 1"):
        runtime.run(some(1))


def test_closing_waits_for_the_call_in_flight_and_then_nothing_runs() -> None:
    entered, go = threading.Event(), threading.Event()

    def slow(x: Any) -> Any:
        entered.set()
        assert go.wait(60)
        return x + 1

    runtime = PyTorchEngine().load(single(lambda: Layer(slow)))
    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(runtime.run, {"x": np.zeros((1, 2), np.float32)})
        assert entered.wait(60)
        closing = pool.submit(runtime.close)
        assert not closing.done()
        go.set()
        np.testing.assert_array_equal(answer.result()["y"], np.ones((1, 2), np.float32))
        closing.result()
    runtime.close()
    with pytest.raises(RuntimeError, match="closed"):
        runtime.run({"x": np.zeros((1, 2), np.float32)})


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_closing_gives_the_memory_back() -> None:
    def anonymous_mib() -> int:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:")) >> 10

    def make() -> Any:
        return nn.Linear(8192, 8192, bias=False)  # 256 MiB

    PyTorchEngine().load(single(make)).close()
    before = anonymous_mib()
    for _ in range(3):
        runtime = PyTorchEngine().load(single(make))
        runtime.run({"x": np.zeros((1, 8192), np.float32)})
        assert anonymous_mib() - before > 200
        runtime.close()
    assert anonymous_mib() - before < 64


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (request(None), "brings none"),
        (request(outputs=()), "names of the outputs"),
        (single(lambda: nn.Linear(2, 2, device="meta")), "has no values for weight"),
    ],
    ids=["no module", "no outputs", "no values"],
)
def test_a_request_that_it_cannot_run_is_refused_with_the_reason(given: LoadRequest, reason: str) -> None:
    with pytest.raises(LoadFailed, match=reason):
        PyTorchEngine().load(given)


def test_a_refusal_is_a_reason_among_the_others_and_not_an_exception_s_name() -> None:
    selection = load_graph(request(None), (PyTorchEngine(), FakeEngine("onnxruntime")))
    assert selection.passed_over == (("pytorch", "PyTorch runs a checkpoint's own module, and this file brings none"),)


def test_it_is_the_last_engine_and_takes_what_the_others_cannot(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no graph")
    selection = load_graph(
        LoadRequest(path, "digest", inputs=("a", "b"), outputs=("y", "twice"), module=Dense), ALL_ENGINES
    )
    assert ALL_ENGINES[-1].name == selection.runtime.info.engine == "pytorch"
    assert [name for name, _ in selection.passed_over] == ["openvino", "onnxruntime"]


@pytest.mark.parametrize(("device", "word"), [("npu", "npu"), ("gpu", "gpu"), ("cuda:99", "cuda:99")])
def test_a_device_that_it_does_not_run_on_is_a_reason(device: str, word: str) -> None:
    reason = PyTorchEngine().unavailable(device)
    assert reason is not None
    assert word in reason


@pytest.mark.slow
def test_a_generated_kernel_answers_the_same(tmp_path: Path) -> None:
    """In a process of its own: the compiler starts workers, keeps a cache folder, and takes half a minute."""
    script = """
import numpy as np, torch
from pathlib import Path
from hearthwatch.runtimes.base import LoadRequest
from hearthwatch.runtimes.pytorch import PyTorchEngine
def make():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.GELU())
request = LoadRequest(Path("net.onnx"), "digest", inputs=("x",), outputs=("y",), module=make)
x = {"x": np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)}
plain, fast = (PyTorchEngine(compile=way).load(request) for way in (False, True))
np.testing.assert_allclose(fast.run(x)["y"], plain.run(x)["y"], atol=1e-5)
assert plain.info.notes == () and "torch.compile" in fast.info.notes[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=_environment(tmp_path), check=False
    )
    if "InvalidCxxCompiler" in done.stderr:
        pytest.skip("there is no C++ compiler")
    assert done.returncode == 0, done.stderr


def test_torch_is_not_imported_until_it_is_used() -> None:
    script = """
import sys
from hearthwatch.runtimes.select import ALL_ENGINES
assert [engine.unavailable("cpu") for engine in ALL_ENGINES][-1] is None
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def _environment(cache: Path) -> dict[str, str]:
    return os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(cache), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
