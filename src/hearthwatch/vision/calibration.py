"""From a depth network's numbers to metres, by things whose distance from one camera somebody measured.

A network of relative depth is right up to a factor and a shift (Ranftl et al. 2022, arXiv:1907.01341): in 1 / distance
where its numbers are inverse depth, in the distance where they grow with it. Two known distances give both, as long as
camera and network stay as they are; more of them show how far the line can be believed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hearthwatch.errors import BadCalibration

#: Metres that a distance can have; what is beyond is no place that a home camera tells anything about.
LEAST_M, MOST_M = 0.1, 1000.0
#: The farthest known distance is at least so many times the nearest: the error of a tape measure, or of a box's middle,
#: would decide the line otherwise.
LEAST_RATIO = 1.25
#: Share by which the line may miss a known distance. Above it something else is wrong than the measuring: a distance to
#: another thing, two figures exchanged, a camera that was moved.
MOST_RESIDUAL = 0.25
#: Times the farthest known distance up to which the line gives metres. A small error of the line in 1 / distance is
#: nine times as large in metres there, and beyond any measure at the horizon.
REACH = 3.0


@dataclass(frozen=True, slots=True)
class DepthCalibration:
    """A line from a network's numbers to metres; a plain value, to be kept with the camera.

    Attributes:
        slope: of the line, above 0 where the network's numbers are inverse depth or grow with the distance.
        offset: the line's value where the network says 0.
        inverse: the line gives 1 / metres; else metres.
        nearest_m: the smallest of the known distances.
        farthest_m: the largest.
        residual: the largest share by which the line misses a known distance; None with two of them, which every line
            goes through, so that nothing is known about its error.
        space: the network that it was made with; numbers of another one mean something else.
    """

    slope: float
    offset: float
    inverse: bool
    nearest_m: float
    farthest_m: float
    residual: float | None = None
    space: str = ""

    def metres(self, value: float) -> float | None:
        """How far the network's number is; None where it is too far, or too near, for the line to say."""
        on_line = self.slope * value + self.offset
        if not (math.isfinite(on_line) and on_line > 0):
            return None
        metres = 1 / on_line if self.inverse else on_line
        return metres if metres <= REACH * self.farthest_m else None

    def to_plain(self) -> dict[str, Any]:
        """As values that JSON has; `calibration_from` reads them."""
        return dataclasses.asdict(self)


def calibrate(known: Sequence[tuple[float, float]], *, inverse: bool, space: str = "") -> DepthCalibration:
    """The line through known distances, its errors weighed as shares of them.

    Args:
        known: (the network's number, metres) of two things or more.
        inverse: the network's numbers are inverse depth, large where it is near; else they grow with the distance.
        space: which network gave the numbers.

    Raises:
        BadCalibration: too few of them, too close together, not in the network's order, or on no line.
    """
    values, metres = _checked(known)
    if max(metres) < LEAST_RATIO * min(metres):
        raise BadCalibration(
            f"the known distances, {min(metres):g} to {max(metres):g} m, are too close together: the farthest must be "
            f"at least {LEAST_RATIO:g} times the nearest"
        )
    slope, offset = _line(values, metres, inverse=inverse)
    if not slope > 0:
        raise BadCalibration(
            "the network does not see the farther things as farther: "
            + ", ".join(f"{value:g} at {distance:g} m" for value, distance in known)
        )
    calibration = DepthCalibration(slope, offset, inverse, min(metres), max(metres), space=space)
    misses = [abs(_on_line(calibration, value) / distance - 1) for value, distance in known]
    worst = int(np.argmax(misses))
    if not misses[worst] <= MOST_RESIDUAL:
        raise BadCalibration(
            f"no line goes through these known distances: {metres[worst]:g} m would be "
            f"{_on_line(calibration, values[worst]):.3g} m, and {MOST_RESIDUAL:.0%} off is allowed"
        )
    return calibration if len(known) == 2 else dataclasses.replace(calibration, residual=misses[worst])


def calibration_from(plain: Mapping[str, Any]) -> DepthCalibration:
    """What `to_plain` gave, checked: it may come from a file or a request.

    Raises:
        BadCalibration: a field that is absent, unknown, or of another kind.
    """
    fields = {field.name: field for field in dataclasses.fields(DepthCalibration)}
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in plain]
    if missing or (unknown := [str(name)[:40] for name in plain if name not in fields]):
        wrong = f"{', '.join(missing)} missing" if missing else f"{', '.join(unknown)} unknown"
        raise BadCalibration(f"this is no calibration of depth: {wrong}; it has {', '.join(fields)}")
    numbers = {name: plain[name] for name in ("slope", "offset", "nearest_m", "farthest_m")}
    residual = plain.get("residual")
    for name, value in (numbers | ({} if residual is None else {"residual": residual})).items():
        if not _is_finite(value):
            raise BadCalibration(f"this is no calibration of depth: {name} is {str(value)[:40]!r} and no number")
    if not isinstance(plain["inverse"], bool) or not isinstance(plain.get("space", ""), str):
        raise BadCalibration("this is no calibration of depth: inverse is true or false, and space is a text")
    if not (numbers["slope"] > 0 and 0 < numbers["nearest_m"] <= numbers["farthest_m"]):
        raise BadCalibration("this is no calibration of depth: slope and distances must be above 0 and in their order")
    return DepthCalibration(**plain)


def _checked(known: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    if len(known) < 2:
        raise BadCalibration(f"a calibration needs two known distances or more; got {len(known)}")
    for value, metres in known:
        if not (_is_finite(metres) and LEAST_M <= metres <= MOST_M):
            raise BadCalibration(f"a known distance of {metres} m; allowed are {LEAST_M:g} to {MOST_M:g} m")
        if not _is_finite(value):
            raise BadCalibration(f"the network says {value} at {metres:g} m, which is no number")
    return [float(value) for value, _ in known], [float(metres) for _, metres in known]


def _line(values: Sequence[float], metres: Sequence[float], *, inverse: bool) -> tuple[float, float]:
    """Least squares of (distance on the line / known distance - 1), or of its inverse: the same to first order.

    On numbers brought to -1..1, so that a network's unit does not matter; a slope of 0 where they are all the same.
    """
    x, y = np.array(values, np.float64), np.array(metres, np.float64)
    middle, half = (x.max() + x.min()) / 2, (x.max() - x.min()) / 2
    if not half > 0:
        return 0.0, 0.0
    weight = y if inverse else 1 / y
    design = np.stack([(x - middle) / half * weight, weight], axis=1)
    (slope, offset), *_ = np.linalg.lstsq(design, np.ones(len(x)), rcond=None)
    return float(slope / half), float(offset - slope / half * middle)


def _on_line(calibration: DepthCalibration, value: float) -> float:
    """Metres, however far; infinite where the line has none."""
    on_line = calibration.slope * value + calibration.offset
    if not on_line > 0:
        return math.inf
    return 1 / on_line if calibration.inverse else on_line


def _is_finite(value: Any) -> bool:
    # Not isinstance alone: true and false are numbers too.
    return isinstance(value, int | float | np.number) and not isinstance(value, bool) and math.isfinite(value)
