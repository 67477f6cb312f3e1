"""Vehicles: from what a scene says about one to its faces on a canvas."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from training.scenes.bicycle import LENGTH_M as BICYCLE_M
from training.scenes.bicycle import draw_bicycle
from training.scenes.bodywork import Frame, PlatePlace
from training.scenes.camera import Float
from training.scenes.canvas import Canvas
from training.scenes.car_shapes import CARS, VANS, CarShape, varied
from training.scenes.cars import draw_car
from training.scenes.finish import Finish, finish_of, number_plate
from training.scenes.spec import VehicleSpec
from training.scenes.trucks import bus_shape, draw_bus, draw_truck, truck_shape

#: What random numbers are for, so that a plate's wear does not change with the body's.
_LOOKS, _PLATE = 7101, 7102


@dataclass(frozen=True, slots=True, eq=False)
class DrawnVehicle:
    """A vehicle on a canvas.

    Attributes:
        owner: its number on the canvas; its plate has one of its own.
        plate_owner: of the plate that is turned to the camera; None where none is.
        plate_corners: (4, 3) of that plate in the world, from its top left as it is read; None likewise.
    """

    owner: int
    plate_owner: int | None = None
    plate_corners: Float | None = None


def draw_vehicle(canvas: Canvas, spec: VehicleSpec) -> DrawnVehicle:
    """Draw it; equal specs give equal vehicles, whatever else is in the scene.

    Raises:
        KeyError: there is no such kind or colour.
    """
    rng = np.random.default_rng([spec.seed, _LOOKS])
    plan = _PLANS[spec.kind](rng)
    finish = finish_of(spec.colour, rng)
    frame = Frame(canvas, spec.x, spec.z, spec.yaw, plan.length, canvas.owner())
    for panel, share in plan.draw(frame, finish):
        drawn = spec.plate and number_plate(panel, spec.plate, share, np.random.default_rng([spec.seed, _PLATE]))
        if drawn:
            return DrawnVehicle(frame.owner, *drawn)
    return DrawnVehicle(frame.owner)


def vehicle_size(spec: VehicleSpec) -> tuple[float, float, float]:
    """Width, height and length in metres, without mirrors.

    Raises:
        KeyError: there is no such kind.
    """
    plan = _PLANS[spec.kind](np.random.default_rng([spec.seed, _LOOKS]))
    return plan.width, plan.height, plan.length


@dataclass(frozen=True, slots=True)
class _Plan:
    """A shape that is chosen, and how it is drawn."""

    width: float
    height: float
    length: float
    draw: Callable[[Frame, Finish], Sequence[PlatePlace]]


def _car(shapes: Mapping[str, CarShape], rng: np.random.Generator) -> _Plan:
    names = sorted(shapes)
    shape = varied(shapes[names[int(rng.integers(len(names)))]], rng)
    return _Plan(shape.width, shape.height, shape.length, lambda frame, finish: draw_car(frame, shape, finish))


def _truck(rng: np.random.Generator) -> _Plan:
    shape = truck_shape(rng)
    height = max(shape.cab[1], shape.deck + shape.load)
    return _Plan(shape.width, height, shape.length, lambda frame, finish: draw_truck(frame, shape, finish))


def _bus(rng: np.random.Generator) -> _Plan:
    shape = bus_shape(rng)
    return _Plan(shape.width, shape.height, shape.length, lambda frame, finish: draw_bus(frame, shape, finish))


def _bicycle(_rng: np.random.Generator) -> _Plan:
    return _Plan(0.6, 1.1, BICYCLE_M, draw_bicycle)


_PLANS: dict[str, Callable[[np.random.Generator], _Plan]] = {
    "car": partial(_car, CARS),
    "van": partial(_car, VANS),
    "truck": _truck,
    "bus": _bus,
    "bicycle": _bicycle,
}
