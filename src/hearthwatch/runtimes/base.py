"""The contract between a network's graph and the engine that runs it: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Tensors = Mapping[str, Array]

#: Engines in the order in which they are tried; rapidocr brings its own networks and is never tried with others.
EngineName = Literal["tensorrt", "cuda", "openvino", "onnxruntime", "pytorch", "rapidocr"]
Precision = Literal["f32", "bf16", "f16"]

#: Networks whose operations are too small to be worth sharing between threads.
SMALL_NETWORK_BYTES = 1 << 20


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
        notes: sentences on what a person would not expect, such as an engine kept in another folder.
        streams: calls that run side by side without taking each other's threads.
    """

    engine: EngineName
    device: str
    precision: Precision
    version: str
    load_ms: float
    cached: bool | None = None
    notes: tuple[str, ...] = ()
    streams: int = 1


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
        fallback_device: where engines that do not run on `device` may load instead (`cpu` after `auto` chose a GPU);
            None: nowhere.
        inputs: the names of its inputs, in order.
        shapes: of its inputs, in the same order; None where a side is dynamic.
        module: makes the same network as a `torch.nn.Module` in float32 and evaluation mode on the CPU. It takes the
            inputs by position, in order, and returns one tensor, or one per name in `outputs`. None where there is no
            such module.
        tokens: fewest and most tokens of a row, where the graph reads texts in rows of any length; None elsewhere.
        max_batch: the largest batch that a TensorRT engine is built for; larger ones are answered in parts.
        engine_path: the documented `.engine` file; TensorRT's files are kept beside it, under its stem.
        concurrency: calls that are expected at the same time. A small network then runs them side by side, each in one
            thread; a large one, and any with `threads` given, keeps its threads.
        allow_slower: where an engine has no room for the network, the next one may try.
    """

    path: Path
    digest: str
    bytes: int = 0
    outputs: tuple[str, ...] = ()
    device: str = "cpu"
    precision: Precision = "f32"
    cache_dir: Path | None = None
    threads: int | None = None
    fallback_device: str | None = None
    inputs: tuple[str, ...] = ()
    shapes: tuple[tuple[int | None, ...], ...] = ()
    module: Callable[[], Any] | None = None
    tokens: tuple[int, int] | None = None
    max_batch: int = 8
    engine_path: Path | None = None
    concurrency: int = 1
    allow_slower: bool = False

    @property
    def side_by_side(self) -> int:
        """Calls that a CPU engine runs at the same time, each in one thread; 1 where a call takes all threads."""
        small = 0 < self.bytes <= SMALL_NETWORK_BYTES
        return self.concurrency if small and self.threads is None and self.device == "cpu" else 1


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
            LoadFailed: the engine refuses this request; its message is the reason.
            Exception: whatever else the engine raises; `select` turns it into a reason.
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
    """Run a batch in parts of allowed sizes and join the answers along the first axis.

    A batch of an allowed size goes in as it is: beside a fixed batch, a network may have inputs of other lengths.
    """
    size = len(next(iter(inputs.values())))
    if size < 1:
        raise ValueError("a batch of 0 has no answer")
    if size in allowed:
        return run_part(dict(inputs))
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
