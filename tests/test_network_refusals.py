"""What is no network that we build is refused with what is wrong and what to do."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.errors import WeightsInvalid  # noqa: E402
from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.osnet import create_osnet_x0_25  # noqa: E402
from hearthwatch.networks.resnet import create_resnet  # noqa: E402
from small_networks import (  # noqa: E402
    DETECT,
    POSE,
    SEGMENT,
    Arrays,
    plan_of,
    seeded,
    yolo_tensors,
)


@pytest.mark.parametrize("module", ["v10Detect", "A2C2f", "C3", "SPPELAN", "Classify", "OBB"])
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
    "a hundred blocks in each of many layers": (
        change(backbone=[[-1, 300, "C2f", [64, True]]] * 150),
        "has 14863 blocks in all; 1000 are allowed",
    ),
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
