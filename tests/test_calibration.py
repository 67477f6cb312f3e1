"""Known distances become a line to metres, or a sentence on why not."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearthwatch.errors import BadCalibration, InputError
from hearthwatch.vision.calibration import MOST_RESIDUAL, REACH, DepthCalibration, calibrate, calibration_from

#: Metres of things in front of one camera.
DISTANCES = (3.0, 5.0, 8.0, 14.0)


def seen(metres: float, factor: float = 40.0, shift: float = -2.0) -> float:
    """What a network of inverse depth says of a distance, up to a factor and a shift that nobody knows."""
    return factor / metres + shift


@settings(deadline=None)
@given(st.floats(1e-3, 1e4), st.floats(-1e3, 1e3), st.floats(0.3, 20), st.floats(1.3, 40))
def test_two_distances_give_back_themselves_and_what_lies_between(
    factor: float, shift: float, nearest: float, ratio: float
) -> None:
    metres = [nearest, nearest * ratio**0.5, nearest * ratio]
    values = [seen(m, factor, shift) for m in metres]
    # Where the shift swallows the factor, float64 itself no longer tells the distances apart.
    if values[0] - values[2] < 1e-9 * abs(shift) or factor / metres[2] < 1e-9 * abs(shift):
        return
    line = calibrate([(values[0], metres[0]), (values[2], metres[2])], inverse=True)
    assert [line.metres(value) for value in values] == pytest.approx(metres, rel=1e-3)
    assert line.residual is None


def test_the_line_of_a_network_whose_numbers_grow_with_distance_is_in_metres() -> None:
    line = calibrate([(2 * m + 7, m) for m in DISTANCES], inverse=False)
    assert line.metres(2 * 10 + 7) == pytest.approx(10)
    assert line.residual == pytest.approx(0, abs=1e-9)


def test_more_distances_than_two_tell_how_far_the_line_is_off() -> None:
    rows = [(seen(m), m * off) for m, off in zip(DISTANCES, (1.0, 1.1, 0.9, 1.0), strict=True)]
    line = calibrate(rows, inverse=True)
    assert line.residual is not None
    assert 0.03 < line.residual < 0.15
    worst = max(abs((line.metres(value) or math.inf) / metres - 1) for value, metres in rows)
    assert line.residual == pytest.approx(worst)
    assert (line.nearest_m, line.farthest_m) == (3.0, 14.0)


def test_an_error_counts_as_a_share_of_its_distance() -> None:
    """A tenth at 3 m and a tenth at 14 m move the line alike, though 1/m has five times the numbers at 3 m."""
    near = calibrate([(seen(m), m * (1.1 if m == 3 else 1)) for m in DISTANCES], inverse=True)
    far = calibrate([(seen(m), m * (1.1 if m == 14 else 1)) for m in DISTANCES], inverse=True)
    assert near.residual is not None
    assert far.residual is not None
    assert 0.3 < near.residual / far.residual < 3


def test_beyond_its_reach_the_line_gives_no_metres() -> None:
    line = calibrate([(seen(3), 3), (seen(10), 10)], inverse=True)
    assert line.metres(seen(29)) == pytest.approx(29)
    assert line.metres(seen(REACH * 10 + 1)) is None
    assert line.metres(-2.0) is None, "the horizon"
    assert line.metres(-5.0) is None, "behind it"
    assert line.metres(math.nan) is None
    assert line.metres(seen(0.2)) == pytest.approx(0.2)


REFUSED: dict[str, tuple[list[tuple[float, float]], str]] = {
    "none": ([], "two known distances or more; got 0"),
    "one": ([(1.0, 3.0)], "two known distances or more; got 1"),
    "metres of nothing": ([(1.0, 3.0), (0.5, 0.0)], "a known distance of 0.0 m; allowed are 0.1 to 1000 m"),
    "metres below 0": ([(1.0, -3.0), (0.5, 5.0)], "-3.0 m; allowed"),
    "metres to the moon": ([(1.0, 3.0), (0.5, 1e6)], "1000000.0 m; allowed"),
    "metres that are no number": ([(1.0, math.nan), (0.5, 5.0)], "nan m; allowed"),
    "true metres": ([(1.0, True), (0.5, 5.0)], "True m; allowed"),
    "an infinite depth": ([(math.inf, 3.0), (0.5, 5.0)], "says inf at 3 m"),
    "too close together": (
        [(1.0, 4.0), (0.9, 4.5)],
        "4 to 4.5 m, are too close together: the farthest must be at least",
    ),
    "the same thing twice": ([(1.0, 4.0), (1.0, 8.0)], "not see the farther things as farther: 1 at 4 m, 1 at 8 m"),
    "exchanged": ([(1.0, 8.0), (5.0, 2.0), (3.0, 20.0)], "no line goes through|as farther"),
    "the wrong way round": ([(1.0, 4.0), (5.0, 8.0)], "does not see the farther things as farther: 1 at 4 m, 5 at 8 m"),
    "one of four wrong": ([*((seen(m), m) for m in (3.0, 5.0, 14.0)), (seen(8), 20.0)], "no line .* off is allowed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_nonsense_is_refused_with_a_sentence(case: str) -> None:
    known, message = REFUSED[case]
    with pytest.raises(BadCalibration, match=message) as refused:
        calibrate(known, inverse=True)
    assert isinstance(refused.value, InputError)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(), st.floats()), max_size=6),
    st.booleans(),
)
def test_whatever_is_known_it_is_a_line_that_fits_or_a_sentence(
    known: list[tuple[float, float]], inverse: bool
) -> None:
    try:
        line = calibrate(known, inverse=inverse)
    except BadCalibration:
        return
    assert line.slope > 0
    assert math.isfinite(line.slope)
    assert math.isfinite(line.offset)
    for value, metres in known:
        assert abs((line.metres(value) or math.inf) / metres - 1) <= MOST_RESIDUAL + 1e-6


LINE = DepthCalibration(0.025, 0.05, inverse=True, nearest_m=3.0, farthest_m=14.0, residual=0.04, space="sha256:ab")


def test_a_calibration_goes_through_json_and_comes_back() -> None:
    for line in (LINE, replace(LINE, residual=None, space="")):
        assert calibration_from(json.loads(json.dumps(line.to_plain()))) == line
    brief = {"slope": 1, "offset": 0, "inverse": False, "nearest_m": 1, "farthest_m": 2}
    assert calibration_from(brief).metres(1.5) == 1.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slope": None}, "slope is 'None' and no number"),
        ({"slope": "0.1"}, "slope is '0.1' and no number"),
        ({"slope": 0}, "above 0"),
        ({"offset": math.inf}, "offset is 'inf'"),
        ({"inverse": 1}, "inverse is true or false"),
        ({"space": 7}, "space is a text"),
        ({"nearest_m": 20}, "in their order"),
        ({"nearest_m": -1}, "above 0"),
        ({"residual": "low"}, "residual is 'low'"),
        ({"scale": 2}, "scale unknown; it has slope, offset"),
    ],
)
def test_what_is_no_calibration_is_refused_with_the_field(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadCalibration, match=message):
        calibration_from(LINE.to_plain() | change)
    with pytest.raises(BadCalibration, match="slope, offset, inverse, nearest_m, farthest_m missing"):
        calibration_from({})


def test_numbers_of_numpy_are_numbers() -> None:
    line = calibrate([(np.float32(seen(3)), np.float64(3)), (np.float32(seen(9)), 9)], inverse=True)  # type: ignore[list-item]
    json.dumps(line.to_plain())
