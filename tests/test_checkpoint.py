"""What is read from each form of a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hearthwatch.artifacts.checkpoint import read_checkpoint
from small_checkpoints import SIX, TENSORS, assert_same, network, save_float32
from torch_by_hand import (
    Array,
    Code,
    call,
    coded,
    instance,
    module,
    name,
    ordered,
    save_legacy,
    save_safetensors,
    save_zip,
    storage,
    tensor,
    zip_file,
)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_a_state_dict_is_read_as_it_was_saved(save: Callable[..., Path], tmp_path: Path) -> None:
    path = save(tmp_path / "net.pt", TENSORS)
    read = read_checkpoint(path)
    assert_same(read, TENSORS)
    assert (read.kind, read.path, read.names, read.yaml, read.config) == ("state_dict", path, (), None, None)
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_what_a_training_program_wraps_around_is_taken_off(wrapper: str, tmp_path: Path) -> None:
    code, storages = coded({f"module.{label}": array for label, array in TENSORS.items()})
    saved = {
        wrapper: ordered(code),
        "epoch": 3,
        "rank1": 0.75,
        "optimizer": {"lr": [0.1]},
        "stray": code["module.mask"],
    }
    read = read_checkpoint(
        zip_file(tmp_path / "net.pth", saved, {key: array.tobytes() for key, array in storages.items()})
    )
    assert_same(read, TENSORS)
    assert read.facts == {"epoch": 3, "rank1": 0.75}


def test_a_prefix_that_only_some_names_have_stays(tmp_path: Path) -> None:
    path = save_zip(tmp_path / "net.pt", {"module.fc": SIX, "fc": SIX})
    assert list(read_checkpoint(path).tensors) == ["module.fc", "fc"]


def test_views_keep_their_order_and_are_writable(tmp_path: Path) -> None:
    views = {
        "transposed": tensor(storage("0", 6), (3, 2), (1, 3)),
        "slice": tensor(storage("0", 6), (2,), (3,), 1),
        "number": tensor(storage("0", 6), (), (), 4),
        "whole": tensor(storage("0", 6), (6,)),
        "tied": tensor(storage("0", 6), (6,)),
    }
    read = read_checkpoint(zip_file(tmp_path / "net.pt", views, {"0": SIX.tobytes()})).tensors
    np.testing.assert_array_equal(read["transposed"], SIX.reshape(2, 3).T)
    np.testing.assert_array_equal(read["slice"], [1, 4])
    assert read["number"].shape == ()
    assert float(read["number"]) == 4
    assert read["tied"] is read["whole"], "one tensor of the file is one array"
    for array in read.values():
        assert array.flags.c_contiguous
        assert array.flags.writeable


def test_bfloat16_becomes_float32_with_the_same_values(tmp_path: Path) -> None:
    values = np.array([1.0, -2.5, 3e38, 1e-40, np.inf], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    saved = {"w": tensor(storage("0", 5, "BFloat16Storage"), (5,))}
    read = read_checkpoint(zip_file(tmp_path / "net.pt", saved, {"0": upper.tobytes()})).tensors["w"]
    np.testing.assert_array_equal(read, (upper.astype(np.uint32) << 16).view(np.float32), strict=True)


def test_files_of_big_endian_machines_are_read(tmp_path: Path) -> None:
    saved = {"w": tensor(storage("0", 6), (6,)), "b": tensor(storage("1", 2, "BFloat16Storage"), (2,))}
    storages = {"0": SIX.astype(">f4").tobytes(), "1": b"\x3f\x80\x40\x00"}
    path = zip_file(tmp_path / "net.pt", saved, storages, more={"archive/byteorder": b"big"})
    read = read_checkpoint(path).tensors
    np.testing.assert_array_equal(read["w"], SIX, strict=True)
    np.testing.assert_array_equal(read["b"], np.array([1, 2], np.float32), strict=True)


def test_bytes_that_are_no_truth_values_become_some(tmp_path: Path) -> None:
    path = zip_file(tmp_path / "net.pt", {"w": tensor(storage("0", 3, "bool"), (3,))}, {"0": b"\x00\x01\xff"})
    assert read_checkpoint(path).tensors["w"].tobytes() == b"\x00\x01\x01"


def test_a_pickled_network_gives_its_state_dict_and_its_facts(tmp_path: Path) -> None:
    args = instance(name("ultralytics.utils", "IterableSimpleNamespace"), {"imgsz": 256, "device": None})
    code, storages = network(
        yaml={"nc": 2, "backbone": [[-1, 1, "Conv", [64, 3, 2]]]}, names={0: "cat", 1: "dog"}, args=args
    )
    saved = {
        "model": code,
        "ema": None,
        "version": "8.3.0",
        "date": "2025-06-15",
        "epoch": -1,
        "license": "AGPL-3.0",
        "best_fitness": call(
            name("numpy.core.multiarray", "scalar"), call(name("numpy", "dtype"), "f8", False, True), b"\0" * 8
        ),
        "optimizer": {"state": {0: tensor(storage("0", 6), (6,))}},
        "train_args": {"save_dir": call(name("pathlib", "PosixPath"), "runs", "train"), "imgsz": 640},
    }
    path = zip_file(tmp_path / "best.pt", saved, storages)
    read = read_checkpoint(path)
    parts = {"weight": [[1, 1, 1], [1, 1, 1]], "bn.weight": [1, 1], "bn.running_mean": [1, 1]}
    expected = {
        f"model.{index}.{label}": np.array(value, np.float32) for index in (0, 1) for label, value in parts.items()
    }
    assert_same(read, expected)
    assert read.kind == "ultralytics"
    assert read.yaml == {"nc": 2, "backbone": [[-1, 1, "Conv", [64, 3, 2]]]}
    assert (read.names, read.task, read.stride, read.image_size) == (("cat", "dog"), "detect", 32, (256, 256))
    assert read.licence == "AGPL-3.0"
    assert {key: read.facts[key] for key in ("version", "date", "epoch", "weights")} == {
        "version": "8.3.0",
        "date": "2025-06-15",
        "epoch": -1,
        "weights": "model",
    }
    assert read.facts["class"] == "ultralytics.nn.tasks.DetectionModel"
    assert read.facts["modules"]["model.1"] == "torch.nn.modules.conv.Conv2d"
    assert read.facts["args"] == {"imgsz": 256, "device": None}


def test_the_running_mean_is_preferred_to_the_network_of_the_last_step(tmp_path: Path) -> None:
    model, _ = network(names=["last"])
    ema, storages = network(2.0, names=["mean"], task="pose")
    read = read_checkpoint(zip_file(tmp_path / "last.pt", {"model": model, "ema": ema}, storages))
    assert (read.names, read.task, read.facts["weights"]) == (("mean",), "pose", "ema")


def test_without_facts_nothing_is_made_up(tmp_path: Path) -> None:
    whole = module(name("torchvision.models.resnet", "ResNet"), parameters={"w": tensor(storage("0", 6), (6,))})
    read = read_checkpoint(zip_file(tmp_path / "net.pt", whole, {"0": SIX.tobytes()}))
    assert (read.kind, read.names, read.task, read.stride, read.image_size) == ("state_dict", (), None, None, None)
    assert (read.yaml, read.licence, read.config) == (None, None, None)
    assert list(read.tensors) == ["w"]


def test_a_path_and_a_foreign_object_in_the_arguments_become_text(tmp_path: Path) -> None:
    args = instance(
        name("types", "SimpleNamespace"),
        {
            "save_dir": call(name("pathlib", "PosixPath"), "/", "runs", "train"),
            "device": call(name("torch", "device"), "cuda", 0),
            "dtype": name("torch", "float16"),
            "imgsz": [384, 640],
        },
    )
    code, storages = network(args=args)
    read = read_checkpoint(zip_file(tmp_path / "net.pt", {"model": code}, storages))
    assert read.facts["args"] == {
        "save_dir": "/runs/train",
        "device": "torch.device",
        "dtype": "torch.float16",
        "imgsz": [384, 640],
    }
    assert read.image_size == (384, 640)


def test_a_stride_that_is_never_taken_may_be_any_number(tmp_path: Path) -> None:
    stored = storage("0", 6)
    views = {"one": tensor(stored, (1,), (2**62,), 5), "row": tensor(stored, (1, 6), (2**62, 1))}
    read = read_checkpoint(zip_file(tmp_path / "net.pt", views, {"0": SIX.tobytes()}))
    assert_same(read, {"one": SIX[5:], "row": SIX.reshape(1, 6)})


def test_half_a_character_in_what_is_handed_on_is_replaced(tmp_path: Path) -> None:
    """Python's text may hold one, and no JSON, no terminal and no card can."""
    half = Code(b"X\x05\x00\x00\x00gu\xed\xa0\x80")
    code, storages = network(names={0: half}, yaml={"nc": 1, half: half})
    read = read_checkpoint(zip_file(tmp_path / "net.pt", {"model": code, "license": half}, storages))
    assert (read.names, read.licence, read.yaml) == (("gu?",), "gu?", {"nc": 1, "gu?": "gu?"})


