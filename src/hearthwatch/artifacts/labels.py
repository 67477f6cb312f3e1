"""Class names as Hugging Face's files give them: `id2label` of config.json, or classes.txt with one a line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson

from hearthwatch.artifacts.card import MAX_CLASS_INDEX
from hearthwatch.errors import WeightsInvalid

#: Of a config.json: ImageNet-21k's names take 1 MB.
MAX_CONFIG_BYTES = 4 << 20
#: What transformers writes where nobody named the classes.
_NO_NAME = re.compile(r"LABEL_\d+")


def class_names(names: Any, where: str) -> tuple[str, ...]:
    """Class names from a list, or from a dictionary by index; the index may be text, as JSON has no other keys.

    Raises:
        WeightsInvalid: not one text for each index from 0 on.
    """
    if names is None:
        return ()
    if isinstance(names, dict):
        by_index = {str(key): name for key, name in names.items()}
        names = [by_index.get(str(index)) for index in range(len(by_index))]
    if not isinstance(names, list) or len(names) > MAX_CLASS_INDEX or not all(isinstance(name, str) for name in names):
        raise WeightsInvalid(f"{where} has class names that are not one text for each index from 0 on")
    return tuple(names)


def labels_of(config: Any, where: str, lines: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The class names of a config.json, or the lines of a classes.txt; empty where neither names any.

    Raises:
        WeightsInvalid: they name other classes, or the same in another order: a wrong name is worse than none.
    """
    labels = class_names(config.get("id2label") if isinstance(config, dict) else None, where)
    named = () if all(_NO_NAME.fullmatch(label) for label in labels) else labels
    if named and lines and named != lines:
        raise WeightsInvalid(f"{where} names its classes in config.json otherwise than in classes.txt")
    return named or lines


def read_labels(config: Path) -> tuple[str, ...]:
    """The class names of a config.json; empty where there is no such file, it is another program's, or names none.

    Raises:
        WeightsInvalid: it has class names that are none.
    """
    try:
        if not config.is_file() or config.stat().st_size > MAX_CONFIG_BYTES:
            return ()
        content = orjson.loads(config.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return ()
    return labels_of(content, str(config))
