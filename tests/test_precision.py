"""bf16 only where the model's own results agree, on real pictures, and what is remembered of it."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes import Answer, FakeEngine
from hearthwatch.adapter.agreement import Agreement, same_boxes, same_direction
from hearthwatch.adapter.base import ImageNetwork, Tensors
from hearthwatch.adapter.precision import choose_precision
from hearthwatch.adapter.samples import verification_pictures
from hearthwatch.adapter.spec import Priority, Scope, Spec
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph
from hearthwatch.models import MODELS
from hearthwatch.runtimes.base import Array, LoadRequest
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec

INPUT = InputSpec("x", (8, 8), scale=1 / 255)


def closeness(a: float, b: float) -> float | None:
    """1 where the same; None where both found nothing."""
    return None if a == b == 0 else 1 - abs(a - b)


class Brightness(ImageNetwork[float]):
    """A model whose result is its network's one number."""

    SPEC = Spec(
        "brightness", "Brightness", Scope.FRAME, Priority.LOW, (), 1, INPUT, Agreement("closeness", 0.9, closeness)
    )

    def postprocess(self, outputs: Tensors, images: Sequence[Image]) -> list[float]:
        return [float(row.mean()) for row in outputs["x"]]


class StricterBrightness(Brightness):
    SPEC = replace(Brightness.SPEC, agreement=replace(Brightness.SPEC.agreement, at_least=0.99))


def adapter(model: type[Brightness] = Brightness, **fields: Any) -> Brightness:
    return model(Description(Graph(Path("n.onnx"), "digest", 1, (), (), {}), Card(), replace(INPUT, **fields)))


def times(factor: float) -> Answer:
    def answer(inputs: Tensors) -> dict[str, Array]:
        return {name: np.asarray(array, np.float32) * np.float32(factor) for name, array in inputs.items()}

    return answer


def engine(bf16: float | Answer = 1.0, f32: float | Answer = 1.0) -> FakeEngine:
    """Hardware with bf16, whose networks multiply their input."""
    answers = {"bf16": bf16, "f32": f32}
    return FakeEngine(
        native=("bf16", "f32"),
        answers={name: a if callable(a) else times(a) for name, a in answers.items()},  # type: ignore[misc]
    )


def fail(inputs: Tensors) -> dict[str, Array]:
    raise ValueError("not a number came out")


def request(cache_dir: Path | None = None, **fields: Any) -> LoadRequest:
    return LoadRequest(Path("n.onnx"), **{"digest": "digest", "cache_dir": cache_dir} | fields)


def verdicts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_results_that_agree_take_the_faster_arithmetic_and_say_by_how_much(tmp_path: Path) -> None:
    fake = engine(bf16=1.01)
    chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [fake])
    assert chosen.precision == "bf16"
    assert len(notes) == 1
    assert notes[0].startswith("bf16: bf16 against f32 has closeness 0.99")
    assert notes[0].endswith("at least 0.9 needed")
    assert len(verdicts(tmp_path)) == 1
    assert [load.precision for load in fake.loads] == ["f32", "bf16"]
    assert all(runtime.closed for runtime in fake.runtimes)


def test_results_that_differ_stay_in_f32_and_say_by_how_much(tmp_path: Path) -> None:
    chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [engine(bf16=1.8)])
    assert chosen.precision == "f32"
    assert notes[0].startswith("f32: bf16 against f32 has closeness 0.")
    assert len(verdicts(tmp_path)) == 1


def test_the_worst_picture_decides() -> None:
    def wrong_on_the_last(inputs: Tensors) -> dict[str, Array]:
        array = np.array(inputs["x"])
        array[-1] *= 2
        return {"x": array}

    chosen, _ = choose_precision(adapter(), request(), "auto", [engine(bf16=wrong_on_the_last)])
    assert chosen.precision == "f32"


