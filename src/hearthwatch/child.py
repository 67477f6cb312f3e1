"""Child processes that do what could hurt this one: told one line, ended with all that they started, never orphans."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from typing import IO

#: What is kept of a child's last words.
TAIL_BYTES = 2000
_ORPHANED = 3


def tell(child: subprocess.Popen[bytes], line: bytes) -> None:
    """Give a child its job, as one line of its stdin, which stays open: its end is the parent's."""
    assert child.stdin is not None  # noqa: S101 - PIPE was asked for
    with contextlib.suppress(BrokenPipeError):  # it ended before it read: its exit status tells why
        child.stdin.write(line + b"\n")
        child.stdin.flush()


def end(child: subprocess.Popen[bytes]) -> None:
    """End a child and what it started, and wait for it. One that has ended is left alone."""
    if child.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
    if child.stdin is not None:
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


def crash_of(code: int) -> str:
    """The name of the signal that ended a child with a code below 0."""
    return signal.strsignal(-code) or f"signal {-code}"


def last_words(words: IO[bytes]) -> str:
    """The last lines of what a child wrote, as one."""
    size = words.seek(0, os.SEEK_END)
    words.seek(max(0, size - TAIL_BYTES))
    lines = words.read().decode(errors="replace").strip().splitlines()
    return " / ".join(line.strip() for line in lines[-3:]) or "it said nothing"


def end_with_parent(stdin: int) -> None:
    """In the child: end as soon as its stdin does, which the parent holds open.

    Args:
        stdin: the descriptor, not the stream: a thread that holds the stream's lock at the end makes Python abort.
    """
    threading.Thread(target=_watch, args=(stdin,), daemon=True).start()


def _watch(stdin: int) -> None:
    while os.read(stdin, 1):
        pass
    os._exit(_ORPHANED)
