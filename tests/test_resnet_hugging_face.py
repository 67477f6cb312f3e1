"""ResNets under transformers' names: the same network as under torchvision's, and as transformers' own."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.errors import WeightsInvalid
from hearthwatch.models.pet_classifier import PetAdapter
from hearthwatch.vision.image import Image

torch = pytest.importorskip("torch", reason="the extra torch is not installed")

from hearthwatch.networks import build_network  # noqa: E402
from hearthwatch.networks.resnet import create_resnet, torchvision_names  # noqa: E402

Arrays = dict[str, np.ndarray[Any, Any]]


def hugging_face_name(key: str) -> str:
    """torchvision's name as transformers has it: the rule of the converter, written the other way round."""
    parts = key.split(".")
    kinds = {"conv": "convolution", "bn": "normalization"}
    if not parts[0].startswith("layer"):
        kind = kinds[parts[0].rstrip("1")] if parts[0] != "fc" else ""
        return f"classifier.1.{parts[1]}" if parts[0] == "fc" else f"resnet.embedder.embedder.{kind}.{parts[1]}"
    stage, block, rest = int(parts[0][5:]) - 1, parts[1], parts[2:]
    start = f"resnet.encoder.stages.{stage}.layers.{block}"
    if rest[0] == "downsample":
        return f"{start}.shortcut.{('convolution', 'normalization')[int(rest[1])]}.{rest[2]}"
    return f"{start}.layer.{int(rest[0][-1]) - 1}.{kinds[rest[0][:-1]]}.{rest[1]}"


def seeded(module: Any) -> Arrays:
    """Seeded weights by a module's own names, of a size at which nothing overflows and nothing vanishes."""
    random = np.random.default_rng(7)
    tensors: Arrays = {}
    for key, slot in module.state_dict().items():
        if key.endswith("num_batches_tracked"):
            continue
        if slot.ndim > 1:
            values = random.normal(0, (2 / np.prod(slot.shape[1:])) ** 0.5, slot.shape)
        else:
            values = (
                random.uniform(0.5, 1.0, slot.shape)
                if key.endswith(("weight", "var"))
                else random.normal(0, 0.1, slot.shape)
            )
        tensors[key] = values.astype(np.float32)
    return tensors


def noise(batch: int) -> Any:
    return torch.from_numpy(np.random.default_rng(1).normal(0, 1, (batch, 3, 64, 64)).astype(np.float32))


@pytest.mark.parametrize("depth", [18, 50])
def test_both_names_make_the_same_network(depth: int) -> None:
    tensors = seeded(create_resnet(depth, 3))
    theirs = {hugging_face_name(key): array for key, array in tensors.items()}
    assert torchvision_names(theirs).keys() == tensors.keys()
    ours, renamed = build_network(tensors, file="a.pth"), build_network(theirs, file="a folder")
    assert renamed.kind == "resnet"
    with torch.inference_mode():
        assert torch.equal(ours.module(noise(2)), renamed.module(noise(2)))


def test_a_name_that_the_network_does_not_have_is_named() -> None:
    tensors = {hugging_face_name(key): array for key, array in seeded(create_resnet(18, 2)).items()}
    tensors["resnet.encoder.stages.0.layers.0.attention.weight"] = np.zeros((2, 2), np.float32)
    with pytest.raises(WeightsInvalid, match="attention"):
        build_network(tensors, file="a folder")


def reference(depth: int) -> Any:
    """transformers' own network with seeded weights."""
    transformers = pytest.importorskip(
        "transformers", reason="transformers is the reference here and not among the project's requirements"
    )
    sizes = (64, 128, 256, 512) if depth == 18 else (256, 512, 1024, 2048)
    blocks, kind = ((2, 2, 2, 2), "basic") if depth == 18 else ((3, 4, 6, 3), "bottleneck")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = transformers.ResNetConfig(
            depths=list(blocks), hidden_sizes=list(sizes), layer_type=kind, id2label={0: "cat", 1: "dog"}
        )
        network = transformers.ResNetForImageClassification(config).eval()
    state = {key: torch.from_numpy(array) for key, array in seeded(network).items()}
    network.load_state_dict(state, strict=False)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("depth", [18, 50])
def test_transformers_own_network_gives_the_same_logits(depth: int) -> None:
    network = reference(depth)
    tensors = {key: tensor.numpy() for key, tensor in network.state_dict().items()}
    with torch.inference_mode():
        theirs = network(noise(3)).logits
        ours = build_network(tensors, file="a folder").module(noise(3))
    assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-5


@pytest.mark.slow
def test_a_folder_of_a_pet_classifier_is_converted_and_answers(tmp_path: Path) -> None:
    folder = tmp_path / "pet-classifier"
    folder.mkdir()
    module = create_resnet(18, 2)
    tensors = {hugging_face_name(key): torch.from_numpy(array) for key, array in seeded(module).items()}
    torch.save(tensors, folder / "pytorch_model.bin")
    labels = {"0": "dog", "1": "cat"}
    config = {"architectures": ["ResNetForImageClassification"], "model_type": "resnet", "id2label": labels}
    (folder / "config.json").write_text(json.dumps(config))
    loaded = load(PetAdapter, LoadOptions(models_dir=tmp_path, cache_dir=tmp_path / "cache", precision="f32"))
    try:
        pictures = [Image.of(np.full((50, 50, 3), shade, np.uint8)) for shade in (0, 128, 255)]
        answers = loaded.predict(pictures)[0]
    finally:
        loaded.close()
    assert len(answers) == 3
    assert all(answer.breed == "unknown" and 0.5 <= answer.confidence <= 1 for answer in answers)
