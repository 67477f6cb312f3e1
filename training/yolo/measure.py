"""Finished YOLO networks on held-out scenes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hearthwatch.adapter.base import Adapter
from hearthwatch.vision.image import Image
from training.weights import opened
from training.yolo.evaluate import Found, mean_average_precision
from training.yolo.examples import Example

#: Rows of boxes with a class name and a confidence: `Detection`, `ThreatDetection`.
Rows = Sequence[Any]


def precision_of(
    adapter: type[Adapter[Any]],
    path: Path,
    examples: Iterable[Example],
    names: Sequence[str],
    rows: Callable[[Any], Rows],
) -> dict[str, float]:
    """Mean average precision of a detector.

    Args:
        adapter: of the model; decodes from a low confidence on.
        path: the ONNX file.
        examples: pictures with their truth.
        names: of the classes, by index.
        rows: from the adapter's result.
    """
    return mean_average_precision(_found(adapter, path, examples, names, rows), names)


def _found(
    adapter: type[Adapter[Any]],
    path: Path,
    examples: Iterable[Example],
    names: Sequence[str],
    rows: Callable[[Any], Rows],
) -> Iterator[tuple[Example, Found]]:
    with opened(adapter, path) as model:
        for example in examples:
            (result,), _ = model.predict([Image.of(example.pixels)])
            seen = [row for row in rows(result) if row.class_name in names]
            yield (
                example,
                Found(
                    np.array([row.box for row in seen], np.float32).reshape(-1, 4),
                    np.array([names.index(row.class_name) for row in seen], np.int64),
                    np.array([row.confidence for row in seen], np.float32),
                ),
            )
