"""Depth Anything: from the tensors of published files, at any size, relative or metric, as transformers has it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.conversion import convert  # noqa: E402
from hearthwatch.artifacts.checkpoint import read_checkpoint  # noqa: E402
from hearthwatch.artifacts.description import describe  # noqa: E402
from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.models.depth_estimator import SPEC, DepthAdapter, DepthEstimator  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.depth_anything import DepthAnything, DepthPlan  # noqa: E402
from hearthwatch.networks.dinov2 import Dinov2Plan  # noqa: E402
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine  # noqa: E402
from hearthwatch.runtimes.openvino import OpenVINOEngine  # noqa: E402
from hearthwatch.vision.boxes import Box  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import Graph, noise, outputs_of, worst  # noqa: E402
from small_transformers import DEPTH_PLAN, Arrays, depth_config, depth_tensors, save_folder  # noqa: E402

#: What config.json and the tensors of depth-anything/Depth-Anything-V2-Small-hf say.
SMALL = DepthPlan(
    Dinov2Plan(width=384, layers=12, heads=6, inner=1536, patch=14, side=37, chosen=(3, 6, 9, 12), epsilon=1e-6),
    channels=(48, 96, 192, 384),
    factors=(4.0, 2.0, 1.0, 0.5),
    fused=64,
    last=32,
    kind="relative",
    most=1.0,
)


def built(tensors: Arrays | None = None, **changes: Any) -> Any:
    return build_network(tensors or depth_tensors(), config=depth_config(**changes), file="a folder")


def test_the_small_one_has_its_published_number_of_parameters_and_names() -> None:
    with torch.device("meta"):
        network = DepthAnything(SMALL)
    assert round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1) == 24.8
    names = set(network.state_dict())
    assert {
        "backbone.embeddings.cls_token",
        "backbone.embeddings.position_embeddings",
        "backbone.encoder.layer.11.attention.attention.query.weight",
        "backbone.encoder.layer.11.attention.output.dense.bias",
        "backbone.encoder.layer.0.layer_scale1.lambda1",
        "backbone.encoder.layer.0.mlp.fc2.weight",
        "backbone.layernorm.weight",
        "neck.reassemble_stage.layers.3.resize.weight",
        "neck.convs.0.weight",
        "neck.fusion_stage.layers.3.residual_layer2.convolution1.bias",
        "head.conv3.weight",
    } <= names
    assert "neck.reassemble_stage.layers.2.resize.weight" not in names
    assert "neck.convs.0.bias" not in names


@pytest.mark.parametrize("size", [(8, 8), (40, 40), (64, 96), (96, 24)], ids=str)
def test_any_multiples_of_the_patch_give_a_number_per_pixel(size: tuple[int, int]) -> None:
    network = built()
    assert (network.kind, network.stride, network.any_size) == ("depth-anything", 8, True)
    depth = outputs_of(network, noise(2, *size))[0]
    assert depth.shape == (2, *size)
    assert depth.min() >= 0


def test_at_the_size_that_it_learned_the_positions_are_the_learned_ones() -> None:
    embeddings = built().module.backbone.embeddings
    places = embeddings._places(5, 5)
    assert torch.allclose(places.flatten(2).transpose(1, 2), embeddings.position_embeddings[:, 1:], atol=1e-6)


def test_the_token_of_hidden_patches_is_neither_needed_nor_refused() -> None:
    tensors = depth_tensors()
    with_mask = tensors | {"backbone.embeddings.mask_token": np.ones((1, 16), np.float32)}
    x = noise(1, 40, 40)
    assert worst(outputs_of(built(tensors), x)[0], outputs_of(built(with_mask), x)[0]) == 0


def test_a_metric_one_gives_metres_up_to_its_farthest() -> None:
    network = built(depth_estimation_type="metric", max_depth=80)
    depth = outputs_of(network, noise(2, 40, 64))[0]
    assert network.card["metric"] is True
    assert 0 < depth.min() < depth.max() < 80
    relative = built()
    assert "metric" not in relative.card
    logits = np.log(depth / 80 / (1 - depth / 80))
    np.testing.assert_allclose(np.maximum(logits, 0), outputs_of(relative, noise(2, 40, 64))[0], atol=1e-4)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another kind": ({"depth_estimation_type": "affine"}, "depth_estimation_type = 'affine'; allowed: relative or"),
    "metres of no end": ({"depth_estimation_type": "metric"}, "metric, and not up to how many metres"),
    "metres below 0": ({"depth_estimation_type": "metric", "max_depth": -1}, "max_depth = '-1'"),
    "no layers": ({"backbone__out_indices": None, "backbone__out_features": None}, r"reads the layers \[\]"),
    "layers that are not there": ({"backbone__out_indices": [1, 2, 3, 5]}, r"layers \[1, 2, 3, 5\].* of 4"),
    "layers out of order": ({"backbone__out_indices": [4, 3, 2, 1]}, r"reads the layers \[4, 3, 2, 1\]"),
    "layers in words": ({"backbone__out_indices": ["a"]}, "out_indices"),
    "fewer factors": ({"reassemble_factors": [4, 2, 1]}, "reads 4 layers, and resizes"),
    "a broken factor": ({"reassemble_factors": [4, 2, 1, 0.3]}, "resizes them by"),
    "heads": ({"backbone__num_attention_heads": 3}, "3 heads, which do not divide its width of 16"),
    "no heads": ({"backbone__num_attention_heads": 0}, "num_attention_heads = '0'"),
    "another activation": ({"backbone__hidden_act": "relu"}, "hidden_act = 'relu'; allowed: gelu"),
    "no norm": ({"backbone__apply_layernorm": False}, "without their norm"),
    "another map": ({"head_in_index": 0}, "another map than the last"),
}


@pytest.mark.parametrize("change", REFUSED)
def test_a_config_that_does_not_hold_is_refused_with_the_field(change: str) -> None:
    changes, message = REFUSED[change]
    with pytest.raises(WeightsInvalid, match=message):
        built(**changes)


def test_layers_are_taken_by_their_names_where_their_numbers_are_not_stated() -> None:
    x = noise(1, 40, 40)
    assert worst(outputs_of(built(backbone__out_indices=None), x)[0], outputs_of(built(), x)[0]) == 0


def test_without_its_config_it_is_refused() -> None:
    with pytest.raises(WeightsInvalid, match=r"Depth Anything without its config\.json"):
        build_network(depth_tensors(), file="model.safetensors")


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("backbone.embeddings.position_embeddings", (1, 25, 16), "25 positions are no square"),
        ("backbone.embeddings.position_embeddings", (26, 16), "no patches with positions"),
        ("backbone.layernorm.weight", None, "layernorm.weight is missing"),
        ("backbone.encoder.layer.0.mlp.fc1.weight", None, "fc1.weight is missing"),
        ("head.conv3.weight", (2, 4, 1, 1), r"head\.conv3\.weight is \(2, 4, 1, 1\)"),
        ("backbone.encoder.layer.2.norm1.bias", None, "norm1.bias missing"),
        ("backbone.encoder.layer.2.mlp.w12.weight", (4, 4), "w12.weight unknown"),
    ],
)
def test_tensors_that_do_not_fit_are_named(key: str, shape: tuple[int, ...] | None, message: str) -> None:
    tensors = depth_tensors()
    tensors.pop(key, None)
    if shape is not None:
        tensors[key] = np.zeros(shape, np.float32)
    with pytest.raises(WeightsInvalid, match=message):
        built(tensors)


# ----------------------------------------------------------------------------------------------------- as ONNX, loaded


@pytest.mark.slow
def test_a_folder_becomes_one_graph_for_pictures_of_any_aspect(tmp_path: Path) -> None:
    folder = save_folder(tmp_path / "depth", depth_tensors(), depth_config())
    output = tmp_path / "depth.onnx"
    result = convert(folder, output, DepthAdapter, engines=[ONNXRuntimeEngine()])
    assert result.raw_difference < 1e-4
    assert result.agreement is not None
    assert result.agreement > 0.999
    written = onnx.load(output).graph
    assert [bool(axis.dim_param) for axis in written.input[0].type.tensor_type.shape.dim] == [True, False, True, True]
    description = describe(output, SPEC.pixels)
    assert (description.input.resize, description.input.multiple, description.input.size) == ("aspect", 8, (40, 40))
    assert not description.card.metric
    network = build_network(read_checkpoint(folder).tensors, config=depth_config(), file="a folder")
    for graph in (Graph(output), Graph(output, OpenVINOEngine())):
        for batch, height, width in ((1, 40, 24), (1, 24, 40), (2, 8, 8)):
            x = noise(batch, height, width)
            np.testing.assert_allclose(graph(x)[0], outputs_of(network, x)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_documented_class_takes_a_metric_folder_and_answers_in_metres(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
    config = depth_config(depth_estimation_type="metric", max_depth=20)
    model = DepthEstimator(save_folder(tmp_path / "depth", depth_tensors(), config))
    pixels = np.random.default_rng(5).integers(0, 255, (60, 100, 3)).astype(np.uint8)
    depth = model.estimate(pixels)
    answer = model.estimate_object_distance(pixels, [10, 10, 60, 50], "median")
    model.unload()
    assert depth.raw is not None
    assert depth.raw.shape == (24, 40)
    assert (answer["calibrated"], answer["estimated_distance_m"]) == (
        True,
        pytest.approx(float(np.median(depth.inside(Box(10, 10, 60, 50)).value("median"))), rel=1e-4),
    )
    assert 0 < answer["estimated_distance_m"] < 20
    near, far = (np.unravel_index(place, depth.raw.shape) for place in (depth.raw.argmin(), depth.raw.argmax()))
    assert (depth.depth[near], depth.depth[far]) == (0.0, 1.0)


# --------------------------------------------------------------------------------------------- against transformers


def reference(plan: DepthPlan) -> Any:
    """transformers' own network with seeded weights."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is the reference here and not among the project's requirements"
    )
    backbone = transformers.Dinov2Config(
        hidden_size=plan.backbone.width,
        num_hidden_layers=plan.backbone.layers,
        num_attention_heads=plan.backbone.heads,
        image_size=plan.backbone.side * plan.backbone.patch,
        patch_size=plan.backbone.patch,
        out_indices=list(plan.backbone.chosen),
        reshape_hidden_states=False,
    )
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=plan.backbone.width,
        patch_size=plan.backbone.patch,
        neck_hidden_sizes=list(plan.channels),
        fusion_hidden_size=plan.fused,
        head_hidden_size=plan.last,
        depth_estimation_type=plan.kind,
        max_depth=int(plan.most),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network = transformers.DepthAnythingForDepthEstimation(config).eval()
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.ndim > 1 and name.endswith("weight"):
                parameter.normal_(0, (1 / parameter[0].numel()) ** 0.5, generator=generator)
            else:
                parameter.uniform_(0.1, 0.6, generator=generator)
    return network


