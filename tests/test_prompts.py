"""Prompts: read once by the text tower, kept by its digest, and never taken for another checkpoint's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.adapter.prompts import PromptEmbeddings, Prompts, judged_by, prompt_embeddings
from hearthwatch.artifacts.card import Card
from hearthwatch.artifacts.graph import Graph
from hearthwatch.artifacts.lookup import find_weights
from hearthwatch.artifacts.search import WeightsQuery
from hearthwatch.artifacts.tokens import TextDescription, Vocabulary
from hearthwatch.enrichment.runner import ModelCall, Outcome
from hearthwatch.errors import InferenceFailed, LoadFailed, WeightsInvalid, WeightsMissing
from hearthwatch.hosting.local import LocalRunner
from hearthwatch.models import CLIPEmbeddingModel, ClothingClassifier, FashionTextModel
from hearthwatch.models.fashion_clip import ClothingAdapter
from hearthwatch.models.fashion_clip_text import SPEC as TEXT
from hearthwatch.models.fashion_clip_text import FashionTextAdapter
from hearthwatch.vision.boxes import Box
from hearthwatch.vision.embeddings import average_embedding, unit
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.picture import Picture
from made_up import write_network
from painted import WORN, person

THREE = Prompts(FashionTextAdapter, ("a {hat}", "a coat", "nothing"), ("a photo of {}", "{} at night"))


@dataclass(frozen=True)
class Sentence:
    embedding: Float
    truncated: bool = False


@dataclass
class Reader:
    """A text tower that counts, and whose embedding of a sentence is its own."""

    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, sentences: Sequence[str]) -> list[Sentence]:
        self.asked.append(list(sentences))
        return [Sentence(direction(sentence)) for sentence in sentences]


def direction(sentence: str) -> Float:
    seed = list(sentence.encode())
    return unit(np.random.default_rng(seed).standard_normal(8))


def tower(digest: str = "ab", **card: Any) -> TextDescription:
    graph = Graph(Path("text.onnx"), digest * 32, 1, (), (), {})
    tokens: Any = TEXT.input
    return TextDescription(graph, Card.model_validate(card), tokens, Vocabulary({}, ()))


def test_an_embedding_is_the_average_over_the_templates(tmp_path: Path) -> None:
    reader = Reader()
    found = prompt_embeddings(THREE, tower(space="made-up"), tmp_path, reader)
    assert reader.asked == [
        ["a photo of a {hat}", "a {hat} at night", "a photo of a coat", "a coat at night", "a photo of nothing",
         "nothing at night"]
    ]  # fmt: skip
    expected = [average_embedding([direction(s) for s in THREE.sentences(text)]) for text in THREE.texts]
    assert np.allclose(found.embeddings, expected, atol=1e-6)
    assert found.digest == "made-up"
    bare = prompt_embeddings(replace(THREE, templates=()), tower(), None, reader)
    assert np.allclose(bare.embeddings, [direction(text) for text in THREE.texts], atol=1e-6)
    assert bare.digest == f"sha256:{'ab' * 8}"


def test_texts_are_read_once_for_a_text_tower_and_anew_for_another_file(tmp_path: Path) -> None:
    reader = Reader()
    first = prompt_embeddings(THREE, tower(space="made-up"), tmp_path, reader)
    again = prompt_embeddings(THREE, tower(space="made-up"), tmp_path, reader)
    assert len(reader.asked) == 1
    assert np.array_equal(first.embeddings, again.embeddings)
    # The card still says the same of another file.
    prompt_embeddings(THREE, tower("cd", space="made-up"), tmp_path, reader)
    prompt_embeddings(replace(THREE, texts=("a cap", *THREE.texts[1:])), tower(space="made-up"), tmp_path, reader)
    prompt_embeddings(replace(THREE, templates=("{}",)), tower(space="made-up"), tmp_path, reader)
    assert len(reader.asked) == 4
    prompt_embeddings(THREE, tower(space="made-up"), None, reader)
    prompt_embeddings(THREE, tower(space="made-up"), None, reader)
    assert len(reader.asked) == 6  # nowhere to keep them


@pytest.mark.parametrize("damage", [b"", b"not numbers", b"short", b"nan"], ids=repr)
def test_what_is_damaged_is_read_again(damage: bytes, tmp_path: Path) -> None:
    reader = Reader()
    good = prompt_embeddings(THREE, tower(), tmp_path, reader).embeddings
    (kept,) = (tmp_path / "prompts").glob("*.npy")
    if damage == b"short":
        np.save(kept, good[:2])
    elif damage == b"nan":
        np.save(kept, np.full_like(good, np.nan))
    else:
        kept.write_bytes(damage)
    assert np.array_equal(prompt_embeddings(THREE, tower(), tmp_path, reader).embeddings, good)
    assert len(reader.asked) == 2
    assert np.array_equal(np.load(kept), good)


def test_a_cache_that_cannot_be_written_costs_time_and_no_answer(tmp_path: Path) -> None:
    (tmp_path / "prompts").write_text("a file where the folder would be")
    reader = Reader()
    first, second = (prompt_embeddings(THREE, tower(), tmp_path, reader) for _ in range(2))
    assert np.array_equal(first.embeddings, second.embeddings)
    assert len(reader.asked) == 2


def test_a_text_tower_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def fails(_sentences: Sequence[str]) -> list[Sentence]:
        raise LoadFailed("no engine could load it")

    with pytest.raises(LoadFailed, match="no engine"):
        prompt_embeddings(THREE, tower(), tmp_path, fails)
    reader = Reader()
    prompt_embeddings(THREE, tower(), tmp_path, reader)
    assert len(reader.asked) == 1


def test_a_conversion_is_judged_by_what_the_tower_says_without_prompts() -> None:
    assert judged_by(ClothingAdapter) is ClothingAdapter.BARE is CLIPEmbeddingModel.ADAPTER
    assert judged_by(FashionTextAdapter) is FashionTextAdapter


class TestLoading:
    """Made-up towers in a folder, loaded as they are by hand, by a runner and by a probe: through `load`."""

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        write_network("fashion_clip", tmp_path / "pair" / "vision.onnx")
        write_network("fashion_clip_text", tmp_path / "pair" / "text.onnx")
        return tmp_path / "pair"

    @staticmethod
    def options(folder: Path, steps: list[str], path: Path | None = None) -> LoadOptions:
        return LoadOptions(
            folder.parent / "gone", cache_dir=folder.parent / "cache", device="cpu", precision="f32",
            paths={"fashion_clip": path or folder}, progress=lambda model, step: steps.append(f"{model}: {step}"),
        )  # fmt: skip

    def test_the_text_tower_is_loaded_for_the_first_load_alone(self, folder: Path) -> None:
        steps: list[str] = []
        picture = Image.of(np.full((60, 40, 3), (170, 30, 30), np.uint8))
        answers = []
        for _ in range(2):
            loaded = load(ClothingAdapter, self.options(folder, steps))
            answers.append(loaded.predict([picture])[0][0].to_wire())
            loaded.close()
        assert steps == ["fashion_clip: reading 140 sentences, which happens once"]
        assert answers[0] == answers[1]
        assert answers[0]["color"] == "red"

    def test_a_runner_loads_it_on_demand_and_again_without_the_text_tower(self, folder: Path) -> None:
        steps: list[str] = []

        async def ask() -> list[Outcome]:
            async with LocalRunner(self.options(folder, steps), [ClothingAdapter]) as runner:
                call = ModelCall("fashion_clip", Picture.of(Image.of(person(WORN["blue"]))), (Box(5, 5, 75, 195),))
                first = await runner.run(call)
                await runner.manager.unload_model("fashion_clip")
                return first + await runner.run(call)

        outcomes = asyncio.run(ask())
        assert [outcome.error for outcome in outcomes] == [None, None]
        assert outcomes[0].result == outcomes[1].result
        assert outcomes[0].result.color == "blue"
        assert len(steps) == 1

    def test_the_vision_towers_file_names_the_pair(self, folder: Path) -> None:
        loaded = load(ClothingAdapter, self.options(folder, [], folder / "vision.onnx"))
        loaded.close()

    def test_towers_that_do_not_say_that_they_belong_together_are_refused(self, folder: Path) -> None:
        write_network("fashion_clip_text", folder / "text.onnx", space="another")
        with pytest.raises(WeightsInvalid, match=r"made-up.*another.*one checkpoint"):
            load(ClothingAdapter, self.options(folder, []))

    def test_a_vision_tower_without_its_text_tower_says_so(self, folder: Path) -> None:
        for file in folder.glob("text.*"):
            file.unlink()
        with pytest.raises(WeightsInvalid, match="the tower that reads them is not there: no weights"):
            load(ClothingAdapter, self.options(folder, []))

    def test_without_any_weights_nobody_installed_it(self, tmp_path: Path) -> None:
        with pytest.raises(WeightsMissing) as missing:
            load(ClothingAdapter, LoadOptions(tmp_path))
        assert (missing.value.model, missing.value.named) == ("fashion_clip", False)

    def test_by_hand_both_towers_come_from_the_path_that_is_given(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HEARTHWATCH_CACHE_DIR", str(folder.parent / "cache"))
        monkeypatch.setenv("HEARTHWATCH_PRECISION", "f32")
        monkeypatch.setenv("CLOTHING_MODEL_PATH", str(folder.parent / "gone"))
        model = ClothingClassifier(folder)
        model.precompute_embeddings()
        answer = model.classify(np.full((60, 40, 3), 90, np.uint8))
        assert set(answer) == {"suspicious", "delivery", "utility", "carrying", "casual"}
        assert set(answer["casual"]) == {"top_match", "confidence", "all_scores"}
        model.unload()
        texts = FashionTextModel(folder)
        assert texts.embed_texts(["a red coat"])[0].digest == "made-up"
        texts.unload()


class TestKin:
    """Files that say that they are CLIP's serve where somebody names them, and as samples; nowhere else."""

    @pytest.fixture
    def clip(self, tmp_path: Path) -> Path:
        write_network("clip", tmp_path / "any" / "a.onnx")
        write_network("clip_text", tmp_path / "any" / "b.onnx")
        return tmp_path / "any"

    @staticmethod
    def query(model: Any) -> WeightsQuery:
        spec = model.SPEC
        return WeightsQuery.for_model(spec.name, spec.aliases, spec.path_variables, spec.kin)

    @pytest.mark.parametrize("named", ["", "a.onnx"])
    def test_a_clip_that_is_named_serves_with_both_towers(self, named: str, clip: Path, tmp_path: Path) -> None:
        for model, file in ((ClothingAdapter, "a.onnx"), (FashionTextAdapter, "b.onnx")):
            found = find_weights(self.query(model), explicit=clip / named, models_dir=tmp_path / "gone")
            assert found.path == clip / file

    def test_its_own_towers_come_first(self, clip: Path, tmp_path: Path) -> None:
        write_network("fashion_clip", clip / "c.onnx")
        write_network("fashion_clip_text", clip / "d.onnx")
        for named in (clip, clip / "c.onnx"):
            found = find_weights(self.query(FashionTextAdapter), explicit=named, models_dir=tmp_path / "gone")
            assert found.path == clip / "d.onnx"

    def test_a_clip_that_nobody_named_is_left_to_clip(self, clip: Path) -> None:
        with pytest.raises(WeightsMissing):
            find_weights(self.query(ClothingAdapter), models_dir=clip)

    def test_clips_sample_is_its_sample_where_it_has_none_of_its_own(self, tmp_path: Path) -> None:
        samples = tmp_path / "samples"
        write_network("clip", samples / "clip.onnx", weights="sample")
        write_network("clip_text", samples / "clip_text.onnx", weights="sample")
        options = LoadOptions(
            tmp_path / "gone", cache_dir=tmp_path / "cache", device="cpu", precision="f32", weights="sample",
            samples_dir=samples,
        )  # fmt: skip
        loaded = load(ClothingAdapter, options)
        assert loaded.weights == "sample"
        loaded.close()
        write_network("fashion_clip", samples / "fashion_clip.onnx", weights="sample")
        own = find_weights(self.query(ClothingAdapter), models_dir=tmp_path, weights="sample", samples_dir=samples)
        assert own.path == samples / "fashion_clip.onnx"
        with pytest.raises(WeightsMissing, match="clip_text") as missing:
            find_weights(self.query(FashionTextAdapter), models_dir=tmp_path, weights="sample", samples_dir=tmp_path)
        assert missing.value.sample


def test_without_its_prompts_a_model_has_no_answer() -> None:
    from test_models_contract import Network, made_up

    adapter = ClothingAdapter(made_up(ClothingAdapter))
    with pytest.raises(InferenceFailed, match="was not given the texts"):
        adapter.predict([Image.of(np.zeros((8, 8, 3), np.uint8))], Network(ClothingAdapter))
    with pytest.raises(WeightsInvalid, match="numbers"):
        adapter.compare_with(PromptEmbeddings(np.eye(28, 5, dtype=np.float32), adapter.space[0]))
