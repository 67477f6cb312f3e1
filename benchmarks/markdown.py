"""The little Markdown that pages of results are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)


def milliseconds(value: float) -> str:
    """Three digits where that many mean anything."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def span(pair: Sequence[float]) -> str:
    """From the one to the other."""
    return f"{pair[0]:.2f} to {pair[1]:.2f}"
