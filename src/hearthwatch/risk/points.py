"""`Points`: what the rules add and take away. Other points can be tried on stored events (`hearthwatch assess`).

The numbers are those of docs/decisions/0004-risk-rules.md, 0012-clothing.md and 0017-rules-3.md, which say why; a
change of any raises `VERSION`. The floors and ceilings are in `risk.bounds` and are nobody's to change.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hearthwatch.errors import SettingsError
from hearthwatch.vision.posture import PostureName

#: The number of these rules with these points.
VERSION = "rules-3"

#: Points for something that may raise the score.
Raises = Annotated[int, Field(strict=True, ge=0, le=100)]
Severity = Literal["critical", "high", "medium"]
#: Characters of the digest in the version of other points: enough to tell a day's trials apart.
_DIGEST = 8
#: Bytes of a file of points; the whole table has some 800.
_MOST_BYTES = 64 * 1024


class Points(BaseModel):
    """The points of one rule set.

    Attributes:
        presence: for being there at all.
        posture: for a posture or an alert.
        suspicious_clothing: for clothes that hide somebody. A hood is also the weather, and a network that asks for it
            will see some.
        weapon_confirmed: by severity; likewise `weapon_candidate`. A bat or a crowbar is also a toy and a tool.
        night: for a person between `night_begins` and `night_ends` of the event's own local time.
        dwell: from `dwell_from_s` seconds in view on. A visitor rings and leaves; a minute in view is longer than most.
        company: for each stranger beside the first, `company_at_most` in all.
        known: for somebody whom the application knows, by face, plate or key; appearance alone is never `known`.
        violence: for what one network takes for a fight, from a confidence of `violence_from` on: where the authors of
            the documented network begin to take a picture for violent.
        tampering: for a picture that a camera has suddenly lost.
        scene_changed: for another view.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    presence: dict[Literal["person", "vehicle", "animal", "object"], Raises] = {
        "person": 20,
        "vehicle": 5,
        "animal": 2,
        "object": 0,
    }
    posture: dict[Literal[PostureName, "arms_raised"], Raises] = {
        "hiding": 25,
        "crawling": 25,
        "lying_down": 20,  # somebody may need help
        "crouching": 15,
        "reaching_up": 10,
        "arms_raised": 10,
        "running": 10,
    }
    suspicious_clothing: Raises = 10
    weapon_confirmed: dict[Severity, Raises] = {"critical": 65, "high": 50, "medium": 25}
    weapon_candidate: dict[Severity, Raises] = {"critical": 30, "high": 20, "medium": 10}
    night: Raises = 15
    night_begins: time = time(22)
    night_ends: time = time(6)
    dwell: Raises = 10
    dwell_from_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 60.0
    company: Raises = 5
    company_at_most: Raises = 10
    known: Annotated[int, Field(strict=True, ge=-100, le=0)] = -20
    violence: Raises = 25
    violence_from: Annotated[float, Field(ge=0, le=1)] = 0.70
    tampering: Raises = 15
    scene_changed: Raises = 10

    @classmethod
    def of(cls, changes: Mapping[str, Any]) -> Self:
        """The documented points with some of them changed.

        Args:
            changes: by their names; of a table (`posture` …) the rows that change.

        Raises:
            SettingsError: no such point, or no such number; the message has all of them.
        """
        documented = cls().model_dump()
        tables = {name: value for name, value in documented.items() if isinstance(value, dict)}
        merged = {
            name: tables[name] | value if name in tables and isinstance(value, dict) else value
            for name, value in changes.items()
        }
        try:
            return cls.model_validate(merged)
        except ValidationError as error:
            raise SettingsError("; ".join(_sentence(fault) for fault in error.errors())) from error

    @classmethod
    def read(cls, path: Path) -> Self:
        """Those of a JSON file with an object of changes: `{"night": 5, "posture": {"crouching": 20}}`.

        Raises:
            SettingsError: no such file, no JSON object, or as `of`; the message has the file.
        """
        try:
            with path.open("rb") as stream:
                data = stream.read(_MOST_BYTES + 1)
            if len(data) > _MOST_BYTES:
                raise SettingsError(f"it has more than {_MOST_BYTES} bytes")
            changes = orjson.loads(data)
            if not isinstance(changes, dict):
                raise SettingsError('it holds no JSON object such as {"night": 5}')
            return cls.of(changes)
        except OSError as error:
            raise SettingsError(f"{path}: {error.strerror or error}") from error
        except (orjson.JSONDecodeError, SettingsError) as error:
            raise SettingsError(f"{path}: {error}") from error

    @property
    def version(self) -> str:
        """The documented points' number, and for others a digest beside it: equal points have equal versions."""
        if self == DOCUMENTED:
            return VERSION
        # Sorted: the order in which somebody writes the rows changes no score.
        content = orjson.dumps(self.model_dump(mode="json"), option=orjson.OPT_SORT_KEYS)
        return f"{VERSION}+{hashlib.sha256(content).hexdigest()[:_DIGEST]}"


DOCUMENTED = Points()


def _sentence(fault: Any) -> str:
    where = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    said = "is no point of the rules" if fault["type"] in {"extra_forbidden", "literal_error"} else fault["msg"]
    shown = f" ({fault['input']!r})" if isinstance(fault["input"], str | int | float) else ""
    return f"{where}{shown if said is fault['msg'] else ''}: {said}"
