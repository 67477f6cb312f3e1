"""What the names in a pickled checkpoint become: inert values that describe, and never the things themselves.

A pickle names classes and functions, and asks for them to be called. Here a name stays a `Name`; a call is looked up in
a table of ours, which knows containers and tensors, and is otherwise written down as a `Record`. No foreign module is
imported and no foreign callable exists in this process, so there is nothing that a file could run. Names outside the
list are refused all the same: a network does not need them, so the file is not what it claims to be.

What is refused raises WeightsInvalid with a clause, to which `unpickling` adds the file.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from hearthwatch.errors import WeightsInvalid

#: torch's storage classes and the type of their elements. Quantised and complex ones belong to no network here.
STORAGE_KINDS: Mapping[str, str] = {
    "torch.DoubleStorage": "float64",
    "torch.FloatStorage": "float32",
    "torch.HalfStorage": "float16",
    "torch.BFloat16Storage": "bfloat16",
    "torch.LongStorage": "int64",
    "torch.IntStorage": "int32",
    "torch.ShortStorage": "int16",
    "torch.CharStorage": "int8",
    "torch.ByteStorage": "uint8",
    "torch.BoolStorage": "bool",
}
#: A video network's weights have 5 dimensions.
MAX_DIMENSIONS = 8
#: Sides of a tensor without elements are only numbers; they must still fit an array.
MAX_EMPTY_SIDES = 2**31 - 1
#: Characters of a foreign name that a message shows.
MAX_SHOWN = 120
#: A name in a pickle may be stored once and asked for a million times.
MAX_NAME = 300

_PATHS = frozenset({"Path", "PosixPath", "WindowsPath", "PurePath", "PurePosixPath", "PureWindowsPath"})
_DTYPES = frozenset({"float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"})
_ARRAY_PARTS = frozenset({"scalar", "_reconstruct"})
#: The names that may appear outside the families below, by module.
_NAMES: Mapping[str, frozenset[str]] = {
    "builtins": frozenset({"set", "frozenset", "list", "tuple", "dict", "int", "float", "bool", "str", "bytes"}),
    "collections": frozenset({"OrderedDict", "defaultdict", "Counter"}),
    "torch": frozenset({"Size", "device", "Tensor"}) | _DTYPES | {name.partition(".")[2] for name in STORAGE_KINDS},
    "torch._utils": frozenset({"_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter"}),
    "torch._tensor": frozenset({"_rebuild_from_type_v2"}),
    "torch.nn.parameter": frozenset({"Parameter"}),
    # Transformer layers keep their activation as a function.
    "torch.nn.functional": frozenset({"relu", "gelu", "silu"}),
    "torch._C._nn": frozenset({"gelu", "silu"}),
    "numpy": frozenset({"dtype", "ndarray"}),
    "numpy.core.multiarray": _ARRAY_PARTS,
    "numpy._core.multiarray": _ARRAY_PARTS,
    "_codecs": frozenset({"encode"}),
    "pathlib": _PATHS,
    "pathlib._local": _PATHS,
    "argparse": frozenset({"Namespace"}),
    "types": frozenset({"SimpleNamespace"}),
    "datetime": frozenset({"datetime", "date", "timedelta"}),
}
#: Packages whose classes may appear; `models` and `utils` are YOLOv5's.
_FAMILIES = re.compile(
    r"(torch\.nn\.modules|torch\.nn\.parallel|torchvision\.models|torchvision\.ops|torchreid\.models|ultralytics|models|utils)"
    r"(\.[A-Za-z_][A-Za-z0-9_]*)*"
)
_CLASS = re.compile(r"_?[A-Z][A-Za-z0-9_]*")
#: numpy's types of plain numbers and text; `O` would be an array of pickled objects.
_PLAIN_DTYPE = re.compile(r"[<>|=]?[?biufcSU][0-9]{0,6}")


@dataclass(frozen=True, slots=True)
class Name:
    """A class or function that a pickle names; nothing is imported."""

    text: str


@dataclass(slots=True, eq=False, repr=False)
class Record:
    """An object that was not made: which class it would have, and what it would have been given.

    Attributes:
        type: module and name of the class.
        arguments: of the call that would have made it.
        state: what would have been set on it; None where nothing was.
    """

    type: str
    arguments: tuple[Any, ...] = ()
    state: Any = None


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A run of `count` elements inside the file; views of one storage share its key."""

    key: str
    kind: str
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class TensorView:
    """Elements of a storage, laid out; checked to lie inside it.

    Offset and strides count elements; the stride of a side of 1 is 0, whatever the file says.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def find(module: str, name: str) -> Name:
    """Take a name from a pickle.

    Raises:
        WeightsInvalid: it is not one that a checkpoint needs; the message has it.
    """
    module = {"__builtin__": "builtins"}.get(module, module)  # Python 2's name, which torch still writes
    if len(module) + len(name) > MAX_NAME or not (name in _NAMES.get(module, ()) or _is_class(module, name)):
        raise WeightsInvalid(f"asks for {shown(f'{module}.{name}')}, which no network needs")
    return Name(f"{module}.{name}")


def call(name: str, arguments: tuple[Any, ...]) -> Any:
    """What a call in the pickle becomes: a container, a tensor, or the record of a call that was not made.

    Raises:
        WeightsInvalid: arguments that the named thing never has.
    """
    builder = _BUILDERS.get(name)
    return Record(name, arguments) if builder is None else builder(arguments)


def quoted(text: str) -> str:
    """Text from the file for a message: in quotes, short, on one line, without control characters."""
    return repr(text[:MAX_SHOWN] + "..." * (len(text) > MAX_SHOWN))


def shown(text: str) -> str:
    """The same without quotes."""
    return quoted(text)[1:-1]


def _is_class(module: str, name: str) -> bool:
    # A module of the standard library inside an allowed package ("ultralytics.utils.os") is a way to its functions.
    parts = module.split(".")[1:]
    return bool(_FAMILIES.fullmatch(module) and _CLASS.fullmatch(name)) and not sys.stdlib_module_names & set(parts)


def _contents(arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if arguments else []


def _dict(arguments: tuple[Any, ...]) -> dict[Any, Any]:
    given = arguments[0] if arguments else []
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
        raise WeightsInvalid("makes a dictionary of something else than pairs")
    if not all(is_key(key) for key, _ in pairs):
        raise WeightsInvalid("has a dictionary with a key that is neither text nor a number")
    return dict(pairs)


def is_key(value: Any) -> bool:
    """Whether a value may be a key: hashed in one step, and not built to collide (numbers hash modulo 2**61 - 1)."""
    if isinstance(value, int):
        return abs(value) < 2**61 - 1
    return value is None or isinstance(value, str | bytes | float | Name | Record | TensorView)


def _default_dict(_arguments: tuple[Any, ...]) -> dict[Any, Any]:
    return {}  # its argument is the factory of missing values; the items follow


def _tensor(arguments: tuple[Any, ...]) -> TensorView:
    """Refuse it unless every element lies inside the storage, and there are no more elements than in it."""
    if len(arguments) < 4 or not isinstance(arguments[0], Storage):
        raise WeightsInvalid("has a tensor without a storage")
    storage, offset, shape, strides = arguments[:4]
    if not (_are_counts((offset,)) and _are_counts(shape) and _are_counts(strides) and len(shape) == len(strides)):
        raise WeightsInvalid("has a tensor whose offset, shape or strides are no counts")
    if 0 in shape:
        inside = offset <= storage.count and prod(side for side in shape if side) <= MAX_EMPTY_SIDES
    else:
        last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
        inside = last < storage.count and prod(shape) <= storage.count
    if not inside:
        raise WeightsInvalid(
            f"has a tensor of shape {shown(str(shape))}, strides {shown(str(strides))} and offset {offset}, "
            f"which is outside its storage of {storage.count} elements"
        )
    # The stride of a single row is never taken, so torch keeps any number there, which in bytes may not fit an index.
    taken = (stride if side > 1 else 0 for side, stride in zip(shape, strides, strict=True))
    return TensorView(storage, offset, tuple(shape), tuple(taken))


def _are_counts(values: Any) -> bool:
    # Not isinstance: true and false are integers too. 2**63 is the end of every index.
    return (
        isinstance(values, tuple | list)
        and len(values) <= MAX_DIMENSIONS
        and all(type(value) is int and 0 <= value < 2**63 for value in values)
    )


def _parameter(arguments: tuple[Any, ...]) -> TensorView:
    if not arguments or not isinstance(arguments[0], TensorView):
        raise WeightsInvalid("has a parameter without a tensor")
    return arguments[0]


def _tensor_of_type(arguments: tuple[Any, ...]) -> TensorView:
    """`_rebuild_from_type_v2(function, type, arguments, state)`: the tensor, whatever its subclass."""
    function = arguments[0] if arguments else None
    if len(arguments) < 3 or not isinstance(function, Name) or not isinstance(arguments[2], tuple):
        raise WeightsInvalid("has a tensor of an unknown kind")
    if function.text not in _TENSORS:
        raise WeightsInvalid(f"makes a tensor with {shown(function.text)}")
    return _TENSORS[function.text](arguments[2])


def _dtype(arguments: tuple[Any, ...]) -> Record:
    code = arguments[0] if arguments else None
    if not isinstance(code, str) or not _PLAIN_DTYPE.fullmatch(code):
        what = quoted(code) if isinstance(code, str) else "something else than text"
        raise WeightsInvalid(f"asks for numpy.dtype({what}), which is no type of plain numbers")
    return Record("numpy.dtype", arguments)


_TENSORS: Mapping[str, Callable[[tuple[Any, ...]], TensorView]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
}
_BUILDERS: Mapping[str, Callable[[tuple[Any, ...]], Any]] = {
    **_TENSORS,
    "torch._tensor._rebuild_from_type_v2": _tensor_of_type,
    "torch.Size": _contents,
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": _default_dict,
    # A set stays the list that it was written as: its elements would have to be hashed.
    **dict.fromkeys((f"builtins.{name}" for name in ("set", "frozenset", "list", "tuple")), _contents),
    "builtins.dict": _dict,
    "numpy.dtype": _dtype,
}
