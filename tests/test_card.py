"""Cards: what they may say, and that a mistake in one is named and not passed over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.artifacts.card import MAX_CARD_BYTES, MAX_CLASS_INDEX, MAX_SIDE_PX, Card, CardInput, read_card
from hearthwatch.artifacts.description import describe
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.inputs import InputSpec

COMPLETE: dict[str, Any] = {
    "model": "person_reid",
    "license": "MIT",
    "source": "an example",
    "weights": "sample",
    "input": {
        "name": "input",
        "size": [256, 128],
        "layout": "NHWC",
        "color": "BGR",
        "dtype": "uint8",
        "scale": 0.5,
        "mean": [1, 2, 3],
        "std": [4, 5, 6],
        "resize": "letterbox",
        "interpolation": "antialias",
        "multiple": 14,
        "crop_share": 0.875,
    },
    "outputs": {"age": {"name": "age_conv3", "scale": 100.0}, "sex": {"name": "p", "kind": "logits", "classes": ["a"]}},
    "head": "yunet",
    "names": ["cat", "dog"],
    "classes": {"cat": [1, [3, 5]], "dog": 7},
    "space": "a-space",
    "near": "small",
}


def write(folder: Path, content: Any) -> Path:
    path = folder / "net.json"
    path.write_bytes(content if isinstance(content, bytes) else orjson.dumps(content))
    return path


def test_everything_that_a_card_says_is_kept(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, COMPLETE))
    assert card.unknown == ()
    assert card.input is not None
    assert card.input.model_dump(mode="json") == COMPLETE["input"]
    assert (card.outputs["age"].name, card.outputs["age"].scale) == ("age_conv3", 100.0)
    assert (card.outputs["sex"].kind, card.outputs["sex"].classes) == ("logits", ("a",))
    assert card.classes == {"cat": (1, 3, 4, 5), "dog": (7,)}
    assert (card.names, card.weights, card.near) == (("cat", "dog"), "sample", "small")
    facts = (card.model, card.license, card.source, card.head, card.space)
    assert facts == ("person_reid", "MIT", "an example", "yunet", "a-space")


def test_an_empty_card_says_nothing(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, {}))
    assert card == Card()
    assert card.input is None


def test_the_arithmetic_of_an_input_is_complete_when_it_says_nothing(tmp_path: Path) -> None:
    card = read_card(write(tmp_path, {"input": {}}))
    assert card.input == CardInput(scale=1, mean=(0, 0, 0), std=(1, 1, 1))


def test_keys_that_no_card_has_are_reported_whatever_they_are_called(tmp_path: Path) -> None:
    keys = ["inputs", "Model", "unknown", "model_extra", "copy", "__class__", "_private"]
    card = read_card(write(tmp_path, COMPLETE | dict.fromkeys(keys, 1)))
    assert set(card.unknown) == set(keys)
    assert card.model == "person_reid"


spans = st.tuples(st.integers(0, 300), st.integers(0, 50)).map(lambda span: [span[0], span[0] + span[1]])


@given(st.lists(st.one_of(st.integers(0, MAX_CLASS_INDEX), spans), max_size=8))
def test_ranges_of_classes_are_inclusive(items: list[Any]) -> None:
    expected = [i for item in items for i in (range(item[0], item[1] + 1) if isinstance(item, list) else [item])]
    assert Card.model_validate({"classes": {"dog": items}}).classes["dog"] == tuple(expected)


def in_input(**fields: Any) -> dict[str, Any]:
    return COMPLETE | {"input": COMPLETE["input"] | fields}


def in_classes(value: Any) -> dict[str, Any]:
    return COMPLETE | {"classes": {"dog": value}}


#: What is wrong: the card, then words of field and value that the sentence must have.
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "misspelt key": (in_input(colour="BGR"), ["input.colour", "BGR"]),
    "misspelt key of an output": (COMPLETE | {"outputs": {"age": {"name": "a", "factor": 3}}}, ["age.factor", "3"]),
    "output without a name": (COMPLETE | {"outputs": {"age": {"scale": 3}}}, ["outputs.age.name", "required"]),
    "output that is a name": (COMPLETE | {"outputs": {"age": "age_conv3"}}, ["outputs.age", "age_conv3"]),
    "unknown kind": (COMPLETE | {"outputs": {"a": {"name": "a", "kind": "softmax"}}}, ["a.kind", "softmax"]),
    "std of 0": (in_input(std=[0.2, 0, 0.2]), ["input.std", "above 0", "[0.2, 0, 0.2]"]),
    "negative std": (in_input(std=[-1, 1, 1]), ["input.std", "[-1, 1, 1]"]),
    "scale of 0": (in_input(scale=0), ["input.scale", "greater than 0", "0"]),
    "scale in words": (in_input(scale="1/255"), ["input.scale", "1/255"]),
    "two means": (in_input(mean=[0.5, 0.5]), ["input.mean", "0.5"]),
    "mean of a word": (in_input(mean=[0.5, "x", 0.5]), ["input.mean.1", "x"]),
    "one side": (in_input(size=640), ["input.size", "640"]),
    "three sides": (in_input(size=[3, 640, 640]), ["input.size", "[3, 640, 640]"]),
    "no side": (in_input(size=[0, 640]), ["input.size", "[0, 640]"]),
    "side too large": (in_input(size=[640, MAX_SIDE_PX + 1]), ["input.size", f"1 to {MAX_SIDE_PX} px", "8193"]),
    "unknown layout": (in_input(layout="CHW"), ["input.layout", "'NCHW' or 'NHWC'", "CHW"]),
    "unknown colour": (in_input(color="bgr"), ["input.color", "'RGB' or 'BGR'", "bgr"]),
    "unknown type": (in_input(dtype="float16"), ["input.dtype", "'float32' or 'uint8'", "float16"]),
    "unknown resize": (in_input(resize="fill"), ["input.resize", "fill"]),
    "unknown interpolation": (in_input(interpolation="cubic"), ["input.interpolation", "cubic"]),
    "input that is a list": (COMPLETE | {"input": [640, 640]}, ["input", "[640, 640]"]),
    "unknown weights": (COMPLETE | {"weights": "fake"}, ["weights", "fake"]),
    "unknown near": (COMPLETE | {"near": "large end"}, ["near", "large end"]),
    "names by index": (COMPLETE | {"names": {"0": "cat"}}, ["names", "'0': 'cat'"]),
    "inverted range": (in_classes([[269, 152]]), ["classes", "'dog'", "[269, 152]", "inclusive range"]),
    "negative index": (in_classes([-1]), ["classes", "'dog'", "-1"]),
    "index too large": (in_classes([[0, MAX_CLASS_INDEX + 1]]), ["classes", f"[0, {MAX_CLASS_INDEX + 1}]"]),
    "index in words": (in_classes(["152"]), ["classes", "'152'"]),
    "index between": (in_classes([1.5]), ["classes", "1.5"]),
    "truth as an index": (in_classes([True]), ["classes", "True"]),
    "range of three": (in_classes([[1, 2, 3]]), ["classes", "[1, 2, 3]"]),
    "no index": (in_classes(None), ["classes", "None"]),
    "classes in a list": (COMPLETE | {"classes": [1, 2]}, ["classes", "[1, 2]"]),
    "a name that is a number": (COMPLETE | {"model": 7}, ["model", "7"]),
}


@pytest.mark.parametrize(("content", "words"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_card_is_refused_naming_file_field_and_value(
    tmp_path: Path, content: dict[str, Any], words: list[str]
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(WeightsInvalid) as caught:
        read_card(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"card {path}: ")
    for word in words:
        assert word in sentence
    assert len(sentence) < len(str(path)) + 400


RANGES = [[0, MAX_CLASS_INDEX]] * 2000


@pytest.mark.parametrize(
    "classes", [{"dog": RANGES}, {f"dog {i}": span for i, span in enumerate([r] for r in RANGES)}], ids=["one", "many"]
)
def test_a_page_of_ranges_cannot_eat_the_memory(tmp_path: Path, classes: dict[str, Any]) -> None:
    with pytest.raises(WeightsInvalid, match="more than 100000 indices") as caught:
        read_card(write(tmp_path, {"classes": classes}))
    assert len(str(caught.value)) < 600


def test_a_million_characters_of_a_wrong_value_are_not_repeated(tmp_path: Path) -> None:
    with pytest.raises(WeightsInvalid, match=r"layout.*xxx") as caught:
        read_card(write(tmp_path, in_input(layout="x" * 1_000_000)))
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(
    "content", [b"", b"{", b"{'model': 'x'}", b"\xff\xfe", b'{"input": {"scale": NaN}}', b"[" * 5000], ids=repr
)
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(WeightsInvalid, match=r"net\.json is not JSON"):
        read_card(write(tmp_path, content))


@pytest.mark.parametrize("content", [[], "person_reid", None, 7], ids=repr)
def test_json_that_is_no_object_is_refused(tmp_path: Path, content: Any) -> None:
    with pytest.raises(WeightsInvalid, match=r"net\.json: the whole card: "):
        read_card(write(tmp_path, content))


def test_a_card_too_large_or_unreadable_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, b" " * (MAX_CARD_BYTES + 1))
    with pytest.raises(WeightsInvalid, match=rf"has {MAX_CARD_BYTES + 1} bytes; allowed {MAX_CARD_BYTES}"):
        read_card(path)
    for absent in (tmp_path / "absent.json", tmp_path):
        with pytest.raises(WeightsInvalid, match="cannot be read"):
            read_card(absent)


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-9, 10**6), st.floats(allow_nan=False), st.text()),
        lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.sampled_from([*COMPLETE, "x"]), inner)),
    )
)
def test_whatever_the_json_it_is_a_card_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(orjson.dumps(content))
    try:
        read_card(path)
    except WeightsInvalid as error:
        assert "any.json" in str(error)  # noqa: PT017 - either outcome is right


@pytest.mark.weights
def test_every_real_card_is_read_and_fits_its_graph(assets: Path) -> None:
    # A default that no network has: what is resolved comes from the card.
    default = InputSpec("no such input", (1, 1), layout="NHWC", color="RGB", scale=1 / 255)
    cards = sorted((assets / "weights").glob("*.json"))
    assert cards
    for path in cards:
        card = read_card(path)
        assert card.unknown == ()
        stated = orjson.loads(path.read_bytes())["input"]
        described = describe(path.with_suffix(".onnx"), default)
        assert described.conflicts == ()
        assert card.input is not None
        for field, value in stated.items():
            resolved = getattr(described.input, field)
            assert (list(resolved) if isinstance(value, list) else resolved) == value
            assert described.input.origins[field] == "card"
        assert described.input.scale == stated.get("scale", 1.0)
        for role, output in card.outputs.items():
            assert output.name in {tensor.name for tensor in described.graph.outputs}, role
