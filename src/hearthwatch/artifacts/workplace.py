"""A folder of one's own beside a file that is being made: hidden, gone afterwards, and after a kill gone the next time.

A maker holds a lock in its folder for as long as it lives, on whatever machine or in whatever container; a folder whose
lock is free was left by one that was killed. Process numbers would not tell: in containers everybody is number 1.
"""

from __future__ import annotations

import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

SUFFIX = ".partial"
_LOCK = "lock"


@contextmanager
def workplace(output: Path) -> Iterator[Path]:
    """An empty folder in the folder of `output`, from which a file can be moved there in one step.

    Raises:
        OSError: the folder of `output` cannot be made or written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    # Only the start of the name: with the rest and what tempfile adds, a long name would be too long.
    prefix = f".{output.name[:100]}."
    for left in output.parent.glob(f"{glob.escape(prefix)}*{SUFFIX}"):
        _remove_if_left(left)
    with ExitStack() as stack:
        folder = _locked_folder(output.parent, prefix, stack)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _locked_folder(parent: Path, prefix: str, stack: ExitStack) -> Path:
    """A new folder whose lock is ours; another one's clean-up may have met it before it was locked."""
    while True:
        folder = Path(tempfile.mkdtemp(SUFFIX, prefix, parent))
        with suppress(FileNotFoundError), ExitStack() as locked:
            descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            locked.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The same file, not just one of that name: a second clean-up may have made another in its place.
            if os.path.samestat(os.fstat(descriptor), (folder / _LOCK).stat()):
                stack.push(locked.pop_all())
                return folder


def _remove_if_left(folder: Path) -> None:
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except OSError:  # gone meanwhile, or another user's
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Under the lock, so that whoever waits for it finds the folder gone and takes another.
        shutil.rmtree(folder, ignore_errors=True)
    except BlockingIOError:
        pass
    finally:
        os.close(descriptor)
