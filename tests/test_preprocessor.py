"""Hugging Face's files beside weights: what they say about pixels, and what the classes are called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from fakes import image_graph
from hearthwatch.artifacts.checkpoint import read_checkpoint
from hearthwatch.artifacts.description import describe
from hearthwatch.artifacts.labels import MAX_CONFIG_BYTES, read_labels
from hearthwatch.artifacts.preprocessor import PREPROCESSOR_FILE, read_preprocessor
from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.image import Float, Image
from hearthwatch.vision.inputs import InputSpec
from hearthwatch.vision.preprocess import to_batch
from small_checkpoints import save_float32
from torch_by_hand import save_legacy, save_zip

NAMES = ("articulated_truck", "background", "car")
#: What published files say, and what it means. The first is of 2021, without a word of how it scales.
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "ViT, 2021": (
        {"do_normalize": True, "do_resize": True, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": 224},
        {"size": (224, 224), "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
    ),
    "ViT": (
        {"image_processor_type": "ViTImageProcessor", "resample": 2, "size": {"height": 224, "width": 224}},
        {"size": (224, 224), "resize": "squash", "interpolation": "antialias"},
    ),
    "SigLIP": (
        {"image_processor_type": "SiglipImageProcessor", "resample": 3, "size": {"height": 224, "width": 224}},
        {"size": (224, 224), "resize": "squash", "interpolation": "bicubic"},
    ),
    "SigLIP 2": (
        {"image_processor_type": "SiglipImageProcessorFast", "resample": 2, "size": {"height": 224, "width": 224}},
        {"size": (224, 224), "resize": "squash", "interpolation": "antialias"},
    ),
    "SigLIP 2 for any aspect": (
        {"image_processor_type": "Siglip2ImageProcessor", "resample": 2, "max_num_patches": 256, "patch_size": 16},
        {},
    ),
    "ResNet, 2022": (
        {"feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "resample": 3, "size": 224},
        {"size": (224, 224), "resize": "crop", "crop_share": 0.875, "interpolation": "bicubic"},
    ),
    "ResNet": (
        {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}},
        {"size": (224, 224), "resize": "crop", "crop_share": 0.875},
    ),
    "ConvNeXt at 384": (
        {"image_processor_type": "ConvNextImageProcessor", "crop_pct": None, "size": {"shortest_edge": 384}},
        {"size": (384, 384), "resize": "squash"},
    ),
    "CLIP": (
        {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}, "size": {"shortest_edge": 224}},
        {"size": (224, 224), "resize": "crop"},
    ),
    "CLIP, 2021": ({"do_center_crop": True, "crop_size": 224, "size": 224}, {"size": (224, 224), "resize": "crop"}),
    "larger than what is cut": (
        {"do_center_crop": True, "crop_size": 224, "size": {"shortest_edge": 256}},
        {"size": (224, 224), "resize": "crop", "crop_share": 0.875},
    ),
    "smaller than what is cut": ({"do_center_crop": True, "crop_size": 256, "size": {"shortest_edge": 224}}, {}),
    "DPT": (
        {"keep_aspect_ratio": True, "ensure_multiple_of": 14, "size": {"height": 518, "width": 518}, "resample": 3},
        {"size": (518, 518), "resize": "aspect", "multiple": 14, "interpolation": "bicubic"},
    ),
    "the shorter side alone": ({"size": {"shortest_edge": 224}, "resample": 3}, {}),
    "another filter": ({"size": 64, "resample": 1}, {"size": (64, 64)}),
}


@pytest.mark.parametrize(("file", "stated"), PUBLISHED.values(), ids=PUBLISHED.keys())
def test_published_files_are_understood(file: dict[str, Any], stated: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / PREPROCESSOR_FILE
    path.write_bytes(orjson.dumps(file))
    assert read_preprocessor(path) == stated


@pytest.mark.parametrize(
    "file",
    [
        {"size": -1},
        {"size": "large"},
        {"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 2},
        {"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": 0.01},
        {"image_processor_type": "ConvNextImageProcessor", "size": 224, "crop_pct": "most"},
        {"do_center_crop": True, "crop_size": {"height": 0, "width": 0}, "size": 1},
        {"do_center_crop": True, "crop_size": "224", "size": 224},
        {"size": 8, "resample": [3]},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused_with_the_name_of_the_file(file: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / PREPROCESSOR_FILE
    path.write_bytes(orjson.dumps(file))
    with pytest.raises(WeightsInvalid, match=r"preprocessor_config\.json"):
        read_preprocessor(path)


def test_files_above_a_folder_onnx_speak_for_the_graph_in_it(tmp_path: Path) -> None:
    (tmp_path / "onnx").mkdir()
    path = image_graph(tmp_path / "onnx" / "model.onnx", name="pixel_values", shape=("n", 3, 32, 32))
    (tmp_path / PREPROCESSOR_FILE).write_bytes(
        orjson.dumps({"size": 32, "image_mean": [0.5] * 3, "image_std": [2] * 3})
    )
    (tmp_path / "config.json").write_bytes(orjson.dumps({"id2label": {"1": "b", "0": "a"}}))
    found = describe(path, InputSpec("pixel_values", (8, 8)))
    assert (found.input.std, found.input.origins["std"], found.class_names) == ((2, 2, 2), "preprocessor", ("a", "b"))


def test_names_in_the_files_own_metadata_come_before_those_beside_it(tmp_path: Path) -> None:
    path = image_graph(tmp_path / "model.onnx", metadata={"names": "{0: 'mine'}"})
    (tmp_path / "config.json").write_bytes(orjson.dumps({"id2label": {"0": "theirs"}}))
    assert describe(path, InputSpec("x", (8, 8))).class_names == ("mine",)


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ({"id2label": {"0": "child", "1": "adult"}}, ("child", "adult")),
        ({"id2label": ["child", "adult"]}, ("child", "adult")),
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}, ()),
        ({"id2label": None}, ()),
        ({}, ()),
        ([], ()),
    ],
    ids=str,
)
def test_labels_are_read_and_placeholders_are_none(config: Any, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert read_labels(path) == ()
    path.write_bytes(orjson.dumps(config))
    assert read_labels(path) == names


@pytest.mark.parametrize("content", [b"{", b"[]", b"", b" " * (MAX_CONFIG_BYTES + 1)], ids=len)
def test_a_config_of_another_program_names_nothing(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    assert read_labels(tmp_path / "config.json") == ()


@pytest.mark.parametrize("content", [b'{"id2label": {"1": "a"}}', b'{"id2label": "a"}', b'{"id2label": [1]}'])
def test_class_names_that_are_none_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(WeightsInvalid, match=r"config\.json"):
        read_labels(tmp_path / "config.json")


# classes.txt


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_folder_without_a_config_takes_its_names_from_classes_txt(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save(tmp_path / "pytorch_model.bin", {"fc.weight": np.ones((3, 2), np.float32)})
    (tmp_path / "classes.txt").write_bytes("\ufeffarticulated_truck\r\nbackground \r\ncar\r\n\r\n".encode())
    for path in (tmp_path, file):
        read = read_checkpoint(path)
        assert (read.kind, read.names, list(read.tensors)) == ("hugging_face", NAMES, ["fc.weight"])
    before = read_checkpoint(tmp_path).digest
    (tmp_path / "classes.txt").write_text("\n".join(reversed(NAMES)))
    assert read_checkpoint(tmp_path).digest != before


def test_both_files_may_name_the_classes_if_they_agree(tmp_path: Path) -> None:
    save_float32(tmp_path / "model.safetensors")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    (tmp_path / "config.json").write_bytes(orjson.dumps({"id2label": list(NAMES)}))
    assert read_checkpoint(tmp_path).names == NAMES
    (tmp_path / "config.json").write_bytes(orjson.dumps({"id2label": ["LABEL_0", "LABEL_1", "LABEL_2"]}))
    assert read_checkpoint(tmp_path).names == NAMES
    (tmp_path / "config.json").write_bytes(orjson.dumps({"id2label": list(reversed(NAMES))}))
    with pytest.raises(WeightsInvalid, match=r"in config\.json otherwise than in classes\.txt"):
        read_checkpoint(tmp_path)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    save_float32(tmp_path / "model.safetensors")
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WeightsInvalid, match=r"classes\.txt is no text"):
        read_checkpoint(tmp_path)


# Beside transformers' own processors


def reference(name: str, **settings: Any) -> Any:
    module, kind = {
        "vit": ("transformers.models.vit.image_processing_pil_vit", "ViTImageProcessorPil"),
        "resnet": ("transformers.models.convnext.image_processing_pil_convnext", "ConvNextImageProcessorPil"),
        "siglip": ("transformers.models.siglip.image_processing_pil_siglip", "SiglipImageProcessorPil"),
    }[name]
    found = pytest.importorskip(
        module, reason="transformers is the reference here and not among the project's requirements"
    )
    return getattr(found, kind)(**settings)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(1080, 1920), (300, 200), (120, 180), (224, 224), (90, 700)], ids=str)
@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("vit", {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}),
        ("siglip", {}),
        ("siglip", {"resample": 2}),
        ("resnet", {"size": {"shortest_edge": 224}, "crop_pct": 0.875}),
        ("resnet", {"size": {"shortest_edge": 384}}),
    ],
    ids=str,
)
def test_the_pixels_are_those_of_the_processor_that_wrote_the_file(
    name: str, settings: dict[str, Any], shape: tuple[int, int], tmp_path: Path
) -> None:
    processor = reference(name, **settings)
    processor.save_pretrained(tmp_path)
    side = 384 if settings.get("size") == {"shortest_edge": 384} else 224
    path = image_graph(tmp_path / "model.onnx", name="pixel_values", shape=("n", 3, side, side))
    spec = describe(path, InputSpec("pixel_values", (64, 64), scale=1 / 255)).input
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]]
    noise = np.random.default_rng(3).integers(0, 60, (*shape, 3))
    scene = (np.stack([x % 196, y % 196, (x + y) % 196], axis=2) + noise).astype(np.uint8)
    ours: Float = np.asarray(to_batch([Image.of(scene)], spec), np.float32)
    theirs = np.asarray(processor(images=[scene], return_tensors="np")["pixel_values"], np.float32)
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).mean() * max(spec.std) < 1 / 255
    assert np.percentile(np.abs(theirs - ours), 99.9) * max(spec.std) < 3 / 255
