"""safetensors files: a length, a JSON table of contents, and the elements one after the other.

Format: https://github.com/huggingface/safetensors/blob/v0.6.2/README.md#format. Its own rules are kept: the header is
at most as long as the file, and the tensors fill the rest of the file without holes or overlaps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BufferedReader
from math import prod
from typing import Any

import orjson

from hearthwatch.artifacts.elements import Array, element_bytes, read_elements
from hearthwatch.artifacts.inert import MAX_DIMENSIONS, MAX_EMPTY_SIDES, quoted, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.errors import WeightsInvalid

#: The format's names of the kinds that are read; 8-bit floats and packed integers belong to no network here.
_KINDS: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U8": "uint8",
    "BOOL": "bool",
}
_LENGTH_BYTES = 8


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


def read_safetensors(
    stream: BufferedReader, size: int, where: str, limits: CheckpointLimits
) -> tuple[dict[str, Array], dict[str, str]]:
    """Read all tensors of a file.

    Args:
        stream: the file.
        size: its length in bytes.
        where: the file, for the message.
        limits: of header and number of tensors.

    Returns:
        The tensors by name in the order of the header, writable, bfloat16 as float32; and the file's own metadata.

    Raises:
        WeightsInvalid: a header that is too long or not JSON, a kind that is not read, or tensors that do not fill the
            file exactly.
    """
    stream.seek(0)
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + length
    if start > size or length > limits.json_bytes:
        allowed = min(limits.json_bytes, max(size - _LENGTH_BYTES, 0))
        raise WeightsInvalid(f"{where} is no safetensors file: its header claims {length} bytes; allowed {allowed}")
    try:
        header = orjson.loads(stream.read(length))
        listed, metadata = _listed(header, limits)
        _check_layout(listed, size - start)
    except orjson.JSONDecodeError as error:
        raise WeightsInvalid(f"{where} is no safetensors file: its header is not JSON: {error}") from error
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{where} is no safetensors file: {error}") from None
    tensors = {}
    for item in listed:
        part = f"{where} ({shown(item.name)})"
        elements = read_elements(stream, start + item.begin, item.kind, prod(item.shape), where=part)
        tensors[item.name] = elements.reshape(item.shape)
    return tensors, metadata


def _listed(header: Any, limits: CheckpointLimits) -> tuple[list[_Listed], dict[str, str]]:
    if not isinstance(header, dict):
        raise WeightsInvalid("its header is no table")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise WeightsInvalid("its metadata is not text")
    if len(header) > limits.tensors:
        raise WeightsInvalid(f"it has {len(header)} tensors; allowed {limits.tensors}")
    return [_checked(name, row) for name, row in header.items()], metadata


def _checked(name: str, row: Any) -> _Listed:
    row = row if isinstance(row, dict) else {}
    kind, shape, place = row.get("dtype"), row.get("shape"), row.get("data_offsets")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise WeightsInvalid(f"tensor {quoted(name)} has the type {_told(kind)}; read are {', '.join(_KINDS)}")
    if not (_are_counts(shape) and _are_counts(place) and len(place) == 2 and len(shape) <= MAX_DIMENSIONS):
        raise WeightsInvalid(f"tensor {quoted(name)} has no shape or no place")
    begin, end = place
    if end - begin != prod(shape) * element_bytes(_KINDS[kind]):
        raise WeightsInvalid(f"tensor {quoted(name)} of shape {shape} does not fit its {end - begin} bytes")
    if prod(side for side in shape if side) > MAX_EMPTY_SIDES and 0 in shape:
        raise WeightsInvalid(f"tensor {quoted(name)} has the shape {shape}")
    return _Listed(name, _KINDS[kind], tuple(shape), begin, end)


def _check_layout(listed: list[_Listed], available: int) -> None:
    position = 0
    for item in sorted(listed, key=lambda item: (item.begin, item.end)):
        if item.begin != position:
            raise WeightsInvalid(f"tensor {quoted(item.name)} begins at byte {item.begin}, not at {position}")
        position = item.end
    if position != available:
        raise WeightsInvalid(f"its tensors end at byte {position}, its data at {available}")


def _are_counts(values: Any) -> bool:
    # Not isinstance: true and false are integers too.
    return isinstance(values, list) and all(type(value) is int and 0 <= value < 2**63 for value in values)


def _told(kind: Any) -> str:
    return quoted(kind) if isinstance(kind, str) else "that is no text"
