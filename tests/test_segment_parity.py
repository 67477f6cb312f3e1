"""Segmentation from a checkpoint to damages: our engines give what our own PyTorch module gives, masks included."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.adapter.conversion import convert, module_of  # noqa: E402
from hearthwatch.adapter.parity import raw_difference  # noqa: E402
from hearthwatch.artifacts.description import describe  # noqa: E402
from hearthwatch.models.vehicle_damage import (  # noqa: E402
    DAMAGE_MARGIN,
    MIN_CONFIDENCE,
    SPEC,
    VehicleDamageAdapter,
    VehicleDamageResult,
)
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.runtimes.base import Engine, LoadRequest  # noqa: E402
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine  # noqa: E402
from hearthwatch.runtimes.openvino import OpenVINOEngine  # noqa: E402
from hearthwatch.runtimes.pytorch import PyTorchEngine  # noqa: E402
from hearthwatch.vision.boxes import Box  # noqa: E402
from hearthwatch.vision.crops import crop  # noqa: E402
from hearthwatch.vision.image import Image  # noqa: E402
from hearthwatch.vision.preprocess import to_batch  # noqa: E402
from small_checkpoints import save_yolo  # noqa: E402
from small_networks import SEGMENT, plan_11_of, plan_of, yolo_tensors  # noqa: E402

#: CarDD's, in the order of its paper (arXiv:2211.00945).
CARDD = ("dent", "scratch", "crack", "glass shatter", "lamp broken", "tire flat")
ENGINES: tuple[Engine, ...] = (ONNXRuntimeEngine(), OpenVINOEngine())
VEHICLES = (Box(20, 30, 400, 260), Box(100, 100, 480, 500))
#: How many anchors of a seeded network are to be damages, at least and at most.
FEWEST, MOST = 6, 40
#: Standard deviation of a class's logits over the anchors: then the best of them are sure, and no two are equal.
SPREAD = 1.5


def tiny_plan() -> dict[str, Any]:
    """Five halvings and a head: what there is to export in a few seconds."""
    backbone = [[-1, 1, "Conv", [channels, 3, 2]] for channels in (8, 16, 16, 24, 32)]
    head = [[[2, 3, 4], 1, "Segment", ["nc", 32, 32]]]
    return {"nc": len(CARDD), "backbone": backbone, "head": head}


def checkpoint(folder: Path, image: Image, size: tuple[int, int], plan: dict[str, Any]) -> Path:
    """A network of this plan and seeded weights that finds some damages in a picture's crops, none of them in doubt.

    Fresh weights give thousands of anchors nearly the same score. The last layers of the class branches are therefore
    stretched until logits spread by `SPREAD`, and moved until the threshold lies in the widest gap between the scores
    of the best anchors in the middle of the picture: around it, an untrained network sees most. Coefficients are moved
    to a mean of 0, so that masks cover something and not all.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        tensors = yolo_tensors(plan)
    crops = [crop(image, box, margin=DAMAGE_MARGIN) for box in VEHICLES]
    pixel_values = torch.from_numpy(np.asarray(to_batch(crops, replace(SPEC.pixels, size=size)), np.float32))

    def said() -> tuple[Any, Any]:
        """(2, classes, A) logits of the anchors, very low where the box is not in the middle, and all coefficients."""
        network = build_network(tensors, yaml=plan, task="segment", file="damage.pt").module
        with torch.inference_mode():
            centres = network(pixel_values)[0][:, :2] / torch.tensor(size[::-1]).reshape(1, 2, 1)
            middle = ((centres - 0.5).abs() < 0.25).all(dim=1, keepdim=True)
            raw = network.model[-1].raw(network.levels(pixel_values))
        return raw.classes.where(middle, -torch.inf).numpy(), raw.extra.numpy()

    head = f"model.{len(plan['backbone']) + len(plan['head']) - 1}"
    weights, biases = ([f"{head}.cv3.{level}.2.{kind}" for level in range(3)] for kind in ("weight", "bias"))
    fresh, coefficients = said()
    for level in range(3):
        tensors[f"{head}.cv4.{level}.2.bias"] -= coefficients.mean(axis=(0, 2))
    factor = SPREAD / float(np.mean([row[np.isfinite(row)].std() for row in fresh.swapaxes(0, 1)]))
    for name in (*weights, *biases):
        tensors[name] *= factor
    best = np.sort(said()[0].max(axis=1), axis=None)[::-1][FEWEST - 1 : MOST]
    place = int(np.argmax(best[:-1] - best[1:]))
    for name in biases:
        tensors[name] += np.log(MIN_CONFIDENCE / (1 - MIN_CONFIDENCE)) - (best[place] + best[place + 1]) / 2
    facts = {"yaml": plan, "names": dict(enumerate(CARDD)), "args": {"imgsz": list(size)}}
    return save_yolo(folder / "damage.pt", tensors, "SegmentationModel", **facts)


