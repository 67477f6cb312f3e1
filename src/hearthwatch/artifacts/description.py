"""Everything that is known about one weight file before it runs: graph, card, class names and the resolved `InputSpec`.

Each field of the `InputSpec` comes from the first source that states it: an explicit argument, the card beside the
file, the ONNX metadata, the Hugging Face preprocessor file, the graph's own shape, the model's default. What the
sources say differently is reported; what contradicts the graph is refused.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from hearthwatch.artifacts.card import MAX_CARD_BYTES, MAX_SIDE_PX, Card, first_problem, read_card
from hearthwatch.artifacts.graph import Graph, TensorInfo, read_graph
from hearthwatch.artifacts.hugging_face import CONFIG
from hearthwatch.artifacts.labels import read_labels
from hearthwatch.artifacts.preprocessor import PREPROCESSOR_FILE, read_preprocessor
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.inputs import InputSpec

WeightsOrigin = Literal["real", "sample", "custom"]

#: The card that our converter writes into the ONNX metadata, as JSON.
CARD_KEY = "hearthwatch.card"
#: Objects365 has 365 classes, ImageNet-21k 21,843; class names longer than this are not names.
MAX_NAMES_TEXT = 2_000_000


@dataclass(frozen=True, slots=True)
class Description:
    """One weight file, described.

    Attributes:
        graph: the checked ONNX graph.
        card: the card's facts; an empty card where there is none.
        input: the resolved preprocessing, with the origin of each field.
        class_names: by class index; empty where nobody names them.
        weights: `sample` where the card says so, else `real` or `custom`.
        conflicts: sentences, one for each field on which two sources disagree and each key of the card without effect.
    """

    graph: Graph
    card: Card
    input: InputSpec
    class_names: tuple[str, ...] = ()
    weights: WeightsOrigin = "custom"
    conflicts: tuple[str, ...] = ()


def describe(
    path: Path, default: InputSpec, *, weights: WeightsOrigin = "custom", explicit: Mapping[str, Any] | None = None
) -> Description:
    """Check one ONNX file and its card, and resolve its preprocessing.

    Args:
        path: an ONNX file.
        default: the model's documented preprocessing.
        weights: what to call the weights where the card does not say.
        explicit: fields of `InputSpec` that the caller sets; they win over everything.

    Raises:
        WeightsInvalid: the graph or the card is refused, or the card contradicts the graph.
    """
    graph = read_graph(path)
    # Exporters put graphs into a folder `onnx`, and what Hugging Face's files say above it.
    folder = path.parent.parent if path.parent.name == "onnx" else path.parent
    card_path = path.with_suffix(".json")
    card = read_card(card_path) if card_path.is_file() else None
    embedded = embedded_card(path, graph.metadata.get(CARD_KEY))
    sources: list[tuple[str, Mapping[str, Any]]] = [
        ("explicit", explicit or {}),
        ("card", _stated(card)),
        ("metadata", _stated(embedded)),
        ("metadata", _image_size(graph.metadata)),
        ("preprocessor", read_preprocessor(folder / PREPROCESSOR_FILE)),
    ]
    named = next((source["name"] for _, source in sources if source.get("name")), default.name)
    sources.append(("graph", _from_graph(graph, named)))
    spec, conflicts = _resolve(default, sources)
    spec = _fixed(path, spec, graph)
    _check_against_graph(path, spec, graph)
    merged = card or embedded or Card()
    if merged.metric is None and _is_metric(folder):
        merged = merged.model_copy(update={"metric": True})
    conflicts.extend(f"card: {key!r} is no field of a card and has no effect" for key in merged.unknown)
    return Description(
        graph=graph,
        card=merged,
        input=spec,
        class_names=merged.names or _class_names(path, graph.metadata) or read_labels(folder / CONFIG),
        weights=merged.weights or weights,
        conflicts=tuple(conflicts),
    )


def _resolve(default: InputSpec, sources: list[tuple[str, Mapping[str, Any]]]) -> tuple[InputSpec, list[str]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    conflicts: list[str] = []
    for field in fields(InputSpec):
        if field.name == "origins":
            continue
        stated = [(origin, source[field.name]) for origin, source in sources if source.get(field.name) is not None]
        origin, value = stated[0] if stated else ("model default", getattr(default, field.name))
        values[field.name], origins[field.name] = value, origin
        # The graph's own shape is the judge of `_check_against_graph`, not one more opinion.
        conflicts.extend(
            f"{field.name}: {origin} says {value}, {other} says {theirs}; {origin} holds"
            for other, theirs in stated[1:]
            if other != "graph" and theirs != value
        )
    return InputSpec(**values, origins=origins), conflicts


def _stated(card: Card | None) -> dict[str, Any]:
    return {} if card is None or card.input is None else card.input.model_dump()


def embedded_card(path: Path, text: str | None) -> Card | None:
    """The card in a graph's metadata; None where there is none.

    Raises:
        WeightsInvalid: it is no card.
    """
    if text is None:
        return None
    try:
        return Card.model_validate(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise WeightsInvalid(f"{path}: the card in its metadata is not JSON: {error}") from error
    except ValidationError as error:
        raise WeightsInvalid(f"{path}: the card in its metadata: {first_problem(error)}") from error


def _image_size(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Ultralytics writes `imgsz` as "[height, width]"."""
    value = _literal(metadata.get("imgsz", ""))
    if isinstance(value, list) and len(value) == 2 and all(isinstance(side, int) and side > 0 for side in value):
        return {"size": (value[0], value[1])}
    return {}