def test_pictures_that_show_nothing_are_no_evidence(tmp_path: Path) -> None:
    chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [engine(bf16=0, f32=0)])
    assert chosen.precision == "f32"
    assert notes == ("f32: the verification pictures give no evidence for bf16",)
    assert len(verdicts(tmp_path)) == 1


def test_hardware_without_a_faster_arithmetic_is_not_judged(tmp_path: Path) -> None:
    fake = FakeEngine()
    assert choose_precision(adapter(), request(tmp_path, precision="bf16"), "auto", [fake]) == (request(tmp_path), ())
    assert (fake.loads, verdicts(tmp_path)) == ([], [])


@pytest.mark.parametrize("asked", ["f32", "bf16", "f16"])
def test_a_precision_that_was_asked_for_is_not_judged(tmp_path: Path, asked: Any) -> None:
    fake = engine(bf16=2)
    chosen, notes = choose_precision(adapter(), request(tmp_path), asked, [fake])
    assert (chosen.precision, notes) == (asked, (f"{asked} because it was asked for",))
    assert (fake.loads, verdicts(tmp_path)) == ([], [])


@pytest.mark.parametrize(("bf16", "f32"), [(1.0, 1.0), (2.0, 1.0), (0.0, 0.0)], ids=["agrees", "differs", "nothing"])
def test_a_verdict_is_paid_for_once(tmp_path: Path, bf16: float, f32: float) -> None:
    first = choose_precision(adapter(), request(tmp_path), "auto", [engine(bf16, f32)])
    again = engine(bf16, f32)
    assert choose_precision(adapter(), request(tmp_path), "auto", [again]) == first
    assert again.loads == []


def test_without_a_cache_every_start_pays() -> None:
    for _ in range(2):
        fake = engine()
        choose_precision(adapter(), request(), "auto", [fake])
        assert len(fake.loads) == 2


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b"null", b'{"agrees": true}', b'{"agrees": "yes", "reason": "r"}', b'{"reason": "r"}', b"\xff"],
    ids=repr,
)
def test_a_damaged_verdict_is_measured_again(tmp_path: Path, damage: bytes) -> None:
    choose_precision(adapter(), request(tmp_path), "auto", [engine(bf16=2)])
    verdicts(tmp_path)[0].write_bytes(damage)
    fake = engine(bf16=2)
    chosen, _ = choose_precision(adapter(), request(tmp_path), "auto", [fake])
    assert (chosen.precision, len(fake.loads)) == ("f32", 2)
    # It is whole again.
    fake = engine(bf16=2)
    choose_precision(adapter(), request(tmp_path), "auto", [fake])
    assert fake.loads == []


@pytest.mark.parametrize("changed", ["weights", "device", "preprocessing", "agreement", "engine"])
def test_a_verdict_on_something_else_does_not_count(tmp_path: Path, changed: str) -> None:
    choose_precision(adapter(), request(tmp_path), "auto", [engine(bf16=1.05)])
    model = adapter(StricterBrightness) if changed == "agreement" else adapter()
    if changed == "preprocessing":
        model = adapter(color="BGR")
    fields = {"weights": {"digest": "another"}, "device": {"device": "gpu"}}.get(changed, {})
    fake = engine(bf16=1.05)
    fake.name = "pytorch" if changed == "engine" else fake.name
    choose_precision(model, request(tmp_path, **fields), "auto", [fake])
    assert len(fake.loads) == 2
    assert len(verdicts(tmp_path)) == 2


@pytest.mark.parametrize("broken", ["bf16", "f32"])
def test_a_network_that_fails_in_one_of_them_stays_in_f32_and_is_tried_again_next_time(
    tmp_path: Path, broken: str
) -> None:
    for _ in range(2):
        fake = engine(**{broken: fail})
        chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [fake])
        assert chosen.precision == "f32"
        assert notes == ("f32: bf16 could not be tried (not a number came out)",)
        assert fake.loads
        assert all(runtime.closed for runtime in fake.runtimes)
    assert verdicts(tmp_path) == []


