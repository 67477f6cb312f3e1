"""CLIP's towers against transformers: the torch networks, the converted graphs, and the softmax over labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from benchmarks.clip_checkpoint import byte_vocabulary
from PIL import Image as PILImage

from hearthwatch.adapter.clip_tokenizer import ClipTokenizer
from hearthwatch.adapter.conversion import convert
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.artifacts.tokens import parse_vocabulary, read_vocabulary
from hearthwatch.errors import WeightsInvalid
from hearthwatch.models.clip import CLIP_MEAN, CLIP_STD, CLIPAdapter, class_scores
from hearthwatch.models.clip_text import CLIPTextAdapter
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.pytorch import PyTorchEngine
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.preprocess import to_batch
from small_clip import TINY, VIT_L_14, Array, Size, config, tensors, write_checkpoint
from small_networks import smallest_cosine

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
REASON = "transformers is the reference here and not among the project's requirements"

from hearthwatch.networks import build_network  # noqa: E402

TEXTS = ["a person", "An EMPTY porch, at night", "x" * 200, "", "the quick brown fox", "a person with a box"]
WORDS = (
    "person box Hoodie don't it's they're 2024 3.14 café naïve Straße İstanbul façade кошка 猫 犬小屋 नमस्ते مرحبا "
    "🐈 👩\u200d👩\u200d👧 🏳️\u200d🌈 e\u0301 ﬁ ½ ² … “quoted” — <|endoftext|> <|startoftext|> </w> a_b x@y.z #1 $5 "
    "100% ''' 'S ǅ ß"
)
VARIANTS = {
    "tiny": TINY,
    "gelu": replace(TINY, activation="gelu"),
    "the end token as old configs have it": replace(TINY, end=2),
    "oblong heads": replace(TINY, vision=replace(TINY.vision, heads=2), text=replace(TINY.text, heads=8)),
}


def pictures(count: int = 4, side: int = 90) -> list[Image]:
    """Pictures of different shapes with something in them."""
    random = np.random.default_rng(3)
    made = []
    for index in range(count):
        coarse = random.integers(0, 256, (6, 6 + index, 3)).astype(np.uint8)
        made.append(Image.of(np.kron(coarse, np.ones((side // 6, side // 6, 1), np.uint8))))
    return made


def reference(size: Size, weights: dict[str, Array]) -> Any:
    """transformers' own network with these weights."""
    transformers = pytest.importorskip("transformers", reason=REASON)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.device("meta"):
            network = transformers.CLIPModel(transformers.CLIPConfig(**config(size)))
        network.to_empty(device="cpu")
        for module in network.modules():  # buffers that no file holds
            if hasattr(module, "position_ids"):
                count = module.position_embedding.num_embeddings
                module.position_ids = torch.arange(count)[None]
        network.load_state_dict({key: torch.from_numpy(array) for key, array in weights.items()}, strict=True)
    return network.eval()


def pixels_of(images: list[Image], size: Size) -> Any:
    """The reference's own preprocessing."""
    processing = pytest.importorskip("transformers.models.clip.image_processing_pil_clip", reason=REASON)
    processor = processing.CLIPImageProcessorPil(
        size={"shortest_edge": size.side}, crop_size={"height": size.side, "width": size.side}
    )
    return processor(images=[image.pixels for image in images], return_tensors="pt")["pixel_values"]


def ids_of(texts: list[str], files: tuple[str, str]) -> Any:
    """Token numbers and mask of the reference's own tokeniser."""
    transformers = pytest.importorskip("transformers", reason=REASON)
    merges = [tuple(line.split()) for line in files[1].splitlines()[1:] if line]
    tokenizer = transformers.CLIPTokenizer(vocab=orjson.loads(files[0]), merges=merges)
    return tokenizer(texts, padding="max_length", truncation=True, max_length=77, return_tensors="pt")


def features(answer: Any) -> Float:
    """The embeddings of what `get_image_features` gives, in every release of transformers."""
    pooled = getattr(answer, "pooler_output", answer)
    found: Float = pooled.detach().numpy()
    return found


@pytest.mark.parametrize("size", VARIANTS.values(), ids=VARIANTS)
def test_both_towers_are_those_of_the_reference(size: Size) -> None:
    weights = tensors(size)
    theirs = reference(size, weights)
    images, tokens = pixels_of(pictures(), size), ids_of(TEXTS, byte_vocabulary())
    with torch.inference_mode():
        ours = {
            tower: build_network(weights, config=config(size), tower=tower, file="a folder").module
            for tower in ("vision", "text")
        }
        seen, read = ours["vision"](images).numpy(), ours["text"](tokens["input_ids"]).numpy()
        expected = features(theirs.get_image_features(images))
        said = features(theirs.get_text_features(**tokens))
    assert np.abs(seen - expected).max() < 1e-4
    assert np.abs(read - said).max() < 1e-4
    assert smallest_cosine(expected[:1], expected[1:2]) < 0.99  # another picture has another answer


