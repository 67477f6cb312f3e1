"""The files of one TensorRT engine on disk, and the manifest that says what they are.

<stem>.key.json     the key, the files with their digests, and the verdict; written last, so it means "complete"
<stem>_*.engine     ONNX Runtime's engine, and its .profile where the batch is dynamic
<stem>_ctx.onnx     ONNX Runtime's context model, which loads the engine without the original graph
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.runtimes.engine_key import EngineKey
from hearthwatch.runtimes.small_files import replace_atomically

MANIFEST_VERSION = 1
#: A manifest has about 2,000 bytes.
MAX_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Place:
    """A folder and the stem of the files in it."""

    folder: Path
    stem: str

    @property
    def manifest(self) -> Path:
        """The file that says what the others are."""
        return self.folder / f"{self.stem}.key.json"

    @property
    def staging(self) -> Path:
        """Where an engine is built before it is complete."""
        return self.folder / f".{self.stem}.building"

    @property
    def context(self) -> Path:
        """The context model."""
        return self.folder / f"{self.stem}_ctx.onnx"

    def is_ours(self, name: str) -> bool:
        """Whether a file of that name in this folder may be one of the engine's: nothing else is moved or removed."""
        engine = name.startswith(f"{self.stem}_") and name.endswith((".engine", ".profile"))
        return name == Path(name).name and (engine or name == self.context.name)


@dataclass(frozen=True, slots=True)
class StoredEngine:
    """A complete engine of the wanted key.

    Attributes:
        place: where it is.
        context: its context model; None where ONNX Runtime wrote none (a graph that TensorRT takes in parts).
        accepted: True after its results agreed, False after they did not, None before this version compared them.
        reason: why its results were refused.
        files: all that belong to it.
        written: size and time of each engine and context model before their digests were taken.
        notes: why it is not where it was expected.
    """

    place: Place
    context: Path | None
    accepted: bool | None
    reason: str
    files: tuple[Path, ...]
    written: tuple[tuple[int, int] | None, ...]
    notes: tuple[str, ...] = ()

    def changed(self) -> bool:
        """Whether it was written again since it was found: by ONNX Runtime, or by another process."""
        return last_written(self.files) != self.written


def read_manifest(place: Place) -> dict[str, Any] | None:
    """The manifest of a place; None where there is none, or what is there is no manifest of ours."""
    try:
        if place.manifest.stat().st_size > MAX_MANIFEST_BYTES:
            return None
        manifest = orjson.loads(place.manifest.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return None
    usable = (
        isinstance(manifest, dict)
        and manifest.get("version") == MANIFEST_VERSION
        and isinstance(manifest.get("files"), dict)
        and isinstance(manifest.get("notes"), list)
        and isinstance(manifest.get("verdict"), dict | None)
    )
    return manifest if usable else None


def key_of(manifest: dict[str, Any]) -> EngineKey | None:
    """What the engine of a manifest was built for; None where the manifest does not say so completely."""
    kept = manifest.get("key")
    names = {field.name for field in fields(EngineKey)}
    return EngineKey(**kept) if isinstance(kept, dict) and kept.keys() == names else None


def read_key(place: Place) -> EngineKey | None:
    """What the engine of a place was built for; None where there is none."""
    manifest = read_manifest(place)
    return None if manifest is None else key_of(manifest)


def write_manifest(place: Place, manifest: dict[str, Any]) -> None:
    """Put a manifest in place in one step.

    Raises:
        OSError: the folder cannot be written.
    """
    replace_atomically(place.manifest, orjson.dumps(manifest, option=orjson.OPT_INDENT_2))


def damage_of(place: Place, manifest: dict[str, Any]) -> str | None:
    """What is wrong with the files that a manifest lists; None where all are as they were built."""
    for name, facts in manifest["files"].items():
        file = place.folder / name
        if not place.is_ours(name):
            return f"{name!r} is none of an engine's files"
        try:
            if file.is_symlink() or file.stat().st_size != facts["bytes"] or digest_of_file(file) != facts["sha256"]:
                return f"{file.name} was changed after it was built"
        except (OSError, KeyError, TypeError):
            return f"{file.name} is missing"
    return None


def last_written(files: Sequence[Path]) -> tuple[tuple[int, int] | None, ...]:
    """Size and time of each file, by which a rewritten one is told without reading it; None where there is none."""
    # Profiles are left out: they only say for which shapes the engine is, and are written with it.
    return tuple(_size_and_time(file) for file in files if file.suffix != ".profile")


def _size_and_time(file: Path) -> tuple[int, int] | None:
    try:
        stat = file.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def digest_of_file(file: Path) -> str:
    """SHA-256."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