def _is_metric(folder: Path) -> bool:
    """Whether the Hugging Face folder that an export lies in is of a depth network that answers in metres.

    Its graph looks like that of the relative one, whose large values are near: taken for it, near would be far.
    """
    path = folder / CONFIG
    try:
        if not path.is_file() or path.stat().st_size > MAX_CARD_BYTES:
            return False
        config = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return False  # another program's file; nothing of ours depends on it
    return isinstance(config, dict) and config.get("depth_estimation_type") == "metric"


def _from_graph(graph: Graph, name: str) -> dict[str, Any]:
    """What the shape of the graph's input of that name, or else its first, says where nobody else does."""
    tensor = next((t for t in graph.inputs if t.name == name), graph.inputs[0] if graph.inputs else None)
    if tensor is None:
        return {}
    stated: dict[str, Any] = {"name": tensor.name}
    if tensor.dtype in {"float32", "uint8"}:
        stated["dtype"] = tensor.dtype
    if len(tensor.shape) == 4 and 3 in (tensor.shape[1], tensor.shape[3]):
        channels_first = tensor.shape[1] == 3
        stated["layout"] = "NCHW" if channels_first else "NHWC"
        height, width = tensor.shape[2:] if channels_first else tensor.shape[1:3]
        if height and width:
            stated["size"] = (height, width)
    return stated


def _fixed(path: Path, spec: InputSpec, graph: Graph) -> InputSpec:
    """A graph of one size takes every picture squashed to it, where nobody insists on its aspect.

    Raises:
        WeightsInvalid: a card insists.
    """
    tensor = next((t for t in graph.inputs if t.name == spec.name), None)
    if spec.resize != "aspect" or tensor is None or len(tensor.shape) != 4:
        return spec
    sides = tensor.shape[2:] if spec.layout == "NCHW" else tensor.shape[1:3]
    if None in sides:
        return spec
    if spec.origins["resize"] not in {"model default", "preprocessor"}:
        raise WeightsInvalid(
            f"{path}: {_origin(spec, 'resize')} says that pictures keep their aspect; the graph takes "
            f"{sides[0]} x {sides[1]} px only"
        )
    return replace(spec, resize="squash", origins={**spec.origins, "resize": "graph"})


def _check_against_graph(path: Path, spec: InputSpec, graph: Graph) -> None:
    tensor = next((t for t in graph.inputs if t.name == spec.name), None)
    if tensor is None:
        names = ", ".join(t.name for t in graph.inputs) or "none"
        raise WeightsInvalid(f"{path}: {_origin(spec, 'name')} names the input {spec.name!r}; the graph has {names}")
    if tensor.dtype != spec.dtype:
        raise WeightsInvalid(f"{path}: {_origin(spec, 'dtype')} says {spec.dtype}; the graph takes {tensor.dtype}")
    _check_shape(path, spec, tensor)


def _check_shape(path: Path, spec: InputSpec, tensor: TensorInfo) -> None:
    height, width = spec.size
    if not (1 <= height <= MAX_SIDE_PX and 1 <= width <= MAX_SIDE_PX):
        raise WeightsInvalid(
            f"{path}: {_origin(spec, 'size')} says {height} x {width} px; allowed are 1 to {MAX_SIDE_PX} px a side"
        )
    wanted = (3, height, width) if spec.layout == "NCHW" else (height, width, 3)
    given = tensor.shape[1:]
    if len(given) != 3 or any(have is not None and have != want for have, want in zip(given, wanted, strict=True)):
        shown = " x ".join("any" if side is None else str(side) for side in tensor.shape) or "no known shape"
        said = f"{_origin(spec, 'size')} says {height} x {width} px and {_origin(spec, 'layout')} says {spec.layout}"
        raise WeightsInvalid(f"{path}: {said}; the graph takes {shown}")


def _origin(spec: InputSpec, field: str) -> str:
    origin = spec.origins[field]
    return "the caller" if origin == "explicit" else f"the {origin}"


def _class_names(path: Path, metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Ultralytics writes `names` as a Python literal "{0: 'person', …}"; a list or JSON will do as well."""
    text = metadata.get("names")
    if text is None:
        return ()
    value = _literal(text)
    if isinstance(value, dict):
        by_index = {int(index): str(name) for index, name in value.items() if str(index).isdecimal()}
        if len(by_index) == len(value) and set(by_index) == set(range(len(by_index))):
            return tuple(by_index[index] for index in range(len(by_index)))
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise WeightsInvalid(f"{path}: the class names in its metadata are not 0, 1, 2 … with a name each: {text[:80]!r}")


def _literal(text: str) -> Any:
    if len(text) > MAX_NAMES_TEXT:
        return None
    try:
        return ast.literal_eval(text)  # literals only: nothing is called
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
