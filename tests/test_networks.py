"""Torch networks: the reference's names, published sizes, real weights against real graphs, and refusals."""

from __future__ import annotations

import copy
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.artifacts.checkpoint import read_checkpoint  # noqa: E402
from hearthwatch.errors import LoadFailed, WeightsInvalid  # noqa: E402
from hearthwatch.networks import Network, build_network  # noqa: E402
from hearthwatch.networks.export import export_onnx  # noqa: E402
from hearthwatch.networks.osnet import OSNET_CHANNELS, create_osnet, create_osnet_x0_25  # noqa: E402
from hearthwatch.networks.resnet import create_resnet  # noqa: E402
from hearthwatch.networks.yolov8 import YOLOv8, yolov8_from_state_dict  # noqa: E402
from hearthwatch.networks.yolov8_blocks import Conv  # noqa: E402
from hearthwatch.networks.yolov8_heads import HeadWidths, Pose  # noqa: E402
from hearthwatch.networks.yolov8_plan import read_plan  # noqa: E402
from hearthwatch.runtimes.base import Engine, LoadRequest  # noqa: E402
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine  # noqa: E402
from hearthwatch.runtimes.openvino import OpenVINOEngine  # noqa: E402
from hearthwatch.vision.boxes import iou  # noqa: E402
from hearthwatch.vision.decode import to_image  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec  # noqa: E402
from hearthwatch.vision.letterbox import Letterbox  # noqa: E402
from hearthwatch.vision.preprocess import to_batch  # noqa: E402
from hearthwatch.vision.yolo import YoloDetections, YoloHead, decode_yolo  # noqa: E402

Arrays = dict[str, Any]

DETECT = ["Detect", ["nc"]]
POSE = ["Pose", ["nc", "kpt_shape"]]
SEGMENT = ["Segment", ["nc", 32, 256]]
SCALES = {
    "n": [0.33, 0.25, 1024],
    "s": [0.33, 0.5, 1024],
    "m": [0.67, 0.75, 768],
    "l": [1, 1, 512],
    "x": [1, 1.25, 512],
}


def plan_of(head: list[Any], *, classes: int = 80, scale: str = "n") -> dict[str, Any]:
    """A stock network's plan, as its tensors show it: five halvings, then up twice and down twice."""
    backbone: list[Any] = [[-1, 1, "Conv", [64, 3, 2]]]
    for channels, repeats in ((128, 3), (256, 6), (512, 6), (1024, 3)):
        backbone += [[-1, 1, "Conv", [channels, 3, 2]], [-1, repeats, "C2f", [channels, True]]]
    backbone.append([-1, 1, "SPPF", [1024, 5]])
    up = [-1, 1, "nn.Upsample", ["None", 2, "nearest"]]
    neck: list[Any] = [up, [[-1, 6], 1, "Concat", [1]], [-1, 3, "C2f", [512]]]
    neck += [copy.deepcopy(up), [[-1, 4], 1, "Concat", [1]], [-1, 3, "C2f", [256]]]
    neck += [[-1, 1, "Conv", [256, 3, 2]], [[-1, 12], 1, "Concat", [1]], [-1, 3, "C2f", [512]]]
    neck += [[-1, 1, "Conv", [512, 3, 2]], [[-1, 9], 1, "Concat", [1]], [-1, 3, "C2f", [1024]]]
    neck.append([[15, 18, 21], 1, *head])
    plan = {"nc": classes, "kpt_shape": [17, 3], "scales": SCALES, "scale": scale, "backbone": backbone, "head": neck}
    return copy.deepcopy(plan)


def seeded(module: Any) -> Arrays:
    """Its tensors, with batch norms that do something."""
    generator = torch.Generator().manual_seed(7)
    for key, tensor in module.state_dict().items():
        if key.endswith("running_mean"):
            tensor.uniform_(-0.2, 0.2, generator=generator)
        elif key.endswith("running_var"):
            tensor.uniform_(0.5, 2.0, generator=generator)
        elif key.endswith("weight") and tensor.ndim > 1 and ".dfl." not in key:
            tensor.normal_(0.0, (2.0 / tensor[0].numel()) ** 0.5, generator=generator)
    return {key: tensor.numpy() for key, tensor in module.state_dict().items()}


