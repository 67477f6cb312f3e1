"""torch's two containers, read without torch: the zip file since 1.6, and the older row of pickles.

zip     ROOT/data.pkl is the structure, ROOT/data/KEY are the storages, ROOT/byteorder says how they were written.
legacy  five pickles (magic number, protocol, system, structure, keys), then each storage: its count as int64, its
        elements.

Reference: `_save` and `_legacy_save` of https://github.com/pytorch/pytorch/blob/v2.9.0/torch/serialization.py (BSD-3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BufferedReader, BytesIO
from math import prod
from typing import Any

import numpy as np

from hearthwatch.artifacts.elements import Array, element_bytes, read_elements
from hearthwatch.artifacts.inert import STORAGE_KINDS, Name, Storage, TensorView, quoted, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.artifacts.stored_zip import SIGNATURE, Entry, read_directory
from hearthwatch.artifacts.unpickling import unpickle
from hearthwatch.errors import WeightsInvalid

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
#: Tensors may be views of one storage (a fused weight and its parts); a file that claims more is built to fill memory.
MAX_CLAIM = 2

_COUNT_BYTES = 8


@dataclass(frozen=True, slots=True, eq=False)
class TorchFile:
    """An open torch file: its structure, and the way to its tensors.

    Attributes:
        where: the file, for messages.
        root: what was saved, as inert values (`unpickling.unpickle`).
        size: of the file in bytes.
        read: the elements of one storage.
    """

    where: str
    root: Any
    size: int
    read: Callable[[Storage], Array]

    def arrays(self, views: Mapping[str, TensorView]) -> dict[str, Array]:
        """Read tensors from the file.

        Returns:
            By the same names, writable, bfloat16 as float32. What is one tensor in the file is one array here.

        Raises:
            WeightsInvalid: the tensors claim more memory than the file can hold, or a storage is damaged.
        """
        distinct = {_identity(view): view for view in views.values()}
        claim = sum(prod(view.shape) * element_bytes(view.storage.kind) for view in distinct.values())
        if claim > MAX_CLAIM * self.size:
            raise WeightsInvalid(f"{self.where} has {self.size} bytes, but its tensors claim {claim}")
        storages: dict[str, Array] = {}
        arrays: dict[_Identity, Array] = {}
        for identity, view in distinct.items():
            key = view.storage.key
            if key not in storages:
                storages[key] = self.read(view.storage)
            arrays[identity] = _lay_out(storages[key], view)
        return {name: arrays[_identity(view)] for name, view in views.items()}


_Identity = tuple[str, int, tuple[int, ...], tuple[int, ...]]


def read_torch_file(stream: BufferedReader, size: int, where: str, limits: CheckpointLimits) -> TorchFile:
    """Read the structure of a torch file; its tensors are read on demand, while the stream is open.

    Raises:
        WeightsInvalid: not a torch file, over a limit, damaged, or it asks for something that no checkpoint needs.
    """
    stream.seek(0)
    if stream.read(len(SIGNATURE)) == SIGNATURE:
        return _read_zip(stream, size, where, limits)
    return _read_legacy(stream, size, where, limits)


def _read_zip(stream: BufferedReader, size: int, where: str, limits: CheckpointLimits) -> TorchFile:
    entries = read_directory(stream, size, where)
    root = _root_folder(entries, where)
    data = _content(stream, entries[f"{root}/data.pkl"], f"{where} ({root}/data.pkl)", limits.pickle_bytes)
    big_endian = _is_big_endian(stream, entries.get(f"{root}/byteorder"), where)
    folder = f"{root}/data/"
    sizes = {name.removeprefix(folder): entry.size for name, entry in entries.items() if name.startswith(folder)}
    storages = _Storages(sizes)
    pickled = BytesIO(data)
    structure = unpickle(pickled, where, limits, storages.load)
    _check_end(pickled.tell(), len(data), f"{where} ({root}/data.pkl)")

    def read(storage: Storage) -> Array:
        entry = entries[f"{folder}{storage.key}"]
        part = f"{where} ({folder}{shown(storage.key)})"
        return read_elements(
            stream,
            entry.start,
            storage.kind,
            storage.count,
            where=part,
            big_endian=big_endian,
            checksum=entry.checksum,
        )

    return TorchFile(where, structure, size, read)


def _root_folder(entries: Mapping[str, Entry], where: str) -> str:
    """The one folder that everything is in."""
    roots = {name.split("/")[0] for name in entries}
    root = min(roots, default="")
    if len(roots) != 1 or f"{root}/data.pkl" not in entries:
        raise WeightsInvalid(
            f"{where} is a zip file, but not torch's: it has no folder with data.pkl and nothing beside"
        )
    if f"{root}/constants.pkl" in entries:
        raise WeightsInvalid(f"{where} is a TorchScript program, not a checkpoint: save the state_dict of its model")
    return root


def _content(stream: BufferedReader, entry: Entry, where: str, limit: int) -> bytes:
    if entry.size > limit:
        raise WeightsInvalid(f"{where} has {entry.size} bytes; allowed {limit}")
    return read_elements(stream, entry.start, "uint8", entry.size, where=where, checksum=entry.checksum).tobytes()


def _is_big_endian(stream: BufferedReader, entry: Entry | None, where: str) -> bool:
    if entry is None:  # before torch 2.1: the writer's machine, which was little-endian
        return False
    order = _content(stream, entry, f"{where} (byteorder)", len("little"))
    if order not in {b"little", b"big"}:
        raise WeightsInvalid(f"{where} has the byte order {quoted(order.decode('latin-1'))}; known are little and big")
    return order == b"big"


def _read_legacy(stream: BufferedReader, size: int, where: str, limits: CheckpointLimits) -> TorchFile:
    stream.seek(0)
    # The storages follow the pickles: what is read here beyond the pickles is never looked at.
    pickles = BytesIO(stream.read(limits.pickle_bytes))
    if unpickle(pickles, where, limits) != MAGIC_NUMBER:
        raise WeightsInvalid(f"{where} is a pickle, but not torch's: it does not begin with torch's magic number")
    protocol, system = unpickle(pickles, where, limits), unpickle(pickles, where, limits)
    if protocol != LEGACY_PROTOCOL or not isinstance(system, dict):
        raise WeightsInvalid(f"{where} is of an unknown version of torch's legacy format; known is {LEGACY_PROTOCOL}")
    storages = _Storages()
    structure = unpickle(pickles, where, limits, storages.load)
    keys = unpickle(pickles, where, limits)
    starts, end = _legacy_starts(stream, where, _in_order(keys, storages.found, where), pickles.tell())
    if end > size:
        raise WeightsInvalid(f"{where} is cut off: it has {size} bytes, its storages end at {end}")
    _check_end(end, size, where)

    def read(storage: Storage) -> Array:
        part = f"{where} (storage {shown(storage.key)})"
        return read_elements(stream, starts[storage.key], storage.kind, storage.count, where=part)

    return TorchFile(where, structure, size, read)


def _in_order(keys: Any, found: Mapping[str, Storage], where: str) -> list[Storage]:
    """The storages in the order in which they lie in the file."""
    names = [key for key in keys if isinstance(key, str)] if isinstance(keys, list) else []
    if set(names) != set(found) or len(names) != len(found):
        raise WeightsInvalid(f"{where} lists other storages than its tensors use")
    return [found[name] for name in names]


def _legacy_starts(
    stream: BufferedReader, where: str, storages: list[Storage], position: int
) -> tuple[dict[str, int], int]:
    """Where each storage's elements begin, and where the last end. Whatever the machine, they are little-endian."""
    starts = {}
    for storage in storages:
        stream.seek(position)
        count = int.from_bytes(stream.read(_COUNT_BYTES), "little")
        if count != storage.count:
            told = f"storage {shown(storage.key)} has {count} elements, not {storage.count}"
            raise WeightsInvalid(f"{where} is damaged or cut off: {told}")
        starts[storage.key] = position + _COUNT_BYTES
        position = starts[storage.key] + count * element_bytes(storage.kind)
        if position >= 2**63:  # beyond every file; and seek would not take it
            break
    return starts, position


