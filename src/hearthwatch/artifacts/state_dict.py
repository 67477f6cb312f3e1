"""State dicts: tensors by name, bare or inside what a training program wraps around them.

torchreid saves `{"state_dict": …, "epoch": …, "rank1": …}`, and training on several GPUs writes `module.` before every
name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

from hearthwatch.artifacts.elements import Array
from hearthwatch.artifacts.inert import Record, TensorView, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.artifacts.torch_files import TorchFile, read_torch_file
from hearthwatch.errors import WeightsInvalid

#: Keys that training programs put the tensors under: torchreid and Lightning; others.
WRAPPERS = ("state_dict", "model_state_dict", "model")
#: Written by torch's wrappers for several GPUs.
PARALLEL_PREFIX = "module."


@dataclass(frozen=True, slots=True, eq=False)
class StateDict:
    """Tensors by the network's own names, and the numbers and words that stood beside them (epoch, rank1)."""

    tensors: Mapping[str, Array]
    facts: Mapping[str, Any]


def read_state_dict(stream: BufferedReader, size: int, where: str, limits: CheckpointLimits) -> StateDict:
    """Read a torch file that holds a state dict.

    Raises:
        WeightsInvalid: what `read_torch_file` refuses, or no state dict is in it.
    """
    return state_dict_of(read_torch_file(stream, size, where, limits), limits)


def state_dict_of(file: TorchFile, limits: CheckpointLimits) -> StateDict:
    """Find the tensors in an open torch file, and read them.

    Raises:
        WeightsInvalid: there are none, more than allowed, or a name is no text.
    """
    root = file.root
    if not isinstance(root, dict):
        kind = root.type if isinstance(root, Record) else type(root).__name__
        raise WeightsInvalid(f"{file.where} holds a {shown(kind)}, not a network's weights")
    wrapped = next((root[key] for key in WRAPPERS if _views(root.get(key))), None)
    views = _views(root if wrapped is None else wrapped)
    if not views:
        raise WeightsInvalid(f"{file.where} holds no tensors: neither bare nor under {', '.join(WRAPPERS)}")
    if len(views) > limits.tensors:
        raise WeightsInvalid(f"{file.where} has {len(views)} tensors; allowed {limits.tensors}")
    if not all(isinstance(name, str) for name in views):
        raise WeightsInvalid(f"{file.where} has a tensor whose name is no text")
    if all(name.startswith(PARALLEL_PREFIX) for name in views):
        views = {name.removeprefix(PARALLEL_PREFIX): view for name, view in views.items()}
    facts = {key: value for key, value in root.items() if isinstance(key, str) and isinstance(value, str | int | float)}
    return StateDict(file.arrays(views), facts)


def _views(value: Any) -> dict[Any, TensorView]:
    """What of a dictionary is a tensor."""
    return {key: item for key, item in value.items() if isinstance(item, TensorView)} if isinstance(value, dict) else {}
