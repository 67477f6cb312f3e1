"""ONNX files are code of a kind: what is refused before an engine sees it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fakes import constant, edit_graph, external_graph, image_graph, save_graph, value
from hearthwatch.artifacts.graph import (
    MAX_EXTERNAL_BYTES,
    MAX_GRAPH_BYTES,
    MAX_NODES,
    TensorInfo,
    read_graph,
    read_metadata,
)
from hearthwatch.errors import WeightsInvalid

EVIL = "com.example.evil"
WEIGHTS = np.arange(4, dtype=np.float32)


def node(op_type: str = "Relu", domain: str = "", source: str = "x", result: str = "y", **attributes: Any) -> Any:
    return helper.make_node(op_type, [source], [result], domain=domain, **attributes)


def subgraph(*nodes: Any, constants: tuple[Any, ...] = ()) -> Any:
    return helper.make_graph(list(nodes), "inner", [], [value("inner_y", [4])], list(constants))


def chain(path: Path, *nodes: Any, **more: Any) -> Path:
    return save_graph(path, nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], **more)


def branch(then: Any, otherwise: Any | None = None) -> Any:
    """An `If` node with these two bodies."""
    other = otherwise or subgraph(node(source="x", result="inner_y"))
    return helper.make_node("If", ["condition"], ["y"], then_branch=then, else_branch=other)


def outside_tensor(name: str = "w") -> Any:
    tensor = constant(name, WEIGHTS)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../outside.bin")
    return tensor


def test_a_graph_is_described_as_it_is(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "net.onnx", shape=("N", 3, 8, None), metadata={"task": "detect", "names": "{}"})
    graph = read_graph(path)
    assert graph.path == path
    assert graph.inputs == (TensorInfo("images", (None, 3, 8, None), "float32"),)
    assert graph.outputs == (TensorInfo("output0", (None, 3, 8, None), "float32"),)
    assert graph.metadata == {"task": "detect", "names": "{}"} == read_metadata(path)
    assert graph.digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert graph.bytes == path.stat().st_size


def test_weights_that_old_exporters_list_as_inputs_are_no_inputs(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    inputs = [value("x", ["N", 4]), value("w", [4])]
    path = save_graph(tmp_path / "n.onnx", nodes, inputs, [value("y", ["N", 4])], constants=[constant("w", WEIGHTS)])
    assert [tensor.name for tensor in read_graph(path).inputs] == ["x"]


@pytest.mark.parametrize("domain", ["", "ai.onnx", "ai.onnx.ml", "com.microsoft"], ids=repr)
def test_the_domains_of_onnx_and_of_the_engines_are_allowed(tmp_path: Path, domain: str) -> None:
    read_graph(chain(tmp_path / "n.onnx", node("Anything", domain), domains=[domain] if domain else ()))


def test_a_function_that_the_file_itself_defines_is_allowed(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17)]
    own = helper.make_function("pkg.torch", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], opsets)
    read_graph(chain(tmp_path / "n.onnx", node("Twice", "pkg.torch"), functions=[own], domains=["pkg.torch"]))


def hidden_domains() -> dict[str, Callable[[Path], Path]]:
    """Ways to hide a custom operator in a file."""
    bad = node("Steal", EVIL, result="inner_y")
    opsets = [helper.make_opsetid("", 17)]

    def in_function(path: Path) -> Path:
        own = helper.make_function("pkg", "Own", ["x"], ["y"], [node("Steal", EVIL)], opsets)
        return chain(path, node("Own", "pkg"), functions=[own])

    def of_another_name_in_a_known_domain(path: Path) -> Path:
        own = helper.make_function(EVIL, "Known", ["x"], ["y"], [node()], opsets)
        return chain(path, node("Known", EVIL), node("Steal", EVIL), functions=[own])

    def in_a_default_of_a_function(path: Path) -> Path:
        default = helper.make_attribute("body", subgraph(bad))
        own = helper.make_function("pkg", "Own", ["x"], ["y"], [node()], opsets, attribute_protos=[default])
        return chain(path, node("Own", "pkg"), functions=[own])

    return {
        "plainly": lambda path: chain(path, node("Steal", EVIL)),
        "after a good node": lambda path: chain(path, node(result="z"), node("Steal", EVIL, source="z")),
        "in the then branch": lambda path: chain(path, branch(subgraph(bad))),
        "in the else branch": lambda path: chain(path, branch(subgraph(node(result="inner_y")), subgraph(bad))),
        "in a loop": lambda path: chain(path, helper.make_node("Loop", ["m", "c"], ["y"], body=subgraph(bad))),
        "in a branch of a branch": lambda path: chain(path, branch(subgraph(branch(subgraph(bad))))),
        "in a list of graphs": lambda path: chain(path, helper.make_node("Relu", ["x"], ["y"], gs=[subgraph(bad)])),
        "in a function": in_function,
        "beside a function": of_another_name_in_a_known_domain,
        "in a default of a function": in_a_default_of_a_function,
    }


@pytest.mark.parametrize("write", hidden_domains().values(), ids=hidden_domains().keys())
def test_a_custom_operator_is_refused_wherever_it_hides(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    with pytest.raises(WeightsInvalid, match=rf"n\.onnx uses operators of {EVIL}; allowed are ai\.onnx"):
        read_graph(write(tmp_path / "n.onnx"))


@pytest.mark.parametrize("domain", ["com.microsoft", "", EVIL], ids=repr)
def test_a_compiled_engine_is_refused_in_every_domain_and_depth(tmp_path: Path, domain: str) -> None:
    compiled = node("EPContext", domain, result="inner_y", embed_mode=0, ep_cache_context="../engine.bin")
    for nodes in ([compiled], [branch(subgraph(compiled))]):
        with pytest.raises(WeightsInvalid, match="EPContext"):
            read_graph(chain(tmp_path / "n.onnx", *nodes))


def test_external_weights_beside_the_graph_are_read_into_digest_and_size(tmp_path: Path) -> None:
    path = external_graph(tmp_path / "n.onnx", "n.bin", WEIGHTS)
    graph = read_graph(path)
    parts = [hashlib.sha256((tmp_path / name).read_bytes()).digest() for name in ("n.onnx", "n.bin")]
    assert graph.digest == hashlib.sha256(b"".join(parts)).hexdigest()
    assert graph.bytes == path.stat().st_size + WEIGHTS.nbytes
    (tmp_path / "n.bin").write_bytes((WEIGHTS + 1).tobytes())
    assert read_graph(path).digest != graph.digest


BAD_LOCATIONS = ["../w.bin", "/etc/hostname", "sub/w.bin", "./w.bin", "..", ".", "", "absent.bin", "folder", "link.bin",
                 "a\0b", "x" * 5000]  # fmt: skip


@pytest.mark.parametrize("location", BAD_LOCATIONS, ids=lambda location: repr(location)[:20])
def test_external_weights_anywhere_else_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "model"
    for place in (folder, folder / "sub", folder / "folder"):
        place.mkdir()
    for file in (tmp_path / "w.bin", folder / "sub" / "w.bin", folder / "w.bin"):
        file.write_bytes(WEIGHTS.tobytes())
    (folder / "link.bin").symlink_to(tmp_path / "w.bin")
    for locations in (location, ["w.bin", location], [location, "w.bin"]):
        with pytest.raises(WeightsInvalid, match=r"keeps weights in .*, which is not a plain file beside it"):
            read_graph(external_graph(folder / "n.onnx", locations))


def hidden_tensors() -> dict[str, Callable[[Path], Path]]:
    """Ways to hide a tensor whose data lies outside."""
    bad = outside_tensor()
    opsets = [helper.make_opsetid("", 17)]
    sparse = helper.make_sparse_tensor(bad, constant("i", np.arange(4)), [9])
    default = helper.make_attribute("t", bad)
    own = helper.make_function("pkg", "Own", ["x"], ["y"], [node()], opsets, attribute_protos=[default])
    inner = node(result="inner_y")

    def sparse_constant(path: Path) -> Path:
        return edit_graph(chain(path, node()), lambda model: model.graph.sparse_initializer.append(sparse))

    return {
        "constant of the graph": lambda path: chain(path, node(), constants=[bad]),
        "constant of a branch": lambda path: chain(path, branch(subgraph(inner, constants=(bad,)))),
        "Constant node": lambda path: chain(path, helper.make_node("Constant", [], ["y"], value=bad)),
        "Constant in a branch": lambda path: chain(
            path, branch(subgraph(helper.make_node("Constant", [], ["inner_y"], value=bad)))
        ),
        "sparse Constant node": lambda path: chain(path, helper.make_node("Constant", [], ["y"], sparse_value=sparse)),
        "sparse constant of the graph": sparse_constant,
        "list of tensors": lambda path: chain(path, node(values=[bad])),
        "default of a function": lambda path: chain(path, node("Own", "pkg"), functions=[own]),
    }


@pytest.mark.parametrize("write", hidden_tensors().values(), ids=hidden_tensors().keys())
def test_weights_outside_are_refused_wherever_they_hide(tmp_path: Path, write: Callable[[Path], Path]) -> None:
    (tmp_path / "outside.bin").write_bytes(WEIGHTS.tobytes())
    (tmp_path / "model").mkdir()
    with pytest.raises(WeightsInvalid, match=r"'\.\./outside\.bin', which is not a plain file"):
        read_graph(write(tmp_path / "model" / "n.onnx"))


def test_external_weights_are_looked_for_where_the_engines_look_when_the_graph_is_a_link(tmp_path: Path) -> None:
    for folder in ("real", "linked"):
        (tmp_path / folder).mkdir()
    external_graph(tmp_path / "real" / "n.onnx", "n.bin", WEIGHTS)
    link = tmp_path / "linked" / "n.onnx"
    link.symlink_to(tmp_path / "real" / "n.onnx")
    with pytest.raises(WeightsInvalid, match="not a plain file beside it"):
        read_graph(link)
    (tmp_path / "linked" / "n.bin").write_bytes((WEIGHTS + 1).tobytes())
    assert read_graph(link).digest != read_graph(tmp_path / "real" / "n.onnx").digest


def test_a_file_over_a_limit_of_size_is_refused_with_limit_and_value(tmp_path: Path) -> None:
    """Files with holes: they have the size, and take no place on disk."""
    path = external_graph(tmp_path / "n.onnx", "n.bin", WEIGHTS)
    os.truncate(tmp_path / "n.bin", MAX_EXTERNAL_BYTES + 1)
    with pytest.raises(WeightsInvalid, match=f"has {MAX_EXTERNAL_BYTES + 1} bytes of .*; allowed {MAX_EXTERNAL_BYTES}"):
        read_graph(path)
    os.truncate(path, MAX_GRAPH_BYTES + 1)
    with pytest.raises(WeightsInvalid, match=f"has {MAX_GRAPH_BYTES + 1} bytes; .* at most {MAX_GRAPH_BYTES}"):
        read_graph(path)


def test_nodes_are_counted_in_every_depth(tmp_path: Path) -> None:
    body = subgraph(node(result="inner_y"))
    # With the first one of the body, the If and its other branch: one too many.
    body.node.extend([node(result="unused")] * (MAX_NODES - 2))
    with pytest.raises(WeightsInvalid, match=f"has {MAX_NODES + 1} nodes; allowed {MAX_NODES}"):
        read_graph(chain(tmp_path / "n.onnx", branch(body)))


@pytest.mark.parametrize("name", [b"the-domain", b"the-input", b"the-key", b"the-value", b"the-location"])
def test_a_name_that_is_no_text_is_refused(tmp_path: Path, name: bytes) -> None:
    tensor = outside_tensor()
    tensor.external_data[0].value = "the-location"
    (tmp_path / "the-location").write_bytes(WEIGHTS.tobytes())
    inputs, outputs = [value("the-input", ["N", 4])], [value("y", ["N", 4])]
    own = helper.make_function("the-domain", "Op", ["x"], ["y"], [node()], [helper.make_opsetid("", 17)])
    nodes, metadata = [node("Op", "the-domain", "the-input")], {"the-key": "the-value"}
    path = save_graph(
        tmp_path / "n.onnx", nodes, inputs, outputs, constants=[tensor], functions=[own], metadata=metadata
    )
    read_graph(path)
    # Of the domain only where the node says it: there it is that of no function any more.
    path.write_bytes(path.read_bytes().replace(name, b"\xff" + name[1:], 1 if name == b"the-domain" else -1))
    with pytest.raises(WeightsInvalid, match=r"n\.onnx is not an ONNX file: a name in it is no text"):
        read_graph(path)


@pytest.mark.parametrize("content", [b"", b"\0" * 99, b"onnx", b"{}", b"PK\x03\x04" + b"\0" * 60], ids=repr)
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "n.onnx"
    path.write_bytes(content)
    for read in (read_graph, read_metadata):
        with pytest.raises(WeightsInvalid, match=r"n\.onnx is not an ONNX file"):
            read(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.onnx", tmp_path):
        with pytest.raises(WeightsInvalid, match="cannot be read"):
            read_graph(path)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_with_a_sentence(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "random.onnx"
    path.write_bytes(data)
    with pytest.raises(WeightsInvalid, match=r"random\.onnx"):
        read_graph(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(0, 1, exclude_max=True))
def test_a_file_cut_anywhere_never_loses_its_output_unnoticed(tmp_path: Path, share: float) -> None:
    whole = image_graph(tmp_path / "whole.onnx", metadata={"names": "{0: 'person'}"}).read_bytes()
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: int(share * len(whole))])
    try:
        graph = read_graph(path)
    except WeightsInvalid:
        return
    # Cut between two of its records, the file is one that says less: what is left was there before.
    assert [tensor.name for tensor in graph.outputs] == ["output0"]
    onnx.load_model(path)


@given(position=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_one_changed_byte_is_described_or_refused(
    tmp_path_factory: pytest.TempPathFactory, position: float, byte: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.onnx"
    data = bytearray(external_graph(path, "changed.bin", WEIGHTS).read_bytes())
    data[int(position * len(data))] = byte
    path.write_bytes(data)
    try:
        graph = read_graph(path)
    except WeightsInvalid:
        return
    assert os.path.commonpath([graph.path, path]) == str(path)
