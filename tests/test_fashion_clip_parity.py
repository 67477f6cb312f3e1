"""What people wear against transformers: the crops, both towers, the averaged prompts and the groups' softmax."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks.clip_checkpoint import byte_vocabulary
from PIL import Image as PILImage

from hearthwatch.adapter.conversion import convert
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.models import ENHANCED_CLOTHING_PROMPTS
from hearthwatch.models.clip import PADDING
from hearthwatch.models.fashion_clip import SPEC, ClothingAdapter
from hearthwatch.models.fashion_clip_text import FashionTextAdapter
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.pytorch import PyTorchEngine
from hearthwatch.runtimes.select import ENGINES
from hearthwatch.vision.crops import pad_to_square
from hearthwatch.vision.image import Float, Image
from small_clip import TINY, VIT_B_32, Array, Size, tensors, write_checkpoint
from small_networks import smallest_cosine
from test_clip_parity import features, ids_of, pixels_of, reference

torch = pytest.importorskip("torch", reason="the extra torch is not installed")


def people(astronaut: Image, count: int = 3) -> list[Image]:
    """Crops of a photograph of a person, upright, wide and square, as a detector would give them."""
    parts = (slice(0, 512), slice(120, 330)), (slice(40, 240), slice(0, 512)), (slice(0, 300), slice(100, 400))
    return [Image.of(np.ascontiguousarray(astronaut.pixels[part])) for part in parts[:count]]


def squares(images: list[Image]) -> list[Image]:
    return [pad_to_square(image, PADDING) for image in images]


def prompts_of(theirs: Any, size: Size) -> Float:
    """(28, D): each prompt as the reference embeds it in every template, averaged as the document does."""
    prompts = ClothingAdapter.PROMPTS
    rows = []
    for text in prompts.texts:
        tokens = ids_of(list(prompts.sentences(text)), byte_vocabulary(size.tokens))
        with torch.inference_mode():
            embedded = features(theirs.get_text_features(**tokens))
        rows.append((embedded / np.linalg.norm(embedded, axis=1, keepdims=True)).mean(axis=0))
    return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)


def shares_of(theirs: Any, seen: Float, texts: Float) -> dict[str, Float]:
    """(N, prompts) by group: the reference's own logits, and a softmax over the group's prompts and the casual ones."""
    scale = float(theirs.logit_scale.detach().exp())
    logits = torch.from_numpy(scale * (seen / np.linalg.norm(seen, axis=1, keepdims=True)) @ texts.T)
    ends = np.cumsum([len(prompts) for prompts in ENHANCED_CLOTHING_PROMPTS.values()])
    columns = dict(zip(ENHANCED_CLOTHING_PROMPTS, np.split(np.arange(ends[-1]), ends[:-1]), strict=True))
    shares = {}
    for group, own in columns.items():
        if group != "casual":
            both = logits[:, np.concatenate([own, columns["casual"]])].softmax(dim=1).numpy()
            shares[group] = both[:, : len(own)]
    return shares


def loaded(folder: Path, cache: Path, engine: Any, precision: Any = "f32") -> LoadedModel:
    options = LoadOptions(folder, cache_dir=cache, device="cpu", precision=precision, engines=[engine])
    return load(ClothingAdapter, replace(options, paths={"fashion_clip": folder}))


def embeddings(model: LoadedModel, images: list[Image]) -> Float:
    adapter: Any = model.adapter
    return np.asarray(model.runtime.run(adapter.preprocess(images))["image_embeds"], np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("tiny") / "fashion-clip")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def compare(model: LoadedModel, theirs: Any, texts: Float, images: list[Image], size: Size, least: float) -> None:
    """A model with the reference's own answers about the same pictures."""
    expected = seen_by(theirs, images, size)
    agree(model, expected, shares_of(theirs, expected, texts), texts, images, least)


def seen_by(theirs: Any, images: list[Image], size: Size) -> Float:
    """(N, D): the pictures as the reference embeds them."""
    with torch.inference_mode():
        return features(theirs.get_image_features(pixels_of(squares(images), size)))


