"""Shapes of cars and delivery vans, after the measures of common ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np


@dataclass(frozen=True, slots=True)
class CarShape:
    """Measures in metres; `s` counts from the front.

    Attributes:
        length: over the bumpers.
        width: without mirrors.
        height: of the roof.
        floor: of the body above the ground.
        belt: where the windows begin.
        nose: upper edge of the front.
        cowl: s where the windscreen begins.
        roof: s where the roof begins and ends.
        stern: s where the rear window ends on the body.
        boot: y of the body's rear upper edge.
        axles: s of both.
        radius: of the wheels.
        lean: half width of the roof as a share of that of the belt.
        windows: s of the pillars between the side windows.
        blind: whether the sides behind the first pillar have no windows.
    """

    length: float
    width: float
    height: float
    floor: float
    belt: float
    nose: float
    cowl: float
    roof: tuple[float, float]
    stern: float
    boot: float
    axles: tuple[float, float]
    radius: float
    lean: float
    windows: tuple[float, ...]
    blind: bool = False


CARS: dict[str, CarShape] = {
    "sedan": CarShape(
        length=4.7,
        width=1.82,
        height=1.45,
        floor=0.2,
        belt=0.93,
        nose=0.7,
        cowl=1.3,
        roof=(2.05, 3.3),
        stern=4.12,
        boot=0.9,
        axles=(0.92, 3.66),
        radius=0.32,
        lean=0.74,
        windows=(2.52,),
    ),
    "hatchback": CarShape(
        length=4.05,
        width=1.76,
        height=1.48,
        floor=0.2,
        belt=0.94,
        nose=0.72,
        cowl=1.0,
        roof=(1.72, 3.42),
        stern=3.92,
        boot=0.92,
        axles=(0.82, 3.38),
        radius=0.31,
        lean=0.76,
        windows=(2.36,),
    ),
    "suv": CarShape(
        length=4.6,
        width=1.9,
        height=1.74,
        floor=0.28,
        belt=1.1,
        nose=0.92,
        cowl=1.22,
        roof=(1.92, 4.0),
        stern=4.42,
        boot=1.08,
        axles=(0.92, 3.66),
        radius=0.37,
        lean=0.8,
        windows=(2.5, 3.45),
    ),
    "estate": CarShape(
        length=4.75,
        width=1.82,
        height=1.48,
        floor=0.2,
        belt=0.93,
        nose=0.7,
        cowl=1.28,
        roof=(2.02, 4.2),
        stern=4.58,
        boot=0.91,
        axles=(0.92, 3.72),
        radius=0.32,
        lean=0.76,
        windows=(2.5, 3.48),
    ),
}
VANS: dict[str, CarShape] = {
    "small van": CarShape(
        length=4.45,
        width=1.84,
        height=1.86,
        floor=0.22,
        belt=1.1,
        nose=0.86,
        cowl=0.98,
        roof=(1.66, 4.34),
        stern=4.42,
        boot=1.09,
        axles=(0.84, 3.56),
        radius=0.32,
        lean=0.86,
        windows=(2.3,),
        blind=True,
    ),
    "van": CarShape(
        length=5.35,
        width=2.02,
        height=2.3,
        floor=0.26,
        belt=1.26,
        nose=1.0,
        cowl=0.74,
        roof=(1.56, 5.22),
        stern=5.32,
        boot=1.25,
        axles=(0.96, 4.28),
        radius=0.35,
        lean=0.88,
        windows=(2.05,),
        blind=True,
    ),
    "high van": CarShape(
        length=5.95,
        width=2.04,
        height=2.68,
        floor=0.28,
        belt=1.28,
        nose=1.02,
        cowl=0.72,
        roof=(1.66, 5.8),
        stern=5.92,
        boot=1.27,
        axles=(0.98, 4.7),
        radius=0.36,
        lean=0.88,
        windows=(2.05,),
        blind=True,
    ),
}


def varied(shape: CarShape, rng: np.random.Generator) -> CarShape:
    """Another of the same sort: longer or shorter, higher or lower, with other wheels."""
    long, wide, high = (float(x) for x in rng.uniform(0.95, 1.05, 3))
    return replace(
        shape,
        length=shape.length * long,
        width=shape.width * wide,
        height=shape.height * high,
        belt=shape.belt * high,
        boot=shape.boot * high,
        nose=shape.nose * high * float(rng.uniform(0.97, 1.04)),
        cowl=shape.cowl * long,
        roof=(shape.roof[0] * long, shape.roof[1] * long),
        stern=shape.stern * long,
        axles=(shape.axles[0] * long, shape.axles[1] * long),
        radius=shape.radius * float(rng.uniform(0.96, 1.06)),
        windows=tuple(s * long for s in shape.windows),
    )
