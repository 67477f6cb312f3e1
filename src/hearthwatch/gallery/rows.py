"""Vectors of one space in memory: float32 rows, searched exactly."""

from __future__ import annotations

import numpy as np

from hearthwatch.vision.image import Float

#: Rows that there is room for at first; a household's visitors of a quiet day.
_SMALLEST = 16


class Rows:
    """Unit vectors, each with a key, an owner and a time.

    Args:
        numbers: of each vector.
    """

    def __init__(self, numbers: int) -> None:
        self.numbers = numbers
        self._places: dict[int, int] = {}
        self._vectors, self._owners = np.zeros((_SMALLEST, numbers), np.float32), np.zeros(_SMALLEST, np.int64)
        self._times, self._keys = np.zeros(_SMALLEST), np.zeros(_SMALLEST, np.int64)

    def __len__(self) -> int:
        return len(self._places)

    def add(self, key: int, owner: int, vector: Float, time: float) -> None:
        """Keep a vector.

        Args:
            key: by which it is removed again.
            owner: whose it is.
            vector: (D,) of length 1.
            time: seconds of the epoch.
        """
        place = len(self)
        if place == len(self._vectors):
            self._make_room(2 * place)
        self._vectors[place], self._owners[place], self._times[place], self._keys[place] = vector, owner, time, key
        self._places[key] = place

    def remove(self, key: int) -> None:
        """Forget one; the last row takes its place."""
        place = self._places.pop(key)
        last = len(self)
        if place != last:
            for column in (self._vectors, self._owners, self._times, self._keys):
                column[place] = column[last]
            self._places[int(self._keys[place])] = place
        # What is forgotten does not linger among the spare rows.
        self._vectors[last] = 0.0
        if len(self._vectors) // 2 >= _SMALLEST and len(self) <= len(self._vectors) // 4:
            self._make_room(len(self._vectors) // 2)

    def near(
        self, vector: Float, threshold: float, since: float, until: float
    ) -> tuple[dict[int, float], float | None]:
        """Whose rows are near a vector.

        Args:
            vector: (D,) of length 1.
            threshold: cosine from which on a row is near.
            since: seconds of the epoch; rows of other times are not looked at.
            until: likewise.

        Returns:
            By owner the cosine of the nearest row, and the highest cosine of all other owners, None without any.
        """
        count = len(self)
        times, owners = self._times[:count], self._owners[:count]
        # -inf is nobody's cosine: it stays out of every maximum.
        cosines = np.where((times >= since) & (times <= until), self._vectors[:count] @ vector, -np.inf)
        nearest: dict[int, float] = {}
        for place in np.flatnonzero(cosines >= threshold):
            owner, cosine = int(owners[place]), min(float(cosines[place]), 1.0)
            nearest[owner] = max(cosine, nearest.get(owner, -1.0))
        others = float(cosines[~np.isin(owners, list(nearest))].max(initial=-np.inf))
        return nearest, others if others > -np.inf else None

    def _make_room(self, rows: int) -> None:
        count = len(self)
        for name in ("_vectors", "_owners", "_times", "_keys"):
            column = getattr(self, name)
            larger = np.zeros((rows, *column.shape[1:]), column.dtype)
            larger[:count] = column[:count]
            setattr(self, name, larger)
