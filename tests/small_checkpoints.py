"""Small checkpoints that every reader should accept, and the comparison of what was read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.artifacts.checkpoint import Checkpoint
from torch_by_hand import Array, Code, call, module, name, parameter, save_safetensors, storage, tensor

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
