"""Networks that need no training: real ONNX files with each model's inputs and heads, that find something everywhere.

Each output is K + level * M, where level follows from the mean of the pixels: equal pictures have equal answers, others
have not. Any engine runs them, and `answer` computes the same without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from benchmarks.clip_checkpoint import byte_vocabulary
from onnx import TensorProto, helper

from fakes import constant, save_graph, value
from hearthwatch.adapter.spec import Scope
from hearthwatch.artifacts.tokens import MERGES_KEY, VOCABULARY_KEY, TokenSpec
from hearthwatch.models import get_model

Array = np.ndarray[Any, Any]
#: Where the side of an input is dynamic, the network is made for this.
SIDE = 64
#: Brings the mean of token numbers to what the mean of pixels is.
TOKEN_SLOPE = 0.02
#: The outputs that each model's graph has, by name: shape of one picture's answer.
OUTPUTS: dict[str, dict[str, tuple[int, ...]]] = {
    "yolo26": {"output0": (300, 6)},
    "pose_estimator": {"output0": (56, 8400)},
    "threat_detector": {"output0": (8, 8400)},
    "person_reid": {"output": (512,)},
    "pet_classifier": {"logits": (2,)},
    "depth_estimator": {"depth": (48, 64)},
    "clip": {"image_embeds": (768,)},
    "clip_text": {"text_embeds": (768,)},
    "action_text": {"text_embeds": (512,)},
    "action_recognizer": {"video_embeds": (512,), "text_embeds": (512,)},
    "vehicle_classifier": {"logits": (11,)},
    "demographics": {"logits": (4,)},
    "face_detector": {
        f"{kind}_{stride}": ((640 // stride) ** 2, numbers)
        for stride in (8, 16, 32)
        for kind, numbers in (("cls", 1), ("obj", 1), ("bbox", 4), ("kps", 10))
    },
}
#: Frames of a clip of the made-up action recogniser.
FRAMES = 4
#: What both towers of a made-up CLIP or X-CLIP say of themselves.
CLIP_CARD = {"network": "clip-made-up", "space": "made-up", "logit_scale": 100.0}
NAMES = {
    "yolo26": ("person", "dog", "car"),
    "pose_estimator": ("person",),
    "threat_detector": ("knife", "gun", "bat", "crowbar"),
    "pet_classifier": ("cat", "dog"),
    "demographics": ("female 20-29", "male 20-29", "female 60-69", "male 60-69"),
}
#: Three persons or things, xyxy of a 640 x 640 input, apart from each other.
_BOXES = ((60.0, 160.0, 180.0, 460.0), (240.0, 160.0, 360.0, 460.0), (420.0, 160.0, 540.0, 460.0))


def outputs_of(model: str) -> dict[str, tuple[int, ...]]:
    """Those of the graph that serves a model: of its kin's, where it has one."""
    return OUTPUTS[model if model in OUTPUTS else get_model(model).SPEC.kin]


def head(model: str, output: str) -> tuple[Array, Array]:
    """K and M of one output, each of the shape of one picture's answer, float32."""
    sides = outputs_of(model)[output]
    fixed, moving = np.zeros(sides, np.float32), np.zeros(sides, np.float32)
    if model == "yolo26":  # rows of x1, y1, x2, y2, score, class
        for row, box in enumerate(_BOXES):
            fixed[row, :4], moving[row, 4], fixed[row, 5] = box, 0.9 - 0.1 * row, row
    elif model in {"pose_estimator", "threat_detector"}:
        _anchors(model, fixed, moving)
    elif model == "face_detector":  # two faces of 87 px in their input, in the upper half
        if output in {"cls_32", "obj_32"}:
            moving[[4 * 20 + 3, 4 * 20 + 15], 0] = 0.99, 0.95
        elif output == "bbox_32":
            fixed[:] = (0.5, 0.5, 1.0, 1.0)
    elif model == "pet_classifier":
        fixed[:], moving[:] = (2.0, 0.0), (0.0, 1.0)
    elif model in {"vehicle_classifier", "demographics"}:
        fixed[-1], moving[:] = 2.0, np.linspace(0.0, 1.0, fixed.size, dtype=np.float32)
    else:
        fixed = np.linspace(-1.0, 1.0, fixed.size, dtype=np.float32).reshape(sides)
        moving = np.cos(np.arange(fixed.size, dtype=np.float32)).reshape(sides)
    return fixed, moving


