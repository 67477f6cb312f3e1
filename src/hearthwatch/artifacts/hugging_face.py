"""Folders in Hugging Face's layout: config.json, and the weights in one file or in shards.

Where a folder has no config.json, the names of the classes may stand in classes.txt, one a line.
`model.safetensors` or its index come first, then `pytorch_model.bin` or its index, which are read as every other torch
file: without running them. Nothing in a folder is executed; `*.py` files are not looked at.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.artifacts.elements import Array, digest_of
from hearthwatch.artifacts.inert import quoted, shown
from hearthwatch.artifacts.limits import CheckpointLimits
from hearthwatch.artifacts.safetensors import read_safetensors
from hearthwatch.artifacts.state_dict import read_state_dict
from hearthwatch.errors import WeightsInvalid

CONFIG = "config.json"
CLASSES = "classes.txt"
SINGLE_FILES = ("model.safetensors", "pytorch_model.bin")
INDEX_SUFFIX = ".index.json"
#: Networks of hundreds of GB have fewer.
MAX_SHARDS = 1000


@dataclass(frozen=True, slots=True, eq=False)
class HuggingFaceFiles:
    """What a folder holds.

    Attributes:
        tensors: by name.
        config: config.json; None where there is none.
        classes: the lines of classes.txt; empty where there is none.
        files: the names of the files that were read, weights first.
        digest: of these files, in this order.
        metadata: of the safetensors files.
    """

    tensors: Mapping[str, Array]
    config: Mapping[str, Any] | None
    classes: tuple[str, ...]
    files: tuple[str, ...]
    digest: str
    metadata: Mapping[str, str]


def is_hugging_face(path: Path) -> bool:
    """Whether a path is read by this module: a folder, a safetensors file, or a described `pytorch_model.bin`."""
    if path.is_dir() or path.suffix == ".safetensors":
        return True
    return path.name == "pytorch_model.bin" and any((path.parent / name).is_file() for name in (CONFIG, CLASSES))


def read_hugging_face(path: Path, limits: CheckpointLimits) -> HuggingFaceFiles:
    """Read a folder, or one weight file and the config beside it.

    Raises:
        WeightsInvalid: no weights, a shard that is missing, outside the folder or contradicts the index, a config that
            is no JSON object, class names that are no text, or what `read_safetensors` and `read_state_dict` refuse.
    """
    named = not path.is_dir()
    folder = path.parent if named else path
    # What was named is read or refused, never replaced by other weights that lie beside it.
    names, index = ([path.name], None) if named else _weight_files(folder, limits)
    beside = [name for name in (CONFIG, CLASSES) if (folder / name).exists()]
    files = [*names, *beside]
    with ExitStack() as stack:
        opened = [(name, stack.enter_context(_open(folder, name, given=named and name == path.name))) for name in files]
        _check_size(folder, [stream for _, stream in opened], limits)
        facts = dict(opened[len(names) :])
        config = _read_json(folder / CONFIG, facts[CONFIG], limits) if CONFIG in facts else None
        classes = _read_lines(folder / CLASSES, facts[CLASSES], limits) if CLASSES in facts else ()
        tensors: dict[str, Array] = {}
        metadata: dict[str, str] = {}
        for name, stream in opened[: len(names)]:
            shard, said = _read_weights(stream, folder / name, limits)
            _check_shard(folder / name, shard, index, tensors)
            tensors |= shard
            metadata |= said
        if index is not None and set(index) != set(tensors):
            raise WeightsInvalid(f"{folder} lists tensors in its index that its files do not have")
        return HuggingFaceFiles(
            tensors, config, classes, tuple(files), digest_of([stream for _, stream in opened]), metadata
        )


def _weight_files(folder: Path, limits: CheckpointLimits) -> tuple[list[str], Mapping[str, str] | None]:
    """The weight files by name, and for shards, which file has which tensor."""
    for single in SINGLE_FILES:
        if (folder / single).exists():
            return [single], None
        index = folder / f"{single}{INDEX_SUFFIX}"
        if index.exists():
            with _open(folder, index.name) as stream:
                places = _weight_map(index, _read_json(index, stream, limits), Path(single).suffix)
            return sorted(set(places.values())), places
    looked_for = ", ".join(f"{single}, {single}{INDEX_SUFFIX}" for single in SINGLE_FILES)
    raise WeightsInvalid(f"{folder} has no weights: looked for {looked_for}")


def _weight_map(index: Path, content: Mapping[str, Any], suffix: str) -> Mapping[str, str]:
    places = content.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise WeightsInvalid(f"{index} names no files (weight_map)")
    names = {name if isinstance(name, str) else "" for name in places.values()}
    for name in sorted(names):
        # A name and nothing else: no folder, no "..", no absolute path.
        if Path(name).name != name or Path(name).suffix != suffix or not name.isprintable():
            raise WeightsInvalid(f"{index} names {quoted(name)}, which is not a {suffix} file beside it")
    if len(names) > MAX_SHARDS:
        raise WeightsInvalid(f"{index} names {len(names)} files; allowed {MAX_SHARDS}")
    return places


def _open(folder: Path, name: str, *, given: bool = False) -> BufferedReader:
    """Open a plain file of the folder; `given` is the one that the caller named, which may be a link to anywhere.

    A link must stay inside the folder, or lead into `blobs`, where the hub's cache keeps the files of its snapshots.
    """
    file = folder / name
    try:
        home, target = folder.resolve(), file.resolve()
        allowed = {home, home.parent.parent / "blobs"} if home.parent.name == "snapshots" else {home}
        if not given and target.parent not in allowed:
            raise WeightsInvalid(f"{file} is a link that leads out of its folder")
        if not stat.S_ISREG(file.stat().st_mode):
            raise WeightsInvalid(f"{file} is no plain file")
        return file.open("rb")
    except (OSError, ValueError, RuntimeError) as error:  # a name with a null byte; links in a circle
        raise WeightsInvalid(f"{folder} has no readable {shown(name)}: {error}") from error


def _check_size(folder: Path, streams: list[BufferedReader], limits: CheckpointLimits) -> None:
    size = sum(_size(stream) for stream in streams)
    if size > limits.file_bytes:
        raise WeightsInvalid(f"{folder} has {size} bytes of weights; allowed {limits.file_bytes}")


def _size(stream: BufferedReader) -> int:
    return stream.seek(0, 2)


def _read_text(path: Path, stream: BufferedReader, limits: CheckpointLimits) -> bytes:
    size = _size(stream)
    if size > limits.json_bytes:
        raise WeightsInvalid(f"{path} has {size} bytes; allowed {limits.json_bytes}")
    stream.seek(0)
    return stream.read()


def _read_lines(path: Path, stream: BufferedReader, limits: CheckpointLimits) -> tuple[str, ...]:
    """Lines without the space around them, nor the empty ones at the end."""
    try:
        text = _read_text(path, stream, limits).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise WeightsInvalid(f"{path} is no text: {error}") from error
    return tuple(line.strip() for line in text.rstrip().splitlines())


def _read_json(path: Path, stream: BufferedReader, limits: CheckpointLimits) -> Mapping[str, Any]:
    try:
        content = orjson.loads(_read_text(path, stream, limits))
    except orjson.JSONDecodeError as error:
        raise WeightsInvalid(f"{path} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise WeightsInvalid(f"{path} is not a JSON object")
    return content


def _read_weights(
    stream: BufferedReader, path: Path, limits: CheckpointLimits
) -> tuple[Mapping[str, Array], Mapping[str, str]]:
    if path.suffix == ".safetensors":
        return read_safetensors(stream, _size(stream), str(path), limits)
    return read_state_dict(stream, _size(stream), str(path), limits).tensors, {}


def _check_shard(
    path: Path, shard: Mapping[str, Array], index: Mapping[str, str] | None, before: Mapping[str, Array]
) -> None:
    if before.keys() & shard.keys():
        raise WeightsInvalid(f"{path} repeats a tensor of another file")
    if index is not None and any(index.get(name) != path.name for name in shard):
        raise WeightsInvalid(f"{path} has tensors that the index does not place there")
