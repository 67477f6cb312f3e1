"""Which engine runs a graph, and the reason for each one before it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import FakeEngine, image_graph
from hearthwatch.errors import LoadFailed, SettingsError
from hearthwatch.runtimes.base import EngineName, LoadRequest
from hearthwatch.runtimes.select import ENGINES, fastest_precision, load_graph, resolve_device, with_precision

REQUEST = LoadRequest(Path("/somewhere/net.onnx"), "digest", outputs=("output0",))
NAMES: tuple[EngineName, ...] = ("openvino", "onnxruntime", "rapidocr")


def test_engines_have_names_of_their_own_and_the_last_runs_everywhere() -> None:
    names = [engine.name for engine in ENGINES]
    assert len(set(names)) == len(names)
    assert ENGINES[-1].unavailable("cpu") is None


def test_the_first_engine_that_can_is_taken_and_the_others_are_left_alone() -> None:
    first, second = FakeEngine("openvino"), FakeEngine("onnxruntime")
    selection = load_graph(REQUEST, (first, second))
    assert selection.runtime is first.runtimes[0]
    assert selection.passed_over == ()
    assert (first.loads, second.loads) == ([REQUEST], [])


@given(st.lists(st.sampled_from(["fine", "unavailable", "broken"]), max_size=3))
def test_the_order_holds_and_every_engine_passed_over_has_its_reason(states: list[str]) -> None:
    engines = [
        FakeEngine(
            name,
            reason=f"{name} has no driver" if state == "unavailable" else None,
            failure=OSError(f"{name} broke") if state == "broken" else None,
        )
        for name, state in zip(NAMES, states, strict=False)
    ]
    reasons = {"unavailable": "{} has no driver", "broken": "OSError: {} broke"}
    before = states[: states.index("fine")] if "fine" in states else states
    expected = [(name, reasons[state].format(name)) for name, state in zip(NAMES, before, strict=False)]
    if "fine" in states:
        selection = load_graph(REQUEST, engines)
        assert selection.runtime is engines[len(before)].runtimes[0]
        assert list(selection.passed_over) == expected
    else:
        with pytest.raises(LoadFailed) as caught:
            load_graph(REQUEST, engines)
        sentence = str(caught.value)
        told = "; ".join(f"{name}: {reason}" for name, reason in expected) or "there is no engine"
        assert sentence == f"net.onnx could not be loaded on cpu: {told}"
    for engine, state in zip(engines, states, strict=False):
        assert len(engine.loads) == (state == "fine" and engines.index(engine) == len(before))


def test_an_engine_that_gives_no_reason_is_passed_over_with_its_error_s_name() -> None:
    selection = load_graph(REQUEST, (FakeEngine("openvino", failure=RuntimeError()), FakeEngine("onnxruntime")))
    assert selection.passed_over == (("openvino", "RuntimeError: no reason given"),)


def test_a_fallback_is_one_log_line_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        load_graph(REQUEST, (FakeEngine("openvino", failure=OSError("no plug-in")), FakeEngine("onnxruntime")))
    fallbacks = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert fallbacks == ["fallback file=net.onnx from=openvino to=onnxruntime reason=OSError: no plug-in"]
    assert "loaded file=net.onnx engine=onnxruntime device=cpu precision=f32" in caplog.messages[-1]


def test_stopping_the_process_is_no_reason_to_try_the_next_engine() -> None:
    class Stopped(FakeEngine):
        def load(self, request: LoadRequest) -> object:  # type: ignore[override]
            raise KeyboardInterrupt

    second = FakeEngine("onnxruntime")
    with pytest.raises(KeyboardInterrupt):
        load_graph(REQUEST, (Stopped("openvino"), second))  # type: ignore[arg-type]
    assert second.loads == []


@pytest.mark.parametrize("device", ["cpu", "gpu", "npu", "cuda", "cuda:0", "cuda:12"])
def test_a_named_device_is_itself(device: str) -> None:
    assert resolve_device(device) == device


def test_auto_is_a_device_on_which_an_engine_runs() -> None:
    device = resolve_device("auto")
    # The engines of the base install know the processor; a GPU is for those of an extra.
    assert device.startswith("cuda:") or any(engine.unavailable(device) is None for engine in ENGINES)


@pytest.mark.parametrize("word", ["", "CPU", "tpu", "cuda:", "cuda:x", "gpu:1", "cpu\n", " cpu", "cuda:0,cuda:1"])
def test_another_word_is_refused_with_the_words_that_are_known(word: str) -> None:
    with pytest.raises(SettingsError, match=r"none of auto, cpu, gpu \(Intel\), npu \(Intel\), cuda:N") as caught:
        resolve_device(word)
    assert repr(word) in str(caught.value)


def test_a_device_that_is_not_here_is_an_error_with_each_engine_s_reason(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "net.onnx")
    with pytest.raises(LoadFailed, match=r"net\.onnx could not be loaded on cuda:7: ") as caught:
        load_graph(LoadRequest(path, "digest", device="cuda:7"))
    for engine in ENGINES:
        assert f"{engine.name}: {engine.unavailable('cuda:7')}" in str(caught.value)


def test_a_file_that_is_no_graph_is_an_error_with_each_engine_s_reason(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no graph")
    with pytest.raises(LoadFailed) as caught:
        load_graph(LoadRequest(path, "digest"))
    for engine in ENGINES:
        assert f"{engine.name}: " in str(caught.value)


def test_the_fastest_precision_is_that_of_the_first_engine_that_is_here() -> None:
    absent = FakeEngine("openvino", native=("f16", "f32"), reason="not installed")
    here = FakeEngine("onnxruntime", native=("bf16", "f32"))
    assert fastest_precision(REQUEST, (absent, here)) == ("bf16", here.name)
    assert fastest_precision(REQUEST, (FakeEngine("openvino"), here)) == ("f32", "openvino")
    assert fastest_precision(REQUEST, (absent,)) == ("f32", None)


def test_another_precision_leaves_the_rest_of_a_request() -> None:
    changed = with_precision(REQUEST, "bf16")
    assert changed.precision == "bf16"
    assert with_precision(changed, "f32") == REQUEST
