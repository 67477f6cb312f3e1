"""The contract between a network's graph and the engine that runs it: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Tensors = Mapping[str, Array]

#: Engines in the order in which they are tried (DESIGN: tensorrt, cuda, openvino, onnxruntime, pytorch).
EngineName = Literal["openvino", "onnxruntime", "rapidocr"]
Precision = Literal["f32", "bf16", "f16"]


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What really runs, read back from the engine.

    Attributes:
        engine: the engine's name.
        device: cpu, gpu, npu, or cuda:N.
        precision: the *effective* precision of the arithmetic, not the one that was asked for.
        version: the engine's own version.
        load_ms: reading, compiling and first allocation, in milliseconds.
        cached: whether the compiled network came from the cache on disk; None where the engine has none.
    """

    engine: EngineName
    device: str
    precision: Precision
    version: str
    load_ms: float
    cached: bool | None = None


class Runtime(Protocol):
    """One loaded graph. `run` may be called from several threads at once."""

    @property
    def info(self) -> RuntimeInfo:
        """What runs."""
        ...

    def run(self, inputs: Tensors) -> dict[str, Array]:
        """One call with a batch of any size above 0; the arrays returned are the caller's own."""
        ...

    def close(self) -> None:
        """Give the memory back. A closed runtime cannot run; closing twice is harmless."""
        ...


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What an engine is asked to load.

    Attributes:
        path: an ONNX file that passed `artifacts.graph`.
        digest: its SHA-256; part of the cache's key.
        bytes: size of its weights.
        outputs: the names of its outputs.
        device: cpu, gpu, npu, or cuda:N.
        precision: the arithmetic that is asked for.
        cache_dir: where compiled networks are kept; None keeps none.
        threads: of one call; None leaves it to the engine (all cores).
    """

    path: Path
    digest: str
    bytes: int = 0
    outputs: tuple[str, ...] = ()
    device: str = "cpu"
    precision: Precision = "f32"
    cache_dir: Path | None = None
    threads: int | None = None


class Engine(Protocol):
    """A way to load graphs."""

    @property
    def name(self) -> EngineName:
        """The engine's name."""
        ...

    def unavailable(self, device: str) -> str | None:
        """Why this engine cannot run on that device, in words; None where it can."""
        ...

    def precisions(self, device: str) -> tuple[Precision, ...]:
        """What the hardware does natively, fastest first; always ends with f32."""
        ...

    def load(self, request: LoadRequest) -> Runtime:
        """Load one graph.

        Raises:
            Exception: whatever the engine raises; `select` turns it into a reason.
        """
        ...


def batch_parts(size: int, allowed: tuple[int, ...]) -> list[int]:
    """Split a batch into parts of allowed static sizes, largest first: 6 over (1, 4) is 4, 1, 1.

    Dynamic batch costs OpenVINO a third on OSNet, so graphs are reshaped to a few static sizes. Where 1 is not allowed
    (a graph exported for batches of 16), the last part is not full.
    """
    parts: list[int] = []
    for part in sorted(allowed, reverse=True):
        parts.extend([part] * (size // part))
        size %= part
    return [*parts, min(allowed)] if size else parts


def split_run(
    inputs: Tensors, allowed: tuple[int, ...], run_part: Callable[[Tensors], dict[str, Array]]
) -> dict[str, Array]:
    """Run a batch in parts of allowed sizes and join the answers along the first axis."""
    size = len(next(iter(inputs.values())))
    if size < 1:
        raise ValueError("a batch of 0 has no answer")
    start, answers = 0, []
    for part in batch_parts(size, allowed):
        answers.append(run_part({name: _part(array, start, part) for name, array in inputs.items()}))
        start += part
    if len(answers) == 1 and start == size:
        return answers[0]
    return {name: np.concatenate([answer[name] for answer in answers])[:size] for name in answers[0]}


def _part(array: Array, start: int, size: int) -> Array:
    """Rows from `start`; the last row is repeated where there are too few."""
    rows = array[start : start + size]
    return rows if len(rows) == size else np.concatenate([rows, np.repeat(rows[-1:], size - len(rows), axis=0)])
