"""Day or night, for one camera: pictures of the one are never compared with those of the other.

The picture says it (`vision.light`): colours are day; the grey of infrared, and the dark, are night. Where it cannot,
what the camera has shown before helps:

* an even picture that is not dark (a hand, a cloth, fog before the lens) has no light of its own: it counts as the
  picture before;
* a dark picture at an hour at which this camera has shown nothing but day counts as day: a covered lens and not dusk.
  Hours are learned, not assumed, so no time zone and no latitude can be wrong;
* colours between 22 and 5 o'clock are those of lamps and a time of their own, `lamps`, for they look like no day.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, get_args

from hearthwatch.vision.light import Light

Period = Literal["day", "night", "lamps"]
PERIODS: tuple[Period, ...] = get_args(Period)

#: Hours, as the given time has them, at which the sun is down in most seasons. A clock of another zone is harmless: the
#: pictures of these hours are compared with each other all the same.
LAMP_HOURS = frozenset({22, 23, 0, 1, 2, 3, 4})
#: Pictures of day at an hour, and as many at the hours before and after (dusk moves), before a dark one is no dusk.
SURE = 3
#: More of them are not counted, so that what changed (winter time, a camera moved indoors) is soon believed: each dark
#: picture halves the count, 16 become fewer than 3 after three of them.
MOST = 16


class Daylight:
    """What one camera has shown, and when. Not safe for several threads."""

    def __init__(self) -> None:
        self._days = [0] * 24
        self._last: Period = "day"

    def tell(self, light: Light | None, when: datetime | None) -> Period:
        """The period that a picture belongs to, which is remembered.

        Args:
            light: what the picture's own pixels say; None where they do not.
            when: it was taken; only its hour counts.
        """
        if light == "dark":
            return self._dark(None if when is None else when.hour)
        if light is None:
            return self._last
        self._last = "night" if light == "infrared" else "day" if when is None else self._day(when.hour)
        if self._last == "night" and when is not None:
            self._days[when.hour] = 0
        return self._last

    def _dark(self, hour: int | None) -> Period:
        if hour is None:
            self._last = "night"
        elif all(self._days[near % 24] >= SURE for near in (hour - 1, hour, hour + 1)):
            self._days[hour] //= 2
            return _period_of(hour)
        else:
            self._days[hour] = 0
            self._last = "night"
        return self._last

    def _day(self, hour: int) -> Period:
        self._days[hour] = min(MOST, self._days[hour] + 1)
        return _period_of(hour)


def _period_of(hour: int) -> Period:
    """Of a picture with colours."""
    return "lamps" if hour in LAMP_HOURS else "day"
