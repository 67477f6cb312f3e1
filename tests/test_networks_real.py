"""Torch networks with real weights against the graphs that others exported from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.artifacts.checkpoint import read_checkpoint  # noqa: E402
from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.vision.boxes import iou  # noqa: E402
from hearthwatch.vision.decode import to_image  # noqa: E402
from hearthwatch.vision.image import Float  # noqa: E402
from hearthwatch.vision.inputs import IMAGENET_MEAN, IMAGENET_STD, InputSpec  # noqa: E402
from hearthwatch.vision.preprocess import to_batch  # noqa: E402
from hearthwatch.vision.yolo import YoloDetections, YoloHead, decode_yolo  # noqa: E402
from small_networks import (  # noqa: E402
    DETECT,
    POSE,
    Arrays,
    Graph,
    letterboxed,
    noise,
    outputs_of,
    plan_of,
    smallest_cosine,
    worst,
)


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
