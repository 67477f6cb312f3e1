"""safetensors files and Hugging Face folders that break a rule of their format."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from malformed import DEEP, SIX_BYTES, WEIGHT, Malformed, bare
from torch_by_hand import save_safetensors, write_safetensors


def _good_safetensors(folder: Path) -> Path:
    return save_safetensors(folder / "model.safetensors", WEIGHT)


def _header(row: Mapping[str, Any], **more: Any) -> Callable[[Path], Path]:
    """A safetensors file with 24 bytes of data and one tensor that is described so."""
    rows = {"w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **row}, **more}
    return lambda folder: write_safetensors(folder / "model.safetensors", rows, SIX_BYTES)


def _row(begin: int, end: int, dtype: str = "U8") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [end - begin], "data_offsets": [begin, end]}


def _config(content: bytes) -> Callable[[Path], Path]:
    def built(folder: Path) -> Path:
        _good_safetensors(folder)
        (folder / "config.json").write_bytes(content)
        return folder

    return built


def _index(content: Any) -> Callable[[Path], Path]:
    def built(folder: Path) -> Path:
        inner = folder / "net"
        inner.mkdir()
        save_safetensors(folder / "outside.safetensors", WEIGHT)
        save_safetensors(inner / "a.safetensors", WEIGHT)
        save_safetensors(inner / "b.safetensors", WEIGHT)
        (inner / "link.safetensors").symlink_to(folder / "outside.safetensors")
        (inner / "folder.safetensors").mkdir()
        os.mkfifo(inner / "pipe.safetensors")
        (inner / "model.safetensors.index.json").write_text(json.dumps(content))
        return inner

    return built


def _shard(file: str) -> Callable[[Path], Path]:
    return _index({"weight_map": {"fc.weight": file}})


def _linked(file: str) -> Callable[[Path], Path]:
    """A Hugging Face folder one of whose files is a link to outside."""

    def built(folder: Path) -> Path:
        inner = folder / "net"
        inner.mkdir()
        save_safetensors(inner / "model.safetensors", WEIGHT)
        (inner / "config.json").write_text("{}")
        (inner / file).rename(folder / file)
        (inner / file).symlink_to(folder / file)
        return inner

    return built


MALFORMED_FOLDERS: Mapping[str, Malformed] = {
    # safetensors.
    "a header of 4 GB": Malformed("header claims 4294967296 bytes", bare(struct.pack("<Q", 1 << 32), "x.safetensors")),
    "a header of 2**64 bytes": Malformed("header claims", bare(b"\xff" * 8 + b"{}", "x.safetensors")),
    "a header beyond the file": Malformed(
        "claims 3 bytes; allowed 2", bare(b"\x03" + bytes(7) + b"{}", "x.safetensors")
    ),
    "a header of 5 MB": Malformed(
        "allowed 4194304", lambda folder: write_safetensors(folder / "x.safetensors", b" " * 5_000_000, b"")
    ),
    "an empty safetensors file": Malformed("is no safetensors file", bare(b"", "x.safetensors")),
    "a header that is no JSON": Malformed(
        "not JSON", lambda folder: write_safetensors(folder / "x.safetensors", b"{'a':", b"")
    ),
    "a deep header": Malformed(
        "not JSON", lambda folder: write_safetensors(folder / "x.safetensors", b'{"w":' + b"[" * DEEP, b"")
    ),
    "a header that is a list": Malformed(
        "its header is no table", lambda folder: write_safetensors(folder / "x.safetensors", [1], b"")
    ),
    "a row that is a list": Malformed("the type that is no text", _header({}, v=[1])),
    "offsets beyond the data": Malformed("end at byte 28", _header({"shape": [7], "data_offsets": [0, 28]})),
    "offsets that overflow": Malformed("no shape or no place", _header({"data_offsets": [2**63, 2**63 + 24]})),
    "offsets beyond 64 bits": Malformed("no shape or no place", _header({"data_offsets": [10**30, 10**30 + 24]})),
    "negative offsets": Malformed("no shape or no place", _header({"data_offsets": [-24, 0]})),
    "offsets backwards": Malformed("does not fit its -24 bytes", _header({"data_offsets": [24, 0]})),
    "a shape that does not fit": Malformed("does not fit its 24 bytes", _header({"shape": [2, 4]})),
    "a shape of fractions": Malformed("no shape or no place", _header({"shape": [2.0, 3]})),
    "a shape beyond 64 bits": Malformed("does not fit", _header({"shape": [2**62, 2**62, 2**62]})),
    "an empty shape beyond 64 bits": Malformed(
        "has the shape", _header({}, v={"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [24, 24]})
    ),
    "tensors that overlap": Malformed("begins at byte 8, not at 16", _header(_row(0, 16), v=_row(8, 24))),
    "tensors that coincide": Malformed("begins at byte 0, not at 24", _header(_row(0, 24), v=_row(0, 24))),
    "a hole between tensors": Malformed("begins at byte 9, not at 8", _header(_row(0, 8), v=_row(9, 24))),
    "data that no tensor has": Malformed("end at byte 23, its data at 24", _header(_row(0, 23))),
    "a type of 8 bits that is not read": Malformed("the type 'F8_E4M3'", _header({"dtype": "F8_E4M3"})),
    "a type that is a list": Malformed("the type that is no text", _header({"dtype": ["F32"]})),
    "metadata that is no text": Malformed("its metadata is not text", _header({}, __metadata__={"a": [1]})),
    # Hugging Face folders.
    "an empty folder": Malformed("has no weights: looked for model.safetensors", lambda folder: folder),
    "a deep config": Malformed("config.json is not JSON", _config(b"[" * DEEP)),
    "a config of 5 MB": Malformed("allowed 4194304", _config(b" " * 5_000_000 + b"{}")),
    "a config that is a list": Malformed("is not a JSON object", _config(b"[]")),
    "a config that is not JSON": Malformed("is not JSON", _config(b"import os")),
    "a config with a huge image": Malformed("image size", _config(b'{"image_size": 1000000}')),
    "a config with names that are lists": Malformed("class names", _config(b'{"id2label": {"0": ["a"]}}')),
    "a config that is a link to outside": Malformed("leads out of its folder", _linked("config.json")),
    "weights that are a link to outside": Malformed("leads out of its folder", _linked("model.safetensors")),
    "a name that is misspelt beside other weights": Malformed(
        "mispelt.safetensors", lambda folder: _good_safetensors(folder).with_name("mispelt.safetensors")
    ),
    "a shard upwards": Malformed("'../outside.safetensors', which is not", _shard("../outside.safetensors")),
    "a shard by its full path": Malformed("'/etc/passwd.safetensors', which is", _shard("/etc/passwd.safetensors")),
    "a shard that is a link": Malformed("leads out of its folder", _shard("link.safetensors")),
    "a shard that is a folder": Malformed("is no plain file", _shard("folder.safetensors")),
    "a shard that is a pipe": Malformed("is no plain file", _shard("pipe.safetensors")),
    "a shard that is missing": Malformed("no readable none.safetensors", _shard("none.safetensors")),
    "a shard of another format": Malformed("which is not a .safetensors file", _shard("a.bin")),
    "a shard with a null byte": Malformed("which is not a .safetensors file", _shard("a\0.safetensors")),
    "a shard that is a number": Malformed("which is not a .safetensors file", _index({"weight_map": {"fc.weight": 3}})),
    "an index without places": Malformed("names no files", _index({"weight_map": {}})),
    "an index that is a list": Malformed("is not a JSON object", _index([1])),
    "an index that misplaces a tensor": Malformed(
        "the index does not place there", _index({"weight_map": {"other": "a.safetensors"}})
    ),
    "an index with tensors that nobody has": Malformed(
        "that its files do not have",
        _index({"weight_map": {"fc.weight": "a.safetensors", "fc.bias": "a.safetensors"}}),
    ),
    "a tensor in two shards": Malformed(
        "repeats a tensor of another file",
        _index({"weight_map": {"fc.weight": "a.safetensors", "fc.bias": "b.safetensors"}}),
    ),
}