def yolo_tensors(plan: dict[str, Any]) -> Arrays:
    return seeded(YOLOv8(read_plan(plan, file="test.pt"), file="test.pt"))


def noise(batch: int, height: int, width: int) -> Float:
    return np.random.default_rng(batch).random((batch, 3, height, width), dtype=np.float32)


def outputs_of(network: Network, pixel_values: Float) -> list[Float]:
    answer = network.module(torch.from_numpy(pixel_values))
    return [output.numpy() for output in (answer if isinstance(answer, tuple) else (answer,))]


class Graph:
    """An ONNX file on an engine."""

    def __init__(self, path: Path, engine: Engine | None = None) -> None:
        self.runtime = (engine or ONNXRuntimeEngine()).load(LoadRequest(path, digest="0" * 64))
        self.input = onnx.load(path, load_external_data=False).graph.input[0].name

    def __call__(self, pixel_values: Float) -> list[Float]:
        return [np.asarray(output, np.float32) for output in self.runtime.run({self.input: pixel_values}).values()]


def letterboxed(photo: Path, side: int) -> Float:
    image = to_image(photo)
    pixels = Letterbox.fit(image.region, (side, side)).apply(image)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None]).astype(np.float32) / np.float32(255)


def worst(a: Float, b: Float) -> float:
    assert a.shape == b.shape
    return float(np.abs(a - b).max())


