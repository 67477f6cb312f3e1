"""`hearthwatch.lock.json`: what was pulled into a models directory, from which commit, with which digest.

The first pull of a file without a published digest is trusted and recorded; every later one must give the same bytes.
Several processes may pull at once: rows are added under a file lock and the file is replaced atomically.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hearthwatch.errors import WeightsInvalid

LOCK_FILE = "hearthwatch.lock.json"
VERSION = 1
#: A row has about 500 bytes; a lock file of megabytes is something else.
MAX_LOCK_BYTES = 16 << 20


class LockRow(BaseModel):
    """One pulled file. Keys that a later version may add are left alone."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    model: str
    repository: str
    path: str
    revision: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size_bytes: int = Field(ge=0)
    license: str | None
    pulled_at: str


def read_lock(models_dir: Path) -> dict[str, LockRow]:
    """Read the rows by file (a POSIX path relative to the models directory); none where nothing was pulled.

    Raises:
        WeightsInvalid: the file cannot be read or is not a lock file.
    """
    try:
        return {name: LockRow.model_validate(row) for name, row in _files(_read_raw(models_dir)).items()}
    except ValidationError as error:
        raise _corrupt(models_dir, f"{error.errors()[0]['loc']}: {error.errors()[0]['msg']}") from error


def record(models_dir: Path, file: str, row: LockRow) -> None:
    """Add or replace one row; every other row stays as it is, byte for byte in meaning.

    Raises:
        WeightsInvalid: the file that is there is not a lock file; it is left as it is.
        OSError: the models directory cannot be written.
    """
    with exclusive(models_dir / f".{LOCK_FILE}.guard"):
        raw = _read_raw(models_dir)
        raw.setdefault("version", VERSION)
        raw["files"] = dict(sorted({**_files(raw), file: row.model_dump()}.items()))
        replace_atomically(models_dir / LOCK_FILE, orjson.dumps(raw, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def exclusive(path: Path, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold a lock between processes (and threads) on this path; waits until it is free.

    The empty file stays: removing it would let two waiters hold two different files of the same name.

    Args:
        path: an empty file in a folder that exists.
        on_wait: called once when another one holds the lock.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if on_wait is not None:
                on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace_atomically(path: Path, data: bytes) -> None:
    """Readers see the old bytes or the new ones, never a part; the caller holds the lock."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def _read_raw(models_dir: Path) -> dict[str, Any]:
    path = models_dir / LOCK_FILE
    try:
        if path.stat().st_size > MAX_LOCK_BYTES:
            raise _corrupt(models_dir, f"it has {path.stat().st_size} bytes; allowed {MAX_LOCK_BYTES}")
        raw = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError as error:
        raise _corrupt(models_dir, str(error)) from error
    except OSError as error:
        raise WeightsInvalid(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(raw, dict) or not isinstance(raw.get("files", {}), dict):
        raise _corrupt(models_dir, "it is not an object with `files`")
    return raw


def _files(raw: dict[str, Any]) -> dict[str, Any]:
    files: dict[str, Any] = raw.get("files", {})
    return files


def _corrupt(models_dir: Path, reason: str) -> WeightsInvalid:
    return WeightsInvalid(f"{models_dir / LOCK_FILE} is not a lock file ({reason}); move it away to start a new one")