# Hugging Face folders.


def test_a_hugging_face_folder_is_read_with_its_config(tmp_path: Path) -> None:
    tensors: dict[str, Array] = {
        "fc.weight": SIX.reshape(2, 3),
        "half": SIX.astype(np.float16),
        "mask": np.array([True, False]),
    }
    save_safetensors(tmp_path / "model.safetensors", tensors, {"format": "pt"})
    config = {"id2label": {"1": "dog", "0": "cat"}, "image_size": 224, "model_type": "resnet"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = read_checkpoint(tmp_path)
    assert_same(read, tensors)
    assert (read.kind, read.names, read.image_size, read.config) == ("hugging_face", ("cat", "dog"), (224, 224), config)
    assert read.facts == {"files": ("model.safetensors", "config.json"), "metadata": {"format": "pt"}}
    digests = [hashlib.sha256((tmp_path / file).read_bytes()).digest() for file in read.facts["files"]]
    assert read.digest == hashlib.sha256(b"".join(digests)).hexdigest()


@pytest.mark.parametrize(
    ("config", "size"),
    [
        ({"image_size": [224, 320]}, (224, 320)),
        ({"vision_config": {"image_size": 336}}, (336, 336)),
        ({"backbone_config": {"image_size": {"height": 518, "width": 616}}}, (518, 616)),
        ({"vision_config": None}, None),
        ({}, None),
    ],
)
def test_the_image_size_is_found_where_configs_keep_it(config: Any, size: Any, tmp_path: Path) -> None:
    save_float32(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_checkpoint(tmp_path).image_size == size


def test_a_single_safetensors_file_needs_no_config(tmp_path: Path) -> None:
    path = save_float32(tmp_path / "any.safetensors")
    read = read_checkpoint(path)
    assert (read.kind, read.config, list(read.tensors)) == ("hugging_face", None, ["fc.weight", "fc.bias"])
    assert read.digest == hashlib.sha256(path.read_bytes()).hexdigest()


def test_shards_are_read_as_one(tmp_path: Path) -> None:
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    save_safetensors(tmp_path / names[0], {"a": SIX})
    save_safetensors(tmp_path / names[1], {"b": SIX * 2})
    index = {"weight_map": {"a": names[0], "b": names[1]}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    read = read_checkpoint(tmp_path)
    assert_same(read, {"a": SIX, "b": SIX * 2})
    assert read.facts["files"] == tuple(names)


@pytest.mark.parametrize("save", [save_zip, save_legacy])
def test_pytorch_model_bin_is_read_by_the_same_reader(save: Callable[..., Path], tmp_path: Path) -> None:
    file = save(tmp_path / "pytorch_model.bin", TENSORS)
    (tmp_path / "config.json").write_text("{}")
    for path in (tmp_path, file):
        read = read_checkpoint(path)
        assert_same(read, TENSORS)
        assert (read.kind, read.config) == ("hugging_face", {})


def test_safetensors_come_before_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"not looked at")
    save_float32(tmp_path / "model.safetensors")
    assert read_checkpoint(tmp_path).facts["files"] == ("model.safetensors",)


def test_the_links_of_the_hubs_own_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_float32(blobs / "model")
    (blobs / "config").write_text('{"image_size": 64}')
    (snapshot / "model.safetensors").symlink_to(Path("../../blobs/model"))
    (snapshot / "config.json").symlink_to(Path("../../blobs/config"))
    for path in (snapshot, snapshot / "model.safetensors"):
        assert read_checkpoint(path).image_size == (64, 64)


def test_a_link_that_the_caller_names_is_followed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    save_zip(tmp_path / "net.pt", TENSORS)
    (tmp_path / "here" / "link.pt").symlink_to(tmp_path / "net.pt")
    assert_same(read_checkpoint(tmp_path / "here" / "link.pt"), TENSORS)
