"""Two readings of a plate beside each other: how far they differ, and which character stands at which place.

The distance is Levenshtein's (1966): the fewest characters to replace, insert or leave out.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Plates have up to 8 characters in most countries and 11 at most; the rest is what stands around them.
MAX_CHARACTERS = 16
#: Readings of one plate differ in at most one character of three: of 235 readings of drawn plates about 80 px wide,
#: blurred and noisy, 222 were that near to the plate.
NEAR = 3


def is_near(a: str, b: str) -> bool:
    """Whether two readings may be of one plate."""
    return distance(a, b) <= max(1, max(len(a), len(b)) // NEAR)


def distance(a: str, b: str) -> int:
    """Levenshtein's distance."""
    return _costs(a, b)[len(a)][len(b)]


def places(text: str, reference: str) -> Mapping[int, int]:
    """Which character of a text stands at which place of another.

    Returns:
        Index in `text` by index in `reference`, where every shortest way from one to the other says the same; a text of
        the same length that differs least as it stands is laid beside it as it stands.
    """
    shortest = distance(text, reference)
    if len(text) == len(reference) and sum(a != b for a, b in zip(text, reference, strict=True)) == shortest:
        return {index: index for index in range(len(text))}
    before, after = _costs(text, reference), _costs(text[::-1], reference[::-1])
    rows, columns = len(text), len(reference)

    def rest(i: int, j: int) -> int:
        return after[rows - i][columns - j]

    found: dict[int, int] = {}
    for j, sign in enumerate(reference):
        # A place that may as well be one that the reading lacks is not known.
        if any(before[i][j] + 1 + rest(i, j + 1) == shortest for i in range(rows + 1)):
            continue
        here = [i for i in range(rows) if before[i][j] + (text[i] != sign) + rest(i + 1, j + 1) == shortest]
        if len(here) == 1:
            found[j] = here[0]
    return found


def _costs(a: str, b: str) -> tuple[tuple[int, ...], ...]:
    """Distances of all beginnings: [i][j] of the first i characters of `a` and the first j of `b`."""
    table = [tuple(range(len(b) + 1))]
    for i, left in enumerate(a, 1):
        row = [i]
        for j, right in enumerate(b, 1):
            row.append(min(table[-1][j] + 1, row[-1] + 1, table[-1][j - 1] + (left != right)))
        table.append(tuple(row))
    return tuple(table)
