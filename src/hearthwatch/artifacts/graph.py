"""ONNX files, looked at before an engine loads them.

A graph is code of a kind: custom operators load shared libraries, external data names files, and an `EPContext` node
carries a compiled blob. What is allowed: standard operator domains and those of the engines in use, external data as a
plain file in the same folder, and sizes within limits. Weights are not read here, only the graph.
"""

from __future__ import annotations

import hashlib
import itertools
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hearthwatch.errors import WeightsInvalid

#: ONNX's own domains, and ONNX Runtime's contributed operators, which its graph optimiser and quantiser emit.
ALLOWED_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})
#: Protocol buffers cannot hold 2 GiB; larger weights are external data.
MAX_GRAPH_BYTES = 2**31 - 1
#: Florence-2-large, the largest network planned, is 3.1 GB in float32.
MAX_EXTERNAL_BYTES = 16 << 30
#: CLIP ViT-L/14 has about 2,000 nodes; a graph of hundreds of thousands is built to exhaust an engine.
MAX_NODES = 100_000

_ELEMENT_TYPES = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 10: "float16"}


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One input or output of a graph. A dimension is None where it is dynamic."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class Graph:
    """What an ONNX file says, after the checks."""

    path: Path
    digest: str
    bytes: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]


def read_graph(path: Path) -> Graph:
    """Check one ONNX file and describe it.

    Raises:
        WeightsInvalid: not an ONNX graph, over a limit, an operator domain that is not allowed, an `EPContext` node, or
            external data outside the file's own folder.
    """
    model = _parse(path, _read(path))
    try:
        files = [path, *_check_external_data(path, model)]
        _check_nodes(path, model)
        constants = {tensor.name for tensor in model.graph.initializer}
        return Graph(
            path=path,
            digest=_digest(files),
            bytes=sum(file.stat().st_size for file in files),
            inputs=tuple(_info(value) for value in model.graph.input if value.name not in constants),
            outputs=tuple(_info(value) for value in model.graph.output),
            metadata=_metadata(model),
        )
    except UnicodeDecodeError as error:
        raise WeightsInvalid(f"{path} is not an ONNX file: a name in it is no text ({error})") from error


