"""How near a thing is, in words and as an estimate in metres, from its place in the depth of one picture.

The table is record "proximity-1" (docs/decisions/0005-proximity.md); a change of a number raises the version.
"""

from __future__ import annotations

PROXIMITY_VERSION = "proximity-1"
#: The upper end of each word's share of the picture's depth.
PROXIMITY: tuple[tuple[float, str], ...] = (
    (0.15, "very close"),
    (0.35, "close"),
    (0.6, "moderate"),
    (0.8, "far"),
    (1.0, "very far"),
)
#: Metres that the nearest and the farthest point of a picture are taken for where nothing is calibrated: the ground
#: below a camera on a house wall, and the other side of a street.
NEAREST_M, FARTHEST_M = 2.0, 30.0


def proximity_label(relative_depth: float) -> str:
    """The word for 0..1, 0 = the nearest of the picture."""
    return next((word for end, word in PROXIMITY if relative_depth <= end), PROXIMITY[-1][1])


def estimated_metres(relative_depth: float, *, inverse: bool) -> float:
    """Metres for 0..1, between `NEAREST_M` and `FARTHEST_M`.

    Args:
        relative_depth: 0..1, 0 = the nearest of the picture.
        inverse: the scale is linear in 1 / distance, as that of a network of inverse depth; else in the distance.
    """
    if inverse:
        return 1.0 / ((1.0 - relative_depth) / NEAREST_M + relative_depth / FARTHEST_M)
    return NEAREST_M + relative_depth * (FARTHEST_M - NEAREST_M)
