"""Runs of numbers in a weight file, read into arrays after their place in the file has been checked."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt

from hearthwatch.errors import WeightsInvalid

Array = npt.NDArray[Any]

#: How each kind of element lies in a file. Python objects are no kind.
_RAW: Mapping[str, np.dtype[Any]] = {
    **{
        kind: np.dtype(kind).newbyteorder("<")
        for kind in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8")
    },
    "bfloat16": np.dtype("<u2"),  # numpy has no bfloat16: the upper half of a float32
    "bool": np.dtype("u1"),  # a byte other than 0 and 1 would be no valid numpy bool
}


def element_bytes(kind: str) -> int:
    """Bytes of one element in the file."""
    return _RAW[kind].itemsize


def read_elements(
    stream: BufferedReader,
    start: int,
    kind: str,
    count: int,
    *,
    where: str,
    big_endian: bool = False,
    checksum: int | None = None,
) -> Array:
    """Read `count` elements from byte `start`; the caller has checked that they lie inside the file.

    Args:
        stream: the file.
        start: offset of the first byte.
        kind: a name of numpy's, or `bfloat16`.
        count: how many elements.
        where: the part of the file, for the message.
        big_endian: how the file was written.
        checksum: CRC-32 of the bytes, where the file states one.

    Returns:
        (count,), writable, in the machine's byte order. bfloat16 becomes float32, which has all of its values.

    Raises:
        WeightsInvalid: the file ends before, or the checksum is another.
    """
    raw = _RAW[kind]
    array = np.empty(count, raw.newbyteorder(">") if big_endian else raw)
    stream.seek(start)
    # As bytes: the buffer of an empty array cannot be cast.
    if count and stream.readinto(array.view(np.uint8).data) != array.nbytes:
        raise WeightsInvalid(f"{where} ends before its {array.nbytes} bytes do")
    if checksum is not None and zlib.crc32(array.view(np.uint8).data) != checksum:
        raise WeightsInvalid(f"{where} is damaged: its checksum is not the one that the file states")
    if kind == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    if kind == "bool":
        return array.astype(np.bool_)
    return array.astype(raw.newbyteorder("="), copy=False)


def digest_of(streams: Sequence[BufferedReader]) -> str:
    """SHA-256 of one file; of several, the SHA-256 of all their digests in order. The same rule as for graphs."""
    digests = []
    for stream in streams:
        stream.seek(0)
        digests.append(hashlib.file_digest(stream, "sha256"))
    if len(digests) == 1:
        return digests[0].hexdigest()
    return hashlib.sha256(b"".join(digest.digest() for digest in digests)).hexdigest()