def test_an_engine_that_does_not_load_is_said_so(tmp_path: Path) -> None:
    fake = FakeEngine(native=("bf16", "f32"), failure=OSError("no plug-in"))
    chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [fake])
    assert chosen.precision == "f32"
    assert notes[0].startswith("f32: bf16 could not be tried (n.onnx could not be loaded on cpu: openvino: OSError")


def test_an_engine_that_was_fallen_back_to_does_not_agree_with_itself(tmp_path: Path) -> None:
    """The first engine promises bf16 and does not load; the next one computes everything in f32."""
    first = FakeEngine("openvino", native=("bf16", "f32"), failure=OSError("no plug-in"))
    second = FakeEngine("onnxruntime", computes="f32")
    chosen, notes = choose_precision(adapter(), request(tmp_path), "auto", [first, second])
    assert chosen.precision == "f32"
    assert notes == ("f32: bf16 could not be tried (onnxruntime computes in f32)",)
    assert verdicts(tmp_path) == []
    assert all(runtime.closed for runtime in second.runtimes)


def test_a_cache_that_cannot_be_written_costs_a_log_line_and_not_the_model(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        chosen, _ = choose_precision(adapter(), request(tmp_path / "file"), "auto", [engine()])
    assert chosen.precision == "bf16"
    assert len(caplog.messages) == 1
    assert "kept=no" in caplog.messages[0]


def test_the_verification_pictures_are_real_and_unlike_each_other() -> None:
    pictures = verification_pictures()
    assert len(pictures) >= 3
    for picture in pictures:
        assert min(picture.pixels.shape[:2]) >= 100
        assert picture.pixels.std() > 30
    assert np.array_equal(pictures[1].pixels, pictures[0].pixels[:, ::-1])
    assert not np.array_equal(pictures[1].pixels, pictures[0].pixels)


def measure(a: float | None, _: object) -> float | None:
    return a


@given(st.lists(st.one_of(st.none(), st.floats(0, 1), st.just(math.nan)), max_size=6))
def test_judging_takes_the_worst_picture_and_a_nan_never_agrees(values: list[float | None]) -> None:
    judged = Agreement("any", 0.5, measure).judge(values, values)
    known = [value for value in values if value is not None]
    if not known:
        assert judged is None
    elif any(math.isnan(value) for value in known):
        assert judged is not None
        assert not judged >= 0.5
    else:
        assert judged == min(known)


def test_two_answers_of_different_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="zip"):
        Agreement("any", 0.5, measure).judge([1.0], [1.0, 1.0])


def boxes(*rows: tuple[float, float, float, float]) -> Float:
    return np.array(rows, np.float32).reshape(-1, 4)


def test_boxes_agree_by_the_worst_match_both_ways() -> None:
    one, two = (0, 0, 10, 10), (50, 50, 60, 60)
    assert same_boxes(boxes(one, two), boxes(two, one)) == 1
    assert same_boxes(boxes(one), boxes((0, 0, 10, 5))) == pytest.approx(0.5)
    assert same_boxes(boxes(one, two), boxes(one)) == 0
    assert same_boxes(boxes(one), boxes(one, two)) == 0
    assert same_boxes(boxes(one), boxes()) == same_boxes(boxes(), boxes(one)) == 0
    assert same_boxes(boxes(), boxes()) is None
    assert same_boxes(boxes(one), boxes((math.nan, 0, 10, 10))) == 0


def test_directions_agree_by_their_cosine() -> None:
    a, b = np.array([1, 0], np.float32), np.array([0.6, 0.8], np.float32)
    assert same_direction(a, a) == 1
    assert same_direction(a, b) == pytest.approx(0.6)


def test_every_model_says_when_two_of_its_answers_agree() -> None:
    for model in MODELS:
        agreement = model.SPEC.agreement
        assert agreement.name
        assert 0 < agreement.at_least <= 1
