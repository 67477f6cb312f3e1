"""Torch networks: published sizes, arithmetic against a plainer account of it, exports."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.errors import LoadFailed  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.export import export_onnx  # noqa: E402
from hearthwatch.networks.osnet import OSNET_CHANNELS, create_osnet, create_osnet_x0_25  # noqa: E402
from hearthwatch.networks.resnet import create_resnet  # noqa: E402
from hearthwatch.networks.yolov8 import YOLOv8, yolov8_from_state_dict  # noqa: E402
from hearthwatch.networks.yolov8_blocks import Conv  # noqa: E402
from hearthwatch.networks.yolov8_heads import HeadWidths, Pose  # noqa: E402
from hearthwatch.networks.yolov8_plan import read_plan  # noqa: E402
from hearthwatch.runtimes.openvino import OpenVINOEngine  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import (  # noqa: E402
    DETECT,
    POSE,
    SEGMENT,
    SHAPES,
    Arrays,
    Graph,
    noise,
    outputs_of,
    plan_of,
    seeded,
    small_networks,
    smallest_cosine,
    worst,
    yolo_tensors,
)

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
