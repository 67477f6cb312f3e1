"""One weight file, described: who says what about its input, who wins, and what contradicts the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from fakes import image_graph, save_graph, value
from hearthwatch.artifacts.card import MAX_SIDE_PX
from hearthwatch.artifacts.description import CARD_KEY, describe
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.inputs import InputSpec

DEFAULT = InputSpec(
    "images", (640, 640), color="RGB", scale=1 / 255, mean=(0.1, 0.1, 0.1), std=(0.9, 0.9, 0.9), resize="letterbox"
)
#: Sides that the graph leaves open, so that every source may say them.
OPEN = ("N", 3, None, None)
SOURCES = ("explicit", "card", "metadata", "preprocessor")
#: Each source's own word for each field that it can state.
WORDS: dict[str, dict[str, Any]] = {
    source: {
        "size": (8 + i, 16 + i),
        "scale": 2.0 + i,
        "mean": (i + 0.5, 0.5, 0.5),
        "std": (i + 1.5, 1.5, 1.5),
        **({} if source == "preprocessor" else {"color": "BGR" if i % 2 else "RGB"}),
        **({} if source == "preprocessor" else {"resize": "letterbox" if i % 2 else "squash"}),
        **({} if source == "preprocessor" else {"interpolation": "linear" if i % 2 else "antialias"}),
    }
    for i, source in enumerate(SOURCES)
}
#: What an `input` of a card states even where it does not.
COMPLETED = {"scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def preprocessor(words: dict[str, Any]) -> dict[str, Any]:
    """The words in the form of a Hugging Face preprocessor file."""
    names = {"scale": "rescale_factor", "mean": "image_mean", "std": "image_std"}
    file = {names[field]: word for field, word in words.items() if field in names}
    if "size" in words:
        file["size"] = {"height": words["size"][0], "width": words["size"][1]}
    return file


def lay_out(folder: Path, stated: dict[str, dict[str, Any]], shape: tuple[Any, ...] = OPEN) -> Path:
    """A folder in which each source states its words."""
    embedded = {CARD_KEY: orjson.dumps({"input": stated["metadata"]}).decode()} if "metadata" in stated else {}
    path = image_graph(folder / "net.onnx", shape=shape, metadata=embedded)
    files = {"card": folder / "net.json", "preprocessor": folder / "preprocessor_config.json"}
    for file in files.values():
        file.unlink(missing_ok=True)
    if "card" in stated:
        files["card"].write_bytes(orjson.dumps({"input": stated["card"]}))
    if "preprocessor" in stated:
        files["preprocessor"].write_bytes(orjson.dumps(preprocessor(stated["preprocessor"])))
    return path


@st.composite
def statements(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Any sources, each with any of its words."""
    present = draw(st.sets(st.sampled_from(SOURCES)))
    chosen = {source: draw(st.sets(st.sampled_from(sorted(WORDS[source])))) for source in SOURCES if source in present}
    if "preprocessor" in chosen and chosen["preprocessor"] & {"mean", "std"}:
        chosen["preprocessor"] |= {"mean", "std"}  # that file states both or none
    return {source: {field: WORDS[source][field] for field in sorted(names)} for source, names in chosen.items()}


@given(statements())
def test_the_first_source_that_states_a_field_wins_and_the_others_are_reported(
    tmp_path_factory: pytest.TempPathFactory, stated: dict[str, dict[str, Any]]
) -> None:
    folder = tmp_path_factory.getbasetemp() / "sources"
    folder.mkdir(exist_ok=True)
    described = describe(lay_out(folder, stated), DEFAULT, explicit=stated.get("explicit"))
    says = {s: (COMPLETED if s in {"card", "metadata"} else {}) | words for s, words in stated.items()}
    conflicts = []
    for field in ("size", "color", "scale", "mean", "std", "resize", "interpolation"):
        order = [source for source in SOURCES if field in says.get(source, {})]
        expected = says[order[0]][field] if order else getattr(DEFAULT, field)
        assert getattr(described.input, field) == expected
        assert described.input.origins[field] == (order[0] if order else "model default")
        conflicts += [(field, order[0], other) for other in order[1:] if says[other][field] != expected]
    assert len(described.conflicts) == len(conflicts)
    for field, winner, other in conflicts:
        wanted = [f"{field}: {winner} says ", f", {other} says {says[other][field]}; {winner} holds"]
        assert any(text.startswith(wanted[0]) and text.endswith(wanted[1]) for text in described.conflicts)