def cosine(a: Float, b: Float) -> float:
    first, second = (x.astype(np.float64).ravel() for x in (a, b))
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["relative", "metric"])
def test_transformers_own_network_gives_the_same_depth_and_its_folder_is_read(kind: Any, tmp_path: Path) -> None:
    """Real size for the relative kind, in the picture of 16:9 that the model is asked about."""
    plan = SMALL if kind == "relative" else replace(DEPTH_PLAN, kind="metric", most=80.0)
    network = reference(plan)
    network.save_pretrained(tmp_path / "theirs")
    checkpoint = read_checkpoint(tmp_path / "theirs")
    ours = build_network(checkpoint.tensors, config=checkpoint.config, file="theirs")
    x = noise(1, 21 * plan.backbone.patch, 37 * plan.backbone.patch)
    with torch.inference_mode():
        theirs = network(torch.from_numpy(x)).predicted_depth.numpy()
    answer = outputs_of(ours, x)[0]
    assert theirs.shape == answer.shape
    assert theirs.std() > 0.01 * theirs.mean() > 0
    assert cosine(answer - answer.mean(), theirs - theirs.mean()) >= 0.9999
    assert worst(answer, theirs) <= 1e-4 * float(theirs.max())
    assert ours.card.get("metric", False) == (kind == "metric")
