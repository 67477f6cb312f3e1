"""Checkpoint tensors into a module: every name and shape is checked before anything is filled.

Modules are built on torch's `meta` device, which allocates nothing, so a checkpoint that announces absurd sizes is
refused before it costs memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from hearthwatch.errors import WeightsInvalid

Tensors = Mapping[str, npt.NDArray[Any]]

#: How many training steps a batch norm has seen: no part of any answer, so its presence is free.
_COUNTER = ".num_batches_tracked"
#: Names in a message: enough to recognise a network by.
_SHOWN = 3


def fill(module: nn.Module, tensors: Tensors, *, file: str, network: str) -> None:
    """Give a module on the `meta` device its weights as float32, and make it ready to infer.

    Afterwards the module is on the CPU, in evaluation mode, and no parameter asks for a gradient.

    Args:
        module: built under `torch.device("meta")`, without non-persistent buffers.
        tensors: by the module's own key names; `num_batches_tracked` may be there or not.
        file: for messages.
        network: what `file` was taken for, for messages.

    Raises:
        WeightsInvalid: a tensor is missing, unknown, of another shape, not of floating point, or not finite.
    """
    expected = module.state_dict()
    given = {key: array for key, array in tensors.items() if not key.endswith(_COUNTER)}
    _check_names(expected, given, f"{file} is no {network}")
    filled: dict[str, torch.Tensor] = {}
    for key, slot in expected.items():
        if key.endswith(_COUNTER):
            filled[key] = torch.zeros((), dtype=torch.int64)
            continue
        if given[key].shape != tuple(slot.shape):
            found, wanted = given[key].shape, tuple(slot.shape)
            raise WeightsInvalid(f"{file} is no {network}: its tensor {_name(key)} is {found} and should be {wanted}")
        filled[key] = _float32(given[key], key, file)
    module.load_state_dict(filled, strict=True, assign=True)
    module.eval().requires_grad_(False)


def rows(tensors: Tensors, key: str, *, file: str, network: str) -> int:
    """The length of a tensor's first axis, which is how many outputs its layer has.

    Raises:
        WeightsInvalid: there is no such tensor, or it is empty.
    """
    shape = tensors[key].shape if key in tensors else ()
    if not shape or 0 in shape:
        raise WeightsInvalid(f"{file} is no {network}: its tensor {key} is {'empty' if key in tensors else 'missing'}")
    return int(shape[0])


def shown(keys: Sequence[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(_name(key) for key in keys[:_SHOWN]) + more


def _name(key: str) -> str:
    # A name comes from the file: without control characters and at a length that a line can hold.
    return "".join(c if c.isprintable() else "?" for c in key[:80])


def _check_names(expected: Mapping[str, torch.Tensor], given: Tensors, refusal: str) -> None:
    missing = [key for key in expected if key not in given and not key.endswith(_COUNTER)]
    unknown = [key for key in given if key not in expected]
    if missing or unknown:
        wrong = [f"{shown(missing)} missing"] if missing else []
        wrong += [f"{shown(unknown)} unknown"] if unknown else []
        raise WeightsInvalid(f"{refusal}: of its tensors, {'; '.join(wrong)}")


def _float32(array: npt.NDArray[Any], key: str, file: str) -> torch.Tensor:
    # numpy knows bfloat16 by its name alone, where a library brought it.
    if array.dtype.kind != "f" and array.dtype.name != "bfloat16":
        raise WeightsInvalid(f"{file}: its tensor {_name(key)} is {array.dtype}; weights are of floating point")
    # Always a copy: torch refuses arrays that cannot be written, such as views of a mapped file.
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, which the next line refuses
        copied = np.array(array, dtype=np.float32, order="C")
    if not np.isfinite(copied).all():
        raise WeightsInvalid(f"{file}: its tensor {_name(key)} has values that are not finite")
    return torch.from_numpy(copied)