def test_the_graph_s_own_shape_fills_what_nobody_says(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "net.onnx", name="data", shape=(1, 72, 80, 3), dtype="uint8")
    spec = describe(path, DEFAULT).input
    assert (spec.name, spec.size, spec.layout, spec.dtype) == ("data", (72, 80), "NHWC", "uint8")
    assert {spec.origins[field] for field in ("name", "size", "layout", "dtype")} == {"graph"}
    assert {spec.origins[field] for field in ("color", "scale", "mean", "std", "resize")} == {"model default"}


def test_an_open_graph_leaves_the_size_to_the_model(tmp_path: Path) -> None:
    spec = describe(image_graph(tmp_path / "net.onnx", shape=OPEN), DEFAULT).input
    assert (spec.size, spec.origins["size"]) == ((640, 640), "model default")
    assert (spec.layout, spec.origins["layout"]) == ("NCHW", "graph")


def test_every_field_has_an_origin(tmp_path: Path) -> None:
    spec = describe(image_graph(tmp_path / "net.onnx"), DEFAULT).input
    assert set(spec.origins) == set(InputSpec.__slots__) - {"origins"}


def test_a_card_with_an_input_and_without_a_scale_means_1_and_not_the_model_s_default(tmp_path: Path) -> None:
    described = describe(lay_out(tmp_path, {"card": {"color": "BGR"}}), DEFAULT)
    assert (described.input.scale, described.input.mean, described.input.std) == (1, (0, 0, 0), (1, 1, 1))
    assert {described.input.origins[field] for field in COMPLETED} == {"card"}
    # A card that says nothing of the input leaves the model's arithmetic as it is.
    (tmp_path / "net.json").write_bytes(b'{"model": "yolo26"}')
    assert describe(tmp_path / "net.onnx", DEFAULT).input.scale == 1 / 255


def test_image_size_of_the_metadata_counts_and_what_is_no_size_does_not(tmp_path: Path) -> None:
    def size(text: str) -> tuple[tuple[int, int], str]:
        spec = describe(image_graph(tmp_path / "n.onnx", shape=OPEN, metadata={"imgsz": text}), DEFAULT).input
        return spec.size, spec.origins["size"]

    assert size("[256, 320]") == ((256, 320), "metadata")
    for text in ("640", "[640]", "[0, 5]", "['a', 2]", "[", "", "{[]: 1}", "[1.5, 2]", "(" * 5000):
        assert size(text) == ((640, 640), "model default")


def test_two_words_inside_the_metadata_are_a_conflict_too(tmp_path: Path) -> None:
    card = orjson.dumps({"input": {"size": [8, 8], "scale": 1 / 255}}).decode()
    path = image_graph(tmp_path / "n.onnx", shape=OPEN, metadata={CARD_KEY: card, "imgsz": "[9, 9]"})
    described = describe(path, DEFAULT)
    assert described.input.size == (8, 8)
    assert described.conflicts == ("size: metadata says (8, 8), metadata says (9, 9); metadata holds",)


CONTRADICTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "pixels"}, "the card names the input 'pixels'; the graph has images"),
    "size": ({"size": [8, 9]}, "the card says 8 x 9 px and the graph says NCHW; the graph takes any x 3 x 8 x 8"),
    "sides swapped": ({"size": [9, 8]}, "the card says 9 x 8 px"),
    "layout": ({"layout": "NHWC"}, "the graph says 8 x 8 px and the card says NHWC; the graph takes any x 3 x 8 x 8"),
    "type": ({"dtype": "uint8"}, "the card says uint8; the graph takes float32"),
}


