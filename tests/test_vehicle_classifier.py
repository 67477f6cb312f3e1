"""Kinds of vehicles: whatever the classes are called, and what the network takes for none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.models.vehicle_classifier import (
    COMMERCIAL,
    DISPLAY_NAMES,
    MIO_TCD,
    NO_VEHICLE,
    SPEC,
    UNKNOWN,
    VehicleAdapter,
    VehicleAnswer,
    VehicleClassificationResult,
)
from hearthwatch.vision.image import Image
from painted import SEEN, car

Array = np.ndarray[Any, Any]
RED = Image.of(car(SEEN["red"]))
GREY = Image.of(np.full((40, 60, 3), 90, np.uint8))


def adapter(number: int = 11, names: tuple[str, ...] = (), **card: Any) -> VehicleAdapter:
    outputs = (TensorInfo("scores", (None, number), "float32"), TensorInfo("paint", (None, 3, 1, 1), "float32"))
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    return VehicleAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={}), names))


def judged(model: VehicleAdapter, *rows: Sequence[float], image: Image = RED) -> list[VehicleClassificationResult]:
    def run(_inputs: Mapping[str, Array]) -> dict[str, Array]:
        paint = np.tile(np.array([0.1, 0.7, 0.2], np.float32).reshape(1, 3, 1, 1), (len(rows), 1, 1, 1))
        return {"scores": np.array(rows, np.float32), "paint": paint}

    return model.predict([image] * len(rows), run)


def one_hot(index: int, classes: int = 11) -> list[float]:
    return [8.0 if i == index else 0.0 for i in range(classes)]


def test_the_eleven_classes_are_in_the_order_of_their_indices() -> None:
    assert list(MIO_TCD) == sorted(MIO_TCD)
    assert len(MIO_TCD) == 11
    found = judged(adapter(), *(one_hot(i) for i in range(11)))
    assert [result.vehicle_type for result in found] == [UNKNOWN if n in NO_VEHICLE else n for n in MIO_TCD]
    assert [result.is_commercial for result in found] == [n in COMMERCIAL for n in MIO_TCD]


@pytest.mark.parametrize("name", sorted(NO_VEHICLE))
def test_what_is_no_vehicle_is_unknown_and_nothing_is_dropped(name: str) -> None:
    (found,) = judged(adapter(), one_hot(MIO_TCD.index(name)))
    assert (found.vehicle_type, found.display_name, found.is_vehicle) == (UNKNOWN, "No vehicle", False)
    assert set(found.all_scores) == set(MIO_TCD)
    assert next(iter(found.all_scores)) == name
    assert found.confidence == found.all_scores[name] > 0.99
    assert sum(found.all_scores.values()) == pytest.approx(1)
    assert (found.color, found.color_reason) == (None, "the network says that it is no vehicle")
    assert found.to_context_string().startswith("Vehicle: none by a closer look (confidence: 100%)")


def test_the_names_of_the_file_win_over_the_order_of_ours() -> None:
    names = ("Car", "work van", "non-motorized_vehicle", "SUV", "Background")
    found = judged(adapter(5, names), one_hot(0, 5), one_hot(1, 5), one_hot(2, 5), one_hot(3, 5), one_hot(4, 5))
    assert [r.vehicle_type for r in found] == ["car", "work_van", "non_motorized_vehicle", "car", UNKNOWN]
    assert set(found[0].all_scores) == {"car", "work_van", "non_motorized_vehicle", "background"}


def test_what_else_a_network_knows_is_no_vehicle() -> None:
    model = adapter(6, classes={"car": [0, 1], "bus": [2]}, outputs={"probabilities": {"name": "scores"}})
    first, second = judged(model, (0.3, 0.3, 0.1, 0.1, 0.1, 0.1), (0.1, 0.1, 0.1, 0.3, 0.2, 0.2))
    assert (first.vehicle_type, second.vehicle_type) == ("car", UNKNOWN)
    assert [first.confidence, second.confidence] == pytest.approx([0.6, 0.7])


def test_a_network_with_an_output_for_the_colour_is_believed() -> None:
    outputs = {
        "type": {"name": "scores", "kind": "probabilities"},
        "color": {"name": "paint", "kind": "probabilities", "classes": ["white", "mauve", "black"]},
    }
    model = adapter(4, classes={"car": [0], "bus": [1], "single_unit_truck": [2], "work_van": [3]}, outputs=outputs)
    (found,) = judged(model, (0.1, 0.1, 0.7, 0.1))
    assert (found.vehicle_type, found.is_commercial) == ("single_unit_truck", True)
    assert found.color == "mauve"
    assert found.color_confidence == pytest.approx(0.7)
    assert "background" not in found.all_scores


def test_without_one_a_rule_tells_the_colour_of_the_body() -> None:
    (found,) = judged(adapter(), one_hot(MIO_TCD.index("pickup_truck")))
    assert found.color == "red"
    assert found.color_confidence is not None
    assert found.color_confidence > 0.5
    assert found.to_context_string() == "Vehicle: Pickup truck, red (confidence: 100%)"


def test_there_is_a_reason_where_there_is_no_colour() -> None:
    (found,) = judged(adapter(), one_hot(MIO_TCD.index("car")), image=GREY)
    assert (found.color, found.color_confidence) == (None, None)
    assert found.color_reason == "the picture has no colours, as by infrared light"
    (found,) = judged(adapter(), one_hot(MIO_TCD.index("bicycle")))
    assert (found.color, found.color_reason) == (None, "too little of a bicycle is painted")


def test_a_commercial_vehicle_says_so_to_a_prompt() -> None:
    told = VehicleClassificationResult("work_van", 0.925).to_context_string()
    assert told == "Vehicle: Work van (confidence: 92%)\n  [Commercial vehicle]"
    assert VehicleClassificationResult("car", 0.9).display_name == "Car (sedan, SUV)"


def test_every_type_has_a_name_for_people() -> None:
    assert set(DISPLAY_NAMES) == {*MIO_TCD, UNKNOWN} - NO_VEHICLE
    assert {"articulated_truck", "single_unit_truck", "work_van"} == COMMERCIAL


@pytest.mark.parametrize(
    ("classes", "names", "card", "told"),
    [
        (10, (), {}, "does not say which of its 10 classes"),
        (11, ("LABEL_0",) * 11, {}, "does not say which"),
        (3, ("car", "boat", "plane"), {}, "does not say which"),
        (3, ("car", "bus"), {}, "names 2 classes"),
        (3, (), {"classes": {"car": [0], "bus": [3]}}, "beyond the 3"),
        (3, (), {"classes": {"car": [0, 1], "bus": [1]}}, "or one twice"),
        (3, (), {"classes": {"cat": [0], "dog": [1]}}, "does not say which"),
        (2, ("car", "bus"), {"outputs": {"type": {"name": "elsewhere"}}}, "'elsewhere'"),
        (2, ("car", "bus"), {"outputs": {"color": {"name": "paint"}}}, "color without classes"),
        (2, ("car", "bus"), {"outputs": {"color": {"name": "paint", "classes": ["red"]}}}, "names 1 classes"),
    ],
)
def test_a_classifier_that_does_not_say_which_is_which_is_refused(
    classes: int, names: tuple[str, ...], card: dict[str, Any], told: str
) -> None:
    with pytest.raises(WeightsInvalid, match=rf"made-up\.onnx.*{told}"):
        adapter(classes, names, **card)


def test_scores_that_are_no_numbers_are_a_failure_and_no_car() -> None:
    with pytest.raises(InferenceFailed):
        judged(adapter(), [float("nan")] * 11)


def test_nothing_at_all_is_no_vehicle_without_confidence() -> None:
    model = adapter(outputs={"probabilities": {"name": "scores"}})
    (found,) = judged(model, [0.0] * 11)
    assert found.confidence == 0


def test_the_wire_fits_its_description() -> None:
    (found,) = judged(adapter(), one_hot(MIO_TCD.index("work_van")))
    wire = found.to_wire()
    assert VehicleAnswer.model_validate(wire).model_dump() == wire
    assert (wire["vehicle_type"], wire["display_name"], wire["is_commercial"]) == ("work_van", "Work van", True)
    assert (wire["color"], wire["color_reason"], len(wire["all_scores"])) == ("red", None, 11)


def test_two_runs_agree_by_their_scores() -> None:
    first, second, third = (
        VehicleClassificationResult("car", 0.5, {"car": car, "bus": 1 - car}) for car in (0.51, 0.49, 0.2)
    )
    assert SPEC.agreement.judge([first], [second]) == pytest.approx(0.98)
    value = SPEC.agreement.judge([first], [third])
    assert value is not None
    assert value < SPEC.agreement.at_least


@pytest.mark.slow
def test_a_folder_of_tensors_with_classes_txt_is_found_converted_and_answers(tmp_path: Path) -> None:
    """As the documented checkpoint is published, at ResNet-18: no config.json, torchvision's names, one name a line."""
    torch = pytest.importorskip("torch", reason="the extra torch is not installed")
    from hearthwatch.networks.resnet import create_resnet

    folder = tmp_path / "vehicle-segment-classification"
    folder.mkdir()
    torch.manual_seed(2)
    torch.save(create_resnet(18, 11).state_dict(), folder / "pytorch_model.bin")
    backwards = tuple(reversed(MIO_TCD))
    (folder / "classes.txt").write_text("\n".join(backwards).replace("non_motor", "non-motor"))
    loaded = load(VehicleAdapter, LoadOptions(models_dir=tmp_path, cache_dir=tmp_path / "cache", precision="f32"))
    try:
        (found,) = loaded.predict([RED])[0]
        assert isinstance(loaded.adapter, VehicleAdapter)
        assert loaded.adapter.kinds == {name: (index,) for index, name in enumerate(backwards)}
    finally:
        loaded.close()
    assert set(found.all_scores) == set(MIO_TCD)
