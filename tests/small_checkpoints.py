"""Small checkpoints that every reader should accept, and the comparison of what was read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.artifacts.checkpoint import Checkpoint
from torch_by_hand import Array, Code, call, module, name, parameter, save_safetensors, storage, tensor, zip_file

SIX = np.arange(6, dtype=np.float32)
TENSORS: dict[str, Array] = {
    "conv.weight": SIX.reshape(2, 3),
    "conv.bias": np.array([0.5, -1.5], np.float16),
    "bn.num_batches_tracked": np.array(7, np.int64),
    "mask": np.array([True, False, True]),
    "wide": np.linspace(0, 1, 5),
    "small": np.array([[1], [2]], np.uint8),
    "empty": np.zeros((0, 4), np.float32),
}
CONV = name("torch.nn.modules.conv", "Conv2d")
NET = name("ultralytics.nn.tasks", "DetectionModel")
BLOCK = name("ultralytics.nn.modules.block", "Block")


def save_float32(path: Path) -> Path:
    return save_safetensors(path, {"fc.weight": SIX.reshape(2, 3), "fc.bias": SIX[:2]})


def assert_same(read: Checkpoint, expected: dict[str, Any]) -> None:
    assert list(read.tensors) == list(expected)
    for label, array in expected.items():
        assert read.tensors[label].dtype == array.dtype, label
        np.testing.assert_array_equal(read.tensors[label], array, err_msg=label, strict=True)


def network(value: float = 1.0, **attributes: Any) -> tuple[Code, dict[str, bytes]]:
    """A small pickled network: a convolution, a norm with a buffer that is not saved, and the head that shares it."""
    weights = np.full(6, value, np.float32)
    norm = module(
        name("torch.nn.modules.batchnorm", "BatchNorm2d"),
        parameters={"weight": parameter(tensor(storage("0", 6), (2,))), "bias": None},
        buffers={
            "running_mean": tensor(storage("0", 6), (2,), (1,), 2),
            "scratch": tensor(storage("0", 6), (2,), (1,), 4),
        },
        _non_persistent_buffers_set=call(name("__builtin__", "set"), ["scratch"]),
    )
    conv = module(CONV, parameters={"weight": parameter(tensor(storage("0", 6), (2, 3)))}, modules={"bn": norm})
    whole = module(
        NET,
        modules={"model": module(name("torch.nn.modules.container", "Sequential"), modules={"0": conv, "1": conv})},
        stride=tensor(storage("1", 3), (3,)),
        **attributes,
    )
    return whole, {"0": weights.tobytes(), "1": np.array([8, 16, 32], np.float32).tobytes()}


def save_yolo(path: Path, tensors: Mapping[str, Array], kind: str, **attributes: Any) -> Path:
    """A whole network as Ultralytics' programs pickle it: modules inside modules, each with its own tensors.

    Args:
        path: the file to write.
        tensors: float32 by the names of `state_dict()`; counters of batch norms are left out.
        kind: the class of the network, such as SegmentationModel.
        attributes: of the network: yaml, names, args.
    """
    storages: dict[str, bytes] = {}

    def inner(prefix: str, cls: Code, **own: Any) -> Code:
        below = [key.removeprefix(prefix) for key in tensors if key.startswith(prefix)]
        parameters = {}
        for key in (key for key in below if "." not in key and key != "num_batches_tracked"):
            array = np.asarray(tensors[prefix + key], np.float32)
            storages[number := str(len(storages))] = array.tobytes()
            parameters[key] = parameter(tensor(storage(number, array.size), array.shape))
        names = dict.fromkeys(key.partition(".")[0] for key in below if "." in key)
        return module(cls, parameters, modules={key: inner(f"{prefix}{key}.", BLOCK) for key in names}, **own)

    return zip_file(path, {"model": inner("", name("ultralytics.nn.tasks", kind), **attributes)}, storages)