@pytest.mark.parametrize(("words", "sentence"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_card_that_contradicts_the_graph_is_refused(tmp_path: Path, words: dict[str, Any], sentence: str) -> None:
    path = lay_out(tmp_path, {"card": words}, shape=("N", 3, 8, 8))
    with pytest.raises(WeightsInvalid) as caught:
        describe(path, DEFAULT)
    assert str(caught.value).startswith(f"{path}: {sentence}")


def test_whoever_contradicts_the_graph_is_named(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "n.onnx", shape=("N", 3, 8, 8), metadata={"imgsz": "[9, 9]"})
    with pytest.raises(WeightsInvalid, match=r"the metadata says 9 x 9 px"):
        describe(path, DEFAULT)
    with pytest.raises(WeightsInvalid, match=r"the caller says 7 x 7 px"):
        describe(path, DEFAULT, explicit={"size": (7, 7)})


@pytest.mark.parametrize("shape", [("N", 3, 8), ("N", 1, 8, 8), (), ("N", 3, 8, 8, 1)], ids=str)
def test_a_graph_that_takes_no_picture_is_refused(tmp_path: Path, shape: tuple[Any, ...]) -> None:
    with pytest.raises(WeightsInvalid, match=r"; the graph takes (any x|no known shape)"):
        describe(image_graph(tmp_path / "n.onnx", shape=shape), DEFAULT)


def test_a_graph_of_a_type_that_we_do_not_feed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match="says float32; the graph takes int64"):
        describe(image_graph(tmp_path / "n.onnx", dtype="int64"), DEFAULT)


def test_a_side_that_would_eat_the_memory_is_refused_whoever_says_it(tmp_path: Path) -> None:
    side = MAX_SIDE_PX + 1
    path = image_graph(tmp_path / "n.onnx", shape=OPEN, metadata={"imgsz": f"[{side}, 8]"})
    for explicit in (None, {"size": (8, side)}, {"size": (0, 8)}):
        with pytest.raises(WeightsInvalid, match=f"allowed are 1 to {MAX_SIDE_PX} px a side"):
            describe(path, DEFAULT, explicit=explicit)
    with pytest.raises(WeightsInvalid, match="the graph says"):
        describe(image_graph(tmp_path / "g.onnx", shape=(1, 3, 8, side)), DEFAULT)


@pytest.mark.parametrize("named", ["card", "metadata", "explicit", "default"])
def test_of_several_inputs_the_named_one_says_its_size_and_layout(tmp_path: Path, named: str) -> None:
    nodes = [helper.make_node("Cast", ["photo"], ["y"], to=TensorProto.FLOAT)]
    inputs = [value("sizes", ["N", 2]), value("photo", ["N", 8, 9, 3], "uint8")]
    words = {"input": {"name": "photo"}}
    metadata = {CARD_KEY: orjson.dumps(words).decode()} if named == "metadata" else {}
    path = save_graph(tmp_path / "n.onnx", nodes, inputs, [value("y", ["N", 8, 9, 3])], metadata=metadata)
    if named == "card":
        (tmp_path / "n.json").write_bytes(orjson.dumps(words))
    default = InputSpec("photo" if named == "default" else "images", (640, 640))
    spec = describe(path, default, explicit={"name": "photo"} if named == "explicit" else None).input
    assert (spec.name, spec.size, spec.layout, spec.dtype) == ("photo", (8, 9), "NHWC", "uint8")


NAMES: dict[str, tuple[str, ...]] = {
    "{0: 'person', 1: \"driver's cab\"}": ("person", "driver's cab"),
    "{1: 'b', 0: 'a'}": ("a", "b"),
    "{'0': 'a', '1': 'b'}": ("a", "b"),
    '["a", "b"]': ("a", "b"),
    "{}": (),
}


@pytest.mark.parametrize("text", NAMES)
def test_class_names_of_the_metadata_are_read_by_index(tmp_path: Path, text: str) -> None:
    path = image_graph(tmp_path / "n.onnx", metadata={"names": text})
    assert describe(path, DEFAULT).class_names == NAMES[text]
    # The card knows better.
    (tmp_path / "n.json").write_bytes(b'{"names": ["x", "y", "z"]}')
    assert describe(path, DEFAULT).class_names == ("x", "y", "z")


@pytest.mark.parametrize(
    "text",
    ["", "person", "{1: 'a'}", "{0: 'a', 2: 'c'}", "{'a': 0}", "[1, 2]", "{'\N{SUPERSCRIPT TWO}': 'a'}", "{[]: 1}",
     "__import__('os').getcwd()", "(" * 9999],
    ids=lambda text: repr(text)[:30],
)  # fmt: skip
def test_class_names_that_are_not_counted_through_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WeightsInvalid, match=r"n\.onnx: the class names in its metadata are not 0, 1, 2"):
        describe(image_graph(tmp_path / "n.onnx", metadata={"names": text}), DEFAULT)


