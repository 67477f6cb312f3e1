"""YOLO11: published sizes, and its blocks against a graph that somebody else exported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.networks import Network, build_network  # noqa: E402
from hearthwatch.networks.yolo11_blocks import C2PSA, C3k2  # noqa: E402
from hearthwatch.networks.yolov8 import YOLOv8  # noqa: E402
from hearthwatch.networks.yolov8_heads import Detect, HeadWidths  # noqa: E402
from hearthwatch.networks.yolov8_plan import read_plan  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from small_networks import (  # noqa: E402
    DETECT,
    SEGMENT,
    Graph,
    letterboxed,
    noise,
    outputs_of,
    plan_11_of,
    yolo_tensors,
)


@pytest.mark.parametrize(
    ("head", "scale", "published"),
    [
        (DETECT, "n", 2_624_080),
        (DETECT, "s", 9_458_752),
        (DETECT, "m", 20_114_688),
        (DETECT, "l", 25_372_160),
        (DETECT, "x", 56_966_176),
    ],
)
def test_a_stock_yolo11_has_its_published_number_of_parameters(head: list[Any], scale: str, published: int) -> None:
    assert parameters(head, scale) == published


@pytest.mark.parametrize(("scale", "millions"), [("n", 2.9), ("s", 10.1), ("m", 22.4), ("l", 27.7), ("x", 62.1)])
def test_so_does_one_that_segments(scale: str, millions: float) -> None:
    """The public documentation rounds these."""
    assert round(parameters(SEGMENT, scale) / 1e6, 1) == millions


def parameters(head: list[Any], scale: str) -> int:
    with torch.device("meta"):
        network = YOLOv8(read_plan(plan_11_of(head, scale=scale), file="test.pt"), file="test.pt")
    assert (network.generation, network.stride) == ("yolo11", 32)
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_larger_networks_nest_where_their_plan_does_not_say_so() -> None:
    plan = plan_11_of(SEGMENT, classes=3)
    for row in (*plan["backbone"], *plan["head"]):
        row[3] = [True if arg is False else arg for arg in row[3]]
    tensors = yolo_tensors(plan)
    expected = outputs_of(build_network(tensors, yaml=plan, file="m.pt"), noise(1, 64, 96))
    as_published = build_network(tensors, yaml=plan_11_of(SEGMENT, classes=3), file="m.pt")
    assert all(map(np.array_equal, outputs_of(as_published, noise(1, 64, 96)), expected))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ([-1, 2, "C3k2", [64, False, 0.25, True]], "has the arguments"),
        ([-1, 2, "C3k2", [64, 1]], "has the arguments"),
        ([-1, 2, "C3k2", [64, False, 2.0]], "has the arguments"),
        ([-1, 2, "C3k2", [64, False, float("nan")]], "has the arguments"),
        ([-1, 2, "C3k2", [8, False, 0.1]], "has parts of 0 channels"),
        ([-1, 2, "C3k2", []], "has the argument"),
        ([-1, 2, "C2PSA", [512]], "makes 128 channels of 32"),
        ([-1, 2, "C2PSA", [128]], "makes 32 channels of 32"),
        ([-1, 2, "C2PSA", [128, True]], "has 2 arguments"),
    ],
    ids=str,
)
def test_arguments_that_make_no_block_are_refused_with_the_layer(row: Any, told: str) -> None:
    plan = plan_11_of(DETECT)
    plan["backbone"][2] = row
    with pytest.raises(WeightsInvalid, match=rf"^best\.pt: layer 2 of its plan, a {row[2]}, {told}"):
        build_network({}, yaml=plan, file="best.pt")


def test_an_activation_is_the_one_that_the_file_has() -> None:
    """The graph below pools in SPPF without one, and nothing but the pickled module tells."""
    plan = plan_11_of(DETECT, classes=3)
    tensors = yolo_tensors(plan)

    def made(**modules: str) -> Network:
        return build_network(tensors, yaml=plan, modules=modules, file="best.pt")

    silu, identity = "torch.nn.modules.activation.SiLU", "torch.nn.modules.linear.Identity"
    usual, told, without = made(), made(**{"model.9.cv1.act": silu}), made(**{"model.9.cv1.act": identity})
    x = noise(1, 64, 96)
    assert np.array_equal(outputs_of(usual, x)[0], outputs_of(told, x)[0])
    assert not np.allclose(outputs_of(usual, x)[0], outputs_of(without, x)[0])
    assert isinstance(without.module.model[9].cv1.act, torch.nn.Identity)
    with pytest.raises(WeightsInvalid, match=r"its activation model\.0\.act is .*Hardswish.*yolo export"):
        made(**{"model.0.act": "torch.nn.modules.activation.Hardswish"})


# Blocks in a graph of YOLO26, which has the same ones: by the numbers of its convolutions, in the order of their names

PLAIN = {"cv1": 2, "m.0.cv1": 3, "m.0.cv2": 4, "cv2": 5}
NESTED = {"cv1": 12, "m.0.cv1": 13, "m.0.cv2": 14, "m.0.m.0.cv1": 15, "m.0.m.0.cv2": 16, "m.0.m.1.cv1": 17,
          "m.0.m.1.cv2": 18, "m.0.cv3": 19, "cv2": 20}  # fmt: skip
ASKING = {"cv1": 33, "m.0.attn.qkv": 34, "m.0.attn.pe": 35, "m.0.attn.proj": 36, "m.0.ffn.0": 37, "m.0.ffn.1": 38,
          "cv2": 39}  # fmt: skip
BLOCKS: dict[str, tuple[Any, dict[str, int]]] = {
    "bottlenecks": (C3k2(32, 64, hidden=16, repeats=1, nested=False, fused=True), PLAIN),
    "nested": (C3k2(128, 128, hidden=64, repeats=1, nested=True, fused=True), NESTED),
    "attention": (C2PSA(256, repeats=1, fused=True), ASKING),
}


class Exported:
    """Somebody else's graph: its convolutions, and what flows between them on a photograph."""

    def __init__(self, assets: Path, folder: Path) -> None:
        self.model = onnx.load(assets / "weights/license_plate_yolo26n_640.onnx")
        self.nodes = list(self.model.graph.node)
        self.stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in self.model.graph.initializer}
        self.folder, self.photo = folder, assets / "data/plates/ru_2_a002ha98_000.jpg"

    def convolution(self, name: str) -> Any:
        return next(node for node in self.nodes if node.op_type == "Conv" and node.output[0].endswith(name))

    def weights(self, name: str) -> tuple[Float, Float]:
        """Weights and bias of a convolution; the weights are stored in eight bits."""
        node = self.convolution(name)
        weight = self.stored.get(node.input[1])
        if weight is None:
            eight = next(other for other in self.nodes if node.input[1] in other.output)
            scale = self.stored[eight.input[1]].reshape(-1, 1, 1, 1)
            weight = self.stored[eight.input[0]].astype(np.float32) * scale
        return np.asarray(weight, np.float32), self.stored[node.input[2]]

    def activated(self, name: str) -> str:
        """What a convolution's output is after its SiLU."""
        before = self.convolution(name).output[0]
        return str(next(n.output[0] for n in self.nodes if n.op_type == "Mul" and before in n.input))

    def values(self, *names: str) -> list[Float]:
        """What these tensors are on the photograph."""
        copy = onnx.ModelProto()
        copy.CopyFrom(self.model)
        del copy.graph.output[:]
        copy.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names)
        for output in copy.graph.output:
            output.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        path = self.folder / "inside.onnx"
        path.write_bytes(copy.SerializeToString())
        return Graph(path)(letterboxed(self.photo, 640))


