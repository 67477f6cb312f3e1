"""Text for a terminal. What comes from files, cameras and servers is data there, never a command."""

from __future__ import annotations

from rich.console import Console

from hearthwatch.artifacts.download import MIB
from hearthwatch.report.text import plain


def say(console: Console, text: str) -> None:
    """Print one line as it is: no markup, no wrapping, no control characters."""
    console.print(plain(text), markup=False, highlight=False, soft_wrap=True)


def mib(size_bytes: int | None) -> str:
    """Write a size for a person."""
    return "size unknown" if size_bytes is None else f"{size_bytes / MIB:.1f} MiB"
