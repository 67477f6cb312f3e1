"""CLIP as a model: what goes into its towers, what comes out, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks.clip_checkpoint import byte_vocabulary

from fakes import image_graph, save_graph, value
from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.description import Description, describe
from hearthwatch.artifacts.graph import Graph, TensorInfo
from hearthwatch.artifacts.lookup import find_weights
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.artifacts.tokens import (
    MERGES_KEY,
    VOCABULARY_KEY,
    TokenSpec,
    describe_text,
    parse_vocabulary,
    read_vocabulary,
)
from hearthwatch.errors import WeightsInvalid, WeightsMissing
from hearthwatch.models.clip import (
    EMBEDDING_DIMENSION,
    MAX_BATCH_TEXTS_SIZE,
    MAX_IMAGE_SIZE_BYTES,
    PADDING,
    SPEC,
    SURVEILLANCE_TEMPLATES,
    CLIPAdapter,
    CLIPEmbeddingModel,
    anomaly_score,
    class_scores,
)
from hearthwatch.models.clip_text import CLIPTextAdapter, CLIPTextModel
from hearthwatch.vision import average_embedding, cosine_similarity
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.crops import LARGEST_SQUARE_PX, pad_to_square
from hearthwatch.vision.image import Image
from hearthwatch.vision.preprocess import to_batch
from made_up import CLIP_CARD, write_network

Array = np.ndarray[Any, Any]


def adapter(dimension: int = 16, **card: Any) -> CLIPAdapter:
    graph = Graph(
        Path("made-up.onnx"), "ab" * 32, 1, (), (TensorInfo("image_embeds", (None, dimension), "float32"),), {}
    )
    return CLIPAdapter(Description(graph, Card.model_validate(card), replace(SPEC.pixels, origins={})))


def flat(width: int, height: int, colour: tuple[int, int, int] = (200, 30, 60)) -> Image:
    return Image.of(np.full((height, width, 3), colour, np.uint8))


class Network:
    """Remembers what it was given, and answers with a direction of its own for each picture."""

    def __init__(self, dimension: int = 16) -> None:
        self.dimension = dimension
        self.given: list[Array] = []

    def __call__(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        (pixels,) = inputs.values()
        self.given.append(pixels)
        rows = [np.random.default_rng(int(abs(row.sum()))).normal(size=self.dimension) * 7 for row in pixels]
        return {"image_embeds": np.stack(rows).astype(np.float32)}


class TestConstants:
    def test_documented_values_are_kept(self) -> None:
        assert (EMBEDDING_DIMENSION, MAX_IMAGE_SIZE_BYTES, MAX_BATCH_TEXTS_SIZE) == (768, 10 * 1024 * 1024, 100)

    def test_the_templates_are_word_for_word_those_of_the_document(self) -> None:
        assert list(SURVEILLANCE_TEMPLATES) == [
            "a surveillance camera photo of {}",
            "CCTV footage showing {}",
            "a security camera image of {}",
            "a low resolution photo of {}",
            "a distant shot of {}",
        ]


class TestPictures:
    def test_a_whole_picture_is_cropped_and_a_box_is_padded(self) -> None:
        model, network = adapter(), Network()
        pixels = np.zeros((100, 200, 3), np.uint8)
        pixels[:, :40] = 255  # beside the middle: the reference's crop does not see it
        model.predict([Image.of(pixels)], network)
        black = (0 - np.array(SPEC.pixels.mean)) / np.array(SPEC.pixels.std)
        assert np.allclose(network.given[0][0], black[:, None, None], atol=1e-5)
        model.for_boxes(Image.of(pixels), [Box(0, 0, 40, 100)], network)
        padded = network.given[1][0]
        white = (1 - np.array(SPEC.pixels.mean)) / np.array(SPEC.pixels.std)
        assert np.allclose(padded[:, 112, 112], white, atol=1e-5)  # from head to feet
        assert np.allclose(padded[:, 5, 112], white, atol=1e-5)
        assert np.abs(padded[:, 112, 5]).max() < 0.02  # what pads it is nothing to the network

    def test_embeddings_of_boxes_and_of_pictures_are_of_different_spaces(self) -> None:
        model = adapter(network="clip-vit-large-patch14", space="sha256:1234")
        picture = flat(60, 60)
        (whole,), (crop,) = (
            model.predict([picture], Network()),
            model.for_boxes(picture, [Box(0, 0, 30, 60)], Network()),
        )
        assert whole.space == "clip-vit-large-patch14/sha256:1234/224-crop-bicubic"
        assert getattr(crop, "space", "") == "clip-vit-large-patch14/sha256:1234/square-224-crop-bicubic"

    def test_another_preprocessing_is_another_space(self) -> None:
        usual, other = adapter(), adapter()
        other = CLIPAdapter(replace(other.description, input=replace(SPEC.pixels, mean=(0.5, 0.5, 0.5))))
        assert usual.preprocessing != other.preprocessing
        assert "0.5,0.5,0.5" in other.preprocessing

    def test_an_embedding_has_length_1(self) -> None:
        for result in adapter().predict([flat(30, 20), flat(20, 30)], Network()):
            assert np.linalg.norm(result.embedding) == pytest.approx(1.0, abs=1e-6)
            assert result.embedding.dtype == np.float32

    @pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (1, 1), (3, 4000)], ids=str)
    def test_no_shape_takes_more_memory_than_its_pixels_are_worth(self, size: tuple[int, int]) -> None:
        import tracemalloc

        picture = flat(*size)
        tracemalloc.start()
        batch = to_batch([picture], SPEC.pixels)
        square = pad_to_square(picture, PADDING)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert batch.shape == (1, 3, 224, 224)
        assert square.pixels.shape[0] == square.pixels.shape[1] <= max(LARGEST_SQUARE_PX, 4000)
        assert peak < 100e6
        assert np.ptp(np.asarray(batch)[0, 0]) < 1e-6  # one colour stays one colour

    def test_a_long_picture_is_cropped_as_a_short_one_is(self) -> None:
        random = np.random.default_rng(2)
        coarse = random.integers(0, 256, (4, 66, 3)).astype(np.uint8)
        pixels = np.kron(coarse, np.ones((30, 30, 1), np.uint8))
        middle = pixels[:, 60:1920]  # around the same middle
        short, long = (np.asarray(to_batch([Image.of(part)], SPEC.pixels)) for part in (middle, pixels))
        assert np.allclose(short, long, atol=0.1)

    def test_a_square_knows_where_it_is_in_the_picture(self) -> None:
        image = Image(np.zeros((40, 10, 3), np.uint8), (100.0, 50.0, 110.0, 90.0))
        square = pad_to_square(image, PADDING)
        assert square.pixels.shape == (40, 40, 3)
        assert square.region == (85.0, 50.0, 125.0, 90.0)
        assert pad_to_square(square, PADDING) is square


class TestScores:
    @pytest.mark.parametrize(("cosine", "score"), [(1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (-1.0, 1.0), (1.0001, 0.0)])
    def test_an_anomaly_is_what_is_missing_to_a_cosine_of_1(self, cosine: float, score: float) -> None:
        assert anomaly_score(cosine) == pytest.approx(score)

    def test_scores_sum_to_1_and_follow_the_checkpoints_own_scale(self) -> None:
        image = np.array([1, 0], np.float32)
        texts = np.array([[0.31, 0.95], [0.25, 0.97], [0.2, 0.98]], np.float32)
        sharp, flat_ = class_scores(image, texts, 100.0), class_scores(image, texts, 1.0)
        assert sharp.sum() == pytest.approx(1.0)
        assert sharp[0] == pytest.approx(np.exp(31) / (np.exp(31) + np.exp(25) + np.exp(20)), rel=1e-5)
        assert np.ptp(flat_) < 0.05  # what a forgotten scale gives

    def test_a_baseline_is_the_direction_in_the_middle_of_usual_pictures(self) -> None:
        frames = [
            result.embedding for result in adapter().predict([flat(9, 9, (i, 0, 0)) for i in range(5)], Network())
        ]
        baseline = average_embedding(frames)
        assert np.linalg.norm(baseline) == pytest.approx(1.0, abs=1e-6)
        assert min(cosine_similarity(frame, baseline) for frame in frames) > 0
        with pytest.raises(ValueError, match="no embeddings"):
            average_embedding([])


class TestDocumentedClass:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(tmp_path / "cache"))
        monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
        for model in ("clip", "clip_text"):
            write_network(model, tmp_path / f"{model}.onnx")
        return tmp_path

    def test_its_verbs_answer_in_the_documented_shapes(self, folder: Path) -> None:
        model = CLIPEmbeddingModel(folder)
        assert model.load_model() is model
        numbers, milliseconds = model.extract_embedding(flat(30, 30).pixels)
        assert len(numbers) == EMBEDDING_DIMENSION
        assert all(type(number) is float for number in numbers)
        assert milliseconds > 0
        score, similarity, milliseconds = model.compute_anomaly_score(flat(30, 30).pixels, numbers)
        assert (score, similarity) == pytest.approx((0.0, 1.0), abs=1e-6)
        score, similarity, _ = model.compute_anomaly_score(flat(30, 30).pixels, [-2 * number for number in numbers])
        assert (score, similarity) == pytest.approx((1.0, -1.0), abs=1e-6)
        assert model.get_backend_info()["backend"] in {"openvino", "onnxruntime"}
        model.unload()

    @pytest.mark.parametrize(
        "baseline", [[0.0] * 768, [1e-9] * 768, [float("nan")] * 768, [float("inf")] + [0.0] * 767]
    )
    def test_a_baseline_without_direction_is_refused_before_anything_runs(self, baseline: list[float]) -> None:
        with pytest.raises(ValueError, match="not finite or has no length"):
            CLIPEmbeddingModel("/no such folder").compute_anomaly_score(flat(9, 9).pixels, baseline)

    def test_a_baseline_of_another_size_is_refused_with_both_sizes(self, folder: Path) -> None:
        with pytest.raises(ValueError, match="768 and 512"):
            CLIPEmbeddingModel(folder).compute_anomaly_score(flat(9, 9).pixels, [1.0] * 512)

    def test_texts_and_pictures_of_one_folder_belong_together(self, folder: Path) -> None:
        seen = CLIPEmbeddingModel(folder).embed(flat(30, 30).pixels)
        read = CLIPTextModel(folder).embed_texts(["a person", "x" * 100])
        assert [result.truncated for result in read] == [False, True]
        assert {result.digest for result in read} == {seen.digest} == {CLIP_CARD["space"]}


class TestVocabulary:
    def test_a_text_is_cut_where_the_network_stops_and_says_so(self) -> None:
        tokenizer = ClipTokenizer(parse_vocabulary(*byte_vocabulary(), Path("here")), 77)
        tokens = tokenizer.encode(["x" * 75, "x" * 76, "a b", ""])
        end = tokens.ids[3, 1]
        assert tokens.truncated == (False, True, False, False)
        assert tokens.ids.shape == (4, 77)
        assert (tokens.ids[:2, 76] == end).all()
        assert tokens.mask.sum(axis=1).tolist() == [77, 77, 4, 2]
        assert tokenizer.encode([]).ids.shape == (0, 77)

    def test_an_end_that_somebody_wrote_ends_the_text_and_is_told(self) -> None:
        tokenizer = ClipTokenizer(parse_vocabulary(*byte_vocabulary(), Path("here")), 77)
        assert tokenizer.encode(["a <|endoftext|> b", "a <|endoftext|>"]).truncated == (True, False)

    @pytest.mark.parametrize(
        ("tokens", "merges", "words"),
        [
            ("[", "", "not JSON"),
            ("[]", "", "no numbers"),
            ("{}", "", "no numbers"),
            ('{"a": "0"}', "", "no numbers"),
            ('{"a": true}', "", "no numbers"),
            ('{"a": 0, "b": 0}', "", "of its own"),
            ('{"a": -1}', "", "of its own"),
            ('{"a": 0, "b": 99999999}', "", "of its own"),
            ('{"a": 0}', "a b\n", "joins"),
            ('{"a": 0, "b": 1, "ab": 2}', "a b c\n", "joins"),
        ],
    )
    def test_what_is_no_vocabulary_is_refused(self, tokens: str, merges: str, words: str) -> None:
        with pytest.raises(WeightsInvalid, match=words):
            parse_vocabulary(tokens, merges, Path("here"))

    def test_a_comment_is_none_but_in_the_first_line(self) -> None:
        tokens = '{"#": 0, "a": 1, "#a": 2}'
        assert parse_vocabulary(tokens, "#version: 0.2\n# a\n\n", Path("here")).merges == (("#", "a"),)

    def test_a_vocabulary_without_start_and_end_is_not_clips(self) -> None:
        with pytest.raises(WeightsInvalid, match="startoftext"):
            ClipTokenizer(parse_vocabulary('{"a": 0}', "", Path("here")), 77)

    def test_files_that_are_no_text_or_too_large_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "vocab.json").write_bytes(b"\xff\xfe")
        assert read_vocabulary(tmp_path) is None
        (tmp_path / "merges.txt").touch()
        with pytest.raises(WeightsInvalid, match=r"vocab\.json"):
            read_vocabulary(tmp_path)
        with (tmp_path / "vocab.json").open("wb") as file:
            file.truncate(17 << 20)
        with pytest.raises(WeightsInvalid, match="17825792"):
            read_vocabulary(tmp_path)


class TestTextGraphs:
    def graph(self, path: Path, *inputs: Any, files: bool = True) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = dict(zip((VOCABULARY_KEY, MERGES_KEY), byte_vocabulary(), strict=True)) if files else {}
        from onnx import TensorProto, helper

        nodes = [helper.make_node("Cast", [inputs[0].name], ["text_embeds"], to=TensorProto.FLOAT)]
        return save_graph(path, nodes, list(inputs), [value("text_embeds", ("n", 9))], metadata=metadata)

    def test_the_input_is_read_from_the_graph(self, tmp_path: Path) -> None:
        default = TokenSpec("input_ids", 77)
        path = self.graph(tmp_path / "a.onnx", value("ids", ("n", 32), "int64"))
        assert describe_text(path, default).tokens == TokenSpec("ids", 32)
        free = self.graph(
            tmp_path / "b.onnx", value("input_ids", ("n", "l"), "int64"), value("attention_mask", ("n", "l"), "int64")
        )
        expected = TokenSpec("input_ids", 77, mask="attention_mask", any_length=True)
        assert describe_text(free, default).tokens == expected

    def test_a_card_says_how_long_a_text_may_be_where_the_graph_does_not(self, tmp_path: Path) -> None:
        default, card = TokenSpec("input_ids", 77), '{"context_length": 32}'
        for name, side, any_length in (("a", "l", True), ("b", 32, False)):
            path = self.graph(tmp_path / f"{name}.onnx", value("input_ids", ("n", side), "int64"))
            path.with_suffix(".json").write_text(card)
            assert describe_text(path, default).tokens == TokenSpec("input_ids", 32, any_length=any_length)
        path.with_suffix(".json").write_text('{"context_length": 5000}')
        with pytest.raises(WeightsInvalid, match=r"context_length.*5000"):
            describe_text(path, default)

    @pytest.mark.parametrize(
        ("shape", "lengths"), [(("n", "l"), {"ab": 16, "a" * 20: 32, "a" * 200: 77}), (("n", 40), {"ab": 40})]
    )
    def test_rows_are_no_longer_than_the_longest_text_needs(
        self, tmp_path: Path, shape: tuple[str | int, ...], lengths: dict[str, int]
    ) -> None:
        inputs = [value(name, shape, "int64") for name in ("input_ids", "attention_mask")]
        adapter = CLIPTextAdapter(describe_text(self.graph(tmp_path / "a.onnx", *inputs), TokenSpec("input_ids", 77)))
        given: list[dict[str, Any]] = []

        def run(inputs: Any) -> dict[str, Any]:
            given.append(inputs)
            return {"text_embeds": np.ones((len(inputs["input_ids"]), 9), np.float32)}

        for text, length in lengths.items():
            texts = [*["x"] * 8, text]
            given.clear()
            results = adapter.read(texts, run)
            assert [result.truncated for result in results] == [len(one) > 75 for one in texts]
            assert [rows["input_ids"].shape for rows in given] == [(8, length), (1, length)]
            assert all(rows["attention_mask"].shape == rows["input_ids"].shape for rows in given)
            assert given[0]["input_ids"].flags.c_contiguous
            assert (given[1]["input_ids"] == adapter.tokenizer.encode([text]).ids[:, :length]).all()
        assert adapter.read([], run) == []

    def test_what_reads_no_texts_is_refused(self, tmp_path: Path) -> None:
        for wrong in (
            image_graph(tmp_path / "a.onnx"),
            self.graph(tmp_path / "b.onnx", value("x", ("n", 9))),
            self.graph(tmp_path / "c.onnx", value("x", ("n", 9, 9), "int64")),
            self.graph(tmp_path / "d.onnx", value("x", ("n", 9), "int64"), value("y", ("n", 9), "int64")),
            self.graph(tmp_path / "e.onnx", value("x", ("n", 1), "int64")),
        ):
            with pytest.raises(WeightsInvalid, match=wrong.name):
                describe_text(wrong, TokenSpec("input_ids", 77))

    def test_the_vocabulary_lies_in_the_file_beside_it_or_above_a_folder_onnx(self, tmp_path: Path) -> None:
        path = self.graph(tmp_path / "onnx" / "text_model.onnx", value("x", ("n", 9), "int64"), files=False)
        with pytest.raises(WeightsInvalid, match=r"vocab\.json and merges\.txt"):
            describe_text(path, TokenSpec("x", 77))
        for name, text in zip(("vocab.json", "merges.txt"), byte_vocabulary(), strict=True):
            (tmp_path / name).write_text(text)
        assert len(describe_text(path, TokenSpec("x", 77)).vocabulary.tokens) == len(orjson.loads(byte_vocabulary()[0]))

    def test_an_output_that_nobody_calls_the_embedding_is_refused(self, tmp_path: Path) -> None:
        graph = Graph(Path("other.onnx"), "", 1, (), (TensorInfo("x", (None, 9), "float32"),), {})
        wrong = Description(graph, Card(), replace(SPEC.pixels, origins={}))
        with pytest.raises(WeightsInvalid, match=r"other\.onnx is no tower of CLIP"):
            CLIPAdapter(wrong)
        named = Card.model_validate({"outputs": {"embedding": {"name": "x"}}})
        assert CLIPAdapter(replace(wrong, card=named)).dimension == 9


class TestFinding:
    def query(self, model: str) -> WeightsQuery:
        return WeightsQuery.for_model(model, (), ("CLIP_MODEL_PATH",))

    def test_one_path_names_both_towers(self, tmp_path: Path) -> None:
        for model, name in (("clip", "vision_encoder"), ("clip_text", "text_encoder")):
            write_network(model, tmp_path / f"{name}.onnx")
        for given in (tmp_path, tmp_path / "vision_encoder.onnx"):
            variable = ("CLIP_MODEL_PATH", str(given))
            found = [
                find_weights(self.query(model), variable=variable, models_dir=tmp_path / "x").path.name
                for model in ("clip", "clip_text")
            ]
            assert found == ["vision_encoder.onnx", "text_encoder.onnx"]

    def test_a_checkpoint_in_hugging_faces_cache_is_found_last(self, tmp_path: Path) -> None:
        home = tmp_path / "hub"
        snapshot = (
            home / "models--openai--clip-vit-large-patch14" / "snapshots" / "32bd64288804d66eefd0ccbe215aa642df71cc41"
        )
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
        (snapshot / "model.safetensors").touch()
        with pytest.raises(WeightsMissing):
            find_weights(self.query("clip"), models_dir=tmp_path / "x", hub_cache=home)
        refs = snapshot.parents[1] / "refs"
        refs.mkdir()
        (refs / "main").write_text(snapshot.name)
        for model in ("clip", "clip_text"):
            found = find_weights(self.query(model), models_dir=tmp_path / "x", hub_cache=home)
            assert (found.path, found.kind, found.how) == (snapshot, "checkpoint", "Hugging Face's cache")
        write_network("clip", tmp_path / "x" / "clip-vit-l" / "own.onnx")
        found = find_weights(self.query("clip"), models_dir=tmp_path / "x", hub_cache=home)
        assert found.path.name == "own.onnx"

    @pytest.mark.parametrize("revision", ["../..", "", "a/b", "\x00"])
    def test_a_reference_that_leads_elsewhere_is_passed_over(self, tmp_path: Path, revision: str) -> None:
        refs = tmp_path / "models--openai--clip-vit-large-patch14" / "refs"
        refs.mkdir(parents=True)
        (refs / "main").write_text(revision)
        with pytest.raises(WeightsMissing):
            find_weights(self.query("clip"), models_dir=tmp_path / "x", hub_cache=tmp_path)


def test_a_preprocessor_file_that_crops_is_followed(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "a.onnx", name="pixel_values", shape=("n", 3, 32, 32), output="image_embeds")
    for size, crop in ((32, 32), ({"shortest_edge": 32}, {"height": 32, "width": 32})):
        config = {
            "do_center_crop": True,
            "size": size,
            "crop_size": crop,
            "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3,
        }
        (tmp_path / "preprocessor_config.json").write_bytes(orjson.dumps(config))
        found = describe(path, SPEC.pixels).input
        assert (found.resize, found.size, found.mean) == ("crop", (32, 32), (0.5, 0.5, 0.5))
