"""What a place consists of, before anything is drawn: plain numbers.

All lengths in metres; the camera stands at x = 0, z = 0 and looks along +z.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from training.scenes.surfaces import RGB

Use = Literal["walk", "drive", "road"]


@dataclass(frozen=True, slots=True)
class Ground:
    """A rectangle of one surface, over those before it."""

    surface: str
    x1: float
    x2: float
    z1: float
    z2: float
    colour: RGB
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """A window, door or garage door of a wall; `at` is the distance of its left side from the wall's left end."""

    kind: Literal["window", "door", "garage"]
    at: float
    width: float
    bottom: float
    top: float
    colour: RGB


@dataclass(frozen=True, slots=True)
class Wall:
    """An upright wall between two points, left to right as the camera sees it; with a roof where it has a height."""

    surface: str
    start: tuple[float, float]
    end: tuple[float, float]
    height: float
    colour: RGB
    variant: int = 0
    openings: tuple[Opening, ...] = ()
    roof_m: float = 0.0
    roof_colour: RGB = (0.3, 0.2, 0.2)

    @property
    def length(self) -> float:
        return math.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1])


@dataclass(frozen=True, slots=True)
class Clutter:
    """Something that is neither person, vehicle nor animal; kinds are those of clutter.py."""

    kind: str
    x: float
    z: float
    yaw: float
    size: float
    seed: int
    radius: float


@dataclass(frozen=True, slots=True)
class LampSpot:
    """Where a lamp hangs or stands; a post reaches the ground."""

    x: float
    y: float
    z: float
    post: bool


@dataclass(frozen=True, slots=True)
class Area:
    """A free rectangle of ground; vehicles stand in "drive" and "road", with a yaw near `along` or turned by half."""

    x1: float
    x2: float
    z1: float
    z2: float
    use: Use
    along: float = 0.0


@dataclass(slots=True)
class Layout:
    """A place as lists of its parts."""

    place: str
    seed: int
    grounds: list[Ground] = field(default_factory=list)
    walls: list[Wall] = field(default_factory=list)
    clutter: list[Clutter] = field(default_factory=list)
    lamps: list[LampSpot] = field(default_factory=list)
    areas: list[Area] = field(default_factory=list)
