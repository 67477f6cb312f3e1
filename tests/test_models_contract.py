"""What holds for every model in `MODELS`, on made-up graphs and without weights: a new model is tested unasked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks.clip_checkpoint import byte_vocabulary

from fakes import FakeRuntime
from hearthwatch.adapter.base import Adapter, PictureAdapter, TextAdapter
from hearthwatch.adapter.frames import FramesAdapter, Sentences, clips_of
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.prompts import PromptedNetwork, PromptEmbeddings
from hearthwatch.adapter.samples import look
from hearthwatch.adapter.spec import Scope
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.catalog import default_entry
from hearthwatch.artifacts.description import Description
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.artifacts.tokens import TextDescription, TokenSpec, parse_vocabulary
from hearthwatch.errors import BadBox, HearthwatchError, InferenceFailed, UnknownModel
from hearthwatch.models import MODELS, get_model
from hearthwatch.runtimes.base import RuntimeInfo
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import unit
from hearthwatch.vision.image import Image
from test_ages import FAIRFACE

Array = np.ndarray[Any, Any]
#: The outputs that each model's graph has, by name: shape of one picture's answer.
OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "yolo26": {"output0": (300, 6)},
    "pose_estimator": {"output0": (56, 8400)},
    "threat_detector": {"output0": (8, 8400)},
    "person_reid": {"output": (512,)},
    "pet_classifier": {"logits": (2,)},
    "depth_estimator": {"predicted_depth": (28, 37)},
    "vehicle_classifier": {"logits": (11,)},
    "demographics": {"logits": (9,)},
    "license_plate_detector": {"output0": (5, 8400)},
    "violence_detector": {"logits": (2,)},
    "weather_classifier": {"logits": (5,)},
    "face_detector": {
        f"{kind}_{stride}": ((640 // stride) ** 2, columns)
        for stride in (8, 16, 32)
        for kind, columns in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    },
    "plate_ocr": {"texts": (), "scores": (), "quads": ()},
    "clip": {"image_embeds": (768,)},
    "clip_text": {"text_embeds": (768,)},
    "fashion_clip": {"image_embeds": (512,)},
    "fashion_clip_text": {"text_embeds": (512,)},
    "action_text": {"text_embeds": (512,)},
    "action_recognizer": {"video_embeds": (512,), "text_embeds": (512,)},
    "scene_text": {"texts": (), "scores": (), "quads": ()},
    "vehicle_damage": {"output0": (4 + 6 + 32, 8400), "output1": (32, 160, 160)},
}
NAMES: dict[str, tuple[str, ...]] = {
    "pose_estimator": ("person",),
    "pet_classifier": ("cat", "dog"),
    "demographics": FAIRFACE,
    "violence_detector": ("NonViolence", "Violence"),
    "weather_classifier": ("cloudy/overcast", "foggy/hazy", "rain/storm", "snow/frosty", "sun/clear"),
}
#: Frame models of the pipeline alone, whose answer for a box is one of the findings of a picture.
SEVERAL = {"face_detector", "license_plate_detector"}
#: What a graph takes that watches clips.
CLIP_INPUTS = (
    TensorInfo("pixel_values", (5, 3, 224, 224), "float32"),
    TensorInfo("text_features", (None, 512), "float32"),
)
INFO = RuntimeInfo("openvino", "cpu", "f32", "1", 1.0)
SILENCE = Sentences((), np.empty((0, 1), np.float32), "")
SIZES = [(1, 1), (7, 900), (900, 7), (640, 640), (1920, 1080)]


def made_up(model: type[Adapter[Any]]) -> Any:
    """A description of a graph that this model accepts."""
    outputs = tuple(TensorInfo(name, (None, *shape), "float32") for name, shape in OUTPUTS[model.SPEC.name].items())
    inputs = CLIP_INPUTS if model.SPEC.scope is Scope.FRAMES else ()
    graph = Graph(Path("made-up.onnx"), "0" * 64, 1, inputs, outputs, {})
    if isinstance(model.SPEC.input, TokenSpec):
        return TextDescription(graph, Card(), model.SPEC.input, parse_vocabulary(*byte_vocabulary(), Path("made-up")))
    names = NAMES.get(model.SPEC.name, ())
    return Description(graph, Card(), replace(model.SPEC.input, origins={}), names)


def made(model: type[Adapter[Any]]) -> Any:
    """The adapter of that graph, with the prompts that it compares pictures with, where it has any."""
    adapter = model(made_up(model))
    if isinstance(adapter, PromptedNetwork):
        random = np.random.default_rng(5).standard_normal((len(adapter.PROMPTS.texts), adapter.space[1]))
        adapter.compare_with(PromptEmbeddings(unit(random), adapter.space[0]))
    return adapter


class Network:
    """Answers every call with values of the right shapes, and remembers what it was given."""

    def __init__(self, model: type[Adapter[Any]], value: float = 0.3) -> None:
        self.outputs, self.value = OUTPUTS[model.SPEC.name], value
        self.given: list[Mapping[str, Array]] = []

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        self.given.append(inputs)
        if "text_features" in inputs:
            clip = np.full((1, 512), self.value, np.float32)
            return {"video_embeds": clip, "text_embeds": inputs["text_features"]}
        if "texts" in self.outputs:
            quads = np.array([[[1, 1], [9, 1], [9, 4], [1, 4]]], np.float32)
            characters = np.array([[0.9, 0.8, 0.1, 0.7, 0.6]], np.float32)
            scores = np.array([0.9], np.float32)
            return {"texts": np.array(["AB 12"]), "scores": scores, "quads": quads, "characters": characters}
        size = len(next(iter(inputs.values())))
        return {name: np.full((size, *shape), self.value, np.float32) for name, shape in self.outputs.items()}


def asked(model: type[Adapter[Any]], value: float = 0.9) -> list[Any]:
    """The answers of a model to one question."""
    adapter, network = made(model), Network(model, value)
    if isinstance(adapter, TextAdapter):
        return adapter.read(["a person with a box"], network)
    if isinstance(adapter, FramesAdapter):
        return adapter.watch(clips_of(adapter, [blank(64, 64)]), labels_for(adapter), network)
    return look(adapter, [blank(64, 64)], network)


def labels_for(adapter: FramesAdapter[Any]) -> Sentences:
    """Its own labels, with directions of their own."""
    features = np.random.default_rng(4).normal(size=(len(adapter.LABELS), adapter.text_width)).astype(np.float32)
    return Sentences(adapter.LABELS, features, adapter.digest)


def blank(width: int, height: int) -> Image:
    return Image.of(np.full((height, width, 3), 90, np.uint8))


PICTURE_MODELS = [model for model in MODELS if issubclass(model, PictureAdapter)]
CLIP_MODELS = [model for model in MODELS if issubclass(model, FramesAdapter)]
TEXT_MODELS = [model for model in MODELS if issubclass(model, TextAdapter)]


@pytest.fixture(params=PICTURE_MODELS, ids=lambda model: model.SPEC.name)
def looking(request: pytest.FixtureRequest) -> type[PictureAdapter[Any]]:
    chosen: type[PictureAdapter[Any]] = request.param
    return chosen


@pytest.fixture(params=TEXT_MODELS, ids=lambda model: model.SPEC.name)
def reading(request: pytest.FixtureRequest) -> type[TextAdapter[Any]]:
    chosen: type[TextAdapter[Any]] = request.param
    return chosen


@pytest.fixture(params=CLIP_MODELS, ids=lambda model: model.SPEC.name)
def watching(request: pytest.FixtureRequest) -> type[FramesAdapter[Any]]:
    chosen: type[FramesAdapter[Any]] = request.param
    return chosen


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
def test_any_picture_size_becomes_the_declared_input(looking: type[PictureAdapter[Any]], size: tuple[int, int]) -> None:
    network = Network(looking)
    images = [blank(*size)] * 3
    results = made(looking).predict(images, network)
    assert len(results) == 3
    for inputs in network.given:
        tensor = inputs[looking.SPEC.input.name]
        if looking.SPEC.bundled:
            assert tensor.shape == (size[1], size[0], 3)
        elif looking.SPEC.pixels.resize == "aspect":
            assert len(tensor) == 1
            assert all(14 <= side <= 518 and side % 14 == 0 for side in tensor.shape[2:])
            assert max(tensor.shape[2:]) == 518
        else:
            assert tensor.shape == (3, 3, *looking.SPEC.pixels.size)
            assert tensor.dtype == np.float32


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_frames_of_any_size_become_one_clip_a_box(watching: type[FramesAdapter[Any]], size: tuple[int, int]) -> None:
    adapter, network = watching(made_up(watching)), Network(watching)
    frames = [blank(*size)] * 3
    boxes = [Box(0, 0, size[0], size[1]), Box(0, 0, 1, 1)]
    for asked_about in ([], boxes[:1], boxes):
        clips = clips_of(adapter, frames, asked_about)
        assert [clip.shape for clip in clips] == [(5, 3, 224, 224)] * max(1, len(asked_about))
        assert len(adapter.watch(clips, labels_for(adapter), network)) == len(clips)
    assert {given["pixel_values"].dtype for given in network.given} == {np.dtype(np.float32)}
    with pytest.raises(BadBox, match="outside"):
        clips_of(adapter, frames, [Box(size[0] + 1, 0, size[0] + 9, 9)])


def test_a_model_that_watches_has_a_text_tower_among_the_models(watching: type[FramesAdapter[Any]]) -> None:
    reader = get_model(watching.SPEC.reader)
    assert reader in TEXT_MODELS
    assert reader.SPEC.variables == watching.SPEC.variables
    assert watching.LABELS


def test_no_picture_gives_no_result_and_does_not_run_the_network(looking: type[PictureAdapter[Any]]) -> None:
    network = Network(looking)
    assert made(looking).predict([], network) == []
    assert network.given == []


def test_there_is_one_answer_per_box(looking: type[PictureAdapter[Any]]) -> None:
    boxes = [Box(0, 0, 50, 80), Box(10, 10, 90, 99), Box(20, 20, 21, 21)]
    for value in (0.1, 0.3, 0.9):
        answers = made(looking).for_boxes(blank(100, 100), boxes, Network(looking, value))
        assert len(answers) == len(boxes)


def test_a_frame_model_looks_once_and_a_crop_model_at_all_crops_in_one_batch(
    looking: type[PictureAdapter[Any]],
) -> None:
    network = Network(looking)
    made(looking).for_boxes(blank(100, 100), [Box(0, 0, 50, 80), Box(10, 10, 90, 99)], network)
    if looking.SPEC.scope is Scope.FRAME and looking.SPEC.bundled:
        assert len(network.given) == 1
    elif looking.SPEC.scope is Scope.FRAME:
        assert [len(next(iter(i.values()))) for i in network.given] == [1]
    elif not looking.SPEC.bundled:
        assert [len(next(iter(i.values()))) for i in network.given] == [2]


def test_a_box_outside_the_picture_is_refused_by_crop_models(looking: type[PictureAdapter[Any]]) -> None:
    if looking.SPEC.scope is not Scope.CROP:
        return
    with pytest.raises(BadBox, match="outside"):
        made(looking).for_boxes(blank(100, 100), [Box(200, 200, 300, 300)], Network(looking))


def test_every_result_tells_itself_to_a_prompt(model: type[Adapter[Any]]) -> None:
    for result in asked(model):
        assert isinstance(result.to_context_string(), str)
        assert result.to_context_string()


def test_every_result_fits_what_its_model_says_of_it_on_the_wire(model: type[Adapter[Any]]) -> None:
    for value in (0.1, 0.9):
        none = model.for_one_box(None) if issubclass(model, PictureAdapter) else None
        for result in [*asked(model, value), none]:
            if result is None:
                continue
            wire = result.to_wire()
            model.RESPONSE.model_validate(wire)
            orjson.dumps(wire, option=orjson.OPT_SERIALIZE_NUMPY)
            assert set(wire) <= set(model.RESPONSE.model_json_schema()["properties"])


def test_the_answer_for_a_box_fits_as_well(looking: type[PictureAdapter[Any]]) -> None:
    adapter = made(looking)
    for answer in adapter.for_boxes(blank(100, 100), [Box(10, 10, 90, 99)], Network(looking, 0.9)):
        found: Any = adapter.for_one_box(answer)
        if looking.SPEC.name not in SEVERAL and found is not None:
            looking.RESPONSE.model_validate(found.to_wire())


def test_every_field_of_an_answer_is_described(model: type[Adapter[Any]]) -> None:
    schema = model.RESPONSE.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        for name, field in part.get("properties", {}).items():
            assert field.get("description"), f"{part['title']}.{name}"


def test_identical_results_agree_and_the_agreement_can_fail(model: type[Adapter[Any]]) -> None:
    results = asked(model)
    value = model.SPEC.agreement.judge(results, results)
    assert value is None or value >= model.SPEC.agreement.at_least
    assert 0 < model.SPEC.agreement.at_least <= 1


def test_a_graph_of_another_network_is_refused_with_a_sentence(model: type[Adapter[Any]]) -> None:
    if model.SPEC.bundled:
        return
    wrong = replace(made_up(model), graph=replace(made_up(model).graph, outputs=(TensorInfo("x", (1, 17), "float32"),)))
    with pytest.raises(HearthwatchError, match=r"made-up\.onnx"):
        model(wrong)


@pytest.mark.parametrize("texts", [[], ["a"], ["A person.", "", "\U0001f408 " * 200, "x" * 500] * 5], ids=len)
def test_texts_become_the_declared_input(reading: type[TextAdapter[Any]], texts: list[str]) -> None:
    network = Network(reading)
    assert len(reading(made_up(reading)).read(texts, network)) == len(texts)
    for inputs in network.given:
        (ids,) = inputs.values()
        assert ids.shape[1:] == (77,)
        assert ids.dtype == np.int64
    assert bool(network.given) is bool(texts)


def test_a_model_that_reads_looks_or_watches_is_not_asked_for_the_others_work(model: type[Adapter[Any]]) -> None:
    loaded = LoadedModel(made(model), FakeRuntime(INFO), ())
    ways: dict[type[Any], Callable[[Any], Any]] = {
        TextAdapter: loaded.read,
        PictureAdapter: loaded.predict,
        FramesAdapter: lambda clips: loaded.watch(clips, SILENCE),
    }
    for kind, way in ways.items():
        if not issubclass(model, kind):
            with pytest.raises(InferenceFailed, match=model.SPEC.name):
                way([])


def test_every_model_is_in_the_catalog(model: type[Adapter[Any]]) -> None:
    entry = default_entry(model.SPEC.name)
    assert model.SPEC.name in {entry.model, *entry.also}


def test_documented_variables_are_kept_and_ours_start_with_our_name(model: type[Adapter[Any]]) -> None:
    documented = {
        "yolo26": "YOLO26_MODEL_PATH",
        "threat_detector": "THREAT_MODEL_PATH",
        "pose_estimator": "POSE_MODEL_PATH",
        "person_reid": "REID_MODEL_PATH",
        "pet_classifier": "PET_MODEL_PATH",
        "depth_estimator": "DEPTH_MODEL_PATH",
        "clip": "CLIP_MODEL_PATH",
        "clip_text": "CLIP_MODEL_PATH",
        "vehicle_classifier": "VEHICLE_MODEL_PATH",
        "demographics": "AGE_GENDER_MODEL_PATH",
        "fashion_clip": "CLOTHING_MODEL_PATH",
        "fashion_clip_text": "CLOTHING_MODEL_PATH",
        "action_recognizer": "ACTION_MODEL_PATH",
        "action_text": "ACTION_MODEL_PATH",
    }
    first = model.SPEC.path_variables[0]
    assert first == documented.get(model.SPEC.name, f"HEARTHWATCH_{model.SPEC.name.upper()}_MODEL_PATH")
