"""A pose network of one map per joint: asked about each box, answered as every other pose network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fakes import FakeRuntime, image_graph
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.spec import Scope
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description, describe
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.errors import BadBox, InferenceFailed, WeightsInvalid
from hearthwatch.models.pose_estimator import SPEC, PoseAdapter, PoseResult, Poses, PosesAnswer, TopDownPoseAdapter
from hearthwatch.runtimes.base import RuntimeInfo
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.image import Image
from hearthwatch.vision.keypoints import COCO_KEYPOINTS
from hearthwatch.vision.subject import Subject
from test_heatmaps import COLUMNS, ROWS, hill

Array = np.ndarray[Any, Any]
#: A standing person in the cells of the maps: x, y of the joints in COCO's order.
STANDING = [(24, 12), (25, 11), (23, 11), (26, 12), (22, 12), (28, 18), (20, 18), (30, 26), (18, 26), (30, 33),
            (18, 33), (27, 34), (21, 34), (27, 44), (21, 44), (27, 54), (21, 54)]  # fmt: skip
JOINTS = ("Nose", "L_Eye", "R_Eye", "L_Ear", "R_Ear", "L_Shoulder", "R_Shoulder", "L_Elbow", "R_Elbow", "L_Wrist",
          "R_Wrist", "L_Hip", "R_Hip", "L_Knee", "R_Knee", "L_Ankle", "R_Ankle")  # fmt: skip


def described(
    shape: tuple[int | None, ...] = (None, 17, ROWS, COLUMNS), names: tuple[str, ...] = (), outputs: int = 1
) -> Description:
    tensors = tuple(TensorInfo(f"heatmaps{n or ''}", shape, "float32") for n in range(outputs))
    origins = dict.fromkeys(("name", "size", "scale", "mean", "std", "resize", "layout"), "model default")
    return Description(Graph(Path("made-up.onnx"), "0" * 64, 1, (), tensors, {}), Card(),
                       replace(SPEC.pixels, origins=origins), names)  # fmt: skip


def adapter(**fields: Any) -> TopDownPoseAdapter:
    chosen = PoseAdapter.reading(described(**fields))
    assert isinstance(chosen, TopDownPoseAdapter)
    return chosen


class Network:
    """Sees the same standing person in every crop, and remembers what it was given."""

    def __init__(self, height: float = 0.9) -> None:
        self.maps = np.array([hill(x, y, height) for x, y in STANDING], np.float32)
        self.given: list[Array] = []

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (tensor,) = inputs.values()
        self.given.append(tensor)
        return {"heatmaps": np.stack([self.maps] * len(tensor))}


def picture(width: int = 320, height: int = 240) -> Image:
    return Image.of(np.random.default_rng(1).integers(0, 255, (height, width, 3)).astype(np.uint8))


BOXES = [Box(20, 30, 80, 200), Box(150, 40, 230, 230)]


def test_the_outputs_of_a_weight_file_say_how_its_network_is_asked() -> None:
    top_down, yolo = PoseAdapter.reading(described()), PoseAdapter.reading(described((None, 56, 8400), ("person",)))
    assert (type(top_down), type(yolo)) == (TopDownPoseAdapter, PoseAdapter)
    assert (top_down.scope, yolo.scope) == (Scope.CROP, Scope.FRAME)
    assert top_down.SPEC is yolo.SPEC
    assert top_down.RESPONSE is yolo.RESPONSE
    assert type(top_down).batches()


def test_what_nobody_states_about_the_input_is_what_the_network_was_trained_with() -> None:
    spec = adapter().input
    assert (spec.size, spec.resize, spec.mean, spec.std) == (
        (256, 192),
        "box",
        (0.485, 0.456, 0.406),
        (0.229, 0.224, 0.225),
    )
    stated = described()
    stated = replace(
        stated, input=replace(stated.input, size=(384, 288), origins={**stated.input.origins, "size": "card"})
    )
    assert PoseAdapter.reading(stated).input.size == (384, 288)


def test_a_bare_export_of_its_graph_is_described_by_its_shapes(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "vitpose.onnx", name="pixel_values", shape=("n", 3, 256, 192))
    described = describe(path, SPEC.pixels)
    spec = replace(
        described, graph=replace(described.graph, outputs=(TensorInfo("heatmaps", (None, 17, 64, 48), "float32"),))
    )
    found = PoseAdapter.reading(spec).input
    assert (found.name, found.size, found.resize, found.scale) == ("pixel_values", (256, 192), "box", 1 / 255)


def test_each_box_is_one_row_of_one_batch_and_has_one_answer() -> None:
    network = Network()
    answers = adapter().for_boxes(picture(), BOXES, network)
    assert [tensor.shape for tensor in network.given] == [(2, 3, 256, 192)]
    for answer, box in zip(answers, BOXES, strict=True):
        assert isinstance(answer, PoseResult)
        assert answer.bbox == box
        assert [keypoint.name for keypoint in answer.keypoints] == list(COCO_KEYPOINTS)
        assert answer.posture == "standing"
        assert answer.confidence == pytest.approx(0.9, abs=0.01)
        for joint in answer.keypoints:
            assert box.x1 - 0.2 * box.width <= joint.x <= box.x2 + 0.2 * box.width
            assert box.y1 - 0.2 * box.height <= joint.y <= box.y2 + 0.2 * box.height


def test_joints_lie_where_their_maps_are_high_in_pixels_of_the_picture() -> None:
    (answer,) = adapter().for_boxes(picture(), BOXES[:1], Network())
    assert isinstance(answer, PoseResult)
    box = BOXES[0]
    height = box.height * 1.25
    nose = answer.keypoints[0]
    assert nose.x == pytest.approx((box.x1 + box.x2) / 2 + (24 - 23.5) / 47 * height * 0.75, abs=0.05)
    assert nose.y == pytest.approx((box.y1 + box.y2) / 2 + (12 - 31.5) / 63 * height, abs=0.05)


def test_without_a_box_the_picture_is_one_persons() -> None:
    model = adapter()
    (poses,) = model.predict([picture()], Network())
    assert len(poses.persons) == 1
    assert poses.persons[0].bbox == Box(0, 0, 320, 240)
    PosesAnswer.model_validate(poses.to_wire())
    subject = Subject(picture().pixels, picture().region, BOXES[0])
    assert model.predict([subject], Network())[0].persons[0].bbox == BOXES[0]


def test_nobody_is_found_where_no_map_is_high() -> None:
    model = adapter()
    assert model.for_boxes(picture(), BOXES, Network(0.15)) == [None, None]
    assert model.predict([picture()], Network(0.15)) == [Poses(())]
    assert model.predict([], Network()) == []
    assert model.for_one_box(None) == Poses(())


def test_a_joint_that_is_not_seen_keeps_its_low_confidence_and_costs_the_person_none() -> None:
    network = Network()
    network.maps[9] *= 0.1
    (answer,) = adapter().for_boxes(picture(), BOXES[:1], network)
    assert isinstance(answer, PoseResult)
    assert answer.keypoints[9].confidence < 0.1
    assert answer.confidence == pytest.approx(0.9, abs=0.01)


def test_questions_about_several_pictures_share_a_batch_and_get_their_own_answers() -> None:
    network = Network()
    loaded = LoadedModel(adapter(), FakeRuntime(RuntimeInfo("openvino", "cpu", "f32", "1", 1.0), network), ())
    questions = [(picture(), BOXES), (picture(100, 90), []), (picture(), BOXES[1:])]
    together, _ = loaded.together(questions)
    assert [len(tensor) for tensor in network.given] == [4]
    alone = [loaded.for_boxes(image, boxes)[0] if boxes else loaded.predict([image])[0] for image, boxes in questions]
    assert together == alone


def test_a_box_outside_the_picture_is_refused() -> None:
    with pytest.raises(BadBox, match="outside"):
        adapter().for_boxes(picture(), [Box(400, 0, 500, 100)], Network())


@pytest.mark.parametrize(
    "maps", [np.zeros((1, 16, 64, 48)), np.zeros((2, 17, 64, 48)), np.full((1, 17, 64, 48), np.nan)]
)
def test_an_answer_that_is_no_map_per_joint_is_a_failure(maps: Array) -> None:
    with pytest.raises(InferenceFailed, match="no map per joint"):
        adapter().predict([picture()], lambda _inputs: {"heatmaps": maps})


@pytest.mark.parametrize("names", [(), JOINTS, COCO_KEYPOINTS, tuple(f"LABEL_{n}" for n in range(17)), ("person",)])
def test_cocos_joints_are_known_however_they_are_written(names: tuple[str, ...]) -> None:
    assert adapter(names=names).output == "heatmaps"


def test_other_joints_are_not_taken_for_cocos() -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx has the joints L_Eye, .*; known are nose, left_eye"):
        adapter(names=("L_Eye", "R_Eye", "Nose", "Neck", *JOINTS[4:]))


@pytest.mark.parametrize("shape", [(None, 16, 64, 48), (1, 133, 64, 48)], ids=str)
def test_another_number_of_maps_is_refused(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(WeightsInvalid, match=r"made-up\.onnx gives .* gives N x 17 x rows x columns"):
        adapter(shape=shape)