def _check_end(position: int, size: int, where: str) -> None:
    if position != size:
        raise WeightsInvalid(f"{where} has {size - position} bytes behind its end: it may be two files in one")


class _Storages:
    """The storages that a structure refers to.

    Args:
        sizes: bytes of each storage by its key; None where only the rest of the file will tell.
    """

    def __init__(self, sizes: Mapping[str, int] | None = None) -> None:
        self._sizes = sizes
        self.found: dict[str, Storage] = {}

    def load(self, identity: Any) -> Any:
        """Resolve `("storage", class, key, device, count)`.

        The legacy format adds a view, which must be None, and also refers to modules' classes, with their source code.

        Raises:
            WeightsInvalid: another kind of reference, or a storage that the file does not have in this size.
        """
        # No comparison of the whole: it may hold anything, nested to any depth.
        if self._sizes is None and isinstance(identity, tuple) and len(identity) == 4 and identity[0] == "module":
            return identity[1]
        own = isinstance(identity, tuple) and (len(identity) == 5 or (len(identity) == 6 and identity[5] is None))
        if not own or identity[0] != "storage":
            raise WeightsInvalid("refers to something that is no storage of its own")
        _, storage_class, key, _, count = identity[:5]
        kind = STORAGE_KINDS.get(storage_class.text) if isinstance(storage_class, Name) else None
        if kind is None or not isinstance(key, str) or type(count) is not int or not 0 <= count < 2**63:
            raise WeightsInvalid("has a storage of a kind that is not read")
        storage = self.found.setdefault(key, Storage(key, kind, count))
        if (storage.kind, storage.count) != (kind, count):
            raise WeightsInvalid(f"describes its storage {shown(key)} in two ways")
        if self._sizes is not None and self._sizes.get(key) != count * element_bytes(kind):
            actual = self._sizes.get(key, 0)
            raise WeightsInvalid(f"claims {count} {kind} for storage {shown(key)}, which has {actual} bytes")
        return storage


def _identity(view: TensorView) -> _Identity:
    return view.storage.key, view.offset, view.shape, view.strides


def _lay_out(elements: Array, view: TensorView) -> Array:
    """A view as an array of its own; it was checked to lie inside the storage when it was read."""
    if prod(view.shape) == 0:
        return np.empty(view.shape, elements.dtype)
    part = elements[view.offset :]
    strides = tuple(stride * elements.itemsize for stride in view.strides)
    strided = np.lib.stride_tricks.as_strided(part, view.shape, strides, writeable=False)
    whole = strided.flags.c_contiguous and strided.size == elements.size
    return elements.reshape(view.shape) if whole else strided.copy()
