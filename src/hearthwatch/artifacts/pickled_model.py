"""What a network says that was pickled whole: its tensors under torch's names, its yaml, its classes.

`torch.save(model)` keeps the tree of module objects. `unpickling` leaves each as a `Record` whose state has
`_parameters`, `_buffers` and `_modules`; walking these gives the state dict that torch itself would give. Ultralytics'
training program saves such a model with facts beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from hearthwatch.artifacts.inert import Name, Record, TensorView, quoted, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.errors import WeightsInvalid

#: Classes whose objects are a bag of named values.
_NAMESPACES = ("argparse.Namespace", "types.SimpleNamespace")
#: What a network of Ultralytics carries as plain values.
_ATTRIBUTES = ("yaml", "names", "task", "args")
#: torch's names of modules have 60 characters; each name repeats its parents'.
MAX_NAME = 1000
#: Of a path in the arguments of a training; what is behind is dropped.
MAX_PATH_PARTS = 50


@dataclass(frozen=True, slots=True)
class PickledModel:
    """One network, taken apart.

    Attributes:
        type: class of the whole.
        tensors: parameters and persistent buffers, in the order and under the names of torch's `state_dict()`.
        classes: the class of each module by its path; the whole network's path is "".
        attributes: the plain values that the network object itself carries (yaml, names, task, args).
        stride: its attribute `stride`, which Ultralytics keeps as a tensor that is not in the state dict.
    """

    type: str
    tensors: Mapping[str, TensorView]
    classes: Mapping[str, str]
    attributes: Mapping[str, Any]
    stride: TensorView | None


def is_module(value: Any) -> bool:
    """Whether a value is a pickled torch module."""
    return isinstance(value, Record) and isinstance(value.state, dict) and "_modules" in value.state


def take_apart(module: Record, where: str, limits: CheckpointLimits) -> PickledModel:
    """Collect a pickled module.

    Args:
        module: for which `is_module` holds.
        where: the file, for the message.
        limits: bound the tree, which may share its parts or contain itself.

    Raises:
        WeightsInvalid: over a limit, or a module that is not built as torch's are.
    """
    walk = _Walk(where, limits)
    walk.run(module)
    state: Mapping[Any, Any] = module.state
    stride = state.get("stride")
    plain = {key: to_plain(state[key], where, limits) for key in _ATTRIBUTES if state.get(key) is not None}
    return PickledModel(
        module.type, walk.tensors, walk.classes, plain, stride if isinstance(stride, TensorView) else None
    )


class _Walk:
    """From module to module, without recursion: a network may be nested to any depth, and may contain itself."""

    def __init__(self, where: str, limits: CheckpointLimits) -> None:
        self._where = where
        self._limits = limits
        self._left = limits.opcodes
        self.tensors: dict[str, TensorView] = {}
        self.classes: dict[str, str] = {}

    def run(self, root: Record) -> None:
        pending = [("", root)]
        while pending:
            path, module = pending.pop()
            self.classes[path] = module.type
            self._collect_tensors(path, module)
            pending.extend(reversed(self._children(path, module)))
            if len(self.tensors) > self._limits.tensors or len(self.classes) + len(pending) > self._limits.tensors:
                raise WeightsInvalid(f"{self._where} has more than {self._limits.tensors} modules or tensors")

    def _collect_tensors(self, path: str, module: Record) -> None:
        hidden = module.state.get("_non_persistent_buffers_set")
        hidden = hidden if isinstance(hidden, list) else []
        self._spend(len(hidden))
        names = {name for name in hidden if isinstance(name, str)}
        for kind in ("_parameters", "_buffers"):
            for name, value in self._part(path, module, kind).items():
                if value is None or (kind == "_buffers" and name in names):
                    continue
                full = self._join(path, name)
                if not isinstance(value, TensorView):
                    raise WeightsInvalid(f"{self._where} has under {shown(full)} something that is no tensor")
                if full in self.tensors:
                    raise WeightsInvalid(f"{self._where} has two tensors {quoted(full)}")
                self.tensors[full] = value

    def _children(self, path: str, module: Record) -> list[tuple[str, Record]]:
        children = []
        for name, child in self._part(path, module, "_modules").items():
            full = self._join(path, name)
            if child is not None and not is_module(child):
                raise WeightsInvalid(f"{self._where} has under {shown(full)} something that is no module")
            if child is not None:
                children.append((full, child))
        return children

    def _part(self, path: str, module: Record, kind: str) -> Mapping[str, Any]:
        part = module.state.get(kind, {})
        if not isinstance(part, dict):
            raise WeightsInvalid(f"{self._where} has a module {quoted(path)} whose {kind} are no dictionary")
        self._spend(len(part))
        if not all(isinstance(name, str) for name in part):
            raise WeightsInvalid(f"{self._where} has a module {quoted(path)} with {kind} whose name is no text")
        return part

    def _join(self, path: str, name: str) -> str:
        if path.count(".") >= self._limits.depth or len(path) + len(name) > MAX_NAME:
            told = f"nested deeper than {self._limits.depth}, or with names over {MAX_NAME} characters"
            raise WeightsInvalid(f"{self._where} has modules {told}")
        return f"{path}.{name}" if path else name

    def _spend(self, count: int) -> None:
        """Modules may share their parts: what is looked at is counted, not only what the file holds."""
        self._left -= count
        if self._left < 0:
            raise WeightsInvalid(f"{self._where} has more than {self._limits.opcodes} entries in its modules")


def to_plain(value: Any, where: str, limits: CheckpointLimits) -> Any:
    """Copy a structure as dicts, lists, numbers, text and None.

    A path becomes its text, a namespace a dict; whatever else has no plain form becomes the name of its class. Half a
    character (a lone surrogate, which no JSON and no terminal takes) becomes a question mark.

    Raises:
        WeightsInvalid: more values than allowed, or nested deeper.
    """
    left = [limits.values]

    def copy(item: Any, depth: int) -> Any:
        left[0] -= 1
        if depth > limits.depth or left[0] < 0:
            raise WeightsInvalid(
                f"{where} has a structure of more than {limits.values} values, or nested deeper than {limits.depth}"
            )
        if isinstance(item, Record) and isinstance(item.state, dict) and _is_namespace(item.type):
            item = item.state
        if isinstance(item, dict):
            return {_plain(key): copy(child, depth + 1) for key, child in item.items()}
        if isinstance(item, list | tuple):
            return [copy(child, depth + 1) for child in item]
        return _plain(item)

    return copy(value, 0)


def _is_namespace(type_name: str) -> bool:
    return type_name in _NAMESPACES or type_name.endswith(".IterableSimpleNamespace")


def _plain(item: Any) -> Any:
    """What is no container: text, a number, None, or the description of something else."""
    if item is None or isinstance(item, int | float):
        return item
    text = item if isinstance(item, str) else _described(item)
    return text.encode("utf-8", "replace").decode("utf-8")


def _described(item: Any) -> str:
    if isinstance(item, Record):
        return _path(item.arguments) if item.type.startswith("pathlib.") else item.type
    return item.text if isinstance(item, Name) else type(item).__name__


def _path(parts: tuple[Any, ...]) -> str:
    text = [part for part in parts[:MAX_PATH_PARTS] if isinstance(part, str) and len(part) <= MAX_NAME]
    return str(PurePosixPath(*text))
