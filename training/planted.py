"""Mistakes that preprocessing and decoding can make, planted in the files of a network.

A network that is given BGR for RGB, and one whose card says BGR, answer the same: so no code has to be patched to see
what a mistake does. What no card can say is done inside the graph.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import orjson
from onnx import helper, numpy_helper

from hearthwatch.adapter.clip_tokenizer import END, START
from hearthwatch.artifacts.tokens import VOCABULARY_KEY
from training.floors import FLOORS

Json = dict[str, Any]
#: How far a picture is shifted inside the network's input: as far as 16:9 is padded in 384 x 640 px.
SHIFT_PX = 12


@dataclass(frozen=True)
class Mistake:
    """One mistake.

    Attributes:
        name: in words.
        plant: changes a copy of `NAME.onnx` and of the card beside it.
    """

    name: str
    plant: Callable[[Path], None]

    def planted(self, network: Path, folder: Path) -> Path:
        """A copy of the network with this mistake."""
        for suffix in (".onnx", ".json"):
            shutil.copy(network.with_suffix(suffix), folder)
        copy = folder / network.name
        self.plant(copy)
        return copy


def _card(change: Callable[[Json], object]) -> Callable[[Path], None]:
    def plant(path: Path) -> None:
        file = path.with_suffix(".json")
        card = orjson.loads(file.read_bytes())
        change(card)
        file.write_bytes(orjson.dumps(card))

    return plant


def _input(**fields: Any) -> Callable[[Path], None]:
    return _card(lambda card: card["input"].update(fields))


def _another_order(path: Path) -> None:
    """The names of the classes, one place further."""

    def turn(names: list[str]) -> list[str]:
        return [*names[1:], names[0]]

    def change(card: Json) -> None:
        card["names"] = turn(card["names"])
        if "classes" in card:
            indices = list(card["classes"].values())
            card["classes"] = dict(zip(card["classes"], turn(indices), strict=True))

    _card(change)(path)
    graph = onnx.load(path)
    names = orjson.loads(path.with_suffix(".json").read_bytes())["names"]
    for row in graph.metadata_props:
        if row.key == "names":
            row.value = str(dict(enumerate(names)))
    onnx.save(graph, path)


def _shifted(path: Path) -> None:
    """The picture lies lower in the input than the way back takes it to."""
    graph = onnx.load(path)
    name = graph.graph.input[0].name
    height = graph.graph.input[0].type.tensor_type.shape.dim[2].dim_value
    nodes = [
        _constant("planted_begin", [0]),
        _constant("planted_end", [height - SHIFT_PX]),
        _constant("planted_axis", [2]),
        helper.make_node("Slice", [name, "planted_begin", "planted_end", "planted_axis"], ["planted_upper"]),
        _constant("planted_pads", [0, 0, SHIFT_PX, 0, 0, 0, 0, 0]),
        helper.make_node("Pad", ["planted_upper", "planted_pads"], ["planted_input"]),
    ]
    _read_instead(graph, name, "planted_input")
    for node in reversed(nodes):
        graph.graph.node.insert(0, node)
    onnx.save(graph, path)


def _gathered(order: Callable[[int], Sequence[int]]) -> Callable[[Path], None]:
    """Channels of the (N, channels, anchors) output in another order."""

    def plant(path: Path) -> None:
        graph = onnx.load(path)
        output = graph.graph.output[0]
        channels = output.type.tensor_type.shape.dim[1].dim_value
        for node in graph.graph.node:
            node.output[:] = ["planted_output" if name == output.name else name for name in node.output]
            node.input[:] = ["planted_output" if name == output.name else name for name in node.input]
        graph.graph.node.append(_constant("planted_order", order(channels)))
        graph.graph.node.append(helper.make_node("Gather", ["planted_output", "planted_order"], [output.name], axis=1))
        onnx.save(graph, path)

    return plant


def _transposed(channels: int) -> list[int]:
    """x for y and width for height."""
    return [1, 0, 3, 2, *range(4, channels)]


def _key_points_transposed(channels: int) -> list[int]:
    first = channels - 3 * 17
    points = [first + 3 * joint + part for joint in range(17) for part in (1, 0, 2)]
    return [*range(first), *points]


def _key_points_in_another_order(channels: int) -> list[int]:
    """Each joint under the next one's name."""
    first = channels - 3 * 17
    return [*range(first), *(first + 3 * ((joint + 1) % 17) + part for joint in range(17) for part in range(3))]


def _constant(name: str, values: Sequence[int]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values, np.int64), name))


def _read_instead(graph: onnx.ModelProto, name: str, other: str) -> None:
    for node in graph.graph.node:
        node.input[:] = [other if given == name else given for given in node.input]


