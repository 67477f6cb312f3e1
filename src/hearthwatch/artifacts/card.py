"""Cards: what a weight file says about itself, in `NAME.json` beside it.

A card is data from outside: unknown keys inside `input` and `outputs` are refused (a misspelt one would silently change
the answer), unknown keys at the top level have no effect and are reported. `docs/cards.md` shows the format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from hearthwatch.errors import WeightsInvalid
from hearthwatch.vision.inputs import Color, DType, Interpolation, Layout, Resize

#: A card is a page of text; a file of megabytes is something else.
MAX_CARD_BYTES = 1 << 20
#: The largest class index that a card may name, and the most indices in all (ImageNet-21k has 21,843 classes): a page
#: of ranges could ask for gigabytes of them.
MAX_CLASS_INDEX = 99_999
MAX_INDICES = 100_000
#: Far above the input of any network here; a larger side is a typing error that would eat the memory.
MAX_SIDE_PX = 8192
#: Most tokens of a text that a tower may read.
MAX_CONTEXT = 4096
#: Characters of a wrong value that a message shows.
MAX_SHOWN = 100

Triple = tuple[float, float, float]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CardInput(_Part):
    """The whole description of the network's input.

    Where a card has an `input`, its pixel arithmetic is complete: a missing `scale`, `mean` or `std` is 1, 0 and 1, not
    the model's default, because the card speaks of another network than the default does.
    """

    name: str | None = None
    size: tuple[int, int] | None = None
    layout: Layout | None = None
    color: Color | None = None
    dtype: DType | None = None
    scale: float = Field(default=1.0, gt=0)
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    resize: Resize | None = None
    interpolation: Interpolation | None = None
    multiple: int | None = Field(default=None, ge=1, le=MAX_SIDE_PX)
    crop_share: float | None = Field(default=None, ge=0.5, le=1)

    @field_validator("size")
    @classmethod
    def _sane(cls, size: tuple[int, int] | None) -> tuple[int, int] | None:
        if size is not None and not all(1 <= side <= MAX_SIDE_PX for side in size):
            raise ValueError(f"size {list(size)} must be (height, width) of 1 to {MAX_SIDE_PX} px")
        return size

    @field_validator("std")
    @classmethod
    def _not_zero(cls, std: Triple) -> Triple:
        if min(std) <= 0:
            raise ValueError("std must be above 0")
        return std


class CardOutput(_Part):
    """One output by its role: the tensor's name, what it holds, the factor that brings it to its unit."""

    name: str
    kind: Literal["probabilities", "logits"] | None = None
    scale: float | None = None
    classes: tuple[str, ...] | None = None


class Card(BaseModel):
    """A card, checked. Class indices are expanded: `[[152, 269]]` is the inclusive range."""

    model_config = ConfigDict(extra="allow", frozen=True)

    model: str | None = None
    license: str | None = None
    source: str | None = None
    weights: Literal["real", "sample", "custom"] | None = None
    input: CardInput | None = None
    outputs: Mapping[str, CardOutput] = Field(default_factory=dict)
    head: str | None = None
    names: tuple[str, ...] | None = None
    classes: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    space: str | None = None
    near: Literal["small", "large"] | None = None
    network: str | None = Field(default=None, max_length=MAX_SHOWN)
    logit_scale: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    metric: bool | None = None
    context_length: int | None = Field(default=None, ge=2, le=MAX_CONTEXT)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Keys that no card has, for example misspelt ones."""
        return tuple(self.model_extra or ())

    @field_validator("classes", mode="before")
    @classmethod
    def _expand_ranges(cls, classes: Any) -> Any:
        if not isinstance(classes, dict):
            return classes
        expanded: dict[str, tuple[int, ...]] = {}
        for name, value in classes.items():
            expanded[name] = _expand(name, value)
            if sum(map(len, expanded.values())) > MAX_INDICES:
                raise ValueError(f"there are more than {MAX_INDICES} indices in all")
        return expanded


def read_card(path: Path) -> Card:
    """Read and check one card.

    Raises:
        WeightsInvalid: not JSON, too large, or a field that does not hold; the message names file, field and value.
    """
    try:
        if path.stat().st_size > MAX_CARD_BYTES:
            raise WeightsInvalid(f"card {path} has {path.stat().st_size} bytes; allowed {MAX_CARD_BYTES}")
        return Card.model_validate(orjson.loads(path.read_bytes()))
    except OSError as error:
        raise WeightsInvalid(f"card {path} cannot be read: {error}") from error
    except orjson.JSONDecodeError as error:
        raise WeightsInvalid(f"card {path} is not JSON: {error}") from error
    except ValidationError as error:
        raise WeightsInvalid(f"card {path}: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """The first field that does not hold, why, and the start of its value."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole card"
    return f"{where}: {first['msg']} (got {repr(first['input'])[:MAX_SHOWN]})"


def _expand(name: str, value: Any) -> tuple[int, ...]:
    indices: list[int] = []
    for item in value if isinstance(value, list) else [value]:
        low, high = item if isinstance(item, list) and len(item) == 2 else (item, item)
        # Not isinstance: true and false are integers too.
        if not (type(low) is type(high) is int and 0 <= low <= high <= MAX_CLASS_INDEX):
            shown = repr(item)[:MAX_SHOWN]
            raise ValueError(f"class {name!r}: {shown} is neither an index nor an inclusive range [low, high]")
        indices.extend(range(low, high + 1))
        if len(indices) > MAX_INDICES:
            raise ValueError(f"class {name!r} has more than {MAX_INDICES} indices")
    return tuple(indices)