@pytest.fixture
def exported(assets: Path, tmp_path: Path) -> Exported:
    return Exported(assets, tmp_path)


def fill(module: Any, weights: dict[str, tuple[Float, Float]]) -> None:
    tensors = {f"{key}.conv.{kind}": torch.from_numpy(np.array(array)) for key, pair in weights.items()
               for kind, array in zip(("weight", "bias"), pair, strict=True)}  # fmt: skip
    module.load_state_dict(tensors, strict=True)


@pytest.mark.weights
@pytest.mark.parametrize("block", BLOCKS)
def test_a_block_gives_what_an_exported_graph_gives(block: str, exported: Exported) -> None:
    module, numbers = BLOCKS[block]
    names = {key: f"convolution_{number}/convolution" for key, number in numbers.items()}
    fill(module, {key: exported.weights(name) for key, name in names.items()})
    given = exported.convolution(names["cv1"]).input[0]
    before, after = exported.values(given, exported.activated(names["cv2"]))
    with torch.inference_mode():
        ours = module(torch.from_numpy(before)).numpy()
    assert after.std() > 0.05
    np.testing.assert_allclose(ours, after, rtol=1e-3, atol=1e-3)


@pytest.mark.weights
def test_a_light_branch_gives_what_an_exported_graph_gives(exported: Exported) -> None:
    branch = Detect(1, [128], [16], HeadWidths(box=64, classes=64, light=True), fused=True).cv3[0]
    names = {"0.0": "depthwise_conv2d_2/depthwise", "0.1": "convolution_77/convolution",
             "1.0": "depthwise_conv2d_3/depthwise", "1.1": "convolution_81/convolution"}  # fmt: skip
    last = "convolution_83/convolution"
    weight, bias = (torch.from_numpy(np.array(array)) for array in exported.weights(last))
    branch[2].load_state_dict({"weight": weight, "bias": bias})
    fill(branch[:2], {key: exported.weights(name) for key, name in names.items()})
    before, after = exported.values(exported.convolution(names["0.0"]).input[0], exported.convolution(last).output[0])
    with torch.inference_mode():
        ours = branch(torch.from_numpy(before)).numpy()
    assert after.std() > 0.05
    np.testing.assert_allclose(ours, after, rtol=1e-3, atol=2e-3)
