"""config.json of a Hugging Face folder: what the tensors do not show, checked before anything is built from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hearthwatch.errors import WeightsInvalid

#: Characters of a wrong value that a message shows.
_SHOWN = 40


class Configuration:
    """One section of a config.json.

    Args:
        values: as JSON has them.
        file: the checkpoint's name, for messages.
    """

    def __init__(self, values: Mapping[str, Any], file: str) -> None:
        self._values = values
        self._file = file

    def section(self, key: str) -> Configuration:
        """A section inside it; an empty one where there is none."""
        inner = self._values.get(key)
        return Configuration(inner if isinstance(inner, Mapping) else {}, self._file)

    def whole(self, key: str, default: int, *, least: int = 1) -> int:
        """A whole number.

        Raises:
            WeightsInvalid: another value, or one below `least`.
        """
        value = self._values.get(key)
        if value is None:
            return default
        if not _is_whole(value) or value < least:
            raise self._wrong(key, value, f"a whole number from {least}")
        return int(value)

    def wholes(self, key: str) -> tuple[int, ...]:
        """Whole numbers, also below 0; none where nothing is stated.

        Raises:
            WeightsInvalid: another value.
        """
        values = self._list(key, "whole numbers")
        if not all(_is_whole(value) for value in values):
            raise self._wrong(key, values, "whole numbers")
        return tuple(values)

    def number(self, key: str, default: float) -> float:
        """A number above 0.

        Raises:
            WeightsInvalid: another value.
        """
        value = self._values.get(key)
        if value is None:
            return default
        if not _is_number(value) or not (math.isfinite(value) and value > 0):
            raise self._wrong(key, value, "a number above 0")
        return float(value)

    def numbers(self, key: str, default: Sequence[float]) -> tuple[float, ...]:
        """Numbers above 0.

        Raises:
            WeightsInvalid: another value.
        """
        values = self._list(key, "numbers above 0") or list(default)
        if not all(_is_number(value) and math.isfinite(value) and value > 0 for value in values):
            raise self._wrong(key, values, "numbers above 0")
        return tuple(float(value) for value in values)

    def word(self, key: str, default: str, known: Sequence[str]) -> str:
        """One of several words.

        Raises:
            WeightsInvalid: another one.
        """
        value = self._values.get(key, default)
        if value not in known:
            raise self._wrong(key, value, " or ".join(known))
        return str(value)

    def words(self, key: str) -> tuple[str, ...]:
        """Words; none where nothing is stated.

        Raises:
            WeightsInvalid: another value.
        """
        values = self._list(key, "words")
        if not all(isinstance(value, str) for value in values):
            raise self._wrong(key, values, "words")
        return tuple(values)

    def switch(self, key: str, *, default: bool) -> bool:
        """True or false.

        Raises:
            WeightsInvalid: neither.
        """
        value = self._values.get(key, default)
        if not isinstance(value, bool):
            raise self._wrong(key, value, "true or false")
        return value

    def _list(self, key: str, allowed: str) -> list[Any]:
        values = self._values.get(key)
        if values is None:
            return []
        if not isinstance(values, list):
            raise self._wrong(key, values, allowed)
        return values

    def _wrong(self, key: str, value: Any, allowed: str) -> WeightsInvalid:
        return WeightsInvalid(f"{self._file}: its config.json has {key} = {str(value)[:_SHOWN]!r}; allowed: {allowed}")


def configuration_of(config: Mapping[str, Any] | None, *, file: str, network: str) -> Configuration:
    """The whole of a config.json.

    Raises:
        WeightsInvalid: there is none.
    """
    if config is None:
        raise WeightsInvalid(f"{file} is a {network} without its config.json, which belongs beside the weights")
    return Configuration(config, file)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
