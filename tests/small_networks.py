"""Networks small enough to build in a test, and how to run and compare them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.networks import Network, build_network  # noqa: E402
from hearthwatch.networks.osnet import create_osnet_x0_25  # noqa: E402
from hearthwatch.networks.resnet import create_resnet  # noqa: E402
from hearthwatch.networks.vit import ViT, ViTPlan  # noqa: E402
from hearthwatch.networks.yolov8 import YOLOv8  # noqa: E402
from hearthwatch.networks.yolov8_plan import read_plan  # noqa: E402
from hearthwatch.runtimes.base import Engine, LoadRequest  # noqa: E402
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine  # noqa: E402
from hearthwatch.vision.decode import to_image  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from hearthwatch.vision.letterbox import Letterbox  # noqa: E402
from small_transformers import POSE_PLAN, depth_config, depth_tensors, pose_config, pose_tensors  # noqa: E402

Arrays = dict[str, Any]

SMALL_VITPOSE = replace(POSE_PLAN, grid=(4, 6))
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
SCALES_11 = {
    "n": [0.5, 0.25, 1024],
    "s": [0.5, 0.5, 1024],
    "m": [0.5, 1.0, 512],
    "l": [1.0, 1.0, 512],
    "x": [1.0, 1.5, 512],
}
SCALES_11_NESTED = frozenset("mlx")


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


def plan_11_of(head: list[Any], *, classes: int = 80, scale: str = "n") -> dict[str, Any]:
    """The same of YOLO11. The three larger networks nest everywhere, as their tensors show and their plan does not."""
    nested = scale in SCALES_11_NESTED
    backbone: list[Any] = [[-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]]]
    for channels, more, wider in ((256, [nested, 0.25], 256), (512, [nested, 0.25], 512), (512, [True], 1024)):
        backbone += [[-1, 2, "C3k2", [channels, *more]], [-1, 1, "Conv", [wider, 3, 2]]]
    backbone += [[-1, 2, "C3k2", [1024, True]], [-1, 1, "SPPF", [1024, 5]], [-1, 2, "C2PSA", [1024]]]
    up = [-1, 1, "nn.Upsample", ["None", 2, "nearest"]]
    neck: list[Any] = [up, [[-1, 6], 1, "Concat", [1]], [-1, 2, "C3k2", [512, nested]]]
    neck += [up, [[-1, 4], 1, "Concat", [1]], [-1, 2, "C3k2", [256, nested]]]
    neck += [[-1, 1, "Conv", [256, 3, 2]], [[-1, 13], 1, "Concat", [1]], [-1, 2, "C3k2", [512, nested]]]
    neck += [[-1, 1, "Conv", [512, 3, 2]], [[-1, 10], 1, "Concat", [1]], [-1, 2, "C3k2", [1024, True]]]
    neck.append([[16, 19, 22], 1, *head])
    plan = {
        "nc": classes,
        "kpt_shape": [17, 3],
        "scales": SCALES_11,
        "scale": scale,
        "backbone": backbone,
        "head": neck,
    }
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


def small_networks() -> dict[str, Callable[[], Network]]:
    def yolo(head: list[Any], task: str, planned: Callable[..., dict[str, Any]] = plan_of) -> Network:
        plan = planned(head, classes=3)
        return build_network(yolo_tensors(plan), yaml=plan, task=task, file="test.pt")

    plan, config = ViTPlan(5, width=32, layers=2, heads=4, inner=48, grid=(4, 6)), {"num_attention_heads": 4}
    return {
        "vit": lambda: build_network(seeded(ViT(plan)), config=config | {"image_size": [64, 96]}, file="a folder"),
        "depth-anything": lambda: build_network(depth_tensors(), config=depth_config(), file="a folder"),
        "osnet": lambda: build_network(seeded(create_osnet_x0_25()), file="osnet.pth"),
        "resnet": lambda: build_network(seeded(create_resnet(18, 2)), file="resnet.pth"),
        "vitpose": lambda: build_network(
            pose_tensors(SMALL_VITPOSE), config=pose_config(backbone__image_size=[64, 96]), file="a folder"
        ),
        "yolov8-detect": lambda: yolo(DETECT, "detect"),
        "yolov8-pose": lambda: yolo(POSE, "pose"),
        "yolov8-segment": lambda: yolo(SEGMENT, "segment"),
        "yolo11-detect": lambda: yolo(DETECT, "detect", plan_11_of),
        "yolo11-pose": lambda: yolo(POSE, "pose", plan_11_of),
        "yolo11-segment": lambda: yolo(SEGMENT, "segment", plan_11_of),
    }


#: For an input of 64 x 96: 8 x 12 + 4 x 6 + 2 x 3 anchors.
SHAPES: dict[str, list[tuple[int, ...]]] = {
    "vit": [(5,)],
    "depth-anything": [(64, 96)],
    "osnet": [(512,)],
    "resnet": [(2,)],
    "vitpose": [(17, 16, 24)],
    "yolov8-detect": [(7, 126)],
    "yolov8-pose": [(4 + 3 + 51, 126)],
    "yolov8-segment": [(4 + 3 + 32, 126), (32, 16, 24)],
    "yolo11-detect": [(7, 126)],
    "yolo11-pose": [(4 + 3 + 51, 126)],
    "yolo11-segment": [(4 + 3 + 32, 126), (32, 16, 24)],
}