def _turned_vocabulary(path: Path) -> None:
    """Each token has the number of the next one, but for start and end, without which nothing is read."""
    graph = onnx.load(path)
    for row in graph.metadata_props:
        if row.key == VOCABULARY_KEY:
            tokens: dict[str, int] = orjson.loads(row.value)
            turned = [token for token in tokens if token not in (START, END)]
            following = [*turned[1:], turned[0]]
            row.value = orjson.dumps(tokens | {a: tokens[b] for a, b in zip(turned, following, strict=True)}).decode()
    onnx.save(graph, path)


BGR = Mistake("BGR for RGB", _input(color="BGR"))
NOT_SCALED = Mistake("0..255 for 0..1", _input(scale=1.0))
NOT_NORMALISED = Mistake("no mean and deviation", _input(mean=[0.0, 0.0, 0.0], std=[1.0, 1.0, 1.0]))
SHIFTED = Mistake("letterbox offset", _shifted)
TRANSPOSED = Mistake("transposed boxes", _gathered(_transposed))
ANOTHER_ORDER = Mistake("wrong class order", _another_order)
JOINTS_TRANSPOSED = Mistake("transposed key points", _gathered(_key_points_transposed))
JOINTS_IN_ANOTHER_ORDER = Mistake("wrong joint order", _gathered(_key_points_in_another_order))
WRONG_VOCABULARY = Mistake("wrong vocabulary order", _turned_vocabulary)
FAR_FOR_NEAR = Mistake("far for near", _card(lambda card: card.update(near="small")))

#: Each mistake with the measure that falls below its floor, by model.
CAUGHT: list[tuple[str, Mistake, str]] = [
    ("yolo26", NOT_SCALED, "mAP50"),
    ("yolo26", SHIFTED, "mAP50"),
    ("yolo26", TRANSPOSED, "mAP50"),
    ("yolo26", ANOTHER_ORDER, "mAP50"),
    ("pose_estimator", SHIFTED, "OKS"),
    ("pose_estimator", TRANSPOSED, "mAP50"),
    ("pose_estimator", JOINTS_TRANSPOSED, "OKS"),
    ("pose_estimator", JOINTS_IN_ANOTHER_ORDER, "posture"),
    ("threat_detector", SHIFTED, "mAP50"),
    ("threat_detector", TRANSPOSED, "mAP50"),
    ("threat_detector", ANOTHER_ORDER, "mAP50"),
    ("license_plate_detector", SHIFTED, "text"),
    ("license_plate_detector", TRANSPOSED, "mAP50"),
    ("person_reid", BGR, "rank_1_across_cameras"),
    ("person_reid", NOT_NORMALISED, "rank_1_across_cameras"),
    ("depth_estimator", NOT_NORMALISED, "points_in_order"),
    ("depth_estimator", FAR_FOR_NEAR, "things_in_order"),
    ("pet_classifier", NOT_NORMALISED, "accuracy"),
    ("pet_classifier", ANOTHER_ORDER, "accuracy"),
    ("vehicle_classifier", NOT_NORMALISED, "accuracy"),
    ("vehicle_classifier", ANOTHER_ORDER, "accuracy"),
    ("clip", BGR, "clothing_colour"),
    ("clip", NOT_NORMALISED, "clothing_colour"),
    ("clip_text", WRONG_VOCABULARY, "object_ensembled"),
    ("action_recognizer", NOT_NORMALISED, "accuracy"),
]


def table(measures: Mapping[str, Callable[[Path], Mapping[str, float]]], networks: Path) -> str:
    """Markdown: what each mistake costs, and which networks are not there.

    Args:
        measures: model to how its network is measured.
        networks: folder with the networks.
    """
    models = dict.fromkeys(model for model, _, _ in CAUGHT)
    right = {model: measures[model](path) for model in models if (path := networks / f"{model}.onnx").is_file()}
    lines = ["| planted mistake | network | measure | without | with it | floor |", "|---|---|---|---|---|---|"]
    for model, mistake, measure in (row for row in CAUGHT if row[0] in right):
        with tempfile.TemporaryDirectory() as folder:
            wrong = measures[model](mistake.planted(networks / f"{model}.onnx", Path(folder)))
        name = measure.replace("_", " ")
        floor = FLOORS.get(model, {}).get(measure, float("nan"))
        figures = f"{right[model][measure]:.2f} | {wrong[measure]:.2f} | {floor:.2f}"
        lines.append(f"| {mistake.name} | `{model}` | {name} | {figures} |")
    lines += [f"\n`{model}` is not there." for model in models if model not in right]
    return "\n".join(lines) + "\n"
