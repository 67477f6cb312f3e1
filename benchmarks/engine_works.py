"""What the processes of the engines do: export a network, time an engine, load a network on it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import memory
from benchmarks.work import Work
from hearthwatch.runtimes.base import Array, Engine, LoadRequest, Precision
from hearthwatch.runtimes.onnxruntime import ONNXRuntimeEngine
from hearthwatch.runtimes.openvino import OpenVINOEngine
from hearthwatch.runtimes.pytorch import PyTorchEngine

BATCHES = (1, 8)
#: The first is the 1.0 of the others.
ENGINES: Mapping[str, Callable[[], Engine]] = {
    "pytorch": PyTorchEngine,
    "openvino": OpenVINOEngine,
    "onnxruntime": ONNXRuntimeEngine,
}
#: The least cosine between an engine's answer and eager PyTorch's: below it the engine computes something else, and
#: its speed says nothing. Made-up weights are harder on bf16 than trained ones.
AGREEMENT: Mapping[str, float] = {"f32": 0.9999, "bf16": 0.98, "f16": 0.999}
INPUT = "pixel_values"


def export_work(name: str, folder: str) -> Work:
    """Write a network's graph and one answer of it."""
    import torch  # only this child and eager PyTorch pay for it

    from benchmarks import architectures
    from hearthwatch.networks.export import export_onnx

    network = architectures.build(name)
    place = Path(folder)
    place.mkdir(parents=True)
    graph = place / "network.onnx"
    export_onnx(network, graph, input_name=INPUT, output_names=network.output_names, size=network.input_size)
    with torch.inference_mode():
        answer = network.module(torch.from_numpy(_pixel_values(1, network.input_size)))
    np.save(place / "answer.npy", answer.numpy())
    facts = {
        "name": name,
        "size": list(network.input_size),
        "outputs": list(network.output_names),
        "bytes": sum(tensor.numel() * tensor.element_size() for tensor in network.module.state_dict().values()),
        "gflop": architectures.gflop_of(network),
        "digest": hashlib.sha256(graph.read_bytes()).hexdigest(),
        "code": ["benchmarks.architectures", *sorted({type(module).__module__ for module in network.module.modules()})],
    }
    return Work({}, lambda: facts)


def work(engine: str, precision: Precision, network: Mapping[str, Any], folder: str, cache: str) -> Work:
    """One network on one engine, at every batch size.

    Raises:
        ValueError: the engine does not give what eager PyTorch gave.
    """
    runtime = ENGINES[engine]().load(_request(precision, network, folder, cache))
    size: tuple[int, int] = tuple(network["size"])
    first = _pixel_values(1, size)
    # The other pictures of a batch are the first one again, so its answer is known for any batch.
    batches = {batch: np.repeat(first, batch, axis=0) for batch in BATCHES}
    expected = np.load(Path(folder) / "answer.npy")
    agreement = min(_agreement(runtime.run({INPUT: given}), expected) for given in batches.values())
    if not agreement >= AGREEMENT[runtime.info.precision]:
        raise ValueError(f"its answer has a cosine of {agreement:.5f} with that of eager PyTorch; "
                         f"{AGREEMENT[runtime.info.precision]} is asked for")  # fmt: skip
    calls = {batch_key(batch): lambda given=given: runtime.run({INPUT: given}) for batch, given in batches.items()}
    facts = {"precision": runtime.info.precision, "version": runtime.info.version, "agreement": agreement}
    return Work(calls, lambda: facts)


def load_work(
    engine: str, precision: Precision, network: Mapping[str, Any], folder: str, cache: str, *, cached: bool
) -> Work:
    """Load the network again and again; see `memory`."""
    request = _request(precision, network, folder, cache if cached else None)
    code = network["code"] if engine == "pytorch" else ()
    return memory.work(ENGINES[engine](), request, _pixel_values(1, tuple(network["size"])), code)


def batch_key(size: int) -> str:
    """The name of its readings."""
    return f"batch {size}"


def _request(precision: Precision, network: Mapping[str, Any], folder: str, cache: str | None) -> LoadRequest:
    place = Path(folder)
    return LoadRequest(
        path=place / "network.onnx",
        digest=network["digest"],
        bytes=network["bytes"],
        inputs=(INPUT,),
        outputs=tuple(network["outputs"]),
        precision=precision,
        cache_dir=Path(cache) if cache is not None else None,
        module=lambda: _module(network["name"]),
    )


def _module(name: str) -> Any:
    """The network that was exported: the seed gives the same weights again, so no file of torch's is read."""
    from benchmarks import architectures  # as above

    return architectures.build(name).module


def _pixel_values(batch: int, size: tuple[int, int]) -> Array:
    return np.random.default_rng(batch).random((batch, 3, *size), dtype=np.float32)


def _agreement(outputs: Mapping[str, Array], expected: Array) -> float:
    """The least cosine of any row of the first output with the expected one."""
    rows = np.asarray(next(iter(outputs.values())), np.float64)
    rows, wanted = rows.reshape(len(rows), -1), np.asarray(expected, np.float64).reshape(-1)
    return float((rows @ wanted / (np.linalg.norm(rows, axis=1) * np.linalg.norm(wanted))).min())
