"""Keeps the process's locale as it was while an engine reads and writes networks.

OpenVINO reads and writes them under the locale "C" and puts back what it found. Of two threads that do so at the same
time, the second finds "C" and leaves it behind: from then on Python takes ASCII for the encoding of every text file
that is opened without one (OpenVINO 2026.4; seen where models load side by side).
"""

from __future__ import annotations

import locale
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside = 0
_before = ""


@contextmanager
def kept_locale() -> Iterator[None]:
    """When the last of those that are inside leaves, the locale is what it was when the first of them came."""
    global _inside, _before  # noqa: PLW0603 - a locale is the whole process's
    with _lock:
        if _inside == 0:
            _before = locale.setlocale(locale.LC_ALL)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0 and locale.setlocale(locale.LC_ALL) != _before:
                locale.setlocale(locale.LC_ALL, _before)
