"""Which model a weight file says that it serves: by its card, or by its ONNX metadata.

Only that one fact, cheaply, for finding files. What cannot be read says nothing; loading it later names what is wrong.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.artifacts.card import MAX_CARD_BYTES
from hearthwatch.artifacts.description import CARD_KEY
from hearthwatch.artifacts.graph import read_metadata
from hearthwatch.errors import WeightsInvalid

#: A graph is read whole to see its metadata; for one larger than this, a card has to say which model it serves.
MAX_SCANNED_BYTES = 256 << 20


def declared_by_card(file: Path) -> str | None:
    """Read which model the card `NAME.json` beside a weight file names; None without a card that can be read."""
    card = file.with_suffix(".json")
    try:
        if not card.is_file() or card.stat().st_size > MAX_CARD_BYTES:
            return None
        return _model_of(card.read_bytes())
    except OSError:
        return None


def declared_by_metadata(file: Path) -> str | None:
    """Read which model an ONNX file's own metadata names; None for other files and where it says nothing."""
    if file.suffix.lower() != ".onnx":
        return None
    try:
        status = file.stat()
    except OSError:
        return None
    if status.st_size > MAX_SCANNED_BYTES:
        return None
    return _remembered(file, status.st_mtime_ns, status.st_size)


@functools.lru_cache(maxsize=256)
def _remembered(file: Path, _mtime_ns: int, _size: int) -> str | None:
    """Remember by file, time and size: every model of a process looks through the same folder."""
    try:
        metadata = read_metadata(file)
    except WeightsInvalid:
        return None
    return _name(metadata.get("model")) or _model_of(metadata.get(CARD_KEY, "null"))


def _model_of(card: bytes | str) -> str | None:
    try:
        content = orjson.loads(card)
    except orjson.JSONDecodeError:
        return None
    return _name(content.get("model")) if isinstance(content, dict) else None


def _name(value: Any) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
