"""One output of a classifier: which tensor it is, what its classes are called, how its numbers become probabilities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from hearthwatch.artifacts.description import Description
from hearthwatch.errors import InferenceFailed, WeightsInvalid
from hearthwatch.vision.image import Float


@dataclass(frozen=True, slots=True)
class ClassOutput:
    """Where N rows of class scores come from.

    Attributes:
        name: of the tensor.
        classes: how many there are.
        names: of the classes, by index; empty where nobody names them.
        is_logits: the numbers need a softmax.
        scale: factor on the numbers before it.
    """

    name: str
    classes: int
    names: tuple[str, ...]
    is_logits: bool
    scale: float

    @classmethod
    def of(cls, description: Description, *roles: str) -> ClassOutput:
        """The output that the card gives one of these roles, the first that it has; else the graph's first, as logits.

        Raises:
            WeightsInvalid: there is none, its classes cannot be counted, or are not as many as there are names.
        """
        file, card, outputs = description.graph.path.name, description.card, description.graph.outputs
        role = next((role for role in roles if role in card.outputs), None)
        stated = card.outputs[role] if role else None
        name = stated.name if stated else (outputs[0].name if outputs else "")
        tensor = next((tensor for tensor in outputs if tensor.name == name), None)
        # Some exporters keep the (N, classes, 1, 1) of a last convolution.
        sides = [side for side in tensor.shape[1:] if side != 1] if tensor else []
        if tensor is None or None in sides or len(sides) > 1 or len(tensor.shape) < 2:
            raise WeightsInvalid(f"{file} is no classifier: its output {name!r} has no known number of classes")
        classes = prod(side or 1 for side in sides)
        names = (stated.classes if stated else None) or description.class_names
        if names and len(names) != classes:
            raise WeightsInvalid(f"{file} names {len(names)} classes, and its output {name!r} has {classes}")
        kind = (stated.kind if stated else None) or (role if role == "probabilities" else "logits")
        return cls(name, classes, names, kind == "logits", (stated.scale if stated else None) or 1.0)

    def probabilities(self, outputs: Mapping[str, npt.NDArray[Any]], count: int) -> Float:
        """(count, classes), each row with the sum 1, or 0 where the network gave nothing.

        Raises:
            InferenceFailed: another number of scores, or some that are no numbers.
        """
        raw = np.asarray(outputs[self.name], np.float32).reshape(count, -1) * np.float32(self.scale)
        if raw.shape[1] != self.classes or not np.isfinite(raw).all():
            raise InferenceFailed(f"{count} crops gave {raw.shape[1]} scores each, or some that are no numbers")
        return _softmax(raw) if self.is_logits else _normalised(raw)


def _softmax(logits: Float) -> Float:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float32)


def _normalised(probabilities: Float) -> Float:
    """To a sum of 1: eight bits a class lose a few per cent of it."""
    positive = np.clip(probabilities, 0, None)
    total = positive.sum(axis=1, keepdims=True)
    shares: Float = np.divide(positive, total, out=np.zeros_like(positive), where=total > 0)
    return shares
