"""Shared libraries that an execution provider of ONNX Runtime needs: loaded before it, or named when one is missing.

ONNX Runtime opens a provider's library and, where that fails, says so on stderr and goes on with the CPU. This reads
the names that the provider's file asks for, opens each (also from the `nvidia-*` and `tensorrt-*` packages, whose
folders no loader searches) and so knows the missing one by name. The provider itself is not opened: its start-up code
expects ONNX Runtime to have prepared the process.
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

#: Packages that carry NVIDIA's libraries, and where in them the files lie.
PACKAGES = {"nvidia": "*/lib", "tensorrt_libs": "."}

#: How glibc names the library that a library wants.
_WANTED = re.compile(r"^([^\s:/]+): cannot open shared object file")
_ELF_64_LITTLE = b"\x7fELF\x02\x01"
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_NEEDED, _DT_STRTAB = 1, 5

OpenLibrary = Callable[[str], Any]


def open_globally(name: str) -> Any:
    """Open a library so that others that are opened later find its names."""
    return ctypes.CDLL(name, ctypes.RTLD_GLOBAL)


def missing_library(
    path: Path,
    open_library: OpenLibrary = open_globally,
    folders: Sequence[Path] | None = None,
    also: Sequence[str] = (),
) -> str | None:
    """Open everything that a shared library needs; the reason of the first that cannot be opened, or None.

    Args:
        path: a shared library.
        open_library: `open_globally`, or what stands in for it.
        folders: searched where the loader finds nothing; None: those of the installed packages.
        also: libraries that it opens by itself later, and so does not ask the loader for.
    """
    places = list(package_folders()) if folders is None else folders
    try:
        names = needed_libraries(path)
    except (OSError, ValueError, struct.error) as error:
        return f"{path.name} cannot be read ({error})"
    for name in (*names, *also):
        if reason := _open(name, open_library, places, ()):
            return reason
    return None


def needed_libraries(path: Path) -> tuple[str, ...]:
    """The names that an ELF file asks the loader for (DT_NEEDED), in order.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no 64-bit little-endian ELF file, or is cut.
    """
    with path.open("rb") as stream:
        header = stream.read(64)
        if not header.startswith(_ELF_64_LITTLE):
            raise ValueError("no 64-bit ELF file")
        table, entry_bytes, entries = (*struct.unpack_from("<Q", header, 32), *struct.unpack_from("<HH", header, 54))
        stream.seek(table)
        segments = [struct.unpack_from("<IIQQQQ", stream.read(entry_bytes)) for _ in range(entries)]
        tags = [tag for kind, _, offset, _, _, size in segments if kind == _PT_DYNAMIC
                for tag in _pairs(stream, offset, size)]  # fmt: skip
        strings = next((value for tag, value in tags if tag == _DT_STRTAB), None)
        if strings is None:
            return ()
        start = _file_offset(strings, segments)
        return tuple(_string(stream, start + value) for tag, value in tags if tag == _DT_NEEDED)


def package_folders() -> Iterator[Path]:
    """Folders of installed packages that hold NVIDIA's libraries."""
    for package, inside in PACKAGES.items():
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            yield from sorted(Path(place).glob(inside)) if inside != "." else [Path(place)]


def _open(name: str, open_library: OpenLibrary, folders: Sequence[Path], asked: tuple[str, ...]) -> str | None:
    """Open one library and, where it lacks others, those first. Why it cannot be opened, or None."""
    places = [name, *(str(folder / name) for folder in folders if (folder / name).is_file())]
    reason = f"{name} is not installed"
    for place in places:
        for _ in range(len(folders) + 8):  # each round opens one library that the last one lacked
            try:
                open_library(place)
            except OSError as error:
                wanted = _WANTED.match(str(error))
                if wanted is None or wanted[1] in {*asked, name} or place == wanted[1]:
                    reason = f"{name} is not installed" if wanted else f"{name} cannot be opened ({error})"
                    break
                if lacking := _open(wanted[1], open_library, folders, (*asked, name)):
                    return lacking
            else:
                return None
    return reason


def _pairs(stream: Any, offset: int, size: int) -> list[tuple[int, int]]:
    stream.seek(offset)
    data = stream.read(size)
    return [struct.unpack_from("<qQ", data, at) for at in range(0, len(data) - 15, 16)]


def _file_offset(address: int, segments: Sequence[tuple[int, ...]]) -> int:
    for kind, _, offset, start, _, size in segments:
        if kind == _PT_LOAD and start <= address < start + size:
            return offset + address - start
    raise ValueError("its table of names is in no segment")


def _string(stream: Any, offset: int) -> str:
    stream.seek(offset)
    data: bytes = stream.read(256)
    return data.split(b"\0", 1)[0].decode()