def read_metadata(path: Path) -> dict[str, str]:
    """The file's own metadata, without the checks of `read_graph`: for finding files, not for running them.

    Raises:
        WeightsInvalid: not an ONNX graph.
    """
    try:
        return _metadata(_parse(path, _read(path)))
    except UnicodeDecodeError as error:
        raise WeightsInvalid(f"{path} is not an ONNX file: a name in it is no text ({error})") from error


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_GRAPH_BYTES:
            raise WeightsInvalid(f"{path} has {size} bytes; an ONNX graph has at most {MAX_GRAPH_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise WeightsInvalid(f"{path} cannot be read: {error.strerror or error}") from error


def _parse(path: Path, data: bytes) -> Any:
    # Not at the top: onnx costs 0.2 s, and only loading a network needs it.
    import onnx

    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's DecodeError has moved between its releases
        raise WeightsInvalid(f"{path} is not an ONNX file: {error}") from error
    if not model.graph.node or not model.graph.output:
        raise WeightsInvalid(f"{path} is not an ONNX file: it has no graph")
    return model


def _metadata(model: Any) -> dict[str, str]:
    return {_text(entry.key): _text(entry.value) for entry in model.metadata_props}


def _text(value: Any) -> str:
    """A string of the file; onnx hands out bytes where it is no UTF-8, and decoding them raises."""
    return value.decode() if isinstance(value, bytes) else str(value)


def _check_nodes(path: Path, model: Any) -> None:
    # A function that the file itself defines (the exporter of torch writes such) is made of checked nodes.
    own = {(function.domain, function.name) for function in model.functions}
    domains: set[str] = set()
    count = 0
    for node in _all_nodes(model):
        count += 1
        if node.op_type == "EPContext":
            raise WeightsInvalid(f"{path} carries a compiled engine (EPContext), which only our own cache may")
        if node.domain not in ALLOWED_DOMAINS and (node.domain, node.op_type) not in own:
            domains.add(_text(node.domain))
    if domains:
        allowed = ", ".join(sorted(domain or "ai.onnx" for domain in ALLOWED_DOMAINS))
        raise WeightsInvalid(f"{path} uses operators of {', '.join(sorted(domains))}; allowed are {allowed}")
    if count > MAX_NODES:
        raise WeightsInvalid(f"{path} has {count} nodes; allowed {MAX_NODES}")


def _all_nodes(model: Any) -> Iterator[Any]:
    pending: list[Iterable[Any]] = [model.graph.node]
    for function in model.functions:
        pending.append(function.node)
        pending.extend(graph.node for attribute in function.attribute_proto for graph in _subgraphs(attribute))
    while pending:
        for node in pending.pop():
            yield node
            pending.extend(graph.node for attribute in node.attribute for graph in _subgraphs(attribute))


def _subgraphs(attribute: Any) -> Sequence[Any]:
    return (attribute.g, *attribute.graphs)


def _check_external_data(path: Path, model: Any) -> list[Path]:
    """The external data files, each a plain file in the graph's own folder."""
    files: dict[Path, None] = {}
    # Every location that a tensor gives: of two, the engines take the last.
    entries = (entry for tensor in _all_tensors(model) for entry in tensor.external_data)
    for location in (_text(entry.value) for entry in entries if _text(entry.key) == "location"):
        # Beside the path as it was given, also where that is a link: the engines look there.
        file = path.parent / location
        # A name and nothing else: no folder, no "..", no absolute path, and no link out of the folder.
        if Path(location).name != location or not _is_plain_file(file):
            raise WeightsInvalid(f"{path} keeps weights in {location!r}, which is not a plain file beside it")
        files[file] = None
    size = sum(file.stat().st_size for file in files)
    if size > MAX_EXTERNAL_BYTES:
        raise WeightsInvalid(f"{path} has {size} bytes of external weights; allowed {MAX_EXTERNAL_BYTES}")
    return list(files)


def _is_plain_file(file: Path) -> bool:
    try:
        return stat.S_ISREG(file.lstat().st_mode)  # a link is not one
    except (OSError, ValueError):  # a name too long, or with a null byte
        return False


def _all_tensors(model: Any) -> Iterator[Any]:
    yield from _constants(model.graph)
    attributes = [attribute for function in model.functions for attribute in function.attribute_proto]
    for attribute in itertools.chain(attributes, (a for node in _all_nodes(model) for a in node.attribute)):
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in _subgraphs(attribute):
            yield from _constants(graph)


def _constants(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _info(value: Any) -> TensorInfo:
    tensor = value.type.tensor_type
    shape = tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim
    )
    return TensorInfo(_text(value.name), shape, _ELEMENT_TYPES.get(tensor.elem_type, f"onnx type {tensor.elem_type}"))


def _digest(files: Sequence[Path]) -> str:
    """The file's own SHA-256; with external data, the SHA-256 of all the files' digests in order."""
    digests = []
    for file in files:
        with file.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256"))
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()


def write_metadata(path: Path, facts: Mapping[str, str]) -> None:
    """Add metadata to an ONNX file that we wrote; keys that are there already are replaced.

    What the exporter noted at each operator goes: these are this machine's paths, four fifths of OSNet's file, and they
    would make the same network another file wherever it is converted.

    Raises:
        WeightsInvalid: not an ONNX graph.
    """
    model = _parse(path, _read(path))
    kept = {entry.key: entry.value for entry in model.metadata_props} | dict(facts)
    for part in (model, model.graph, *_all_nodes(model), *model.graph.value_info, *model.functions):
        del part.metadata_props[:]
    for key, value in sorted(kept.items()):
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    path.write_bytes(model.SerializeToString())