def smallest_cosine(a: Float, b: Float) -> float:
    return float(((a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())


# Real weights against the graphs that others exported from them


@pytest.fixture(scope="module")
def threat(assets: Path) -> tuple[Arrays, dict[str, Any]]:
    """Tensors and plan of the narrow weapon detector."""
    checkpoint = read_checkpoint(assets / "weights/threat_yolov8n_ultralight_256.pt")
    assert checkpoint.yaml is not None
    return dict(checkpoint.tensors), dict(checkpoint.yaml)


@pytest.mark.weights
def test_osnet_gives_the_embeddings_of_the_same_weights_as_onnx_on_noise_and_on_people(assets: Path) -> None:
    tensors = read_checkpoint(assets / "weights/osnet_x0_25_msmt17.pt").tensors
    network = build_network(tensors, file="osnet.pt")
    spec = InputSpec(
        "input", (256, 128), scale=1 / 255, mean=IMAGENET_MEAN, std=IMAGENET_STD, interpolation="antialias"
    )
    crops = [to_image(path) for path in sorted((assets / "data/reid").glob("*.jpg"))[::20]]
    assert len(crops) >= 10
    graph = Graph(assets / "weights/osnet_x0_25_msmt17.onnx")
    for pixel_values in (noise(4, 256, 128), np.asarray(to_batch(crops, spec), np.float32)):
        ours = outputs_of(network, pixel_values)[0]
        theirs = graph(pixel_values)[0]
        assert smallest_cosine(ours, theirs) >= 0.999999
        assert worst(ours, theirs) <= 1e-4


@pytest.mark.weights
def test_the_narrow_weapon_detector_finds_what_its_onnx_finds(
    assets: Path, threat: tuple[Arrays, dict[str, Any]]
) -> None:
    tensors, plan = threat
    network = build_network(tensors, yaml=plan, task="detect", file="threat.pt")
    graph = Graph(assets / "weights/threat_yolov8n_ultralight_256.onnx")
    found = 0
    for photo in sorted((assets / "data/weapons").rglob("*.jpg"))[:20]:
        pixel_values = letterboxed(photo, 256)
        theirs = detections(graph(pixel_values)[0])
        ours = detections(outputs_of(network, pixel_values)[0])
        # That file's weights went through float16, so a score at the threshold may fall on either side of it.
        for these, those in ((ours, theirs), (theirs, ours)):
            for box, score, class_id in zip(these.boxes, these.scores, these.class_ids, strict=True):
                same = [i for i, other in enumerate(those.class_ids) if other == class_id]
                close = [i for i in same if iou(box[None], those.boxes[i][None])[0, 0] > 0.98]
                assert score < 0.26 or any(abs(those.scores[i] - score) < 0.01 for i in close)
        found += len(theirs.scores)
    assert found >= 15


def detections(raw: Float) -> YoloDetections:
    return decode_yolo(raw[0], YoloHead(False, 4), min_confidence=0.25)


@pytest.mark.weights
@pytest.mark.parametrize(("name", "head", "classes"), [("yolov8n", DETECT, 80), ("yolov8n-pose", POSE, 1)])
def test_the_folded_tensors_inside_a_stock_onnx_give_its_answers(
    assets: Path, name: str, head: list[Any], classes: int
) -> None:
    path = assets / f"weights/{name}.onnx"
    network = build_network(folded_tensors(path), yaml=plan_of(head, classes=classes), file=name)
    graph = Graph(path)
    for photo in sorted((assets / "data/pose").glob("*.jpg"))[:2]:
        pixel_values = letterboxed(photo, 640)
        ours, theirs = outputs_of(network, pixel_values)[0], graph(pixel_values)[0]
        scores = slice(4, 4 + classes)
        assert theirs[:, scores].max() > 0.8
        assert worst(ours[:, scores], theirs[:, scores]) < 1e-4
        assert worst(ours, theirs) < 0.05, "pixels"


def folded_tensors(path: Path) -> Arrays:
    """A stock graph names its constants after the checkpoint's keys."""
    tensors = {}
    for constant in onnx.load(path).graph.initializer:
        match = re.fullmatch(r"__module\.(.*)/aten::_convolution/(Convolution/w|Reshape)", constant.name)
        if match:
            array = onnx.numpy_helper.to_array(constant)
            key, value = ("weight", array) if match[2].endswith("w") else ("bias", array.reshape(-1))
            tensors[f"{match[1]}.{key}"] = value
    return tensors


@pytest.mark.weights
def test_a_yolov5_checkpoint_is_refused_with_what_to_take_instead(assets: Path) -> None:
    checkpoint = read_checkpoint(assets / "weights/yolov5n.pt")
    with pytest.raises(WeightsInvalid, match=r"yolov5n.pt is a YOLOv5 .*'C3'.*`yolo export model=\S+ format=onnx`"):
        build_network(checkpoint.tensors, yaml=checkpoint.yaml, task=checkpoint.task, file="yolov5n.pt")


# Sizes and names that are published


@pytest.mark.parametrize(
    ("head", "scale", "published"),
    [
        (DETECT, "n", 3_157_200),
        (DETECT, "s", 11_166_560),
        (DETECT, "m", 25_902_640),
        (DETECT, "l", 43_691_520),
        (DETECT, "x", 68_229_648),
        (SEGMENT, "n", 3_409_968),
        (POSE, "n", 3_295_470),
    ],
)
def test_a_stock_yolov8_has_its_published_number_of_parameters(head: list[Any], scale: str, published: int) -> None:
    plan = plan_of(head, scale=scale, classes=1 if head is POSE else 80)
    with torch.device("meta"):
        network = YOLOv8(read_plan(plan, file="test.pt"), file="test.pt")
    assert sum(parameter.numel() for parameter in network.parameters()) == published
    assert network.stride == 32


@pytest.mark.parametrize(("depth", "published", "keys"), [(18, 11_689_512, 122), (50, 25_557_032, 320)])
def test_a_resnet_has_the_published_parameters_and_torchvisions_names(depth: int, published: int, keys: int) -> None:
    network = create_resnet(depth)
    names = list(network.state_dict())
    assert sum(parameter.numel() for parameter in network.parameters()) == published
    assert len(names) == keys
    assert names[:3] == ["conv1.weight", "bn1.weight", "bn1.bias"]
    assert names[-2:] == ["fc.weight", "fc.bias"]
    assert {"layer1.0.conv1.weight", "layer2.0.downsample.0.weight", "layer4.1.bn2.running_var"} <= set(names)
    assert ("layer1.0.downsample.1.weight" in names) == ("layer3.5.conv3.weight" in names) == (depth == 50)


@pytest.mark.parametrize(("width", "millions"), [(1.0, 2.2), (0.75, 1.3), (0.5, 0.6), (0.25, 0.2)])
def test_each_osnet_width_has_its_published_size_and_is_told_by_its_shapes(width: float, millions: float) -> None:
    tensors = seeded(create_osnet(width))
    network = build_network(tensors | {"classifier.weight": np.zeros((3, 512), np.float32)}, file="osnet.pth")
    assert round(sum(parameter.numel() for parameter in network.module.parameters()) / 1e6, 1) == millions
    assert network.module.conv1.conv.out_channels == OSNET_CHANNELS[width][0]
    assert outputs_of(network, noise(2, 64, 32))[0].shape == (2, 512)


def test_widths_and_depths_that_do_not_exist_are_named() -> None:
    with pytest.raises(ValueError, match=r"x1.0, x0.75, x0.5, x0.25; not x0.3"):
        create_osnet(0.3)
    with pytest.raises(ValueError, match="18 or 50 layers"):
        create_resnet(34)


# Arithmetic against a second, plainer account of it


@pytest.mark.parametrize("depth", [18, 50])
def test_a_resnet_computes_what_its_tables_say(depth: int) -> None:
    tensors = seeded(create_resnet(depth, 5))
    x = noise(2, 64, 96)
    assert worst(outputs_of(build_network(tensors, file="r.pth"), x)[0], plain_resnet(tensors, x)) < 1e-4


def plain_resnet(tensors: Arrays, pixel_values: Float) -> Float:
    """ResNet v1.5 written once more, from tensors by name."""
    t = {key: torch.from_numpy(array) for key, array in tensors.items()}
    f = torch.nn.functional

    def conv_bn(x: Any, conv: str, bn: str, stride: int = 1) -> Any:
        x = f.conv2d(x, t[f"{conv}.weight"], stride=stride, padding=t[f"{conv}.weight"].shape[-1] // 2)
        mean, variance = t[f"{bn}.running_mean"][:, None, None], t[f"{bn}.running_var"][:, None, None]
        return (x - mean) / (variance + 1e-5).sqrt() * t[f"{bn}.weight"][:, None, None] + t[f"{bn}.bias"][:, None, None]

    x = f.max_pool2d(conv_bn(torch.from_numpy(pixel_values), "conv1", "bn1", 2).relu(), 3, 2, 1)
    for block in sorted({key.rsplit(".conv1", 1)[0] for key in t if re.fullmatch(r"layer\d\.\d\.conv1.weight", key)}):
        last = 3 if f"{block}.conv3.weight" in t else 2
        halves = 2 if block.endswith(".0") and not block.startswith("layer1") else 1
        shortcut = x
        if f"{block}.downsample.0.weight" in t:
            shortcut = conv_bn(x, f"{block}.downsample.0", f"{block}.downsample.1", halves)
        for n in range(1, last + 1):
            x = conv_bn(x, f"{block}.conv{n}", f"{block}.bn{n}", halves if n == last - 1 else 1)
            x = x.relu() if n < last else (x + shortcut).relu()
    return np.asarray((x.mean(dim=(2, 3)) @ t["fc.weight"].T + t["fc.bias"]).numpy(), np.float32)


def test_a_resnet_whose_last_layer_is_zero_prefers_no_class() -> None:
    tensors = seeded(create_resnet(18, 4))
    tensors["fc.weight"], tensors["fc.bias"] = np.zeros((4, 512), np.float32), np.full(4, 0.5, np.float32)
    assert outputs_of(build_network(tensors, file="r.pth"), noise(1, 32, 32))[0].tolist() == [[0.5] * 4]


def test_a_head_of_zeros_answers_with_the_geometry_alone() -> None:
    head = Pose(2, 3, 3, (4, 4), (8, 16), HeadWidths(4, 4, 4), fused=True)
    for key, tensor in head.state_dict().items():
        if ".dfl." not in f".{key}":
            tensor.zero_()
    with torch.no_grad():
        answer = head([torch.ones(1, 4, 2, 4), torch.ones(1, 4, 1, 2)])[0].numpy()
    assert answer.shape == (4 + 2 + 9, 2 * 4 + 1 * 2)
    # Sixteen equal shares of 0..15 cells are 7.5 cells to each side.
    fine, coarse = answer[:, 6], answer[:, 9]
    assert fine[:4].tolist() == [(2 + 0.5) * 8, (1 + 0.5) * 8, 15 * 8, 15 * 8]
    assert coarse[:4].tolist() == [(1 + 0.5) * 16, 0.5 * 16, 15 * 16, 15 * 16]
    assert fine[4:].tolist() == [0.5, 0.5, *([2 * 8, 1 * 8, 0.5] * 3)]
    assert coarse[6:9].tolist() == [1 * 16, 0, 0.5]


def test_coordinates_stay_in_float32_under_bf16() -> None:
    head = Pose(1, 1, 3, (8,), (32,), HeadWidths(8, 8, 8), fused=True)
    maps = torch.rand(1, 8, 40, 40, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for branch in head.cv4:
            branch[2].weight.zero_()
            branch[2].bias.fill_(0.15)
        exact = head([maps])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            rounded = head([maps.bfloat16()])
    raw = torch.rand(1, 64, 9, generator=torch.Generator().manual_seed(1)).bfloat16()
    assert torch.equal(head.dfl(raw), head.dfl(raw.float()))
    assert rounded.dtype == torch.float32
    # bf16 counts by 8 px at 1280.
    assert (rounded - exact)[:, :4].abs().max() < 2
    assert (rounded - exact)[:, 5:7].abs().max() < 0.1


@pytest.mark.parametrize("head", [DETECT, POSE, SEGMENT], ids=["detect", "pose", "segment"])
def test_folding_the_batch_norms_changes_nothing_but_rounding(head: list[Any]) -> None:
    plan = plan_of(head, classes=2)
    tensors = yolo_tensors(plan)
    plain = yolov8_from_state_dict(tensors, plan, fuse=False)
    network = build_network(tensors, yaml=plan, file="test.pt")
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.module.modules())
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in plain.modules())
    x = noise(2, 96, 64)
    reference: Any = plain(torch.from_numpy(x))
    expected: list[Any] = list(reference) if head is SEGMENT else [reference]
    for ours, theirs in zip(outputs_of(network, x), expected, strict=True):
        assert theirs.std() > 0.01
        np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-4, atol=2e-3)


def test_a_batch_norm_has_the_epsilon_of_the_checkpoints() -> None:
    block = Conv(1, 1)
    with torch.no_grad():
        block.conv.weight.fill_(1)
        block.bn.running_var.fill_(0.003)
        plain = block.eval()(torch.ones(1, 1, 1, 1)).item()
        block.fuse()
        folded = block(torch.ones(1, 1, 1, 1)).item()
    before = 1 / (0.003 + 0.001) ** 0.5
    assert plain == pytest.approx(before / (1 + np.exp(-before)), rel=1e-5)
    assert folded == pytest.approx(plain, rel=1e-6)


def test_a_file_that_was_folded_already_loads_as_it_is() -> None:
    plan = plan_of(DETECT)
    network = build_network(yolo_tensors(plan), yaml=plan, file="test.pt")
    folded = {key: tensor.numpy() for key, tensor in network.module.state_dict().items()}
    again = build_network(folded, yaml=plan, file="folded.pt")
    assert "model.0.conv.bias" in folded
    assert worst(outputs_of(again, noise(1, 64, 64))[0], outputs_of(network, noise(1, 64, 64))[0]) == 0


# Which network, and what shape


def small_networks() -> dict[str, Callable[[], Network]]:
    def yolo(head: list[Any], task: str) -> Network:
        plan = plan_of(head, classes=3)
        return build_network(yolo_tensors(plan), yaml=plan, task=task, file="test.pt")

    return {
        "osnet": lambda: build_network(seeded(create_osnet_x0_25()), file="osnet.pth"),
        "resnet": lambda: build_network(seeded(create_resnet(18, 2)), file="resnet.pth"),
        "yolov8-detect": lambda: yolo(DETECT, "detect"),
        "yolov8-pose": lambda: yolo(POSE, "pose"),
        "yolov8-segment": lambda: yolo(SEGMENT, "segment"),
    }


#: For an input of 64 x 96: 8 x 12 + 4 x 6 + 2 x 3 anchors.
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "osnet": [(512,)],
    "resnet": [(2,)],
    "yolov8-detect": [(7, 126)],
    "yolov8-pose": [(4 + 3 + 51, 126)],
    "yolov8-segment": [(4 + 3 + 32, 126), (32, 16, 24)],
}


