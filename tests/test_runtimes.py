"""What holds for every engine, on tiny graphs; and RapidOCR, which is a runtime without graphs of ours."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from fakes import Shape, constant, save_graph, value
from hearthwatch.artifacts.graph import read_graph
from hearthwatch.runtimes.base import Array, Engine, LoadRequest, Precision, Runtime, Tensors, batch_parts, split_run
from hearthwatch.runtimes.openvino import LARGE_NETWORK_BYTES
from hearthwatch.runtimes.rapidocr import RapidOCRRuntime, _characters_of_lines, _probabilities
from hearthwatch.runtimes.select import ENGINES, load_graph
from hearthwatch.vision.image import UInt8

WEIGHTS = np.random.default_rng(7).normal(size=(4, 3)).astype(np.float32)
BATCHES = [1, 2, 3, 5, 9]


@dataclass(frozen=True)
class Case:
    """A tiny network, and the same in NumPy.

    Attributes:
        nodes: of the graph; the constant `w` is `WEIGHTS`.
        inputs: name to shape behind the batch.
        dtype: of the inputs.
        outputs: name to shape behind the batch, in the graph's order.
        reference: the inputs to the outputs.
        batch: of the graph: a word where it is dynamic.
    """

    nodes: tuple[Any, ...]
    inputs: dict[str, tuple[int, ...]]
    outputs: dict[str, tuple[int, ...]]
    reference: Callable[[Any], dict[str, Array]]
    dtype: str = "float32"
    batch: int | str = "N"

    def save(self, folder: Path) -> Path:
        def shape(rest: tuple[int, ...]) -> Shape:
            return (self.batch, *rest)

        return save_graph(
            folder / "net.onnx",
            self.nodes,
            [value(name, shape(rest), self.dtype) for name, rest in self.inputs.items()],
            [value(name, shape(rest)) for name, rest in self.outputs.items()],
            constants=[constant("w", WEIGHTS)],
        )

    def some(self, batch: int, seed: int = 0) -> dict[str, Array]:
        """Inputs in which every row is unlike every other."""
        random = np.random.default_rng(seed)
        return {name: random.integers(0, 256, (batch, *rest)).astype(self.dtype) for name, rest in self.inputs.items()}


def dense(inputs: Any) -> dict[str, Array]:
    return {"y": np.maximum(np.asarray(inputs["x"] @ WEIGHTS), 0)}


def aliased(inputs: Any) -> dict[str, Array]:
    hidden = np.maximum(inputs["x"] - 128, 0)
    return {"second": hidden + inputs["x"], "first": hidden, "third": hidden}


DENSE = Case(
    (helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Relu", ["product"], ["y"])),
    {"x": (4,)},
    {"y": (3,)},
    dense,
)
CASES = {
    "dynamic batch": DENSE,
    "static batch of 1": replace(DENSE, batch=1),
    "static batch of 4": replace(DENSE, batch=4),
    "bytes in": Case(
        (
            helper.make_node("Cast", ["x"], ["float"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["float", "w"], ["product"]),
            helper.make_node("Relu", ["product"], ["y"]),
        ),
        {"x": (4,)},
        {"y": (3,)},
        lambda inputs: dense({"x": inputs["x"].astype(np.float32)}),
        dtype="uint8",
    ),
    # Exporters leave names on the way: one tensor then is `a first` and `first`.
    "outputs with other names on the way": Case(
        (
            helper.make_node("Constant", [], ["grey"], value_floats=[128.0]),
            helper.make_node("Sub", ["x", "grey"], ["moved"]),
            helper.make_node("Relu", ["moved"], ["a first"]),
            helper.make_node("Identity", ["a first"], ["first"]),
            helper.make_node("Identity", ["first"], ["third"]),
            helper.make_node("Identity", ["a first"], ["a hidden"]),
            helper.make_node("Add", ["a hidden", "x"], ["a sum"]),
            helper.make_node("Identity", ["a sum"], ["second"]),
        ),
        {"x": (5,)},
        {"second": (5,), "first": (5,), "third": (5,)},
        aliased,
    ),
    "two inputs": Case(
        (helper.make_node("Sub", ["b", "a"], ["y"]),),
        {"a": (2, 3), "b": (2, 3)},
        {"y": (2, 3)},
        lambda inputs: {"y": inputs["b"] - inputs["a"]},
    ),
    "an input that is an output": Case(
        (helper.make_node("Identity", ["x"], ["y"]),), {"x": (4,)}, {"y": (4,)}, lambda inputs: {"y": inputs["x"]}
    ),
}


def request_for(path: Path, **fields: Any) -> LoadRequest:
    graph = read_graph(path)
    names = tuple(tensor.name for tensor in graph.outputs)
    return LoadRequest(path, graph.digest, graph.bytes, names, threads=1, **fields)


@pytest.fixture(params=ENGINES, ids=lambda engine: engine.name)
def engine(request: pytest.FixtureRequest) -> Engine:
    chosen: Engine = request.param
    if reason := chosen.unavailable("cpu"):
        pytest.skip(reason)
    return chosen


@pytest.fixture(params=list(CASES.values()), ids=list(CASES))
def case(request: pytest.FixtureRequest) -> Case:
    chosen: Case = request.param
    return chosen


@pytest.fixture
def runtime(engine: Engine, case: Case, tmp_path: Path) -> Iterator[Runtime]:
    loaded = engine.load(request_for(case.save(tmp_path)))
    yield loaded
    loaded.close()


def agree(answer: Tensors, expected: Tensors) -> None:
    assert answer.keys() == expected.keys()
    for name, array in expected.items():
        assert answer[name].dtype == array.dtype
        assert answer[name] == pytest.approx(array, rel=1e-4, abs=1e-2)


def test_the_first_engine_is_available_on_this_machine() -> None:
    assert ENGINES[0].unavailable("cpu") is None


def test_every_batch_is_answered_as_numpy_answers_it(runtime: Runtime, case: Case) -> None:
    for batch in BATCHES:
        inputs = case.some(batch, seed=batch)
        agree(runtime.run(inputs), case.reference(inputs))


def test_calls_at_the_same_time_get_each_their_own_answer(runtime: Runtime, case: Case) -> None:
    def call(seed: int) -> None:
        inputs = case.some(BATCHES[seed % len(BATCHES)], seed)
        agree(runtime.run(inputs), case.reference(inputs))

    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(call, range(64)))) == 64


def test_answers_are_the_caller_s_own(runtime: Runtime, case: Case) -> None:
    for batch in (1, 4, 5):
        first, second = case.some(batch, 1), case.some(batch, 2)
        kept = runtime.run(first)
        agree(runtime.run(second), case.reference(second))
        agree(kept, case.reference(first))
        for array in kept.values():
            array[:] = 77
        agree(runtime.run(first), case.reference(first))
        agree(first, case.some(batch, 1))


def test_arrays_that_are_views_are_read_as_they_look(runtime: Runtime, case: Case) -> None:
    inputs = case.some(10)
    views = {name: array[::-2] for name, array in inputs.items()}
    agree(runtime.run(views), case.reference(views))


def test_a_closed_network_cannot_run_and_closing_twice_is_harmless(engine: Engine, case: Case, tmp_path: Path) -> None:
    loaded = engine.load(request_for(case.save(tmp_path)))
    inputs = case.some(1)
    kept = loaded.run(inputs)
    loaded.close()
    loaded.close()
    with pytest.raises(RuntimeError, match="closed"):
        loaded.run(inputs)
    agree(kept, case.reference(inputs))


def test_closing_while_others_call_never_gives_a_wrong_answer(engine: Engine, tmp_path: Path) -> None:
    loaded = engine.load(request_for(DENSE.save(tmp_path)))

    def call(seed: int) -> bool:
        inputs = DENSE.some(1, seed)
        try:
            agree(loaded.run(inputs), DENSE.reference(inputs))
        except RuntimeError as error:
            assert "closed" in str(error)  # noqa: PT017 - either outcome is right
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(call, seed) for seed in range(50)]
        answers[0].result()
        loaded.close()
        assert not pool.submit(call, 99).result()
        assert answers[0].result()
        for answer in answers:
            answer.result()


def test_what_runs_is_read_back(engine: Engine, tmp_path: Path) -> None:
    path = DENSE.save(tmp_path)
    info = engine.load(request_for(path)).info
    assert (info.engine, info.device, info.precision) == (engine.name, "cpu", "f32")
    assert info.version[:1].isdigit()
    native = engine.precisions("cpu")
    assert native[-1] == "f32"
    assert len(set(native)) == len(native)
    for precision in native:
        assert engine.load(request_for(path, precision=precision)).info.precision == precision


def test_an_engine_that_says_f32_computes_in_f32_whatever_was_asked_for(engine: Engine, tmp_path: Path) -> None:
    asked: tuple[Precision, ...] = ("f32", "bf16", "f16")
    for precision in asked:
        loaded = engine.load(request_for(DENSE.save(tmp_path), precision=precision))
        if loaded.info.precision == "f32":
            agree(loaded.run(DENSE.some(4)), DENSE.reference(DENSE.some(4)))


@pytest.mark.parametrize("wrong", ["name", "shape", "missing"])
def test_an_input_that_does_not_fit_raises_and_the_next_call_is_answered(
    engine: Engine, tmp_path: Path, wrong: str
) -> None:
    loaded = engine.load(request_for(CASES["two inputs"].save(tmp_path)))
    inputs = CASES["two inputs"].some(1)
    broken = {
        "name": inputs | {"c": inputs["a"]},
        "shape": {"a": inputs["a"], "b": np.zeros((1, 2, 9), np.float32)},
        "missing": {"a": inputs["a"]},
    }[wrong]
    with pytest.raises(Exception, match=r"."):
        loaded.run(broken)
    agree(loaded.run(inputs), CASES["two inputs"].reference(inputs))


@pytest.mark.parametrize("keep", [0, 20, 120], ids="{} bytes".format)
def test_a_damaged_graph_raises_and_does_not_crash(engine: Engine, tmp_path: Path, keep: int) -> None:
    path = DENSE.save(tmp_path)
    request = request_for(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(Exception, match=r"."):
        engine.load(request)


def test_an_unknown_device_is_a_reason_and_no_error(engine: Engine) -> None:
    for device in ("cuda:0", "cuda", "tpu"):
        reason = engine.unavailable(device)
        assert reason
        assert device in reason


def test_the_second_load_comes_from_the_cache_and_answers_the_same(engine: Engine, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    request = request_for(DENSE.save(tmp_path), cache_dir=cache)
    loads = [engine.load(request) for _ in range(2)]
    cached = [loaded.info.cached for loaded in loads]
    # None is the word of an engine without a cache, and such a one writes none.
    assert cached == ([None, None] if cached[0] is None else [False, True])
    assert cache.exists() == (cached[0] is not None)
    # Each version of an engine and each network has a folder of its own.
    for file in (path for path in cache.rglob("*") if path.is_file()):
        assert {engine.name, loads[0].info.version, request.digest} <= set(file.parts)
    for loaded, batch in itertools.product(loads, BATCHES):
        agree(loaded.run(DENSE.some(batch)), DENSE.reference(DENSE.some(batch)))


def test_another_network_of_the_same_name_is_not_answered_from_the_cache(engine: Engine, tmp_path: Path) -> None:
    cases = [DENSE, replace(CASES["an input that is an output"], outputs={"y": (4,)})]
    for case in cases:
        loaded = engine.load(request_for(case.save(tmp_path), cache_dir=tmp_path / "cache"))
        agree(loaded.run(case.some(1)), case.reference(case.some(1)))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda blob: blob[:0],
    "cut": lambda blob: blob[: len(blob) // 2],
    "last bytes gone": lambda blob: blob[:-10],
    "noise": lambda blob: np.random.default_rng(1).bytes(len(blob)),
    "noise behind the header": lambda blob: blob[:300] + np.random.default_rng(2).bytes(len(blob) - 300),
    "noise in the middle": lambda blob: blob[: len(blob) // 2] + b"\xaa" * 200 + blob[len(blob) // 2 + 200 :],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_cache_is_compiled_afresh_or_the_engine_is_passed_over(
    engine: Engine, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    request = request_for(DENSE.save(tmp_path), cache_dir=tmp_path / "cache")
    engine.load(request).close()
    for blob in (path for path in (tmp_path / "cache").rglob("*") if path.is_file()):
        blob.write_bytes(damage(blob.read_bytes()))
    selection = load_graph(request, [engine, *ENGINES[::-1]])
    assert selection.runtime.info.cached is not True
    assert all(reason for _, reason in selection.passed_over)
    agree(selection.runtime.run(DENSE.some(3)), DENSE.reference(DENSE.some(3)))


def test_a_cache_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    selection = load_graph(request_for(DENSE.save(tmp_path), cache_dir=tmp_path / "file" / "cache"))
    assert [name for name, _ in selection.passed_over] in ([], [ENGINES[0].name])
    agree(selection.runtime.run(DENSE.some(1)), DENSE.reference(DENSE.some(1)))


def test_a_large_network_answers_every_batch_as_well(engine: Engine, tmp_path: Path) -> None:
    request = replace(request_for(DENSE.save(tmp_path)), bytes=LARGE_NETWORK_BYTES + 1)
    loaded = engine.load(request)
    for batch in BATCHES:
        agree(loaded.run(DENSE.some(batch)), DENSE.reference(DENSE.some(batch)))


def anonymous_memory_kb() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")
def test_loading_and_closing_again_and_again_ends_where_it_began(engine: Engine, tmp_path: Path) -> None:
    side = 2048
    weights = np.random.default_rng(0).normal(size=(side, side)).astype(np.float32)
    path = save_graph(
        tmp_path / "n.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", ["N", side])],
        [value("y", ["N", side])],
        constants=[constant("w", weights)],
    )
    memory = []
    for _ in range(4):
        loaded = engine.load(request_for(path))
        loaded.run({"x": np.zeros((1, side), np.float32)})
        loaded.close()
        memory.append(anonymous_memory_kb())
    # One network is 16 MiB; what the first cycle leaves is the engine's own.
    assert memory[-1] - memory[0] < 8 << 10


@given(st.integers(1, 200), st.sets(st.integers(1, 32), min_size=1, max_size=4))
def test_parts_of_a_batch_cover_it_and_only_the_last_is_not_full(size: int, allowed: set[int]) -> None:
    parts = batch_parts(size, tuple(allowed))
    assert set(parts) <= allowed
    assert size <= sum(parts) < size + min(allowed)
    assert parts[: -1 or None] == sorted(parts[: -1 or None], reverse=True)
    if 1 in allowed:
        assert sum(parts) == size


@given(st.integers(1, 60), st.sets(st.integers(1, 9), min_size=1, max_size=3))
def test_a_batch_in_parts_is_the_batch(size: int, allowed: set[int]) -> None:
    seen: list[int] = []

    def run(inputs: Tensors) -> dict[str, Array]:
        seen.append(len(inputs["x"]))
        return {"y": np.asarray(inputs["x"]) * 2, "n": np.asarray(inputs["m"]).sum(axis=1)}

    x, m = np.arange(size), np.arange(size * 3).reshape(size, 3)
    answer = split_run({"x": x, "m": m}, tuple(allowed), run)
    assert np.array_equal(answer["y"], x * 2)
    assert np.array_equal(answer["n"], m.sum(axis=1))
    assert set(seen) <= allowed


def test_a_batch_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="batch of 0"):
        split_run({"x": np.zeros((0, 3))}, (1,), dict)


@pytest.fixture(scope="module")
def ocr() -> Iterator[RapidOCRRuntime]:
    loaded = RapidOCRRuntime(threads=1)
    yield loaded
    loaded.close()


def plate(text: str, *, size: int = 40) -> UInt8:
    """Black text on white, as a plate has it."""
    picture = PILImage.new("RGB", (60 + len(text) * size * 2 // 3, size * 2), "white")
    ImageDraw.Draw(picture).text((30, size // 3), text, fill="black", font=ImageFont.load_default(size))
    return np.asarray(picture, np.uint8)


def read(ocr: RapidOCRRuntime, text: str) -> str:
    return " ".join(ocr.run({"pixels": plate(text)})["texts"].tolist()).replace(" ", "")


def test_text_is_read_from_the_networks_of_the_package(ocr: RapidOCRRuntime) -> None:
    pixels = plate("KX07 ZZA")
    answer = ocr.run({"pixels": pixels})
    assert "".join(answer["texts"].tolist()).replace(" ", "") == "KX07ZZA"
    count = len(answer["texts"])
    assert (answer["scores"].shape, answer["quads"].shape) == ((count,), (count, 4, 2))
    assert (str(answer["scores"].dtype), str(answer["quads"].dtype)) == ("float32", "float32")
    assert all(0.8 < score <= 1 for score in answer["scores"].tolist())
    # Corners lie around the text, in pixels of the picture: x first.
    low, high = answer["quads"].min(axis=(0, 1)), answer["quads"].max(axis=(0, 1))
    assert (low >= 0).all()
    assert (high <= [pixels.shape[1], pixels.shape[0]]).all()
    assert (high - low)[0] > 2 * (high - low)[1]


def test_each_character_has_its_own_probability_also_behind_a_space(ocr: RapidOCRRuntime) -> None:
    answer = ocr.run({"pixels": plate("KX07 ZZA")})
    for text, score, row in zip(answer["texts"].tolist(), answer["scores"], answer["characters"], strict=True):
        own = row[: len(text)]
        assert np.isnan(row[len(text) :]).all()
        assert ((own > 0) & (own <= 1)).all()
        # The package's score of a line is the mean of them: none is lost and none is another's.
        assert float(np.mean(own, dtype=np.float64)) == pytest.approx(float(score), abs=1e-4)


def test_lines_whose_characters_the_package_does_not_tell_apart_have_none() -> None:
    told = _probabilities(("AB", "CD 1"), ((("A", 0.9, ()), ("B", 0.8, ())), (("CD", 0.9, ()),)))
    assert np.array_equal(told[0], np.array([0.9, 0.8, np.nan, np.nan], np.float32), equal_nan=True)
    assert np.isnan(told[1]).all()
    assert np.isnan(_probabilities(("AB",), ())).all()
    # As another version of the package may have it: its own objects, fewer of them, or without probabilities.
    assert np.isnan(_probabilities(("AB",), (object(),))).all()
    for lines in ((), (SimpleNamespace(confs=[0.9]), object()), (object(), object(), object())):
        read = _characters_of_lines([], [], SimpleNamespace(txts=("AB", "C"), word_results=lines))
        assert [len(line) for line in read.word_results] == [2, 1]
        assert np.isnan(_probabilities(read.txts, read.word_results)).all()


def test_a_picture_without_text_gives_no_line(ocr: RapidOCRRuntime) -> None:
    for shape in ((48, 160, 3), (1, 1, 3), (2, 900, 3)):
        answer = ocr.run({"pixels": np.full(shape, 90, np.uint8)})
        assert {name: array.shape for name, array in answer.items()} == {
            "texts": (0,), "scores": (0,), "quads": (0, 4, 2), "characters": (0, 0)
        }  # fmt: skip


def test_a_coloured_picture_is_read_as_the_package_reads_its_file(ocr: RapidOCRRuntime, tmp_path: Path) -> None:
    pixels = plate("AB12 CDE").copy()
    pixels[..., 2] //= 3
    pixels[..., 1] = 255 - pixels[..., 1] // 4
    PILImage.fromarray(pixels).save(tmp_path / "plate.png")
    flags = {"use_det": True, "use_cls": False, "use_rec": True}
    expected = ocr._ocr(str(tmp_path / "plate.png"), **flags)
    assert ocr.run({"pixels": pixels})["scores"].tolist() == pytest.approx(list(expected.scores), abs=1e-6)
    # The order of the colours shows in the score.
    swapped = ocr.run({"pixels": pixels[..., ::-1]})["scores"].tolist()
    assert swapped != pytest.approx(list(expected.scores), abs=1e-6)


def test_readers_at_the_same_time_get_each_their_own_text(ocr: RapidOCRRuntime) -> None:
    texts = ["AB12CDE", "KX07ZZA", "MN45PQR", "TU89VWX"]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: read(ocr, text), texts)) == texts


def test_a_closed_reader_cannot_read_and_closing_twice_is_harmless() -> None:
    loaded = RapidOCRRuntime(threads=1)
    assert (loaded.info.engine, loaded.info.device, loaded.info.precision) == ("rapidocr", "cpu", "f32")
    loaded.close()
    loaded.close()
    with pytest.raises(RuntimeError, match="closed"):
        loaded.run({"pixels": plate("A")})


def test_no_file_is_left_beside_the_graph(engine: Engine, tmp_path: Path) -> None:
    path = DENSE.save(tmp_path)
    loaded = engine.load(request_for(path))
    loaded.run(DENSE.some(1))
    loaded.close()
    assert list(tmp_path.iterdir()) == [path]
