"""What a provider's library needs is opened before it, or named."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearthwatch.runtimes.libraries import missing_library, needed_libraries


def elf(path: Path, needed: Sequence[str]) -> Path:
    """A shared library of the least: one segment, and a table of the names that it needs."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in needed)
    offsets = [1 + sum(len(name) + 1 for name in needed[:index]) for index in range(len(needed))]
    table = 64 + 2 * 56
    dynamic = table + len(names)
    base = 0x1000  # addresses are not offsets
    tags = [(5, base + table), *((1, offset) for offset in offsets), (0, 0)]
    body = names + b"".join(struct.pack("<qQ", *tag) for tag in tags)
    size = table + len(body)
    header = (
        b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    )
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, base, base, size, size, 4096)
    pointer = struct.pack("<IIQQQQQQ", 2, 4, dynamic, base + dynamic, base + dynamic, 16 * len(tags), 16 * len(tags), 8)
    path.write_bytes(header + load + pointer + body)
    return path


class TestLibraries:
    """A loader that knows some libraries, each with what it lacks until that is opened."""

    class Loader:
        def __init__(self, lacks: dict[str, str]) -> None:
            self.lacks, self.opened = lacks, []  # type: tuple[dict[str, str], list[str]]

        def __call__(self, name: str) -> object:
            short = Path(name).name
            if short not in self.lacks or (
                name == short and short not in self.opened and self.lacks[short] == "folder"
            ):
                raise OSError(f"{short}: cannot open shared object file: No such file or directory")
            lacking = self.lacks[short]
            if lacking not in {"", "folder", *self.opened}:
                raise OSError(f"{lacking}: cannot open shared object file: No such file or directory")
            self.opened.append(short)
            return object()

    @given(names=st.lists(st.text("abcdef.so0123456789", min_size=1, max_size=30), max_size=8))
    def test_the_names_are_read_as_they_were_written(
        self, names: list[str], tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        assert needed_libraries(elf(tmp_path_factory.mktemp("elf") / "lib.so", names)) == tuple(names)

    @given(size=st.integers(0, 250))
    def test_a_cut_file_is_a_reason_and_no_crash(self, size: int, tmp_path_factory: pytest.TempPathFactory) -> None:
        path = elf(tmp_path_factory.mktemp("elf") / "lib.so", ["liba.so.1"])
        path.write_bytes(path.read_bytes()[:size])
        reason = missing_library(path, self.Loader({"liba.so.1": ""}), [])
        assert reason is None or "lib.so cannot be read" in reason or "is not installed" in reason

    def test_the_python_module_of_the_installed_onnx_runtime_has_all_that_it_needs(self) -> None:
        import onnxruntime

        [module] = (Path(onnxruntime.__file__).parent / "capi").glob("onnxruntime_pybind11_state*.so")
        assert "libc.so.6" in needed_libraries(module)
        assert missing_library(module) is None

    def test_the_missing_library_is_named(self, tmp_path: Path) -> None:
        path = elf(tmp_path / "provider.so", ["libc.so.6", "libnvinfer.so.10"])
        assert missing_library(path, self.Loader({"libc.so.6": ""}), []) == "libnvinfer.so.10 is not installed"
        assert missing_library(path) == "libnvinfer.so.10 is not installed"  # the real loader says it so too

    def test_a_library_that_is_opened_on_first_use_is_looked_for_too(self, tmp_path: Path) -> None:
        path, loader = elf(tmp_path / "provider.so", ["libc.so.6"]), self.Loader({"libc.so.6": ""})
        assert missing_library(path, loader, []) is None
        assert missing_library(path, loader, [], also=["libcudnn.so.9"]) == "libcudnn.so.9 is not installed"

    def test_a_library_in_a_package_is_opened_with_what_it_lacks_first(self, tmp_path: Path) -> None:
        folder = tmp_path / "nvidia" / "cu13" / "lib"
        folder.mkdir(parents=True)
        for name in ("libcublas.so.13", "libcublasLt.so.13"):
            (folder / name).touch()
        loader = self.Loader({"libcublas.so.13": "libcublasLt.so.13", "libcublasLt.so.13": "folder"})
        path = elf(tmp_path / "provider.so", ["libcublas.so.13"])
        assert missing_library(path, loader, [folder]) is None
        assert loader.opened == ["libcublasLt.so.13", "libcublas.so.13"]
        (folder / "libcublasLt.so.13").unlink()
        alone = self.Loader({"libcublas.so.13": "libcublasLt.so.13"})
        assert missing_library(path, alone, [folder]) == "libcublasLt.so.13 is not installed"

    def test_a_library_that_cannot_be_opened_for_another_reason_gives_it(self, tmp_path: Path) -> None:
        def broken(name: str) -> object:
            raise OSError(f"{name}: file too short")

        reason = missing_library(elf(tmp_path / "provider.so", ["liba.so.1"]), broken, [])
        assert reason == "liba.so.1 cannot be opened (liba.so.1: file too short)"

    def test_two_libraries_that_lack_each_other_end_in_a_reason(self, tmp_path: Path) -> None:
        loader = self.Loader({"liba.so.1": "libb.so.1", "libb.so.1": "liba.so.1"})
        assert missing_library(elf(tmp_path / "p.so", ["liba.so.1"]), loader, []) is not None
