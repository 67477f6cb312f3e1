"""Embedding spaces: from which cosine on two vectors pass for the same, and what kind of evidence that is.

A space is a network, its weights and its preprocessing (`osnet/sha256:…/256x128-squash-antialias`). Vectors of
different spaces are never compared. The table has a row for each network; whoever has calibrated a space at their own
cameras gives a threshold for that space instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from hearthwatch.errors import InputError
from hearthwatch.models.person_reid import DEFAULT_SIMILARITY_THRESHOLD

_FIRST_WORD = re.compile(r"[^-_/]*")


class How(StrEnum):
    """By what something was recognised, the strongest first.

    Appearance is mostly clothing: it lowers a risk by at most 10 points, the others by more (DESIGN.md).
    """

    FACE = "face"
    PLATE = "plate"
    APPEARANCE = "appearance"

    @property
    def strength(self) -> int:
        """0 for the strongest."""
        return list(How).index(self)


@dataclass(frozen=True, slots=True)
class Space:
    """One kind of embedding.

    Attributes:
        threshold: cosine, -1..1, from which on two are taken for the same.
        how: what that is evidence of.
    """

    threshold: float
    how: How


#: By the first word of the network's name. No network of this version recognises faces; one that does adds a row.
SPACES: Mapping[str, Space] = MappingProxyType(
    {
        # Seed 001 (`is_same_person`, threshold=0.7). Measured: docs/decisions/0015-gallery.md.
        "osnet": Space(DEFAULT_SIMILARITY_THRESHOLD, How.APPEARANCE),
        # Seed 004 (entity re-identification: similarity above 0.85); not measured.
        "clip": Space(0.85, How.APPEARANCE),
    }
)


def space_of(name: str, calibrated: Mapping[str, float] | None = None) -> Space:
    """The row of a space.

    Args:
        name: of the space, which begins with its network.
        calibrated: thresholds by the whole name of a space, of a site that has measured its own.

    Raises:
        InputError: no row and no calibration: nobody knows which cosine means anything there.
    """
    network = _FIRST_WORD.match(name)
    row = SPACES.get(network.group().lower()) if network else None
    threshold = (calibrated or {}).get(name)
    if threshold is not None:
        return Space(threshold, row.how if row else How.APPEARANCE)
    if row is None:
        raise InputError(f"no threshold is known for embeddings of {name[:100]!r}; known are {', '.join(SPACES)}")
    return row
