"""What a TensorRT engine was built for: anything that differs makes it another engine."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields

import orjson

from hearthwatch.runtimes.base import Precision


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine was built for. A changed key is another engine.

    Attributes:
        weights: SHA-256 of the graph with its weights.
        gpu: the GPU's name.
        gpu_uuid: this very board: two of one name may differ in memory.
        driver: its version.
        tensorrt: its version.
        onnxruntime: its version, which cuts the graph into engines.
        precision: the arithmetic that the builder may use.
        shapes: the smallest and largest shape of each input.
        level: the builder's optimisation level.
    """

    weights: str
    gpu: str
    gpu_uuid: str
    driver: str
    tensorrt: str
    onnxruntime: str
    precision: Precision
    shapes: str
    level: int

    @property
    def slot(self) -> str:
        """Name of its folder in the cache: a new driver or version replaces the engine instead of leaving it there."""
        facts = [self.weights, self.gpu_uuid, self.precision, self.shapes, self.level]
        return f"{self.weights[:12]}-{hashlib.sha256(orjson.dumps(facts)).hexdigest()[:12]}"

    def difference(self, other: EngineKey) -> str | None:
        """How an engine of the key `other` differs from this one, in words."""
        differing = [_DIFFERENCES[field.name].format(getattr(other, field.name), getattr(self, field.name))
                     for field in fields(self) if getattr(self, field.name) != getattr(other, field.name)]  # fmt: skip
        return ", ".join(differing) or None


_DIFFERENCES = {
    "weights": "it is of other weights ({:.12}…; these are {:.12}…)",
    "gpu": "it is for another GPU ({}; here is {})",
    "gpu_uuid": "it is for the GPU {} (here is {})",
    "driver": "it is of driver {} (here is {})",
    "tensorrt": "it is of TensorRT {} (here is {})",
    "onnxruntime": "it is of ONNX Runtime {} (here is {})",
    "precision": "it is in {} (wanted is {})",
    "shapes": "it is for {} (wanted is {})",
    "level": "it is of optimisation level {} (wanted is {})",
}