def _anchors(model: str, fixed: Array, moving: Array) -> None:
    """Rows of cx, cy, w, h, scores; columns are anchors."""
    for column, (x1, y1, x2, y2) in enumerate(_BOXES):
        fixed[:4, column] = (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
        moving[4 + (column if model == "threat_detector" else 0), column] = 0.9 - 0.1 * column
        if model == "pose_estimator":
            fixed[5::3, column] = np.linspace(x1, x2, 17)
            fixed[6::3, column] = np.linspace(y1, y2, 17)
            moving[7::3, column] = 0.9


def level(given: Array) -> Array:
    """(N, …) network input to N numbers between 0.7 and 1, for pixels within -3..3 and for token numbers."""
    mean = np.asarray(given, np.float32).reshape(len(given), -1).mean(axis=1)
    return np.asarray(0.85 + 0.05 * mean * (TOKEN_SLOPE if given.ndim == 2 else 1), np.float32)


def answer(model: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """What the network computes."""
    levels = level(next(iter(inputs.values())))
    if get_model(model).SPEC.scope is Scope.FRAMES:
        # All frames are one clip, and texts stay as they came.
        video, texts = outputs_of(model)
        fixed, moving = head(model, video)
        clip = (fixed + levels.mean() * moving)[None].astype(np.float32)
        return {video: clip, texts: np.asarray(inputs["text_features"], np.float32)}
    answers = {}
    for name in outputs_of(model):
        fixed, moving = head(model, name)
        answers[name] = np.stack([fixed + each * moving for each in levels]).astype(np.float32)
    return answers


def write_network(model: str, path: Path, **facts: str) -> Path:
    """The network as an ONNX file, with a card that says which model it serves, and what else it is given."""
    spec = get_model(model).SPEC
    if spec.scope is Scope.FRAMES:
        return _write_clip_network(model, path, **facts)
    taken, reads = spec.input.name, isinstance(spec.input, TokenSpec)
    nodes = [
        helper.make_node("Cast", [taken], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1] if reads else [1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["level"]),
    ]
    slope = np.array(0.05 * TOKEN_SLOPE if reads else 0.05, np.float32)
    constants = [constant("slope", slope), constant("offset", np.array(0.85, np.float32))]
    outputs = []
    for name, sides in outputs_of(model).items():
        fixed, moving = head(model, name)
        axes = np.arange(1, len(sides) + 1, dtype=np.int64)
        constants += [
            constant(f"{name}_axes", axes),
            constant(f"{name}_k", fixed[None]),
            constant(f"{name}_m", moving[None]),
        ]
        nodes += [
            helper.make_node("Unsqueeze", ["level", f"{name}_axes"], [f"{name}_level"]),
            helper.make_node("Mul", [f"{name}_level", f"{name}_m"], [f"{name}_moved"]),
            helper.make_node("Add", [f"{name}_moved", f"{name}_k"], [name]),
        ]
        outputs.append(value(name, ("n", *sides)))
    path.parent.mkdir(parents=True, exist_ok=True)
    given = (
        value(taken, ("n", spec.input.length), "int64")
        if isinstance(spec.input, TokenSpec)
        else value(taken, ("n", 3, *spec.input.size))
    )
    metadata = dict(zip((VOCABULARY_KEY, MERGES_KEY), byte_vocabulary(), strict=True)) if reads else {}
    save_graph(path, nodes, [given], outputs, constants=constants, metadata=metadata)
    card: dict[str, Any] = {"model": model, **(CLIP_CARD if spec.tower else {}), **facts}
    if model in NAMES:
        card["names"] = list(NAMES[model])
    path.with_suffix(".json").write_bytes(orjson.dumps(card))
    return path


def _write_clip_network(model: str, path: Path, **facts: str) -> Path:
    """One that watches clips: their level decides what they are, and texts stay as they came."""
    (video, (numbers,)), (texts, (width,)) = OUTPUTS[model].items()
    fixed, moving = head(model, video)
    nodes = [
        helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[0, 1, 2, 3], keepdims=0),
        helper.make_node("Mul", ["mean", "slope"], ["scaled"]),
        helper.make_node("Add", ["scaled", "offset"], ["level"]),
        helper.make_node("Mul", ["level", "moving"], ["moved"]),
        helper.make_node("Add", ["moved", "fixed"], [video]),
        helper.make_node("Identity", ["text_features"], [texts]),
    ]
    constants = [
        constant("slope", np.array(0.05, np.float32)),
        constant("offset", np.array(0.85, np.float32)),
        constant("moving", moving[None]),
        constant("fixed", fixed[None]),
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    given = [value("pixel_values", (FRAMES, 3, 224, 224)), value("text_features", ("texts", width))]
    outputs = [value(video, (1, numbers)), value(texts, ("texts", width))]
    save_graph(path, nodes, given, outputs, constants=constants)
    path.with_suffix(".json").write_bytes(orjson.dumps({"model": model, **CLIP_CARD, **facts}))
    return path


def write_networks(folder: Path, models: Sequence[str], **facts: str) -> Path:
    """A folder of them, `NAME.onnx` each."""
    for model in models:
        write_network(model, folder / f"{model}.onnx", **facts)
    return folder


def write_samples(folder: Path, models: Sequence[str] = tuple(OUTPUTS)) -> Path:
    """A folder of sample weights as the package has one."""
    return write_networks(folder, models, weights="sample")
