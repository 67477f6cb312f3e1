"""Letting one file grow to its full size in a staging folder, and continuing after each break.

A download that broke off is continued in the same process, by the next one, or after Ctrl-C: what has arrived stays.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hearthwatch.artifacts.catalog import CatalogEntry
from hearthwatch.artifacts.hub import HubClient, Interrupted, Remote
from hearthwatch.errors import PullError

#: Attempts in a row that bring no new byte, after which a download is given up.
MAX_ATTEMPTS = 5
#: The wait before an attempt doubles from one second up to this.
MAX_WAIT_S = 30.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told what, and what a test replaces.

    Attributes:
        on_start: before the first byte, with what the hub says about the file.
        on_progress: (bytes so far, bytes in all) while it grows.
        on_wait: when another process is pulling the same file.
        sleep: waits between attempts.
        now: time for the lock file.
        free_bytes: free space of the disk that holds a folder.
    """

    on_start: Callable[[CatalogEntry, Remote], None] = lambda _entry, _remote: None
    on_progress: Callable[[int, int], None] = lambda _done, _total: None
    on_wait: Callable[[], None] = lambda: None
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    free_bytes: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free


def download(client: HubClient, remote: Remote, staging: Path, stem: str, hooks: Hooks) -> Path:
    """Download one file, or the rest of it; the caller holds the lock on its name.

    Args:
        client: the hub.
        remote: the file there.
        staging: a folder that exists, on the disk of the final place.
        stem: what the growing file's name begins with.
        hooks: who is told what.

    Returns:
        The complete file in the staging folder, of the announced size.

    Raises:
        PullError: the disk is too small, or the connection keeps breaking.
        OSError: the disk cannot be written.
    """
    partial = _partial(remote, staging, stem)
    _check_space(remote, partial, hooks)
    _grow(client, remote, partial, hooks)
    return partial


def _partial(remote: Remote, staging: Path, stem: str) -> Path:
    """Name the growing file by its content, so that bytes of two revisions never meet; older ones are removed."""
    identity = "\n".join((remote.repository, remote.path, remote.etag or remote.revision))
    partial = staging / f"{stem}.{hashlib.sha256(identity.encode()).hexdigest()[:16]}.partial"
    for other in staging.iterdir():
        if other.name.startswith(f"{stem}.") and other.suffix == ".partial" and other != partial:
            other.unlink()
    if _size(partial) > remote.size_bytes:
        partial.unlink()
    return partial


def _check_space(remote: Remote, partial: Path, hooks: Hooks) -> None:
    needed, free = remote.size_bytes - _size(partial), hooks.free_bytes(partial.parent)
    if needed > free:
        raise PullError(
            f"{remote.path} needs {needed / MIB:.1f} MiB and the disk of {partial.parent.parent}"
            f" has {free / MIB:.1f} MiB free"
        )


def _grow(client: HubClient, remote: Remote, partial: Path, hooks: Hooks) -> None:
    """Let the partial file grow to its full size, continuing after each break."""
    failures = 0
    while (before := _size(partial)) < remote.size_bytes:
        try:
            _append(client, remote, partial, before, hooks)
            reason = "the connection ended early"
        except Interrupted as error:
            reason = str(error)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                partial.unlink(missing_ok=True)  # a full disk hurts more than a download from the start
            raise
        if _size(partial) >= remote.size_bytes:
            break
        failures = 1 if _size(partial) > before else failures + 1
        if failures >= MAX_ATTEMPTS:
            done = f"{_size(partial) / MIB:.1f} of {remote.size_bytes / MIB:.1f} MiB"
            raise PullError(f"{remote.path} broke off at {done}: {reason}; pull again to continue from there")
        hooks.sleep(min(2.0 ** (failures - 1), MAX_WAIT_S))


def _append(client: HubClient, remote: Remote, partial: Path, start: int, hooks: Hooks) -> None:
    with client.open(remote, start) as (first, chunks), partial.open("r+b" if start else "wb") as stream:
        stream.seek(first)
        stream.truncate()
        position = first
        for chunk in chunks:
            position += len(chunk)
            if position > remote.size_bytes:
                partial.unlink()
                raise PullError(f"{remote.path} is longer than the {remote.size_bytes} bytes that the hub announced")
            stream.write(chunk)
            hooks.on_progress(position, remote.size_bytes)
        stream.flush()
        os.fsync(stream.fileno())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
