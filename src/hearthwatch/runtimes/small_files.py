"""Small files of facts in a cache that several processes, threads and containers write."""

from __future__ import annotations

import uuid
from pathlib import Path


def replace_atomically(path: Path, data: bytes) -> None:
    """Readers see the old bytes or the new ones, never a part, and of two writers at once one wins.

    Raises:
        OSError: the folder cannot be written; nothing is left in it.
    """
    # Not the number of the process: threads share it, and in containers everybody is number 1.
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}.partial")
    try:
        partial.write_bytes(data)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