@pytest.mark.parametrize("kind", SHAPES)
def test_a_checkpoint_becomes_a_frozen_network_of_its_kind(kind: str) -> None:
    network = small_networks()[kind]()
    assert network.kind == kind
    assert not network.module.training
    assert not any(parameter.requires_grad for parameter in network.module.parameters())
    assert {tensor.device.type for tensor in network.module.state_dict().values()} == {"cpu"}
    assert all(side % network.stride == 0 for side in network.input_size)
    outputs = outputs_of(network, noise(3, 64, 96))
    assert [output.shape for output in outputs] == [(3, *shape) for shape in SHAPES[kind]]
    assert len(network.output_names) == len(outputs)
    assert all(np.isfinite(output).all() for output in outputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", SHAPES)
def test_each_network_exports_with_a_dynamic_batch_and_answers_alike(kind: str, tmp_path: Path) -> None:
    network = small_networks()[kind]()
    path = tmp_path / "network.onnx"
    export_onnx(network, path, input_name="images", output_names=network.output_names, size=(64, 96))
    written = onnx.load(path).graph
    assert [output.name for output in written.output] == list(network.output_names)
    assert not any(node.op_type == "BatchNormalization" for node in written.node)
    for graph in (Graph(path), Graph(path, OpenVINOEngine())):
        for batch in (1, 3):
            pixel_values = noise(batch, 64, 96)
            for ours, other in zip(outputs_of(network, pixel_values), graph(pixel_values), strict=True):
                np.testing.assert_allclose(other, ours, rtol=1e-4, atol=1e-3)


@pytest.mark.slow
def test_two_networks_are_exported_at_the_same_time(tmp_path: Path) -> None:
    """Two models of one process may find their checkpoints at the same moment."""
    started = threading.Barrier(2, timeout=60)

    def export(kind: str) -> Path:
        network = small_networks()[kind]()
        started.wait()
        path = tmp_path / f"{kind}.onnx"
        export_onnx(network, path, input_name="images", output_names=network.output_names, size=(64, 64))
        return path

    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(export, ["osnet", "yolov8-detect"]))
    assert all(onnx.load(path).graph.node for path in paths)


