"""torch's files written by hand: an assembler for pickles, and the two containers. No torch, and nothing of ours.

`push` and everything that returns `Code` give opcodes that leave one value on the stack, so they nest like the values
themselves, whether or not the classes that they name exist here.
"""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

STORAGES = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
}
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C


class Code(bytes):
    """Opcodes that leave one value on the stack."""


def push(value: Any) -> Code:
    """A plain value; a `Code` inside a list, tuple or dict stays what it is."""
    if isinstance(value, Code):
        return value
    if isinstance(value, tuple):
        return Code(b"(" + b"".join(map(push, value)) + b"t")
    if isinstance(value, list):
        return Code(b"](" + b"".join(map(push, value)) + b"e")
    if isinstance(value, dict):
        return Code(b"}(" + b"".join(push(key) + push(item) for key, item in value.items()) + b"u")
    if isinstance(value, str):
        text = value.encode()
        return Code(b"X" + struct.pack("<I", len(text)) + text)
    return Code(pickle.dumps(value, protocol=2)[2:-1])  # without PROTO and STOP


def name(module: str, attribute: str) -> Code:
    return Code(f"c{module}\n{attribute}\n".encode())


def dotted(module: str, attribute: str) -> Code:
    """STACK_GLOBAL of protocol 4, which follows dots in the attribute."""
    return Code(push(module) + push(attribute) + b"\x93")


def call(function: Code, *arguments: Any) -> Code:
    return Code(function + push(arguments) + b"R")


def instance(cls: Code, state: Any) -> Code:
    return Code(cls + b")\x81" + push(state) + b"b")


def storage(key: str, count: int, kind: str = "float32") -> Code:
    identity = ("storage", name("torch", STORAGES.get(kind, kind)), key, "cpu", count)
    return Code(push(identity) + b"Q")


def ordered(entries: Mapping[str, Any] | None = None) -> Code:
    items = b"".join(push(key) + push(item) for key, item in (entries or {}).items())
    return Code(call(name("collections", "OrderedDict")) + b"(" + items + b"u")


def tensor(stored: Code, shape: Any, strides: Any = None, offset: Any = 0) -> Code:
    """A tensor of a storage; row by row unless strides are given (counted in elements)."""
    if strides is None:
        strides = tuple(int(np.prod(shape[axis + 1 :])) for axis in range(len(shape)))
    return call(name("torch._utils", "_rebuild_tensor_v2"), stored, offset, shape, strides, False, ordered())


def parameter(value: Code) -> Code:
    return call(name("torch._utils", "_rebuild_parameter"), value, True, ordered())


def module(cls: Code, parameters: Any = None, buffers: Any = None, modules: Any = None, **attributes: Any) -> Code:
    """A pickled torch module."""
    parts = {"_parameters": parameters, "_buffers": buffers, "_modules": modules}
    made = {key: part if isinstance(part, Code) else ordered(part) for key, part in parts.items()}
    return instance(cls, {"training": False, **made, **attributes})


def pickled(value: Any, protocol: int = 2) -> bytes:
    return b"\x80" + bytes([protocol]) + push(value) + b"."


def zip_file(
    path: Path,
    value: Any,
    storages: Mapping[str, bytes] | None = None,
    *,
    root: str = "archive",
    data: bytes | None = None,
    more: Mapping[str, bytes] | None = None,
) -> Path:
    """torch's zip file; `data` replaces the pickle, `more` adds entries under their full names."""
    entries = {f"{root}/data.pkl": pickled(value) if data is None else data}
    entries |= {f"{root}/data/{key}": content for key, content in (storages or {}).items()}
    entries |= {f"{root}/version": b"3\n", **(more or {})}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry, content in entries.items():
            archive.writestr(entry, content)
    return path


def legacy_file(
    path: Path, value: Any, storages: Mapping[str, Array] | None = None, *, keys: Sequence[str] | None = None
) -> Path:
    """torch's older container; `keys` replaces the list of storages."""
    storages = storages or {}
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [MAGIC_NUMBER, 1001, system, value, list(storages if keys is None else keys)]
    body = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in storages.values())
    path.write_bytes(b"".join(map(pickled, parts)) + body)
    return path


def coded(tensors: Mapping[str, Array]) -> tuple[dict[str, Code], dict[str, Array]]:
    """Each tensor as a storage of its own: the structure, and the storages by key."""
    storages = {str(index): np.ascontiguousarray(array) for index, array in enumerate(tensors.values())}
    keys = dict(zip(tensors, storages, strict=True))
    code = {
        label: tensor(storage(keys[label], array.size, array.dtype.name), array.shape)
        for label, array in tensors.items()
    }
    return code, storages


def save_zip(path: Path, tensors: Mapping[str, Array], **options: Any) -> Path:
    """A bare state dict as a zip file."""
    code, storages = coded(tensors)
    return zip_file(path, ordered(code), {key: array.tobytes() for key, array in storages.items()}, **options)


def save_legacy(path: Path, tensors: Mapping[str, Array]) -> Path:
    """A bare state dict in the older container."""
    code, storages = coded(tensors)
    return legacy_file(path, ordered(code), storages)


def save_safetensors(path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None) -> Path:
    kinds = {"float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8", "bool": "BOOL"}
    rows: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    body = b""
    for label, array in tensors.items():
        place = [len(body), len(body) + array.nbytes]
        rows[label] = {"dtype": kinds[array.dtype.name], "shape": list(array.shape), "data_offsets": place}
        body += array.tobytes()
    return write_safetensors(path, rows, body)


def write_safetensors(path: Path, rows: Any, body: bytes) -> Path:
    """A safetensors file with any table of contents."""
    header = rows if isinstance(rows, bytes) else json.dumps(rows).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + body)
    return path
