"""Whole classifiers beside transformers: its processor and its network on one side, a folder of ours on the other.

Real sizes and seeded weights: preprocessing, conversion, engine and labels as one. Networks with random weights hardly
prefer any class, so the last layer is made steep enough that labels mean something.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.adapter.base import Adapter
from hearthwatch.adapter.loaded import LoadedModel
from hearthwatch.adapter.loading import load
from hearthwatch.adapter.options import LoadOptions
from hearthwatch.models import get_model
from hearthwatch.models.vehicle_classifier import MIO_TCD, NO_VEHICLE, UNKNOWN
from hearthwatch.vision.decode import to_image
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.preprocess import to_batch
from test_ages import FAIRFACE
from test_weather_classifier import PUBLISHED as WEATHER

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
transformers = pytest.importorskip(
    "transformers", reason="transformers is the reference here and not among the project's requirements"
)

pytestmark = pytest.mark.slow

PICTURES = Path(__file__).parents[1] / "src/hearthwatch/adapter/pictures"
VIT = {
    "config": "ViTConfig",
    "network": "ViTForImageClassification",
    "processor": ("transformers.models.vit.image_processing_pil_vit", "ViTImageProcessorPil"),
    "settings": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3},
}
SIGLIP = {
    "config": "SiglipConfig",
    "network": "SiglipForImageClassification",
    "processor": ("transformers.models.siglip.image_processing_pil_siglip", "SiglipImageProcessorPil"),
    # Of SigLIP 2: bilinear, where SigLIP is bicubic.
    "settings": {"resample": 2},
}
RESNET = {
    "config": "ResNetConfig",
    "network": "ResNetForImageClassification",
    "processor": ("transformers.models.convnext.image_processing_pil_convnext", "ConvNextImageProcessorPil"),
    "settings": {"size": {"shortest_edge": 224}, "crop_pct": 0.875},
}


def pictures() -> list[Image]:
    """A photograph, parts of it in several shapes, and waves."""
    whole = to_image(PICTURES / "astronaut.jpg").pixels
    parts = [whole, whole[:300, 100:420], whole[200:400], whole[:, 60:200], whole[::-1, ::3]]
    y, x = np.mgrid[0:180, 0:320]
    waves = np.stack([np.sin(x / 17), np.cos(y / 23), np.sin((x + y) / 31)], axis=2)
    return [*map(Image.of, parts), Image.of((127.5 + 127 * waves).astype(np.uint8))]


def reference(kind: dict[str, Any], labels: tuple[str, ...], folder: Path) -> tuple[Any, Any]:
    """transformers' network with seeded weights, and its processor, both saved into the folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(11)
        config = getattr(transformers, kind["config"])(id2label=dict(enumerate(labels)))
        network = getattr(transformers, kind["network"])(config).eval()
        for name, tensor in network.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2.0)
            elif name.endswith(
                ("running_mean", "bias", "position_embeddings", "position_embedding.weight", "cls_token")
            ):
                tensor.normal_(0.0, 0.2)
        network.save_pretrained(folder)
    module, name = kind["processor"]
    processor = getattr(__import__(module, fromlist=[name]), name)(**kind["settings"])
    processor.save_pretrained(folder)
    return network, processor


def steepened(network: Any, inputs: Any, folder: Path) -> Float:
    """Its logits on these pictures, after its last layer was changed so that they differ between pictures."""
    last = next(module for module in reversed(list(network.modules())) if isinstance(module, torch.nn.Linear))
    with torch.inference_mode():
        logits = network(inputs).logits
    with torch.no_grad():
        last.bias -= logits.mean(dim=0)
        factor = 3.0 / logits.std(dim=0).mean()
        last.weight *= factor
        last.bias *= factor
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        network.save_pretrained(folder)
    with torch.inference_mode():
        return np.asarray(network(inputs).logits.numpy(), np.float32)


def both(
    model: str, kind: dict[str, Any], labels: tuple[str, ...], tmp_path: Path
) -> tuple[LoadedModel, Float, Float, list[Image]]:
    """Our loaded model; pixels and logits of transformers; the pictures."""
    folder, shown = tmp_path / "checkpoint", pictures()
    network, processor = reference(kind, labels, folder)
    inputs = processor(images=[image.pixels for image in shown], return_tensors="pt")["pixel_values"]
    logits = steepened(network, inputs, folder)
    adapter: type[Adapter[Any]] = get_model(model)
    options = LoadOptions(tmp_path, tmp_path / "cache", paths={model: folder}, precision="f32")
    return load(adapter, options), np.asarray(inputs.numpy(), np.float32), logits, shown


def softmax(logits: Float) -> Float:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def cosines(ours: Float, theirs: Float) -> Float:
    return np.asarray(
        (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1), np.float32
    )


@pytest.mark.parametrize(
    ("model", "kind", "labels"),
    [
        ("demographics", VIT, FAIRFACE),
        ("vehicle_classifier", RESNET, MIO_TCD),
        ("violence_detector", VIT, ("NonViolence", "Violence")),
        ("weather_classifier", SIGLIP, WEATHER),
    ],
    ids=["ViT-B/16", "ResNet-50", "ViT-B/16 of two classes", "SigLIP base"],
)
def test_pixels_logits_and_labels_are_those_of_transformers(
    model: str, kind: dict[str, Any], labels: tuple[str, ...], tmp_path: Path
) -> None:
    loaded, pixels, logits, shown = both(model, kind, labels, tmp_path)
    try:
        spec = loaded.looking.input
        ours: Float = np.asarray(to_batch(shown, spec), np.float32)
        assert ours.shape == pixels.shape
        assert np.abs(ours - pixels).mean() * max(spec.std) < 1 / 255
        raw = np.asarray(next(iter(loaded.runtime.run({spec.name: ours}).values())), np.float32)
        assert cosines(raw, logits).min() >= 0.999
        assert cosines(softmax(raw), softmax(logits)).min() >= 0.999
        results = loaded.predict(shown)[0]
    finally:
        loaded.close()
    theirs = softmax(logits)
    assert len({int(row.argmax()) for row in theirs}) > 1, "all pictures have one label, which proves little"
    for result, row in zip(results, theirs, strict=True):
        label = labels[int(row.argmax())]
        if model == "demographics":
            assert result.age_range == label
            assert result.age_confidence == pytest.approx(float(row.max()), abs=0.01)
        elif model == "violence_detector":
            assert result.is_violent is (label == "Violence")
            assert result.confidence == pytest.approx(float(row.max()), abs=0.01)
        elif model == "weather_classifier":
            assert list(result.all_scores) == [labels[i] for i in np.argsort(-row)]
            assert (result.weather, result.confidence) == (label, pytest.approx(float(row.max()), abs=0.01))
        else:
            assert result.vehicle_type == (UNKNOWN if label in NO_VEHICLE else label)
            assert list(result.all_scores) == [labels[i] for i in np.argsort(-row)]
            assert result.confidence == pytest.approx(float(row.max()), abs=0.01)