@pytest.mark.slow
def test_a_network_that_the_exporter_cannot_follow_is_one_sentence(tmp_path: Path) -> None:
    network = small_networks()["yolov8-detect"]()
    with pytest.raises(LoadFailed, match=r"could not export the yolov8-detect network at 50 x 50 px: \w+: ") as failure:
        export_onnx(network, tmp_path / "n.onnx", input_name="images", output_names=["output0"], size=(50, 50))
    assert len(str(failure.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_half_precision_bfloat16_read_only_arrays_and_parallel_training_are_all_taken() -> None:
    tensors = seeded(create_osnet_x0_25())
    x = noise(2, 64, 32)
    exact = outputs_of(build_network(tensors, file="o.pth"), x)[0]
    for dtype, least in ((np.float16, 0.9999), (ml_dtypes.bfloat16, 0.99)):
        changed = {f"module.{key}": array.astype(dtype) for key, array in tensors.items() if array.dtype.kind == "f"}
        for array in changed.values():
            array.setflags(write=False)
        network = build_network(changed, file="o.pth")
        assert {parameter.dtype for parameter in network.module.parameters()} == {torch.float32}
        assert smallest_cosine(outputs_of(network, x)[0], exact) > least


def test_a_network_does_not_change_with_the_arrays_it_came_from() -> None:
    tensors = seeded(create_resnet(18, 2))
    network = build_network(tensors, file="r.pth")
    before = outputs_of(network, noise(1, 32, 32))[0]
    for array in tensors.values():
        array[...] = 0
    assert worst(outputs_of(network, noise(1, 32, 32))[0], before) == 0


# Refusals


@pytest.mark.parametrize("module", ["C3k2", "C2PSA", "v10Detect", "A2C2f", "C3", "SPPELAN", "Classify", "OBB"])
def test_another_generation_is_answered_with_its_module_and_the_command_that_exports_it(module: str) -> None:
    plan = plan_of(DETECT)
    plan["backbone"][2][2] = module
    with pytest.raises(WeightsInvalid, match=f"'{module}' is not known.*`yolo export model=best.pt format=onnx`"):
        build_network({}, yaml=plan, file="best.pt")


def change(**fields: Any) -> Callable[[dict[str, Any]], None]:
    return lambda plan: plan.update(fields)


def replace_layer(place: int, row: Any) -> Callable[[dict[str, Any]], None]:
    def edit(plan: dict[str, Any]) -> None:
        rows = plan["backbone"] if place < 10 else plan["head"]
        rows[place if place < 10 else place - 10] = row

    return edit


BROKEN_PLANS: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no backbone": (change(backbone=None), "no list 'backbone'"),
    "no layers": (change(backbone=[], head=[]), "0 layers"),
    "too many layers": (change(backbone=[[-1, 1, "Conv", [8, 3, 1]]] * 500), "513 layers"),
    "another activation": (change(activation="nn.ReLU()"), "activation is 'nn.ReLU"),
    "end to end": (change(end2end=True), "end2end"),
    "grey pictures": (change(ch=1), "reads 1 channels"),
    "no classes": (change(nc=0), "number of classes is 0"),
    "classes in words": (change(nc="eighty"), "number of classes is 'eighty'"),
    "a scale that is absent": (change(scale="z"), "no scale 'z'"),
    "a negative width": (change(scales={"n": [1, -1, 1024]}), "scaled by -1"),
    "a width beyond measure": (change(scales={"n": [1, 60000, 65536]}), "channels; 65536 are allowed"),
    "a depth beyond measure": (change(scales={"n": [60000, 1, 65536]}), "repeats 180000 times"),
    "a number of many digits": (change(nc=10**6000), "a huge number"),
    "a layer that reads a later one": (replace_layer(3, [7, 1, "Conv", [64, 3, 2]]), "reads 7"),
    "a layer that reads itself": (replace_layer(3, [3, 1, "Conv", [64, 3, 2]]), "reads 3"),
    "a layer of three fields": (replace_layer(3, [-1, 1, "Conv"]), r"'\?' is not known"),
    "an even kernel": (replace_layer(3, [-1, 1, "Conv", [64, 4, 2]]), "kernel of 4"),
    "a repeated convolution": (replace_layer(3, [-1, 9, "Conv", [64, 3, 2]]), "is repeated 3 times"),
    "a shortcut in numbers": (replace_layer(2, [-1, 3, "C2f", [64, 1]]), "arguments"),
    "two maps into one convolution": (replace_layer(3, [[-1, 0], 1, "Conv", [64, 3, 2]]), "reads 2 maps"),
    "maps of two sizes": (replace_layer(11, [[-1, 4], 1, "Concat", [1]]), r"strides \(16, 8\)"),
    "maps that double for ever": (change(backbone=[[[-1, -1], 1, "Concat", [1]]] * 40), "98304 channels"),
    "halves for ever": (change(backbone=[[-1, 1, "Conv", [8, 3, 2]]] * 20), "stride of 2"),
    "another upsampling": (replace_layer(10, [-1, 1, "nn.Upsample", ["None", 4, "bilinear"]]), "nn.Upsample"),
    "a head in the middle": (replace_layer(5, [[4], 1, "Detect", ["nc"]]), "several heads"),
    "no head": (replace_layer(22, [-1, 1, "Conv", [64, 3, 1]]), "last layer is 'Conv'"),
    "key points in words": (replace_layer(22, [[15, 18, 21], 1, "Pose", ["nc", "many"]]), "key points of shape"),
}


@pytest.mark.parametrize("case", BROKEN_PLANS)
def test_a_plan_that_makes_no_network_is_refused_with_what_is_wrong(case: str) -> None:
    edit, message = BROKEN_PLANS[case]
    plan = plan_of(DETECT)
    edit(plan)
    with pytest.raises(WeightsInvalid, match=message) as refusal:
        build_network({}, yaml=plan, file="best.pt")
    assert "best.pt" in str(refusal.value)
    assert len(str(refusal.value)) < 400


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("nc")),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=6,
)
PLACES = st.sampled_from(["nc", "kpt_shape", "scales", "scale", "backbone", "head", "ch", "activation", "reg_max"])