def loaded(adapter: Any, folder: Path, cache: Path, engine: Any, *, precision: Any = "f32") -> LoadedModel:
    options = LoadOptions(folder, cache_dir=cache, device="cpu", precision=precision, engines=[engine])
    return load(adapter, replace(options, paths={adapter.SPEC.name: folder}))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "clip-vit-l")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("engine", [OpenVINOEngine(), ONNXRuntimeEngine(), PyTorchEngine()], ids=lambda e: e.name)
def test_a_folder_becomes_two_models_that_agree_with_the_reference_on_every_engine(
    engine: Any, tiny: Path, cache: Path
) -> None:
    theirs = reference(TINY, tensors(TINY))
    images = pictures()
    with torch.inference_mode():
        expected = features(theirs.get_image_features(pixels_of(images, TINY)))
        said = features(theirs.get_text_features(**ids_of(TEXTS, byte_vocabulary())))
    vision, text = (loaded(adapter, tiny, cache, engine) for adapter in (CLIPAdapter, CLIPTextAdapter))
    seen, read = vision.predict(images)[0], text.read(TEXTS)[0]
    assert vision.info.engine == text.info.engine == engine.name
    assert smallest_cosine(np.stack([result.embedding for result in seen]), expected) >= 0.9999
    assert smallest_cosine(np.stack([result.embedding for result in read]), said) >= 0.9999
    # Where no text is long, the network reads short rows: all the same.
    short = text.read([TEXTS[0], TEXTS[3]])[0]
    assert smallest_cosine(np.stack([result.embedding for result in short]), said[[0, 3]]) >= 0.9999
    assert [result.truncated for result in read] == [False, False, True, False, False, False]
    assert {result.digest for result in (*seen, *read)} == {seen[0].digest}
    assert seen[0].network == "clip-vit-48x2-patch8-32"
    assert seen[0].logit_scale == pytest.approx(100.0, rel=1e-3)


def test_scores_of_labels_are_the_softmax_of_the_reference(tiny: Path, cache: Path) -> None:
    theirs = reference(TINY, tensors(TINY))
    images, labels = pictures(), TEXTS[:2] + TEXTS[4:]
    with torch.inference_mode():
        tokens = ids_of(labels, byte_vocabulary())
        expected = theirs(pixel_values=pixels_of(images, TINY), **tokens).logits_per_image.softmax(dim=1).numpy()
    vision, text = (loaded(adapter, tiny, cache, OpenVINOEngine()) for adapter in (CLIPAdapter, CLIPTextAdapter))
    texts = np.stack([result.embedding for result in text.read(labels)[0]])
    for result, row in zip(vision.predict(images)[0], expected, strict=True):
        assert np.abs(class_scores(result.embedding, texts, result.logit_scale) - row).max() < 1e-3
    assert np.ptp(expected) > 0.1  # they differ, or nothing was compared


@pytest.mark.weights
def test_token_numbers_are_those_of_the_reference_on_a_thousand_strings(assets: Path) -> None:
    folder = assets / "weights" / "clip-tokenizer"
    files = read_vocabulary(folder)
    assert files is not None
    texts = strings(1000)
    expected = ids_of(texts, files)
    tokenizer = ClipTokenizer(parse_vocabulary(*files, folder), 77)
    ours = tokenizer.encode(texts)
    wrong = [text for text, a, b in zip(texts, ours.ids, expected["input_ids"].numpy(), strict=True) if (a != b).any()]
    assert not wrong
    assert (ours.mask == expected["attention_mask"].numpy()).all()
    assert sum(ours.truncated) > 50
    assert tokenizer.encode(["a photo of a cat"]).ids[0, 1:6].tolist() == [320, 1125, 539, 320, 2368]


def strings(count: int) -> list[str]:
    """Sentences, short and long, with emoji, accents, other scripts, odd white space and what looks special."""
    random = np.random.default_rng(11)
    spaces = ["\t", "\n", "\u00a0", "\u2003", "\u200b", "\x00", "\x1f"]
    words = [*WORDS.split(), *spaces]
    made = ["", " ", "\n\t ", *words, "word " * 200, "🐈 " * 120, "é" * 300]
    while len(made) < count:
        length = int(random.choice([1, 2, 3, 5, 8, 20, 200], p=[0.1, 0.1, 0.2, 0.2, 0.2, 0.1, 0.1]))
        chosen = [words[index] for index in random.integers(0, len(words), length)]
        made.append(random.choice(["", " ", "  "]) + random.choice([" ", "", "  "]).join(chosen))
    return made[:count]


def test_pixels_are_those_of_the_reference(astronaut: Image) -> None:
    spec = CLIPAdapter.SPEC.pixels
    level = 1 / 255 / min(spec.std)
    photograph = PILImage.fromarray(astronaut.pixels)
    for rows, columns in ((224, 224), (300, 400), (401, 299), (1080, 1920), (37, 53), (224, 225), (100, 1500), (5, 4)):
        image = Image.of(np.asarray(photograph.resize((columns, rows), PILImage.Resampling.BICUBIC)))
        off = np.abs(np.asarray(to_batch([image], spec)) - pixels_of([image], VIT_L_14).numpy()) / level
        assert off.max() < 5, (rows, columns)
        assert off.mean() < 0.2, (rows, columns)
        assert (off > 1.01).mean() < 1e-3, (rows, columns)


