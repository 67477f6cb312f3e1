"""Results on the wire: coordinates with 1 decimal, confidences with 4; what JSON cannot say becomes null.

Each result has `to_wire` and, beside it, `from_wire`, by which whoever asked a service has the same type again: equal
up to this rounding and to what does not travel, of which the docstring says what it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from hearthwatch.adapter.base import Result
from hearthwatch.vision.boxes import Box

R = TypeVar("R", bound=Result)

PIXEL_DECIMALS, SHARE_DECIMALS = 1, 4


class Answer(BaseModel):
    """Base of the models that describe a result for OpenAPI; results themselves are dataclasses."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class BoxAnswer(Answer):
    """A box in pixels of the picture that was sent."""

    x: float | None = Field(description="Left edge, pixels from the left.")
    y: float | None = Field(description="Upper edge, pixels from the top.")
    width: float | None = Field(description="Pixels.")
    height: float | None = Field(description="Pixels.")


def rounded(value: float | None, decimals: int) -> float | None:
    """Rounded; None for what is not known or not finite."""
    return round(float(value), decimals) if value is not None and math.isfinite(value) else None


def pixel(value: float | None) -> float | None:
    """A coordinate."""
    return rounded(value, PIXEL_DECIMALS)


def share(value: float | None) -> float | None:
    """A confidence or another share, 0..1."""
    return rounded(value, SHARE_DECIMALS)


def finite(value: float | None) -> float | None:
    """Not rounded; None for what is not known or not finite."""
    return float(value) if value is not None and math.isfinite(value) else None


def xywh(box: Box) -> dict[str, Any]:
    """`{x, y, width, height}`."""
    return {name: pixel(value) for name, value in box.as_xywh().items()}


def xyxy(box: Box) -> list[float | None]:
    """`[x1, y1, x2, y2]`."""
    return [pixel(side) for side in box]


def number(told: float | None) -> float:
    """What `pixel`, `share` or `finite` wrote of a number that is always there; NaN for null."""
    return math.nan if told is None else float(told)


def box(told: Mapping[str, Any]) -> Box:
    """What `xywh` wrote."""
    x, y = number(told["x"]), number(told["y"])
    return Box(x, y, x + number(told["width"]), y + number(told["height"]))


def reader(result: type[R], form: type[BaseModel]) -> Callable[[Mapping[str, Any]], R]:
    """What reads answers of one form as results of one type; it raises ValueError where they are none.

    Args:
        result: what an answer becomes.
        form: what is published of it, which it is checked by before it is read.
    """

    def read(told: Mapping[str, Any]) -> R:
        return result.from_wire(form.model_validate(told).model_dump(by_alias=True))

    return read