@settings(max_examples=150, deadline=None)
@given(
    place=PLACES, row=st.integers(0, 12), field=st.integers(0, 6), value=VALUES, head=st.sampled_from([POSE, SEGMENT])
)
def test_whatever_is_in_a_plan_it_is_a_network_or_one_sentence(
    place: str, row: int, field: int, value: Any, head: list[Any]
) -> None:
    plan = plan_of(head)
    if place in {"backbone", "head"} and field < 6:
        target = plan[place][row % len(plan[place])]
        if field < 4:
            target[field] = value
        else:
            target[3] = [*target[3][: field - 4], value]
    else:
        plan[place] = value
    with pytest.raises(WeightsInvalid):
        build_network({}, yaml=plan, file="best.pt")


def damage(key: str, array: Any) -> Callable[[Arrays], None]:
    return lambda tensors: tensors.update({key: array})


DAMAGED: dict[str, tuple[Callable[[Arrays], Any], str]] = {
    "missing": (lambda t: t.pop("conv5.bn.bias"), "no OSNet x0.25: of its tensors, conv5.bn.bias missing"),
    "unknown": (damage("conv9.weight", np.ones(3, np.float32)), "conv9.weight unknown"),
    "shape": (damage("conv5.bn.bias", np.ones(3, np.float32)), r"conv5.bn.bias is \(3,\) and should be \(128,\)"),
    "whole numbers": (damage("conv5.bn.bias", np.ones(128, np.int8)), "conv5.bn.bias is int8"),
    "not finite": (damage("conv5.bn.bias", np.full(128, np.nan, np.float32)), "not finite"),
    "beyond float32": (damage("conv5.bn.bias", np.full(128, 1e300)), "not finite"),
    "width": (damage("conv3.0.conv3.conv.weight", np.ones((77, 24, 1, 1), np.float32)), r"\(16, 64, 77, 128\)"),
    "first": (lambda t: t.pop("conv1.conv.weight"), "conv1.conv.weight is missing"),
    "empty": (damage("conv1.conv.weight", np.ones((0, 3, 7, 7), np.float32)), "conv1.conv.weight is empty"),
    "instance norm": (damage("conv2.0.IN.weight", np.ones(64, np.float32)), "instance normalisation"),
    "name": (damage("a\x1b[2J\n" + "b" * 500, np.ones(1, np.float32)), r"a\?\[2J\?b{70,80} unknown"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_tensors_that_do_not_fit_are_refused_by_name(case: str) -> None:
    edit, message = DAMAGED[case]
    tensors = seeded(create_osnet_x0_25())
    edit(tensors)
    with pytest.raises(WeightsInvalid, match=message):
        build_network(tensors, file="osnet.pth")


def test_a_resnet_of_another_depth_is_refused_with_its_blocks() -> None:
    tensors = {k: v for k, v in seeded(create_resnet(18)).items() if not k.startswith("layer3.1")}
    with pytest.raises(WeightsInvalid, match=r"\(2, 2, 1, 2\) basic blocks; known are those of 18 or 50 layers"):
        build_network(tensors, file="r.pth")


def test_an_unknown_network_is_answered_with_what_is_known_and_what_was_seen() -> None:
    tensors = {f"blocks.{n}.attn.qkv.weight": np.ones(1, np.float32) for n in range(12)}
    with pytest.raises(WeightsInvalid, match=r"blocks.0.attn.qkv.weight, .* and 9 more; known are OSNet .*YOLOv8"):
        build_network(tensors, file="vit.pth")
    with pytest.raises(WeightsInvalid, match="it has no tensors"):
        build_network({}, file="empty.pth")


def test_a_yolo_without_its_plan_and_one_for_another_task_are_told_apart() -> None:
    plan = plan_of(DETECT)
    tensors = yolo_tensors(plan)
    with pytest.raises(WeightsInvalid, match="without its plan"):
        build_network(tensors, file="best.pt")
    with pytest.raises(WeightsInvalid, match="says that it is for 'pose', and its head is for 'detect'"):
        build_network(tensors, yaml=plan, task="pose", file="best.pt")
    with pytest.raises(WeightsInvalid, match=r"no YOLOv8 .*model.21.cv1.conv.weight is .* and should be"):
        build_network(tensors | {"model.21.cv1.conv.weight": np.ones((1, 1), np.float32)}, yaml=plan, file="best.pt")


def test_without_torch_one_sentence_names_the_extra() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from hearthwatch.errors import LoadFailed\n"
        "try:\n    import hearthwatch.networks\n"
        "except LoadFailed as error:\n    print(error)\n"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 'pip install "hearthwatch[torch]"' in answer.stdout
    assert answer.stdout.count("\n") == 1
