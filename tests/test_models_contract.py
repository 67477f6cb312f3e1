"""What holds for every model in `MODELS`, on made-up graphs and without weights: a new model is tested unasked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.spec import Scope
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.catalog import default_entry
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import BadBox, HearthwatchError, UnknownModel
from hearthwatch.models import MODELS, get_model
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image

Array = np.ndarray[Any, Any]
#: The outputs that each model's graph has, by name: shape of one picture's answer.
OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "yolo26": {"output0": (300, 6)},
    "pose_estimator": {"output0": (56, 8400)},
    "threat_detector": {"output0": (8, 8400)},
    "person_reid": {"output": (512,)},
    "pet_classifier": {"logits": (2,)},
    "depth_estimator": {"predicted_depth": (28, 37)},
    "license_plate_detector": {"output0": (5, 8400)},
    "face_detector": {
        f"{kind}_{stride}": ((640 // stride) ** 2, columns)
        for stride in (8, 16, 32)
        for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    },
    "plate_ocr": {"texts": (), "scores": (), "quads": ()},
}
#: Frame models of the pipeline alone, whose answer for a box is one of the findings of a picture.
SEVERAL = {"face_detector", "license_plate_detector"}
SIZES = [(1, 1), (7, 900), (900, 7), (640, 640), (1920, 1080)]


def made_up(model: type[Adapter[Any]]) -> Description:
    """A description of a graph that this model accepts."""
    outputs = tuple(TensorInfo(name, (None, *shape), "float32") for name, shape in OUTPUTS[model.SPEC.name].items())
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, (), outputs, {})
    names = {"pose_estimator": ("person",), "pet_classifier": ("cat", "dog")}.get(model.SPEC.name, ())
    return Description(graph, Card(), replace(model.SPEC.input, origins={}), names)


class Network:
    """Answers every call with values of the right shapes, and remembers what it was given."""

    def __init__(self, model: type[Adapter[Any]], value: float = 0.3) -> None:
        self.outputs, self.value = OUTPUTS[model.SPEC.name], value
        self.given: list[Mapping[str, Array]] = []

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.given.append(inputs)
        if "texts" in self.outputs:
            quads = np.array([[[1, 1], [9, 1], [9, 4], [1, 4]]], np.float32)
            return {"texts": np.array(["AB 12"]), "scores": np.array([0.9], np.float32), "quads": quads}
        size = len(next(iter(inputs.values())))
        return {name: np.full((size, *shape), self.value, np.float32) for name, shape in self.outputs.items()}


def blank(width: int, height: int) -> Image:
    return Image.of(np.full((height, width, 3), 90, np.uint8))


@pytest.fixture(params=MODELS, ids=lambda model: model.SPEC.name)
def model(request: pytest.FixtureRequest) -> type[Adapter[Any]]:
    chosen: type[Adapter[Any]] = request.param
    return chosen


def test_every_model_has_made_up_outputs_for_these_tests() -> None:
    assert set(OUTPUTS) == {model.SPEC.name for model in MODELS}


def test_names_and_aliases_are_unique_and_found() -> None:
    names = [name for model in MODELS for name in (model.SPEC.name, *model.SPEC.aliases)]
    assert len(names) == len(set(names))
    for found in MODELS:
        for name in (found.SPEC.name, *found.SPEC.aliases):
            assert get_model(name) is found


def test_an_unknown_name_is_refused_with_the_list_of_names() -> None:
    with pytest.raises(UnknownModel, match=r"yolo26.*plate_ocr"):
        get_model("no such model")


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_picture_size_becomes_the_declared_input(model: type[Adapter[Any]], size: tuple[int, int]) -> None:
    network = Network(model)
    images = [blank(*size)] * 3
    results = model(made_up(model)).predict(images, network)
    assert len(results) == 3
    for inputs in network.given:
        tensor = inputs[model.SPEC.input.name]
        if model.SPEC.bundled:
            assert tensor.shape == (size[1], size[0], 3)
        elif model.SPEC.input.resize == "aspect":
            assert len(tensor) == 1
            assert all(14 <= side <= 518 and side % 14 == 0 for side in tensor.shape[2:])
            assert max(tensor.shape[2:]) == 518
        else:
            assert tensor.shape == (3, 3, *model.SPEC.input.size)
            assert tensor.dtype == np.float32


def test_no_picture_gives_no_result_and_does_not_run_the_network(model: type[Adapter[Any]]) -> None:
    network = Network(model)
    assert model(made_up(model)).predict([], network) == []
    assert network.given == []


def test_there_is_one_answer_per_box(model: type[Adapter[Any]]) -> None:
    boxes = [Box(0, 0, 50, 80), Box(10, 10, 90, 99), Box(20, 20, 21, 21)]
    for value in (0.1, 0.3, 0.9):
        answers = model(made_up(model)).for_boxes(blank(100, 100), boxes, Network(model, value))
        assert len(answers) == len(boxes)


def test_a_frame_model_looks_once_and_a_crop_model_at_all_crops_in_one_batch(model: type[Adapter[Any]]) -> None:
    network = Network(model)
    model(made_up(model)).for_boxes(blank(100, 100), [Box(0, 0, 50, 80), Box(10, 10, 90, 99)], network)
    if model.SPEC.scope is Scope.FRAME:
        assert [len(next(iter(i.values()))) for i in network.given] == [1]
    elif not model.SPEC.bundled:
        assert [len(next(iter(i.values()))) for i in network.given] == [2]


def test_a_box_outside_the_picture_is_refused_by_crop_models(model: type[Adapter[Any]]) -> None:
    if model.SPEC.scope is not Scope.CROP:
        return
    with pytest.raises(BadBox, match="outside"):
        model(made_up(model)).for_boxes(blank(100, 100), [Box(200, 200, 300, 300)], Network(model))


def test_every_result_tells_itself_to_a_prompt(model: type[Adapter[Any]]) -> None:
    for result in model(made_up(model)).predict([blank(64, 64)], Network(model, 0.9)):
        assert isinstance(result.to_context_string(), str)
        assert result.to_context_string()


def test_every_result_fits_what_its_model_says_of_it_on_the_wire(model: type[Adapter[Any]]) -> None:
    adapter = model(made_up(model))
    for value in (0.1, 0.9):
        whole = adapter.predict([blank(64, 64)], Network(model, value))
        for result in [*whole, adapter.for_one_box(None)]:
            if result is None:
                continue
            wire = result.to_wire()
            model.RESPONSE.model_validate(wire)
            orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY)
            assert set(wire) <= set(model.RESPONSE.model_json_schema()["properties"])


def test_the_answer_for_a_box_fits_as_well(model: type[Adapter[Any]]) -> None:
    adapter = model(made_up(model))
    for answer in adapter.for_boxes(blank(100, 100), [Box(10, 10, 90, 99)], Network(model, 0.9)):
        found: Any = adapter.for_one_box(answer)
        if model.SPEC.name not in SEVERAL and found is not None:
            model.RESPONSE.model_validate(found.to_wire())


def test_every_field_of_an_answer_is_described(model: type[Adapter[Any]]) -> None:
    schema = model.RESPONSE.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), f"{part['title']}.{name}"


def test_identical_results_agree_and_the_agreement_can_fail(model: type[Adapter[Any]]) -> None:
    adapter = model(made_up(model))
    results = adapter.predict([blank(64, 64)], Network(model, 0.9))
    value = model.SPEC.agreement.judge(results, results)
    assert value is None or value >= model.SPEC.agreement.at_least
    assert 0 < model.SPEC.agreement.at_least <= 1


def test_a_graph_of_another_network_is_refused_with_a_sentence(model: type[Adapter[Any]]) -> None:
    if model.SPEC.bundled:
        return
    wrong = replace(made_up(model), graph=replace(made_up(model).graph, outputs=(TensorInfo("x", (1, 17), "float32"),)))
    with pytest.raises(HearthwatchError, match=r"made-up\.onnx"):
        model(wrong)


def test_every_model_is_in_the_catalog(model: type[Adapter[Any]]) -> None:
    assert default_entry(model.SPEC.name).model == model.SPEC.name


def test_documented_variables_are_kept_and_ours_start_with_our_name(model: type[Adapter[Any]]) -> None:
    documented = {
        "yolo26": "YOLO26_MODEL_PATH",
        "threat_detector": "THREAT_MODEL_PATH",
        "pose_estimator": "POSE_MODEL_PATH",
        "person_reid": "REID_MODEL_PATH",
        "pet_classifier": "PET_MODEL_PATH",
        "depth_estimator": "DEPTH_MODEL_PATH",
    }
    first = model.SPEC.path_variables[0]
    assert first == documented.get(model.SPEC.name, f"HEARTHWATCH_{model.SPEC.name.upper()}_MODEL_PATH")
