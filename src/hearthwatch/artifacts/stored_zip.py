"""The table of contents of a zip file whose entries are stored as they are, as torch writes them.

Not `zipfile`: it decompresses, takes entries that overlap or appear twice, and reads a directory of any size. Here
every entry is uncompressed, has a place of its own inside the file, and a name that stays inside the archive; anything
else is refused before a byte of data is read.

Format: PKWARE's APPNOTE 6.3.10, sections 4.3 (layout) and 4.5.3 (zip64).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader

from hearthwatch.artifacts.inert import quoted
from hearthwatch.errors import WeightsInvalid

SIGNATURE = b"PK\x03\x04"
#: 100,000 entries with names of torch's length; the directory of YOLOv8n has 20 kB.
MAX_DIRECTORY_BYTES = 16 << 20

#: torch's names are those of a folder and a number.
MAX_NAME = 300

_END = struct.Struct("<4s4H2LH")
_END_64_LOCATOR = struct.Struct("<4sLQL")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_ENCRYPTED = 1
_ZIP64_FIELD = 1
#: Stands for "the number is in the zip64 field" where 32 bits do not hold it.
_IN_ZIP64 = 0xFFFFFFFF
#: No file is longer, and no system seeks beyond.
_MAX_OFFSET = 2**63


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored file: where its bytes lie in the archive, and their CRC-32."""

    start: int
    size: int
    checksum: int


@dataclass(frozen=True, slots=True)
class _Listed:
    """One entry as the directory lists it; `header` is the offset of its local header."""

    name: bytes
    header: int
    size: int
    checksum: int


def read_directory(stream: BufferedReader, size: int, where: str) -> dict[str, Entry]:
    """List the entries of a zip file by name.

    Args:
        stream: the file.
        size: its length in bytes.
        where: the file, for the message.

    Raises:
        WeightsInvalid: not a zip file, damaged, compressed, encrypted, entries that overlap or appear twice, or a name
            that leads out of the archive; the message names the entry.
    """
    try:
        start, length = _find_directory(stream, size)
        if length > MAX_DIRECTORY_BYTES:
            raise WeightsInvalid(f"has a directory of {length} bytes; allowed {MAX_DIRECTORY_BYTES}")
        entries: dict[str, Entry] = {}
        end = 0
        for listed in sorted(_listed(_read(stream, start, length)), key=lambda item: item.header):
            name = _checked_name(listed.name)
            if name in entries:
                raise WeightsInvalid(f"has two entries {quoted(name)}")
            entry = _locate(stream, listed)
            if listed.header < end or entry.start + entry.size > start:
                raise WeightsInvalid(f"has an entry {quoted(name)} that overlaps another or is outside the file")
            end = entry.start + entry.size
            entries[name] = entry
        return entries
    except WeightsInvalid as error:
        raise WeightsInvalid(f"{where} {error}") from None
    except struct.error as error:
        raise WeightsInvalid(f"{where} is a damaged zip file: {error}") from error


def _find_directory(stream: BufferedReader, size: int) -> tuple[int, int]:
    """Offset and length of the directory. A comment after it, which torch does not write, is refused."""
    position = size - _END.size
    signature, *_, length, start, comment = _END.unpack(_read(stream, position, _END.size))
    if signature != b"PK\x05\x06" or comment:
        raise WeightsInvalid("is a damaged zip file: its directory is not at its end")
    if _IN_ZIP64 in {start, length}:
        position -= _END_64_LOCATOR.size
        signature, _, position, _ = _END_64_LOCATOR.unpack(_read(stream, position, _END_64_LOCATOR.size))
        fields = _END_64.unpack(_read(stream, position, _END_64.size))
        if (signature, fields[0]) != (b"PK\x06\x07", b"PK\x06\x06"):
            raise WeightsInvalid("is a damaged zip file: its directory is not at its end")
        length, start = fields[-2:]
    if start + length > position:
        raise WeightsInvalid("is a damaged zip file: its directory overlaps its end")
    return start, length


def _listed(directory: bytes) -> Iterator[_Listed]:
    position = 0
    while position < len(directory):
        fields = _CENTRAL.unpack_from(directory, position)
        signature, _, _, flags, method, _, _, checksum, packed, size = fields[:10]
        name_length, extra_length, comment_length, _, _, _, header = fields[10:]
        position += _CENTRAL.size
        name = directory[position : position + name_length]
        extra = directory[position + name_length : position + name_length + extra_length]
        position += name_length + extra_length + comment_length
        if signature != b"PK\x01\x02" or position > len(directory):
            raise WeightsInvalid("is a damaged zip file: its directory is not made of entries")
        if flags & _ENCRYPTED:
            raise WeightsInvalid(f"has an encrypted entry {_readable(name)}")
        size, packed, header = _widen((size, packed, header), extra)
        if method or packed != size:
            raise WeightsInvalid(f"has a compressed entry {_readable(name)}; torch stores its entries uncompressed")
        yield _Listed(name, header, size, checksum)


def _widen(fields: tuple[int, int, int], extra: bytes) -> list[int]:
    """Replace those of (size, packed size, header) that are held in the zip64 field, in this order."""
    wide = _zip64_numbers(extra)
    try:
        return [next(wide) if field == _IN_ZIP64 else field for field in fields]
    except StopIteration:
        raise WeightsInvalid("is a damaged zip file: a zip64 field is too short") from None


def _zip64_numbers(extra: bytes) -> Iterator[int]:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_FIELD:
            body = extra[4 : 4 + length]
            yield from struct.unpack_from(f"<{len(body) // 8}Q", body)
            return
        extra = extra[4 + length :]


def _locate(stream: BufferedReader, listed: _Listed) -> Entry:
    """Find the data behind the local header, which must name the same entry."""
    fields = _LOCAL.unpack(_read(stream, listed.header, _LOCAL.size))
    name_length, extra_length = fields[-2:]
    name = _read(stream, listed.header + _LOCAL.size, name_length)
    if fields[0] != SIGNATURE or name != listed.name:
        raise WeightsInvalid(f"is a damaged zip file: {_readable(listed.name)} is not where its directory says")
    return Entry(listed.header + _LOCAL.size + name_length + extra_length, listed.size, listed.checksum)


def _read(stream: BufferedReader, start: int, length: int) -> bytes:
    if not 0 <= start < _MAX_OFFSET:
        raise WeightsInvalid("is a damaged zip file: an offset is outside it")
    stream.seek(start)
    data = stream.read(length)
    if len(data) != length:
        raise WeightsInvalid("is a damaged zip file: it is cut off")
    return data


def _checked_name(raw: bytes) -> str:
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise WeightsInvalid(f"has an entry {_readable(raw)} whose name is no text") from None
    if (
        len(name) > MAX_NAME
        or not name.isprintable()
        or "\\" in name
        or ":" in name
        or {"", ".", ".."} & set(name.split("/"))
    ):
        raise WeightsInvalid(f"has an entry {quoted(name)} whose name is no plain path")
    return name


def _readable(raw: bytes) -> str:
    return quoted(raw.decode("utf-8", "replace"))