def test_a_card_in_the_metadata_is_as_good_as_one_beside_the_file_which_wins(tmp_path: Path) -> None:
    card = {"model": "yolo26", "names": ["a"], "weights": "sample"}
    path = image_graph(tmp_path / "n.onnx", metadata={CARD_KEY: orjson.dumps(card).decode()})
    described = describe(path, DEFAULT, weights="real")
    assert (described.card.model, described.class_names, described.weights) == ("yolo26", ("a",), "sample")
    (tmp_path / "n.json").write_bytes(b'{"model": "threat_detector"}')
    described = describe(path, DEFAULT, weights="real")
    assert (described.card.model, described.class_names, described.weights) == ("threat_detector", (), "real")


@pytest.mark.parametrize("text", ["{", '{"input": {"colour": "BGR"}}', "[]"])
def test_a_wrong_card_in_the_metadata_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(WeightsInvalid, match=r"n\.onnx: the card in its metadata"):
        describe(image_graph(tmp_path / "n.onnx", metadata={CARD_KEY: text}), DEFAULT)


def test_a_misspelt_key_of_a_card_is_reported(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "n.onnx")
    (tmp_path / "n.json").write_bytes(b'{"inputs": {"color": "BGR"}}')
    assert describe(path, DEFAULT).conflicts == ("card: 'inputs' is no field of a card and has no effect",)


def test_a_preprocessor_file_that_switches_a_step_off_does_not_state_it(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "n.onnx", shape=OPEN)
    file = preprocessor(WORDS["preprocessor"]) | {"do_rescale": False, "do_normalize": False}
    (tmp_path / "preprocessor_config.json").write_bytes(orjson.dumps(file | {"size": {"shortest_edge": 224}}))
    spec = describe(path, DEFAULT).input
    assert {spec.origins[field] for field in ("scale", "mean", "std", "size")} == {"model default"}


@pytest.mark.parametrize(
    "file",
    [b"{", b"[]", b'{"rescale_factor": "x"}', b'{"rescale_factor": null}', b'{"rescale_factor": 0}',
     b'{"image_mean": [1, 2], "image_std": [1, 1, 1]}', b'{"image_mean": [0, 0, 0], "image_std": [1, 0, 1]}',
     b'{"image_mean": 0.5, "image_std": 0.5}', b'{"size": {"height": 0, "width": 5}}',
     b'{"size": {"height": 99999, "width": 5}}', b'{"size": {"height": "tall", "width": 5}}'],
    ids=repr,
)  # fmt: skip
def test_a_wrong_preprocessor_file_is_refused(tmp_path: Path, file: bytes) -> None:
    path = image_graph(tmp_path / "n.onnx", shape=OPEN)
    (tmp_path / "preprocessor_config.json").write_bytes(file)
    with pytest.raises(WeightsInvalid, match=r"preprocessor_config\.json"):
        describe(path, DEFAULT)


@pytest.mark.parametrize("said", ["real", "custom"])
def test_a_file_whose_card_says_nothing_is_what_the_caller_calls_it(tmp_path: Path, said: Any) -> None:
    assert describe(image_graph(tmp_path / "n.onnx"), DEFAULT, weights=said).weights == said