class TestRefusals:
    @pytest.mark.parametrize("adapter", [CLIPAdapter, CLIPTextAdapter])
    def test_a_checkpoint_without_its_config(self, adapter: Any, tmp_path: Path) -> None:
        folder = write_checkpoint(tmp_path / "a", without=("config.json",))
        with pytest.raises(WeightsInvalid, match=r"config\.json"):
            convert(folder, tmp_path / "b.onnx", adapter)
        assert not list(tmp_path.glob("b*"))

    def test_a_text_tower_without_its_vocabulary(self, tmp_path: Path) -> None:
        folder = write_checkpoint(tmp_path / "a", without=("merges.txt",))
        with pytest.raises(WeightsInvalid, match=r"vocab\.json and merges\.txt"):
            convert(folder, tmp_path / "b.onnx", CLIPTextAdapter)

    def test_a_vocabulary_that_is_larger_than_the_network(self, tmp_path: Path) -> None:
        small = replace(TINY, tokens=TINY.tokens - 1)
        folder = write_checkpoint(tmp_path / "a", small)
        with pytest.raises(WeightsInvalid, match="tokens"):
            convert(folder, tmp_path / "b.onnx", CLIPTextAdapter)

    @pytest.mark.parametrize(
        ("part", "change", "words"),
        [
            ("vision_config", {"image_size": 40}, "positions"),
            ("vision_config", {"num_attention_heads": 5}, "heads"),
            ("vision_config", {"hidden_act": "relu"}, "quick_gelu"),
            ("vision_config", {"num_attention_heads": True}, "num_attention_heads"),
            ("vision_config", {"layer_norm_eps": 7}, "epsilon"),
        ],
    )
    def test_a_config_of_another_network(self, part: str, change: dict[str, Any], words: str) -> None:
        wrong = config(TINY)
        wrong[part] |= change
        with pytest.raises(WeightsInvalid, match=words):
            build_network(tensors(TINY), config=wrong, tower="vision", file="a folder")

    def test_one_tower_alone_serves_that_tower(self) -> None:
        only = {key: array for key, array in tensors(TINY).items() if key.startswith(("vision", "visual"))}
        assert build_network(only, config=config(TINY)["vision_config"], file="f").kind == "clip-vision"
        with pytest.raises(WeightsInvalid, match="text tower"):
            build_network(only, config=config(TINY), tower="text", file="f")

    @pytest.mark.parametrize("key", ["visual_projection.weight", "vision_model.encoder.layers.1.mlp.fc2.bias"])
    def test_tensors_that_are_missing_or_of_another_shape(self, key: str) -> None:
        weights = tensors(TINY)
        for changed in (
            {name: array for name, array in weights.items() if name != key},
            weights | {key: np.zeros((3, 3), np.float32)},
        ):
            with pytest.raises(WeightsInvalid, match="f is no CLIP"):
                build_network(changed, config=config(TINY), tower="vision", file="f")


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Array]]]:
    """The real ViT-L/14's size, seeded: 1.7 GB, which is removed again."""
    folder = tmp_path_factory.mktemp("large") / "clip-vit-l"
    weights = tensors(VIT_L_14)
    yield write_checkpoint(folder, VIT_L_14, weights, files=byte_vocabulary(VIT_L_14.tokens)), weights
    (folder / "model.safetensors").unlink()


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_real_size_agrees_with_the_reference(large: tuple[Path, dict[str, Array]], tmp_path: Path) -> None:
    folder, weights = large
    theirs = reference(VIT_L_14, weights)
    images, texts = pictures(2, 240), TEXTS[:4]
    with torch.inference_mode():
        expected = features(theirs.get_image_features(pixels_of(images, VIT_L_14)))
        said = features(theirs.get_text_features(**ids_of(texts, byte_vocabulary(VIT_L_14.tokens))))
    del theirs
    weights.clear()
    engine = ENGINES[0]
    for precision, least in (("f32", 0.9999), (engine.precisions("cpu")[0], 0.999)):
        vision = loaded(CLIPAdapter, folder, tmp_path, engine, precision=precision)
        seen = np.stack([result.embedding for result in vision.predict(images)[0]])
        assert vision.info.precision == precision
        vision.close()
        assert seen.shape == (2, 768)
        assert smallest_cosine(seen, expected) >= least
        text = loaded(CLIPTextAdapter, folder, tmp_path, engine, precision=precision)
        read = np.stack([result.embedding for result in text.read(texts)[0]])
        text.close()
        assert smallest_cosine(read, said) >= least
    assert (CLIPAdapter.SPEC.pixels.mean, CLIPAdapter.SPEC.pixels.std) == (CLIP_MEAN, CLIP_STD)