def agree(
    model: LoadedModel, expected: Float, shares: dict[str, Float], texts: Float, images: list[Image], least: float
) -> None:
    """Embeddings by cosine, and of every group the label and the shares."""
    assert smallest_cosine(embeddings(model, images), expected) >= least
    adapter: Any = model.adapter
    assert smallest_cosine(adapter.texts, texts) >= least
    for row, found in enumerate(model.predict(images)[0]):
        for group, all_shares in shares.items():
            own, match = all_shares[row], found.categories[group]
            assert match.top_match == ENHANCED_CLOTHING_PROMPTS[group][int(own.argmax())]
            # What the model's own agreement allows of bf16; float32 is nearer.
            allowed = 2e-3 if least > 0.999 else 1 - SPEC.agreement.at_least
            assert list(match.all_scores.values()) == pytest.approx(own.tolist(), abs=allowed)
            assert match.confidence == pytest.approx(float(own.sum()), abs=allowed)


@pytest.mark.parametrize("engine", [OpenVINOEngine(), ONNXRuntimeEngine(), PyTorchEngine()], ids=lambda e: e.name)
def test_a_folder_says_what_the_reference_says_on_every_engine(
    engine: Any, tiny: Path, cache: Path, astronaut: Image
) -> None:
    theirs = reference(TINY, tensors(TINY))
    model = loaded(tiny, cache, engine)
    assert model.info.engine == engine.name
    compare(model, theirs, prompts_of(theirs, TINY), people(astronaut), TINY, 0.9999)
    model.close()


def test_pixels_are_those_of_the_reference(tiny: Path, cache: Path, astronaut: Image) -> None:
    """Of the documented size, and of crops of many shapes, each padded to a square first."""
    spec = SPEC.pixels
    level = 1 / 255 / min(spec.std)
    model = loaded(tiny, cache, OpenVINOEngine())
    adapter: Any = model.adapter
    adapter.input = spec  # the tiny network's is smaller
    photograph = PILImage.fromarray(astronaut.pixels)
    for rows, columns in ((224, 224), (300, 120), (121, 299), (1080, 500), (37, 53), (5, 4)):
        image = Image.of(np.asarray(photograph.resize((columns, rows), PILImage.Resampling.BICUBIC)))
        ours = np.asarray(adapter.preprocess([image])["pixel_values"])
        off = np.abs(ours - pixels_of(squares([image]), VIT_B_32).numpy()) / level
        assert off.mean() < 0.2, (rows, columns)
        assert (off > 1.01).mean() < 1e-3, (rows, columns)
    model.close()


def test_both_towers_are_converted_by_their_names(tiny: Path, tmp_path: Path, astronaut: Image) -> None:
    for name, adapter in (("vision", ClothingAdapter), ("text", FashionTextAdapter)):
        found = convert(tiny, tmp_path / "out" / f"{name}.onnx", adapter)
        assert found.kind == f"clip-{name}"
        assert found.agreement is not None
        assert found.agreement > 0.9999
    options = LoadOptions(tmp_path / "gone", device="cpu", precision="f32", paths={"fashion_clip": tmp_path / "out"})
    model = load(ClothingAdapter, options)
    assert len(model.predict(people(astronaut))[0]) == 3
    model.close()


@pytest.fixture(scope="module")
def real_size(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Array]]:
    """The real ViT-B/32's size, seeded: 605 MB, which pytest removes with its folders."""
    weights = tensors(VIT_B_32)
    folder = tmp_path_factory.mktemp("real") / "fashion-clip"
    return write_checkpoint(folder, VIT_B_32, weights, files=byte_vocabulary(VIT_B_32.tokens)), weights


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_real_size_agrees_with_the_reference(
    real_size: tuple[Path, dict[str, Array]], tmp_path: Path, astronaut: Image
) -> None:
    folder, weights = real_size
    theirs = reference(VIT_B_32, weights)
    texts, images = prompts_of(theirs, VIT_B_32), people(astronaut, 2)
    expected = seen_by(theirs, images, VIT_B_32)
    shares = shares_of(theirs, expected, texts)
    del theirs
    weights.clear()
    engine = ENGINES[0]
    for precision, least in (("f32", 0.9999), (engine.precisions("cpu")[0], 0.999)):
        model = loaded(folder, tmp_path, engine, precision)
        assert model.info.precision == precision
        assert embeddings(model, images).shape == (2, 512)
        agree(model, expected, shares, texts, images, least)
        model.close()