def assert_engines_agree(source: Path, output: Path, image: Image, kind: str) -> None:
    """The converted file on each engine against the PyTorch module: raw answers, boxes, scores, what masks cover."""
    result = convert(source, output, VehicleDamageAdapter, engines=ENGINES[:1])
    assert (result.kind, result.raw_difference <= 1e-3) == (kind, True)
    description = describe(output, SPEC.pixels)
    assert (description.class_names, description.card.model) == (CARDD, "vehicle_damage")
    assert description.graph.metadata["task"] == "segment"
    adapter = VehicleDamageAdapter(description)
    assert (adapter.input.scale, adapter.input.resize) == (SPEC.pixels.scale, "letterbox")
    outputs = tuple(tensor.name for tensor in description.graph.outputs)
    assert outputs == ("output0", "output1")
    answers: dict[str, Any] = {}
    raws: dict[str, Any] = {}
    for engine in (PyTorchEngine(), *ENGINES):
        request = LoadRequest(
            output, description.graph.digest, outputs=outputs, inputs=("images",), module=lambda: module_of(source)
        )
        runtime = engine.load(request)
        try:
            crops = adapter.looks_at(image, VEHICLES)
            raws[engine.name] = runtime.run(adapter.preprocess(crops))
            answers[engine.name] = adapter.postprocess(raws[engine.name], crops)
        finally:
            runtime.close()
    reference = answers.pop("pytorch")
    assert sum(len(one.damages) for one in reference) >= FEWEST // 2
    # None so sure that its score says nothing.
    assert all(damage.confidence < 0.99 for one in reference for damage in one.damages)
    assert any(damage.covered_share > 0.001 for one in reference for damage in one.damages)
    for name, results in answers.items():
        assert raw_difference(raws["pytorch"], raws[name]) <= 1e-3
        assert_same(reference, results)


def assert_same(reference: list[VehicleDamageResult], results: list[VehicleDamageResult]) -> None:
    for expected, got in zip(reference, results, strict=True):
        assert len(expected.damages) == len(got.damages)
        # Not in their order: two scores that are equal but for rounding may change places. Boxes to a fifth of a pixel,
        # scores to a thousandth; a pixel of the input on the edge of a mask may fall on either side.
        for damage in expected.damages:
            assert any(
                other.class_name == damage.class_name
                and other.box == pytest.approx(damage.box, abs=0.2)
                and other.confidence == pytest.approx(damage.confidence, abs=1e-3)
                and other.covered_share == pytest.approx(damage.covered_share, rel=0.02, abs=1e-4)
                for other in got.damages
            )


def test_a_small_checkpoint_becomes_a_graph_whose_damages_are_those_of_pytorch(
    tmp_path: Path, astronaut: Image
) -> None:
    source = checkpoint(tmp_path, astronaut, (96, 160), tiny_plan())
    assert_engines_agree(source, tmp_path / "converted.onnx", astronaut, "yolov8-segment")


@pytest.mark.slow
@pytest.mark.parametrize(("planned", "kind"), [(plan_of, "yolov8"), (plan_11_of, "yolo11")], ids=["8", "11"])
def test_so_does_one_of_real_size(planned: Any, kind: str, tmp_path: Path, astronaut: Image) -> None:
    source = checkpoint(tmp_path, astronaut, (640, 640), planned(SEGMENT, classes=len(CARDD), scale="s"))
    assert_engines_agree(source, tmp_path / "converted.onnx", astronaut, f"{kind}-segment")
