"""ViTPose: built from the tensors of published files with COCO's expert, and as transformers has it."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.parity import raw_difference  # noqa: E402
from hearthwatch.artifacts.checkpoint import read_checkpoint  # noqa: E402
from hearthwatch.cli.convert import _model_for  # noqa: E402
from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.models.pose_estimator import PoseEstimator, TopDownPoseAdapter  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.vitpose import PosePlan, ViTPose  # noqa: E402
from hearthwatch.vision.boxes import Box  # noqa: E402
from hearthwatch.vision.heatmaps import decode_heatmaps  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec  # noqa: E402
from hearthwatch.vision.keypoints import COCO_KEYPOINTS  # noqa: E402
from hearthwatch.vision.preprocess import to_batch  # noqa: E402
from hearthwatch.vision.subject import Subject, SubjectView  # noqa: E402
from small_networks import noise, outputs_of, worst  # noqa: E402
from small_transformers import (  # noqa: E402
    POSE_PLAN,
    Arrays,
    depth_config,
    depth_tensors,
    pose_config,
    pose_tensors,
    save_folder,
    stirred,
)

#: What config.json and the tensors of usyd-community/vitpose-plus-small say, with one expert.
SMALL = PosePlan(width=384, layers=12, heads=12, inner=1536, patch=16, grid=(16, 12), joints=17)


def built(tensors: Arrays | None = None, **changes: Any) -> Any:
    return build_network(tensors or pose_tensors(), config=pose_config(**changes), file="a folder")


def test_the_small_one_has_the_published_sizes_and_names() -> None:
    with torch.device("meta"):
        network = ViTPose(SMALL)
    # ViTPose-S of the paper's table: 24 million.
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6) == 24
    assert {
        "backbone.embeddings.position_embeddings",
        "backbone.embeddings.patch_embeddings.projection.weight",
        "backbone.encoder.layer.11.attention.attention.value.bias",
        "backbone.encoder.layer.11.attention.output.dense.weight",
        "backbone.encoder.layer.0.layernorm_before.weight",
        "backbone.encoder.layer.0.layernorm_after.bias",
        "backbone.encoder.layer.0.mlp.fc2.weight",
        "backbone.layernorm.bias",
        "head.deconv1.weight",
        "head.batchnorm2.running_var",
        "head.conv.bias",
    } <= set(network.state_dict())


def test_a_person_becomes_a_map_per_joint() -> None:
    network = built()
    assert (network.kind, network.input_size, network.stride) == ("vitpose", (256, 192), 16)
    assert outputs_of(network, noise(2, 256, 192))[0].shape == (2, 17, 64, 48)
    assert network.card["input"]["resize"] == "box"


def test_of_the_experts_the_first_is_taken_and_the_others_change_nothing() -> None:
    x = noise(1, 256, 192)
    plain = outputs_of(built(pose_tensors(experts=0)), x)[0]
    assert worst(outputs_of(built(), x)[0], plain) == 0
    assert worst(outputs_of(built(pose_tensors(experts=6)), x)[0], plain) == 0


def test_folding_the_batch_norms_changes_nothing_but_rounding() -> None:
    tensors = pose_tensors(experts=0)
    plain = ViTPose(POSE_PLAN)
    plain.load_state_dict({key: torch.from_numpy(array) for key, array in tensors.items()}, strict=False)
    x = noise(2, 256, 192)
    with torch.inference_mode():
        expected = plain.eval()(torch.from_numpy(x)).numpy()
    network = built(tensors)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.module.modules())
    assert expected.std() > 0.01
    np.testing.assert_allclose(outputs_of(network, x)[0], expected, rtol=1e-4, atol=1e-4)


def test_the_simple_head_stretches_its_maps() -> None:
    plan = PosePlan(width=16, layers=2, heads=2, inner=32, patch=16, grid=(16, 12), joints=17, classic=0)
    network = built(stirred(ViTPose(plan)), use_simple_decoder=True)
    assert outputs_of(network, noise(1, 256, 192))[0].shape == (1, 17, 64, 48)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone__num_attention_heads": 3}, "3 heads, which do not divide its width of 16"),
        ({"backbone__image_size": [256, 256]}, "no ViTPose of 256 x 256 px"),
        ({"backbone__image_size": [250, 192]}, "no ViTPose of 250 x 192 px"),
        ({"backbone__image_size": 256}, "image_size"),
        ({"backbone__image_size": [256]}, "image_size"),
        ({"backbone__hidden_act": "relu"}, "hidden_act = 'relu'"),
        ({"backbone__out_indices": [1]}, r"reads the layers \[1\] of 2"),
        ({"backbone__layer_norm_eps": 0}, "layer_norm_eps = '0'"),
        ({"scale_factor": "4"}, "scale_factor = '4'"),
    ],
)
def test_a_config_that_does_not_hold_is_refused_with_the_field(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WeightsInvalid, match=message):
        built(**changes)


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("backbone.encoder.layer.1.mlp.experts.0.weight", None, r"mlp\.fc2\.weight is \(12, 32\)"),
        ("backbone.encoder.layer.1.mlp.experts.0.weight", (4, 31), "fits no layer"),
        ("backbone.encoder.layer.7.mlp.experts.0.weight", (4, 32), "fits no layer"),
        ("backbone.encoder.layer.1.mlp.experts.0.bias", (4, 2), "fits no layer"),
        ("backbone.embeddings.position_embeddings", (1, 192, 16), "its 192 positions do not fit"),
        ("head.deconv2.weight", None, "head.deconv2.weight missing"),
        ("head.deconv1.weight", (16,), "batchnorm1.weight, .* unknown"),
        ("backbone.layernorm.weight", None, "layernorm.weight is missing"),
    ],
)
def test_tensors_that_do_not_fit_are_named(key: str, shape: tuple[int, ...] | None, message: str) -> None:
    tensors = pose_tensors()
    tensors.pop(key, None)
    if shape is not None:
        tensors[key] = np.zeros(shape, np.float32)
    with pytest.raises(WeightsInvalid, match=message):
        built(tensors)


def test_without_its_config_it_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match=r"ViTPose without its config\.json"):
        build_network(pose_tensors(), file="model.safetensors")


def test_a_folder_says_by_its_tensors_which_model_it_serves(tmp_path: Path) -> None:
    folders = {
        "pose_estimator": save_folder(tmp_path / "pose", pose_tensors(), pose_config()),
        "depth_estimator": save_folder(tmp_path / "depth", depth_tensors(), depth_config()),
    }
    for name, folder in folders.items():
        assert _model_for(read_checkpoint(folder), None).SPEC.name == name


# ----------------------------------------------------------------------------------------------------- as ONNX, loaded


@pytest.mark.slow
def test_its_folder_is_the_second_weight_file_of_the_documented_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = pose_tensors()
    tensors["head.conv.bias"] = np.full(17, 0.5, np.float32)
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("POSE_MODEL_PATH", str(save_folder(tmp_path / "vitpose-plus-small", tensors, pose_config())))
    model = PoseEstimator()
    image = Image.of(np.random.default_rng(5).integers(0, 255, (120, 90, 3)).astype(np.uint8))
    pose = model.estimate_pose(image.pixels)
    loaded = model._ready()
    adapter = loaded.adapter
    assert isinstance(adapter, TopDownPoseAdapter)
    spec = adapter.input
    assert (spec.resize, spec.size, spec.mean, spec.origins["mean"]) == ("box", (256, 192), IMAGENET_MEAN, "metadata")
    assert [keypoint.name for keypoint in pose.keypoints] == list(COCO_KEYPOINTS)
    assert pose.bbox == Box(0, 0, 90, 120)
    boxes = [Box(10, 10, 60, 110), Box(30, 5, 80, 100)]
    answers = loaded.for_boxes(image, boxes)[0]
    model.unload()
    # The engine's answers are those of the torch network on the same crops.
    network = build_network(tensors, config=pose_config(), file="a folder")
    crops = np.asarray(to_batch([Subject(image.pixels, image.region, box) for box in boxes], spec), np.float32)
    for answer, joints, box in zip(answers, decode_heatmaps(outputs_of(network, crops)[0]), boxes, strict=True):
        points = SubjectView.fit(box, spec.size).to_picture(joints[:, :2], (64, 48))
        assert answer.bbox == box
        assert np.abs(answer.as_array()[:, :2] - points).max() < 0.01


# --------------------------------------------------------------------------------------------- against transformers


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_transformers_own_network_gives_the_same_maps_and_the_same_joints(tmp_path: Path) -> None:
    """Real size, six experts, seeded weights; its folder, its processor's crops and its processor's decoding."""
    reason = "transformers is the reference here and not among the project's requirements"
    transformers = pytest.importorskip("transformers", reason=reason)
    vitpose = pytest.importorskip("transformers.models.vitpose.image_processing_pil_vitpose", reason=reason)
    backbone = transformers.VitPoseBackboneConfig(
        hidden_size=384, num_hidden_layers=12, num_attention_heads=12, num_experts=6, part_features=96, out_indices=[12]
    )
    config = transformers.VitPoseConfig(backbone_config=backbone, num_labels=17, use_simple_decoder=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = transformers.VitPoseForPoseEstimation(config).eval()
    state = {key: torch.from_numpy(array) for key, array in stirred(network).items()}
    network.load_state_dict(state, strict=False)
    network.save_pretrained(tmp_path / "theirs")
    checkpoint = read_checkpoint(tmp_path / "theirs")
    ours = build_network(checkpoint.tensors, config=checkpoint.config, file="theirs")
    image = Image.of(np.random.default_rng(2).integers(0, 255, (200, 300, 3)).astype(np.uint8))
    boxes = [Box(20, 10, 90, 190), Box(150.5, 30.25, 260, 180)]
    spec = InputSpec("pixel_values", (256, 192), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, resize="box")
    crops = np.asarray(to_batch([Subject(image.pixels, image.region, box) for box in boxes], spec), np.float32)
    answer = outputs_of(ours, crops)[0]
    with torch.inference_mode():
        theirs = network(torch.from_numpy(crops), dataset_index=torch.zeros(len(boxes), dtype=torch.long))
    heatmaps = theirs.heatmaps.numpy()
    assert heatmaps.std() > 0.01
    assert raw_difference({"heatmaps": heatmaps}, {"heatmaps": answer}) < 1e-5
    cosines = (answer * heatmaps).sum((1, 2, 3)) / np.linalg.norm(answer.reshape(2, -1), axis=1)
    assert (cosines / np.linalg.norm(heatmaps.reshape(2, -1), axis=1)).min() >= 0.9999
    pytest.importorskip("scipy", reason="transformers' ViTPose processor needs scipy, which the project does not")
    processor = vitpose.VitPoseImageProcessorPil()
    asked = [[list(box.as_xywh().values()) for box in boxes]]
    assert (
        np.abs(processor(images=[image.pixels], boxes=asked, return_tensors="np")["pixel_values"] - crops).max() < 0.02
    )
    found = processor.post_process_pose_estimation(theirs, boxes=asked)[0]
    compared = 0
    for joints, box, person in zip(decode_heatmaps(answer), boxes, found, strict=True):
        view = SubjectView.fit(box, (256, 192))
        points = view.to_picture(joints[:, :2], (64, 48))
        off = np.abs(points - person["keypoints"].numpy()).max(axis=1) / view.width * 47
        # Random maps have tops that none is: where the reference leaps by cells, ours stays, and where two cells of a
        # map are equally high, rounding chooses.
        compared += int((off < 0.01).sum())
        assert np.abs(joints[:, 2] - person["scores"].numpy()).max() < 1e-4
    assert compared >= 30
